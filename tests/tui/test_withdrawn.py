"""What a marketplace withdraws is switched off though nobody looks at the marketplace."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from registry.config import update_config
from registry.marketplace.repository import Marketplace
from registry.marketplace.sources import cache_folder, find_source
from registry.paths import find_paths
from registry.states import PluginState
from screenshots.take import until
from tests.registry.marketplace.machines import Machine, make_rules
from tests.registry.marketplace.site import Site, added
from tests.tui.apps import chatting, says, toasts
from tests.tui.marketplaces import SHOUT, find, open_market, shows, site_at


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_at(tmp_path, SHOUT)


async def has_installed(site: Site) -> Marketplace:
    """This home has the plugin, and it is on."""
    paths = find_paths()
    here = Machine(paths, await added(paths, site), make_rules())
    await here.install()
    update_config(paths, {("plugins", "shout", "enabled"): True})
    return here.marketplace


def was_asked(age: timedelta) -> None:
    """The marketplace was last asked so long ago."""
    file = cache_folder(find_paths(), "official") / "state.json"
    state = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**state, "checked_at": (datetime.now(UTC) - age).isoformat()}), "utf-8")


async def test_the_app_asks_once_a_day_and_switches_off_what_was_withdrawn(site: Site) -> None:
    await has_installed(site)
    site.revoke("acme/shout", "1.0.0", reason="It leaks [bold]keys.")
    await site.publish()
    was_asked(timedelta(days=2))
    async with chatting(says("hello")) as (app, pilot):
        await until(pilot, lambda: app.host.registry.handle("shout").state is PluginState.REVOKED, limit_s=15)
        await until(pilot, lambda: "acme/shout 1.0.0: It leaks [bold]keys." in toasts(app))
        assert "shout" not in [command.name for command in app.host.registry.commands()]


async def test_what_a_refresh_by_hand_finds_withdrawn_is_told_too(site: Site) -> None:
    await has_installed(site)
    async with chatting(says("hello")) as (app, pilot):
        await open_market(app, pilot)
        site.revoke("acme/shout", "1.0.0", reason="It leaks keys.")
        await site.publish()
        await pilot.press("r")
        await until(pilot, lambda: "acme/shout 1.0.0: It leaks keys." in toasts(app))
        assert app.host.registry.handle("shout").state is PluginState.REVOKED


async def test_what_a_marketplace_warns_of_stays_on_and_is_told(site: Site) -> None:
    await has_installed(site)
    async with chatting(says("hello")) as (app, pilot):
        await open_market(app, pilot)
        site.revoke("acme/shout", "1.0.0", severity="warn", reason="It loses [b]lines.\x1b[2J")
        await site.publish()
        await pilot.press("r")
        await until(pilot, lambda: "acme/shout 1.0.0: It loses [b]lines." in toasts(app))
        assert "it stays as it is" in [note.title for note in app._notifications][-1]
        assert app.host.registry.handle("shout").contributes
        await find(app, pilot, "shou", "acme/shout")
        await shows(app, pilot, "● on", "Its marketplace warns: It loses")


async def test_what_another_jackfield_installs_and_switches_is_followed(site: Site) -> None:
    await added(find_paths(), site)
    async with chatting(says("hello")) as (app, pilot):
        await open_market(app, pilot)
        await pilot.press("escape")
        here = Machine(
            find_paths(), Marketplace(find_source(find_paths(), "official"), find_paths()), make_rules()
        )
        await here.install()
        update_config(find_paths(), {("plugins", "shout", "enabled"): True})
        for key in ("f8", "f2"):
            await pilot.press(key)
            await until(
                pilot, lambda: [one for one in app.host.registry.commands() if one.name == "shout"] != []
            )
            await pilot.press("escape")
            update_config(find_paths(), {("plugins", "shout", "enabled"): False})
            await pilot.press(key)
            await until(
                pilot, lambda: [one for one in app.host.registry.commands() if one.name == "shout"] == []
            )
            await pilot.press("escape")
            update_config(find_paths(), {("plugins", "shout", "enabled"): True})


async def test_what_was_fetched_already_is_heeded_without_a_network(site: Site) -> None:
    marketplace = await has_installed(site)
    site.revoke("acme/shout", "1.0.0", reason="It leaks keys.")
    await site.publish()
    await marketplace.refresh()
    await asyncio.to_thread(shutil.rmtree, site.out)
    async with chatting(says("hello")) as (app, pilot):
        await until(pilot, lambda: app.host.registry.handle("shout").state is PluginState.REVOKED, limit_s=15)


async def test_a_marketplace_that_is_gone_costs_nothing(site: Site) -> None:
    await has_installed(site)
    was_asked(timedelta(days=2))
    await asyncio.to_thread(shutil.rmtree, site.out)
    async with chatting(says("hello")) as (app, pilot):
        await until(
            pilot, lambda: all(worker.is_finished for worker in app.workers if worker.group == "start")
        )
        assert app.host.registry.handle("shout").state is PluginState.ENABLED
        assert not toasts(app)
