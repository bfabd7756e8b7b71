"""What goes with the prompt that stands in the composer: shown while it is written, read when it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from registry.errors import JackfieldError
from registry.threads import LimitReachedError, call_with_limit
from tui.attachments import Attachment, Reads, Refused, bytes_of, look_at_all, read
from tui.widgets.attachment_line import AttachmentLine

if TYPE_CHECKING:
    from registry.chat import Part
    from tui.screens.chat import ChatScreen

DISK_LIMIT_S = 20.0
"""How long a disk may take to show or give a file, in seconds; the one of another machine may not answer."""


class Outbox:
    """The attachments of a chat screen's next prompt.

    Args:
        screen: whose composer it is.
    """

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen

    def follow(self, prompt: str) -> None:
        """The composer holds another text."""
        self._line.names = ()
        if "@" in prompt:
            show = partial(self._show, prompt)  # a coroutine would complain when it is cancelled unbegun
            self._screen.run_worker(show, group="look", exclusive=True, exit_on_error=False)  # type: ignore[arg-type]
        else:
            self._screen.workers.cancel_group(self._screen, "look")
            self._line.items = ()

    async def _show(self, prompt: str) -> None:
        try:
            self._line.items = tuple(await self._look(prompt))
        except LimitReachedError:
            self._line.items = ()  # sending says it

    async def load(self, prompt: str) -> tuple[Part, ...]:
        """The files that a prompt names, as parts of the message.

        Raises:
            JackfieldError: one of them cannot be sent.
        """
        try:
            items = await self._look(prompt)
            self._line.items = tuple(items)
            for item in items:
                if isinstance(item, Refused):
                    raise item.error
            attachments = [item for item in items if isinstance(item, Attachment)]
            get = partial(_read_all, attachments)
            return await call_with_limit(get, limit_s=DISK_LIMIT_S, name="read attachments")
        except LimitReachedError as error:
            raise JackfieldError(
                "The files could not be read in time", hint="Try again, or take copies on this machine."
            ) from error

    async def _look(self, prompt: str) -> list[Attachment | Refused]:
        messages = [entry.message for entry in self._screen.conversation.entries]
        look = partial(look_at_all, prompt, self._reads, before=bytes_of(messages))
        return await call_with_limit(look, limit_s=DISK_LIMIT_S, name="look at attachments")

    @property
    def _reads(self) -> Reads | None:
        choice = self._screen.choice
        return choice.model.reads if choice else None

    @property
    def _line(self) -> AttachmentLine:
        return self._screen.query_one(AttachmentLine)


def _read_all(attachments: Sequence[Attachment]) -> tuple[Part, ...]:
    return tuple(map(read, attachments))
