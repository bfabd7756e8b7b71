"""For the same bytes our answer says what the official SDK assembles."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import anthropic
import pytest
from anthropic.types import Message as OfficialMessage

from jackfield import (
    ChatRequest,
    ChatResponse,
    Message,
    Part,
    StopReason,
    StreamEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from registry.answer import AnswerBuilder
from registry.chat_json import parts_from_json, parts_to_json
from tests.providers.anthropic_peer import KEY, answer_with, offer
from tests.providers.conftest import MakeContext
from tests.providers.peer import Reply, running_peer

STREAMS = {
    path.stem: path.read_bytes()
    for path in sorted((Path(__file__).parent / "fixtures" / "anthropic").glob("*.sse"))
}
STOPS = {
    "end_turn": StopReason.END,
    "stop_sequence": StopReason.END,
    "max_tokens": StopReason.LENGTH,
    "model_context_window_exceeded": StopReason.CONTEXT_FULL,
    "tool_use": StopReason.TOOL,
    "refusal": StopReason.REFUSED,
    "pause_turn": StopReason.PAUSE,
}
CLIENT_BLOCKS = {"text", "thinking", "tool_use"}


def assembled(events: list[StreamEvent]) -> ChatResponse:
    builder = AnswerBuilder("anthropic/claude-sonnet-5-5")
    for event in events:
        builder.add(event)
    assert builder.finished
    return builder.response


async def ask_officially(url: str) -> OfficialMessage:
    client = anthropic.AsyncAnthropic(api_key=KEY, base_url=url, max_retries=0)
    async with (
        client,
        client.messages.stream(
            model="claude-sonnet-5-5", max_tokens=100, messages=[{"role": "user", "content": "Hi"}]
        ) as stream,
    ):
        return await stream.get_final_message()


def said(part: Part) -> tuple[object, ...] | None:
    """A part as the SDK's blocks are compared; None for one that only carries a block of the server."""
    match part:
        case TextPart():
            kept = json.loads(part.opaque or "{}").get("citations")
            return ("text", part.text, kept or None)
        case ToolCallPart():
            return ("tool_use", part.id, part.name, json.loads(part.arguments))
        case ThinkingPart(opaque=str() as opaque):
            block = json.loads(opaque)["block"]
            if block["type"] != "thinking":
                return (block["type"], json.dumps(block, sort_keys=True))
            assert block["thinking"] == part.text
            return ("thinking", block["thinking"], block["signature"])
        case _:
            return None


def officially_said(message: OfficialMessage) -> list[tuple[object, ...]]:
    blocks: list[tuple[object, ...]] = []
    for item in message.content:
        block = item.to_dict()
        match block["type"]:
            case "text":
                if block["text"]:
                    blocks.append(("text", block["text"], block.get("citations") or None))
            case "tool_use":
                blocks.append(("tool_use", block["id"], block["name"], block["input"]))
            case "thinking":
                blocks.append(("thinking", block["thinking"], block["signature"]))
            case kind:
                blocks.append((kind, json.dumps(block, sort_keys=True)))
    return blocks


def test_there_are_streams_to_compare() -> None:
    assert len(STREAMS) >= 12


@pytest.mark.parametrize("name", sorted(STREAMS))
async def test_the_answer_is_what_the_sdk_assembles(name: str, make_context: MakeContext) -> None:
    async with running_peer(Reply([STREAMS[name]])) as peer:
        ours = assembled(await answer_with(offer(make_context, peer)))
        theirs = await ask_officially(peer.url)
    assert [part for part in map(said, ours.message.parts) if part] == officially_said(theirs)
    usage = theirs.usage
    assert ours.usage.input == usage.input_tokens
    assert ours.usage.cache_read == (usage.cache_read_input_tokens or 0)
    assert ours.usage.cache_write == (usage.cache_creation_input_tokens or 0)
    assert ours.usage.output == usage.output_tokens
    details = usage.output_tokens_details
    assert ours.usage.reasoning == (details.thinking_tokens if details else 0)
    assert ours.stop is STOPS[theirs.stop_reason or ""]


@pytest.mark.parametrize("name", sorted(STREAMS))
async def test_what_is_sent_back_is_what_the_sdk_would_send_back(
    name: str, make_context: MakeContext
) -> None:
    async with running_peer(Reply([STREAMS[name]])) as peer:
        provider = offer(make_context, peer)
        ours = assembled(await answer_with(provider))
        theirs = await ask_officially(peer.url)
        question = Message.of("user", "Hi")
        kept = replace(ours.message, parts=parts_from_json(parts_to_json(ours.message.parts)))
        again = ChatRequest("claude-sonnet-5-5", [question, kept, question], "anthropic")
        await answer_with(provider, again)
    sent = peer.sent()["messages"]
    assert isinstance(sent, list)
    blocks = [block for message in sent if message["role"] == "assistant" for block in message["content"]]
    expected = [item.to_dict() for item in theirs.content]
    assert [plain(block) for block in blocks] == [
        plain(block) for block in expected if block["type"] != "text" or str(block["text"]).strip()
    ]


def plain(block: dict[str, object]) -> dict[str, object]:
    """A block without what the SDK fills in for what was not sent."""
    return {key: value for key, value in block.items() if value is not None and value != []}
