"""Installing: what is asked, what is there afterwards, and what never comes in."""

from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from registry.config import load_config, update_config
from registry.errors import JackfieldError
from registry.marketplace import upkeep
from registry.marketplace.grants import is_granted
from registry.marketplace.lock import lock_file, read_lock
from registry.marketplace.restoring import restore
from tests.registry.marketplace.machines import (
    Machine,
    copy_of,
    forge,
    machine,
    with_requirements,
    words,
)
from tests.registry.marketplace.site import FakePlugin, Site, make_site

SHOUT = FakePlugin("acme/shout", versions=("1.0.0", "1.1.0"))
GREEDY = FakePlugin("acme/greedy", versions=("1.0.0",))
GREEDIER = FakePlugin(
    "acme/greedy", versions=("1.0.0", "2.0.0"), hosts=("api.acme.com",), environment=("ACME_KEY",)
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Two plugins; the second version of `acme/greedy` asks for more than the first."""

    async def make() -> Site:
        site = await make_site(tmp_path_factory.mktemp("shop"), SHOUT, GREEDY)
        (site.source / "acme/greedy/dist" / "acme_greedy-1.0.0-py3-none-any.whl").unlink()
        site.put(replace(GREEDIER, versions=("2.0.0",)))
        await site.publish()
        return site

    return asyncio.run(make())


@pytest.fixture
async def here(tmp_path: Path, site: Site) -> Machine:
    return await machine(tmp_path, site)


async def test_a_plugin_is_asked_for_installed_and_written_down(here: Machine) -> None:
    plugin = await here.install("1.0.0")
    (request,) = here.asked
    assert (request.id, request.version, request.is_update) == ("acme/shout", "1.0.0", False)
    assert words(here.asked) == [["adds the command /shout"]]
    assert here.installed() == {"acme/shout": plugin}
    assert (here.current() / "acme_shout.py").is_file()
    assert is_granted(plugin)
    (row,) = read_lock(lock_file(here.paths))
    assert (row.id, row.version, row.artefact) == ("acme/shout", "1.0.0", plugin.current.artefact)
    assert here.steps[0].what == "download"
    assert here.steps[-1].what == "done"
    assert here.rubbish() == []
    assert await upkeep.verify(here.installer) == []


async def test_the_store_is_read_only(here: Machine) -> None:
    await here.install()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in [here.current(), *here.current().rglob("*")]]
    assert not any(mode & 0o222 for mode in modes)


async def test_without_a_yes_nothing_is_fetched(here: Machine) -> None:
    here.answer = False
    assert "You did not agree" in await here.refused()
    assert here.steps == []


async def test_what_is_installed_anew_is_off_though_one_of_its_name_was_on(here: Machine) -> None:
    update_config(here.paths, {("plugins", "shout", "enabled"): True})
    await here.install()
    assert load_config(here.paths).settings.plugins["shout"].enabled is False


async def test_an_update_keeps_the_users_choice_and_asks_for_nothing_new(here: Machine) -> None:
    await here.install("1.0.0")
    update_config(here.paths, {("plugins", "shout", "enabled"): True})
    plugin = await here.install()
    assert plugin.current.version == "1.1.0"
    assert [version.version for version in plugin.earlier] == ["1.0.0"]
    assert len(here.asked) == 1
    assert is_granted(plugin)
    assert load_config(here.paths).settings.plugins["shout"].enabled is True


async def test_an_update_that_asks_for_more_shows_only_the_difference(here: Machine) -> None:
    await here.install("1.0.0", "acme/greedy")
    here.answer = False
    assert "You did not agree" in await here.refused("2.0.0", "acme/greedy")
    more = [
        ["adds the command /greedy"],
        ["is given the environment variable ACME_KEY", "calls api.acme.com"],
    ]
    assert words(here.asked) == more


async def test_an_update_that_is_brought_unasked_waits_for_an_answer(here: Machine) -> None:
    await here.install("1.0.0", "acme/greedy")
    plugin = await here.install("2.0.0", "acme/greedy", ask_later=True)
    assert plugin.current.version == "2.0.0"
    assert not plugin.reviewed
    assert not is_granted(plugin)
    assert len(here.asked) == 1
    here.answer = False
    with pytest.raises(JackfieldError, match="stays off"):
        await upkeep.review(here.installer, "acme/greedy", here.confirm)
    assert not is_granted(here.installed()["acme/greedy"])
    here.answer = True
    assert is_granted(await upkeep.review(here.installer, "acme/greedy", here.confirm))
    assert "calls api.acme.com" in words(here.asked)[-1]


async def test_five_earlier_versions_are_kept_and_older_ones_swept(tmp_path: Path) -> None:
    versions = [f"1.{number}.0" for number in range(7)]
    many = await make_site(tmp_path / "many", FakePlugin("acme/many", versions=versions))
    here = await machine(tmp_path, many)
    trees = [(await here.install(version, "acme/many")).current.tree for version in versions]
    kept = [version.version for version in here.installed()["acme/many"].earlier]
    assert kept == ["1.5.0", "1.4.0", "1.3.0", "1.2.0", "1.1.0"]
    assert [here.installer.store.has(tree) for tree in trees] == [False, *[True] * 6]
    assert here.rubbish() == []


async def test_what_is_kept_is_not_fetched_again(here: Machine) -> None:
    await here.install("1.0.0")
    await here.install("1.1.0")
    here.steps.clear()
    plugin = await here.install("1.0.0")
    assert [step.what for step in here.steps] == ["store", "done"]
    assert (plugin.current.version, [each.version for each in plugin.earlier]) == ("1.0.0", ["1.1.0"])


async def test_damaged_code_is_brought_anew(here: Machine) -> None:
    await here.install("1.0.0")
    code = here.current() / "acme_shout.py"
    code.chmod(0o600)
    code.write_text("changed")
    (damage,) = await upkeep.verify(here.installer)
    assert (damage.plugin.id, damage.missing) == ("acme/shout", False)
    await here.install("1.0.0")
    assert "changed" not in code.read_text()
    assert await upkeep.verify(here.installer) == []


# -- age ----------------------------------------------------------------------------------------------------


async def test_a_young_version_waits_and_the_day_is_named(tmp_path: Path, site: Site) -> None:
    young = copy_of(site, tmp_path / "shop")
    uploaded = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=10)
    forge(
        young,
        "acme/greedy",
        "2.0.0",
        change=lambda version, _: version.update(uploaded_at=uploaded.isoformat()),
    )
    here = await machine(tmp_path, young)
    ready = (uploaded + timedelta(hours=72)).astimezone()
    said = await here.refused("2.0.0", "acme/greedy")
    assert "younger than 72 hours" in said
    assert f"{ready:%Y-%m-%d %H:%M}" in said
    plan = await here.plan(plugin_id="acme/greedy")
    assert plan.version.version == "1.0.0", "the newest that may be installed is offered"
    ((passed, why),) = plan.passed_over
    assert passed == "2.0.0"
    assert "younger" in why
    here.rules = replace(here.rules, min_age=timedelta(hours=9))
    assert (await here.plan(plugin_id="acme/greedy")).version.version == "2.0.0"


async def test_that_someone_does_not_wait_is_remembered_for_this_plugin(tmp_path: Path, site: Site) -> None:
    young = copy_of(site, tmp_path / "shop")
    now = datetime.now(UTC).isoformat()
    for plugin, version in (("acme/shout", "1.0.0"), ("acme/shout", "1.1.0"), ("acme/greedy", "1.0.0")):
        forge(young, plugin, version, change=lambda version, _: version.update(uploaded_at=now))
    here = await machine(tmp_path, young)
    assert (await here.install("1.0.0", ignore_age=True)).ignore_age
    assert (await here.install()).current.version == "1.1.0"
    assert "younger" in await here.refused("1.0.0", "acme/greedy")


async def test_a_version_that_mends_a_hole_need_not_be_old(tmp_path: Path, site: Site) -> None:
    young = copy_of(site, tmp_path / "shop")
    new = {"uploaded_at": datetime.now(UTC).isoformat(), "security": True}
    forge(young, "acme/shout", "1.1.0", change=lambda version, _: version.update(new))
    assert (await (await machine(tmp_path, young)).install()).current.version == "1.1.0"


# -- names --------------------------------------------------------------------------------------------------

BLOCKED = ["acme", "ACME", "acme/shout", "Acme/Shout", "acme/\u200bshout", "\uff41cme"]


@pytest.mark.parametrize("spelling", BLOCKED)
async def test_what_is_blocked_comes_in_through_no_door(tmp_path: Path, site: Site, spelling: str) -> None:
    elsewhere = await machine(tmp_path / "elsewhere", site)
    await elsewhere.install()
    here = await machine(tmp_path / "here", site, block=[spelling])
    assert "Your configuration blocks acme/shout" in await here.refused()
    restored = await restore(here.installer, here.confirm, file=lock_file(elsewhere.paths))
    ((_, error),) = restored.failed
    assert "Your configuration blocks acme/shout" in error.detail
    assert here.installed() == {}


@pytest.mark.parametrize(
    "name", ["Acme/Shout", "acme/shout_", "acme/\u200bshout", "acme_/shout", "\uff41cme/shout"]
)
async def test_a_variant_of_a_name_names_nothing(here: Machine, name: str) -> None:
    assert "No marketplace has the plugin" in await here.refused(plugin_id=name)


async def test_only_what_is_allowed_comes_in(tmp_path: Path, site: Site) -> None:
    here = await machine(tmp_path, site, allow=["acme/greedy"])
    assert "does not allow acme/shout" in await here.refused()
    await here.install("1.0.0", "acme/greedy")


async def test_no_plugin_takes_the_name_of_a_built_in_one(tmp_path: Path, site: Site) -> None:
    here = await machine(tmp_path, site, builtin_names={"shout"})
    assert "A plugin that is part of Jackfield is named shout" in await here.refused()


async def test_no_plugin_takes_the_name_data_and_accounts_of_another(tmp_path: Path) -> None:
    both = await make_site(tmp_path / "shop", FakePlugin("acme/shout"), FakePlugin("evil/shout"))
    here = await machine(tmp_path, both)
    await here.install()
    assert "The name shout belongs to acme/shout here" in await here.refused(plugin_id="evil/shout")
    here.paths.plugin_data("shout").mkdir(parents=True)
    await upkeep.remove(here.installer, "acme/shout", data=False, secrets=False)
    assert "The name shout belongs to acme/shout here" in await here.refused(plugin_id="evil/shout")
    await upkeep.remove(here.installer, "acme/shout", data=True, secrets=True)
    assert not here.paths.plugin_data("shout").exists()
    await here.install(plugin_id="evil/shout")


# -- standing -----------------------------------------------------------------------------------------------


async def test_a_revoked_version_cannot_be_installed(tmp_path: Path, site: Site) -> None:
    shop = copy_of(site, tmp_path / "shop")
    shop.revoke("acme/shout", "1.1.0", reason="It leaks keys.")
    await shop.publish()
    here = await machine(tmp_path, shop)
    assert "It was revoked: It leaks keys." in await here.refused("1.1.0")
    assert (await here.install()).current.version == "1.0.0"


async def test_a_description_of_another_plugin_is_refused(tmp_path: Path, site: Site) -> None:
    shop = copy_of(site, tmp_path / "shop")
    forge(shop, "acme/shout", "1.0.0", change=lambda _, about: about["manifest"].update(name="greedy"))
    here = await machine(tmp_path, shop)
    assert "is the manifest of greedy 1.0.0" in await here.refused("1.0.0")


async def test_a_launch_is_given_no_variable_that_was_not_declared(tmp_path: Path, site: Site) -> None:
    shop = copy_of(site, tmp_path / "shop")
    forge(
        shop,
        "acme/shout",
        "1.0.0",
        change=lambda _, about: about["launch"].update(environment=["SECRET_KEY"]),
    )
    plan = await (await machine(tmp_path, shop)).plan("1.0.0")
    assert plan.manifest.launch is not None
    assert "SECRET_KEY" not in plan.manifest.launch.environment_of({**os.environ, "SECRET_KEY": "x"})


async def test_a_package_with_the_option_of_a_tool_in_its_name_is_refused(tmp_path: Path, site: Site) -> None:
    shop = copy_of(site, tmp_path / "shop")
    hidden = shop.dependency("left-pad-hash", "6.6", {"evil.py": b"x = 1\n"})
    named = hidden.replace("left-pad-hash==", "left-pad--hash==")
    forge(shop, "acme/shout", "1.1.0", change=with_requirements(named))
    here = await machine(tmp_path, shop)
    await here.install("1.0.0")
    assert "a package named left-pad--hash" in await here.refused("1.1.0")


async def test_a_plan_does_not_bring_back_unasked_what_was_removed_meanwhile(here: Machine) -> None:
    await here.install("1.0.0")
    plan = await here.plan("1.1.0")
    await upkeep.remove(here.installer, "acme/shout", data=True, secrets=True)
    with pytest.raises(JackfieldError, match=r"changed by another Jackfield meanwhile[^$]*Try again"):
        await here.installer.install(plan, here.confirm)
    assert here.installed() == {}
    assert here.rubbish() == []


async def test_a_plan_goes_by_what_was_agreed_to_when_it_was_made(here: Machine) -> None:
    await here.install("2.0.0", "acme/greedy")
    plan = await here.plan("2.0.0", "acme/greedy")
    await upkeep.remove(here.installer, "acme/greedy", data=True, secrets=True)
    await here.install("1.0.0", "acme/greedy")
    with pytest.raises(JackfieldError, match="changed by another Jackfield meanwhile"):
        await here.installer.install(plan, here.confirm)
    assert here.installed()["acme/greedy"].current.version == "1.0.0"


async def test_whoever_is_slower_with_the_same_version_is_done_too(here: Machine) -> None:
    plan = await here.plan("1.1.0")
    quicker = await here.install("1.1.0")
    slower = await here.installer.install(plan, here.confirm)
    assert (slower.grant, slower.current.tree) == (quicker.grant, quicker.current.tree)
    assert len(here.asked) == 2
