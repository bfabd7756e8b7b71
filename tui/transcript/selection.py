"""Selecting text with the mouse, by way of Textual's own selection.

Textual asks a line-API widget for offsets in its strips and gives them back as (character, line). The "line"
used here is a key that names message, section and row: it keeps its order, and stays true while heights above
it are corrected or text streams in.
"""

from bisect import bisect_left

from textual.geometry import Offset
from textual.selection import Selection
from textual.strip import Strip

from tui.transcript.document import Document, Place
from tui.transcript.entry import Entry
from tui.transcript.palette import GUTTER, overlay
from tui.transcript.rows import Row
from tui.transcript.viewport import Viewport

_ROW_BITS = 16
_SECTION_BITS = 24


def line_key(entry: Entry, place: Place) -> int:
    """The number that stands for a row in offsets."""
    return (
        (entry.serial << (_SECTION_BITS + _ROW_BITS))
        | (place.section << _ROW_BITS)
        | min(place.row, (1 << _ROW_BITS) - 1)
    )


def place_of(document: Document, key: int) -> Place:
    """The place of a row's number; of what follows it if its message has gone."""
    serial, rest = key >> (_SECTION_BITS + _ROW_BITS), key & ((1 << (_SECTION_BITS + _ROW_BITS)) - 1)
    index = bisect_left(document.entries, serial, key=lambda entry: entry.serial)
    if index < len(document.entries) and document.entries[index].serial == serial:
        return Place(index, rest >> _ROW_BITS, rest & ((1 << _ROW_BITS) - 1))
    return Place(index, 0, 0)


class Selecting(Viewport):
    """The part of the transcript that knows what is selected."""

    _pressed: Place | None = None

    @property
    def allow_select(self) -> bool:
        """Textual's hook: the text may be selected."""
        return True

    def with_selection(self, strip: Strip, key: int) -> Strip:
        """Show which part of a line is selected."""
        selection = self.text_selection
        span = selection.get_span(key) if selection is not None else None
        if span is None:
            return strip
        style = self.screen.get_component_rich_style("screen--selection")
        start, end = span
        return overlay(strip, max(start, GUTTER), end, style)

    def selection_updated(self, selection: Selection | None) -> None:
        """Textual's hook: draw again."""
        self.refresh()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Textual's hook.

        The text that is selected, wrapped lines joined again; everything is given as Markdown.
        """
        if selection.start is None and selection.end is None:
            return "\n\n".join(entry.markdown for entry in self.document.entries), "\n"
        document = self.document
        first = place_of(document, selection.start.y) if selection.start is not None else Place(0, 0, 0)
        last = place_of(document, selection.end.y) if selection.end is not None else document.end
        pieces: list[str] = []
        for place, row in self._rows_between(first, last):
            content, end = row.content, None
            if selection.end is not None and place == last:
                end = max(selection.end.x - GUTTER - row.prefix, 0)
            start = (
                max(selection.start.x - GUTTER - row.prefix, 0)
                if selection.start is not None and place == first
                else 0
            )
            pieces.append((row.join if pieces else "") + content[start:end])
        return "".join(pieces), "\n"

    def _rows_between(self, first: Place, last: Place) -> "list[tuple[Place, Row]]":
        document = self.document
        found: list[tuple[Place, Row]] = []
        for index in range(first.entry, min(last.entry + 1, len(document.entries))):
            entry = document.prepare(index)
            for section in range(len(entry.sections)):
                if (index, section) < first[:2] or (index, section) > last[:2]:
                    continue
                for number, row in enumerate(document.rows(index, section)):
                    place = Place(index, section, number)
                    if first <= place <= last:
                        found.append((place, row))
        return found

    def text_select_all(self) -> None:
        """Textual's hook for a double click: select the paragraph, or piece of code, that was clicked."""
        place = self._pressed
        if place is None or place.entry >= len(self.document.entries):
            return
        entry = self.document.entries[place.entry]
        if place.section < len(entry.sections):
            start = Offset(0, line_key(entry, place._replace(row=0)))
            end = Offset(
                1 << 20,
                line_key(
                    entry, place._replace(row=max(len(self.document.rows(place.entry, place.section)) - 1, 0))
                ),
            )
            self.screen.selections = {self: Selection(start, end)}
