"""The list of rows: what was drawn once is drawn again only when it looks otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from textual.app import App, ComposeResult
from textual.content import Content
from textual.strip import Strip

from tui.themes import DARK, LIGHT
from tui.widgets.row_list import Row, RowList


class Listing(App[None]):
    """A list of fruit, and how often each was drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[str] = []
        self.state = "ripe"
        self.kinds = [Row(name, self._drawer(name)) for name in ("apple", "banana", "cherry", "damson")]

    def _drawer(self, name: str) -> Callable[[int], Content]:
        def draw(_: int) -> Content:
            self.drawn.append(name)
            return Content.assemble((f"{name} {self.state}", "$accent"))

        return draw

    def compose(self) -> ComposeResult:
        """The list only."""
        yield RowList()

    def on_mount(self) -> None:
        """Both themes of Jackfield."""
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        self.theme = DARK.name
        self.rows.set_rows(self.kinds)

    @property
    def rows(self) -> RowList:
        """The list."""
        return self.query_one(RowList)

    def line(self, y: int) -> Strip:
        """A line as it is on the screen."""
        return self.rows.render_line(y)

    @contextmanager
    def nothing_drawn(self) -> Iterator[None]:
        """Within it no row is made anew."""
        self.drawn.clear()
        yield
        assert [name for name in self.drawn if name != "apple"] == []  # the cursor's is, always


async def test_a_search_draws_only_rows_that_were_not_seen_yet() -> None:
    app = Listing()
    async with app.run_test() as pilot:
        await pilot.pause()
        with app.nothing_drawn():
            app.rows.set_rows([app.kinds[0], app.kinds[2]], only_found=True)
            await pilot.pause()
            assert app.line(1).text.startswith("cherry ripe")
            app.rows.set_rows(app.kinds, only_found=True)
            await pilot.pause()
            assert app.line(1).text.startswith("banana ripe")


async def test_rows_are_drawn_anew_when_what_they_stand_for_changed() -> None:
    app = Listing()
    async with app.run_test() as pilot:
        await pilot.pause()
        app.state = "eaten"
        app.rows.redraw()
        await pilot.pause()
        assert app.line(2).text.startswith("cherry eaten")
        app.state = "gone"
        app.rows.set_rows(app.kinds)
        await pilot.pause()
        assert app.line(2).text.startswith("cherry gone")


async def test_the_cursor_stays_in_view_when_the_list_gets_smaller() -> None:
    app = Listing()
    async with app.run_test(size=(40, 4)) as pilot:
        await pilot.press("end")
        await pilot.pause()
        await pilot.resize_terminal(40, 2)
        await pilot.pause()
        assert [app.line(y).text.split()[0] for y in range(2)] == ["cherry", "damson"]


async def test_another_theme_and_another_width_show_at_once() -> None:
    app = Listing()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        dark = app.line(2)
        app.theme = LIGHT.name
        await pilot.pause()
        light = app.line(2)
        assert light.text == dark.text
        assert [segment.style for segment in light] != [segment.style for segment in dark]
        await pilot.resize_terminal(40, 24)
        await pilot.pause()
        assert app.line(2).cell_length < dark.cell_length
