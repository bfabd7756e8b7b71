"""The marketplace in the app: from nothing to a plugin that is used, updated, gone back from and removed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.widgets import Input

from registry.marketplace.entry import Details
from registry.marketplace.finding import find_plugin
from registry.marketplace.repository import Marketplace
from registry.paths import find_paths
from registry.states import PluginState
from screenshots.take import until
from tests.registry.marketplace.site import FakePlugin, Site, make_site
from tests.tui.apps import chatting, is_on, says, screen_text, toasts
from tests.tui.marketplaces import (
    FUTURE,
    SHOUT,
    WHISPER,
    find,
    has_added,
    job_state,
    market,
    open_market,
    shows,
    site_at,
    top,
)
from tui.market_facets import Facets
from tui.market_pages import TABS
from tui.screens.chat import ChatScreen
from tui.screens.consent import ConsentScreen
from tui.screens.marketplace import MarketplaceScreen
from tui.screens.marketplace_detail import MarketplaceDetailScreen
from tui.screens.remove_plugin import RemoveScreen

HELLO = says("Hello")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return site_at(tmp_path_factory.mktemp("market"), SHOUT, WHISPER, FUTURE)


async def test_from_nothing_to_a_plugin_that_is_used_updated_rolled_back_and_removed(tmp_path: Path) -> None:
    site = await make_site(tmp_path, SHOUT, WHISPER)
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await shows(app, pilot, "No marketplace yet", "a adds one")

        await pilot.press("a")
        await until(pilot, lambda: app.focused is not None)
        await pilot.press(*site.url, "enter")
        await shows(app, pilot, "Fingerprint", "1 of 1 must sign", "Valid until", "y agrees")
        assert not app.host.storefront.sources
        await pilot.press("y")
        await top(app, pilot, MarketplaceScreen)
        await until(pilot, lambda: bool(app.host.storefront.index.shelves))

        await find(app, pilot, "shou", "acme/shout")
        await pilot.press("enter")
        await top(app, pilot, MarketplaceDetailScreen)
        await shows(app, pilot, "It says everything again.", "not checked")
        await pilot.press("right")
        await shows(app, pilot, "calls api.acme.example", "declared", "nothing yet")
        await pilot.press("i")
        await top(app, pilot, ConsentScreen)
        await shows(app, pilot, "adds the command /shout", "nothing enforces them")
        await pilot.press("y", "enter")
        await shows(app, pilot, "installed and off", "Space switches it on")
        handle = app.host.registry.handle("shout")
        assert handle.state is PluginState.INSTALLED

        await pilot.press("space")
        await shows(app, pilot, "shout is on. Try /shout")
        await until(pilot, lambda: is_on("shout"))
        await pilot.press("escape", "escape", "escape")
        await top(app, pilot, ChatScreen)
        await pilot.press(*"/shout hey", "enter")
        await shows(app, pilot, "hey from shout 1.0.0")

        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        await pilot.press("enter", "left")
        await shows(app, pilot, "ms at its last start", "no hook on requests")
        await pilot.press("escape", "escape", "escape")
        await top(app, pilot, ChatScreen)
        site.put(replace(SHOUT, versions=("2.0.0",), environment=("ACME_TOKEN",)))
        await site.publish()
        await open_market(app, pilot)
        await pilot.press("r")
        await find(app, pilot, "shou", "acme/shout")
        await shows(app, pilot, "↑")
        await pilot.press("u")
        await top(app, pilot, ConsentScreen)
        await shows(
            app, pilot, "now asks for more than 1.0.0", "+ is given the environment variable ACME_TOKEN"
        )
        assert "calls api.acme.example" not in screen_text(app)
        await pilot.press("y", "enter")
        await until(
            pilot, lambda: handle.manifest.version == "2.0.0" and job_state(app, "acme/shout")() == "done"
        )
        assert handle.contributes
        await pilot.press("escape", "escape")
        await pilot.press(*"/shout hey", "enter")
        await shows(app, pilot, "hey from shout 2.0.0")

        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        await pilot.press("z")
        await until(pilot, lambda: "is now 1.0.0" in toasts(app))
        assert (handle.manifest.version, handle.contributes) == ("1.0.0", True)

        await pilot.press("space")
        await until(pilot, lambda: not handle.contributes)
        assert "shout" not in {command.name for command in app.host.registry.commands()}
        await pilot.press("d")
        await top(app, pilot, RemoveScreen)
        await pilot.press("down", "enter")
        await until(pilot, lambda: not app.host.storefront.installed)
        assert "shout" not in {handle.name for handle in app.host.registry.handles()}
        await shows(app, pilot, "available")


async def test_a_plugin_of_the_app_is_in_the_same_list_and_switched_there() -> None:
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "groq", "jackfield/groq")
        await pilot.press("space")
        await shows(app, pilot, "● on")
        assert "groq" in {entry.name for entry in app.host.registry.providers()}
        await pilot.press("space")
        await until(pilot, lambda: "groq" not in {entry.name for entry in app.host.registry.providers()})


async def test_details_stand_beside_the_list_where_there_is_room(site: Site) -> None:
    await has_added(site)
    async with chatting(HELLO, size=(160, 50)) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shuot", "acme/shout")
        await shows(app, pilot, "for shout", "··C· N··", "It says everything again.", "available")
        for text in ("calls api.acme.example", "1.0.0", "1.0.0 says it", "no other package", "not"):
            await pilot.press("right")
            await shows(app, pilot, text)
        await pilot.press("right", "enter")
        assert market(app).pane.has_focus_within
        await pilot.press("escape")
        assert market(app).plugins.has_focus


async def test_what_does_not_fit_this_machine_says_why_and_cannot_be_installed(site: Site) -> None:
    await has_added(site)
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "futu", "umbrella/future")
        await shows(app, pilot, "not for here", "It needs Jackfield 99.0 or newer.")
        await pilot.press("i")
        assert job_state(app, "umbrella/future")() == ""


async def test_the_answer_is_no_unless_yes_is_chosen(site: Site) -> None:
    await has_added(site)
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        await pilot.press("i")
        await top(app, pilot, ConsentScreen)
        await pilot.press("enter")
        await until(pilot, lambda: job_state(app, "acme/shout")() == "refused")
        assert not app.host.installer.installed()
        await shows(app, pilot, "not agreed", "You did not agree", "i tries again")
        await pilot.press("i")
        await top(app, pilot, ConsentScreen)


async def test_a_failure_stays_in_the_list_with_its_reason_and_is_tried_again(tmp_path: Path) -> None:
    site = await make_site(tmp_path, SHOUT)
    await has_added(site)
    (wheel,) = (site.out / "files").rglob("*.whl")
    good = wheel.read_bytes()
    wheel.write_bytes(good[:-1] + b"!")
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        await pilot.press("i")
        await top(app, pilot, ConsentScreen)
        await pilot.press("y", "enter")
        await shows(app, pilot, "✗ failed", "1 failed", "t tries again")
        await pilot.press("c")
        await until(pilot, lambda: "acme/shout 1.0.0" in app.clipboard)
        assert "failed" in app.clipboard
        assert "sha256" in app.clipboard
        await pilot.press("escape", "escape", "escape")
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        await shows(app, pilot, "✗ failed")
        wheel.write_bytes(good)
        await pilot.press("t")
        await top(app, pilot, ConsentScreen)
        await pilot.press("y", "enter")
        await shows(app, pilot, "installed and off")


async def test_a_young_version_waits_for_its_date_unless_the_user_does_not(tmp_path: Path) -> None:
    site = await make_site(tmp_path, SHOUT, age=timedelta(hours=1))
    await has_added(site)
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        await shows(app, pilot, "is too young until 2", "w Don't wait")
        await pilot.press("i")
        await until(pilot, lambda: job_state(app, "acme/shout")() == "too young")
        await shows(app, pilot, "■ too young", "is too young until 2", "w does not wait")
        await pilot.press("w")
        await top(app, pilot, ConsentScreen)
        await pilot.press("enter")
        await shows(app, pilot, "not agreed", "w tries again")
        await pilot.press("w")
        await top(app, pilot, ConsentScreen)
        await pilot.press("y", "enter")
        await shows(app, pilot, "installed and off")
        assert app.host.installer.installed()["acme/shout"].ignore_age


async def test_what_mends_a_hole_need_not_be_old_and_a_boundless_age_is_one_too(tmp_path: Path) -> None:
    whisper = replace(WHISPER, about={"security": ["1.0.0"]})
    site = await make_site(tmp_path, SHOUT, whisper, age=timedelta(hours=1))
    await has_added(site)
    find_paths().config_file.write_text("[marketplaces]\nmin_age_hours = 1e300\n", "utf-8")
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        await shows(app, pilot, "1.0.0 is too young until 20")
        await pilot.press("slash")
        await find(app, pilot, "whis", "acme/whisper")
        await shows(app, pilot, "Says it softly.", "i Install")
        assert "too young" not in screen_text(app)
        assert "w Don't wait" not in screen_text(app)


async def test_an_older_version_is_told_of_where_the_newest_is_too_young(tmp_path: Path) -> None:
    site = await make_site(tmp_path, SHOUT)
    site.put(replace(SHOUT, versions=("1.0.0", "1.1.0")))
    await site.publish(age=timedelta(hours=1))
    await has_added(site)
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        await shows(app, pilot, "1.1.0 is too young until", "i takes an older")
        await pilot.press("i")
        await top(app, pilot, ConsentScreen)
        await pilot.press("y", "enter")
        await shows(app, pilot, "installed and off")
        assert app.host.installer.installed()["acme/shout"].current.version == "1.0.0"


async def test_without_the_marketplace_its_age_is_shown_and_the_list_stays(tmp_path: Path) -> None:
    site = await make_site(tmp_path, SHOUT)
    await has_added(site)
    site.out.rename(tmp_path / "gone")
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await pilot.press("r")
        await shows(app, pilot, "official cannot be reached. What came just now is shown. r tries again.")
        await find(app, pilot, "shou", "acme/shout")


async def test_facets_narrow_the_list_at_once_and_are_told(site: Site) -> None:
    await has_added(site)
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        every = len(app.host.storefront.index)
        await pilot.press("f", "down", "down", "space", "escape")
        await shows(app, pilot, "only commands")
        shown = Facets(kinds=frozenset({"command"})).search(app.host.storefront.index, "")
        assert {row.name for row in shown} == {"commands", "shout", "whisper", "future"}
        await shows(app, pilot, f"4 of {every} plugins")
        await pilot.press("o")
        await shows(app, pilot, "by name")
        await pilot.press("f", "c", "escape")
        await shows(app, pilot, f"{every} plugins")


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("process", {"shout", "whisper", "future"}),
        ("installed", None),
        ("updates", set()),
    ],
)
async def test_each_facet_leaves_out_what_it_says(site: Site, choice: str, names: set[str] | None) -> None:
    await has_added(site)
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        index = app.host.storefront.index
        rows = Facets().toggled(choice).search(index, "")
        own = {row.name for row in index.rows if not row.marketplace}
        assert {row.name for row in rows} == (own if names is None else names)
        assert len(Facets().toggled("compatible").search(index, "")) == len(index) - 1


async def test_the_slash_command_opens_it() -> None:
    async with chatting(HELLO) as (app, pilot):
        await pilot.press(*"/marketplace", "enter")
        await top(app, pilot, MarketplaceScreen)


async def test_several_install_at_once_one_is_stopped_and_typing_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await has_added(site)
    gate = asyncio.Event()
    fetch = Marketplace.artefact

    async def slowly(*given: Any, **named: Any) -> Path:
        await gate.wait()
        return await fetch(*given, **named)

    monkeypatch.setattr(Marketplace, "artefact", slowly)
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        for name in ("shout", "whisper"):
            await find(app, pilot, name, f"acme/{name}")
            await pilot.press("i")
            await top(app, pilot, ConsentScreen)
            await pilot.press("y", "enter")
            state = job_state(app, f"acme/{name}")
            await until(pilot, lambda state=state: state() == "working")  # type: ignore[misc]
            await pilot.press("escape")
        await shows(app, pilot, "2 under way")
        await find(app, pilot, "whisper", "acme/whisper")
        await shows(app, pilot, "0%", "x stops it")
        await pilot.press("x")
        await shows(app, pilot, "1 under way", "stopped")
        await pilot.press("escape", "escape")
        await top(app, pilot, ChatScreen)
        await pilot.press(*"I type on")
        assert app.chat.composer.text == "I type on"
        gate.set()
        await until(pilot, lambda: job_state(app, "acme/shout")() == "done")
        assert set(app.host.installer.installed()) == {"acme/shout"}
        kept = [folder for folder in (find_paths().data / "store").iterdir() if folder.is_dir()]
        assert [folder.name for folder in kept if len(folder.name) == 64] == [
            app.host.installer.installed()["acme/shout"].current.tree
        ]


def held_up(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Hold up what marketplaces say of plugins until the event is set."""
    gate = asyncio.Event()
    look_up = Marketplace.details

    async def slowly(self: Marketplace, plugin_id: str) -> Details:
        await gate.wait()
        return await look_up(self, plugin_id)

    monkeypatch.setattr(Marketplace, "details", slowly)
    return gate


