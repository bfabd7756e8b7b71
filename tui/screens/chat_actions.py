"""What is done with a conversation that is there: searching, copying, exporting, following its links."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from textual import getters, work
from textual.screen import Screen

from registry.errors import JackfieldError
from tui.widgets.search_bar import SearchBar

if TYPE_CHECKING:
    from tui.conversation import Conversation
    from tui.host import Host
    from tui.transcript import Copied, LinkClicked, SearchMoved


class ChatActions(Screen[None]):
    """A screen with a conversation.

    Args:
        host: what the screen stands on.
    """

    search_bar = getters.query_one(SearchBar)

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host

    @cached_property
    def conversation(self) -> Conversation:
        """What was said."""
        return self._new_conversation()

    def _new_conversation(self) -> Conversation:
        from tui.conversation import Conversation

        return Conversation(self.host)

    def action_changes(self) -> None:
        """Show what plugins changed in the last turn."""
        from tui.screens.changes import ChangesScreen

        answer = self.conversation.last_answer()
        if answer is not None and answer.changes:
            self.app.push_screen(ChangesScreen(answer.changes))
        else:
            self._toast("No plugin changed the last turn.", "information")

    def action_copy_answer(self) -> None:
        """Copy the last answer."""
        answer = self.conversation.last_answer()
        if answer is None:
            self._toast("There is no answer to copy yet.", "information")
            return
        self.app.copy_to_clipboard(answer.message.text)
        self._toast("Copied the answer.", "information")

    @work(group="export", exclusive=True, exit_on_error=False)
    async def action_export(self) -> None:
        """Write the conversation to a file, where the app was started."""
        from tui.export import export

        try:
            self._toast(await export(self.conversation.entries), "information")
        except JackfieldError as error:
            self._toast(str(error), "error")

    def action_search(self) -> None:
        """Search in the conversation."""
        self.search_bar.open()

    def on_search_moved(self, event: SearchMoved) -> None:
        """The search of the transcript stands elsewhere."""
        self.search_bar.show_place(event)

    def on_copied(self, event: Copied) -> None:
        """Text of the transcript was copied."""
        self._toast(f"Copied the {event.what}.", "information")

    def on_link_clicked(self, event: LinkClicked) -> None:
        """A link of the transcript was clicked: ask first."""
        from tui.screens.link import LinkScreen

        self.app.push_screen(LinkScreen(event.url))

    def _toast(self, message: str, severity: str) -> None:
        level = severity if severity in ("warning", "error") else "information"
        self.notify(message, severity=level, markup=False)  # type: ignore[arg-type]
