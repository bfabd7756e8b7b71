"""What is done to a plugin's process while something else is on its way."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from jackfield import CommandCall, ProviderError
from registry.runtimes.peer import Opening, Peer
from registry.runtimes.process import describe_process
from registry.turn import Turn, TurnFinished
from tests.registry.plugins_for_tests import until
from tests.registry.runtimes.folders import (
    EVERYTHING,
    MINIMAL,
    PATIENT,
    registry_of,
    request,
    started,
    write_plugin,
    write_raw,
)

BUSY = """
import os, time
from jackfield import *

async def busy(call):
    open("begun", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.01)
    return Show("busy")

async def quick(call):
    return Show("quick")

class Busy(Plugin):
    name = "busy"
    version = "1.0"

    def commands(self):
        return [Command("busy", "Holds up its whole process", busy), Command("quick", "Does not", quick)]
"""


async def test_a_call_that_was_cancelled_before_it_was_begun_is_over(tmp_path: Path) -> None:
    async with started(write_plugin(tmp_path, BUSY), tmp_path) as plugin:
        commands = {command.name: command for command in plugin.commands()}
        busy = asyncio.ensure_future(commands["busy"].run(CommandCall("", ())))
        await until((tmp_path / "begun").exists)
        peer = plugin._peer
        assert peer is not None
        quick = asyncio.ensure_future(commands["quick"].run(CommandCall("", ())))
        await until(lambda: len(peer._pending) == 2)
        quick.cancel()
        await until(lambda: peer._cancelled)
        (tmp_path / "go").touch()
        await busy
        await until(lambda: not peer._cancelled)  # else it is ended for going on with it
        assert peer.usable


BREAKS_ONCE = """
if message["method"] == "provider/stream":
    bad, good = [{"type": "nonsense"}], [{"type": "text_delta", "text": "good"}]
    again = os.path.exists("again")
    open("again", "w").close()
    send(method="provider/events", params={"id": message["id"], "events": good if again else bad})
    if again:
        send(id=message["id"], result=None)
"""


async def test_who_tries_again_after_a_broken_stream_gets_another_process(tmp_path: Path) -> None:
    echo = {"name": "echo", "title": "Echo", "models": []}
    async with started(write_raw(tmp_path, BREAKS_ONCE, hooks=[], providers=[echo]), tmp_path) as plugin:
        (provider,) = plugin.providers()
        with pytest.raises(ProviderError, match="broke the protocol"):
            [event async for event in provider.stream(request(), None)]
        assert len([event async for event in provider.stream(request(), None)]) == 1


WAITS = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.01)\n"


async def test_a_turn_waits_for_what_becomes_of_a_plugin_that_is_replaced(tmp_path: Path) -> None:
    go = tmp_path / "code" / "go"
    launch = write_plugin(tmp_path / "code", WAITS + EVERYTHING)
    go.touch()
    manifest = await describe_process(launch)
    go.unlink()
    registry = registry_of(tmp_path, manifest)
    states: list[str] = []
    registry.subscribe(lambda: states.append(registry.handle("everything").state))

    async def last_event() -> object:
        return [event async for event in Turn(registry, request()).events()][-1]

    turn = asyncio.ensure_future(last_event())
    await until(lambda: registry.handle("everything")._loading)
    replacing = asyncio.ensure_future(registry.replace(manifest))
    await asyncio.sleep(0)  # its first step gives up what was being loaded
    go.touch()
    await replacing
    assert isinstance(await turn, TurnFinished)
    assert "auto_disabled" not in states
    await registry.aclose()


SLOW_END = """
import asyncio
from jackfield import *

class Slow(Provider):
    name = "echo"
    title = "Echo"
    known_models = (Model("one"),)

    async def stream(self, request, credential):
        yield Started("1", request.model)
        try:
            await asyncio.sleep(600)
        finally:
            await asyncio.sleep(0.01)

class SlowEnd(Plugin):
    name = "slow-end"
    version = "1.0"

    def providers(self):
        return [Slow()]
"""


async def test_an_answer_that_takes_a_moment_to_end_says_that_its_plugin_was_switched_off(
    tmp_path: Path,
) -> None:
    registry = registry_of(tmp_path, await describe_process(write_plugin(tmp_path, SLOW_END)))
    provider = await registry.provider("echo")
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in provider.stream(request(), None):
            begun.set()

    reading = asyncio.ensure_future(read())
    await begun.wait()
    await registry.disable("slow-end")
    with pytest.raises(ProviderError, match="was switched off while it answered"):
        await reading
    await registry.aclose()


async def test_what_is_stopped_before_there_is_a_process_ends_at_once(tmp_path: Path) -> None:
    looked_at = threading.Event()

    def look() -> None:
        assert looked_at.wait(30)

    opening = Opening(lambda _: None, may_start=look)
    peer = Peer(write_plugin(tmp_path, MINIMAL), opening, app_version="1")
    peer.start()
    peer.stop()
    looked_at.set()
    await asyncio.wait_for(asyncio.wrap_future(peer.gone), PATIENT.stop_s / 2)
