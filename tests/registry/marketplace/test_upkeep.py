"""Going back, pinning, removing, verifying, looking for updates, and what was revoked."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from registry.config import load_config, update_config
from registry.errors import JackfieldError
from registry.marketplace import upkeep
from registry.marketplace.grants import is_granted
from registry.marketplace.installed import InstalledPlugin, change_installed
from registry.marketplace.lock import lock_file
from registry.marketplace.restoring import restore
from registry.marketplace.sources import remove_source
from registry.marketplace.store import remove_tree
from tests.registry.marketplace.machines import Machine, copy_of, machine
from tests.registry.marketplace.site import FakePlugin, Site, make_site

SHOUT = "acme/shout"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """`acme/shout`, whose older version asked for more than the newer one."""

    async def make() -> Site:
        site = await make_site(
            tmp_path_factory.mktemp("shop"), FakePlugin(versions=("1.0.0",), hosts=("api.acme.com",))
        )
        shutil.rmtree(site.source / SHOUT / "dist")
        site.put(FakePlugin(versions=("1.1.0", "1.2.0")))
        await site.publish()
        return site

    return asyncio.run(make())


@pytest.fixture
async def here(tmp_path: Path, site: Site) -> Machine:
    return await machine(tmp_path, site)


async def test_going_back_needs_no_network_and_no_question(here: Machine) -> None:
    await here.install("1.1.0")
    old = here.installed()[SHOUT].current
    await here.install("1.2.0")
    here.asked.clear()
    shutil.rmtree(here.paths.cache / "marketplaces")
    plugin = await upkeep.roll_back(here.installer, SHOUT)
    assert plugin.current == old
    assert [version.version for version in plugin.earlier] == ["1.2.0"]
    assert is_granted(plugin)
    assert here.asked == []
    with pytest.raises(JackfieldError, match="no earlier version of acme/shout") as error:
        await upkeep.roll_back(here.installer, SHOUT)
    assert "1.1.0 is installed; kept beside it: 1.2.0." in error.value.detail, "back is never forward"
    assert "rollback acme/shout VERSION" in error.value.hint
    assert (await upkeep.roll_back(here.installer, SHOUT, "1.2.0")).current.version == "1.2.0"


async def test_going_back_to_what_asks_for_more_waits_for_an_answer(here: Machine) -> None:
    await here.install("1.0.0")
    await here.install("1.2.0")
    plugin = await upkeep.roll_back(here.installer, SHOUT)
    assert not plugin.reviewed
    assert not is_granted(plugin)
    assert is_granted(await upkeep.review(here.installer, SHOUT, here.confirm))
    assert [ask.words for ask in here.asked[-1].more] == ["calls api.acme.com"]


async def test_there_is_no_way_back_to_what_is_not_kept(here: Machine) -> None:
    await here.install("1.1.0")
    with pytest.raises(JackfieldError, match="no earlier version") as error:
        await upkeep.roll_back(here.installer, SHOUT)
    assert "1.1.0 is installed; kept beside it: none." in error.value.detail
    with pytest.raises(JackfieldError, match=r"acme/shout 9\.9.* is not kept here") as error:
        await upkeep.roll_back(here.installer, SHOUT, "9.9\x1b[2J")
    assert "plugins install acme/shout==VERSION" in error.value.hint
    with pytest.raises(JackfieldError, match="was not installed from a marketplace"):
        await upkeep.roll_back(here.installer, "acme/none")


async def test_there_is_no_way_back_to_damaged_code(here: Machine) -> None:
    await here.install("1.1.0")
    old = here.current()
    await here.install("1.2.0")
    remove_tree(old)
    with pytest.raises(JackfieldError, match=r"The code of acme/shout 1\.1\.0 is damaged") as error:
        await upkeep.roll_back(here.installer, SHOUT)
    assert "plugins install acme/shout==1.1.0" in error.value.hint
    (damage,) = await upkeep.verify(here.installer)
    assert (damage.version.version, damage.missing) == ("1.1.0", True)


async def test_there_is_no_way_back_to_a_revoked_version(tmp_path: Path, site: Site) -> None:
    shop = copy_of(site, tmp_path / "shop")
    here = await machine(tmp_path, shop)
    await here.install("1.1.0")
    await here.install("1.2.0")
    shop.revoke(SHOUT, "1.1.0", reason="It leaks.")
    await shop.publish()
    await here.marketplace.refresh()
    with pytest.raises(JackfieldError, match=r"1\.1\.0 was revoked\nIt leaks\."):
        await upkeep.roll_back(here.installer, SHOUT)


async def test_a_pinned_plugin_is_said_to_be_so(here: Machine) -> None:
    await here.install("1.1.0")
    (update,) = await upkeep.outdated(here.installer)
    assert (update.plugin.id, update.newest, update.pinned) == (SHOUT, "1.2.0", False)
    await upkeep.pin(here.installer, SHOUT, pinned=True)
    (update,) = await upkeep.outdated(here.installer)
    assert update.pinned
    await here.install("1.2.0")
    assert await upkeep.outdated(here.installer) == []


async def test_removing_takes_the_code_and_leaves_what_the_user_wants_to_keep(here: Machine) -> None:
    await here.install("1.1.0")
    tree = here.current()
    data = here.paths.plugin_data("shout")
    data.mkdir(parents=True)
    await upkeep.remove(here.installer, SHOUT, data=False, secrets=True)
    assert not tree.exists()
    assert data.is_dir()
    await upkeep.remove(here.installer, SHOUT, data=True, secrets=True)
    assert not data.exists()
    with pytest.raises(JackfieldError, match="was not installed from a marketplace"):
        await upkeep.remove(here.installer, SHOUT, data=True, secrets=True)


@pytest.mark.parametrize(
    ("severity", "marks"),
    [("warn", ("", "It leaks.")), ("disable", ("It leaks.", "")), ("quarantine", ("It leaks.", ""))],
)
async def test_what_is_revoked_or_warned_of_is_marked_with_the_reason(
    tmp_path: Path, site: Site, severity: str, marks: tuple[str, str]
) -> None:
    shop = copy_of(site, tmp_path / "shop")
    here = await machine(tmp_path, shop)
    await here.install("1.1.0")
    shop.revoke(SHOUT, severity=severity)
    await shop.publish()
    await here.marketplace.refresh()
    (told,) = await upkeep.apply_revocations(here.installer)
    assert (told.revoked, told.warned) == marks
    assert here.installed()[SHOUT] == told
    assert await upkeep.apply_revocations(here.installer) == [], "it is told once"
    shop.say(revocations=[])
    await shop.publish()
    await here.marketplace.refresh()
    assert await upkeep.apply_revocations(here.installer) == []
    assert (here.installed()[SHOUT].revoked, here.installed()[SHOUT].warned) == ("", "")


async def test_what_was_revoked_stays_so_when_the_catalogue_is_gone(tmp_path: Path, site: Site) -> None:
    shop = copy_of(site, tmp_path / "shop")
    here = await machine(tmp_path, shop)
    await here.install("1.1.0")
    shop.revoke(SHOUT, "1.1.0")
    await shop.publish()
    await here.marketplace.refresh()
    await upkeep.apply_revocations(here.installer)
    shutil.rmtree(here.paths.cache / "marketplaces")
    assert await upkeep.apply_revocations(here.installer) == []
    assert here.installed()[SHOUT].revoked == "It leaks."


async def test_a_marketplace_revokes_only_what_came_from_it(tmp_path: Path, site: Site) -> None:
    shop = copy_of(site, tmp_path / "shop")
    here = await machine(tmp_path, shop)
    await here.install("1.1.0")
    change_installed(
        here.paths, lambda plugins: plugins.update({SHOUT: replace(plugins[SHOUT], marketplace="own")})
    )
    shop.revoke(SHOUT)
    await shop.publish()
    await here.marketplace.refresh()
    assert await upkeep.apply_revocations(here.installer) == []


async def test_what_is_restored_is_not_on_because_another_one_of_its_name_was(tmp_path: Path) -> None:
    both = await make_site(tmp_path / "shop", FakePlugin("acme/shout"), FakePlugin("evil/shout"))
    elsewhere = await machine(tmp_path / "elsewhere", both)
    await elsewhere.install(plugin_id="evil/shout")
    here = await machine(tmp_path / "here", both)
    await here.install(plugin_id="acme/shout")
    update_config(here.paths, {("plugins", "shout", "enabled"): True})
    await upkeep.remove(here.installer, "acme/shout", data=True, secrets=True)
    restored = await restore(here.installer, here.confirm, file=lock_file(elsewhere.paths))
    assert [plugin.id for plugin in restored.installed] == ["evil/shout"]
    chosen = load_config(here.paths).settings.plugins.get("shout")
    assert chosen is None or not chosen.enabled


@pytest.mark.parametrize("catalogue_is_gone", [False, True])
async def test_there_is_no_way_back_round_what_the_user_forbade(
    here: Machine, *, catalogue_is_gone: bool
) -> None:
    await here.install("1.1.0")
    await here.install("1.2.0")
    if catalogue_is_gone:
        shutil.rmtree(here.paths.cache / "marketplaces")
    for rules in (replace(here.rules, block=("acme",)), replace(here.rules, allow=("somebody",))):
        here.rules = rules
        with pytest.raises(JackfieldError, match=r"acme/shout 1\.1\.0 must not run here\nYour configuration"):
            await upkeep.roll_back(here.installer, SHOUT)
    assert here.installed()[SHOUT].current.version == "1.2.0"


async def test_there_is_no_way_back_while_a_plugin_is_held_back_as_unsafe(tmp_path: Path, site: Site) -> None:
    shop = copy_of(site, tmp_path / "shop")
    here = await machine(tmp_path / "here", shop)
    await here.install("1.1.0")
    await here.install("1.2.0")
    unsafe = {"status": "quarantined", "status_reason": "It steals"}
    shop.put(FakePlugin(versions=("1.1.0", "1.2.0"), about=unsafe))
    await shop.publish()
    await here.marketplace.refresh()
    with pytest.raises(JackfieldError, match="held back as unsafe: It steals"):
        await upkeep.roll_back(here.installer, SHOUT)


async def test_what_is_in_no_catalogue_any_more_can_be_gone_back_to(here: Machine) -> None:
    await here.install("1.1.0")
    await here.install("1.2.0")
    remove_source(here.paths, "official")
    assert is_granted(await upkeep.roll_back(here.installer, SHOUT))


async def test_nothing_that_is_forbidden_can_be_agreed_to(here: Machine) -> None:
    await here.install("1.2.0")
    await here.install("1.0.0", ask_later=True)
    here.asked.clear()
    here.rules = replace(here.rules, block=(SHOUT,))
    with pytest.raises(JackfieldError, match="Your configuration blocks acme/shout"):
        await upkeep.review(here.installer, SHOUT, here.confirm)
    assert here.asked == []
    assert not is_granted(here.installed()[SHOUT])


async def test_a_name_without_its_publisher_will_do(here: Machine) -> None:
    await here.install("1.1.0")
    await here.install("1.2.0")
    assert (await upkeep.pin(here.installer, "shout", pinned=True)).pinned
    assert (await upkeep.roll_back(here.installer, "shout")).current.version == "1.1.0"


@pytest.mark.parametrize("secrets", [False, True])
async def test_what_a_removal_that_failed_leaves_is_for_nobody_else(tmp_path: Path, *, secrets: bool) -> None:
    both = await make_site(tmp_path / "shop", FakePlugin(SHOUT), FakePlugin("evil/shout"))
    here = await machine(tmp_path / "here", both)
    await here.install()
    data = here.paths.plugin_data("shout")
    if secrets:
        data.mkdir(parents=True)
    lock_file(here.paths).write_text("damaged")
    with pytest.raises(JackfieldError, match="The lock file or the store could not be brought in line"):
        await upkeep.remove(here.installer, SHOUT, data=True, secrets=secrets)
    lock_file(here.paths).unlink()
    assert here.installed() == {}
    assert "The name shout belongs to acme/shout here" in await here.refused(plugin_id="evil/shout")
    await upkeep.remove(here.installer, SHOUT, data=True, secrets=True)
    assert not data.exists()
    await here.install(plugin_id="evil/shout")


async def test_a_revocation_does_not_fall_on_the_version_that_came_meanwhile(
    here: Machine, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.install("1.1.0")
    site.revoke(SHOUT, "1.1.0", reason="It leaks.")
    await site.publish()
    await here.marketplace.refresh()
    installer = here.installer
    write = installer.change

    async def late(change: Callable[[dict[str, InstalledPlugin]], None]) -> dict[str, InstalledPlugin]:
        await here.install("1.2.0")
        return await write(change)

    monkeypatch.setattr(installer, "change", late)
    assert await upkeep.apply_revocations(installer) == []
    assert (here.installed()[SHOUT].current.version, here.installed()[SHOUT].revoked) == ("1.2.0", "")
