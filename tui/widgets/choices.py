"""The options of a select, all visible: one of them, or any of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from tui.widgets.row_list import Row, RowList

MOST_LINES = 6
"""How many options are seen at once; the others are scrolled to."""


class Choices(RowList):
    """Options with a mark before each. Moving chooses, where one is to be chosen; Space ticks, where any may.

    Args:
        options: value and label of each.
        chosen: the values that are chosen at first.
        several: whether any number may be chosen.
    """

    DEFAULT_CSS = """
    Choices { height: auto; }
    """
    BINDING_GROUP_TITLE = "Choices"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "tick", "Choose", id="choices.tick", show=False, tooltip="Choose it, or no longer"),
    ]

    @dataclass
    class Changed(Message):
        """Another option is chosen."""

    @dataclass
    class Submitted(Message):
        """Enter was pressed."""

    def __init__(
        self, options: Sequence[tuple[str, str]], chosen: Sequence[str] = (), *, several: bool = False
    ) -> None:
        super().__init__()
        self._options = dict(options)
        self._chosen = [value for value in self._options if value in chosen]
        if not several:
            self._chosen = self._chosen[:1]
        self._several = several
        self._stood_on: str | None = None

    @property
    def chosen(self) -> tuple[str, ...]:
        """The values that are chosen, in the order of the options."""
        return tuple(value for value in self._options if value in self._chosen)

    def on_mount(self) -> None:
        """Show the options, the cursor on the first that is chosen."""
        self.styles.height = max(1, min(MOST_LINES, len(self._options)))
        rows = [Row(value, self._drawer(value, label)) for value, label in self._options.items()]
        self._stood_on = self._chosen[0] if self._chosen else next(iter(self._options), None)
        self.set_rows(rows, keep=self._stood_on)

    def _drawer(self, value: str, label: str) -> Callable[[int], Content]:
        glyphs = "☐☑" if self._several else "○●"
        return lambda _: Content(f"{glyphs[value in self._chosen]} {label}")

    @on(RowList.Moved)
    def _follow(self, event: RowList.Moved) -> None:
        event.stop()
        if event.key != self._stood_on:
            self._stood_on = event.key
            if not self._several:
                self._choose(event.key)

    @on(RowList.Chosen)
    def _submit(self, event: RowList.Chosen) -> None:
        event.stop()
        if not self._several:
            self._choose(event.key)
        self.post_message(self.Submitted())

    def action_tick(self) -> None:
        """Choose the option under the cursor; where several may be chosen, or no longer."""
        if self._several and self.key in self._chosen:
            self._chosen.remove(self.key)
            self._tell()
        else:
            self._choose(self.key)

    def _choose(self, value: str | None) -> None:
        if value is None or value in self._chosen:
            return
        self._chosen = [*self._chosen, value] if self._several else [value]
        self._tell()

    def _tell(self) -> None:
        self.redraw()
        self.post_message(self.Changed())
