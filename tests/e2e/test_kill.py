"""The app is killed in the middle of its work: nothing that was shown is lost, nothing goes on running."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.e2e.homes import LIMIT_S, Home, new_home, wait_until_gone
from tests.e2e.terminal import PtySession, wait_until
from tests.processes import processes_under

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal there")

_WORD = re.compile(rb"[wt]\d{5}")


def ask(session: PtySession, prompt: bytes = b"go") -> None:
    session.wait_for(b"ready", timeout_s=LIMIT_S)
    session.send(prompt + b"\r")


def kill(session: PtySession) -> None:
    session.signal(signal.SIGKILL)
    assert session.wait_for_exit(LIMIT_S) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("model", "moment"),
    [("pondering", b"t00005"), ("steady", b"w00001"), ("steady", b"w00003"), ("steady", b"w00060")],
)
def test_all_that_was_shown_before_a_kill_is_there_at_the_next_start(
    home: Home, model: str, moment: bytes
) -> None:
    home.configure("scene", model=f"scene/{model}")
    with home.pty() as session:
        ask(session, b"tell me")
        session.wait_for(moment, timeout_s=LIMIT_S)
        kill(session)
        shown = {word.decode() for word in _WORD.findall(session.output)}
    assert moment.decode() in shown
    (_, _, prompt), (role, state, kept) = home.said()
    assert (prompt, role, state) == ("tell me", "assistant", "streaming")
    assert not shown - set(kept.split())

    last = max(word for word in kept.split() if word.startswith(kept.split()[-1][0]))
    with home.pty() as session:
        session.wait_for(b"Ctrl+G goes on with it", timeout_s=LIMIT_S)
        here = len(session.output)
        session.send(b"\x07")
        if not last.startswith("t"):  # what was thought is folded
            session.wait_for(last.encode(), start=here, timeout_s=LIMIT_S)
        session.wait_for(b"tell me", start=here, timeout_s=LIMIT_S)
        wait_until(lambda: home.said()[1][1] == "stopped", LIMIT_S, "the answer counts as stopped")
        session.send(b"\x11")
        assert session.wait_for_exit(LIMIT_S) == 0


def test_the_embedded_model_does_not_outlive_the_app(model_home: Home) -> None:
    with model_home.pty() as session:
        ask(session, b"Tell me a long story about a dragon and a knight.")
        session.wait_for(b"answering", timeout_s=LIMIT_S)
        children = processes_under(session.process)
        assert children
        kill(session)
        wait_until_gone(children)


def test_pip_does_not_outlive_the_app(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, silent_index: SilentIndex
) -> None:
    stranger = new_home(tmp_path / "home", tmp_path_factory)
    index = {"PIP_INDEX_URL": silent_index.address, "PIP_CONFIG_FILE": os.devnull, "PIP_TIMEOUT": "300"}
    with replace(stranger, env=index).pty() as session:
        ask(session)
        session.wait_for(b"Fetching", timeout_s=LIMIT_S)
        wait_until(lambda: bool(silent_index.held), LIMIT_S, "pip waits for the index")
        children = pips(session.process)
        assert children
        kill(session)
        wait_until_gone(children)


def pips(process: int) -> set[int]:
    """The processes of pip under a process."""
    return {child for child in processes_under(process) if b"download" in command_of(child).split(b"\0")}


def command_of(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


@dataclass
class SilentIndex:
    """A package index that takes every question and answers none."""

    address: str
    held: list[socket.socket] = field(default_factory=list)


@pytest.fixture
def silent_index() -> Iterator[SilentIndex]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        index = SilentIndex(f"http://127.0.0.1:{server.getsockname()[1]}/simple")

        def accept() -> None:
            with suppress(OSError):  # the server is closed
                while True:
                    index.held.append(server.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield index
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in index.held:
        connection.close()
