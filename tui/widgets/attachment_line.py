"""What goes with the prompt that is being written: a line for each file, above the composer."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

if TYPE_CHECKING:
    from tui.attachments import Attachment, Refused

    Item: TypeAlias = Attachment | Refused

SHOWN = 4
"""How many files are shown at most."""
_NAMES = 12


class AttachmentLine(Widget):
    """A short list: what will be sent, what cannot be and why, and names to complete a path with."""

    DEFAULT_CSS = """
    AttachmentLine { height: auto; max-height: 6; padding: 0 2; display: none; }
    AttachmentLine.-shown { display: block; }
    """

    items: reactive[tuple[Item, ...]] = reactive((), layout=True)
    names: reactive[tuple[str, ...]] = reactive((), layout=True)
    """Names of files that fit a path which is being completed."""

    def watch_items(self) -> None:
        """Take no room for nothing."""
        self.set_class(bool(self.items or self.names), "-shown")

    def watch_names(self) -> None:
        """Take no room for nothing."""
        self.watch_items()

    def render(self) -> RenderResult:
        """A line for each file."""
        from tui.attachments import Attachment

        lines = []
        for item in self.items[:SHOWN]:
            if isinstance(item, Attachment):
                parts = [("▪ ", "$accent"), (item.name, "$foreground"), (f"  {item}", "$foreground-muted")]
            else:
                parts = [("✗ ", "$error"), (item.error.title, "$foreground")]
                parts.append((f"  {item.error.hint}", "$foreground-muted"))
            lines.append(Content.assemble(*parts))
        if len(self.items) > SHOWN:
            lines.append(Content.styled(f"{len(self.items) - SHOWN} more", "$foreground-muted"))
        if self.names:
            more = "  …" if len(self.names) > _NAMES else ""
            lines.append(Content.styled("  ".join(self.names[:_NAMES]) + more, "$foreground-muted"))
        width = max(self.size.width, 1)
        return Content("\n").join(line.truncate(width, ellipsis=True) for line in lines)
