"""A list of one-line rows that draws only what is visible, so that ten thousand rows cost what ten do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style
from textual.visual import Visual

_MOST_DRAWN: Final = 500


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Args:
        key: what the row stands for.
        draw: its content for a width in cells; called when the row is visible.
        heading: a row that only divides others and cannot be chosen.
    """

    key: str
    draw: Callable[[int], Content]
    heading: bool = False


class RowList(ScrollView, can_focus=True):
    """Rows with a cursor.

    Args:
        classes: `-lit` shows the cursor as focused always, for a list that is moved through from a field.
    """

    DEFAULT_CSS = """
    RowList { height: 1fr; background: $background; overflow-x: hidden; scrollbar-size-vertical: 1; }
    RowList > .row-list--row { color: $text; background: $background; }
    RowList > .row-list--cursor { color: $text; background: $panel; }
    RowList:focus > .row-list--cursor, RowList.-lit > .row-list--cursor {
        color: $block-cursor-foreground; background: $block-cursor-background;
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"row-list--row", "row-list--cursor"}
    BINDING_GROUP_TITLE = "List"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", id="list.up", show=False, tooltip="The row above"),
        Binding("down,j", "move(1)", "Down", id="list.down", show=False, tooltip="The row below"),
        Binding("pageup", "page(-1)", "Page up", id="list.page_up", show=False, tooltip="A page up"),
        Binding("pagedown", "page(1)", "Page down", id="list.page_down", show=False, tooltip="A page down"),
        Binding("home", "first", "First", id="list.first", show=False, tooltip="The first row"),
        Binding("end", "last", "Last", id="list.last", show=False, tooltip="The last row"),
        Binding("enter", "choose", "Choose", id="list.choose", show=False, tooltip="Choose this row"),
    ]

    cursor: reactive[int] = reactive(0)

    @dataclass
    class Moved(Message):
        """The cursor stands on another row, or on none."""

        key: str | None

    @dataclass
    class Chosen(Message):
        """A row was chosen."""

        key: str

    def __init__(self, *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self._rows: Sequence[Row] = ()
        self._drawn: dict[tuple[Row, int, Style], Strip] = {}
        """Lines as they were drawn: a list that one searches shows most of them again."""

    def set_rows(self, rows: Sequence[Row], *, keep: str | None = None, only_found: bool = False) -> None:
        """Replace all rows; the cursor goes to the row with the key `keep`, else stays where it was.

        Args:
            rows: all of them.
            keep: where the cursor goes.
            only_found: nothing changed but which rows a search found: those that were drawn look as they did.
        """
        if not only_found:
            self._drawn.clear()
        wanted = keep if keep is not None else self.key
        self._rows = rows
        self.virtual_size = Size(0, len(rows))
        place = next((index for index, row in enumerate(rows) if row.key == wanted), None)
        target = min(self.cursor, max(len(rows) - 1, 0)) if place is None else place
        self.set_reactive(RowList.cursor, self._choosable(target, 1))
        self._show_cursor()
        self.refresh()
        self.post_message(self.Moved(self.key))

    @property
    def key(self) -> str | None:
        """What the cursor stands on; None on an empty list."""
        if 0 <= self.cursor < len(self._rows) and not self._rows[self.cursor].heading:
            return self._rows[self.cursor].key
        return None

    def redraw(self) -> None:
        """Draw the rows anew, after what they stand for changed."""
        self._drawn.clear()
        self.refresh()

    def notify_style_update(self) -> None:
        """Another theme has other colours."""
        self._drawn.clear()
        super().notify_style_update()

    def _choosable(self, index: int, step: int) -> int:
        """The nearest row from `index` on that is no heading; looks the other way at an end."""
        for direction in (step, -step):
            place = index
            while 0 <= place < len(self._rows):
                if not self._rows[place].heading:
                    return place
                place += direction
        return 0

    def watch_cursor(self) -> None:
        """Keep the cursor in view."""
        self._show_cursor()
        self.refresh()
        self.post_message(self.Moved(self.key))

    def on_resize(self) -> None:
        """A line more below the list must not hide the row under the cursor."""
        self._show_cursor()

    def _show_cursor(self) -> None:
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)

    def action_move(self, step: int) -> None:
        """Move the cursor by one row."""
        self._move_to(self.cursor + step, step)

    def action_page(self, direction: int) -> None:
        """Move the cursor by a page."""
        self._move_to(self.cursor + direction * max(self.size.height - 1, 1), direction)

    def action_first(self) -> None:
        """Go to the first row."""
        self._move_to(0, 1)

    def action_last(self) -> None:
        """Go to the last row."""
        self._move_to(len(self._rows) - 1, -1)

    def _move_to(self, index: int, step: int) -> None:
        if self._rows:
            self.cursor = self._choosable(min(max(index, 0), len(self._rows) - 1), 1 if step > 0 else -1)

    def action_choose(self) -> None:
        """Choose the row under the cursor."""
        if self.key is not None:
            self.post_message(self.Chosen(self.key))

    def on_click(self, event: events.Click) -> None:
        """Move to the row that was clicked; a second click chooses it."""
        index = event.y + self.scroll_offset.y
        if not 0 <= index < len(self._rows) or self._rows[index].heading:
            return
        self.cursor = index
        if event.chain == 2:
            self.action_choose()

    def render_line(self, y: int) -> Strip:
        """One visible line."""
        width = self.scrollable_content_region.width
        index = y + self.scroll_offset.y
        if index >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[index]
        name = "row-list--cursor" if index == self.cursor and not row.heading else "row-list--row"
        if index == self.cursor and (self.has_focus or self.has_class("-lit")):
            # colours of its own would drown in the cursor's
            return self._line(Content(row.draw(width).plain), width, self.get_visual_style(name))
        style = self.get_visual_style(name)
        place = (row, width, style)
        if place not in self._drawn:
            if len(self._drawn) >= _MOST_DRAWN:
                self._drawn.clear()
            self._drawn[place] = self._line(row.draw(width), width, style)
        return self._drawn[place]

    def _line(self, content: Content, width: int, style: Style) -> Strip:
        content = content.truncate(width, ellipsis=True, pad=True)
        return Visual.to_strips(self, content, width, 1, style)[0]
