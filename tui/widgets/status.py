"""The status line: state, model and tokens of the open conversation, or the progress of long work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.states import TurnState

if TYPE_CHECKING:
    from registry.chat import Progress
    from tui.account import Account

_BUSY = (TurnState.WAITING, TurnState.PREPARING, TurnState.THINKING, TurnState.STREAMING)
_BAR = 16
_NARROW = 100
"""Below this many columns the bar is half as wide."""


class StatusLine(Widget):
    """One line that says where things stand."""

    DEFAULT_CSS = """
    StatusLine { height: 1; padding: 0 1; color: $text-muted; }
    """

    state: reactive[TurnState] = reactive(TurnState.STARTING)
    model: reactive[str] = reactive("")
    """The model's title and its provider's."""
    account: reactive[Account | None] = reactive(None)
    """What the conversation has used."""
    progress: reactive[Progress | None] = reactive(None)
    command: reactive[str] = reactive("")
    """The slash command that runs; empty without one."""

    def render(self) -> RenderResult:
        """The line, cut to the width."""
        look = self.state.value
        if self.progress is not None and self.state is TurnState.PREPARING:
            parts = [
                (f"{look.glyph} ", look.colour),
                *_progress(self.progress, _BAR if self.size.width >= _NARROW else _BAR // 2),
                ("  Esc cancels", "$foreground-muted"),
            ]
        elif self.command and self.state not in _BUSY:
            running = f"◐ {self.command} is running"
            parts = [(running, "$accent"), ("  Esc stops it", "$foreground-muted")]
        else:
            parts = [(f"{look.glyph} {look.word}", look.colour), (f"  {self.model}", "$foreground-muted")]
            used = self._used(self.size.width - Content.assemble(*parts).cell_length)
            parts.append((used, "$foreground-muted"))
        line = Content.assemble(*parts)
        return line.truncate(max(self.size.width, 1), ellipsis=True)

    def _used(self, room: int) -> str:
        """What the conversation has used, as much of it as there is room for."""
        if self.account is None:
            return ""
        from tui.account import describe  # brings `decimal`, which the first frame does without

        text = ""
        for part in describe(self.account):
            if len(text) + len(part) > room:
                break
            text += part
        return text


def _progress(progress: Progress, width: int) -> list[tuple[str, str]]:
    label = (f"{progress.label}  ", "$foreground")
    if not progress.total:
        return [label]
    share = min(1.0, progress.done / progress.total)
    filled = round(share * width)
    bar = [("━" * filled, "$accent"), ("─" * (width - filled), "$foreground-muted")]
    return [label, *bar, (f"  {_amount(progress)}", "$foreground-muted")]


def _amount(progress: Progress) -> str:
    total = progress.total or 0
    if progress.unit == "bytes":
        return f"{progress.done / 1e6:.0f} of {total / 1e6:.0f} MB"
    return f"{progress.done} of {total}"
