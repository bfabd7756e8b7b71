"""The field that searches in the conversation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on
from textual.widgets import Input

if TYPE_CHECKING:
    from tui.transcript import SearchMoved, Transcript


class SearchBar(Input):
    """Finds as it is typed; Enter goes on to the next.

    Args:
        transcript: gives what is searched.
    """

    def __init__(self, transcript: Callable[[], Transcript]) -> None:
        super().__init__(id="search", placeholder="Find in this conversation. Enter: next, Esc: close")
        self._transcript = transcript

    def open(self) -> None:
        """Come up and take the keys, from the next one on."""
        self.screen.add_class("-searching")
        self.screen.set_focus(self)

    def close(self) -> None:
        """Go, and leave no marks in the conversation."""
        self.screen.remove_class("-searching")
        self._transcript().clear_search()
        self.value = ""

    def show_place(self, event: SearchMoved) -> None:
        """Say where the search stands."""
        self.border_title = f"{event.current} of {event.total}" if event.total else "nothing found"

    @on(Input.Changed)
    def _search(self, event: Input.Changed) -> None:
        event.stop()
        self._transcript().search(event.value)

    @on(Input.Submitted)
    def _go_on(self, event: Input.Submitted) -> None:
        event.stop()
        self._transcript().search_next()
