"""An answer reduced to what every client agrees on, so that ours and an official one can be compared."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

from jackfield import StopReason, StreamEvent, ThinkingPart, ToolCallPart, Usage
from registry.answer import AnswerBuilder

FIXTURES = Path(__file__).parent / "fixtures"


@dataclass(frozen=True)
class Normal:
    """What a user would see and pay for."""

    text: str
    thinking: str
    calls: tuple[tuple[str, str, object], ...]
    """Id, name and decoded arguments of each tool call."""
    sources: tuple[str, ...]
    usage: Usage
    stop: StopReason


async def normal_of(events: AsyncIterator[StreamEvent]) -> Normal:
    """Our answer, built as a turn builds it."""
    return normal_of_all([event async for event in events])


def normal_of_all(events: Iterable[StreamEvent]) -> Normal:
    builder = AnswerBuilder("peer/m")
    for event in events:
        builder.add(event)
    assert builder.finished, "the stream did not come to its end"
    response = builder.response
    parts = response.message.parts
    return Normal(
        response.message.text,
        "\n\n".join(part.text for part in parts if isinstance(part, ThinkingPart) and part.text),
        tuple(
            (part.id, part.name, json.loads(part.arguments))
            for part in parts
            if isinstance(part, ToolCallPart)
        ),
        tuple(citation.url for citation in builder.citations),
        response.usage,
        response.stop,
    )


def whole_streams(dialect: str) -> list[str]:
    """The recorded streams of a dialect that came to their end."""
    names = sorted(path.stem for path in (FIXTURES / dialect).glob("*.sse"))
    assert names, f"there are no streams of {dialect}"
    return [name for name in names if not name.startswith("fault_")]


def recorded(dialect: str, name: str) -> bytes:
    """The bytes of one recorded stream."""
    return (FIXTURES / dialect / f"{name}.sse").read_bytes()
