"""What plugins changed in a turn, as differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from registry.changes import HookChange

_COLOURS = {"+": "$success", "-": "$error", "@": "$foreground-muted"}


class ChangesScreen(ModalScreen[None]):
    """The changes of one turn, in the order in which they were made.

    Args:
        changes: what to show.
    """

    DEFAULT_CSS = """
    ChangesScreen { align: center middle; }
    ChangesScreen VerticalScroll {
        width: 90; max-width: 96%; height: auto; max-height: 90%;
        background: $surface; border: round $border; padding: 1 2; scrollbar-size-vertical: 1;
    }
    ChangesScreen Static { height: auto; }
    """
    BINDING_GROUP_TITLE = "Changes"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Close", id="changes.close", tooltip="Back to the chat")
    ]

    def __init__(self, changes: Sequence[HookChange]) -> None:
        super().__init__()
        self._changes = changes

    def compose(self) -> ComposeResult:
        """A block for each change."""
        with VerticalScroll() as scroll:
            scroll.border_title = "What plugins changed"
            scroll.border_subtitle = "Esc closes"
            for change in self._changes:
                yield Static(_content(change))


def _content(change: HookChange) -> Content:
    lines = [Content.styled(f"{change.plugin} in {change.hook}", "$accent bold")]
    lines += [
        Content.styled(line, _COLOURS.get(line[:1], "$foreground")) for line in change.diff.splitlines()
    ]
    return Content("\n").join([*lines, Content("")])
