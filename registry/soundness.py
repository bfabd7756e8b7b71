"""Checks what plugins hand to a turn: events, and the requests and answers that hooks changed.

The types of a plugin's values are promises that nobody enforced; a wrong one has to fail where it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from registry.chat import (
    STREAM_EVENTS,
    ChatRequest,
    ChatResponse,
    CitationReceived,
    Finished,
    Message,
    OpaqueReceived,
    Part,
    Progress,
    Role,
    ServerToolUsed,
    Started,
    StopReason,
    StreamEvent,
    TextDelta,
    TextPart,
    ThinkingDelta,
    ThinkingPart,
    ToolArgumentsDelta,
    ToolCallEnded,
    ToolCallPart,
    ToolCallStarted,
    Usage,
    UsageReceived,
)
from registry.cleaning import clean_response
from registry.hooks import ValueRules

_PARTS = get_args(Part)
_ROLES = get_args(Role)


def check_event(event: Any) -> StreamEvent:
    """An event that is one, with fields of the types it promises.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(event, STREAM_EVENTS):
        raise TypeError(f"a {type(event).__name__} where an event belongs")
    if not _is_sound(event):
        raise TypeError(f"a {type(event).__name__} with a field of a wrong type")
    checked: StreamEvent = event
    return checked


def _is_sound(event: Any) -> bool:
    match event:
        case (
            TextDelta(text=str(), index=int())
            | ThinkingDelta(text=str(), index=int())
            | ToolArgumentsDelta(index=int(), text=str())
            | ToolCallEnded(index=int())
            | ToolCallStarted(index=int(), id=str(), name=str())
            | OpaqueReceived(opaque=str(), index=int())
            | Started(id=str(), model=str())
            | Progress(label=str(), done=int(), total=int() | None)
            | CitationReceived(url=str(), title=str(), index=int())
            | ServerToolUsed(name=str(), state=str(), index=int())
            | UsageReceived(usage=Usage())
        ):
            return True
        case Finished(stop=StopReason(), usage=Usage() | None, details=details):
            return _is_text_table(details)
        case _:
            return False


def _accept_request(before: ChatRequest, copy: ChatRequest, returned: Any) -> ChatRequest:
    if returned is not None:
        raise TypeError(f"on_request gave a {type(returned).__name__}; it changes the request in place")
    texts = [copy.model, copy.provider, copy.system or ""]
    _require(_all_text(texts), "on_request left a model, a provider or a system prompt that is not text")
    _require(_is_table(copy.parameters), "on_request left parameters that are not names with plain values")
    _require(isinstance(copy.messages, list), "on_request left messages that are no list")
    known = set(map(id, before.messages))
    for message in copy.messages:
        if id(message) not in known:
            _require(_is_message(message), "on_request left something that is not a message")
    return copy.copy()


def _accept_response(before: ChatResponse, copy: ChatResponse, returned: Any) -> ChatResponse:
    if returned is not None:
        raise TypeError(f"on_response gave a {type(returned).__name__}; it changes the response in place")
    _require(_is_message(copy.message), "on_response left something that is not a message")
    _require(isinstance(copy.stop, StopReason), "on_response left a stop that is no StopReason")
    _require(isinstance(copy.usage, Usage), "on_response left a usage that is no Usage")
    return copy.copy() if copy == before else clean_response(copy, before)


def _accept_event(before: StreamEvent | None, copy: StreamEvent | None, returned: Any) -> StreamEvent | None:
    if returned is before:
        return copy
    if isinstance(before, Finished) != isinstance(returned, Finished):
        raise TypeError("on_event may neither drop the end of the stream nor make one")
    return None if returned is None else check_event(returned)


def _is_text_table(table: Any) -> bool:
    return isinstance(table, Mapping) and _all_text([*table, *table.values()])


def _is_table(parameters: Any) -> bool:
    return (
        isinstance(parameters, dict)
        and _all_text(parameters)
        and all(isinstance(value, str | int | float | bool) for value in parameters.values())
    )


def _is_message(message: Any) -> bool:
    match message:
        case Message(role=role, parts=tuple() as parts, model=str() | None):
            return role in _ROLES and all(_is_part(part) for part in parts)
        case _:
            return False


def _is_part(part: Any) -> bool:
    match part:
        case TextPart(text=text) | ThinkingPart(text=text):
            return isinstance(text, str)
        case ToolCallPart(id=call, name=name, arguments=arguments):
            return _all_text([call, name, arguments])
        case _:
            return isinstance(part, _PARTS)


def _all_text(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise TypeError(otherwise)


REQUEST_RULES = ValueRules(copy=ChatRequest.copy, accept=_accept_request)
"""How hooks handle a request."""
RESPONSE_RULES = ValueRules(copy=ChatResponse.copy, accept=_accept_response)
"""How hooks handle an answer; what they leave is safe to show."""
EVENT_RULES: ValueRules[StreamEvent | None] = ValueRules(
    copy=lambda event: event, accept=_accept_event, stops=lambda event: event is None
)
"""How hooks handle an event; None is a dropped one."""