async def test_what_is_asked_for_waits_until_the_marketplace_is_looked_at_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await has_added(site)
    gate = held_up(monkeypatch)
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shout", "acme/shout")
        await pilot.press("i", "escape", "escape")
        await top(app, pilot, ChatScreen)
        gate.set()
        await until(pilot, lambda: job_state(app, "acme/shout")() == "asking")
        await pilot.press(*"yes", "enter")
        assert isinstance(app.screen, ChatScreen)
        await pilot.press("f8")
        await top(app, pilot, ConsentScreen)
        await pilot.press("escape")
        await until(pilot, lambda: job_state(app, "acme/shout")() == "refused")


async def test_what_is_asked_for_waits_until_one_has_typed_what_one_looks_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await has_added(site)
    gate = held_up(monkeypatch)
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shout", "acme/shout")
        await pilot.press("i", "slash")
        gate.set()
        await until(pilot, lambda: job_state(app, "acme/shout")() == "asking")
        await pilot.press(*"y whisper")
        assert market(app).query_one("#search", Input).value.endswith("y whisper")
        await pilot.press("enter")
        await top(app, pilot, ConsentScreen)
        await pilot.press("enter")
        await until(pilot, lambda: job_state(app, "acme/shout")() == "refused")


async def test_what_waits_for_agreement_is_led_to_from_the_plugins_screen(tmp_path: Path) -> None:
    site = await make_site(tmp_path, SHOUT)
    await has_added(site)
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shout", "acme/shout")
        await pilot.press("i")
        await top(app, pilot, ConsentScreen)
        await pilot.press("y", "enter")
        await shows(app, pilot, "Space switches it on")
        await pilot.press("space")
        await shows(app, pilot, "shout is on")
        await pilot.press("escape", "escape")
        site.put(replace(SHOUT, versions=("2.0.0",), environment=("ACME_TOKEN",)))
        await site.publish()
        await app.host.storefront.refresh()
        live = app.host.installer
        plan = await live.plan(await find_plugin(find_paths(), "acme/shout"))
        await live.install(plan, _nobody, ask_later=True)
        handle = app.host.registry.handle("shout")
        assert handle.state is PluginState.NEEDS_REVIEW
        site.put(replace(SHOUT, versions=("2.1.0",), environment=("ACME_TOKEN",)))
        await site.publish()
        await app.host.storefront.refresh()

        await pilot.press("f2", "slash", *"shout", "enter")
        await shows(app, pilot, "needs review")
        await pilot.press("space")
        await top(app, pilot, MarketplaceScreen)
        await shows(app, pilot, "needs review", "v shows what it asks for")
        await pilot.press("v")
        await top(app, pilot, ConsentScreen)
        await shows(app, pilot, "It now asks for more than you agreed to:")
        await shows(app, pilot, "+ is given the environment variable ACME_TOKEN")
        await shows(app, pilot, f"File {plan.version.artefact.sha256[:12]}, signed by")  # no size of 2.1.0
        await pilot.press("y", "enter")
        await until(pilot, lambda: handle.contributes)


