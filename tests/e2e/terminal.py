"""Terminals for tests: `TmuxTerminal` shows what a user sees, `PtySession` every byte that was written."""

from __future__ import annotations

import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import pytest

LIMIT_S = 15.0
"""How long a test waits for something to happen, in seconds."""
PAUSE_S = 0.02
"""How long between two looks; looking all the time would slow down what is looked at."""
SHOWN = 3000
"""How much of an output a failed test shows, in bytes."""
Size = tuple[int, int]
"""Columns and rows."""


def _environment(env: Mapping[str, str] | None) -> dict[str, str]:
    """This process's environment without an outer terminal's marks, with the additions that a test wants."""
    marks = ("TMUX", "JACKFIELD_CI", "COLUMNS", "LINES")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(marks)}
    return {**kept, "LC_ALL": "C.UTF-8", "COLORTERM": "truecolor", **(env or {})}


def _end(process: int) -> None:
    """Kill a process and its group, if they are still there."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(process, signal.SIGKILL)


def _fits(screen: str, expected: str | Callable[[str], bool]) -> bool:
    return expected in screen if isinstance(expected, str) else expected(screen)


def _word(text: str) -> str:
    """A text as tmux takes it: a semicolon at the end would begin its next command."""
    return f"{text[:-1]}\\;" if text.endswith(";") else text


def wait_until(condition: Callable[[], bool], limit_s: float, what: str) -> None:
    """Wait for a condition.

    Raises:
        AssertionError: it did not become true in time.
    """
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(PAUSE_S)


class TmuxTerminal:
    """One command in a terminal of its own, seen and used as a user would.

    The tmux server is its own too, without the developer's configuration, and ends with the `with` block.

    ```python
    with TmuxTerminal(size=(80, 24)) as terminal:
        terminal.start("jackfield")
        terminal.wait_for("Ready")
        terminal.press("C-q")
    ```

    Args:
        size: columns and rows.
        env: environment variables beside those of the tests.
    """

    def __init__(self, *, size: Size = (80, 24), env: Mapping[str, str] | None = None) -> None:
        if shutil.which("tmux") is None:
            pytest.skip("tmux is not installed")
        self.size = size
        self._folder = TemporaryDirectory(prefix="jackfield-tmux-")
        self._env = {**_environment(env), "TMUX_TMPDIR": self._folder.name}
        self._socket = secrets.token_hex(4)
        self._process = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self, *command: str) -> None:
        """Run a command. When it ends, what it left on the screen stays."""
        columns, rows = self.size
        options = {"default-terminal": "tmux-256color", "escape-time": "0", "status": "off"}
        settings = [word for name, value in options.items() for word in ("set", "-g", name, value, ";")]
        self._tmux(
            "start-server", ";", *settings,
            "set", "-gw", "remain-on-exit", "on", ";",
            "set", "-gwq", "remain-on-exit-format", "", ";",  # quietly: tmux before 3.3 does not have it
            "new-session", "-d", "-x", str(columns), "-y", str(rows), "--", *command,
        )  # fmt: skip
        self._process = int(self._ask("#{pane_pid}"))

    def type(self, text: str) -> None:
        """Type a text as it stands."""
        self._tmux("send-keys", "-l", "--", _word(text))

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: `Escape`, `Enter`, `C-c`, `M-Enter`, `Up`, `F1`."""
        self._tmux("send-keys", "--", *map(_word, keys))

    def paste(self, text: str) -> None:
        """Paste a text, in brackets where the program asked for them."""
        # not as an argument of tmux: those can be seen by every process, and a text may be a secret
        self._tmux("load-buffer", "-", text=text)
        self._tmux("paste-buffer", "-p", "-d")

    def screen(self) -> str:
        """The lines that are on the screen, without blanks at their ends."""
        return self._tmux("capture-pane", "-p")

    def styled_screen(self) -> str:
        """The screen with the escape sequences of its colours and styles."""
        return self._tmux("capture-pane", "-p", "-e")

    def wait_for(self, expected: str | Callable[[str], bool], timeout_s: float = LIMIT_S) -> str:
        """Wait until the screen holds a text, or is as a function wants it, and give it back.

        Raises:
            AssertionError: that did not happen in time; the message shows the screen.
        """
        deadline = time.monotonic() + timeout_s
        while not _fits(screen := self.screen(), expected):
            assert time.monotonic() < deadline, f"{expected!r} did not appear on the screen:\n{screen}"
            time.sleep(PAUSE_S)
        return screen

    def resize(self, columns: int, rows: int) -> None:
        """Make the terminal another size."""
        self.size = (columns, rows)
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def wait_for_exit(self, timeout_s: float = LIMIT_S) -> int:
        """Wait until the command has ended, and give its exit code, or minus the signal that ended it.

        Raises:
            AssertionError: it did not end in time; the message shows the screen.
        """
        deadline = time.monotonic() + timeout_s
        while self._ask("#{pane_dead}") != "1":
            assert time.monotonic() < deadline, f"the command did not end:\n{self.screen()}"
            time.sleep(PAUSE_S)
        while True:
            code, signal_ = self._ask("#{pane_dead_status}"), self._ask("#{pane_dead_signal}")
            if code or signal_:
                return int(code) if code else -int(signal_)
            assert time.monotonic() < deadline, f"the command left no exit code:\n{self.screen()}"
            # When the terminal ends, tmux writes that down with a helper (libutempter), and hears of no other
            # child that ends meanwhile. It looks after all of them when the next one ends.
            self._tmux("run-shell", "true")

    @property
    def process(self) -> int:
        """The id of the command's process, for signals."""
        return self._process

    def kill(self) -> None:
        """End the command, whatever it does, and the terminal."""
        try:
            if self._process:
                _end(self._process)
                self.wait_for_exit()
            self._tmux("kill-server")
        except subprocess.CalledProcessError:
            pass  # the server was never started, or has ended by itself
        finally:
            self._folder.cleanup()

    def _ask(self, format_: str) -> str:
        return self._tmux("display-message", "-p", format_).strip()

    def _tmux(self, *words: str, text: str = "") -> str:
        done = subprocess.run(
            ["tmux", "-u", "-L", self._socket, "-f", "/dev/null", *words],
            env=self._env,
            input=text,
            capture_output=True,
            encoding="utf-8",
            check=True,
            timeout=LIMIT_S,
        )
        return done.stdout


