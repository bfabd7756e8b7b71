"""The commands that fit what stands in the composer, shown above it while a command is typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

if TYPE_CHECKING:
    from registry.manifest import CommandEntry

SHOWN = 6
"""How many commands are shown at most."""


class CommandMenu(Widget):
    """A short list; the first entry is the one that Tab completes."""

    DEFAULT_CSS = """
    CommandMenu { height: auto; max-height: 7; padding: 0 2; display: none; background: $panel; }
    CommandMenu.-shown { display: block; }
    """

    matches: reactive[tuple[CommandEntry, ...]] = reactive((), layout=True)

    def offer(self, text: str, commands: Sequence[CommandEntry]) -> None:
        """Show the commands that begin as the text does; hide when the text is no command name."""
        typed = text[1:] if text.startswith("/") and not set(text) & {" ", "\n"} else None
        found = [command for command in commands if typed is not None and command.name.startswith(typed)]
        self.matches = tuple(found)
        self.set_class(bool(found), "-shown")

    @property
    def first(self) -> CommandEntry | None:
        """What Tab completes."""
        return self.matches[0] if self.matches else None

    def render(self) -> RenderResult:
        """A line for each command."""
        lines = [_line(command, chosen=index == 0) for index, command in enumerate(self.matches[:SHOWN])]
        more = len(self.matches) - SHOWN
        if more > 0:
            lines.append(Content.styled(f"{more} more", "$foreground-muted"))
        return Content("\n").join(lines)


def _line(command: CommandEntry, *, chosen: bool) -> Content:
    name = f"/{command.name} {command.argument}".rstrip()
    return Content.assemble(
        (f"{name:<20} ", "$accent bold" if chosen else "$foreground"), (command.summary, "$foreground-muted")
    )
