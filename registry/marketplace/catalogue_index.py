"""All plugins of all marketplaces, searched while one types: plain rows from files that are read at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Final

from registry.collector import paused_collector
from registry.marketplace.kept import days_since, kept_state
from registry.marketplace.machine import Machine
from registry.marketplace.rows import Row, read_rows, write_rows
from registry.marketplace.sources import Source, cache_folder, read_sources

if TYPE_CHECKING:
    from packaging.version import Version

    from registry.paths import Paths

_WORDS: Final = 8
"""More words of a search than this are not heeded."""
_KEPT: Final = 32
"""Of how many words it is kept what they fit."""
_BY_LETTERS: Final = 8
"""The rank of a name that has the letters of a word in their order, and not the word."""
_SHORTEST_GUESSED: Final = 4
_NEAR: Final = 0.72
"""How alike two words have to be for one to stand in for the other, of 1: one letter of four may be wrong."""
_A_WORD: Final = re.compile(r"[^\W\d_]{4,24}")


class Sort(StrEnum):
    """In which order a list is."""

    BEST = "best"
    """The best match first; without a text, checked publishers first, then by name."""
    NAME = "name"
    NEWEST = "newest"
    """What was published last first."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """One marketplace, as far as it is here."""

    name: str
    plugins: int
    checked_at: datetime | None
    """When it was last asked with success; None when nothing of it is here."""

    def age_days(self, now: datetime | None = None) -> float | None:
        """Days since then."""
        if self.checked_at is None:
            return None
        return days_since(self.checked_at, now or datetime.now(UTC))


class CatalogueIndex:
    """Rows that can be searched.

    Args:
        rows: all of them, in any order.
        shelves: where they are from.
        machine: what decides whether a plugin would run here.
    """

    def __init__(
        self, rows: Iterable[Row] = (), shelves: Sequence[Shelf] = (), machine: Machine | None = None
    ) -> None:
        self._machine = machine or _this_machine()
        self._reasons: dict[tuple[object, ...], str] = {}
        self.rows = sorted(
            self._one_each(rows), key=lambda row: (row.id.partition("/")[2], row.id, row.marketplace)
        )
        """One of each plugin: of the newest version that fits this machine, else of the newest."""
        self.shelves = tuple(shelves)
        self._installed: Mapping[tuple[str, str], str] = {}
        self._names = [row.name for row in self.rows]
        self._tags = [f" {' '.join(row.tags)} {' '.join(row.kinds)}" for row in self.rows]
        self._added = [" ".join(row.contributions).casefold() for row in self.rows]
        self._texts = [row.summary.casefold() for row in self.rows]
        self._all = [
            f"{row.id} {tags} {added} {text}"
            for row, tags, added, text in zip(self.rows, self._tags, self._added, self._texts, strict=True)
        ]
        self._fits = [not self.reason_against(row) for row in self.rows]
        self._known: dict[str, Mapping[int, int]] = {}
        self.guesses: dict[str, str] = {}
        """Words of the last search that stand nowhere, and what was looked for beside them."""

    def _one_each(self, rows: Iterable[Row]) -> Iterable[Row]:
        best: dict[tuple[str, str], Row] = {}
        for row in rows:
            known = best.setdefault(row.key, row)
            if known is not row and self.reason_against(known) and not self.reason_against(row):
                best[row.key] = row
        return best.values()

    def __len__(self) -> int:
        return len(self.rows)

    def note_installed(self, versions: Mapping[tuple[str, str], str]) -> None:
        """Say what is installed: the current version by marketplace and id, as `current_versions` has it."""
        self._installed = dict(versions)

    def is_installed(self, row: Row) -> bool:
        """Whether some version of it is installed, and came from this marketplace."""
        return row.key in self._installed

    def has_update(self, row: Row) -> bool:
        """Whether its marketplace offers a newer version than the one that was installed from there."""
        current = self._installed.get(row.key)
        return bool(current and row.version and _number(row.version) > _number(current))

    def reason_against(self, row: Row) -> str:
        """Why it cannot be installed on this machine, in plain words; empty when it can."""
        if row.withdrawn:
            return row.withdrawn
        needs = (row.min_app, row.protocol, tuple(row.platforms), row.python)
        if needs not in self._reasons:
            self._reasons[needs] = next((reason for reason, _ in self._machine.misfits(row)), "")
        return self._reasons[needs]

    def search(
        self,
        text: str = "",
        *,
        kinds: Collection[str] = (),
        verified: bool = False,
        compatible: bool = False,
        installed: bool = False,
        updates: bool = False,
        marketplace: str | None = None,
        sort: Sort = Sort.BEST,
    ) -> list[Row]:
        """The rows that fit, in order.

        Every word of the text has to be found: in the name before the tags, those before what the plugin
        contributes, that before the summary; last, its letters in this order in the name. Beside a word that
        stands nowhere the nearest one that does is looked for; `guesses` tells which.

        Args:
            text: what was typed.
            kinds: only plugins that contribute one of these; all when empty.
            verified: only those of publishers that the marketplace has checked.
            compatible: only those that would run here.
            installed: only those that are installed.
            updates: only those with a newer version than the installed one.
            marketplace: only those of this one.
            sort: the order.
        """
        rows = self.rows
        found = self._found(tuple(text.casefold().split()[:_WORDS]), sort)
        tests: list[Callable[[Row], bool]] = []
        if kinds:
            wanted = set(kinds)
            tests.append(lambda row: not wanted.isdisjoint(row.kinds))
        if marketplace is not None:
            tests.append(lambda row: row.marketplace == marketplace)
        tests += [lambda row: row.verified] if verified else []
        tests += [self.is_installed] if installed else []
        tests += [self.has_update] if updates else []
        if compatible:
            fits = self._fits
            found = [number for number in found if fits[number]]
        listed = [rows[number] for number in found]
        for test in tests:
            listed = [row for row in listed if test(row)]
        if sort is Sort.NEWEST:
            listed.sort(key=lambda row: -row.uploaded_at)
        return listed

    def _found(self, words: tuple[str, ...], sort: Sort) -> Iterable[int]:
        self.guesses = {}
        if not words:
            everything = range(len(self.rows))
            if sort is not Sort.BEST:
                return everything
            return sorted(everything, key=lambda number: not self.rows[number].verified)
        first, *others = sorted((self._meant(word) for word in words), key=len)
        ranks = first
        for other in others:
            ranks = {number: rank + other[number] for number, rank in ranks.items() if number in other}
        found = sorted(ranks)
        return sorted(found, key=ranks.__getitem__) if sort is Sort.BEST else found

    def _meant(self, word: str) -> Mapping[int, int]:
        """What the word fits; if it stands nowhere, also what the nearest one fits: it may be mistyped."""
        ranks = self._ranks(word)
        if len(word) < _SHORTEST_GUESSED or any(rank < _BY_LETTERS for rank in ranks.values()):
            return ranks
        alike = [known for known in self._vocabulary.get(word[0], ()) if abs(len(known) - len(word)) <= 2]
        near = get_close_matches(word, alike, n=1, cutoff=_NEAR)
        if not near:
            return ranks
        self.guesses[word] = near[0]
        return {**ranks, **self._ranks(near[0])}

    @cached_property
    def _vocabulary(self) -> Mapping[str, Sequence[str]]:
        """All words by their first letter, which is seldom mistyped: only few have to be compared."""
        found = {word for text in self._all for word in _A_WORD.findall(text)}
        by_letter: dict[str, list[str]] = {}
        for word in sorted(found):
            by_letter.setdefault(word[0], []).append(word)
        return by_letter

    def _ranks(self, word: str) -> Mapping[int, int]:
        """How well the word fits each row that it fits; kept, so that deleting a letter costs nothing."""
        ranks = self._known.get(word)
        if ranks is None:
            before = self._known.get(word[:-1])  # what it does not fit, a longer one does not either
            ranks = self._ranked(word, range(len(self.rows)) if before is None else before)
            while len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            self._known[word] = ranks
        return ranks

    def _ranked(self, word: str, pool: Iterable[int]) -> dict[int, int]:
        names, whole, rank = self._names, self._all, self._rank
        letters = re.compile("".join(f"[^{re.escape(one)}]*{re.escape(one)}" for one in word)).match
        fits: dict[int, int] = {}
        tag = f" {word}"
        for number in pool:
            if word in whole[number]:
                fits[number] = rank(number, word, tag)
            elif letters(names[number]):
                fits[number] = _BY_LETTERS
        return fits

    def _rank(self, number: int, word: str, tag: str) -> int:
        name = self._names[number]
        at = name.find(word)
        if at == 0:
            return 0 if len(name) == len(word) else 1
        if at > 0:
            return 2 if name[at - 1] == "-" else 3
        if word in self.rows[number].id:
            return 3
        if tag in self._tags[number]:
            return 4
        if word in self._added[number]:
            return 5
        return 6 if word in self._texts[number] else 7


def load_index(
    paths: Paths, *, machine: Machine | None = None, verify: bool = False, more: Iterable[Row] = ()
) -> CatalogueIndex:
    """All that is here of all marketplaces; call it in a thread. No network is used.

    Args:
        paths: where the caches are.
        machine: what plugins have to fit; this one when None.
        verify: check signatures again in place of trusting rows that fit the catalogue's hash.
        more: what else is listed, such as what is part of the app.

    Raises:
        ConfigError: the list of marketplaces cannot be read.
    """
    rows: list[Row] = []
    shelves: list[Shelf] = []
    with paused_collector():
        for source in read_sources(paths):
            found, checked_at = _shelf(source, paths, verify=verify)
            rows += found
            shelves.append(Shelf(source.name, len({row.id for row in found}), checked_at))
        return CatalogueIndex([*rows, *more], shelves, machine)


def _shelf(source: Source, paths: Paths, *, verify: bool) -> tuple[list[Row], datetime | None]:
    folder = cache_folder(paths, source.name)
    state = kept_state(folder)
    if state is None:
        return [], None
    rows = None if verify else read_rows(folder, state.catalogue, source.name)
    if rows is not None:
        return rows, state.asked
    from registry.marketplace.repository import Marketplace  # TUF and pydantic, only when it has to be

    cached = Marketplace(source, paths).read_cached()
    if cached is None:
        return [], None
    return write_rows(folder, state.catalogue, cached.catalogue, source.name), cached.checked_at


def _number(text: str) -> Version:
    from packaging.version import Version

    return Version(text)


def _this_machine() -> Machine:
    from jackfield import __version__

    return Machine(__version__)
