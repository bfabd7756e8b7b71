"""The widget: one line-API view of a whole conversation.

Nothing here grows with the conversation: a frame looks at the lines that are seen, a delta at the open block,
a key at the place where the reader is.
"""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.binding import BindingType
from textual.cache import LRUCache
from textual.geometry import Region
from textual.strip import Strip
from textual.timer import Timer

from tui.transcript.document import Place
from tui.transcript.entry import Entry
from tui.transcript.finding import Finding
from tui.transcript.messages import (
    Copied,
    LinkClicked,
    Role,
    TranscriptMessage,
)
from tui.transcript.palette import COMPONENTS, GUTTER, Palette, overlay
from tui.transcript.reader import Reader
from tui.transcript.rows import Row
from tui.transcript.search import Search
from tui.transcript.selection import Selecting, line_key
from tui.transcript.viewport import Viewport

FRAME: Final = 0.05
"""Seconds between two flushes of streamed text, at least."""
BUSY: Final = 0.008
"""Seconds that one slice of work may take before it lets the event loop run."""
PAUSE: Final = 4
"""A flush waits this many times what the last one cost."""
STRIPS: Final = 300
"""Coloured lines that are kept. Each is a hundred objects, which the garbage collector must look at."""
HINT: Final = " ↓ more below · End "


class Transcript(Reader, Finding, Selecting, can_focus=True):
    """A conversation that streams, scrolls, searches and copies, whatever its length.

    Text is plain Markdown that the caller has sanitised; nothing in it is ever taken for markup of Textual's.
    """

    DEFAULT_CSS = (Path(__file__).parent / "transcript.tcss").read_text(encoding="utf-8")
    COMPONENT_CLASSES: ClassVar[set[str]] = set(COMPONENTS)
    ALLOW_SELECT = True
    BINDINGS: ClassVar[list[BindingType]] = [
        *Reader.KEYS,
        *Viewport.SCROLL_KEYS,
    ]

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(name=name, id=id, classes=classes)
        self.search_state = Search(self.document)
        self._palette = Palette(self._style_of)
        self._strips: LRUCache[int, tuple[Row, Strip]] = LRUCache(STRIPS)
        self._serial = 0
        self._open: Entry | None = None
        self._feeding: dict[Entry, None] = {}
        self._flush_timer: Timer | None = None
        self._idle_timer: Timer | None = None
        self._flushed = 0.0
        self._cost = 0.0
        self._painting = False
        self._paint_cost = 0.0

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
        self.search_state.stale(self.document.entries[-1])
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
        """Add text to the open message.

        It is drawn with the next frame. Without an open message nothing happens.
        """
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
        """Finish the open message.

        A note such as "stopped" is shown below it. Text still waiting is shown in full.
        """
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
            self.search_state.stale(self.document.entries[index])
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
                self.search_state.stale(entry)
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

    def render_lines(self, crop: Region) -> list[Strip]:
        """Textual's hook; the time it takes counts towards the pause before the next flush."""
        start = perf_counter()
        self._painting = True
        try:
            return super().render_lines(crop)
        finally:
            self._painting = False
            self._paint_cost += perf_counter() - start

    def render_line(self, y: int) -> Strip:
        """Draw one line of the view.

        Offsets for the selection are only put in where Textual asks for a line by itself, which it does to
        find what is under the mouse: they cost more than all the rest of a line.
        """
        width = self.scrollable_content_region.width
        line = self.scroll_offset.y + y
        if line >= self.document.total:
            strip = Strip.blank(width, self._style_of())
        else:
            strip = self._strip(self.document.locate(line), width)
        if self.more_below and y == self._view_height - 1 and width > len(HINT):
            strip = Strip.join([strip.crop(0, width - len(HINT)), self._hint()])
        return strip

    def _hint(self) -> Strip:
        return Strip([Segment(HINT, self._palette.named("hint"))], len(HINT))

    def _strip(self, place: Place, width: int) -> Strip:
        entry = self.document.entries[place.entry]
        made = self.document.rows(place.entry, place.section)
        section = entry.sections[place.section]
        if place.row >= len(made):
            return Strip.blank(width, self._style_of())
        key = line_key(entry, place)
        role = "" if section.kind == "space" and place.section == 0 else entry.role
        ground = role or "assistant"
        if role and self.at_cursor(entry, section, place.row):
            strip = self._palette.strip(made[place.row], ground, width, self._palette.named("cursor"))
        else:
            cached = self._strips.get(key)
            if cached is None or cached[0] is not made[place.row] or cached[1].cell_length != width:
                cached = (made[place.row], self._palette.strip(made[place.row], ground, width))
                self._strips[key] = cached
            strip = cached[1]
        for start, end, current in self.search_state.marks(place, made[place.row]):
            strip = overlay(
                strip,
                start + GUTTER,
                end + GUTTER,
                self._palette.named("match-current" if current else "match"),
            )
        strip = self.with_selection(strip, key)
        return strip if self._painting else strip.apply_offsets(0, key)

    def _style_of(self, *names: str) -> RichStyle:
        return self.get_visual_style(*names).rich_style

    def notify_style_update(self) -> None:
        """Textual's hook: the theme may have changed."""
        super().notify_style_update()
        self._palette.clear()
        self._strips.clear()


__all__ = ["Copied", "LinkClicked", "Transcript"]
