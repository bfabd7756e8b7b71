"""A marketplace as a client sees it: what may be believed comes, what may not is refused in plain words."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Targets

from registry.atomic import locked
from registry.errors import JackfieldError
from registry.marketplace.finding import find_plugin
from registry.marketplace.kept import State
from registry.marketplace.publishing.keys import KeyFolder, create_keys, rotate_key
from registry.marketplace.publishing.serve import _Files
from registry.marketplace.publishing.sign import sign
from registry.marketplace.repository import CATALOGUE, Marketplace, zipped
from registry.marketplace.sources import add_source, cache_folder, find_source
from registry.marketplace.trust import MarketplaceError, offline
from registry.paths import Paths
from tests.registry.marketplace.attacks import (
    artefact_file,
    catalogue_file,
    change_draft,
    endless_server,
    flip_last_byte,
    set_clock,
    sign_targets,
    state_of,
)
from tests.registry.marketplace.site import FakePlugin, Site, added, serving, yes

YEAR = timedelta(days=365)


async def refused(marketplace: Marketplace, words: str) -> None:
    """The next refresh is refused in these words, and what came before is still there."""
    before = await marketplace.cached()
    with pytest.raises(MarketplaceError) as caught:
        await marketplace.refresh()
    assert words in str(caught.value)
    assert caught.value.refused
    assert caught.value.hint
    assert await marketplace.cached() == before


def wheels_in(folder: Path) -> list[Path]:
    return list(folder.glob("*.whl"))


async def test_a_marketplace_is_fetched_from_a_folder_or_a_server(
    address: str, paths: Paths, tmp_path: Path
) -> None:
    marketplace = await added(paths, address)
    cached = await marketplace.cached()
    assert cached is not None
    entry = cached.catalogue.entries[0]
    assert entry.id == "acme/shout"
    details = await marketplace.details("acme/shout")
    assert details.readme.startswith("# A plugin")
    assert details.versions["1.0.0"].manifest["commands"][0]["name"] == "shout"
    told: list[tuple[int, int]] = []
    artefact = entry.versions[0].artefact
    file = await marketplace.artefact(artefact, tmp_path, lambda done, total: told.append((done, total)))
    assert file.stat().st_size == artefact.size
    assert told[-1] == (artefact.size, artefact.size)


async def test_a_warm_refresh_transfers_one_small_file(site: Site, paths: Paths) -> None:
    with serving(site) as url:
        marketplace = await added(paths, url)
        await marketplace.refresh()
    # the root that would follow is asked for as well, and is not there
    assert [request.removeprefix(url) for request in marketplace.requests] == [
        "metadata/2.root.json",
        "metadata/timestamp.json",
    ]
    assert 0 < marketplace.received < 1000


async def test_refreshing_tells_how_much_came(site: Site, paths: Paths) -> None:
    told: list[int] = []
    marketplace = await added(paths, site)
    shutil.rmtree(paths.cache)
    await marketplace.refresh(told.append)
    assert told == sorted(told)
    assert told[-1] == marketplace.received


async def test_a_new_version_comes_with_the_next_refresh(site: Site, paths: Paths) -> None:
    marketplace = await added(paths, site)
    site.put(FakePlugin(versions=("1.0.0", "1.1.0")))
    await site.publish()
    catalogue = await marketplace.refresh()
    assert [version.version for version in catalogue.entries[0].versions] == ["1.1.0", "1.0.0"]
    assert (await marketplace.details("acme/shout")).versions.keys() == {"1.0.0", "1.1.0"}


async def test_a_refresh_mends_a_catalogue_that_was_damaged_here(site: Site, paths: Paths) -> None:
    marketplace = await added(paths, site)
    before = await marketplace.cached()
    (file,) = cache_folder(paths, "official").glob("catalogue-*.json.gz")
    file.write_bytes(b"damaged")
    assert await marketplace.cached() is None
    with pytest.raises(JackfieldError, match="Not fetched yet, or damaged here: official"):
        await find_plugin(paths, "acme/shout")
    await marketplace.refresh()
    after = await marketplace.cached()
    assert before is not None
    assert after is not None
    assert after.catalogue == before.catalogue
    assert (await find_plugin(paths, "acme/shout")).entry.id == "acme/shout"


async def test_details_from_the_cache_wait_for_no_refresh(
    site: Site, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    marketplace = await added(paths, site)
    details = await marketplace.details("acme/shout")
    monkeypatch.setattr("registry.marketplace.repository.REFRESH_LIMIT_S", 10)
    with locked(cache_folder(paths, "official") / CATALOGUE, 5):  # as a refresh has it
        assert await marketplace.details("acme/shout") == details


async def test_it_is_said_where_a_plugin_was_looked_for(site: Site, paths: Paths) -> None:
    with pytest.raises(JackfieldError, match=r"No marketplace was added\."):
        await find_plugin(paths, "acme/none")
    await added(paths, site)
    with serving(site) as url:
        await add_source(paths, url, name="new", confirm=yes)
    with pytest.raises(JackfieldError, match=r"Looked in: official\. Not fetched yet, or damaged here: new"):
        await find_plugin(paths, "acme/none")


async def test_a_refresh_that_ends_while_the_catalogue_is_read_hides_nothing(
    site: Site, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    marketplace = await added(paths, site)
    site.put(FakePlugin(versions=("1.1.0",)))
    await site.publish()

    def late(state: State, root: bytes) -> Targets:
        monkeypatch.undo()
        asyncio.run(Marketplace(marketplace.source, paths).refresh())
        return offline(state, root)

    monkeypatch.setattr("registry.marketplace.repository.offline", late)
    assert (await find_plugin(paths, "acme/shout")).entry.id == "acme/shout"


# Attacks


@pytest.mark.parametrize(
    "damage",
    [
        flip_last_byte,
        lambda file: file.write_bytes(file.read_bytes() + b"0" * 1_000_000),
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
    ],
    ids=["same size", "longer", "shorter"],
)
async def test_a_changed_artefact_is_refused(
    address: str, site: Site, paths: Paths, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    marketplace = await added(paths, address)
    cached = await marketplace.cached()
    assert cached is not None
    damage(artefact_file(site))
    with pytest.raises(MarketplaceError, match="What official sent was refused") as caught:
        await marketplace.artefact(cached.catalogue.entries[0].versions[0].artefact, tmp_path)
    assert "not the one that was signed" in caught.value.detail
    assert not wheels_in(tmp_path)


@pytest.mark.parametrize("more", [b"", b"0" * 1_000_000], ids=["same size", "longer"])
async def test_a_changed_catalogue_is_refused(address: str, site: Site, paths: Paths, more: bytes) -> None:
    marketplace = await added(paths, address)
    site.say(title="Newer")
    await site.publish()
    flip_last_byte(catalogue_file(site))
    catalogue_file(site).write_bytes(catalogue_file(site).read_bytes() + more)
    await refused(marketplace, "A file is not the one that was signed")


async def test_a_foreign_key_is_refused(address: str, site: Site, paths: Paths, tmp_path: Path) -> None:
    marketplace = await added(paths, address)
    foreign = create_keys(tmp_path / "foreign", None)
    other = site.copy(tmp_path / "other")
    shutil.rmtree(other.out / "metadata")
    sign(other.out, foreign, datetime.now(UTC) + timedelta(days=1))
    for file in (other.out / "metadata").glob("*"):
        if not file.name.endswith("root.json"):
            shutil.copy(file, site.out / "metadata")
    await refused(marketplace, "not signed with the keys that were agreed to")


async def test_an_edited_list_of_files_is_refused(address: str, site: Site, paths: Paths) -> None:
    marketplace = await added(paths, address)
    site.say(title="Newer")
    await site.publish()
    file = site.out / "metadata" / "2.targets.json"
    data = json.loads(file.read_bytes())
    data["signed"]["targets"][CATALOGUE]["length"] += 1
    file.write_text(json.dumps(data))
    await refused(marketplace, "not signed with the keys")


async def test_an_older_state_is_refused(address: str, site: Site, paths: Paths, tmp_path: Path) -> None:
    restore = state_of(site, tmp_path / "before")
    site.say(title="Newer")
    await site.publish()
    marketplace = await added(paths, address)
    restore()
    await refused(marketplace, "older state than one that was seen before")


@pytest.mark.parametrize("role", ["snapshot", "targets"])
async def test_parts_of_different_states_are_refused(
    address: str, site: Site, paths: Paths, role: str
) -> None:
    marketplace = await added(paths, address)
    site.say(title="Newer")
    await site.publish()
    metadata = site.out / "metadata"
    shutil.copy(metadata / f"1.{role}.json", metadata / f"2.{role}.json")
    await refused(marketplace, "What official sent was refused")


async def test_news_cannot_be_held_back_for_longer_than_a_signature_lives(
    address: str, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    marketplace = await added(paths, address)
    set_clock(monkeypatch, timedelta(days=13))
    await marketplace.refresh()
    set_clock(monkeypatch, timedelta(days=15))
    await refused(marketplace, "Someone may hold back newer ones")


async def test_expired_metadata_are_refused(address: str, site: Site, paths: Paths) -> None:
    shutil.rmtree(site.out / "metadata")
    sign(site.out, site.keys, datetime.now(UTC) - timedelta(days=20))
    with pytest.raises(MarketplaceError, match="The catalogue of official is out of date") as caught:
        await added(paths, address)
    assert "Check the date of this computer" in caught.value.hint


@pytest.mark.parametrize(
    ("ahead", "words"), [(YEAR, "this computer's date is wrong"), (-YEAR, "comes from the future")]
)
async def test_a_clock_that_is_wrong_by_a_year_is_told_as_that(
    address: str, site: Site, paths: Paths, monkeypatch: pytest.MonkeyPatch, ahead: timedelta, words: str
) -> None:
    await added(paths, address)
    clock = set_clock(monkeypatch, ahead)
    marketplace = Marketplace(find_source(paths, "official"), paths, clock=clock)
    await refused(marketplace, words)


@pytest.mark.parametrize(
    "endless", ["timestamp.json", "snapshot.json", "targets.json", CATALOGUE, "root.json"]
)
async def test_data_without_end_are_refused(site: Site, paths: Paths, endless: str) -> None:
    marketplace = await added(paths, site)
    site.say(title="Newer")
    await site.publish()
    source = find_source(paths, "official")
    with endless_server(site, endless) as url:
        moved = type(source)(source.name, url, source.fingerprint, source.added_at)
        await refused(Marketplace(moved, paths), "A file is not the one that was signed")
    assert await marketplace.cached() is not None


async def test_an_artefact_without_end_is_refused(site: Site, paths: Paths, tmp_path: Path) -> None:
    await added(paths, site)
    source = find_source(paths, "official")
    with endless_server(site, "files/") as url:
        marketplace = Marketplace(type(source)(source.name, url, source.fingerprint, source.added_at), paths)
        cached = await marketplace.cached()
        assert cached is not None
        with pytest.raises(MarketplaceError, match="was refused"):
            await marketplace.artefact(cached.catalogue.entries[0].versions[0].artefact, tmp_path)
    assert not wheels_in(tmp_path)


async def test_a_catalogue_that_claims_200_megabytes_is_not_fetched(
    address: str, site: Site, paths: Paths
) -> None:
    def claim(targets: Targets) -> None:
        targets.targets[CATALOGUE].length = 200_000_000

    sign_targets(site, claim)
    with pytest.raises(MarketplaceError, match="was refused") as caught:
        await added(paths, address)
    assert "200000000 bytes" in caught.value.detail


async def test_a_catalogue_that_unpacks_to_200_megabytes_is_refused(site: Site, paths: Paths) -> None:
    marketplace = await added(paths, site)
    (site.out / "draft" / CATALOGUE).write_bytes(zipped(b" " * 200_000_000))
    sign(site.out, site.keys)
    with pytest.raises(MarketplaceError, match="was refused") as caught:
        await marketplace.refresh()
    assert "too large" in caught.value.detail


# Keys


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
async def test_a_key_is_replaced_without_the_user_noticing(site: Site, paths: Paths, role: str) -> None:
    marketplace = await added(paths, site)
    rotate_key(site.keys.folder, role, None)
    site.keys = KeyFolder(site.keys.folder)
    site.say(title="Newer")
    await site.publish()
    assert (await marketplace.refresh()).title == "Newer"
    assert await marketplace.cached() is not None
    with serving(site) as url:
        again = await added(paths, url, "again")  # with the first root, as everybody who adds it
    assert await again.cached() is not None


async def test_a_key_that_was_replaced_is_good_for_nothing(site: Site, paths: Paths) -> None:
    stolen = KeyFolder(Path(shutil.copytree(site.keys.folder, site.out.parent / "stolen")))
    marketplace = await added(paths, site)
    rotate_key(site.keys.folder, "timestamp", None)
    site.keys = KeyFolder(site.keys.folder)
    await site.publish()
    await marketplace.refresh()
    (site.out / "metadata" / "2.root.json").rename(site.out.parent / "2.root.json")
    site.say(title="Stolen")
    site.keys = stolen
    await site.publish()
    await refused(marketplace, "not signed with the keys")


# Faults


async def test_a_server_that_is_gone_is_told_and_the_last_catalogue_stays(site: Site, paths: Paths) -> None:
    with serving(site) as url:
        marketplace = await added(paths, url)
    await unreachable(marketplace, "")


async def test_a_server_without_the_files_is_told_and_the_last_catalogue_stays(
    site: Site, paths: Paths
) -> None:
    with serving(site) as url:
        marketplace = await added(paths, url)
        shutil.rmtree(site.out / "metadata")
        await unreachable(marketplace, "The server answered 404.")


async def test_a_server_that_fails_is_told_and_the_last_catalogue_stays(
    site: Site, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(site) as url:
        marketplace = await added(paths, url)
        monkeypatch.setattr(_Files, "send_head", lambda handler: handler.send_error(500))
        await unreachable(marketplace, "The server answered 500.")


async def unreachable(marketplace: Marketplace, detail: str) -> None:
    """The next refresh finds nobody, for this reason, and what came before is still there."""
    with pytest.raises(MarketplaceError, match="official cannot be reached") as caught:
        await marketplace.refresh()
    assert detail in caught.value.detail
    assert not caught.value.refused
    assert await marketplace.cached() is not None


async def test_cancelling_stops_a_download(site: Site, paths: Paths) -> None:
    await added(paths, site)
    site.say(title="Newer")
    await site.publish()
    source = find_source(paths, "official")
    with endless_server(site, "nothing") as url:
        marketplace = Marketplace(type(source)(source.name, url, source.fingerprint, source.added_at), paths)
        begun = asyncio.get_running_loop().create_future()

        def settle() -> None:
            if not begun.done():
                begun.set_result(None)

        def begin(_: int) -> None:
            if not begun.done():
                begun.get_loop().call_soon_threadsafe(settle)

        task = asyncio.create_task(marketplace.refresh(begin))
        await asyncio.wait_for(begun, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await Marketplace(source, paths).refresh()


async def test_a_catalogue_for_a_newer_app_says_so(site: Site, paths: Paths) -> None:
    change_draft(site, lambda data: data.update(schema_version=2, entries="in another form"))
    sign(site.out, site.keys)
    with pytest.raises(MarketplaceError, match="made for a newer Jackfield"):
        await added(paths, site)
