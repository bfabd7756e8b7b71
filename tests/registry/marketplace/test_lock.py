"""plugins.lock: what it says, who may change it, and that the same files come from it or none."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from registry.atomic import locked
from registry.errors import JackfieldError
from registry.marketplace import upkeep
from registry.marketplace.installed import installed_file, set_damaged_aside
from registry.marketplace.lock import (
    LockedPlugin,
    UnwrittenRows,
    change_lock,
    lock_file,
    read_lock,
    write_lock,
)
from registry.marketplace.restoring import restore, write_lock_anew
from registry.paths import Paths
from tests.registry.marketplace.machines import (
    Machine,
    copy_of,
    forge,
    machine,
    use_wheelhouse,
    with_requirements,
)
from tests.registry.marketplace.site import FakePlugin, Site, make_site

ELSEWHERE = LockedPlugin("acme/elsewhere", "1.0", "official", "0" * 64, (), "")
HASHES = tuple(f"--hash=sha256:{digit * 64}" for digit in "abc")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """`acme/shout` with a dependency that has a wheel for each of three platforms, and `acme/other`."""

    async def make() -> Site:
        folder = tmp_path_factory.mktemp("shop")
        site = await make_site(folder, FakePlugin("acme/other"))
        line = site.dependency("left-pad", "1.0", {"left_pad.py": b"x = 1\n"}).strip()
        site.put(FakePlugin(versions=("1.0.0", "1.1.0"), requirements=f"{line} {' '.join(HASHES)}\n"))
        with pytest.MonkeyPatch.context() as environment:
            use_wheelhouse(environment, site, folder)
            await site.publish()
        return site

    return asyncio.run(make())


@pytest.fixture(autouse=True)
def wheels(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_wheelhouse(monkeypatch, site, tmp_path)


@pytest.fixture
async def here(tmp_path: Path, site: Site) -> Machine:
    return await machine(tmp_path / "here", site)


@pytest.fixture
async def there(tmp_path: Path, site: Site) -> Machine:
    """Another machine, on which both are installed, `acme/shout` in its older version."""
    there = await machine(tmp_path / "there", site)
    await there.install("1.0.0")
    await there.install(plugin_id="acme/other")
    await upkeep.pin(there.installer, "acme/shout", pinned=True)
    return there


async def test_it_has_one_sorted_row_for_each_plugin_with_the_hashes_for_all_platforms(
    there: Machine,
) -> None:
    text = lock_file(there.paths).read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("  {")]
    assert [tomllib.loads(f"row = {row.strip().rstrip(',')}")["row"]["id"] for row in rows] == [
        "acme/other",
        "acme/shout",
    ]
    assert all(digest in rows[1] for digest in HASHES)
    assert "pinned = true" in rows[1]


async def test_reading_never_writes(there: Machine) -> None:
    file = lock_file(there.paths)
    before = file.stat().st_mtime_ns, file.stat().st_ino
    read_lock(file)
    there.installed()
    await upkeep.verify(there.installer)
    await upkeep.outdated(there.installer)
    assert (await restore(there.installer, there.confirm)).unchanged == ("acme/other", "acme/shout")
    await there.installer.tidy()
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before


async def test_restoring_brings_the_same_files_and_asks_for_each(here: Machine, there: Machine) -> None:
    done = await restore(here.installer, here.confirm, file=lock_file(there.paths))
    assert [plugin.id for plugin in done.installed] == ["acme/other", "acme/shout"]
    assert [request.id for request in here.asked] == ["acme/other", "acme/shout"]
    assert here.installed()["acme/shout"].pinned
    assert [plugin.current.tree for plugin in here.installed().values()] == [
        plugin.current.tree for plugin in there.installed().values()
    ]
    assert lock_file(here.paths).read_bytes() == lock_file(there.paths).read_bytes()


async def test_restoring_one_leaves_the_others(here: Machine, there: Machine) -> None:
    await restore(here.installer, here.confirm, file=lock_file(there.paths), only=["acme/other"])
    assert sorted(here.installed()) == ["acme/other"]
    with pytest.raises(JackfieldError, match="does not name acme/none"):
        await restore(here.installer, here.confirm, file=lock_file(there.paths), only=["acme/none"])


async def test_an_agreement_on_another_machine_is_none_here(here: Machine, there: Machine) -> None:
    here.answer = False
    done = await restore(here.installer, here.confirm, file=lock_file(there.paths))
    assert done.installed == ()
    assert ["You did not agree" in error.detail for _, error in done.failed] == [True, True]
    assert here.installed() == {}


async def test_a_yanked_version_can_be_restored_but_not_chosen(
    tmp_path: Path, site: Site, there: Machine
) -> None:
    shop = copy_of(site, tmp_path / "shop")
    forge(shop, "acme/shout", "1.0.0", change=lambda version, _: version.update(yanked="It was a mistake."))
    here = await machine(tmp_path / "later", shop)
    assert "withdrawn: It was a mistake." in await here.refused("1.0.0")
    done = await restore(here.installer, here.confirm, file=lock_file(there.paths))
    assert done.failed == ()
    assert here.installed()["acme/shout"].current.version == "1.0.0"


@pytest.mark.parametrize("what", ["file", "dependencies"])
async def test_another_content_under_the_same_number_is_refused(
    tmp_path: Path, site: Site, there: Machine, what: str
) -> None:
    shop = copy_of(site, tmp_path / "shop")
    if what == "file":
        other = tmp_path / "acme_shout-1.0.0-py3-none-any.whl"
        other.write_bytes(next((shop.out / "files").glob("*/acme_shout-1.1.0-*")).read_bytes())
        forge(shop, "acme/shout", "1.0.0", file=other)
    else:
        line = shop.dependency("left-pad", "2.0", {"left_pad.py": b"x = 2\n"})
        forge(shop, "acme/shout", "1.0.0", change=with_requirements(line))
    here = await machine(tmp_path / "later", shop)
    done = await restore(here.installer, here.confirm, file=lock_file(there.paths))
    ((plugin_id, error),) = done.failed
    assert plugin_id == "acme/shout"
    assert "has another content for acme/shout 1.0.0" in error.title
    assert sorted(here.installed()) == ["acme/other"], "what fails does not keep the others out"
    assert not any(request.id == "acme/shout" for request in here.asked)


async def test_a_damaged_list_of_what_is_installed_is_set_aside(there: Machine) -> None:
    file = installed_file(there.paths)
    file.write_text("{ not json")
    with pytest.raises(JackfieldError, match="The list of installed plugins cannot be read") as error:
        there.installed()
    assert "plugins restore" in error.value.hint
    aside = set_damaged_aside(there.paths)
    assert aside is not None
    assert aside.read_text() == "{ not json"
    assert set_damaged_aside(there.paths) is None
    await restore(there.installer, there.confirm)
    assert sorted(there.installed()) == ["acme/other", "acme/shout"]


async def test_rows_of_plugins_that_are_not_here_stay(here: Machine) -> None:
    write_lock(lock_file(here.paths), [ELSEWHERE])
    await here.install(plugin_id="acme/other")
    await upkeep.remove(here.installer, "acme/other", data=True, secrets=True)
    assert read_lock(lock_file(here.paths)) == (ELSEWHERE,)
    assert await write_lock_anew(here.installer) == ()
    assert read_lock(lock_file(here.paths)) == ()


async def test_it_is_written_anew_while_nobody_changes_what_is_installed(
    here: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.install(plugin_id="acme/other")

    def write(file: Path, rows: Iterable[LockedPlugin]) -> None:
        with pytest.raises(JackfieldError), locked(installed_file(here.paths), 0.05):
            pass
        write_lock(file, rows)

    monkeypatch.setattr("registry.marketplace.restoring.write_lock", write)
    assert [row.id for row in await write_lock_anew(here.installer)] == ["acme/other"]


async def test_a_damaged_lock_file_costs_only_itself(here: Machine) -> None:
    lock_file(here.paths).parent.mkdir(parents=True, exist_ok=True)
    lock_file(here.paths).write_text("plugins = [")
    with pytest.raises(JackfieldError, match="could not be brought in line") as error:
        await here.install(plugin_id="acme/other")
    assert "`jackfield plugins lock` writes the lock file anew" in error.value.hint
    assert sorted(here.installed()) == ["acme/other"]
    assert lock_file(here.paths).read_text() == "plugins = ["
    assert [row.id for row in await write_lock_anew(here.installer)] == ["acme/other"]


async def test_two_writers_at_once_lose_no_row(tmp_path: Path) -> None:
    file = tmp_path / "plugins.lock"
    rows = [replace(ELSEWHERE, id=f"acme/p{number}") for number in range(20)]
    await asyncio.gather(*(asyncio.to_thread(change_lock, file, {row.id: row}) for row in rows))
    assert read_lock(file) == tuple(sorted(rows))


@pytest.mark.parametrize(
    "text",
    [
        "version = 2\nplugins = []",
        "version = 1\nplugins = [1]",
        'version = 1\nplugins = [{id = "a/b", version = 1, marketplace = "m", artefact = "x"}]',
        'version = 1\nplugins = [{id = "shout", version = "1", marketplace = "m", artefact = "x"}]',
        'version = 1\nplugins = [{id = "Acme/shout", version = "1", marketplace = "m", artefact = "x"}]',
        'version = 1\nplugins = [{id = "acme/../shout", version = "1", marketplace = "m", artefact = "x"}]',
        'version = 1\nplugins = [{id="a/b", version="", marketplace="", artefact="", requires=["y"]}]',
    ],
)
def test_a_lock_file_that_says_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "plugins.lock").write_text(text)
    with pytest.raises(JackfieldError, match="The lock file cannot be read"):
        read_lock(tmp_path / "plugins.lock")


def test_two_rows_for_one_plugin_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "plugins.lock"
    write_lock(file, [ELSEWHERE, replace(ELSEWHERE, version="2.0")])
    with pytest.raises(JackfieldError, match="names a plugin twice"):
        read_lock(file)


def test_any_text_in_a_row_can_be_read_again_after_a_change(tmp_path: Path) -> None:
    file = tmp_path / "plugins.lock"
    odd = replace(ELSEWHERE, marketplace='m😀 ä\x7f\x00\x1b"\\\n\u2028', grant="\U0010ffff")
    write_lock(file, [odd])
    other = replace(ELSEWHERE, id="acme/other")
    change_lock(file, {other.id: other})
    assert read_lock(file) == (odd, other)
    assert "\x7f" not in file.read_text("utf-8")


def test_noting_whose_rows_are_missing_never_loses_those_that_were_noted(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "config", tmp_path / "data", tmp_path / "cache")
    rows = UnwrittenRows(paths)
    rows.add({"acme/one"})
    (noted,) = paths.data.iterdir()
    before = tmp_path / "before"
    before.hardlink_to(noted)
    rows.add({"acme/two"})
    assert rows.ids() == {"acme/one", "acme/two"}
    assert before.read_text() == '["acme/one"]', "it was emptied before it was written: a kill loses all"
    rows.clear()
    assert rows.ids() == set()
