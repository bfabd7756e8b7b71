"""A plugin of another marketplace, or under another root, is another plugin though its id is the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.config import load_config, update_config
from registry.errors import JackfieldError
from registry.marketplace import upkeep
from registry.marketplace.catalogue_index import load_index
from registry.marketplace.finding import find_plugin
from registry.marketplace.installed import current_versions, installed_file
from registry.marketplace.live import LiveInstaller
from registry.marketplace.planning import Plan
from registry.marketplace.sources import read_sources, remove_source
from registry.registry import PluginRegistry
from registry.states import PluginState
from tests.registry.marketplace.machines import Machine, copy_of, machine, words
from tests.registry.marketplace.site import FakePlugin, Site, added, make_site

SHOUT = "acme/shout"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The marketplace that `acme/shout` was installed from."""
    shop = FakePlugin(versions=("1.0.0", "1.1.0"))
    return asyncio.run(make_site(tmp_path_factory.mktemp("shop"), shop))


@pytest.fixture(scope="module")
def other_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Somebody else's, with a plugin of the same id that asks for no more."""
    versions = FakePlugin(versions=("1.0.0", "9.0.0"))
    return asyncio.run(make_site(tmp_path_factory.mktemp("other"), versions, name="other"))


@pytest.fixture
def shop(tmp_path: Path, site: Site) -> Site:
    """The same marketplace for one test to change."""
    return copy_of(site, tmp_path / "shop")


@pytest.fixture
async def here(tmp_path: Path, shop: Site) -> Machine:
    """A machine with `acme/shout` 1.0.0, on."""
    here = await machine(tmp_path / "here", shop)
    await here.install("1.0.0")
    update_config(here.paths, {("plugins", "shout", "enabled"): True})
    here.asked.clear()
    return here


@pytest.fixture
async def live(here: Machine) -> AsyncIterator[LiveInstaller]:
    registry = PluginRegistry(here.paths)
    live = LiveInstaller(here.installer, registry)
    await live.follow()
    await registry.enable("shout")
    yield live
    await registry.aclose()


async def plan_of(here: Machine, marketplace: str, version: str | None = None) -> Plan:
    return await here.installer.plan(await find_plugin(here.paths, SHOUT, marketplace), version)


async def test_it_is_asked_for_whole_said_to_be_another_and_off(
    here: Machine, live: LiveInstaller, other_site: Site
) -> None:
    await added(here.paths, other_site, "other")
    change = await live.install(await plan_of(here, "other"), here.confirm)
    (request,) = here.asked
    assert not request.is_update
    assert words(here.asked) == [["adds the command /shout"]]
    assert "another marketplace than the installed one: other in place of official" in request.warnings[0]
    assert (change.plugin.marketplace, change.plugin.current.version) == ("other", "9.0.0")
    assert change.before is None
    assert change.loaded is None
    assert live.registry.handle("shout").state is PluginState.INSTALLED
    assert load_config(here.paths).settings.plugins["shout"].enabled is False
    assert change.plugin.earlier == (), "there is no way back to what another marketplace answers for"


async def test_without_a_yes_the_installed_one_goes_on(
    here: Machine, live: LiveInstaller, other_site: Site
) -> None:
    await added(here.paths, other_site, "other")
    here.answer = False
    before = here.installed()
    with pytest.raises(JackfieldError, match="was not installed"):
        await live.install(await plan_of(here, "other"), here.confirm, ask_later=True)
    assert here.installed() == before
    assert live.registry.handle("shout").state is PluginState.ENABLED
    assert load_config(here.paths).settings.plugins["shout"].enabled is True


async def test_another_root_under_the_same_name_is_another_marketplace(
    here: Machine, other_site: Site
) -> None:
    remove_source(here.paths, "official")
    await added(here.paths, other_site, "official")
    assert await upkeep.outdated(here.installer) == []
    await here.installer.install(await plan_of(here, "official"), here.confirm)
    (request,) = here.asked
    assert "one with other keys, also called official" in request.warnings[0]
    assert load_config(here.paths).settings.plugins["shout"].enabled is False


async def test_what_the_first_marketplace_revoked_does_not_come_back_by_another(
    here: Machine, shop: Site, other_site: Site
) -> None:
    await added(here.paths, other_site, "other")
    shop.revoke(SHOUT, "9.0.0", reason="It leaks.")
    await shop.publish()
    await here.marketplace.refresh()
    plan = await plan_of(here, "other", "9.0.0")
    with pytest.raises(JackfieldError, match="It was revoked: It leaks"):
        await here.installer.install(plan, here.confirm)


async def test_what_was_revoked_stays_out_though_who_revoked_it_is_gone(
    here: Machine, shop: Site, other_site: Site
) -> None:
    shop.revoke(SHOUT, reason="It leaks.")
    await shop.publish()
    await here.marketplace.refresh()
    await upkeep.apply_revocations(here.installer)
    remove_source(here.paths, "official")
    await added(here.paths, other_site, "official")
    await upkeep.apply_revocations(here.installer)
    assert here.installed()[SHOUT].revoked == "It leaks.", "another root does not lift it"
    plan = await plan_of(here, "official", "1.0.0")
    with pytest.raises(JackfieldError, match="It was revoked: It leaks"):
        await here.installer.install(plan, here.confirm)


async def test_its_row_is_no_update_of_the_installed_one(here: Machine, other_site: Site) -> None:
    await added(here.paths, other_site, "other")
    index = load_index(here.paths)
    index.note_installed(current_versions(here.installed().values(), read_sources(here.paths)))
    updates = {row.marketplace: (index.is_installed(row), index.has_update(row)) for row in index.rows}
    assert updates == {"official": (True, True), "other": (False, False)}


async def test_what_was_written_down_without_a_root_counts_as_of_the_marketplace_of_its_name(
    here: Machine,
) -> None:
    file = installed_file(here.paths)
    data = json.loads(file.read_bytes())
    del data["plugins"][0]["fingerprint"]
    file.write_text(json.dumps(data))
    plugin = await here.install("1.1.0")
    assert here.asked == []
    assert [version.version for version in plugin.earlier] == ["1.0.0"]
    assert plugin.fingerprint == here.marketplace.source.fingerprint