class PtySession:
    """A command on a pseudo-terminal, of which every byte that it writes is kept.

    Nothing answers the command's questions to the terminal: this one is as dumb as they come.

    Args:
        command: the program and its arguments.
        size: columns and rows.
        env: environment variables beside those of the tests.
    """

    def __init__(self, *command: str, size: Size = (80, 24), env: Mapping[str, str] | None = None) -> None:
        if sys.platform == "win32":
            pytest.skip("pseudo-terminals are not to be had there")
        self._output = bytearray()
        self._grown = threading.Condition()
        self._ended = False
        self._terminal, inner = os.openpty()
        self.resize(*size)
        self._process = subprocess.Popen(
            command,
            env={**_environment(env), "TERM": "xterm-256color"},
            preexec_fn=partial(os.login_tty, inner),  # a session of its own, with this terminal
        )
        os.close(inner)
        self._reader = threading.Thread(target=self._read, name="pty-reader", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def output(self) -> bytes:
        """Everything that was written so far."""
        with self._grown:
            return bytes(self._output)

    @property
    def process(self) -> int:
        """The id of the command's process."""
        return self._process.pid

    @property
    def echoes(self) -> bool:
        """Whether the terminal echoes what is typed, line by line, as a shell wants it."""
        if sys.platform == "win32":
            return True
        import termios  # only where there are pseudo-terminals

        flags: int = termios.tcgetattr(self._terminal)[3]
        return bool(flags & termios.ECHO and flags & termios.ICANON)

    def send(self, keys: bytes) -> None:
        """Send what a keyboard would."""
        while keys:
            keys = keys[os.write(self._terminal, keys) :]

    def signal(self, number: int) -> None:
        """Send the command a signal."""
        self._process.send_signal(number)

    def resize(self, columns: int, rows: int) -> None:
        """Make the terminal another size; the command is told by the system."""
        if sys.platform != "win32":
            import termios  # only where there are pseudo-terminals

            termios.tcsetwinsize(self._terminal, (rows, columns))

    def wait_for(
        self, expected: bytes | Callable[[bytes], bool], *, start: int = 0, timeout_s: float = LIMIT_S
    ) -> bytes:
        """Wait until the output from `start` on holds these bytes, or is as a function wants it; give it.

        Raises:
            AssertionError: that did not happen in time or before the end; the message shows its end.
        """

        def is_there() -> bool:
            output = bytes(self._output[start:])
            return expected in output if isinstance(expected, bytes) else expected(output)

        with self._grown:
            self._grown.wait_for(lambda: is_there() or self._ended, timeout_s)
            assert is_there(), f"{expected!r} is not in the output: {bytes(self._output[start:])[-SHOWN:]!r}"
            return bytes(self._output[start:])

    def wait_for_exit(self, timeout_s: float = LIMIT_S) -> int:
        """Wait until the command has ended and all its output is here; give its exit code.

        Raises:
            AssertionError: it did not end in time; the message shows the end of the output.
        """
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the command did not end: {self.output[-SHOWN:]!r}") from None
        self._reader.join(timeout_s)
        return code

    def close(self) -> None:
        """End the command, whatever it does."""
        _end(self._process.pid)
        self._process.wait()
        self._ended = True
        self._reader.join()
        os.close(self._terminal)

    def _read(self) -> None:
        while True:
            ended = self._ended or self._process.poll() is not None
            ready, _, _ = select.select([self._terminal], [], [], 0 if ended else 0.1)
            if not ready:
                if ended:  # before it was looked whether there is something to read
                    break
                continue
            try:
                piece = os.read(self._terminal, 65536)
            except OSError:  # how Linux says that nobody has the other side open any more
                break
            if not piece:
                break
            with self._grown:
                self._output += piece
                self._grown.notify_all()
        with self._grown:
            self._ended = True
            self._grown.notify_all()
