"""A screen that leaves by itself, when something that it began has ended."""

from __future__ import annotations

from textual.screen import Screen, ScreenResultType


class Leaving(Screen[ScreenResultType]):
    """`dismiss` of a screen that another one lies above would pop that one; here it is waited for."""

    _outcome: tuple[ScreenResultType | None] | None = None

    def leave(self, result: ScreenResultType | None) -> None:
        """Give a result, the first one that there is, and go; while something lies above, once it is gone."""
        if self._outcome is None:
            self._outcome = (result,)
            self._go()

    def on_screen_resume(self) -> None:
        """Nothing lies above any more."""
        self._go()

    def _go(self) -> None:
        if self._outcome is not None and self.is_active:
            self.dismiss(self._outcome[0])
