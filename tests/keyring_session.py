"""A real keyring for tests: gnome-keyring on a message bus of its own, with a home of its own."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from secretstorage import Collection

PROGRAMS: Final = ("dbus-daemon", "gnome-keyring-daemon")
NULL_BACKEND: Final = "keyring.backends.null.Keyring"
"""What stands in `PYTHON_KEYRING_BACKEND` for every test that does not ask for a keyring."""
LIMIT_S: Final = 20.0
"""How long the programs may take to start, in seconds."""

_log = logging.getLogger(__name__)
_PASSWORD: Final = b"password of the test keyring"
_UNSET: Final = ("DISPLAY", "WAYLAND_DISPLAY", "PYTHON_KEYRING_BACKEND", "GNOME_KEYRING_CONTROL")


class KeyringSession:
    """An unlocked keyring that no other session sees, and what a test can do to it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.address = f"unix:path={home / 'bus'}"
        self._children: list[subprocess.Popen[bytes]] = []
        self._killed: set[int] = set()

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables that lead to this keyring."""
        return {
            "HOME": str(self.home),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_RUNTIME_DIR": str(self.home),
            "DBUS_SESSION_BUS_ADDRESS": self.address,
        }

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a child process that uses this keyring."""
        kept = {name: value for name, value in os.environ.items() if name not in _UNSET}
        return kept | dict(self.variables)

    def use_here(self, environment: pytest.MonkeyPatch) -> None:
        """Make it the keyring of this process, too."""
        for name in _UNSET:
            environment.delenv(name, raising=False)
        for name, value in self.variables.items():
            environment.setenv(name, value)

    def start(self) -> None:
        """Start the bus and an unlocked keyring."""
        self._spawn(["dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={self.address}"])
        wait_for((self.home / "bus").exists, "the message bus")
        self.unlock()

    def unlock(self) -> None:
        """Start an unlocked keyring, in the place of the one that runs."""
        command = ["gnome-keyring-daemon", "--foreground", "--replace", "--unlock", "--components=secrets"]
        daemon = self._spawn(command, _PASSWORD)
        wait_for(lambda: self.daemon() == daemon.pid, "the unlocked keyring")

    def lock(self) -> None:
        """Lock the keyring, as a desktop does after a while."""
        with self._collection() as collection:
            collection.lock()
            assert collection.is_locked()

    def items(self) -> dict[tuple[str, str], str]:
        """All that it holds: secrets by service and name. It has to be unlocked."""
        with self._collection() as collection:
            found = [(item.get_attributes(), item.get_secret()) for item in collection.get_all_items()]
        return {(kept["service"], kept["username"]): secret.decode() for kept, secret in found}

    def daemon(self) -> int | None:
        """The id of the process that answers as the keyring now."""
        from jeepney import MessageType  # type: ignore[import-untyped]
        from jeepney.bus_messages import message_bus  # type: ignore[import-untyped]
        from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped]

        try:
            connected = open_dbus_connection(bus=self.address)
        except (ConnectionRefusedError, FileNotFoundError):
            return None  # the bus has just been started, and does not listen yet
        with closing(connected) as connection:
            asked = message_bus.GetConnectionUnixProcessID("org.freedesktop.secrets")
            reply = connection.send_and_get_reply(asked)
        return reply.body[0] if reply.header.message_type is MessageType.method_return else None

    def kill_daemon(self) -> None:
        """End the keyring as a crash does. The bus starts another, locked one when it is asked for it."""
        killed = self.signal_daemon(signal.SIGKILL)
        self._killed.add(killed)
        wait_for(lambda: self.daemon() != killed, "the end of the keyring")

    def signal_daemon(self, number: signal.Signals) -> int:
        """Send a signal to the keyring, such as SIGSTOP or SIGCONT; give back its id."""
        daemon = self.daemon()
        assert daemon is not None, "no keyring is running"
        os.kill(daemon, number)
        return daemon

    def stop(self) -> None:
        """End all processes that live in this session, whoever started them; tell what ended by itself."""
        replaced = len(self._children) > 2  # by a keyring that was unlocked later
        for child in () if replaced else self._children:
            if child.poll() is not None and child.pid not in self._killed:
                last_words = (self.home / "errors.log").read_text(errors="replace")[-2000:]
                _log.warning("%s ended by itself: %s\n%s", child.args, child.returncode, last_words)
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for child in self._children:
            child.wait(LIMIT_S)
        wait_for(lambda: not self.processes(), "the end of the keyring's processes")

    def processes(self) -> list[int]:
        """The ids of the processes whose home is this session's. One that has ended has no environment."""
        wanted = f"HOME={self.home}".encode()
        found = []
        for process in Path("/proc").iterdir():
            with suppress(OSError):
                if process.name.isdigit() and wanted in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
        return found

    @contextmanager
    def _collection(self) -> Iterator[Collection]:
        from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped,unused-ignore]
        from secretstorage import get_default_collection

        with closing(open_dbus_connection(bus=self.address)) as connection:
            yield get_default_collection(connection)

    def _spawn(self, command: list[str], text: bytes = b"") -> subprocess.Popen[bytes]:
        """Start a program that ends with this process, however that ends."""
        if shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        with (self.home / "errors.log").open("ab") as errors:
            child = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        self._children.append(child)
        assert child.stdin is not None
        with child.stdin as stdin:
            stdin.write(text)
        return child


@contextmanager
def running_keyring() -> Iterator[KeyringSession]:
    """A keyring, and nothing of it left behind. Where a program is missing, the test is skipped."""
    if sys.platform != "linux":
        pytest.skip("gnome-keyring is a keyring of Linux")
    for program in PROGRAMS:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    # not pytest's own folder: the path of a socket has at most 107 bytes
    home = Path(tempfile.mkdtemp(prefix="jackfield-keyring-"))
    session = KeyringSession(home)
    try:
        session.start()
        yield session
    finally:
        session.stop()
        shutil.rmtree(home, ignore_errors=True)


def wait_for(condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
    """Wait until something holds.

    Args:
        condition: asked again and again.
        what: what is waited for, for the message of the failure.
        limit_s: how long to wait, in seconds.
    """
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {limit_s:g} s"
        time.sleep(0.005)
