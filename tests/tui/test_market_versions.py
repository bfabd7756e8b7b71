"""The versions of a plugin in the app: those that are kept, the newest one, and what became of an update."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from registry.handle import PluginHandle
from registry.paths import find_paths
from screenshots.take import until
from tests.registry.marketplace.machines import Machine, make_rules
from tests.registry.marketplace.site import Site, added, make_site
from tests.tui.apps import AppPilot, chatting, says, screen_text, toasts
from tests.tui.marketplaces import SHOUT, find, has_added, job_state, market, open_market, shows, top
from tui.app import JackfieldApp
from tui.market_facets import Facets
from tui.screens.marketplace_detail import MarketplaceDetailScreen
from tui.screens.plugins import PluginsScreen
from tui.widgets.plugin_pane import PluginPane

HELLO = says("Hello")
VERSIONS = ("1.0.0", "1.1.0", "2.0.0")


@pytest.fixture
async def site(tmp_path: Path) -> Site:
    """A marketplace with three versions of `acme/shout`; the first two were installed in turn."""
    site = await make_site(tmp_path, replace(SHOUT, versions=VERSIONS))
    here = Machine(find_paths(), await added(find_paths(), site), make_rules())
    for version in VERSIONS[:2]:
        await here.install(version)
    return site


def current(app: JackfieldApp) -> str:
    return app.host.installer.installed()["acme/shout"].current.version


async def open_versions(app: JackfieldApp, pilot: AppPilot) -> None:
    await open_market(app, pilot)
    await find(app, pilot, "shou", "acme/shout")
    await pilot.press("enter")
    if not app.screen.query(PluginPane) or not app.screen.query_one(PluginPane).has_focus_within:
        await top(app, pilot, MarketplaceDetailScreen)  # there is no room beside the list
    await shows(app, pilot, "It says everything again.")
    await pilot.press("right", "right")
    await shows(app, pilot, "2.0.0", "1.1.0", "1.0.0", "kept here")


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_the_version_under_the_cursor_is_had_by_a_key_that_is_named(
    site: Site, size: tuple[int, int]
) -> None:
    async with chatting(HELLO, size=size) as (app, pilot):
        await open_versions(app, pilot)
        await pilot.press("end")
        await shows(app, pilot, "⏎ This version", "z Roll back")
        await pilot.press("enter")
        await until(pilot, lambda: "is now 1.0.0" in toasts(app))
        await shows(app, pilot, "1.1.0")
        assert current(app) == "1.0.0"
        await until(
            pilot, lambda: "This version" not in screen_text(app), limit_s=15
        )  # it is the current one
        assert "Roll back" not in screen_text(app), "1.1.0 is kept, but going there is not going back"
        await pilot.press("home")
        await shows(app, pilot, "⏎ This version", "u Update")
        await pilot.press("enter")
        await until(pilot, lambda: job_state(app, "acme/shout")() == "done")
        assert current(app) == "2.0.0"
        await shows(app, pilot, "z Roll back")


async def test_what_is_up_to_date_leaves_the_list_of_updates_with_a_word(site: Site) -> None:
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        market(app)._use_facets(Facets(only=frozenset({"updates"})))
        await shows(app, pilot, "only has an update", "off ↑")
        await pilot.press("u")
        await until(pilot, lambda: job_state(app, "acme/shout")() == "done")
        await shows(app, pilot, "No plugin fits.")
        await until(pilot, lambda: "acme/shout is now 2.0.0" in toasts(app))
        await pilot.press("f", "c", "escape")
        await find(app, pilot, "shou", "acme/shout")
        assert toasts(app).count("acme/shout is now 2.0.0") == 1


@pytest.mark.parametrize("key", ["f2", "f8"])
async def test_a_second_press_while_the_first_is_at_work_undoes_it(key: str) -> None:
    await has_added(await make_site(find_paths().data.parent / "market", SHOUT))
    async with chatting(HELLO) as (app, pilot):
        handle = app.host.registry.handle("groq")
        gate, done = asyncio.Event(), list[bool]()
        switch = app.host.switch_plugin

        async def slowly(handle: PluginHandle, *, on: bool) -> None:
            await gate.wait()
            await switch(handle, on=on)
            done.append(on)

        app.host.switch_plugin = slowly  # type: ignore[method-assign]
        if key == "f8":
            await open_market(app, pilot)
            await find(app, pilot, "groq", "jackfield/groq")
        else:
            await pilot.press("f2")
            await top(app, pilot, PluginsScreen)
            await pilot.press("slash", *"groq", "enter")
        await pilot.press("space", "space")
        gate.set()
        await until(pilot, lambda: len(done) == 2)
        assert done == [True, False]
        assert not handle.contributes
