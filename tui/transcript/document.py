"""All messages, one below the other: where everything is, and what of it is known exactly.

Heights of what was never seen are estimates. What comes into view is measured first, from a place that stays
where it is (a [Place][tui.transcript.document.Place]), so that a corrected estimate moves nothing that the
reader looks at.
"""

from collections import OrderedDict
from collections.abc import Iterable
from time import perf_counter
from typing import Final, NamedTuple

from tui.transcript.entry import Entry, Section
from tui.transcript.heights import Heights
from tui.transcript.rows import Row

CACHED_ROWS: Final = 1500
"""Rows that are kept; those seen longest ago are dropped and made again when they are needed."""


class Place(NamedTuple):
    """A row of the conversation, independent of the heights above it."""

    entry: int
    section: int
    row: int


class Document:
    """The entries with their heights at the current width."""

    def __init__(self) -> None:
        self.width = 80
        self.entries: list[Entry] = []
        self.heights = Heights()
        self._positions: dict[str, int] = {}
        self._cache: OrderedDict[Section, int] = OrderedDict()
        self._cached = 0

    @property
    def total(self) -> int:
        """Lines of everything, as far as it is known."""
        return self.heights.total

    def reset(self, entries: Iterable[Entry] = ()) -> None:
        """Hold these entries and nothing else. Looks at none of them."""
        self.entries = list(entries)
        self._cache.clear()
        self._cached = 0
        self.reindex()

    def reindex(self) -> None:
        """Count positions and heights anew, after entries went or the width changed."""
        for index, entry in enumerate(self.entries[:1]):
            if not entry.first:
                entry.first = index == 0
                if entry.prepared:
                    self._forget_rows(entry)
                    entry.forget()
        self._positions = {entry.id: index for index, entry in enumerate(self.entries)}
        self.heights = Heights(entry.estimate(self.width) for entry in self.entries)

    def append(self, entry: Entry) -> None:
        """Add an entry at the end."""
        entry.first = not self.entries
        self._positions[entry.id] = len(self.entries)
        self.entries.append(entry)
        self.heights.append(entry.estimate(self.width))

    def remove(self, index: int) -> None:
        """Take an entry out."""
        self._forget_rows(self.entries.pop(index))
        self.reindex()

    def position(self, message_id: str) -> int | None:
        """Where the message with this id is."""
        return self._positions.get(message_id)

    def resize(self, width: int) -> None:
        """Take a new width. Everything is an estimate again, but for what the reader looks at next."""
        self.width = width
        for entry in self.entries:
            if entry.prepared:
                for section in entry.sections:
                    section.rows = None
                    section.width, section.height = 0, section.estimate(width)
                entry.heights = Heights(section.height for section in entry.sections)
        self._cache.clear()
        self._cached = 0
        self.heights = Heights(entry.estimate(width) for entry in self.entries)

    def sync(self, index: int) -> int:
        """Take over an entry's new text; return the line of the conversation from which on things changed."""
        entry = self.entries[index]
        section = entry.sync(self.width)
        line = entry.heights.before(section)
        self.heights.set(index, entry.estimate(self.width))
        return self.heights.before(index) + line

    def changed(self, index: int) -> None:
        """An entry's sections are to be made anew."""
        self._forget_rows(self.entries[index])
        self.sync(index)

    def locate(self, line: int) -> Place:
        """The place at a line. An entry that was never looked at is prepared first."""
        index, rest = self.heights.find(line)
        if not self.entries:
            return Place(0, 0, 0)
        entry = self.prepare(index)
        section, row = entry.heights.find(min(rest, max(entry.heights.total - 1, 0)))
        return Place(index, section, row)

    def line(self, place: Place) -> int:
        """The line at which a place is."""
        if place.entry >= len(self.entries):
            return self.total
        return (
            self.heights.before(place.entry)
            + self.entries[place.entry].heights.before(place.section)
            + place.row
        )

    def prepare(self, index: int) -> Entry:
        """Return an entry, split into parts."""
        entry = self.entries[index]
        if not entry.prepared:
            entry.prepare(self.width)
            self.heights.set(index, entry.estimate(self.width))
        return entry

    def rows(self, index: int, section: int) -> list[Row]:
        """The rows of a section; its height is exact from now on."""
        entry = self.entries[index]
        item = entry.sections[section]
        made = entry.render(section, self.width)
        if entry.heights.set(section, len(made)):
            self.heights.set(index, entry.heights.total)
        known = self._cache.get(item)
        if known is None:
            self._cache[item] = len(made)
            self._cached += len(made)
            self._evict()
        else:
            self._cache.move_to_end(item)
        return made

    def _evict(self) -> None:
        while self._cached > CACHED_ROWS and len(self._cache) > 200:
            section, count = self._cache.popitem(last=False)
            self._cached -= count
            section.rows = None

    def _forget_rows(self, entry: Entry) -> None:
        for section in entry.sections:
            self._cached -= self._cache.pop(section, 0)

    def down(self, place: Place, lines: int, *, until: float | None = None) -> Place:
        """Walk down over exact rows; return where it ends, at the last row at most."""
        index, section, rest = place.entry, place.section, place.row + lines
        last = place
        while index < len(self.entries):
            entry = self.prepare(index)
            while section < len(entry.sections):
                height = len(self.rows(index, section))
                if rest < height:
                    return Place(index, section, rest)
                rest -= height
                if height:
                    last = Place(index, section, height - 1)
                section += 1
                if until is not None and perf_counter() > until:
                    return last
            index, section = index + 1, 0
        return last

    def up(self, place: Place, lines: int, *, until: float | None = None) -> Place:
        """Walk up over exact rows; return where it ends, at the first row at most."""
        index, section, rest = place.entry, place.section, lines - place.row
        if index < len(self.entries):
            self.prepare(index)
        while rest > 0:
            if section == 0:
                if index == 0:
                    return Place(0, 0, 0)
                index -= 1
                section = len(self.prepare(index).sections)
                continue
            section -= 1
            rest -= len(self.rows(index, section))
            if until is not None and perf_counter() > until:
                break
        return Place(index, section, max(-rest, 0))

    @property
    def end(self) -> Place:
        """The place after the last row."""
        return Place(len(self.entries), 0, 0)
