"""Thinking in every dialect, as a server that others wrote sends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from jackfield import (
    Message,
    ProviderError,
    StopReason,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ThinkingPart,
    ToolCallPart,
)
from registry.turn import Turn, TurnEvent
from tests.node_servers import PORT, node_server
from tests.providers.dialects import ALL_DIALECTS, DIALECTS, Dialect

SCRIPT = "node_modules/@copilotkit/aimock/dist/cli.js"
THOUGHT = "The user greets me in Köln. I should greet back, at some length, and name the city: 科隆."
ANSWER = "Hello from Köln! I hope that the day is a good one for you."
FIXTURES = {
    "fixtures": [
        {
            "match": {"userMessage": "think, then call"},
            "response": {
                "reasoning": THOUGHT,
                "toolCalls": [{"id": "call_1", "name": "look_up", "arguments": {"city": "Köln"}}],
            },
        },
        {
            "match": {"userMessage": "think, say, then call"},
            "response": {
                "reasoning": THOUGHT,
                "content": ANSWER,
                "toolCalls": [{"id": "call_1", "name": "look_up", "arguments": {"city": "Köln"}}],
            },
        },
        {
            "match": {"userMessage": "hide your thoughts"},
            "response": {
                "content": ANSWER,
                "reasoning": THOUGHT,
                "reasoningSignature": "c2lnbmVk",
                "redactedThinking": ["aGlkZGVu"],
            },
        },
        {"match": {"userMessage": "just answer"}, "response": {"content": ANSWER}},
        {
            "match": {"userMessage": "break off"},
            "response": {"content": ANSWER, "reasoning": THOUGHT},
            "truncateAfterChunks": 7,
            "latency": 20,
        },
        {"match": {}, "response": {"content": ANSWER, "reasoning": THOUGHT}},
    ]
}


@pytest.fixture(scope="module")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that thinks what `FIXTURES` say."""
    file = tmp_path_factory.mktemp("aimock") / "fixtures.json"
    file.write_text(json.dumps(FIXTURES), encoding="utf-8")
    arguments = ("--port", PORT, "--fixtures", str(file), "--chunk-size", "7", "--log-level", "warn")
    with node_server(Path(SCRIPT), *arguments) as server:
        yield server.url


async def ask(
    monkeypatch: pytest.MonkeyPatch, aimock: str, dialect: Dialect, *messages: Message
) -> tuple[Turn, list[TurnEvent]]:
    """A finished turn, and its events."""
    registry, turn = dialect.turn(monkeypatch, aimock, messages, effort="high")
    try:
        return turn, [event async for event in turn.events()]
    finally:
        await registry.aclose()


def thoughts(turn: Turn) -> list[ThinkingPart]:
    return [part for part in turn.partial.message.parts if isinstance(part, ThinkingPart)]


def words(events: list[TurnEvent], kind: type[StreamEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, kind)]  # type: ignore[union-attr]


@ALL_DIALECTS
async def test_a_thought_streams_before_the_answer_and_apart_from_it(
    monkeypatch: pytest.MonkeyPatch, aimock: str, dialect: Dialect
) -> None:
    turn, events = await ask(monkeypatch, aimock, dialect, Message.of("user", "Good morning"))
    assert "".join(words(events, ThinkingDelta)) == THOUGHT
    assert "".join(words(events, TextDelta)) == ANSWER
    assert len(words(events, ThinkingDelta)) > 3, "it comes in pieces"
    kinds = [type(event) for event in events if isinstance(event, ThinkingDelta | TextDelta)]
    assert kinds == sorted(kinds, key=[ThinkingDelta, TextDelta].index)
    assert [part.text for part in thoughts(turn) if part.text] == [THOUGHT]
    assert turn.partial.message.text == ANSWER
    assert turn.partial.stop is StopReason.END


@ALL_DIALECTS
@pytest.mark.parametrize(
    ("question", "said"), [("think, then call", ""), ("think, say, then call", ANSWER)], ids=["call", "text"]
)
async def test_a_thought_may_lead_to_a_call(
    monkeypatch: pytest.MonkeyPatch, aimock: str, dialect: Dialect, question: str, said: str
) -> None:
    turn, events = await ask(monkeypatch, aimock, dialect, Message.of("user", question))
    assert "".join(words(events, ThinkingDelta)) == THOUGHT
    assert turn.partial.message.text == said
    calls = [part for part in turn.partial.message.parts if isinstance(part, ToolCallPart)]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [("look_up", {"city": "Köln"})]
    assert turn.partial.stop is StopReason.TOOL


@ALL_DIALECTS
async def test_a_conversation_goes_on_with_its_thoughts(
    monkeypatch: pytest.MonkeyPatch, aimock: str, dialect: Dialect
) -> None:
    asked = Message.of("user", "Good morning")
    first, _ = await ask(monkeypatch, aimock, dialect, asked)
    said = first.partial.message
    turn, events = await ask(
        monkeypatch, aimock, dialect, asked, said, Message.of("user", "And now just answer.")
    )
    assert turn.partial.message.text == ANSWER
    assert words(events, ThinkingDelta) == []


async def test_hidden_and_signed_thoughts_are_kept_to_be_sent_back(
    monkeypatch: pytest.MonkeyPatch, aimock: str
) -> None:
    messages = next(dialect for dialect in DIALECTS if dialect.name == "messages")
    turn, _ = await ask(monkeypatch, aimock, messages, Message.of("user", "hide your thoughts"))
    blocks = [json.loads(part.opaque or "{}")["block"] for part in thoughts(turn)]
    assert {"type": "redacted_thinking", "data": "aGlkZGVu"} in blocks
    assert {"type": "thinking", "thinking": THOUGHT, "signature": "c2lnbmVk"} in blocks


@ALL_DIALECTS
async def test_a_thought_that_is_cut_short_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, aimock: str, dialect: Dialect
) -> None:
    registry, turn = dialect.turn(monkeypatch, aimock, [Message.of("user", "break off")])
    try:
        with pytest.raises(ProviderError) as caught:
            _ = [event async for event in turn.events()]
    finally:
        await registry.aclose()
    assert caught.value.hint
    (thought,) = thoughts(turn)
    assert thought.text
    assert THOUGHT.startswith(thought.text)
    assert turn.partial.message.text == ""
