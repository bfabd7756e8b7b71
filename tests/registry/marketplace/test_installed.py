"""The list of what is installed: one file, changed by one writer at a time, whole or not at all."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from registry.errors import JackfieldError
from registry.marketplace.installed import (
    InstalledPlugin,
    InstalledVersion,
    change_installed,
    installed_file,
    read_installed,
    trees_in_use,
)
from registry.marketplace.left_behind import left_behind, note_left_behind
from registry.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "config", tmp_path / "data", tmp_path / "cache")


def version(number: int) -> InstalledVersion:
    return InstalledVersion(f"1.{number}", f"{number:064x}", f"{number:064x}", "", "2026-01-01", {"a": 1}, {})


PLUGIN = InstalledPlugin("acme/shout", "official", version(0), asks=(("host", "a.b"),), grant="c" * 64)


def test_what_is_written_is_what_is_read(paths: Paths) -> None:
    assert read_installed(paths) == {}
    plugin = replace(
        PLUGIN,
        earlier=(version(1),),
        pinned=True,
        ignore_age=True,
        revoked="Why",
        reviewed=False,
        fingerprint="f" * 64,
    )
    change_installed(paths, lambda plugins: plugins.update({plugin.id: plugin}))
    assert read_installed(paths) == {plugin.id: plugin}
    assert [ask.words for ask in plugin.granted()] == ["calls a.b"]
    assert trees_in_use(read_installed(paths)) == {version(0).tree, version(1).tree}


def test_a_kind_of_agreement_that_is_not_known_counts_for_nothing(paths: Paths) -> None:
    odd = replace(PLUGIN, asks=(("host", "a.b"), ("camera", "all of it")))
    change_installed(paths, lambda plugins: plugins.update({odd.id: odd}))
    (read,) = read_installed(paths).values()
    assert [ask.words for ask in read.granted()] == ["calls a.b"]


def test_a_version_that_comes_again_is_not_kept_twice() -> None:
    plugin = PLUGIN
    for number in (1, 2, 1, 0, 2):
        plugin = plugin.moved_to(version(number))
    assert [known.version for known in (plugin.current, *plugin.earlier)] == ["1.2", "1.0", "1.1"]
    rebuilt = replace(version(2), tree="f" * 64)
    assert version(2) not in plugin.moved_to(rebuilt).earlier


def test_a_change_that_raises_changes_nothing(paths: Paths) -> None:
    change_installed(paths, lambda plugins: plugins.update({PLUGIN.id: PLUGIN}))
    before = installed_file(paths).read_bytes()

    def fail(plugins: dict[str, InstalledPlugin]) -> None:
        plugins.clear()
        raise JackfieldError("No")

    with pytest.raises(JackfieldError, match="No"):
        change_installed(paths, fail)
    assert installed_file(paths).read_bytes() == before


async def test_two_writers_at_once_lose_nothing(paths: Paths) -> None:
    def add(number: int) -> None:
        plugin = replace(PLUGIN, id=f"acme/p{number}")
        change_installed(paths, lambda plugins: plugins.update({plugin.id: plugin}))

    await asyncio.gather(*(asyncio.to_thread(add, number) for number in range(12)))
    assert len(read_installed(paths)) == 12


def test_what_a_killed_writer_left_is_removed(paths: Paths) -> None:
    paths.data.mkdir(parents=True)
    leftover = paths.data / ".installed.json.0123456789abcdef.tmp"
    leftover.write_text("{")
    change_installed(paths, lambda plugins: plugins.update({PLUGIN.id: PLUGIN}))
    assert not leftover.exists()


def test_what_a_removed_plugin_left_is_remembered_until_it_is_gone(paths: Paths) -> None:
    note_left_behind(paths, "acme/shout", something=False)
    assert not paths.data.exists()
    note_left_behind(paths, "acme/shout", something=True)
    assert left_behind(paths) == {"shout": "acme/shout"}
    note_left_behind(paths, "acme/shout", something=False)
    assert left_behind(paths) == {}
