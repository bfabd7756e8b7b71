"""The list of all plugins: what a search finds, in which order, and where the rows come from."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any

import pytest

from registry.marketplace.catalogue_index import CatalogueIndex, Shelf, Sort, load_index
from registry.marketplace.machine import Machine
from registry.marketplace.repository import Marketplace
from registry.marketplace.rows import FILE, Row, read_rows, write_rows
from registry.marketplace.sources import cache_folder, find_source
from registry.paths import Paths
from tests.registry.marketplace.many import many_plugins
from tests.registry.marketplace.site import FakePlugin, Site, added, serving

MACHINE = Machine("1.0", "linux", "3.12.1")
BLANK = Row(
    *(
        "official",
        "acme/shout",
        "",
        "1.0.0",
        0.0,
        1,
        (),
        (),
        (),
        (),
        "process",
        "MIT",
        False,
        "active",
        "",
        "0",
        1,
    ),
    *(("linux",), "", ""),
    security=False,
    has_older=False,
)


def row(plugin_id: str, **facts: Any) -> Row:
    return BLANK._replace(id=plugin_id, **facts)


def index_of(*rows: Row) -> CatalogueIndex:
    return CatalogueIndex(rows, machine=MACHINE)


def ids(rows: list[Row]) -> list[str]:
    return [one.id for one in rows]


# Searching


def test_a_name_counts_more_than_tags_those_more_than_contributions_and_a_summary_least() -> None:
    index = index_of(
        row("a/zebra", summary="Makes text loud"),
        row("b/yak", contributions=["/loud"]),
        row("c/xerus", tags=["loud"]),
        row("d/aloud"),
        row("e/very-loud"),
        row("f/loudly"),
        row("g/loud"),
        row("h/l-o-u-d"),
        row("i/quiet"),
    )
    assert [one[0] for one in ids(index.search("loud"))] == ["g", "f", "e", "d", "c", "b", "a", "h"]


def test_letters_in_their_order_are_enough_for_a_name() -> None:
    index = index_of(row("acme/redactor"), row("acme/weather"))
    assert ids(index.search("rdctr")) == ["acme/redactor"]
    assert ids(index.search("rtcdr")) == []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("redatcor", "redactor"), ("tranlsate", "translate"), ("waether", "weather"), ("secrts", "secrets")],
)
def test_a_mistyped_word_finds_the_nearest_one(typed: str, meant: str) -> None:
    index = index_of(
        row("acme/redactor", summary="Takes secrets out"),
        row("acme/weather"),
        row("acme/x", contributions=["/translate"]),
    )
    assert ids(index.search(typed)) == ids(index.search(meant)) != []
    index.search(typed)
    assert index.guesses == {typed: meant}
    index.search(meant)
    assert index.guesses == {}


def test_what_was_meant_comes_before_names_that_only_have_its_letters() -> None:
    index = index_of(row("acme/lmstudio-server"), row("zeta/dice"))
    assert ids(index.search("dise")) == ["zeta/dice", "acme/lmstudio-server"]
    assert index.guesses == {"dise": "dice"}


def test_what_is_like_nothing_finds_nothing() -> None:
    index = index_of(row("acme/redactor"), row("acme/weather"))
    assert index.search("zzzzzz") == index.search("abc") == index.search("thermometer") == []


def test_every_word_has_to_be_found() -> None:
    index = index_of(
        row("a/loud", summary="shouts"), row("b/loud", summary="whispers"), row("c/soft", summary="whispers")
    )
    assert ids(index.search("loud whispers")) == ["b/loud"]
    assert ids(index.search(" WHISPERS  loud ")) == ["b/loud"]


def test_a_publisher_and_a_whole_id_are_found() -> None:
    index = index_of(row("acme/shout"), row("zeta/whisper"))
    assert ids(index.search("zeta")) == ["zeta/whisper"]
    assert ids(index.search("acme/sh")) == ["acme/shout"]


@pytest.mark.parametrize("text", ["[", "(a+)+$", "\\", "*", "/", "\u202e", "\x1b[2J", "a" * 5000])
def test_no_text_is_a_pattern(text: str) -> None:
    index = index_of(row("acme/shout", contributions=["/shout"]))
    assert ids(index.search(text)) in ([], ["acme/shout"])
    assert (ids(index.search(text)) == ["acme/shout"]) is (text == "/")


def test_typing_on_and_deleting_find_what_searching_anew_finds() -> None:
    catalogue = many_plugins(300)
    rows = [row(entry.id, summary=entry.summary, tags=list(entry.tags)) for entry in catalogue.entries]
    typed = index_of(*rows)
    for text in (
        "t",
        "tr",
        "tra",
        "tran",
        "trans",
        "trans m",
        "trans ma",
        "trans",
        "tr",
        "x",
        "",
        "ma trans",
    ):
        assert typed.search(text) == index_of(*rows).search(text), text


def test_without_a_text_checked_publishers_come_first() -> None:
    index = index_of(row("b/beta"), row("a/alpha"), row("c/gamma", verified=True))
    assert ids(index.search()) == ["c/gamma", "a/alpha", "b/beta"]
    assert ids(index.search(sort=Sort.NAME)) == ["a/alpha", "b/beta", "c/gamma"]


def test_the_newest_come_first_when_asked_for() -> None:
    index = index_of(
        row("a/old", uploaded_at=1.0), row("b/new", uploaded_at=3.0), row("c/mid", uploaded_at=2.0)
    )
    assert ids(index.search(sort=Sort.NEWEST)) == ["b/new", "c/mid", "a/old"]


def test_facets_narrow_what_is_found() -> None:
    index = index_of(
        row("a/one", kinds=["provider", "auth"], verified=True),
        row("b/two", kinds=["command"], platforms=["windows"]),
        row("c/three", kinds=["hook"], version="2.0", marketplace="other"),
    )
    index.note_installed({("other", "c/three"): "1.10", ("official", "a/one"): "1.0.0"})
    assert ids(index.search(kinds=["provider"])) == ["a/one"]
    assert set(ids(index.search(kinds=["command", "hook"]))) == {"b/two", "c/three"}
    assert ids(index.search(verified=True)) == ["a/one"]
    assert set(ids(index.search(compatible=True))) == {"a/one", "c/three"}
    assert set(ids(index.search(installed=True))) == {"a/one", "c/three"}
    assert ids(index.search(updates=True)) == ["c/three"]
    assert ids(index.search(marketplace="other")) == ["c/three"]
    assert ids(index.search("thr", compatible=True, installed=True)) == ["c/three"]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({}, ""),
        ({"min_app": "2.0"}, "It needs Jackfield 2.0 or newer."),
        ({"protocol": 99}, "It speaks a plugin protocol that only a newer Jackfield knows."),
        ({"platforms": ("macos", "windows")}, "It runs on macos, windows only."),
        ({"python": ">=3.13"}, "It needs Python >=3.13; this is 3.12.1."),
        ({"python": "nonsense"}, "It needs Python nonsense; this is 3.12.1."),
        ({"withdrawn": "It leaks."}, "It leaks."),
    ],
)
def test_what_cannot_be_installed_here_says_why(facts: dict[str, Any], reason: str) -> None:
    one = row("acme/shout", **facts)
    index = index_of(one)
    assert index.reason_against(one) == reason
    assert (index.search(compatible=True) == [one]) is (reason == "")


def test_the_age_of_a_catalogue_is_known() -> None:
    now = datetime.now(UTC)
    assert Shelf("official", 1, now - timedelta(days=9)).age_days(now) == pytest.approx(9)
    assert Shelf("official", 0, None).age_days(now) is None


def test_what_was_asked_in_the_future_is_as_old_as_can_be() -> None:
    now = datetime.now(UTC)
    assert Shelf("official", 1, now + timedelta(minutes=1)).age_days(now) == 0
    assert Shelf("official", 1, now + timedelta(days=400)).age_days(now) == inf, "the clock was wrong then"


# Loading


async def test_all_marketplaces_are_on_one_list(site: Site, paths: Paths) -> None:
    await added(paths, site)
    with serving(site) as url:
        await added(paths, url, "mirror")
    index = load_index(paths)
    assert [one.key for one in index.search()] == [("mirror", "acme/shout"), ("official", "acme/shout")]
    assert [(shelf.name, shelf.plugins) for shelf in index.shelves] == [("mirror", 1), ("official", 1)]
    assert all(shelf.age_days() == pytest.approx(0, abs=0.1) for shelf in index.shelves)


def test_without_a_marketplace_the_list_is_empty(paths: Paths) -> None:
    index = load_index(paths)
    assert (len(index), index.shelves, index.search("x")) == (0, (), [])


async def test_a_row_says_what_the_catalogue_says(site: Site, paths: Paths) -> None:
    about = {"tags": ["loud"], "verified": True, "yanked": {"2.0.0": "It leaks."}}
    site.put(FakePlugin(versions=("1.0.0", "1.1.0", "2.0.0"), about=about))
    await site.publish()
    await added(paths, site)
    one = load_index(paths).rows[0]
    assert (one.version, one.tags, one.verified, one.contributions) == ("1.1.0", ("loud",), True, ("/shout",))
    assert one.withdrawn == ""
    site.revoke("acme/shout", reason="All of it leaks.")
    await site.publish()
    await Marketplace(find_source(paths, "official"), paths).refresh()
    assert load_index(paths).rows[0].withdrawn == "All of it leaks."


async def test_a_row_says_what_kinds_of_things_a_plugin_asks_for(site: Site, paths: Paths) -> None:
    site.put(FakePlugin("acme/loud", hosts=("api.acme.example",), folders=("~/notes",)))
    await site.publish()
    await added(paths, site)
    asked = {one.id: one.capabilities for one in load_index(paths).rows}
    assert asked == {"acme/loud": ("host", "folder"), "acme/shout": ()}


async def test_a_refresh_changes_the_list(site: Site, paths: Paths) -> None:
    marketplace = await added(paths, site)
    site.put(FakePlugin("acme/whisper"))
    await site.publish()
    assert len(load_index(paths)) == 1
    await marketplace.refresh()
    assert len(load_index(paths)) == 2


async def test_the_row_is_of_the_newest_version_that_fits_this_machine(site: Site, paths: Paths) -> None:
    site.put(FakePlugin(versions=("1.0.0", "1.1.0")))
    await site.publish()
    site.put(FakePlugin(versions=("1.0.0", "1.1.0", "2.0.0"), about={"min_app": "98.0"}))
    await site.publish()
    site.put(FakePlugin(versions=("1.0.0", "1.1.0", "2.0.0", "3.0.0"), about={"min_app": "99.0"}))
    await site.publish()
    await added(paths, site)
    index = load_index(paths)
    (one,) = index.rows
    assert (one.version, index.reason_against(one), one.has_older) == ("1.1.0", "", True)
    assert index.shelves[0].plugins == 1
    newer = load_index(paths, machine=Machine("98.1"))
    assert [each.version for each in newer.rows] == ["2.0.0"]
    nowhere = load_index(paths, machine=Machine("1.0", "beos"))
    assert [each.version for each in nowhere.rows] == ["3.0.0"], "the newest, where none fits"


async def test_a_revoked_version_gives_way_to_the_one_before(site: Site, paths: Paths) -> None:
    site.put(FakePlugin(versions=("1.0.0", "1.1.0")))
    site.revoke("acme/shout", "1.1.0")
    await site.publish()
    await added(paths, site)
    index = load_index(paths)
    index.note_installed({("official", "acme/shout"): "1.0.0"})
    (one,) = index.rows
    assert (one.version, one.withdrawn, one.has_older) == ("1.0.0", "", False)
    assert not index.has_update(one)


def test_a_final_version_of_the_app_is_as_good_as_the_candidate_that_becomes_it() -> None:
    index = CatalogueIndex([row("acme/shout", min_app="2.0")], machine=Machine("2.0rc1", "linux", "3.12.1"))
    assert index.reason_against(index.rows[0]) == ""


@pytest.mark.parametrize("place", range(len(BLANK)))
@pytest.mark.parametrize("value", [None, {}, [1], 7])
async def test_a_damaged_row_behind_a_good_one_has_all_made_anew(
    site: Site, paths: Paths, place: int, value: object
) -> None:
    await added(paths, site)
    file = cache_folder(paths, "official") / FILE
    before = file.read_bytes()
    data = json.loads(before)
    damaged = [*data["rows"][0]]
    if type(damaged[place]) is type(value) and value == 7:
        value = "seven"
    damaged[place] = value
    data["rows"].append(damaged)
    file.write_text(json.dumps(data))
    assert len(load_index(paths)) == 1
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"format": 3, "rows": [[1]]}', b"\xff"])
async def test_a_damaged_row_file_is_made_anew(site: Site, paths: Paths, content: bytes) -> None:
    await added(paths, site)
    file = cache_folder(paths, "official") / FILE
    before = file.read_bytes()
    file.write_bytes(content)
    assert len(load_index(paths)) == 1
    assert file.read_bytes() == before


async def test_rows_of_another_catalogue_are_made_anew(site: Site, paths: Paths) -> None:
    await added(paths, site)
    file = cache_folder(paths, "official") / FILE
    data = json.loads(file.read_bytes())
    data["catalogue"] = "0" * 64
    data["rows"] = []
    file.write_text(json.dumps(data))
    assert len(load_index(paths)) == 1


async def test_rows_are_never_taken_from_a_cache_that_must_not_be_believed(site: Site, paths: Paths) -> None:
    await added(paths, site)
    folder = cache_folder(paths, "official")
    (folder / FILE).unlink()
    next(folder.glob("catalogue-*")).write_bytes(b"changed")
    index = load_index(paths)
    assert (len(index), index.shelves[0].checked_at) == (0, None)


def test_escapes_that_somebody_wrote_into_the_rows_do_not_come_out(tmp_path: Path) -> None:
    write_rows(tmp_path, "0" * 64, many_plugins(1), "official")
    data = json.loads((tmp_path / FILE).read_bytes())
    data["rows"][0][2] = "\x1b]52;c;AAAA\x07loud\u202e"
    data["rows"][0][8] = ["/loud\x1b[2J"]
    (tmp_path / FILE).write_text(json.dumps(data))
    rows = read_rows(tmp_path, "0" * 64, "official")
    assert rows is not None
    assert (rows[0].summary, rows[0].contributions) == ("loud", ("/loud",))