async def test_a_link_opens_what_it_leads_to_and_installs_nothing(site: Site) -> None:
    await has_added(site)
    async with chatting(HELLO, linked="acme/whisper") as (app, pilot):
        await top(app, pilot, MarketplaceScreen)
        await until(pilot, lambda: (market(app).plugins.key or "").endswith("acme/whisper"))
        assert not app.host.storefront.installed
        assert not list(app.host.storefront.jobs.all())
        await pilot.press("slash", *"jackfield://plugin/acme/shout")
        await until(pilot, lambda: (market(app).plugins.key or "").endswith("acme/shout"))
        await shows(app, pilot, "1 of")


async def test_a_link_to_what_no_marketplace_has_waits_for_one_that_has_it(site: Site) -> None:
    async with chatting(HELLO, linked="acme/whisper") as (app, pilot):
        await top(app, pilot, MarketplaceScreen)
        await shows(app, pilot, "No marketplace that you added has acme/whisper. a adds one.")
        await pilot.press("a")
        await until(pilot, lambda: app.focused is not None)
        await pilot.press(*site.url, "enter")
        await shows(app, pilot, "y agrees")
        await pilot.press("y")
        await top(app, pilot, MarketplaceScreen)
        await until(pilot, lambda: (market(app).plugins.key or "").endswith("acme/whisper"))
        await shows(app, pilot, "Provider Sign-in", "whisper")


