"""Chooses what of the marketplace's list is shown, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from tui.market_facets import KIND_WORDS, ONLY_WORDS, RUNTIME_WORDS, SORT_WORDS, Facets
from tui.widgets.row_list import Row, RowList


class FacetsScreen(ModalScreen[None]):
    """Choices beside the list, which follows each of them at once.

    Args:
        facets: what is chosen.
        use: called with every change.
    """

    DEFAULT_CSS = """
    FacetsScreen { align: right top; background: $background 20%; }
    FacetsScreen > Vertical {
        width: 34; height: auto; max-height: 100%; background: $surface; border: round $border; padding: 0 1;
    }
    FacetsScreen RowList { background: $surface; height: auto; max-height: 100%; }
    """
    AUTO_FOCUS = "RowList"
    BINDING_GROUP_TITLE = "Filter"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "tick", "Choose", id="facets.toggle", tooltip="Choose it, or no longer"),
        Binding("c", "clear", "Clear", id="facets.clear", tooltip="Show everything again"),
        Binding("escape,f", "dismiss", "Close", id="facets.close", tooltip="Back to the list"),
    ]

    rows = getters.query_one(RowList)

    def __init__(self, facets: Facets, use: Callable[[Facets], None]) -> None:
        super().__init__()
        self._facets = facets
        self._use = use

    def compose(self) -> ComposeResult:
        """One list of all choices."""
        with Vertical() as box:
            box.border_title = "Show only"
            box.border_subtitle = "Space, c clears, Esc"
            yield RowList()

    def on_mount(self) -> None:
        """The choices, under headings."""
        rows = [
            *self._rows("Adds", KIND_WORDS),
            *self._rows("Runs", RUNTIME_WORDS),
            *self._rows("Is", ONLY_WORDS),
            *self._rows("Order", {sort.value: word for sort, word in SORT_WORDS.items()}, "○●"),
        ]
        self.rows.styles.height = len(rows)
        self.rows.set_rows(rows)

    def _rows(self, heading: str, words: Mapping[str, str], glyphs: str = "☐☑") -> list[Row]:
        title = Content.styled(heading, "$foreground-muted bold")
        return [
            Row(f"#{heading}", lambda _: title, heading=True),
            *(Row(choice, self._drawer(choice, word, glyphs)) for choice, word in words.items()),
        ]

    def _drawer(self, choice: str, word: str, glyphs: str) -> Callable[[int], Content]:
        return lambda _: Content(f"{glyphs[self._facets.has(choice)]} {word}")

    @on(RowList.Chosen)
    def action_tick(self) -> None:
        """Change the choice under the cursor."""
        if self.rows.key is not None:
            self._change(self._facets.toggled(self.rows.key))

    def action_clear(self) -> None:
        """Show everything, in the same order as before."""
        self._change(Facets(sort=self._facets.sort))

    def _change(self, facets: Facets) -> None:
        self._facets = facets
        self._use(facets)
        self.rows.redraw()
