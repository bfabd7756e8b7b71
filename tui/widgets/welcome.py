"""What an empty conversation shows: what this is, who answers, and what to do first."""

from __future__ import annotations

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

_PLUGS = "●──○  ●──○  ○──●"


class Welcome(Widget):
    """The empty state of the chat screen."""

    DEFAULT_CSS = """
    Welcome {
        height: 1fr; padding: 0 2; color: $text-muted;
        content-align: center middle; text-align: center;
    }
    """

    model: reactive[str] = reactive("")
    note: reactive[str] = reactive("")
    """A line about this start: plugins are off, an answer was interrupted."""

    def render(self) -> RenderResult:
        """Centred lines."""
        lines = [
            Content.styled(_PLUGS, "$accent"),
            Content.styled("J A C K F I E L D", "$foreground bold"),
            Content(""),
            Content.from_markup("Write below; [$foreground]$model[/] answers.", model=self.model)
            if self.model
            else Content("Write below."),
            Content("F7 connects a provider of your own; F2 shows every plugin."),
        ]
        if self.note:
            lines += [Content(""), Content.styled(self.note, "$warning")]
        return Content("\n").join(lines)
