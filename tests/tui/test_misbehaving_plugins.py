"""While a plugin in a process of its own misbehaves, the app goes on answering keys and the turn goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from registry.handle import PluginState
from registry.runtimes.process import describe_process
from screenshots.take import until
from tests.gaps import LongestGap, Pulse
from tests.processes import children
from tests.registry.runtimes.broken_messages import RAW
from tests.registry.runtimes.folders import QUICK, write_hook, write_plugin, write_raw
from tests.tui.apps import AppPilot, chatting, in_state, says, screen_text
from tui.app import JackfieldApp
from tui.states import TurnState

HOLDS_ON_S = 4.0
"""How long a plugin that hangs is waited for."""
ANSWERS_WITHIN_S = 1.5
"""Far more than the app takes, far less than a plugin that hangs is waited for: the machine may be busy."""

MISDEEDS = {
    "loops for ever": "while True: pass",
    "sleeps through its cancellation": "time.sleep(600)",
    "takes all memory": "hog = []\nwhile True: hog.append(bytearray(2**24))",
    "prints without end": "while True: os.write(1, b'x' * 99_999 + b'\\n')",
    "floods the error output": "while True: os.write(2, b'x' * 99_999 + b'\\n')",
    "forks": "for _ in range(40):\n    if os.fork() == 0: time.sleep(600)\ntime.sleep(600)",
    "exits": "os._exit(3)",
    "is killed": "os.kill(os.getpid(), signal.SIGKILL)",
}


async def typing_is_answered(app: JackfieldApp, pilot: AppPilot, busy: Callable[[], bool]) -> None:
    """Type while something is busy: each letter is there at once, and the loop is never held up for long."""
    typed = app.chat.composer.text
    with Pulse() as clock:
        async with LongestGap(clock) as gap:
            while busy() or clock() < 0.05:
                await pilot.press("k")
                typed += "k"
                assert app.chat.composer.text == typed
    assert gap.seconds < ANSWERS_WITHIN_S


@pytest.mark.parametrize("body", MISDEEDS.values(), ids=MISDEEDS.keys())
async def test_keys_are_answered_while_a_plugin_misbehaves(tmp_path: Path, body: str) -> None:
    manifest = await describe_process(
        write_hook(tmp_path / "plugin", body, replace(QUICK, hook_s=HOLDS_ON_S))
    )
    async with chatting(says("the answer")) as (app, pilot):
        app.host.registry.register_manifest(manifest, enabled=True)
        app.chat.send("a question")
        await typing_is_answered(app, pilot, lambda: app.chat.answering)
        await in_state(app, pilot, TurnState.READY)
        assert "the answer" in screen_text(app)
        assert app.host.registry.handle("hooked").reason.startswith("on_request")


async def test_keys_are_answered_whatever_messages_a_plugin_sends(tmp_path: Path) -> None:
    """Malformed, out of order, with wrong ids, of 100 MB: each in a turn of its own."""
    limits = replace(QUICK, hook_s=10.0)  # each of them ends by itself
    plugins = {fault: write_raw(tmp_path / str(n), RAW[fault][0], limits) for n, fault in enumerate(RAW)}
    manifest = await describe_process(next(iter(plugins.values())))  # they all say the same of themselves
    async with chatting(says("the answer")) as (app, pilot):
        registry = app.host.registry
        for number, (fault, launch) in enumerate(plugins.items()):
            registry.register_manifest(replace(manifest, launch=launch), enabled=True)
            app.chat.send(f"question {number}")
            await typing_is_answered(app, pilot, lambda: app.chat.answering)
            await in_state(app, pilot, TurnState.READY)
            assert screen_text(app).count("the answer") >= 1, fault
            await registry.unregister("raw")


async def test_keys_are_answered_while_each_turn_waits_for_a_loop_of_300_ms(tmp_path: Path) -> None:
    body = "end = time.monotonic() + 0.3\nwhile time.monotonic() < end: pass\nrequest.system = 'looped'"
    manifest = await describe_process(write_hook(tmp_path / "plugin", body))
    async with chatting(says("the answer")) as (app, pilot):
        app.host.registry.register_manifest(manifest, enabled=True)
        app.chat.send("a question")
        await typing_is_answered(app, pilot, lambda: app.chat.answering)
        await in_state(app, pilot, TurnState.READY)
        assert "the answer" in screen_text(app)
        assert app.host.registry.handle("hooked").reason == ""


async def test_keys_are_answered_while_a_plugin_that_does_not_want_to_end_is_switched_off(
    tmp_path: Path,
) -> None:
    code = """
        import threading, time
        from jackfield import *
        class Stays(Plugin):
            name = "stays"
            version = "1.0"
            async def on_request(self, request):
                lock = threading.Lock()
                lock.acquire()
                threading.Thread(target=lock.acquire).start()
            def on_init(self, ctx):
                ctx.on_close(lambda: time.sleep(600))
    """
    manifest = await describe_process(write_plugin(tmp_path / "plugin", code, QUICK))
    async with chatting(says("the answer")) as (app, pilot):
        app.host.registry.register_manifest(manifest, enabled=True)
        app.chat.send("a question")
        await until(pilot, lambda: not app.chat.answering)
        before = children()
        off = asyncio.create_task(app.host.registry.disable("stays"))
        await typing_is_answered(app, pilot, lambda: not off.done())
        await until(pilot, lambda: len(children()) == len(before) - 2)  # it, and who watched over it


async def test_keys_are_answered_while_one_that_says_something_new_of_itself_is_switched_off(
    tmp_path: Path,
) -> None:
    answers = "send(id=message['id'], result=None)"
    manifest = await describe_process(write_raw(tmp_path / "plugin", answers))
    write_raw(tmp_path / "plugin", answers, capabilities={"hosts": ["evil.example"]})
    async with chatting(says("the answer")) as (app, pilot):
        app.host.registry.register_manifest(manifest, enabled=True)
        app.chat.send("a question")
        await typing_is_answered(app, pilot, lambda: app.chat.answering)
        await in_state(app, pilot, TurnState.READY)
        handle = app.host.registry.handle("raw")
        assert handle.state is PluginState.AUTO_DISABLED
        assert "capabilities" in handle.reason
        assert "the answer" in screen_text(app)
