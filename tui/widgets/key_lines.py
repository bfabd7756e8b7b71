"""All keys of a screen, on as many lines as they need: a footer that leaves none out on a narrow terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from textual.screen import Screen

_MOST_LINES: Final = 3


class KeyLines(Static):
    """The keys that work now: those of the screen first, then the one for help."""

    DEFAULT_CSS = """
    KeyLines { height: auto; dock: bottom; padding: 0 1; background: $panel; color: $foreground; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)

    def on_mount(self) -> None:
        """Follow the keys of the screen."""
        self.screen.bindings_updated_signal.subscribe(self, self._show_soon)
        self.app.screen_change_signal.subscribe(self, self._hide_behind)
        self._show(self.screen)

    def _show_soon(self, screen: Screen[object]) -> None:
        """Not in the middle of a change, when parts of the screen may be missing."""
        if self.is_attached:
            self.call_after_refresh(self._show, screen)

    def _hide_behind(self, top: Screen[object]) -> None:
        """Behind a dialog none of them works."""
        self.visible = top is self.screen

    def on_resize(self) -> None:
        """Wrap anew."""
        self._show(self.screen)

    def _show(self, screen: Screen[object]) -> None:
        if self.is_attached and screen is self.screen and self.size.width > 10:
            self.update(key_lines(keys_of(screen), self.size.width - 2))


def keys_of(screen: Screen[object]) -> list[tuple[str, str]]:
    """Key and word of each binding that is shown and works now."""
    found: dict[str, tuple[str, str]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        own = active.node is not screen.app or binding.id == "app.help"
        if binding.show and own and active.enabled and binding.action not in found:
            found[binding.action] = (screen.app.get_key_display(binding), binding.description)
    return list(found.values())


def key_lines(keys: list[tuple[str, str]], width: int) -> Content:
    """The keys, wrapped between them."""
    lines: list[list[Content]] = [[]]
    used = 0
    for key, word in keys:
        room = len(key) + len(word) + 3
        if used and used + room - 2 > width and len(lines) < _MOST_LINES:
            lines.append([])
            used = 0
        lines[-1].append(Content.assemble((key, "$accent bold"), " ", (word, "$foreground-muted")))
        used += room
    return Content("\n").join(Content("  ").join(line) for line in lines)
