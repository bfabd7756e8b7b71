"""The same bytes mean the same to us and to OpenAI's own client, in both of its dialects."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import httpx
import openai
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState

from jackfield import StopReason, Usage
from providers.wire.chat_completions import stream_chat
from providers.wire.openai_responses import stream_responses
from tests.providers.normal import Normal, normal_of, recorded, whole_streams
from tests.providers.peer import Peer, Reply, running_peer


def test_there_are_enough_streams() -> None:
    assert len(whole_streams("openai_responses")) >= 12
    assert len(whole_streams("openai_chat")) >= 12


@pytest.mark.parametrize("name", whole_streams("openai_responses"))
async def test_responses_mean_the_same_to_us_and_to_the_official_client(name: str) -> None:
    async with running_peer(Reply([recorded("openai_responses", name)])) as peer:
        assert await our_response(peer) == await their_response(peer)


@pytest.mark.parametrize("name", whole_streams("openai_chat"))
async def test_completions_mean_the_same_to_us_and_to_the_official_client(name: str) -> None:
    async with running_peer(Reply([recorded("openai_chat", name)])) as peer:
        async with httpx.AsyncClient() as client:
            url = f"{peer.url}/v1/chat/completions"
            ours = await normal_of(stream_chat(client, url, {"model": "m"}, name="Peer"))
        assert ours == await their_completion(peer)


async def our_response(peer: Peer) -> Normal:
    async with httpx.AsyncClient() as client:
        return await normal_of(
            stream_responses(client, f"{peer.url}/v1/responses", {"model": "m"}, name="Peer")
        )


def official(peer: Peer) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="k", base_url=f"{peer.url}/v1", max_retries=0)


async def their_response(peer: Peer) -> Normal:
    items: dict[int, Any] = {}
    response: Any = None
    async with official(peer) as client, client.responses.stream(model="m", input="Hi") as stream:
        async for event in stream:
            if event.type == "response.output_item.done":
                items[event.output_index] = event.item
            if event.type in ("response.completed", "response.incomplete"):
                response = event.response
    # The last event's output may be empty; then the items are all there is.
    output: list[Any] = response.output or [items[index] for index in sorted(items)]
    pieces = [piece for item in output if item.type == "message" for piece in item.content]
    thoughts = [
        section.text
        for item in output
        if item.type == "reasoning"
        for section in (item.summary or item.content or [])
    ]
    calls = [item for item in output if item.type == "function_call"]
    refused = any(piece.type == "refusal" for piece in pieces)
    usage = response.usage
    details = usage.input_tokens_details
    return Normal(
        "".join(piece.refusal if piece.type == "refusal" else piece.text for piece in pieces),
        "\n\n".join(thoughts),
        tuple((call.call_id, call.name, json.loads(call.arguments)) for call in calls),
        tuple(note.url for piece in pieces if piece.type == "output_text" for note in piece.annotations),
        Usage(
            usage.input_tokens - details.cached_tokens - details.cache_write_tokens,
            details.cached_tokens,
            details.cache_write_tokens,
            usage.output_tokens,
            usage.output_tokens_details.reasoning_tokens,
        ),
        _stop_of_response(response, called=bool(calls), refused=refused),
    )


def _stop_of_response(response: Any, *, called: bool, refused: bool) -> StopReason:
    if response.status == "incomplete":
        reasons = {"max_output_tokens": StopReason.LENGTH, "content_filter": StopReason.REFUSED}
        return reasons[response.incomplete_details.reason]
    if called:
        return StopReason.TOOL
    return StopReason.REFUSED if refused else StopReason.END


async def their_completion(peer: Peer) -> Normal:
    async with official(peer) as client:
        state = ChatCompletionStreamState()
        async for chunk in await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
        ):
            # It raises on answers that were cut off, after it has taken them in.
            with suppress(openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError):
                state.handle_chunk(chunk)
    completion: Any = state.current_completion_snapshot
    choice = completion.choices[0]
    calls = choice.message.tool_calls or []
    stops = {
        "stop": StopReason.REFUSED if choice.message.refusal else StopReason.END,
        "length": StopReason.LENGTH,
        "tool_calls": StopReason.TOOL,
        "content_filter": StopReason.REFUSED,
    }
    return Normal(
        choice.message.content or choice.message.refusal or "",
        "",
        tuple((call.id, call.function.name, json.loads(call.function.arguments)) for call in calls),
        (),
        _usage_of_completion(completion.usage),
        stops[choice.finish_reason],
    )


def _usage_of_completion(usage: Any) -> Usage:
    if usage is None:
        return Usage()
    prompt, answer = usage.prompt_tokens_details, usage.completion_tokens_details
    cached = (prompt and prompt.cached_tokens) or 0
    written = (prompt and getattr(prompt, "cache_write_tokens", 0)) or 0
    return Usage(
        usage.prompt_tokens - cached - written,
        cached,
        written,
        usage.completion_tokens,
        (answer and answer.reasoning_tokens) or 0,
    )