async def test_what_is_blocked_is_not_installed_from_the_screen_either(site: Site) -> None:
    await has_added(site)
    paths = find_paths()
    paths.config_file.write_text('[marketplaces]\nblock = ["ACME"]\n', "utf-8")
    async with chatting(HELLO, linked="acme/whisper") as (app, pilot):
        await top(app, pilot, MarketplaceScreen)
        await until(pilot, lambda: (market(app).plugins.key or "").endswith("acme/whisper"))
        await pilot.press("i")
        await shows(app, pilot, "✗ failed", "Your configuration blocks")
        assert not app.host.storefront.installed


async def test_a_damaged_list_of_what_is_installed_costs_no_more_than_that() -> None:
    paths = find_paths()
    paths.data.mkdir(parents=True)
    (paths.data / "installed.json").write_text("{", "utf-8")
    said = "The list of installed plugins cannot be read"
    async with chatting(HELLO, ready=False) as (app, pilot):
        await until(pilot, lambda: said in toasts(app))
        await open_market(app, pilot)
        await shows(app, pilot, said, "plugins restore", "anthropic")
        assert toasts(app).count(said) <= 1, "it is on the screen already"


async def test_help_lists_each_key_of_the_marketplace() -> None:
    async with chatting(HELLO, size=(120, 90)) as (app, pilot):
        await open_market(app, pilot)
        bound = {active.binding for active in app.screen.active_bindings.values()}
        wanted = {one.tooltip for one in bound if (one.id or "").startswith("marketplace.")}
        assert len(wanted) > 8
        await pilot.press("f1")
        await shows(app, pilot, "Go back to the version before", "Have updates leave it as it is")
        assert [text for text in wanted if text[:30] not in screen_text(app)] == []


