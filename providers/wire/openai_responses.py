"""The Responses dialect of OpenAI: requests as JSON; `openai_responses_reader` reads the answers.

Nothing is kept at the server: every request carries the whole conversation, with the model's encrypted
reasoning and the ids and phases of its items sent back as they came. They are of use to the model that wrote
them alone, so another model is sent the texts and calls without them.

Source: https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, TypeAlias

from jackfield import (
    ChatRequest,
    FilePart,
    ImagePart,
    Message,
    Part,
    StreamEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)
from providers.wire.errors import naming_request
from providers.wire.openai_responses_reader import OPAQUE, ResponsesReader
from providers.wire.transport import drain, post_events

if TYPE_CHECKING:
    import httpx

Json: TypeAlias = dict[str, object]

LEAST_OUTPUT: Final = 16
"""The server refuses a smaller `max_output_tokens`."""
_NO_RESULT: Final = "The call was not run."
"""Stands for the result of a call that has none: the server refuses a conversation without one."""
_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_-]")


async def stream_responses(
    client: httpx.AsyncClient,
    url: str,
    body: Mapping[str, object],
    *,
    name: str,
    headers: Mapping[str, str] | None = None,
    details: Mapping[str, str] | None = None,
) -> AsyncGenerator[StreamEvent]:
    """Ask a server and give the events of its answer.

    Args:
        client: who sends the request.
        url: the address that ends in `/responses`.
        body: what `request_body` made.
        name: how the user calls the provider, for titles of errors.
        headers: beside those of the client, such as the key.
        details: what to say beside in the last event.

    Raises:
        ProviderError: the server failed, or its answer ended without its last event.
    """
    reader = ResponsesReader(name, str(body.get("model", "")))
    said = dict(details or {})

    with naming_request(name, said) as note:
        async with aclosing(
            post_events(client, url, body, name=name, headers=headers, on_headers=note)
        ) as events:
            async for event in events:
                for given in reader.feed(event.data):
                    yield given
                if reader.ended:
                    await drain(events)
                    break
        yield reader.finish(said)


def request_body(request: ChatRequest, *, reasons: bool, summary: str | None = "auto") -> Json:
    """The JSON of a request.

    Args:
        request: of its parameters `temperature`, `max_tokens` and `effort` are heeded.
        reasons: whether the model thinks first; then it takes an effort, and a temperature only without one.
        summary: how the model sums up its thoughts; None for not at all.
    """
    parameters = request.parameters
    effort = parameters.get("effort")
    body: Json = {
        "model": request.model,
        "input": _items(request.messages, request.model),
        "stream": True,
        "store": False,
    }
    if request.system:
        body["instructions"] = request.system
    if reasons:
        body["include"] = ["reasoning.encrypted_content"]
        reasoning = {"effort": str(effort).lower() if effort else None, "summary": summary}
        body["reasoning"] = {key: value for key, value in reasoning.items() if value is not None}
    if "temperature" in parameters and (not reasons or effort == "none"):
        body["temperature"] = parameters["temperature"]
    limit = parameters.get("max_tokens")
    if isinstance(limit, int | float) and limit > 0:
        body["max_output_tokens"] = max(LEAST_OUTPUT, int(limit))
    return body


def left_out(request: ChatRequest, body: Mapping[str, object]) -> list[str]:
    """The parameters of a request that its model does not take, so that they are not in its JSON."""
    fields = {"temperature": "temperature", "max_tokens": "max_output_tokens", "effort": "reasoning"}
    return [name for name in request.parameters if fields.get(name) not in body]


def _items(messages: list[Message], model: str) -> list[Json]:
    """The conversation as input items, in which each call has exactly one result."""
    parts = [part for message in messages for part in message.parts]
    asked = {part.id for part in parts if isinstance(part, ToolCallPart)}
    answered = {part.call_id for part in parts if isinstance(part, ToolResultPart)}
    items: list[Json] = []
    for message in messages:
        if message.role == "assistant":
            items.extend(_answer_items(message, model))
            calls = [part.id for part in message.parts if isinstance(part, ToolCallPart)]
            items.extend(_result(call, _NO_RESULT) for call in calls if call not in answered)
        else:
            results = [part for part in message.parts if isinstance(part, ToolResultPart)]
            items.extend(_result(part.call_id, part.content) for part in results if part.call_id in asked)
            items.extend(_spoken(message))
    return items


def _spoken(message: Message) -> Iterator[Json]:
    """What a user or the system said."""
    spoken = [part for part in message.parts if not isinstance(part, ToolResultPart)]
    if all(isinstance(part, TextPart) for part in spoken):
        if message.text:
            yield {"role": message.role, "content": message.text}
        return
    content = [piece for part in spoken if (piece := _content(part)) is not None]
    if content:
        yield {"role": message.role, "content": content}


def _content(part: Part) -> Json | None:
    match part:
        case TextPart(text=text) if text:
            return {"type": "input_text", "text": text}
        case ImagePart(data=bytes() as data):
            return {"type": "input_image", "image_url": _data_url(part.media_type, data)}
        case ImagePart(url=str() as url):
            return {"type": "input_image", "image_url": url}
        case FilePart():
            return {
                "type": "input_file",
                "filename": part.name,
                "file_data": _data_url(part.media_type, part.data),
            }
        case _:
            return None


def _answer_items(message: Message, model: str) -> list[Json]:
    """An answer as items. Thoughts go back only before the item that they led to, as that came."""
    items: list[Json] = []
    thoughts: list[Json] = []
    for part in message.parts:
        known = _opaque(part.opaque, model)
        if isinstance(part, ThinkingPart):
            thoughts.extend(_kept_items(known))
            continue
        item = _answer_item(part, known)
        if item is None:
            continue
        if known:
            items.extend(thoughts)
        thoughts = []
        if not _joined(items, item):
            items.append(item)
    return items


def _answer_item(part: Part, known: Mapping[str, object]) -> Json | None:
    match part:
        case TextPart(text=text) if known:
            refused = known.get("refusal") is True
            content: Json = (
                {"type": "refusal", "refusal": text}
                if refused
                else {"type": "output_text", "text": text, "annotations": []}
            )
            head = {"type": "message", "role": "assistant", "status": "completed"}
            return {**head, **_texts(known, "id", "phase"), "content": [content]}
        case TextPart(text=text) if text:
            return {"role": "assistant", "content": text}
        case ToolCallPart():
            return {
                "type": "function_call",
                **_texts(known, "id", "namespace"),
                "call_id": part.id,
                "name": _NOT_IN_NAMES.sub("_", part.name),
                "arguments": part.arguments or "{}",
            }
        case _:
            return None


def _joined(items: list[Json], item: Json) -> bool:
    """Whether the item was a further piece of the message before it, and is now part of that."""
    last = items[-1] if items else {}
    if "id" not in item or item.get("type") != "message" or last.get("id") != item["id"]:
        return False
    said, more = last.get("content"), item["content"]
    if not isinstance(said, list) or not isinstance(more, list):
        return False
    said.extend(more)
    return True


def _kept_items(known: Mapping[str, object]) -> Iterator[Json]:
    items = known.get("items")
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield item


def _opaque(opaque: str | None, model: str) -> Mapping[str, object]:
    """What this dialect kept with a part, if this model wrote it."""
    if not opaque:
        return {}
    try:
        kept = json.loads(opaque)
    except (ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) and kept.get(OPAQUE) == model else {}


def _result(call_id: str, content: str) -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": content}


def _texts(mapping: Mapping[str, object], *keys: str) -> Json:
    return {key: value for key in keys if isinstance(value := mapping.get(key), str) and value}


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{b64encode(data).decode('ascii')}"
