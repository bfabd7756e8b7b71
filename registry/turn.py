"""One chat turn: request hooks, the provider's stream with event hooks, response hooks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from registry.answer import AnswerBuilder
from registry.changes import HookChange, request_diff, response_diff, text_diff
from registry.chat import (
    ChatRequest,
    ChatResponse,
    Progress,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
)
from registry.cleaning import PIECE_CHARACTERS, StreamCleaner
from registry.contract import explain, line
from registry.errors import PluginError
from registry.handle import PluginHandle, PluginState
from registry.hooks import HookCall, HookOutcome, ValueRules
from registry.plugin import HOOKS
from registry.provider import ErrorKind, Provider, ProviderError
from registry.provider_stream import protocol_error, read_answer
from registry.registry import PluginRegistry
from registry.soundness import EVENT_RULES, REQUEST_RULES, RESPONSE_RULES
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.auth import Credential

HOOK_LIMIT_S = 5.0
"""How long one hook may take over a request or a response, in seconds."""
EVENT_HOOK_LIMIT_S = 1.0
"""How long one hook may take over one event, in seconds."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class HookFailed:
    """A hook failed and the turn went on without it."""

    plugin: str
    hook: str
    reason: str
    switched_off: bool
    """Whether its plugin has now been switched off."""


@dataclass(frozen=True, slots=True)
class HookChanged:
    """A hook changed the request or the answer."""

    change: HookChange


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The last event: the whole answer, as it is to be kept."""

    response: ChatResponse


TurnEvent: TypeAlias = StreamEvent | HookFailed | HookChanged | TurnFinished


@dataclass(slots=True)
class _Hooked(Generic[_T]):
    """What hooks made of a value."""

    value: _T
    events: list[TurnEvent]
    stopped: PluginError | None = None
    """Why a guard stops the turn."""


class Turn:
    """One user message and all that follows until the answer is finished.

    Everything that a screen or a command line shows of a turn comes out of `events`, once.

    Args:
        registry: who has the hooks and the providers.
        request: what to send; it is not changed.
        credential: what the provider signs in with. It is for the provider that `request` names: if a hook
            sends the request to another one, that one does not get it.
        renew: gives another credential for one of this provider that its server refused with status 401, or
            None where it has none, as `Connections.renew` does. It is asked once, before the answer begins.
    """

    def __init__(
        self,
        registry: PluginRegistry,
        request: ChatRequest,
        credential: Credential | None = None,
        *,
        renew: Callable[[str, Credential], Awaitable[Credential | None]] | None = None,
    ) -> None:
        self._registry = registry
        self._request = request
        self.credential = credential
        """As it was given; it may be set until `events` is run."""
        self._renew = renew
        self._answer = AnswerBuilder(f"{request.provider}/{request.model}")
        self._cleaner = StreamCleaner()
        self._tallies: dict[str, _Tally] = {}
        self._event_handles: tuple[PluginHandle, ...] | None = None
        self._event_hooks: list[HookCall] = []
        self.changes: list[HookChange] = []
        """What hooks changed, in order."""

    @property
    def partial(self) -> ChatResponse:
        """The answer so far: what there is to keep when the turn is stopped or fails."""
        return self._answer.response

    async def events(self) -> AsyncGenerator[TurnEvent, None]:
        """Run the turn. Closing the generator stops it at once and at the source.

        Raises:
            ProviderError: the provider could not answer, or not to the end.
            PluginError: a guard failed, or the provider's plugin cannot be loaded.
        """
        for failed in await self._load_all_hooks():
            yield failed
        asked = await self._run_hooks("on_request", self._request.copy(), REQUEST_RULES, request_diff)
        for event in asked.events:
            yield event
        if asked.stopped:
            raise asked.stopped
        request = asked.value
        self._answer = AnswerBuilder(line(f"{request.provider}/{request.model}"))
        provider = await self._registry.provider(request.provider)
        try:
            async with aclosing(self._stream(provider, request)) as stream:
                async for event in stream:
                    yield event
        finally:
            changes = self._note_event_changes()
        for change in changes:
            yield HookChanged(change)
        answered = await self._run_hooks("on_response", self._answer.response, RESPONSE_RULES, response_diff)
        for event in answered.events:
            yield event
        if answered.stopped:
            raise answered.stopped
        yield TurnFinished(answered.value)

    async def _load_all_hooks(self) -> list[HookFailed]:
        """Load every plugin that has a hook, before anything is sent."""
        failures: list[HookFailed] = []
        for hook in HOOKS:
            failures += (await self._load_hooks(hook))[1]
        return failures

    async def _load_hooks(self, hook: str) -> tuple[list[HookCall], list[HookFailed]]:
        """The hooks to call now, and those whose plugin could not be loaded.

        Raises:
            PluginError: a guard could not be loaded.
        """
        calls: list[HookCall] = []
        failures: list[HookFailed] = []
        for handle in self._registry.hooks(hook):
            try:
                plugin = await self._registry.plugin(handle)
            except PluginError as error:
                guard = handle.manifest.guard
                if guard and handle.contributes:
                    raise _guard_error(handle.name, str(error)) from error
                if handle.state is PluginState.AUTO_DISABLED:
                    failures.append(HookFailed(handle.name, hook, safe_text(str(error)), switched_off=True))
                continue  # or the user has just switched it off
            calls.append(HookCall(handle.name, hook, getattr(plugin, hook), handle.manifest.guard))
        return calls, failures

    async def _run_hooks(
        self, hook: str, value: _T, rules: ValueRules[_T], diff: Callable[[_T, _T], str]
    ) -> _Hooked[_T]:
        calls, failures = await self._load_hooks(hook)
        hooked: _Hooked[_T] = _Hooked(value, [*failures])
        if not calls:
            return hooked
        outcomes = await self._registry.hook_runner.run(calls, value, rules, limit_s=HOOK_LIMIT_S)
        for outcome in outcomes:
            if outcome.failure:
                hooked.events.append(self._note_failure(outcome))
            elif difference := diff(outcome.before, outcome.after):
                change = HookChange(outcome.call.plugin, hook, safe_text(difference))
                self.changes.append(change)
                hooked.events.append(HookChanged(change))
        hooked.value = outcomes[-1].after
        hooked.stopped = self._stopped_by(outcomes)
        return hooked

    def _note_failure(self, outcome: HookOutcome[_T]) -> HookFailed:
        call = outcome.call
        switched_off = self._registry.note_failure(call.plugin, call.hook, outcome.failure)
        return HookFailed(call.plugin, call.hook, outcome.failure, switched_off)

    def _stopped_by(self, outcomes: Sequence[HookOutcome[_T]]) -> PluginError | None:
        """The error of a guard that failed; it is the last, since no hook is run after it."""
        last = outcomes[-1]
        if last.failure and last.call.guard:
            return _guard_error(last.call.plugin, f"{last.call.hook}: {last.failure}")
        return None

    async def _stream(self, provider: Provider, request: ChatRequest) -> AsyncGenerator[TurnEvent, None]:
        name = self._title(request.provider)
        credential = self.credential if request.provider == self._request.provider else None
        renew = partial(self._renew, request.provider) if self._renew else None
        events = read_answer(partial(self._begin, provider, request, name), name, credential, renew)
        try:
            async with aclosing(events):
                async for event in events:
                    for piece in _pieces(event):
                        for seen in await self._take(piece):
                            yield seen
                        if piece is not event:
                            await asyncio.sleep(0)  # let the screen and the keyboard have their turn
        finally:
            rest = self._add(self._cleaner.flush())
        for event in rest:
            yield event
        if not self._answer.finished:
            raise ProviderError(
                ErrorKind.TRUNCATED_STREAM,
                f"{name} broke off in the middle of its answer",
                detail="The stream ended without its end mark.",
                hint="What came is kept. Retry to ask again.",
            )

    def _title(self, name: str) -> str:
        titles = [entry.title for entry in self._registry.providers() if entry.name == name]
        return titles[0] if titles else line(name)

    def _begin(
        self, provider: Provider, request: ChatRequest, name: str, credential: Credential | None
    ) -> object:
        try:
            return provider.stream(request, credential)
        except ProviderError:
            raise
        except BaseException as error:
            raise protocol_error(name, explain(error)) from error

    async def _take(self, event: StreamEvent) -> list[TurnEvent]:
        """What an event of the provider becomes: itself, another, none; and what failed on the way.

        Raises:
            PluginError: a guard failed.
        """
        if isinstance(event, Progress):
            return [*self._cleaner.clean(event)]
        seen: list[TurnEvent] = [*await self._follow_event_hooks()]
        after: StreamEvent | None = event
        if self._event_hooks:
            outcomes = await self._registry.hook_runner.run(
                self._event_hooks, after, EVENT_RULES, limit_s=EVENT_HOOK_LIMIT_S
            )
            seen += self._judge_event(outcomes)
            after = outcomes[-1].after
        return [*seen, *self._add(self._cleaner.clean(after) if after else [])]

    async def _follow_event_hooks(self) -> list[HookFailed]:
        """Take up what was switched on or off since the last event."""
        handles = self._registry.hooks("on_event")
        if handles is self._event_handles:  # the registry finds them anew after every change
            return []
        self._event_hooks, failures = await self._load_hooks("on_event")
        self._event_handles = handles
        return failures

    def _judge_event(self, outcomes: Sequence[HookOutcome[StreamEvent | None]]) -> list[HookFailed]:
        failures = [self._note_failure(outcome) for outcome in outcomes if outcome.failure]
        if stopped := self._stopped_by(outcomes):
            raise stopped
        for outcome in outcomes:
            if outcome.before != outcome.after:
                self._tallies.setdefault(outcome.call.plugin, _Tally()).note(outcome.before, outcome.after)
        return failures

    def _note_event_changes(self) -> list[HookChange]:
        changes = [
            HookChange(plugin, "on_event", safe_text(tally.diff())) for plugin, tally in self._tallies.items()
        ]
        self.changes += changes
        return changes

    def _add(self, events: list[StreamEvent]) -> list[StreamEvent]:
        for event in events:
            self._answer.add(event)
        return events


class _Tally:
    """What one plugin's event hook made of the texts that it changed."""

    def __init__(self) -> None:
        self._before: list[str] = []
        self._after: list[str] = []

    def note(self, before: StreamEvent | None, after: StreamEvent | None) -> None:
        self._before.append(_event_text(before))
        self._after.append(_event_text(after))

    def diff(self) -> str:
        return (
            text_diff("\n".join(self._before), "\n".join(self._after)) or "(events changed beyond their text)"
        )


def _event_text(event: StreamEvent | None) -> str:
    if event is None:
        return "(dropped)"
    return event.text if isinstance(event, TextDelta | ThinkingDelta) else type(event).__name__


def _pieces(event: StreamEvent) -> Iterator[StreamEvent]:
    """The event, or pieces of it, each made when it is asked for: cutting megabytes takes its time too."""
    match event:
        case TextDelta(text=text) | ThinkingDelta(text=text) | ToolArgumentsDelta(text=text) if (
            len(text) > PIECE_CHARACTERS
        ):
            for start in range(0, len(text), PIECE_CHARACTERS):
                yield replace(event, text=text[start : start + PIECE_CHARACTERS])
        case _:
            yield event


def _guard_error(plugin: str, reason: str) -> PluginError:
    return PluginError(
        f"The guard {plugin} failed, so the turn was stopped",
        detail=reason,
        hint=f"Retry, or switch {plugin} off in the plugins screen to go on without it.",
    )
