"""What switching a plugin takes: from the key to the answers of the registry and the repainted list."""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from textual import events

from registry.config import load_config
from registry.paths import find_paths
from registry.registry import PluginRegistry
from tests.benchmarks.table import Row
from tui.app import JackfieldApp
from tui.screens.plugins import PluginsScreen

PLUGIN = "anthropic"
"""One that is part of the app, has a provider, and is off until somebody wants it."""
BUDGET_MS = 50.0
LIMIT_S = 30.0


async def _toggle_times(times: int) -> list[tuple[float, float]]:
    """Milliseconds of each switch to its effect and to the repainted list, on and off by turns."""
    paths = find_paths()
    app = JackfieldApp(paths, plugins_off=False, config=load_config(paths), when_started=gc.freeze)
    app.animation_level = "none"
    async with app.run_test(size=(120, 40)) as pilot:
        await app.host.ready.wait()
        screen = PluginsScreen(app.host)
        await app.push_screen(screen)
        await pilot.press("slash", *PLUGIN, "enter")
        await pilot.pause()
        assert (screen.rows.key or "").endswith(f":{PLUGIN}"), "it does not stand under the cursor"
        taken = []
        for _ in range(times + 1):
            await pilot.pause()  # what the switch before has left to draw is no part of this one
            taken.append(await _toggle(app))
        return taken[1:]  # the first also loads what writes the configuration


async def _toggle(app: JackfieldApp) -> tuple[float, float]:
    registry, display = app.host.registry, app._display
    painted = asyncio.Event()
    was_on = _answers(registry)
    effective: list[float] = []
    begun = 0.0

    def note() -> None:
        if not effective and _answers(registry) is not was_on:
            effective.append((time.perf_counter() - begun) * 1000)

    def displaying(*given: Any) -> None:
        display(*given)
        if _answers(registry) is not was_on:
            painted.set()

    end = registry.subscribe(note)
    with patch.object(app, "_display", displaying):
        begun = time.perf_counter()
        app.post_message(events.Key("space", " "))
        async with asyncio.timeout(LIMIT_S):
            await painted.wait()
        taken = (time.perf_counter() - begun) * 1000
    end()
    for worker in [worker for worker in app.workers if worker.group == "switch"]:
        async with asyncio.timeout(LIMIT_S):
            await worker.wait()
    if not was_on:
        await registry.plugin(registry.handle(PLUGIN))  # so that switching it off has something to close
    return effective[0], taken


def _answers(registry: PluginRegistry) -> bool:
    """Whether its provider is among those that can be chosen."""
    return any(entry.name == PLUGIN for entry in registry.providers())


def rows(quick: bool) -> Iterator[Row]:
    """One row."""
    with (
        tempfile.TemporaryDirectory(prefix="jackfield-benchmark-") as home,
        patch.dict(os.environ, {"JACKFIELD_HOME": str(Path(home))}),
    ):
        times = asyncio.run(_toggle_times(4 if quick else 40))
    effects, paints = ([pair[index] for pair in times] for index in (0, 1))
    p95, painted = statistics.quantiles(effects, n=20)[-1], statistics.median(paints)
    yield Row(
        "switching a built-in plugin: from the key to the answers of the registry, p95",
        p95,
        BUDGET_MS,
        unit="ms",
        detail=f"median {statistics.median(effects):.1f} ms; to the repainted list {painted:.1f} ms",
    )
