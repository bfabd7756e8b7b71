"""The app under test, with models that do what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from unittest.mock import patch

from textual.app import App
from textual.pilot import Pilot

from jackfield import ChatRequest, Finished, Started, StreamEvent, TextDelta, Usage
from registry.config import load_config
from registry.paths import Paths, find_paths
from registry.startup import find_manifests
from screenshots import take
from screenshots.scripted import Script, with_stand_in
from screenshots.take import until
from tui.app import JackfieldApp
from tui.states import TurnState
from tui.widgets.row_list import RowList

AppPilot: TypeAlias = Pilot[None]
_described: list[bytes] = []


@asynccontextmanager
async def chatting(
    script: Script,
    *,
    size: tuple[int, int] = (80, 24),
    plugins_off: bool = False,
    ready: bool = True,
    linked: str | None = None,
) -> AsyncIterator[tuple[JackfieldApp, AppPilot]]:
    """The app with a scripted model in the place of the embedded one; `ready` waits until it can answer."""
    paths = find_paths()
    app = JackfieldApp(paths, plugins_off=plugins_off, config=load_config(paths), linked=linked)
    app.animation_level = "none"
    manifests = with_stand_in(_find_manifests(paths), script)
    with patch("tui.host.find_manifests", return_value=manifests):
        async with app.run_test(size=size, notifications=True) as pilot:
            if ready:
                await in_state(app, pilot, TurnState.READY)
            yield app, pilot


def _find_manifests(paths: Paths) -> list[dict[str, Any]]:
    """What is installed. Describing it takes half a second, so the first home's cache serves all homes."""
    cache = paths.cache / "manifests.json"
    if _described and not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_bytes(_described[0])  # the app checks it, as any cache
    found = find_manifests(paths)
    _described[:] = [cache.read_bytes()]
    return found


async def in_state(app: JackfieldApp, pilot: AppPilot, state: TurnState) -> None:
    """Wait until the status line says so."""
    await until(pilot, lambda: app.chat.status.state is state)


async def ask(app: JackfieldApp, pilot: AppPilot, prompt: str, *, then: TurnState = TurnState.READY) -> None:
    """Type a prompt, send it, and wait for what becomes of it."""
    await take.ask(pilot, prompt, then)


def is_on(plugin: str) -> bool:
    """Whether the configuration says so; a switch is written down after it is made."""
    written = load_config(find_paths()).settings.plugins.get(plugin)
    return written is not None and written.enabled is True


def toasts(app: JackfieldApp) -> str:
    """All short messages that were shown."""
    return "\n".join(notification.message for notification in app._notifications)


def key_below_cursor(app: JackfieldApp) -> str | None:
    """What the cursor of the screen's list stands on; None while there is no list, or nothing in it."""
    return next((rows.key for rows in app.screen.query(RowList)), None)


def screen_text(app: App[None]) -> str:
    """What the screen shows, as lines of text."""
    width, height = app.size
    lines = app.screen._compositor.render_strips(app.size)
    return "\n".join(strip.text[:width] for strip in lines[:height])


def says(*words: str) -> Script:
    """A model that says these words, whatever it is asked."""

    async def script(_: ChatRequest) -> AsyncIterator[StreamEvent]:
        yield Started()
        for word in words:
            yield TextDelta(word)
        yield Finished(usage=Usage(input=3, output=len(words)))

    return script


def gated(gate: asyncio.Event, *words: str) -> Script:
    """A model that says its words and ends once the gate is open."""

    async def script(_: ChatRequest) -> AsyncIterator[StreamEvent]:
        yield Started()
        for word in words:
            yield TextDelta(word)
        await gate.wait()
        yield Finished()

    return script


def raises(error: Exception, *words: str) -> Script:
    """A model that fails, after these words."""

    async def script(_: ChatRequest) -> AsyncIterator[StreamEvent]:
        for word in words:
            yield TextDelta(word)
        raise error

    return script


def in_turn(*scripts: Script) -> Script:
    """A model that does one thing after the other, a script a request."""
    left = list(scripts)
    asked: Callable[[], Script] = lambda: left.pop(0) if len(left) > 1 else left[0]  # noqa: E731

    def script(request: ChatRequest) -> AsyncIterator[StreamEvent]:
        return asked()(request)

    return script
