"""Where the reader is: the part of the transcript that scrolls.

The position is kept as a place in the conversation, not as a number of lines, so that nothing above it can
move it.
"""

from typing import ClassVar, Final

from textual import events
from textual.binding import Binding
from textual.geometry import Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView

from tui.transcript.document import Document, Place
from tui.transcript.messages import FollowingChanged
from tui.transcript.palette import GUTTER

JUMP: Final = 3
"""Screens beyond which a scroll goes to where the estimates say, instead of measuring its way there."""


class Viewport(ScrollView):
    """Scrolls over a document, and follows its end while the reader is there."""

    SCROLL_KEYS: ClassVar[list[Binding]] = [
        Binding(key, action, label, id=f"transcript.{name}", tooltip=tooltip, show=False)
        for key, action, label, name, tooltip in (
            ("up", "scroll_up", "Up", "scroll_up", "Scroll one line up"),
            ("down", "scroll_down", "Down", "scroll_down", "Scroll one line down"),
            ("pageup", "page_up", "Page up", "page_up", "Scroll one screen up"),
            ("pagedown", "page_down", "Page down", "page_down", "Scroll one screen down"),
            ("home", "scroll_home", "Top", "home", "Go to the start of the conversation"),
            ("end", "scroll_end", "Bottom", "end", "Go to the end and follow new text"),
        )
    ]

    following: reactive[bool] = reactive(True, init=False)
    """Whether the end stays in view as text arrives."""
    more_below: reactive[bool] = reactive(False, init=False)
    """Whether text came, below what is seen, while the reader was elsewhere."""

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(name=name, id=id, classes=classes)
        self.document = Document()
        self._place = Place(0, 0, 0)
        self._settled_y = 0
        self._moving = False

    def _rest(self) -> None:
        """Have what may wait done later."""

    def watch_following(self, following: bool) -> None:
        """Tell the surroundings; at the end there is nothing more below."""
        if following:
            self.more_below = False
        self.post_message(FollowingChanged(following))

    def _settle(self) -> None:
        """Make what is in view exact, then tell Textual the height and the position."""
        if not self.size or not self.document.entries:
            self._place_view(0)
            return
        self._fit()
        document, height = self.document, self._view_height
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
            self.set_reactive(Viewport.virtual_size, Size(self.size.width, total))
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
            if abs(delta) > JUMP * height:
                self._place = document.locate(round(new_value))
            elif delta < 0:
                self._place = document.up(self._place, -delta)
            else:
                self._place = document.down(self._place, delta)
        self._settle()

    def on_resize(self, event: events.Resize) -> None:
        """Wrap again, what is in view first, and keep the reader's place."""
        self._settle()
        self.refresh()

    def _fit(self) -> None:
        """Wrap again if the width has changed."""
        width = max(self.scrollable_content_region.width - GUTTER, 1)
        if width != self.document.width:
            self._rewrap(width)

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
