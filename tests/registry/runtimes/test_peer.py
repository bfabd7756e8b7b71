"""What two threads do to one call at the same moment, and what is due when."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from registry.errors import PluginError
from registry.launch import Launch, Limits
from registry.runtimes.answer import Answer
from registry.runtimes.framing import MessageError
from registry.runtimes.peer import Opening, Peer

ANSWER = {"jsonrpc": "2.0", "id": 0, "result": None}
EVENTS = {"jsonrpc": "2.0", "method": "provider/events", "params": {"id": 0, "events": []}}


@pytest.fixture
def peer(tmp_path: Path) -> Peer:
    """One whose process was not started; a call of it waits under the number 0."""
    launch = Launch(("none",), tmp_path, limits=Limits(idle_s=60.0))
    peer = Peer(launch, Opening(lambda _: None), app_version="1")
    assert peer._ask("command/run", {}, Answer()) == 0
    return peer


@pytest.mark.parametrize("message", [ANSWER, EVENTS], ids=["answer", "events"])
def test_what_comes_at_the_moment_of_its_cancellation_is_no_fault(
    peer: Peer, message: dict[str, object]
) -> None:
    faults: list[MessageError] = []

    def read() -> None:
        try:
            peer.line(json.dumps(message).encode())
        except MessageError as fault:
            faults.append(fault)

    reading = threading.Thread(target=read)

    class Slow(dict[int, Any]):
        """Waiting calls; while one is taken out the other thread reads what came for it."""

        def pop(self, number: int, default: Any = None) -> Any:
            waiting = super().pop(number, default)
            if not reading.ident:
                reading.start()
                reading.join(0.2)  # to its end, or until it waits for the cancellation
            return waiting

    peer._pending = Slow(peer._pending)
    peer._cancel(0)
    reading.join()
    assert faults == []


def test_its_thread_looks_at_what_is_due_also_while_it_is_called(peer: Peer) -> None:
    """Its answer may be read on another thread, which does not wake this one for the end of idling."""
    peer.ready.set_result(None)
    assert 59.0 < peer.next_tick_s() <= 60.0


def test_who_hears_that_it_was_refused_finds_it_unusable(peer: Peer) -> None:
    """Who tries again at once must get another process, not the refusal of this one once more."""
    usable: list[bool] = []
    peer.ready.add_done_callback(lambda _ready: usable.append(peer.usable))
    peer._refuse(PluginError("Its code was changed"))
    assert usable == [False]
    assert isinstance(peer.ready.exception(), PluginError)


def test_what_is_held_for_a_call_is_not_idle_meanwhile(peer: Peer) -> None:
    peer._pending.clear()
    assert not peer.hold(), "it is not ready yet"
    peer._become_ready(None)
    peer._last_use -= 120.0
    assert peer._is_idle(time.monotonic())
    assert peer.hold()
    assert not peer._is_idle(time.monotonic())
    peer.stop()
    assert not peer.hold()
