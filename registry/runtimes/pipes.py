"""A plugin's process as lines in and out, served by one thread.

Whoever sends is never held up: what the pipe does not take at once, the thread writes later. Any thread may
send; the listener is called on this one.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Final, Protocol

from registry.launch import Launch
from registry.runtimes.framing import Lines, MessageError
from registry.runtimes.last_lines import LastLines
from registry.runtimes.watcher import CAN_PAUSE, Watcher

LAUNCHER: Final = Path(__file__).with_name("launcher.py")
APP: Final = Path(__file__).parents[2]
"""The folder that `jackfield` and `registry` are imported from."""
_READ: Final = 1 << 16
"""What a pipe holds at most, in bytes. To ask for more costs as much as all else of a short message."""
_DRAIN_LIMIT: Final = 1 << 22
"""How much of what is left in the pipes is read after the end, in bytes."""
_PIECES: Final = 20
_REAP_LIMIT_S: Final = 2.0


class Listener(Protocol):
    """Who is told what a process does, on the thread of its pipes."""

    def may_start(self) -> bool:
        """Whether it may be started; asked right before that."""

    def started(self) -> None:
        """It was started; messages can be sent."""

    def line(self, line: bytes | bytearray) -> None:
        """A line came. Raises MessageError when it breaks the protocol; the process is then ended."""

    def next_tick_s(self) -> float:
        """In how many seconds `tick` has to be called at the latest."""

    def tick(self) -> None:
        """Look at what is due; called after everything that happens."""

    def ended(self, reason: str) -> None:
        """It has ended, or could not be started; nothing comes any more."""


class Pipes:
    """One process. `start` it once; it has ended when the listener was told so.

    Args:
        launch: what to start.
        environment: its whole environment.
        listener: who is told.
    """

    def __init__(self, launch: Launch, environment: dict[str, str], listener: Listener) -> None:
        self.said = LastLines()
        self._launch = launch
        self._environment = environment
        self._listener = listener
        self._lock = threading.Lock()
        self._backlog: deque[memoryview] = deque()
        self._stdin: IO[bytes] | None = None
        self._input = -1
        self._writing = False
        """Whether the thread waits until more can be written."""
        self._closing = False
        self._reason = ""
        self._heard = b""
        """What the watch told: the number of the plugin's process group, and `done` at its own end."""
        self._wake_out, self._wake_in = -1, -1
        self._watcher = Watcher()
        self._lines = Lines()
        self._reading = threading.Lock()
        """Held by whoever reads the process's output: this thread, or one that waits for an answer."""
        self._output = -1
        self._thread = threading.Thread(target=self._run, name="plugin process", daemon=True)

    def start(self) -> None:
        """Start the process and the thread that serves it."""
        self._thread.start()

    def send(self, line: bytes) -> None:
        """Send a line. Never waits; after the end of the process it is dropped."""
        with self._lock:
            if self._input < 0:
                return
            rest = memoryview(line)
            if not self._backlog:
                try:
                    rest = rest[os.write(self._input, rest) :]
                except BlockingIOError:
                    pass
                except OSError:
                    return  # it has ended, which the thread is about to notice
            if not rest:
                return
            self._backlog.append(rest)
        self.wake()

    def close_input(self) -> None:
        """Have its standard input end, once what was sent has been written."""
        self._closing = True
        self.wake()

    def kill(self, reason: str) -> None:
        """End it and everything it started, and give this as the reason."""
        self._reason = self._reason or reason
        self.wake()

    @property
    def ending(self) -> bool:
        """Whether it is being ended, for a reason that was given."""
        return bool(self._reason)

    def wake(self) -> None:
        """Have the thread look at what is due."""
        with self._lock, contextlib.suppress(OSError):
            if self._wake_in >= 0:
                os.write(self._wake_in, b"\0")

    def _run(self) -> None:
        if not self._listener.may_start():
            self._watcher.close()
            self._listener.ended("It must not be started.")
            return
        try:
            process, lifeline = self._open()
        except (OSError, ValueError) as error:
            self._watcher.close()
            self._close_wake()
            self._listener.ended(f"It could not be started: {error}")
            return
        try:
            self._serve(process, lifeline)
        except MessageError as error:
            self._reason = self._reason or f"It broke the protocol: {error}"
        finally:
            status = self._end(process, lifeline)
            self._listener.ended(self._reason or describe_end(status))

    def _open(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        self._make_wake()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603 - this interpreter and a program of the app
                    [sys.executable, "-I", "-S", str(LAUNCHER), self._config(theirs.fileno())],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    cwd=self._launch.folder,
                    env=self._environment,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # so that Ctrl+C in a terminal reaches the app alone
                )
            except BaseException:
                ours.close()
                raise
        return process, ours

    def _make_wake(self) -> None:
        out, into = os.pipe()
        os.set_blocking(out, False)
        os.set_blocking(into, False)
        with self._lock:
            self._wake_out, self._wake_in = out, into

    def _config(self, lifeline: int) -> str:
        launch = self._launch
        return json.dumps(
            {
                "lifeline": lifeline,
                "command": launch.command,
                "folder": str(launch.folder),
                "entry_point": launch.entry_point,
                "limits": asdict(launch.limits),
                "app": str(APP),
                "path": [folder for folder in sys.path if os.path.isabs(folder)],  # noqa: PTH117 - plain strings
            }
        )

    def _serve(self, process: subprocess.Popen[bytes], lifeline: socket.socket) -> None:
        output, errors = _file(process.stdout), _file(process.stderr)
        for descriptor in (output, errors):
            os.set_blocking(descriptor, False)
        for descriptor in (output, errors, lifeline.fileno(), self._wake_out):
            self._watcher.add(descriptor)
        with self._lock:
            self._stdin, self._input = process.stdin, _file(process.stdin)
            os.set_blocking(self._input, False)
        self._listener.started()
        self._close_input_if_done()  # it may have been stopped before there was anything to wake
        self._output = output
        try:
            while self._step(output, errors, lifeline):
                pass
        finally:
            with self._reading:
                self._output = -1  # from now on nobody reads but this thread
        self._drain(output, errors)

    def read_here(self, is_done: Callable[[], bool], limit_s: float) -> bool:
        """Read the output on the calling thread until something is so, instead of waiting for the other one.

        An answer passed from thread to thread takes about as long as the call itself.

        Args:
            is_done: what is waited for.
            limit_s: for how long it may wait for each of a few pieces, in seconds.

        Returns:
            Whether it could: another thread may be reading, or the system cannot change readers.
        """
        if not CAN_PAUSE or not self._reading.acquire(blocking=False):
            return False
        try:
            if self._output < 0:
                return False
            self._watcher.pause(self._output)
            try:
                self._read_until(is_done, limit_s)
            finally:
                self._watcher.resume(self._output)
        except MessageError as error:
            self.kill(f"It broke the protocol: {error}")
        finally:
            self._reading.release()
        return True

    def _read_until(self, is_done: Callable[[], bool], limit_s: float) -> None:
        poller = select.poll()
        poller.register(self._output, select.POLLIN)
        for _ in range(_PIECES):
            if is_done() or not poller.poll(limit_s * 1000) or not self._read_output(self._output):
                return

    def _step(self, output: int, errors: int, lifeline: socket.socket) -> bool:
        """Wait and do what is to be done; whether to go on."""
        ready = self._watcher.wait(self._listener.next_tick_s())
        going = True
        for descriptor in ready:
            if descriptor == output:
                with self._reading:
                    going = self._read_output(output) and going
            elif descriptor == errors:
                self._read_errors(errors)
            elif descriptor == self._wake_out:
                self._woken()
            elif descriptor == self._input:
                self._write_backlog()
            else:
                going = self._hear(lifeline)  # else the watch has ended, and the plugin before it
        if ready != [output]:  # not after each answer: it is a matter of microseconds
            self._listener.tick()
        return going and not self._reason

    def _hear(self, lifeline: socket.socket) -> bool:
        """Take what the watch tells; whether it is there still."""
        try:
            word = lifeline.recv(64)
        except OSError:
            word = b""
        self._heard += word
        return word != b""

    def _read_output(self, output: int) -> bool:
        if self._reason:
            return False  # it is being ended: nothing that it says counts any more
        piece = _read(output)
        for line in self._lines.feed(piece or b""):
            self._listener.line(line)
        return piece != b""

    def _read_errors(self, errors: int) -> None:
        piece = _read(errors)
        if piece:
            self.said.feed(piece)
        elif piece == b"":
            self._watcher.remove(errors)

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_out, 4096)
        with self._lock:
            if self._backlog and self._input >= 0 and not self._writing:
                self._watcher.add(self._input, writing=True)
                self._writing = True
        self._close_input_if_done()

    def _write_backlog(self) -> None:
        with self._lock:
            try:
                while self._backlog:
                    rest = self._backlog[0][os.write(self._input, self._backlog[0]) :]
                    if rest:
                        self._backlog[0] = rest
                    else:
                        self._backlog.popleft()
            except BlockingIOError:
                return
            except OSError:
                self._backlog.clear()  # it has ended, or closed its input
            self._watcher.remove(self._input)
            self._writing = False
        self._close_input_if_done()

    def _close_input_if_done(self) -> None:
        if self._closing and not self._backlog:
            self._close_stdin()

    def _close_stdin(self) -> None:
        with self._lock:
            if self._writing and self._input >= 0:
                self._watcher.remove(self._input)
                self._writing = False
            self._input = -1  # from now on nobody writes to a number that may soon be another file's
            self._backlog.clear()
            if self._stdin is not None:
                with contextlib.suppress(OSError):
                    self._stdin.close()

    def _drain(self, output: int, errors: int) -> None:
        """Take what it wrote before its end: an answer perhaps, and its last words."""
        for descriptor in (output, errors):
            left = _DRAIN_LIMIT
            while left > 0 and (piece := _read(descriptor)):
                left -= len(piece)
                if descriptor == errors:
                    self.said.feed(piece)
                elif not self._reason:
                    for line in self._lines.feed(piece):
                        self._listener.line(line)

    def _end(self, process: subprocess.Popen[bytes], lifeline: socket.socket) -> int:
        """End the process, if it has not ended; the status of its end."""
        self._close_stdin()
        with contextlib.suppress(OSError):  # the watch has ended
            lifeline.shutdown(socket.SHUT_WR)
        try:
            process.wait(_REAP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
        status = process.wait()
        self._end_unwatched(lifeline)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        self._watcher.close()
        self._close_wake()
        return status

    def _end_unwatched(self, lifeline: socket.socket) -> None:
        """Do the work of a watch that was ended before it was done, by the plugin perhaps."""
        lifeline.setblocking(False)
        while self._hear(lifeline):
            pass
        lifeline.close()
        group, _, done = self._heard.partition(b" ")
        if group.isdigit() and not done:
            self._reason = self._reason or "The process that watches over it was ended."
            with contextlib.suppress(OSError):
                os.killpg(int(group), signal.SIGKILL)

    def _close_wake(self) -> None:
        with self._lock:
            ends, self._wake_out, self._wake_in = (self._wake_out, self._wake_in), -1, -1
        for descriptor in ends:
            if descriptor >= 0:
                os.close(descriptor)


def describe_end(status: int) -> str:
    """How a process ended, from its status as `subprocess` has it."""
    if status >= 0:
        return f"Its process ended with status {status}."
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = str(-status)
    hints = {"SIGXCPU": " It had used up its processor time.", "SIGKILL": " Perhaps memory ran out."}
    return f"Its process ended by the signal {name}.{hints.get(name, '')}"


def _file(stream: IO[bytes] | None) -> int:
    if stream is None:
        raise ValueError("the process was started without pipes")
    return stream.fileno()


def _read(descriptor: int) -> bytes | None:
    """What is there to read; nothing at the end, None while there is nothing yet."""
    try:
        return os.read(descriptor, _READ)
    except BlockingIOError:
        return None
    except OSError:
        return b""
