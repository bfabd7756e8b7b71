"""The line of keys at the bottom of a screen, in which no label is cut."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey  # which Textual does not give by a public name

HELP = "help"
"""The action that is never left out, since it lists those that are."""
_PALETTE = "-command-palette"
_Key = tuple[Binding, bool, str]
_EDGE = 1
"""Columns of the line that stands before the palette's key."""


class KeyLine(Footer):
    """A footer that leaves out the keys that have no room; they stay in Help and in the palette.

    Args:
        spared: actions whose keys are left out first, in this order. Then it is the last ones, but for Help.
    """

    def __init__(self, *, spared: Sequence[str] = ()) -> None:
        super().__init__(compact=True)
        self._spared = tuple(spared)
        self._composed: list[_Key] = []

    def on_mount(self) -> None:
        """Behind a dialog none of the keys works: then they are not seen."""
        self.app.screen_change_signal.subscribe(self, self._hide_behind)

    def _hide_behind(self, top: Screen[object]) -> None:
        self.visible = top is self.screen

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Look at the keys later: in the middle of a change, parts of the screen may be missing."""
        self._bindings_ready = True
        if screen.app.app_focus and self.is_attached and screen is self.screen:
            self.call_after_refresh(self._renew)

    async def _renew(self) -> None:
        """Make the line anew only for other keys: it takes longer than all else that a letter does."""
        with suppress(NoMatches):  # the screen is going, and parts of it are gone: nobody looks at its keys
            if self.is_attached and self.screen.is_running and _shown(self.screen) != self._composed:
                await self.recompose()

    def compose(self) -> ComposeResult:
        """The keys that have room."""
        self._composed = _shown(self.screen) if self._bindings_ready else []
        keys = list(super().compose())
        self._fit([key for key in keys if isinstance(key, FooterKey)])
        yield from keys

    def on_resize(self) -> None:
        """Leave out more of them, or less."""
        self._fit(list(self.query(FooterKey)))

    def _fit(self, keys: Sequence[FooterKey]) -> None:
        own = [key for key in keys if not key.has_class(_PALETTE)]
        palette = [key for key in keys if key.has_class(_PALETTE)]
        room = (self.size.width or self.app.size.width) - sum(map(_width, palette)) - _EDGE * len(palette)
        shown = dict.fromkeys(own)
        for key in self._least_first(own):
            if sum(map(_width, shown)) - 1 <= room:  # behind the last one no blank is needed
                break
            del shown[key]
        for key in own:
            key.display = key in shown

    def _least_first(self, keys: Sequence[FooterKey]) -> list[FooterKey]:
        spared = [key for action in self._spared for key in keys if key.action == action]
        return [*spared, *(key for key in reversed(keys) if key.action != HELP and key not in spared)]


def _shown(screen: Screen[object]) -> list[_Key]:
    active = screen.active_bindings.values()
    return [(one.binding, one.enabled, one.tooltip) for one in active if one.binding.show]


def _width(key: FooterKey) -> int:
    """Columns of a key, its label, and the blanks between and behind them."""
    return cell_len(key.key_display) + cell_len(key.description) + 2
