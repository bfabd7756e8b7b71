"""What is believed without a network, and whose word counts: the cache, the pinned root, the threshold."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path

import httpx
import pytest

from registry.errors import ConfigError
from registry.http import create_download_client
from registry.marketplace.kept import kept_state
from registry.marketplace.publishing.keys import KeyFolder, create_keys, rotate_key
from registry.marketplace.publishing.sign import sign
from registry.marketplace.repository import Marketplace
from registry.marketplace.sources import cache_folder, find_source, root_file
from registry.marketplace.transport import Fetcher
from registry.marketplace.trust import MarketplaceError, explained, fingerprint_of, read_root
from registry.paths import Paths
from tests.registry.marketplace.attacks import flip_last_byte
from tests.registry.marketplace.site import Site, added


async def without_a_network(site: Site, paths: Paths, name: str = "official") -> Marketplace:
    marketplace = await added(paths, site, name)
    await marketplace.details("acme/shout")
    shutil.rmtree(site.out)
    return marketplace


async def test_the_cache_serves_without_a_network_and_tells_its_age(site: Site, paths: Paths) -> None:
    marketplace = await without_a_network(site, paths)
    cached = await marketplace.cached()
    assert cached is not None
    assert cached.catalogue.entries[0].id == "acme/shout"
    assert cached.age_days(datetime.now(UTC) + timedelta(days=9)) == pytest.approx(9, abs=0.1)
    assert cached.age_days(datetime.now(UTC) - timedelta(days=9)) == inf, "the clock was wrong at that time"
    assert (await marketplace.details("acme/shout")).readme
    assert marketplace.requests == []


async def test_a_cache_whose_signatures_have_expired_still_serves(site: Site, paths: Paths) -> None:
    shutil.rmtree(site.out / "metadata")
    now = datetime.now(UTC)
    sign(site.out, site.keys, now - timedelta(days=13, hours=23, minutes=59))
    marketplace = await without_a_network(site, paths)
    cached = await marketplace.cached()
    assert cached is not None
    assert cached.age_days(now + timedelta(days=40)) > 30


async def test_a_changed_catalogue_in_the_cache_is_refused(site: Site, paths: Paths) -> None:
    marketplace = await without_a_network(site, paths)
    flip_last_byte(next(cache_folder(paths, "official").glob("catalogue-*.json.gz")))
    assert await marketplace.cached() is None


@pytest.mark.parametrize("part", ["timestamp", "snapshot", "targets"])
async def test_changed_metadata_in_the_cache_are_refused(site: Site, paths: Paths, part: str) -> None:
    marketplace = await without_a_network(site, paths)
    file = cache_folder(paths, "official") / "state.json"
    state = json.loads(file.read_bytes())
    state[part] = state[part].replace('"version":1', '"version":2')
    file.write_text(json.dumps(state))
    assert kept_state(file.parent) is not None
    assert await marketplace.cached() is None


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "null", '{"roots": 1}', "\ud800".encode("utf-8", "replace").decode()]
)
async def test_a_damaged_cache_is_as_none(site: Site, paths: Paths, content: str) -> None:
    marketplace = await without_a_network(site, paths)
    (cache_folder(paths, "official") / "state.json").write_text(content)
    assert await marketplace.cached() is None


async def test_the_cache_of_another_root_is_refused(site: Site, paths: Paths, tmp_path: Path) -> None:
    other = site.copy(tmp_path / "other")
    shutil.rmtree(other.out / "metadata")
    sign(other.out, create_keys(tmp_path / "other keys", None))
    await without_a_network(site, paths)
    await without_a_network(other, paths, "other")
    ours, theirs = cache_folder(paths, "official"), cache_folder(paths, "other")
    shutil.rmtree(ours)
    shutil.copytree(theirs, ours)
    assert await Marketplace(find_source(paths, "official"), paths).cached() is None


async def test_a_pinned_root_that_was_exchanged_is_noticed(site: Site, paths: Paths) -> None:
    marketplace = await added(paths, site)
    flip_last_byte(root_file(paths, "official"))
    assert await marketplace.cached() is None
    with pytest.raises(ConfigError, match="is not the one that you agreed to"):
        await marketplace.refresh()


async def test_keys_that_were_replaced_are_followed_without_a_network(site: Site, paths: Paths) -> None:
    marketplace = await added(paths, site)
    for _ in range(2):
        rotate_key(site.keys.folder, "root", None)
        rotate_key(site.keys.folder, "targets", None)
        site.keys = KeyFolder(site.keys.folder)
        await site.publish()
    await marketplace.refresh()
    shutil.rmtree(site.out)
    state = kept_state(cache_folder(paths, "official"))
    assert state is not None
    assert len(state.roots) == 2
    assert await marketplace.cached() is not None


# The threshold


def split_root_keys(keys: Path, folder: Path) -> list[Path]:
    """Give each of the root keys to another person; all have the other keys."""
    folders = []
    for number, root_key in enumerate(sorted(keys.glob("root-*.key"))):
        one = Path(shutil.copytree(keys, folder / str(number)))
        for file in one.glob("root-*.key"):
            if file.name != root_key.name:
                file.unlink()
        folders.append(one)
    return folders


def test_a_root_waits_for_as_many_people_as_have_to_agree(site: Site, tmp_path: Path) -> None:
    shutil.rmtree(site.out / "metadata")
    create_keys(tmp_path / "keys", None, root_keys=3, threshold=2)
    people = split_root_keys(tmp_path / "keys", tmp_path / "people")
    first = sign(site.out, KeyFolder(people[0]))
    assert first.waiting == 1
    assert not (site.out / "metadata" / "timestamp.json").exists()
    assert sign(site.out, KeyFolder(people[0])).waiting == 1  # the same person does not count twice
    second = sign(site.out, KeyFolder(people[2]))
    assert second.waiting == 0
    assert second.signed == ("root", "targets", "snapshot", "timestamp")
    root = (site.out / "metadata" / "1.root.json").read_bytes()
    offer = read_root("file:///x/", root)
    assert (offer.threshold, len(offer.keys), offer.fingerprint) == (2, 3, second.fingerprint)


async def test_a_change_of_keys_that_too_few_signed_is_refused(
    site: Site, paths: Paths, tmp_path: Path
) -> None:
    shutil.rmtree(site.out / "metadata")
    site.keys = create_keys(tmp_path / "keys", None, root_keys=2, threshold=2)
    sign(site.out, site.keys)
    marketplace = await added(paths, site)
    rotate_key(tmp_path / "keys", "targets", None)
    alone = split_root_keys(tmp_path / "keys", tmp_path / "people")[0]
    assert sign(site.out, KeyFolder(alone)).waiting == 1
    metadata = site.out / "metadata"
    shutil.copy(metadata / "root.waiting.json", metadata / "2.root.json")
    with pytest.raises(MarketplaceError, match="was refused") as caught:
        await marketplace.refresh()
    assert "not signed with the keys that were agreed to" in caught.value.detail
    assert await marketplace.cached() is not None


# What is offered


def test_a_root_is_offered_with_its_fingerprint(site: Site) -> None:
    data = (site.out / "metadata" / "1.root.json").read_bytes()
    offer = read_root("https://plugins.example.org/", data)
    assert offer.fingerprint == fingerprint_of(data)
    assert offer.expires > datetime.now(UTC) + timedelta(days=300)


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"<html>", b"null"])
def test_what_is_no_root_is_no_marketplace(data: bytes) -> None:
    with pytest.raises(MarketplaceError, match="This is no marketplace"):
        read_root("https://plugins.example.org/", data)


def test_a_root_without_its_own_signatures_is_no_marketplace(site: Site) -> None:
    data = json.loads((site.out / "metadata" / "1.root.json").read_bytes())
    data["signed"]["version"] = 7
    with pytest.raises(MarketplaceError, match="This is no marketplace"):
        read_root("https://plugins.example.org/", json.dumps(data).encode())
    with pytest.raises(MarketplaceError, match="This is no marketplace"):
        read_root("https://x.example.org/", (site.out / "metadata" / "timestamp.json").read_bytes())


def redirecting(url: str, to: str) -> Fetcher:
    """A fetcher that is sent on to another address when it asks for this one."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url == url:
            return httpx.Response(302, headers={"Location": to})
        return httpx.Response(200, stream=httpx.ByteStream(b"a root"))

    fetcher = Fetcher()
    fetcher._client = create_download_client()
    fetcher._client._transport = httpx.MockTransport(answer)
    fetcher._client._mounts = {}
    return fetcher


@pytest.mark.parametrize("to", ["http://shop.example/other", "HTTP://evil.example/"])
def test_nobody_is_sent_on_from_https_to_http(to: str) -> None:
    fetcher = redirecting("https://shop.example/root", to)
    with pytest.raises(MarketplaceError, match="sends on from https to http"), explained("official"):
        fetcher.download_bytes("https://shop.example/root", 100)


@pytest.mark.parametrize(
    ("url", "to"),
    [
        ("https://shop.example/root", "https://files.example/root"),
        ("https://shop.example/root", "/other"),
        ("https://shop.example/root", "//files.example/root"),
        ("http://shop.example/root", "https://shop.example/root"),
        ("http://shop.example/root", "http://shop.example/other"),
    ],
)
def test_other_redirects_are_followed(url: str, to: str) -> None:
    assert redirecting(url, to).download_bytes(url, 100) == b"a root"
