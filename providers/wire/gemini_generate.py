"""The dialect of Gemini's `streamGenerateContent`: requests as JSON; `gemini_reader` reads the answers.

A part of an answer may carry a signature, which the model wants back on exactly that part. It is kept with
the part (`OpaqueReceived`), and sent to the model that made it alone.

Source: https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import takewhile
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
from providers.wire.gemini_reader import OPAQUE, GenerateReader
from providers.wire.transport import post_events

if TYPE_CHECKING:
    import httpx

Json: TypeAlias = dict[str, object]

_NO_SIGNATURE: Final = b64encode(b"skip_thought_signature_validator").decode("ascii")
"""Stands for the signature of a call that another model made; its documented name says what it does."""
_NO_RESULT: Final = "The call was not run."
"""Stands for the result of a call that has none: the server refuses a conversation without one."""
_OPENING: Final = "(The conversation begins with an answer.)"
"""The server wants the first turn to be the user's."""


async def stream_generate(
    client: httpx.AsyncClient,
    url: str,
    body: Mapping[str, object],
    *,
    model: str,
    name: str,
    headers: Mapping[str, str] | None = None,
    details: Mapping[str, str] | None = None,
) -> AsyncGenerator[StreamEvent]:
    """Ask a server and give the events of its answer.

    Args:
        client: who sends the request.
        url: the address that ends in `:streamGenerateContent?alt=sse`.
        body: what `request_body` made.
        model: the model that the address names.
        name: how the user calls the provider, for titles of errors.
        headers: beside those of the client, such as the key.
        details: what to say beside in the last event.

    Raises:
        ProviderError: the server failed, or its answer ended without a reason.
    """
    reader = GenerateReader(name, model)
    said = dict(details or {})

    with naming_request(name, said) as note:
        async with aclosing(
            post_events(client, url, body, name=name, headers=headers, on_headers=note)
        ) as events:
            async for event in events:
                for given in reader.feed(event.data):
                    yield given
        yield reader.finish(said)


def request_body(
    request: ChatRequest, *, thinking: Mapping[str, object] | None = None, signed_calls: bool = True
) -> Json:
    """The JSON of a request.

    Args:
        request: of its parameters `temperature` and `max_tokens` are heeded.
        thinking: the model's `thinkingConfig`; None for a model that has none.
        signed_calls: whether the model refuses calls without a signature.
    """
    system = [request.system or "", *(said.text for said in request.messages if said.role == "system")]
    instruction = "\n\n".join(text for text in system if text)
    parameters = request.parameters
    limit = parameters.get("max_tokens")
    config: Json = {
        "maxOutputTokens": int(limit) if isinstance(limit, int | float) and limit > 0 else None,
        "temperature": parameters.get("temperature"),
        "thinkingConfig": dict(thinking) if thinking else None,
    }
    config = {key: value for key, value in config.items() if value is not None}
    writer = _Writer(request.model, signed_calls=signed_calls)
    return {
        "contents": writer.contents([said for said in request.messages if said.role != "system"]),
        **({"systemInstruction": {"parts": [{"text": instruction}]}} if instruction else {}),
        **({"generationConfig": config} if config else {}),
    }


def left_out(request: ChatRequest, body: Mapping[str, object]) -> list[str]:
    """The parameters of a request that its model does not take, so that they are not in its JSON."""
    config = body.get("generationConfig")
    taken = config if isinstance(config, dict) else {}
    fields = {"temperature": "temperature", "max_tokens": "maxOutputTokens", "effort": "thinkingConfig"}
    return [name for name in request.parameters if fields.get(name) not in taken]


@dataclass(slots=True)
class _Call:
    """A call of the conversation, and the id that its model gave it, if it did."""

    name: str
    wire_id: str