async def _nobody(_: object) -> bool:
    raise AssertionError("nobody is asked")


BAD = "[@click=app.quit]press[/] [/x] \x1b]0;owned\x07 \u202egnp"


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_no_text_of_an_entry_acts_on_the_terminal_or_is_markup(
    hostile: Site, size: tuple[int, int]
) -> None:
    await has_added(hostile)
    async with chatting(HELLO, size=size) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "click", "evil/widget")
        await shows(app, pilot, "[@click=app.quit]press[/]")
        await pilot.press("enter")
        for _ in TABS:
            await until(pilot, lambda: "Looking it up" not in screen_text(app))
            assert not {"\x1b", "\u202e", "\x07"} & set(screen_text(app))
            await pilot.press("right")
        await shows(app, pilot, "Readme")
        assert "[@click=app.quit]press[/]" in screen_text(app)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Site:
    bad = FakePlugin(
        "evil/widget",
        summary=BAD,
        readme=f"# Readme {BAD}\n\n{BAD} [link](https://evil.example)\n",
        changelog=f"- {BAD}\n",
        licence="MIT",
        about={"status": "deprecated", "status_reason": BAD},
    )
    return site_at(tmp_path_factory.mktemp("hostile"), bad)


async def test_enter_opens_what_the_arrows_before_it_led_to() -> None:
    async with chatting(HELLO, size=(80, 24)) as (app, pilot):
        await open_market(app, pilot)
        listed = [row.name for row in app.host.storefront.index.search()]
        for key in ("down", "down", "down", "up", "enter"):  # all are there before the first is looked at
            app.post_message(events.Key(key, None))
        await top(app, pilot, MarketplaceDetailScreen)
        await shows(app, pilot, f" {listed[2]} ")


async def test_what_is_new_is_shown_at_once_for_the_plugin_under_the_cursor(tmp_path: Path) -> None:
    site = await make_site(tmp_path, SHOUT)
    await has_added(site)
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        while not (market(app).plugins.key or "").endswith("acme/shout"):
            await pilot.press("down")
        site.put(replace(SHOUT, versions=("1.1.0",), summary="Says it anew."))
        await site.publish()
        await pilot.press("r")
        await shows(app, pilot, "Says it anew.")
        standing = market(app).standing()
        assert standing is not None
        assert standing.row.version == "1.1.0"


async def test_no_key_is_lost_between_the_search_and_the_list() -> None:
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        named = {"slash": "/", "enter": "\r", "space": " "}
        for key in ("slash", *"groq", "enter", "space"):  # all are there before the first is looked at
            app.post_message(events.Key(key, named.get(key, key)))
        await until(pilot, lambda: app.host.registry.handle("groq").wanted)
        assert market(app).query_one("#search", Input).value == "groq"
