"""One conversation: what was said, and the turns that go on with it. It is written down as it streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TypeAlias

from registry.changes import HookChange
from registry.chat import (
    ChatRequest,
    Message,
    ParameterValue,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from registry.errors import JackfieldError
from registry.models import ModelChoice
from registry.parameters import accepted_parameters, sort_out
from registry.turn import Turn, TurnEvent, TurnFinished
from tui.attachments import fit, unread
from tui.coalesce import coalesce
from tui.history.history import History
from tui.history.records import Diff, MessageState, StoredMessage
from tui.host import Host


@dataclass(frozen=True, slots=True)
class NotSaved:
    """What is said cannot be written down any more; the conversation goes on in memory."""

    error: JackfieldError


@dataclass(frozen=True, slots=True)
class NotSent:
    """What the model of this turn does not take, so that it was not sent: parameters and attachments."""

    what: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A message of the conversation and what became of it."""

    message: Message
    state: MessageState = "complete"
    id: int | None = None
    """Its id in the history; None when it could not be written."""
    note: str = ""
    usage: Usage | None = None
    changes: tuple[HookChange, ...] = ()


SessionEvent: TypeAlias = TurnEvent | NotSaved | NotSent


class Conversation:
    """A conversation that can be gone on with.

    Args:
        host: registry and history.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._id: int | None = None
        self._saved = True
        self._unsaid: list[NotSaved] = []
        self.entries: list[Entry] = []
        self.system: str | None = None
        """What the model is told before the first message."""
        self.parameters: Mapping[str, ParameterValue] = {}
        """What the user set; of it, a model is sent what it takes."""

    @property
    def id(self) -> int | None:
        """Its id in the history; None before the first message."""
        return self._id

    @property
    def usage(self) -> Usage:
        """All tokens of the conversation."""
        return sum((entry.usage for entry in self.entries if entry.usage), Usage())

    async def open(self, conversation_id: int) -> None:
        """Go on with a conversation of the history.

        Raises:
            JackfieldError: it cannot be read.
        """
        loaded = await self._host.history.run(History.load_conversation, conversation_id)
        self._id = conversation_id
        self.entries = [_entry(stored) for stored in loaded.messages]
        self.system, self.parameters = loaded.system, loaded.parameters

    async def set_parameters(self, parameters: Mapping[str, ParameterValue], system: str | None) -> None:
        """Set what goes with each request from now on; kept with the conversation.

        Raises:
            JackfieldError: it cannot be written down; it holds for this run.
        """
        self.parameters, self.system = dict(parameters), system
        if self._id is not None and self._saved:
            await self._write_parameters(self._id)

    def can_retry(self) -> bool:
        """Whether there is a prompt to ask again."""
        return any(entry.message.role == "user" for entry in self.entries)

    def last_answer(self) -> Entry | None:
        """The newest answer."""
        answers = (entry for entry in reversed(self.entries) if entry.message.role == "assistant")
        return next(answers, None)

    async def say(self, message: Message) -> None:
        """Add a message of the user; once begun, this is done even when the caller is cancelled."""
        await asyncio.shield(self._say(message))

    async def _say(self, message: Message) -> None:
        await self._host.ready.wait()
        self.entries.append(Entry(message, id=await self._write_message(message)))

    async def take_back_answer(self) -> None:
        """Drop what follows the last prompt, so that it can be answered anew."""
        while self.entries and self.entries[-1].message.role != "user":
            entry = self.entries.pop()
            if entry.id is not None and self._saved:
                try:
                    await self._host.history.run(History.discard_from, entry.id)
                except JackfieldError as error:
                    self._stop_saving(error)

    async def answer(self, choice: ModelChoice) -> AsyncGenerator[SessionEvent, None]:
        """Have the last prompt answered. What came is kept, also when it fails or is cancelled.

        A delta is given only after it was written down, so that what was shown outlives the process.

        Raises:
            JackfieldError: the turn failed; the partial answer is the last entry.
        """
        with self._host.answering():
            async with aclosing(self._answer(choice)) as events:
                async for event in events:
                    yield event

    async def _answer(self, choice: ModelChoice) -> AsyncGenerator[SessionEvent, None]:
        request, not_sent = await self._request(choice)
        beginning = asyncio.ensure_future(self._begin_answer(choice.reference))
        registry = self._host.registry
        connections = self._host.connections
        turn = Turn(registry, request, renew=connections.renew)
        finishing: asyncio.Future[None] | None = None
        try:
            answer_id = await asyncio.shield(beginning)
            turn.credential = await connections.resolve(request.provider)
            async with aclosing(coalesce(turn.events())) as events:
                if not_sent:
                    yield NotSent(not_sent)
                async for event in events:
                    if isinstance(event, TextDelta):
                        await self._write_piece(answer_id, event.text, thinking=False)
                    elif isinstance(event, ThinkingDelta):
                        await self._write_piece(answer_id, event.text, thinking=True)
                    elif isinstance(event, TurnFinished):
                        finishing = asyncio.ensure_future(
                            self._finish(turn, answer_id, "complete", event=event)
                        )
                        await asyncio.shield(finishing)
                    while self._unsaid:
                        yield self._unsaid.pop()
                    yield event
        except (asyncio.CancelledError, GeneratorExit):
            answer_id = await beginning  # cancelled while it was opened, it has to be closed as well
            if finishing is None:  # else it was complete before anybody stopped it
                finishing = asyncio.ensure_future(self._finish(turn, answer_id, "stopped", note="stopped"))
            await asyncio.shield(finishing)
            raise
        except JackfieldError as error:
            await self._finish(turn, await beginning, "error", note=error.title)
            raise

    async def _request(self, choice: ModelChoice) -> tuple[ChatRequest, tuple[str, ...]]:
        """What to send to this model, and what is not sent since it does not take it."""
        reads = choice.model.reads
        messages = [entry.message for entry in self.entries if entry.message.parts]
        parameters, refused = self.parameters, list(unread(messages, reads))
        if parameters:
            with suppress(JackfieldError):  # a plugin that cannot be asked says why when it is to answer
                held = sort_out(parameters, await accepted_parameters(self._host.registry, choice))
                parameters = held.taken
                refused += held.refused
        fitting = [fit(message, reads) for message in messages]
        request = ChatRequest(choice.model.id, fitting, choice.provider.name, self.system, dict(parameters))
        return request, tuple(refused)

    async def _finish(
        self,
        turn: Turn,
        answer_id: int | None,
        state: MessageState,
        *,
        note: str = "",
        event: TurnFinished | None = None,
    ) -> None:
        response = event.response if event else turn.partial
        changes = tuple(turn.changes)
        self.entries.append(Entry(response.message, state, answer_id, note, response.usage, changes))
        if answer_id is None or not self._saved:
            return
        diffs: list[Diff] = [
            {"plugin": change.plugin, "hook": change.hook, "diff": change.diff} for change in changes
        ]
        try:
            await self._host.history.run(
                History.finish_answer,
                answer_id,
                state=state,
                parts=response.message.parts,
                usage=response.usage,
                stop=response.stop,
                note=note,
                diffs=diffs,
            )
        except JackfieldError as error:
            self._stop_saving(error)

    async def _write_message(self, message: Message) -> int | None:
        if not self._saved:
            return None
        try:
            if self._id is None:
                self._id = await self._host.history.run(History.create_conversation)
                if self.parameters or self.system:
                    await self._write_parameters(self._id)
            return await self._host.history.run(History.add_message, self._id, message)
        except JackfieldError as error:
            self._stop_saving(error)
            return None

    async def _write_parameters(self, conversation_id: int) -> None:
        await self._host.history.run(
            History.set_parameters, conversation_id, system=self.system, parameters=self.parameters
        )

    async def _begin_answer(self, model: str) -> int | None:
        if not self._saved or self._id is None:
            return None
        try:
            return await self._host.history.run(History.begin_answer, self._id, model=model)
        except JackfieldError as error:
            self._stop_saving(error)
            return None

    async def _write_piece(self, answer_id: int | None, text: str, *, thinking: bool) -> None:
        if answer_id is None or not self._saved:
            return
        try:
            await self._host.history.append(answer_id, text, kind="thinking" if thinking else "text")
        except JackfieldError as error:
            self._stop_saving(error)

    def _stop_saving(self, error: JackfieldError) -> None:
        self._saved = False
        self._unsaid.append(NotSaved(error))


def _entry(stored: StoredMessage) -> Entry:
    changes = tuple(
        HookChange(str(diff.get("plugin", "")), str(diff.get("hook", "")), str(diff.get("diff", "")))
        for diff in stored.diffs
    )
    return Entry(stored.message, stored.state, stored.id, stored.note, stored.usage, changes)


__all__ = ["Conversation", "Entry", "NotSaved", "NotSent", "SessionEvent"]
