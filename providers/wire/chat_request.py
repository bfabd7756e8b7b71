"""Requests in the Chat Completions dialect, as JSON."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

from jackfield import (
    ChatRequest,
    FilePart,
    ImagePart,
    Message,
    Model,
    Parameter,
    Part,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)
from providers.wire.quirks import USUAL, Quirks

Json: TypeAlias = dict[str, object]

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Words for an effort, from little to much."""
_OFF: Final = frozenset({"none", "off", "disabled", "false", "no"})
_NINE: Final = re.compile(r"[a-zA-Z0-9]{9}")
_SHORT: Final = 40


def request_body(
    request: ChatRequest, *, extra: Mapping[str, object] | None = None, quirks: Quirks = USUAL
) -> Json:
    """The JSON of a request.

    Args:
        request: its parameters go in under their own names, but `effort`, and where the quirks say otherwise.
        extra: further fields; a parameter of the request with the same name wins.
        quirks: how the server differs.
    """
    body: Json = {
        **quirks.extra,
        **(extra or {}),
        **_parameters(request, quirks),
        "model": request.model,
        "messages": _messages(request, quirks),
        "stream": True,
    }
    if quirks.stream_options:
        body["stream_options"] = {"include_usage": True}
    return body


def accepted(model: Model, *, quirks: Quirks = USUAL) -> tuple[Parameter, ...]:
    """What a user may set for a model behind a server with these quirks.

    An effort is offered unless the model is known not to think.
    """
    parameters = [Parameter.temperature(), Parameter.max_tokens(model.output_limit or model.context_window)]
    on = (quirks.efforts or EFFORTS[1:]) if quirks.effort_on else ()
    off = EFFORTS[:1] if quirks.effort_off and "none" not in on else ()
    if on and (model.reasoning or not model.is_marked):
        parameters.append(Parameter.effort((*off, *on)))
    return tuple(parameter for parameter in parameters if parameter.name not in quirks.drop)


def _parameters(request: ChatRequest, quirks: Quirks) -> Json:
    fields: Json = {}
    for name, value in request.parameters.items():
        if name == "effort":
            fields.update(_effort_fields(str(value), quirks))
        elif name not in quirks.drop:
            sent = quirks.max_tokens if name == "max_tokens" else name
            fields[quirks.rename.get(sent, sent)] = value
    return fields


def _effort_fields(asked: str, quirks: Quirks) -> Mapping[str, object]:
    word = asked.strip().lower()
    if word in _OFF:
        return quirks.effort_off
    filled = _filled(quirks.effort_on, _nearest(word, quirks.efforts))
    return filled if isinstance(filled, dict) else {}


def _nearest(asked: str, efforts: Sequence[str]) -> str:
    """The most that is not more than what was asked for, or else the least there is."""
    if not efforts or asked in efforts:
        return asked
    most = EFFORTS.index(asked) if asked in EFFORTS else EFFORTS.index("medium")
    lower = [effort for effort in efforts if effort in EFFORTS and EFFORTS.index(effort) <= most]
    return lower[-1] if lower else efforts[0]


def _filled(template: object, effort: str) -> object:
    if isinstance(template, Mapping):
        return {key: _filled(value, effort) for key, value in template.items()}
    return effort if template == "{effort}" else template


def _messages(request: ChatRequest, quirks: Quirks) -> list[Json]:
    messages: list[Json] = []
    if request.system:
        messages.append({"role": quirks.system_role, "content": request.system})
    for message in request.messages:
        messages.extend(_wire_messages(message, request, quirks))
    return _joined(messages) if quirks.alternate else messages


def _wire_messages(message: Message, request: ChatRequest, quirks: Quirks) -> Iterator[Json]:
    """A message as one or more of the wire's: results of tools travel in messages of their own."""
    for part in message.parts:
        if isinstance(part, ToolResultPart):
            call_id = _call_id(part.call_id, quirks)
            yield {"role": "tool", "tool_call_id": call_id, "content": part.content}
    if message.role != "user":
        # A plain string: lists of parts confuse some models when they are not the user's.
        calls = [_wire_call(part, quirks) for part in message.parts if isinstance(part, ToolCallPart)]
        if message.text or calls:
            yield {
                "role": quirks.system_role if message.role == "system" else message.role,
                "content": message.text or None,
                **_thoughts(message, request, quirks),
                **({"tool_calls": calls} if calls else {}),
            }
        return
    content = [piece for part in message.parts if (piece := _wire_part(part)) is not None]
    if content:
        plain = all(isinstance(part, TextPart | ToolResultPart) for part in message.parts)
        yield {"role": "user", "content": message.text if plain else content}


def _wire_part(part: Part) -> Json | None:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart(data=bytes() as data):
            return {"type": "image_url", "image_url": {"url": _data_url(part.media_type, data)}}
        case ImagePart(url=str()):
            return {"type": "image_url", "image_url": {"url": part.url}}
        case FilePart():
            document = {"filename": part.name, "file_data": _data_url(part.media_type, part.data)}
            return {"type": "file", "file": document}
        case _:
            return None


def _thoughts(message: Message, request: ChatRequest, quirks: Quirks) -> Json:
    """The thoughts of an answer, where the server wants them back."""
    has_calls = any(isinstance(part, ToolCallPart) for part in message.parts)
    if message.role != "assistant" or quirks.thinking_back == "never":
        return {}
    if quirks.thinking_back == "calls" and not has_calls:
        return {}
    thoughts = [part for part in message.parts if isinstance(part, ThinkingPart)]
    if quirks.thinking_field == "reasoning_details":
        # They are signed, and of use to the model alone that wrote them.
        own = message.model in (None, f"{request.provider}/{request.model}")
        details = [detail for part in thoughts for detail in _details(part)] if own else []
        return {"reasoning_details": details} if details else {}
    text = "".join(part.text for part in thoughts)
    # Servers that want thoughts back refuse a call without the field, even when nothing was thought.
    return {quirks.thinking_field: text} if text or has_calls else {}


def _details(part: ThinkingPart) -> list[object]:
    try:
        details = json.loads(part.opaque or "null")
    except (ValueError, RecursionError):
        return []
    return details if isinstance(details, list) else []


def _wire_call(part: ToolCallPart, quirks: Quirks) -> Json:
    return {
        "id": _call_id(part.id, quirks),
        "type": "function",
        "function": {"name": part.name, "arguments": part.arguments or "{}"},
    }


def _call_id(given: str, quirks: Quirks) -> str:
    """The id of a call, or one that stands for it where the server would refuse its shape."""
    if quirks.tool_ids == "nine" and not _NINE.fullmatch(given):
        return sha256(given.encode("utf-8", "replace")).hexdigest()[:9]
    if quirks.tool_ids == "short" and len(given) > _SHORT:
        return sha256(given.encode("utf-8", "replace")).hexdigest()[:_SHORT]
    return given


def _joined(messages: list[Json]) -> list[Json]:
    """The messages, with those that one role sends in a row made one."""
    joined: list[Json] = []
    for message in messages:
        last = joined[-1] if joined else {}
        if message["role"] != last.get("role") or message["role"] == "tool" or "tool_calls" in last:
            joined.append(message)
        else:
            joined[-1] = {**last, **message, "content": _both(last["content"], message["content"])}
    return joined


def _both(first: object, second: object) -> object:
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return [*_as_parts(first), *_as_parts(second)]


def _as_parts(content: object) -> list[object]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{b64encode(data).decode('ascii')}"
