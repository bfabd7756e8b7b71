"""Searching, as the transcript's user sees it.

What is found and where is in [search][tui.transcript.search].
"""

from time import perf_counter
from typing import Final

from tui.transcript.document import Place
from tui.transcript.messages import SearchMoved
from tui.transcript.search import Search
from tui.transcript.viewport import Viewport

AT_ONCE: Final = 0.03
"""Seconds that are searched before the first answer; the rest follows in the background."""


class Finding(Viewport):
    """The part of the transcript that searches."""

    search_state: Search

    def search(self, query: str) -> int:
        """Find text, without regard to case, and go to the match nearest above the end of the view.

        Returns:
            Matches found so far; a long conversation is searched on in the background, and SearchMoved says
            so.
        """
        self.search_state.start(query)
        self.search_state.advance(perf_counter() + AT_ONCE)
        bottom = self.document.up(self.document.end, 1) if self.following else self._place
        self._go_to_match(self.search_state.nearest(bottom))
        self._rest()
        return self.search_state.total

    def search_next(self) -> None:
        """Go to the next match, after the last to the first."""
        self._go_to_match(self.search_state.step(1))

    def search_previous(self) -> None:
        """Go to the match before, before the first to the last."""
        self._go_to_match(self.search_state.step(-1))

    def clear_search(self) -> None:
        """Forget the search and its marks."""
        self.search_state.clear()
        self.refresh()

    def _go_to_match(self, place: Place | None) -> None:
        if place is not None:
            self._reveal(place)
        self.refresh()
        self._tell_search()

    def _tell_search(self) -> None:
        self.post_message(SearchMoved(self.search_state.current, self.search_state.total))
