"""Which marketplaces were added: written down with the root that was agreed to, and nothing without a yes."""

from __future__ import annotations

import asyncio
import errno
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from filelock import FileLock

from registry.atomic import locked
from registry.errors import ConfigError, JackfieldError
from registry.marketplace.sources import (
    add_source,
    cache_folder,
    find_source,
    read_sources,
    remove_source,
    root_file,
    sources_file,
)
from registry.marketplace.transport import base_address
from registry.marketplace.trust import MarketplaceError, RootOffer
from registry.paths import Paths
from tests.registry.marketplace.site import Site, added, serving, yes


def told_to(tell: Callable[[], object]) -> Callable[[FileLock], object]:
    """`FileLock.acquire` that says when somebody begins to wait."""
    acquire = FileLock.acquire

    def told(lock: FileLock, *args: Any, **options: Any) -> object:
        tell()
        return acquire(lock, *args, **options)

    return told


async def no(_: RootOffer) -> bool:
    return False


async def test_what_was_added_is_read_again(address: str, paths: Paths) -> None:
    source = await add_source(paths, address, name="official", confirm=yes)
    assert source is not None
    assert read_sources(paths) == (source,)
    assert find_source(paths, "official") == source
    assert source.url.endswith("/")
    assert root_file(paths, "official").is_file()


async def test_the_user_sees_what_is_agreed_to(site: Site, paths: Paths) -> None:
    offers: list[RootOffer] = []

    async def look(offer: RootOffer) -> bool:
        offers.append(offer)
        return True

    source = await add_source(paths, site.url, confirm=look)
    assert source is not None
    assert offers[0].fingerprint == source.fingerprint
    assert offers[0].url == source.url
    assert source.name == "site"  # by its folder


async def test_nothing_is_added_without_a_yes(site: Site, paths: Paths) -> None:
    assert await add_source(paths, site.url, name="official", confirm=no) is None
    assert read_sources(paths) == ()
    assert not paths.config.exists()
    assert not root_file(paths, "official").exists()


async def test_a_name_is_used_once(site: Site, paths: Paths) -> None:
    await added(paths, site)
    with serving(site) as url, pytest.raises(JackfieldError, match="already a marketplace named official"):
        await add_source(paths, url, name="official", confirm=yes)


@pytest.mark.parametrize("name", ["Official", "../x", "a b", "", "off\u0456cial", "a" * 200 + "!", "1st"])
async def test_a_name_has_one_spelling(site: Site, paths: Paths, name: str) -> None:
    if not name:
        assert await add_source(paths, site.url, name=name, confirm=yes) is not None  # as if left out
        return
    with pytest.raises(JackfieldError, match="is no name for a marketplace"):
        await add_source(paths, site.url, name=name, confirm=yes)


async def test_removing_forgets_all_but_what_was_installed(site: Site, paths: Paths) -> None:
    await added(paths, site)
    with serving(site) as url:
        await added(paths, url, "other")
    remove_source(paths, "official")
    assert [source.name for source in read_sources(paths)] == ["other"]
    assert not root_file(paths, "official").exists()
    assert not cache_folder(paths, "official").exists()
    with pytest.raises(JackfieldError, match="no marketplace named official"):
        remove_source(paths, "official")


async def test_a_name_that_is_used_again_inherits_nothing(site: Site, paths: Paths, tmp_path: Path) -> None:
    await added(paths, site)
    left = cache_folder(paths, "official")
    kept = {file.name: file.read_bytes() for file in left.glob("*.json")}
    remove_source(paths, "official")
    left.mkdir(parents=True)
    for name, data in kept.items():
        (left / name).write_bytes(data)
    await add_source(paths, site.url, name="official", confirm=yes)
    assert not left.exists()


async def test_adding_holds_nothing_else_up_while_it_waits_for_its_turn(site: Site, paths: Paths) -> None:
    paths.config.mkdir(parents=True)
    loop = asyncio.get_running_loop()
    with locked(sources_file(paths), 5):
        adding = asyncio.create_task(add_source(paths, site.url, name="official", confirm=yes))
        waiting = asyncio.Event()
        with patch.object(FileLock, "acquire", told_to(lambda: loop.call_soon_threadsafe(waiting.set))):
            await asyncio.wait_for(waiting.wait(), 10)  # the loop runs on while the lock is waited for
        assert not adding.done()
    assert await adding is not None


