"""What a reader does besides scrolling: move a cursor over messages and code blocks, copy them, click.

Keys: `up` and `down` scroll, as in every pager; `k` and `j`, or `alt+up` and `alt+down`, move the cursor.
"""

from typing import ClassVar, NamedTuple

from textual import events
from textual.binding import Binding
from textual.reactive import reactive

from tui.transcript.document import Place
from tui.transcript.entry import Entry, Section
from tui.transcript.messages import Copied, LinkClicked
from tui.transcript.palette import GUTTER
from tui.transcript.viewport import Viewport


class Stop(NamedTuple):
    """Where the cursor is: on a message, or on one of its code blocks."""

    entry: Entry
    leaf: int | None


class Reader(Viewport):
    """The part of the transcript that has a cursor."""

    KEYS: ClassVar[list[Binding]] = [
        Binding(
            "k,alt+up",
            "cursor_up",
            "Previous",
            id="transcript.cursor_up",
            tooltip="Move to the message or code block above",
        ),
        Binding(
            "j,alt+down",
            "cursor_down",
            "Next",
            id="transcript.cursor_down",
            tooltip="Move to the message or code block below",
        ),
        Binding(
            "c", "copy_message", "Copy", id="transcript.copy_message", tooltip="Copy the text of the message"
        ),
        Binding(
            "y",
            "copy_code",
            "Copy code",
            id="transcript.copy_code",
            tooltip="Copy the code block, exactly as it was written",
        ),
        Binding(
            "m",
            "copy_markdown",
            "Copy Markdown",
            id="transcript.copy_markdown",
            tooltip="Copy the message as Markdown",
        ),
        Binding(
            "t",
            "toggle_thinking",
            "Thinking",
            id="transcript.toggle_thinking",
            tooltip="Show or hide what the model thought",
        ),
    ]

    stop: reactive[Stop | None] = reactive(None, init=False)
    """Where the cursor is; None before it was first moved."""
    _pressed: Place | None = None

    def _show(self, index: int) -> None:
        """An entry changed as a whole."""

    def at_cursor(self, entry: Entry, section: Section, row: int) -> bool:
        """Whether the cursor is on this row, and to be seen.

        The blank line above a code block is not part of it.
        """
        stop = self.stop
        if stop is None or stop.entry is not entry or not self.has_focus:
            return False
        if stop.leaf is None:
            return True
        return Entry.in_code(section, stop.leaf) and (row > 0 or section.part is None or not section.part.gap)

    def _forget_reader(self, entry: Entry | None = None) -> None:
        if entry is None or (self.stop is not None and self.stop.entry is entry):
            self.stop = None
        self._pressed = None

    def action_cursor_up(self) -> None:
        """Move the cursor to the stop above."""
        self._move(-1)

    def action_cursor_down(self) -> None:
        """Move the cursor to the stop below."""
        self._move(1)

    def _move(self, direction: int) -> None:
        document = self.document
        if not document.entries:
            return
        index = document.position(self.stop.entry.id) if self.stop is not None else None
        if self.stop is None or index is None:
            index = min(document.down(self._place, self._view_height - 1).entry, len(document.entries) - 1)
            self._stop_at(index, None)
            return
        stops: list[int | None] = [None, *document.prepare(index).code_blocks()]
        number = stops.index(self.stop.leaf) + direction if self.stop.leaf in stops else 0
        if 0 <= number < len(stops):
            self._stop_at(index, stops[number])
        elif direction > 0 and index + 1 < len(document.entries):
            self._stop_at(index + 1, None)
        elif direction < 0 and index > 0:
            blocks = document.prepare(index - 1).code_blocks()
            self._stop_at(index - 1, blocks[-1] if blocks else None)

    def _stop_at(self, index: int, leaf: int | None) -> None:
        entry = self.document.prepare(index)
        self.stop = Stop(entry, leaf)
        section = 0 if leaf is None else entry.first_section(leaf)
        self._reveal(Place(index, section, 0))

    def action_copy_message(self) -> None:
        """Copy the text of the message at the cursor, or of the last answer."""
        entry = self._chosen()
        if entry is not None:
            self._copy(self._plain_text(entry), "message")

    def action_copy_markdown(self) -> None:
        """Copy the message at the cursor, or the last answer, as Markdown."""
        entry = self._chosen()
        if entry is not None:
            self._copy(entry.markdown, "Markdown")

    def action_copy_code(self) -> None:
        """Copy the code block at the cursor; on a message, its first one."""
        entry = self._chosen()
        index = self.document.position(entry.id) if entry is not None else None
        blocks = self.document.prepare(index).code_blocks() if index is not None else []
        if entry is None or not blocks:
            self.notify("There is no code block in this message.", severity="warning", markup=False)
            return
        leaf = self.stop.leaf if self.stop is not None and self.stop.leaf in blocks else None
        self._copy(entry.code_text(blocks[0] if leaf is None else leaf), "code")

    def _chosen(self) -> Entry | None:
        if self.stop is not None:
            return self.stop.entry
        entries = self.document.entries
        return next(
            (entry for entry in reversed(entries) if entry.role == "assistant"),
            entries[-1] if entries else None,
        )

    def _plain_text(self, entry: Entry) -> str:
        index = self.document.position(entry.id)
        if index is None:
            return ""
        self.document.prepare(index)
        pieces = [
            row.join + row.content
            for number, section in enumerate(entry.sections)
            if section.part is not None and not section.muted
            for row in self.document.rows(index, number)
        ]
        return "".join(pieces).strip("\n")

    def _copy(self, text: str, what: str) -> None:
        self.app.copy_to_clipboard(text)
        self.post_message(Copied(text, what))

    def action_toggle_thinking(self) -> None:
        """Show or hide the thinking of the message at the cursor, or of the last one that has any."""
        entry = self.stop.entry if self.stop is not None and self.stop.entry.thinking else None
        if entry is None:
            entry = next((entry for entry in reversed(self.document.entries) if entry.thinking), None)
        if entry is not None:
            self._toggle(entry)

    def _toggle(self, entry: Entry) -> None:
        index = self.document.position(entry.id)
        if index is not None:
            entry.toggle_thinking()
            self.document.changed(index)
            self._show(index)

    def _place_at(self, x: int, y: int) -> Place | None:
        line = self.scroll_offset.y + y
        return (
            self.document.locate(line) if self.document.entries and 0 <= line < self.document.total else None
        )

    def link_at(self, x: int, y: int) -> str:
        """The address of the link at a cell of the view, or nothing."""
        place = self._place_at(x, y)
        if place is None:
            return ""
        made = self.document.rows(place.entry, place.section)
        links = made[place.row].links if place.row < len(made) else ()
        return next((url for start, end, url in links if start <= x - GUTTER < end), "")

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Remember where, for what a double click selects."""
        self._pressed = self._place_at(event.x, event.y)

    def on_click(self, event: events.Click) -> None:
        """Follow a link by telling so; fold and unfold thinking."""
        if event.chain > 1 or event.button > 1:
            return
        if url := self.link_at(event.x, event.y):
            self.post_message(LinkClicked(url))
            return
        place = self._place_at(event.x, event.y)
        if place is not None:
            entry = self.document.entries[place.entry]
            if place.section < len(entry.sections) and entry.sections[place.section].kind == "thinking":
                self._toggle(entry)
