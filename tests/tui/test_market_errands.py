"""What goes on when the screen is left in the middle, and plugins whose marketplace is no longer known."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from registry.atomic import locked
from registry.config import update_config
from registry.marketplace import upkeep
from registry.marketplace.install import Installer
from registry.marketplace.installed import Plugins, installed_file, read_installed
from registry.marketplace.repository import Marketplace
from registry.marketplace.sources import find_source, remove_source
from registry.paths import find_paths
from screenshots.scripted import PolitePlugin
from screenshots.take import until
from tests.registry.marketplace.machines import Machine, make_rules
from tests.registry.marketplace.site import FakePlugin, Site, added, make_site
from tests.tui.apps import chatting, says, screen_text, toasts
from tests.tui.marketplaces import SHOUT, find, has_added, job_state, market, open_market, shows, top
from tui.market_pages import TABS
from tui.screens.chat import ChatScreen
from tui.screens.consent import ConsentScreen
from tui.screens.help import HelpScreen
from tui.screens.marketplace import MarketplaceScreen
from tui.screens.plugins import PluginsScreen
from tui.screens.remove_plugin import RemoveScreen

HELLO = says("Hello")


@pytest.fixture
async def site(tmp_path: Path) -> Site:
    """A marketplace with `acme/shout`."""
    return await make_site(tmp_path, SHOUT)


@pytest.fixture
async def installed(site: Site) -> Site:
    """The same; the plugin was installed from it."""
    await Machine(find_paths(), await added(find_paths(), site), make_rules()).install()
    return site


@asynccontextmanager
async def nothing_is_written() -> AsyncIterator[None]:
    """Nobody can change what is installed, as while another process does."""
    with locked(installed_file(find_paths()), 5.0):
        yield


async def test_a_removal_goes_on_when_the_screen_is_left(installed: Site) -> None:
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        async with nothing_is_written():
            await pilot.press("d")
            await top(app, pilot, RemoveScreen)
            await pilot.press("down", "enter")
            await until(pilot, lambda: app.host.storefront.is_busy("acme/shout"))
            assert "d Remove" not in screen_text(app), "it is being removed"
            await pilot.press("escape", "escape", "escape")
            await top(app, pilot, ChatScreen)
        await until(pilot, lambda: not app.host.storefront.is_busy("acme/shout"))
        assert not read_installed(find_paths())
        assert "shout" not in {handle.name for handle in app.host.registry.handles()}


async def test_the_end_of_the_app_does_not_wait_for_ever_for_a_removal(
    installed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.marketplace.ERRAND_LIMIT_S", 0.2)
    async with nothing_is_written():
        async with chatting(HELLO) as (app, pilot):
            await open_market(app, pilot)
            await find(app, pilot, "shou", "acme/shout")
            await pilot.press("d")
            await top(app, pilot, RemoveScreen)
            await pilot.press("down", "enter")
            await until(pilot, lambda: app.host.storefront.is_busy("acme/shout"))
        assert app.host.storefront.is_busy("acme/shout"), "the app has ended, and the other writer goes on"


async def test_what_goes_wrong_after_the_screen_was_left_is_told_in_the_chat(
    installed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.marketplace.installed.LOCK_LIMIT_S", 0.5)
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        async with nothing_is_written():
            await pilot.press("p", "escape", "escape", "escape")
            await top(app, pilot, ChatScreen)
            await until(pilot, lambda: bool(toasts(app)))
        assert not read_installed(find_paths())["acme/shout"].pinned


async def test_what_is_stopped_when_it_is_too_late_is_installed_and_said_to_be(site: Site) -> None:
    await has_added(site)
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        waits, change = threading.Event(), Installer._change

        def begin(*args: Any) -> Plugins:
            waits.set()
            return change(*args)

        async with nothing_is_written():
            with patch.object(Installer, "_change", begin):
                await pilot.press("i")
                await top(app, pilot, ConsentScreen)
                await pilot.press("y", "enter")
                await until(pilot, waits.is_set)
            job = next(iter(app.host.storefront.jobs.all()))
            await pilot.press("x")
            await asyncio.sleep(0.1)  # it waits for the other writer, and cannot be left halfway
            assert job.running
        await until(pilot, lambda: job_state(app, "acme/shout")() == "done")
        await shows(app, pilot, "installed and off")
        assert app.host.registry.handle("shout").manifest.version == "1.0.0"


async def test_a_plugin_whose_marketplace_was_removed_is_what_it_was(installed: Site) -> None:
    remove_source(find_paths(), "official")
    async with chatting(HELLO, size=(160, 50)) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        await shows(app, pilot, "from a marketplace that is no longer known", "p Pin", "d Remove")
        assert "i Install" not in screen_text(app)
        await pilot.press("right")
        await shows(app, pilot, "calls api.acme.example  declared", "a process of its own", "You agreed to")
        assert "part of Jackfield" not in screen_text(app)
        await pilot.press("right")
        await shows(app, pilot, "1.0.0", "current")
        await pilot.press("right")
        await shows(app, pilot, "no longer known, and what it said of changes")
        await pilot.press("d")
        await top(app, pilot, RemoveScreen)
        await pilot.press("down", "enter")
        await until(pilot, lambda: not read_installed(find_paths()))
        await until(pilot, lambda: "shout" not in {each.name for each in app.host.registry.handles()})


async def test_a_command_that_another_plugin_answers_is_not_promised(tmp_path: Path) -> None:
    site = await make_site(tmp_path, FakePlugin("acme/aid", command="help"))
    await Machine(find_paths(), await added(find_paths(), site), make_rules()).install(plugin_id="acme/aid")
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "aid", "acme/aid")
        await pilot.press("space")
        await until(pilot, lambda: app.host.registry.handle("aid").contributes)
        await pilot.press("escape", "escape", "f2")
        await top(app, pilot, PluginsScreen)
        await pilot.press("slash", *"aid", "enter")
        await shows(app, pilot, "/help is answered by commands, which")


async def test_a_pinned_plugin_is_seen_to_be_pinned(installed: Site) -> None:
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        await pilot.press("p")
        await shows(app, pilot, "○ off pinned", "p Unpin")
        await pilot.press("p")
        await shows(app, pilot, "p Pin")
        assert "pinned" not in screen_text(app)
        assert not read_installed(find_paths())["acme/shout"].pinned


async def test_a_package_beside_the_app_is_not_said_to_be_a_part_of_it() -> None:
    async with chatting(HELLO, size=(160, 50)) as (app, pilot):
        app.host.registry.register(PolitePlugin(), enabled=False)
        await open_market(app, pilot)
        await find(app, pilot, "polite", "/polite")
        await shows(app, pilot, "by unknown, in the app's process")
        await pilot.press("right")
        await shows(app, pilot, "It runs in the app's own process")
        assert "part of Jackfield" not in screen_text(app)


async def test_who_went_back_to_the_chat_is_told_how_an_installation_ended(site: Site) -> None:
    await has_added(site)
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        async with nothing_is_written():
            await pilot.press("i")
            await top(app, pilot, ConsentScreen)
            await pilot.press("y", "enter", "escape", "escape")
            await top(app, pilot, ChatScreen)
        await until(pilot, lambda: "acme/shout 1.0.0 is installed and off" in toasts(app))


async def test_a_failure_behind_the_chat_is_told_with_its_reason(tmp_path: Path) -> None:
    site = await make_site(tmp_path, SHOUT)
    await has_added(site)
    (wheel,) = (site.out / "files").rglob("*.whl")
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        wheel.unlink()
        await pilot.press("i")
        await top(app, pilot, ConsentScreen)
        while not isinstance(app.screen, ChatScreen):
            app.pop_screen()
        app.host.storefront.jobs.answer(next(iter(app.host.storefront.jobs.all())), agreed=True)
        await until(pilot, lambda: "acme/shout was not installed" in toasts(app))


async def test_the_open_chat_follows_what_the_command_line_does(installed: Site) -> None:
    paths = find_paths()
    async with chatting(HELLO) as (app, pilot):

        def commands() -> set[str]:
            return {command.name for command in app.host.registry.commands()}

        await until(pilot, lambda: "shout" in {handle.name for handle in app.host.registry.handles()})
        update_config(paths, {("plugins", "shout", "enabled"): True})  # as `plugins enable` writes it
        await until(pilot, lambda: "shout" in commands())
        update_config(paths, {("plugins", "shout", "enabled"): False})
        await until(pilot, lambda: "shout" not in commands())
        here = Machine(paths, Marketplace(find_source(paths, "official"), paths), make_rules())
        await upkeep.remove(here.installer, "acme/shout", data=True, secrets=True)
        await until(pilot, lambda: "shout" not in {each.name for each in app.host.registry.handles()})


async def test_a_marketplace_that_the_command_line_removes_is_gone_from_the_list(installed: Site) -> None:
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        await pilot.press("enter")
        await shows(app, pilot, "from official")
        remove_source(find_paths(), "official")
        await until(pilot, lambda: not app.host.storefront.sources)
        await pilot.press("escape")
        await top(app, pilot, MarketplaceScreen)
        await until(pilot, lambda: market(app).plugins.key == ":acme/shout")


async def test_a_screen_that_lies_below_another_comes_up_again(installed: Site) -> None:
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await pilot.press("f2")
        await top(app, pilot, PluginsScreen)
        await pilot.press("f8")
        await top(app, pilot, MarketplaceScreen)
        await pilot.press("f2")
        await top(app, pilot, PluginsScreen)
        await until(pilot, lambda: "anthropic" in screen_text(app))
        app.screen.post_message(PluginsScreen.MarketAsked("shout"))
        await top(app, pilot, MarketplaceScreen)
        await until(pilot, lambda: (market(app).plugins.key or "").endswith("acme/shout"))
        await pilot.press("f1", "f8")
        assert isinstance(app.screen, HelpScreen), "a dialog is not taken away from below the keys"
        kinds = [type(screen) for screen in app.screen_stack]
        assert len(kinds) == len(set(kinds))


async def test_the_page_that_is_shown_is_named_however_narrow_it_is(installed: Site) -> None:
    async with chatting(HELLO, size=(40, 24)) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        await pilot.press("enter")
        for page in [*TABS[1:], TABS[0]]:
            await pilot.press("right")
            await shows(app, pilot, page)