async def test_a_list_that_cannot_be_written_is_told(site: Site, paths: Paths) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with (
        patch("registry.marketplace.sources.write_atomically", side_effect=full),
        pytest.raises(ConfigError, match="list of marketplaces cannot be written"),
    ):
        await add_source(paths, site.url, name="official", confirm=yes)
    assert read_sources(paths) == ()
    await added(paths, site)
    with (
        patch("registry.marketplace.sources.write_atomically", side_effect=full),
        pytest.raises(ConfigError, match="list of marketplaces cannot be written"),
    ):
        remove_source(paths, "official")
    assert [source.name for source in read_sources(paths)] == ["official"]
    assert root_file(paths, "official").is_file(), "what it needs is still there"


async def test_removing_takes_nothing_from_one_that_is_added_under_the_name(site: Site, paths: Paths) -> None:
    await added(paths, site)
    written: list[bool] = []

    def remove(folder: Path, **_: object) -> None:
        with (
            pytest.raises(JackfieldError, match="Another Jackfield is writing"),
            locked(sources_file(paths), 0),
        ):
            written.append(True)  # another could write its root, which would then be removed
        shutil.rmtree(folder, ignore_errors=True)

    with patch("registry.marketplace.sources.shutil", SimpleNamespace(rmtree=remove)):
        remove_source(paths, "official")
    assert not written
    assert not root_file(paths, "official").exists()


@pytest.mark.parametrize("name", ["with space%20", "a%20b", "shop%2F..%2Fother", "100%"])
async def test_a_folder_is_the_one_that_was_named(
    site: Site, paths: Paths, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "shops" / name
    shutil.copytree(site.out, folder)
    other = folder.parent / "other" / "metadata"  # where a name that is read twice would lead
    other.mkdir(parents=True)
    (other / "1.root.json").write_bytes(b"not what was named")
    source = await add_source(paths, str(folder), name="official", confirm=yes)
    assert source is not None
    assert root_file(paths, "official").read_bytes() == (site.out / "metadata/1.root.json").read_bytes()


async def test_a_second_marketplace_of_one_host_gets_a_name_of_its_own(site: Site, paths: Paths) -> None:
    with serving(site) as one, serving(site) as other:
        names = [source.name for url in (one, other) if (source := await add_source(paths, url, confirm=yes))]
        assert names == ["marketplace-127-0-0-1", "marketplace-127-0-0-1-2"]
        with pytest.raises(JackfieldError, match="is there already, as marketplace-127-0-0-1-2"):
            await add_source(paths, other, confirm=yes)
        with pytest.raises(JackfieldError, match="is there already, as marketplace-127-0-0-1-2"):
            await add_source(paths, other, name="mine", confirm=yes)


async def test_a_server_that_is_none_or_gone_is_told(site: Site, paths: Paths, tmp_path: Path) -> None:
    with serving(site) as url:
        pass
    with pytest.raises(MarketplaceError, match="cannot be reached"):
        await add_source(paths, url, name="gone", confirm=yes)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(MarketplaceError, match="There is no marketplace at file"):
        await add_source(paths, str(empty), name="empty", confirm=yes)
    assert read_sources(paths) == ()


@pytest.mark.parametrize(
    "where",
    [
        "ftp://example.org/",
        "plugins.example.org",
        "https://",
        "/no/such/folder",
        "javascript:alert(1)",
        "http:///x",
        "https://[x",
        "https://plugins.example.org:99999/",
        "~nosuchuser-of-this-test/x",
        "x" * 5000,
        "\0",
        "https://plugins.example.org/\x1b]0;x\x07",
        "https://plugins.exam\nple.org/",
        "https://plugins.example.org/\u202egro.elpmaxe",
        "file:///tmp/\x9b",
    ],
)
def test_what_is_no_address_is_refused(where: str) -> None:
    with pytest.raises(JackfieldError, match="is no address of a marketplace"):
        base_address(where)


@pytest.mark.parametrize("password", ["hunter2-hunter2", "h@hunter2", "h/a@hunter2"])
def test_a_password_in_an_address_is_refused_and_not_repeated(password: str) -> None:
    with pytest.raises(JackfieldError) as caught:
        base_address(f"https://me:{password}@plugins.example.org/")
    assert "hunter2" not in str(caught.value)


async def test_a_server_that_never_answers_is_told(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.marketplace.sources.FETCH_ROOT_LIMIT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(MarketplaceError, match="took too long"):
            await add_source(paths, url, confirm=yes)
    assert read_sources(paths) == ()


@pytest.mark.parametrize(
    "text",
    [
        "[[marketplace]]\nname = 1",
        "marketplace = 3",
        "not toml",
        "[[marketplace]]\nname = '../x'\nfingerprint='a'",
    ],
)
def test_a_list_that_says_something_else_is_told(paths: Paths, text: str) -> None:
    sources_file(paths).parent.mkdir(parents=True)
    sources_file(paths).write_text(text)
    with pytest.raises(ConfigError, match="list of marketplaces cannot be read"):
        read_sources(paths)