@dataclass(slots=True)
class _Writer:
    """Writes a conversation for one model."""

    model: str
    signed_calls: bool
    calls: dict[str, _Call] = field(default_factory=dict)

    def contents(self, messages: Sequence[Message]) -> list[Json]:
        """Turns that alternate, in which the results of all calls of a turn stand together."""
        contents: list[Json] = []
        for at, said in enumerate(messages):
            if said.role == "assistant":
                _append(contents, "model", self._answered(said))
                calls = [part.id for part in said.parts if isinstance(part, ToolCallPart)]
                results = _results_after(messages, at) if calls else {}
                _append(contents, "user", [self._result(call, results.get(call)) for call in calls])
            else:
                _append(contents, "user", [piece for part in said.parts if (piece := _spoken(part))])
        if contents and contents[0]["role"] == "model":
            contents.insert(0, {"role": "user", "parts": [{"text": _OPENING}]})
        return contents

    def _answered(self, said: Message) -> list[Json]:
        pieces: list[Json] = []
        called = False
        for part in said.parts:
            known = _opaque(part.opaque, self.model)
            signature = _text(known.get("signature"))
            signed: Json = {"thoughtSignature": signature} if signature else {}
            match part:
                case TextPart(text=text) if text or signed:
                    pieces.append({"text": text, **signed})
                case ThinkingPart(text=text):
                    pieces.extend(_kept(known, text, signed))
                case ToolCallPart():
                    if not signed and not called and self.signed_calls:
                        signed = {"thoughtSignature": _NO_SIGNATURE}
                    called = True
                    pieces.append({**self._call(part, _text(known.get("id"))), **signed})
                case _:
                    pass
        return pieces

    def _call(self, part: ToolCallPart, wire_id: str) -> Json:
        self.calls[part.id] = _Call(part.name, wire_id)
        return {"functionCall": {**_id(wire_id), "name": part.name, "args": _arguments(part.arguments)}}

    def _result(self, call_id: str, result: ToolResultPart | None) -> Json:
        call = self.calls[call_id]
        failed = result is None or result.is_error
        content = _NO_RESULT if result is None else result.content
        response = {"error" if failed else "output": content}
        return {"functionResponse": {**_id(call.wire_id), "name": call.name, "response": response}}


def _results_after(messages: Sequence[Message], at: int) -> dict[str, ToolResultPart]:
    """The results that follow an answer, up to the next one: ids may come again later."""
    following = takewhile(lambda said: said.role != "assistant", messages[at + 1 :])
    parts = (part for said in following for part in said.parts)
    return {part.call_id: part for part in parts if isinstance(part, ToolResultPart)}


def _append(contents: list[Json], role: str, pieces: list[Json]) -> None:
    """Add a turn, or go on with the last one when the same side speaks again."""
    if not pieces:
        return
    parts = contents[-1]["parts"] if contents and contents[-1]["role"] == role else None
    if isinstance(parts, list):
        parts.extend(pieces)
    else:
        contents.append({"role": role, "parts": pieces})


def _kept(known: Mapping[str, object], text: str, signed: Json) -> Iterator[Json]:
    """What of a thought goes back: nothing but what its model signed, or wants back as it came."""
    part = known.get("part")
    if isinstance(part, dict):
        yield part
    elif signed:
        yield {"text": text, **signed, **({} if known.get("text") is True else {"thought": True})}


def _spoken(part: Part) -> Json | None:
    match part:
        case TextPart(text=text) if text:
            return {"text": text}
        case ImagePart(data=bytes() as data) | FilePart(data=data):
            return {"inlineData": {"mimeType": part.media_type, "data": b64encode(data).decode("ascii")}}
        case ImagePart(url=str() as url):
            return {"fileData": {"fileUri": url, "mimeType": part.media_type}}
        case _:
            return None  # results stand right after their calls


def _arguments(text: str) -> Json:
    """The arguments as the object that the wire wants; what is no JSON object goes in as text."""
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        arguments = None
    return arguments if isinstance(arguments, dict) else {"arguments": text}


def _opaque(opaque: str | None, model: str) -> Mapping[str, object]:
    """What this dialect kept with a part, if this model wrote it."""
    if not opaque:
        return {}
    try:
        kept = json.loads(opaque)
    except (ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) and kept.get(OPAQUE) == model else {}


def _id(wire_id: str) -> Json:
    return {"id": wire_id} if wire_id else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
