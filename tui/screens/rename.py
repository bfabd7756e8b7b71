"""Asks what to call an account."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from tui.widgets.form_field import FieldView
from tui.widgets.method_form import account_field


class RenameScreen(ModalScreen[str | None]):
    """One field with the old name. Gives the new one; None when it is to stay.

    Args:
        provider: how people call where the account is.
        label: the old name.
        taken: the names that others have.
    """

    DEFAULT_CSS = """
    RenameScreen { align: center middle; }
    RenameScreen > Vertical {
        width: 60; max-width: 96%; height: auto; background: $surface; border: round $border;
        padding: 1 1 0 1;
    }
    """
    AUTO_FOCUS = "Input"
    BINDING_GROUP_TITLE = "Rename"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Back", id="rename.back", tooltip="Back; the name stays"),
    ]

    def __init__(self, provider: str, label: str, taken: Collection[str] = ()) -> None:
        super().__init__()
        self._taken = taken
        self._provider = provider
        self._label = label

    def compose(self) -> ComposeResult:
        """The field."""
        with Vertical() as box:
            box.border_title = Content(f"Rename the account at {self._provider}")
            box.border_subtitle = "Enter renames, Esc goes back"
            yield FieldView(account_field(required=True), self._label, taken=self._taken)

    @on(FieldView.Submitted)
    def _rename(self, event: FieldView.Submitted) -> None:
        if event.view.problem:
            event.view.show_problem()
        else:
            self.dismiss(str(event.view.read()))
