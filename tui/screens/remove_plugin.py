"""Asks what of a plugin is removed: its code, and what it and the user left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.widgets.row_list import Row, RowList


@dataclass(frozen=True, slots=True)
class Removal:
    """What goes beside the code."""

    data: bool
    secrets: bool


_CHOICES: Final = {
    "Keep the plugin": None,
    "Remove its code; keep its data and accounts": Removal(data=False, secrets=False),
    "Remove its code and its data": Removal(data=True, secrets=False),
    "Remove its code and its accounts": Removal(data=False, secrets=True),
    "Remove everything: code, data, accounts": Removal(data=True, secrets=True),
}


class RemoveScreen(ModalScreen[Removal | None]):
    """Gives what to remove; None when it stays.

    Args:
        plugin: its id.
    """

    DEFAULT_CSS = """
    RemoveScreen { align: center middle; }
    RemoveScreen > Vertical {
        width: 60; max-width: 96%; height: auto;
        background: $surface; border: round $border; padding: 1 1 0 1;
    }
    RemoveScreen RowList { height: 5; background: $surface; margin: 0 0 1 0; }
    RemoveScreen Static { height: auto; color: $text-muted; margin: 0 0 1 0; }
    """
    AUTO_FOCUS = "RowList"
    BINDING_GROUP_TITLE = "Remove"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Back", id="remove.back", tooltip="Back; the plugin stays"),
    ]

    def __init__(self, plugin: str) -> None:
        super().__init__()
        self._plugin = plugin

    def compose(self) -> ComposeResult:
        """The choices, keeping it first."""
        with Vertical() as box:
            box.border_title = Content(f"Remove {self._plugin}?")
            box.border_subtitle = "Enter chooses, Esc keeps it"
            yield Static("Its earlier versions go too. It can be installed again.", markup=False)
            yield RowList()

    def on_mount(self) -> None:
        """The cursor stands on keeping it."""
        self.query_one(RowList).set_rows([_row(text) for text in _CHOICES])

    @on(RowList.Chosen)
    def _choose(self, event: RowList.Chosen) -> None:
        self.dismiss(_CHOICES[event.key])


def _row(text: str) -> Row:
    return Row(text, lambda _: Content(text))
