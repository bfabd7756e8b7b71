"""While a plugin in a process of its own misbehaves, the app goes on answering keys and the turn goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from registry.runtimes.process import describe_process
from tests.registry.runtimes.folders import QUICK, write_hook
from tests.tui.apps import chatting, in_state, says, screen_text
from tui.states import TurnState

ANSWERS_WITHIN_S = 0.5
"""Far more than the app takes, far less than any of these plugins holds on: the machine may be busy."""

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


@asynccontextmanager
async def ticking() -> AsyncIterator[list[float]]:
    """How long the app's loop left a task that is always due waiting, in seconds, each time."""
    gaps: list[float] = []

    async def tick() -> None:
        while True:
            due = time.monotonic() + 0.005
            await asyncio.sleep(0.005)
            gaps.append(time.monotonic() - due)

    task = asyncio.create_task(tick())
    try:
        yield gaps
    finally:
        task.cancel()


@pytest.mark.parametrize("body", MISDEEDS.values(), ids=MISDEEDS.keys())
async def test_keys_are_answered_while_a_plugin_misbehaves(tmp_path: Path, body: str) -> None:
    manifest = await describe_process(write_hook(tmp_path / "plugin", body, QUICK))
    async with chatting(says("the answer")) as (app, pilot):
        app.host.registry.register_manifest(manifest, enabled=True)
        app.chat.send("a question")
        async with ticking() as gaps:
            typed = ""
            while app.chat.answering or not typed:
                await pilot.press("k")
                typed += "k"
                assert app.chat.composer.text == typed
        await in_state(app, pilot, TurnState.READY)
        assert "the answer" in screen_text(app)
        assert max(gaps) < ANSWERS_WITHIN_S
        assert app.host.registry.handle("hooked").reason.startswith("on_request")
