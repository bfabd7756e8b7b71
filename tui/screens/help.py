"""All keys of a screen, made from its bindings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.keymap import Section


class HelpScreen(ModalScreen[None]):
    """A list of keys by part of the screen.

    Args:
        sections: what to list.
    """

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen VerticalScroll {
        width: 76; max-width: 96%; height: auto; max-height: 90%;
        background: $surface; border: round $border; padding: 1 2;
    }
    HelpScreen Static { height: auto; }
    """
    BINDING_GROUP_TITLE = "Help"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q", "dismiss", "Close", id="help.close", tooltip="Back to where you were")
    ]

    def __init__(self, sections: Sequence[Section]) -> None:
        super().__init__()
        self._sections = sections

    def compose(self) -> ComposeResult:
        """The list, which scrolls."""
        with VerticalScroll() as scroll:
            scroll.border_title = "Keys"
            scroll.border_subtitle = "Esc closes"
            for section in self._sections:
                yield Static(self._content(section))

    def _content(self, section: Section) -> Content:
        lines = [Content.styled(section.title, "$accent bold")]
        for binding in section.bindings:
            keys = ", ".join(self.app.get_key_display(key) for key in _each_key(binding))
            text = binding.tooltip or binding.description
            lines.append(Content.assemble((f"  {keys:<24} ", "$text bold"), (text, "$text-muted")))
        return Content("\n").join([*lines, Content("")])


def _each_key(binding: Binding) -> Sequence[Binding]:
    return [binding.with_key(key.strip()) for key in binding.key.split(",")]
