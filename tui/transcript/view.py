"""The widget: one line-API view of a whole conversation.

Nothing here grows with the conversation: a frame looks at the lines that are seen, a delta at the open block, a key at the place where
the reader is.
"""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import ClassVar, Final

from rich.style import Style as RichStyle
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer

from tui.transcript.document import Document, Place
from tui.transcript.entry import Entry
from tui.transcript.messages import (
    Copied,
    FollowingChanged,
    LinkClicked,
    Role,
    SearchMoved,
    TranscriptMessage,
)
from tui.transcript.palette import COMPONENTS, GUTTER, Palette, overlay
from tui.transcript.reader import Reader
from tui.transcript.search import Search
from tui.transcript.selection import Selecting, line_key

FRAME: Final = 0.05
"""Seconds between two flushes of streamed text, at least."""
BUSY: Final = 0.008
"""Seconds that one slice of work may take before it lets the event loop run."""
PAUSE: Final = 4
"""A flush waits this many times what the last one cost."""
HINT: Final = " ↓ more below · End "


class Transcript(Reader, Selecting, ScrollView, can_focus=True):
    """A conversation that streams, scrolls, searches and copies, whatever its length.

    Text is plain Markdown that the caller has sanitised; nothing in it is ever taken for markup of Textual's.
    """

    DEFAULT_CSS = (Path(__file__).parent / "transcript.tcss").read_text(encoding="utf-8")
    COMPONENT_CLASSES: ClassVar[set[str]] = set(COMPONENTS)
    ALLOW_SELECT = True
    BINDINGS: ClassVar[list[BindingType]] = [
        *Reader.KEYS,
        Binding("up", "scroll_up", "Up", id="transcript.scroll_up", tooltip="Scroll one line up", show=False),
        Binding(
            "down",
            "scroll_down",
            "Down",
            id="transcript.scroll_down",
            tooltip="Scroll one line down",
            show=False,
        ),
        Binding(
            "pageup",
            "page_up",
            "Page up",
            id="transcript.page_up",
            tooltip="Scroll one screen up",
            show=False,
        ),
        Binding(
            "pagedown",
            "page_down",
            "Page down",
            id="transcript.page_down",
            tooltip="Scroll one screen down",
            show=False,
        ),
        Binding(
            "home",
            "scroll_home",
            "Top",
            id="transcript.home",
            tooltip="Go to the start of the conversation",
            show=False,
        ),
        Binding(
            "end",
            "scroll_end",
            "Bottom",
            id="transcript.end",
            tooltip="Go to the end and follow new text",
            show=False,
        ),
    ]

    following: reactive[bool] = reactive(True, init=False)
    """Whether the end stays in view as text arrives."""
    more_below: reactive[bool] = reactive(False, init=False)
    """Whether text came, below what is seen, while the reader was elsewhere."""

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(name=name, id=id, classes=classes)
        self.document = Document()
        self.search_state = Search(self.document)
        self._palette = Palette(self._style_of)
        self._place = Place(0, 0, 0)
        self._settled_y = 0
        self._moving = False
        self._serial = 0
        self._open: Entry | None = None
        self._feeding: dict[Entry, None] = {}
        self._flush_timer: Timer | None = None
        self._idle_timer: Timer | None = None
        self._flushed = 0.0
        self._cost = 0.0
        self._paint_cost = 0.0
        self._clean = False

    # -- what is shown --------------------------------------------------------------------------------------------------

    def load(self, messages: Sequence[TranscriptMessage]) -> None:
        """Show these messages and nothing else, the end in view. Only what is seen is parsed."""
        self._forget_reader()
        self._open = None
        self._feeding.clear()
        self.search_state.clear()
        self.document.reset(self._entry(message) for message in messages)
        self.following = True
        self._settle()
        self.refresh()

    def clear(self) -> None:
        """Show nothing."""
        self.load(())

    def add(self, message: TranscriptMessage) -> None:
        """Add a finished message at the end."""
        self.document.append(self._entry(message))
        self._show(len(self.document.entries) - 1)

    def open(self, message_id: str, role: Role = "assistant", label: str = "") -> None:
        """Begin the one message that grows; an open one is closed first."""
        if self._open is not None:
            self.close()
        entry = self._entry(TranscriptMessage(message_id, role, "", label), is_open=True)
        entry.prepare(self.document.width)
        self._open = entry
        self.document.append(entry)
        self._show(len(self.document.entries) - 1)

    def append(self, delta: str) -> None:
        """Add text to the open message; it is drawn with the next frame. Without an open message nothing happens."""
        if self._open is not None and delta:
            self._open.append(delta)
            self._feeding[self._open] = None
            self._schedule()

    def append_thinking(self, delta: str) -> None:
        """Add to what the model thinks, shown muted above the answer until the answer starts."""
        if self._open is not None and delta:
            self._open.append_thinking(delta)
            self._feeding[self._open] = None
            self._schedule()

    def close(self, note: str = "") -> None:
        """Finish the open message; a note such as "stopped" is shown below it. Text still waiting is shown in full."""
        entry, self._open = self._open, None
        if entry is not None:
            entry.close(note)
            self._feeding[entry] = None
            self._flush()

    def replace(self, message_id: str, markdown: str) -> None:
        """Put another text in the place of a finished message's. Unknown ids are ignored."""
        index = self.document.position(message_id)
        if index is not None:
            self.document.entries[index].replace(markdown)
            self.document.changed(index)
            self.search_state.stale()
            self._show(index)

    def remove_message(self, message_id: str) -> None:
        """Take a message out. Unknown ids are ignored."""
        index = self.document.position(message_id)
        if index is None:
            return
        entry = self.document.entries[index]
        self._feeding.pop(entry, None)
        if entry is self._open:
            self._open = None
        self._forget_reader(entry)
        self.document.remove(index)
        self.search_state.stale()
        if index < self._place.entry:
            self._place = self._place._replace(entry=self._place.entry - 1)
        elif index == self._place.entry:
            self._place = Place(index, 0, 0)
        self._settle()
        self.refresh()

    @property
    def busy(self) -> bool:
        """Whether text waits to be parsed or drawn."""
        return bool(self._feeding) or self._flush_timer is not None

    def _entry(self, message: TranscriptMessage, *, is_open: bool = False) -> Entry:
        self._serial += 1
        return Entry(message, self._serial, is_open=is_open)

    def _show(self, index: int) -> None:
        """An entry changed as a whole: place everything anew and draw."""
        if not self.following:
            self.more_below = self.more_below or index > self._place.entry
        self._settle()
        self.refresh()

    # -- streaming ------------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        """Flush with the next frame, and never more often than the machine can bear."""
        if self._flush_timer is None and self.is_attached:
            wait = max(FRAME, PAUSE * self._cost) - (perf_counter() - self._flushed)
            self._flush_timer = self.set_timer(max(wait, 0.001), self._flush)

    def _flush(self) -> None:
        """Parse and draw what came; what is too much for one slice waits for the next."""
        if self._flush_timer is not None:
            self._flush_timer.stop()
            self._flush_timer = None
        start = perf_counter()
        first: int | None = None
        for entry in list(self._feeding):
            while entry.feed() and perf_counter() - start < BUSY:
                pass
            if entry.settled:
                del self._feeding[entry]
            index = self.document.position(entry.id)
            if index is not None:
                changed = self.document.sync(index)
                first = changed if first is None else min(first, changed)
                self.search_state.stale()
            if perf_counter() - start > BUSY:
                break
        if first is not None:
            self._draw_from(first)
        self._flushed = perf_counter()
        self._cost = self._flushed - start + self._paint_cost
        self._paint_cost = 0.0
        if self._feeding:
            self._cost = min(self._cost, FRAME / PAUSE)
            self._schedule()
        else:
            self._rest()

    def _draw_from(self, line: int) -> None:
        """Settle, and repaint from a line of the conversation on if it is in view."""
        before, total = round(self.scroll_y), self.virtual_size.height
        self._settle()
        if not self.following and self.document.total > total:
            self.more_below = True
        if round(self.scroll_y) != before:
            return  # the scroll has repainted everything
        top = line - before
        if top < self.size.height:
            top = max(top, 0)
            self.refresh(Region(0, top, self.size.width, self.size.height - top))

    # -- geometry -------------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Make what is in view exact, then tell Textual the height and the position."""
        document, height = self.document, self._view_height
        if not self.size or not document.entries:
            self._place_view(0)
            return
        if self.following:
            document.up(document.end, height)
            self._place_view(document.total - height)
            return
        document.down(self._place, height)
        line = document.line(self._place)
        if line + height >= document.total:
            document.up(document.end, height)
        self._place_view(line)

    @property
    def _view_height(self) -> int:
        return self.scrollable_content_region.height

    def _place_view(self, line: int) -> None:
        document, height = self.document, self._view_height
        total = document.total
        line = max(min(line, total - height), 0)
        if self.virtual_size.height != total or self.virtual_size.width != self.size.width:
            self.set_reactive(Transcript.virtual_size, Size(self.size.width, total))
            bar = self.vertical_scrollbar
            bar.window_virtual_size, bar.window_size = total, height
        self._moving = True
        try:
            self.scroll_to(y=line, animate=False, force=True, immediate=True)
        finally:
            self._moving = False
        self._settled_y = line
        if document.entries and self.size:
            self._place = document.locate(line)
        self._rest()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Textual's hook. Follow the reader: what comes into view is measured from what was in view."""
        super().watch_scroll_y(old_value, new_value)
        if self._moving or not self.document.entries:
            return
        document, height = self.document, self._view_height
        delta = round(new_value) - self._settled_y
        if new_value >= self.max_scroll_y and (delta > 0 or self.following):
            self.following = True
        else:
            self.following = False
            if abs(delta) > 3 * height:
                self._place = document.locate(round(new_value))
            elif delta < 0:
                self._place = document.up(self._place, -delta)
            else:
                self._place = document.down(self._place, delta)
        self._settle()

    def on_resize(self, event: events.Resize) -> None:
        """Wrap again, what is in view first, and keep the reader's place."""
        width = max(self.scrollable_content_region.width - GUTTER, 1)
        if width != self.document.width:
            self._rewrap(width)
        self._settle()
        self.refresh()

    def _rewrap(self, width: int) -> None:
        document, place = self.document, self._place
        before = self._characters_above(place)
        document.resize(width)
        if place.entry < len(document.entries):
            sections = document.prepare(place.entry).sections
            if place.section < len(sections):
                self._place = place._replace(row=self._row_after(place, before))
        if self.is_attached and self.text_selection is not None:
            self.screen.clear_selection()

    def _characters_above(self, place: Place) -> int:
        """Characters of the section above the row: what identifies a row at any width."""
        if place.entry >= len(self.document.entries):
            return 0
        sections = self.document.entries[place.entry].sections
        if place.section >= len(sections):
            return 0
        made = sections[place.section].rows or []
        return sum(len(row.content) + len(row.join) for row in made[: place.row])

    def _row_after(self, place: Place, characters: int) -> int:
        made = self.document.rows(place.entry, place.section)
        for index, row in enumerate(made):
            characters -= len(row.content) + len(row.join)
            if characters < 0:
                return index
        return max(len(made) - 1, 0)

    # -- rest: what may wait ----------------------------------------------------------------------------------------------

    def _rest(self) -> None:
        """When nothing else is to do, measure what is just outside the view, and search on."""
        if self._idle_timer is None and self.is_attached:
            self._idle_timer = self.set_timer(0.1, self._idle)

    def _idle(self) -> None:
        self._idle_timer = None
        if self._feeding:
            self._schedule()
            return
        document, height = self.document, self._view_height
        if not document.entries or not self.size:
            return
        waiting = [
            entry
            for entry in document.entries[self._place.entry : self._place.entry + height]
            if entry.prepared
        ]
        for entry in waiting:
            if not entry.settled:
                self._feeding[entry] = None
        if self._feeding:
            self._schedule()
            return
        until = perf_counter() + BUSY / 2
        before = document.line(self._place), document.total
        document.up(self._place, 2 * height, until=until)
        document.down(self._place, 3 * height, until=until)
        if self.search_state.advance(until):
            self._tell_search()
        if self.search_state.running or perf_counter() > until:
            self._rest()
        if (document.line(self._place), document.total) != before:
            self._settle()

    # -- drawing --------------------------------------------------------------------------------------------------------

    def render_lines(self, crop: Region) -> list[Strip]:
        """Textual's hook; the time it takes counts towards the pause before the next flush."""
        start = perf_counter()
        strips = super().render_lines(crop)
        self._paint_cost += perf_counter() - start
        return strips

    def render_line(self, y: int) -> Strip:
        """Draw one line of the view."""
        width = self.scrollable_content_region.width
        line = self.scroll_offset.y + y
        if line >= self.document.total:
            strip = Strip.blank(width, self._style_of())
        else:
            strip = self._strip(self.document.locate(line), width)
        if self.more_below and y == self._view_height - 1 and width > len(HINT):
            strip = Strip([*strip.crop(0, width - len(HINT)), *Strip.blank(0)], width - len(HINT))
            strip = Strip.join([strip, self._hint()])
        return strip

    def _hint(self) -> Strip:
        from rich.segment import Segment

        return Strip([Segment(HINT, self._palette.extra("hint"))], len(HINT))

    def _strip(self, place: Place, width: int) -> Strip:
        entry = self.document.entries[place.entry]
        made = self.document.rows(place.entry, place.section)
        section = entry.sections[place.section]
        if place.row >= len(made):
            return Strip.blank(width, self._style_of())
        key = line_key(entry, place)
        role = "" if section.kind == "space" and place.section == 0 else entry.role
        ground = role or "assistant"
        if self.at_cursor(entry, section) and role:
            strip = self._palette.strip(
                made[place.row], ground, width, self._palette.extra("cursor")
            ).apply_offsets(0, key)
        else:
            if section.strips is None:
                section.strips = [None] * len(made)
            cached = section.strips[place.row]
            if cached is None or cached.cell_length != width:
                cached = self._palette.strip(made[place.row], ground, width).apply_offsets(0, key)
                section.strips[place.row] = cached
            strip = cached
        for start, end, current in self.search_state.marks(place, made[place.row]):
            strip = overlay(
                strip,
                start + GUTTER,
                end + GUTTER,
                self._palette.extra("match-current" if current else "match"),
            )
        return self.with_selection(strip, key)

    def _style_of(self, *names: str) -> RichStyle:
        return self.get_visual_style(*names).rich_style

    def notify_style_update(self) -> None:
        """Textual's hook: the theme may have changed."""
        super().notify_style_update()
        self._palette.clear()
        self.document.forget_strips()

    # -- state ----------------------------------------------------------------------------------------------------------

    def watch_following(self, following: bool) -> None:
        """Tell the surroundings; at the end there is nothing more below."""
        if following:
            self.more_below = False
        self.post_message(FollowingChanged(following))

    def action_scroll_end(self) -> None:
        """Go to the end, and follow it again."""
        self.following = True
        self._settle()
        self.refresh()

    def action_scroll_home(self) -> None:
        """Go to the start."""
        self._go_to(Place(0, 0, 0))

    def action_scroll_up(self) -> None:
        """Scroll one line up."""
        self.scroll_to(y=self.scroll_y - 1, animate=False)

    def action_scroll_down(self) -> None:
        """Scroll one line down."""
        self.scroll_to(y=self.scroll_y + 1, animate=False)

    def action_page_up(self) -> None:
        """Scroll one screen up."""
        self.scroll_to(y=self.scroll_y - max(self._view_height - 1, 1), animate=False)

    def action_page_down(self) -> None:
        """Scroll one screen down."""
        self.scroll_to(y=self.scroll_y + max(self._view_height - 1, 1), animate=False)

    def _go_to(self, place: Place) -> None:
        """Bring a row to the top of the view, or as far up as the end allows."""
        self.following = False
        self._place = place
        self._settle()
        self.following = self.scroll_y >= self.max_scroll_y
        self.refresh()

    def _reveal(self, place: Place) -> None:
        """Bring a row into view, moving no more than needed."""
        height = self._view_height
        top = self.document.line(self._place)
        line = self.document.line(place)
        if line < top:
            self._go_to(place)
        elif line >= top + height:
            self._go_to(self.document.up(place, height - 1))
        else:
            self.refresh()

    # -- search ---------------------------------------------------------------------------------------------------------

    def search(self, query: str) -> int:
        """Find text, without regard to case, and go to the match nearest above the end of the view.

        Returns:
            Matches found so far; a long conversation is searched on in the background, and SearchMoved says so.
        """
        self.search_state.start(query)
        self.search_state.advance(perf_counter() + 4 * BUSY)
        bottom = self.document.up(self.document.end, 1) if self.following else self._place
        self._go_to_match(self.search_state.nearest(bottom))
        self._rest()
        return self.search_state.total

    def search_next(self) -> None:
        """Go to the next match, after the last to the first."""
        self._go_to_match(self.search_state.step(1))

    def search_previous(self) -> None:
        """Go to the match before, before the first to the last."""
        self._go_to_match(self.search_state.step(-1))

    def clear_search(self) -> None:
        """Forget the search and its marks."""
        self.search_state.clear()
        self.refresh()

    def _go_to_match(self, place: Place | None) -> None:
        if place is not None:
            self._reveal(place)
        self.refresh()
        self._tell_search()

    def _tell_search(self) -> None:
        self.post_message(SearchMoved(self.search_state.current, self.search_state.total))


__all__ = ["Copied", "LinkClicked", "Transcript"]
