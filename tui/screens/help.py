"""All keys of a screen, made from its bindings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from textwrap import wrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.keymap import Section

WIDTH = 76
"""Columns of the list at most."""
_KEYS = 22
_AROUND = 10
"""Columns of the border, the padding, the scrollbar, and the blanks before and behind the keys."""


class HelpScreen(ModalScreen[None]):
    """A list of keys by part of the screen.

    Args:
        sections: what to list.
    """

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen VerticalScroll {
        width: 76; max-width: 96%; height: auto; max-height: 90%;
        background: $surface; border: round $border; padding: 1 2; scrollbar-size-vertical: 1;
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
        width = min(WIDTH, self.app.size.width * 96 // 100) - _KEYS - _AROUND
        lines = [Content.styled(section.title, "$accent bold")]
        for action, bindings in groupby(section.bindings, key=lambda binding: binding.action):
            same = list(bindings)
            keys = ", ".join(self.app.get_key_display(key) for binding in same for key in _each_key(binding))
            text = same[0].tooltip or same[0].description or action
            lines += _lines(keys, wrap(text, max(width, 10)))
        return Content("\n").join([*lines, Content("")])


def _each_key(binding: Binding) -> Sequence[Binding]:
    return [binding.with_key(key.strip()) for key in binding.key.split(",")]


def _lines(keys: str, texts: Sequence[str]) -> Iterable[Content]:
    """The keys on the left, the text beside them."""
    if len(keys) > _KEYS:
        yield Content.styled(f"  {keys}", "$foreground bold")
        keys = ""
    for text in texts:
        yield Content.assemble((f"  {keys:<{_KEYS}} ", "$foreground bold"), (text, "$foreground-muted"))
        keys = ""
