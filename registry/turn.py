"""One chat turn: request hooks, the provider's stream with event hooks, response hooks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from registry.answer import AnswerBuilder
from registry.changes import HookChange, request_diff, response_diff, text_diff
from registry.chat import (
    STREAM_EVENTS,
    ChatRequest,
    ChatResponse,
    Finished,
    Message,
    Progress,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
)
from registry.errors import JackfieldError, PluginError
from registry.hooks import HookCall, HookOutcome, ValueRules
from registry.provider import ErrorKind, Provider, ProviderError
from registry.registry import PluginRegistry
from registry.text import StreamSanitizer, safe_text

if TYPE_CHECKING:
    from registry.auth import Credential

HOOK_LIMIT_S = 5.0
"""How long one hook may take over a request or a response, in seconds."""
EVENT_HOOK_LIMIT_S = 1.0
"""How long one hook may take over one event, in seconds."""
CLOSE_LIMIT_S = 2.0
"""How long a provider may take to stop its stream, in seconds."""
PIECE_CHARACTERS = 8192
"""A longer delta is handed on in pieces of this size, so that no single event holds up the screen."""

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


class Turn:
    """One user message and all that follows until the answer is finished.

    Everything that a screen or a command line shows of a turn comes out of `events`, once.

    Args:
        registry: who has the hooks and the providers.
        request: what to send; it is not changed.
        credential: what the provider signs in with.
    """

    def __init__(
        self, registry: PluginRegistry, request: ChatRequest, credential: Credential | None = None
    ) -> None:
        self._registry = registry
        self._request = request
        self._credential = credential
        self._answer = AnswerBuilder(f"{request.provider}/{request.model}")
        self._sanitizers: dict[tuple[type, int], StreamSanitizer] = {}
        self._tallies: dict[str, _Tally] = {}
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
        request = self._request
        async for event in self._run_request_hooks():
            if isinstance(event, ChatRequest):
                request = event
            else:
                yield event
        provider = await self._registry.provider(request.provider)
        await self._load_event_hooks()
        async with aclosing(self._stream(provider, request)) as stream:
            async for event in stream:
                yield event
        for change in self._event_changes():
            self.changes.append(change)
            yield HookChanged(change)
        async for event in self._run_response_hooks():
            yield event

    # -- hooks on the request and the response ------------------------------------------------------------

    async def _run_request_hooks(self) -> AsyncIterator[TurnEvent | ChatRequest]:
        outcomes = await self._run_hooks("on_request", self._request, _REQUEST_RULES)
        for outcome in outcomes:
            for event in self._judge(outcome, request_diff):
                yield event
        if outcomes:
            yield outcomes[-1].after

    async def _run_response_hooks(self) -> AsyncIterator[TurnEvent]:
        response = self._answer.response
        outcomes = await self._run_hooks("on_response", response, _RESPONSE_RULES)
        for outcome in outcomes:
            for event in self._judge(outcome, response_diff):
                yield event
        if outcomes:
            response = _safe_response(outcomes[-1].after)
        yield TurnFinished(response)

    async def _run_hooks(self, hook: str, value: _T, rules: ValueRules[_T]) -> list[HookOutcome[_T]]:
        calls = await self._load_hooks(hook)
        if not calls:
            return []
        return await self._registry.hook_runner.run(calls, value, rules, limit_s=HOOK_LIMIT_S)

    async def _load_hooks(self, hook: str) -> list[HookCall]:
        """The hooks to call. A plugin that cannot be loaded is left out, but a guard stops the turn."""
        calls: list[HookCall] = []
        for handle in self._registry.hooks(hook):
            try:
                plugin = await self._registry.plugin(handle)
            except PluginError as error:
                if handle.manifest.guard:
                    raise _guard_error(handle.name, str(error)) from error
                continue
            calls.append(HookCall(handle.name, hook, getattr(plugin, hook)))
        return calls

    def _judge(self, outcome: HookOutcome[_T], diff: Any) -> list[TurnEvent]:
        call = outcome.call
        if outcome.failure:
            return [self._note_failure(call, outcome.failure)]
        difference = diff(outcome.before, outcome.after)
        if not difference:
            return []
        change = HookChange(call.plugin, call.hook, safe_text(difference))
        self.changes.append(change)
        return [HookChanged(change)]

    def _note_failure(self, call: HookCall, reason: str) -> HookFailed:
        switched_off = self._registry.note_failure(call.plugin, call.hook, reason)
        if self._registry.handle(call.plugin).manifest.guard:
            raise _guard_error(call.plugin, f"{call.hook}: {reason}")
        return HookFailed(call.plugin, call.hook, reason, switched_off)

    # -- the stream -----------------------------------------------------------------------------------------

    async def _load_event_hooks(self) -> None:
        self._event_hooks = await self._load_hooks("on_event")

    async def _stream(self, provider: Provider, request: ChatRequest) -> AsyncGenerator[TurnEvent, None]:
        stream = provider.stream(request, self._credential)
        name = provider.title or provider.name
        try:
            async for event in stream:
                if not isinstance(event, STREAM_EVENTS):
                    raise _protocol_error(name, f"It gave a {type(event).__name__} where an event belongs.")
                async for seen in self._take(event):
                    yield seen
                if self._answer.finished:
                    break
        except (JackfieldError, asyncio.CancelledError, GeneratorExit):
            raise
        except Exception as error:
            raise _protocol_error(name, safe_text(f"{type(error).__name__}: {error}", limit=2000)) from error
        finally:
            await _close_stream(stream)
        for rest in self._flush():
            yield rest
        if not self._answer.finished:
            raise ProviderError(
                ErrorKind.TRUNCATED_STREAM,
                f"{name} broke off in the middle of its answer",
                detail="The stream ended without its end mark.",
                hint="What came is kept. Retry to ask again.",
            )

    async def _take(self, event: StreamEvent) -> AsyncIterator[TurnEvent]:
        for piece in _pieces(event):
            after: StreamEvent | None = piece
            if self._event_hooks and not isinstance(piece, Progress):
                outcomes = await self._registry.hook_runner.run(
                    self._event_hooks, piece, _EVENT_RULES, limit_s=EVENT_HOOK_LIMIT_S
                )
                for failed in self._judge_event(outcomes):
                    yield failed
                after = outcomes[-1].after
            if after is None:
                continue
            safe = self._sanitize(after)
            if safe is not None:
                if isinstance(safe, Finished):
                    for rest in self._flush():
                        yield rest
                self._answer.add(safe)
                yield safe
            if isinstance(event, TextDelta | ThinkingDelta) and len(event.text) > PIECE_CHARACTERS:
                await asyncio.sleep(0)  # let the screen and the keyboard have their turn

    def _judge_event(self, outcomes: list[HookOutcome[StreamEvent | None]]) -> list[HookFailed]:
        failures: list[HookFailed] = []
        for outcome in outcomes:
            if outcome.failure:
                failed = self._note_failure(outcome.call, outcome.failure)
                failures.append(failed)
                if failed.switched_off:
                    self._event_hooks = [call for call in self._event_hooks if call.plugin != failed.plugin]
            elif outcome.before is not outcome.after:
                self._tallies.setdefault(outcome.call.plugin, _Tally()).note(outcome.before, outcome.after)
        return failures

    def _event_changes(self) -> list[HookChange]:
        return [
            HookChange(plugin, "on_event", safe_text(tally.diff())) for plugin, tally in self._tallies.items()
        ]

    def _sanitize(self, event: StreamEvent) -> StreamEvent | None:
        """The event with its text made safe; None when nothing of a delta is left for now."""
        if not isinstance(event, TextDelta | ThinkingDelta):
            return event
        sanitizer = self._sanitizers.setdefault((type(event), event.index), StreamSanitizer())
        text = sanitizer.feed(event.text)
        return replace(event, text=text) if text else None

    def _flush(self) -> list[StreamEvent]:
        """What the sanitizers still held back at the end of the stream."""
        rest: list[StreamEvent] = []
        for (kind, index), sanitizer in self._sanitizers.items():
            text = sanitizer.finish()
            if text:
                event = kind(text, index)
                self._answer.add(event)
                rest.append(event)
        self._sanitizers.clear()
        return rest


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


def _pieces(event: StreamEvent) -> list[StreamEvent]:
    if not isinstance(event, TextDelta | ThinkingDelta) or len(event.text) <= PIECE_CHARACTERS:
        return [event]
    starts = range(0, len(event.text), PIECE_CHARACTERS)
    return [replace(event, text=event.text[start : start + PIECE_CHARACTERS]) for start in starts]


async def _close_stream(stream: AsyncIterator[StreamEvent]) -> None:
    close = getattr(stream, "aclose", None)
    if close is None:
        return
    try:
        async with asyncio.timeout(CLOSE_LIMIT_S):
            await close()
    except (TimeoutError, RuntimeError):
        return  # it will not stop, or has been stopped already: the turn ends without it


def _accept_request(copy: ChatRequest, returned: Any) -> ChatRequest:
    if returned is not None:
        raise TypeError(f"on_request gave a {type(returned).__name__}; it changes the request in place")
    if not all(isinstance(message, Message) for message in copy.messages):
        raise TypeError("on_request left something that is not a Message among the messages")
    texts: tuple[object, ...] = (copy.model, copy.system or "")
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("on_request left a model or a system prompt that is not text")
    return copy


def _accept_response(copy: ChatResponse, returned: Any) -> ChatResponse:
    if returned is not None:
        raise TypeError(f"on_response gave a {type(returned).__name__}; it changes the response in place")
    if not isinstance(copy.message, Message):
        raise TypeError("on_response left something that is not a Message")
    return copy


def _accept_event(copy: StreamEvent | None, returned: Any) -> StreamEvent | None:
    if returned is not None and not isinstance(returned, STREAM_EVENTS):
        raise TypeError(f"on_event gave a {type(returned).__name__} where an event or None belongs")
    if isinstance(copy, Finished) and not isinstance(returned, Finished):
        raise TypeError("on_event dropped the end of the stream")
    return returned


_REQUEST_RULES = ValueRules(copy=ChatRequest.copy, accept=_accept_request)
_RESPONSE_RULES = ValueRules(copy=ChatResponse.copy, accept=_accept_response)
_EVENT_RULES: ValueRules[StreamEvent | None] = ValueRules(
    copy=lambda event: event, accept=_accept_event, stops=lambda event: event is None
)


def _safe_response(response: ChatResponse) -> ChatResponse:
    message = response.message
    safe = message.with_text(safe_text(message.text)) if message.text else message
    return ChatResponse(safe, response.stop, response.usage)


def _guard_error(plugin: str, reason: str) -> PluginError:
    return PluginError(
        f"The guard {plugin} failed, so the turn was stopped",
        detail=reason,
        hint=f"Retry, or switch {plugin} off in the plugins screen to go on without it.",
    )


def _protocol_error(provider: str, detail: str) -> ProviderError:
    return ProviderError(
        ErrorKind.PROTOCOL,
        f"{provider} failed in a way it should not",
        detail=detail,
        hint="What came is kept. Retry, or choose another model.",
    )
