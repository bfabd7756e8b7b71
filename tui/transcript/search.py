"""Searching in the conversation: which sections hold the text, and where in them it is lit up.

A message whose source does not hold the text is passed over without parsing it; one that does is split and
wrapped, and what is counted is what is shown. It works in slices, newest message first, so that neither a
long conversation nor a short query holds up a key.
"""

import re
from collections.abc import Iterator
from time import perf_counter
from typing import NamedTuple

from tui.transcript.document import Document, Place
from tui.transcript.entry import Entry
from tui.transcript.rows import Row

Mark = tuple[int, int, bool]
"""First character, character after the last, whether it is the current match."""


class Match(NamedTuple):
    """The nth occurrence in a section."""

    entry: Entry
    section: int
    number: int


class Search:
    """One query over a document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._pattern: re.Pattern[str] | None = None
        self._found: dict[Entry, list[Match]] = {}
        self._queue: list[Entry] = []
        self._current: Match | None = None
        self._lit: dict[int, tuple[list[Row], list[list[tuple[int, int, int]]]]] = {}

    def clear(self) -> None:
        """Forget the query."""
        self._pattern = None
        self._found.clear()
        self._queue.clear()
        self._lit.clear()
        self._current = None

    def start(self, query: str) -> None:
        """Look for a query, from the newest message on. Nothing is found before `advance`."""
        self.clear()
        if query:
            self._pattern = re.compile(re.escape(query), re.IGNORECASE)
            self._queue = list(self._document.entries)

    def stale(self, entry: Entry | None = None) -> None:
        """An entry has changed, or (None) any may have gone."""
        if self._pattern is None:
            return
        self._lit.clear()
        if entry is None:
            known = set(self._document.entries)
            self._found = {key: value for key, value in self._found.items() if key in known}
            self._queue = [key for key in self._queue if key in known]
            if self._current is not None and self._current.entry not in known:
                self._current = None
        elif entry not in self._queue:
            self._queue.append(entry)

    @property
    def running(self) -> bool:
        """Whether messages are left to look at."""
        return bool(self._queue)

    @property
    def total(self) -> int:
        """Matches found so far."""
        return sum(map(len, self._found.values()))

    @property
    def current(self) -> int:
        """Number of the current match, from 1; 0 without one."""
        ordered = self._ordered()
        return ordered.index(self._current) + 1 if self._current in ordered else 0

    def advance(self, until: float) -> bool:
        """Look at more messages until a moment of `perf_counter`. Return whether anything new was found."""
        before = self.total
        while self._queue:
            entry = self._queue.pop()
            self._scan(entry)
            if perf_counter() > until:
                break
        return self.total != before

    def _scan(self, entry: Entry) -> None:
        pattern, index = self._pattern, self._document.position(entry.id)
        self._found.pop(entry, None)
        if pattern is None or index is None or not pattern.search(entry.markdown):
            return
        self._document.prepare(index)
        matches = [
            Match(entry, section, number)
            for section, item in enumerate(entry.sections)
            if item.part is not None and not item.muted
            for number in range(self._count(index, section))
        ]
        if matches:
            self._found[entry] = matches

    def _count(self, index: int, section: int) -> int:
        part = self._document.entries[index].sections[section].part
        if self._pattern is None or part is None or not part.text:
            return 0
        if (
            part.kind in ("code", "paragraph")
            and not self._pattern.search(part.text)
            and not set(part.text) & set("*_`[\\&<~\n")
        ):
            return 0
        text, _ = _joined(self._document.rows(index, section))
        return sum(1 for _ in self._pattern.finditer(text))

    def _ordered(self) -> list[Match]:
        if not self._found:
            return []
        return [match for entry in self._document.entries for match in self._found.get(entry, ())]

    def nearest(self, place: Place) -> Place | None:
        """Make the last match at or above a place the current one, else the first."""
        best: Match | None = None
        for match in self._ordered():
            position = self._document.position(match.entry.id)
            if best is not None and position is not None and (position, match.section) > place[:2]:
                break
            best = match
        return self._make_current(best)

    def step(self, direction: int) -> Place | None:
        """Make the next (1) or previous (-1) match the current one, round and round."""
        ordered = self._ordered()
        if not ordered:
            return None
        index = ordered.index(self._current) + direction if self._current in ordered else 0
        return self._make_current(ordered[index % len(ordered)])

    def _make_current(self, match: Match | None) -> Place | None:
        self._current = match
        index = self._document.position(match.entry.id) if match is not None else None
        if match is None or index is None:
            return None
        made = self._document.rows(index, match.section)
        for row, lit in enumerate(self._marks(made)):
            if any(number == match.number for _, _, number in lit):
                return Place(index, match.section, row)
        return Place(index, match.section, 0)

    def marks(self, place: Place, row: Row) -> Iterator[Mark]:
        """Where matches are in a row that is drawn, as characters of the row."""
        if self._pattern is None:
            return
        entry = self._document.entries[place.entry]
        section = entry.sections[place.section]
        if section.part is None or section.muted or section.rows is None:
            return
        for start, end, number in self._marks(section.rows)[place.row]:
            current = self._current == (entry, place.section, number)
            yield start + row.prefix, end + row.prefix, current

    def _marks(self, made: list[Row]) -> list[list[tuple[int, int, int]]]:
        """Per row: first character, character after the last, number of the match in the section."""
        known = self._lit.get(id(made))
        if known is not None and known[0] is made:
            return known[1]
        text, starts = _joined(made)
        lit: list[list[tuple[int, int, int]]] = [[] for _ in made]
        matches = list(self._pattern.finditer(text)) if self._pattern else []
        for row, start in enumerate(starts):
            end = start + len(made[row].content)
            lit[row] = [
                (max(match.start(), start) - start, min(match.end(), end) - start, number)
                for number, match in enumerate(matches)
                if match.start() < end and match.end() > start
            ]
        if len(self._lit) > 200:
            self._lit.clear()
        self._lit[id(made)] = (made, lit)
        return lit


def _joined(made: list[Row]) -> tuple[str, list[int]]:
    """The text of a section as it would be copied, and where in it each row starts."""
    pieces: list[str] = []
    starts: list[int] = []
    length = 0
    for index, row in enumerate(made):
        join = row.join if index else ""
        starts.append(length + len(join))
        pieces += (join, row.content)
        length += len(join) + len(row.content)
    return "".join(pieces), starts
