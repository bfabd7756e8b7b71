"""A field for yes or no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class TickBox(Widget, can_focus=True):
    """Yes or no, changed with Space."""

    DEFAULT_CSS = """
    TickBox { height: 1; width: 1fr; }
    TickBox:focus { color: $block-cursor-foreground; background: $block-cursor-background; }
    """
    BINDING_GROUP_TITLE = "Yes or no"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "tick", "Yes/no", id="tick_box.tick", show=False, tooltip="Yes, or no"),
        Binding("enter", "submit", "Next", id="tick_box.submit", show=False, tooltip="On to the next field"),
    ]

    ticked: reactive[bool] = reactive(False)

    @dataclass
    class Changed(Message):
        """Yes became no, or no yes."""

    @dataclass
    class Submitted(Message):
        """Enter was pressed."""

    def __init__(self, *, ticked: bool = False) -> None:
        super().__init__()
        self.set_reactive(TickBox.ticked, ticked)

    def render(self) -> RenderResult:
        """A box and a word."""
        return Content("☑ Yes" if self.ticked else "☐ No")

    def action_tick(self) -> None:
        """The other of the two."""
        self.ticked = not self.ticked
        self.post_message(self.Changed())

    def action_submit(self) -> None:
        """Done here."""
        self.post_message(self.Submitted())

    def on_click(self) -> None:
        """The other of the two."""
        self.action_tick()
