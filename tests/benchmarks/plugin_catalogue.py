"""What a large marketplace costs: from a key to the repainted list, and to open the screen."""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from textual import events

from registry.config import load_config
from registry.marketplace.catalogue_index import load_index
from registry.marketplace.publishing.build import DRAFT
from registry.marketplace.publishing.keys import create_keys
from registry.marketplace.publishing.sign import sign
from registry.marketplace.repository import CATALOGUE, Marketplace, zipped
from registry.marketplace.sources import add_source, cache_folder, find_source
from registry.paths import Paths, find_paths
from tests.benchmarks.table import Row
from tests.registry.marketplace.many import many_plugins
from tests.registry.marketplace.site import yes
from tui.app import JackfieldApp
from tui.screens.marketplace import MarketplaceScreen

TYPED = ("trans mem", "secret", "rdct", "voice pro", "x", "ca to bu", "translate")
"""What is typed, letter by letter, and then deleted again."""
KEY_BUDGET_MS = 50.0
OPEN_BUDGET_MS = 150.0
LIMIT_S = 30.0


async def _stocked(folder: Path, count: int) -> Paths:
    """A home that added a marketplace of so many plugins and fetched its catalogue."""
    home = folder / f"home-{count}"
    paths = Paths(home / "config", home / "data", home / "cache")
    site = folder / f"site-{count}"
    (site / DRAFT).mkdir(parents=True)
    (site / DRAFT / CATALOGUE).write_bytes(zipped(many_plugins(count).model_dump_json().encode()))
    sign(site, create_keys(folder / f"keys-{count}", None))
    await add_source(paths, str(site), name="official", confirm=yes)
    await Marketplace(find_source(paths, "official"), paths).refresh()
    return paths


@asynccontextmanager
async def _opened(paths: Paths) -> AsyncIterator[tuple[JackfieldApp, MarketplaceScreen, float]]:
    """The app with the screen open, and how many milliseconds that took until everything was listed."""
    app = JackfieldApp(paths, plugins_off=True, config=load_config(paths), when_started=gc.freeze)
    app.animation_level = "none"
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await app.host.ready.wait()
        screen = MarketplaceScreen(app.host.storefront)
        begun = time.perf_counter()
        await app.push_screen(screen)
        async with asyncio.timeout(LIMIT_S):
            while not (app.host.storefront.loaded and screen.is_attached):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.001)
        drawn = asyncio.Event()
        screen.call_after_refresh(drawn.set)
        await drawn.wait()
        yield app, screen, (time.perf_counter() - begun) * 1000


async def _key_times(paths: Paths) -> list[float]:
    """Milliseconds from each key to the repaint that shows what it found."""
    times: list[float] = []
    async with _opened(paths) as (app, screen, _):
        screen.action_search()
        await asyncio.sleep(0)
        listed, painted = asyncio.Event(), asyncio.Event()
        whole_list, display = screen._list, app._display

        def listing(*given: Any, **named: Any) -> None:
            whole_list(*given, **named)
            listed.set()

        def displaying(*given: Any) -> None:
            display(*given)
            if listed.is_set():
                painted.set()

        with patch.object(screen, "_list", listing), patch.object(app, "_display", displaying):
            for key in _keys():
                gc.collect(0)
                listed.clear()
                painted.clear()
                begun = time.perf_counter()
                app.post_message(key())
                async with asyncio.timeout(LIMIT_S):
                    await painted.wait()
                times.append((time.perf_counter() - begun) * 1000)
    return times


def _keys() -> list[Any]:
    def letter(character: str) -> Any:
        name = "space" if character == " " else character
        return lambda: events.Key(name, character)

    keys: list[Any] = []
    for text in TYPED:
        keys += [letter(character) for character in text]
        keys += [lambda: events.Key("backspace", "\x7f")] * len(text)
    return keys


async def _open_ms(paths: Paths) -> float:
    async with _opened(paths) as (_, _, taken):
        return taken


def _load_ms(paths: Paths) -> float:
    begun = time.perf_counter()
    load_index(paths)
    return (time.perf_counter() - begun) * 1000


def _p95(rounds: list[list[float]]) -> float:
    """Over all keys, of the least that each took: another program's turn is no cost of ours."""
    least = [min(times) for times in zip(*rounds, strict=True)]
    return float(statistics.quantiles(least, n=20)[-1])


async def _refresh_row(paths: Paths, count: int) -> Row:
    """What a refresh transfers when there is nothing new."""
    marketplace = Marketplace(find_source(paths, "official"), paths)
    await marketplace.refresh()
    asked = [url.removeprefix(marketplace.source.url) for url in marketplace.requests]
    came = [name for name in asked if not name.endswith(".root.json")]  # the next root, which is not there
    catalogue = next(cache_folder(paths, "official").glob("catalogue-*.json.gz")).stat().st_size
    return Row(
        f"{count} plugins, a refresh without news: files that are transferred",
        len(came),
        1,
        unit=" ",
        detail=f"{', '.join(came)}: {marketplace.received} bytes; the whole catalogue has {catalogue:,}",
    )


def rows(quick: bool) -> Iterator[Row]:
    """The cost of ten thousand plugins."""
    few, many = 100, 1000 if quick else 10_000
    rounds = 1 if quick else 3
    with tempfile.TemporaryDirectory(prefix="jackfield-benchmark-") as made:
        folder = Path(made)
        with patch.dict(os.environ, {"JACKFIELD_HOME": str(folder / "home-0")}):
            empty = find_paths()
            small, large = (asyncio.run(_stocked(folder, count)) for count in (few, many))
            keys: dict[int, list[list[float]]] = {few: [], many: []}
            opened: dict[int, list[float]] = {0: [], many: []}
            for _ in range(rounds):
                keys[few].append(asyncio.run(_key_times(small)))
                keys[many].append(asyncio.run(_key_times(large)))
                opened[0].append(asyncio.run(_open_ms(empty)))
                opened[many].append(asyncio.run(_open_ms(large)))
            loads = [_load_ms(large) for _ in range(rounds)]
            refresh = asyncio.run(_refresh_row(large, many))
    one, other = _p95(keys[many]), _p95(keys[few])
    detail = f"p95 {one:.1f} ms against {other:.1f} ms"
    yield Row(f"{many} plugins: a key to the repainted list", one, KEY_BUDGET_MS, unit="ms", detail=detail)
    yield Row(
        f"{many} plugins against {few}: a key to the repainted list", one / other, 3.0, 1.3, detail=detail
    )
    least, bare = min(opened[many]), min(opened[0])
    detail = f"{least:.0f} ms against {bare:.0f} ms, of which {min(loads):.0f} ms to read the rows"
    yield Row(
        f"{many} plugins: ms that opening the screen takes longer than when it is empty",
        least - bare,
        OPEN_BUDGET_MS,
        unit="ms",
        detail=detail,
    )
    yield refresh
