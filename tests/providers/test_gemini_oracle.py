"""The same bytes mean the same to us and to Google's own client."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from google import genai
from google.genai import types

from jackfield import StopReason, Usage
from providers.wire.gemini_generate import stream_generate
from tests.providers.normal import Normal, normal_of, recorded, whole_streams
from tests.providers.peer import Peer, Reply, running_peer

STOPS = {
    "STOP": StopReason.END,
    "MAX_TOKENS": StopReason.LENGTH,
    "SAFETY": StopReason.REFUSED,
    "RECITATION": StopReason.REFUSED,
}


def test_there_are_enough_streams() -> None:
    assert len(whole_streams("gemini")) >= 12


@pytest.mark.parametrize("name", whole_streams("gemini"))
@pytest.mark.filterwarnings("ignore::UserWarning")  # the client warns of words that are new to it
async def test_answers_mean_the_same_to_us_and_to_the_official_client(name: str) -> None:
    async with running_peer(Reply([recorded("gemini", name)])) as peer:
        assert _without_made_up_ids(await our_answer(peer)) == await their_answer(peer)


async def our_answer(peer: Peer) -> Normal:
    async with httpx.AsyncClient() as client:
        url = f"{peer.url}/v1beta/models/m:streamGenerateContent?alt=sse"
        return await normal_of(stream_generate(client, url, {}, model="m", name="Peer"))


def _without_made_up_ids(ours: Normal) -> Normal:
    """A call that came without an id is given one by us, and by them none."""
    calls = tuple(("" if made.startswith("resp-g1-") else made, *call) for made, *call in ours.calls)
    return Normal(ours.text, ours.thinking, calls, ours.sources, ours.usage, ours.stop)  # type: ignore[arg-type]


async def their_answer(peer: Peer) -> Normal:
    options = types.HttpOptions(base_url=peer.url, api_version="v1beta")
    client = genai.Client(api_key="k", http_options=options)
    chunks: list[Any] = [
        chunk async for chunk in await client.aio.models.generate_content_stream(model="m", contents="Hi")
    ]
    await client.aio.aclose()
    candidates = [candidate for chunk in chunks for candidate in (chunk.candidates or [])]
    parts = [
        part
        for candidate in candidates
        if candidate.content is not None
        for part in (candidate.content.parts or [])
    ]
    calls = [part.function_call for part in parts if part.function_call is not None]
    grounding = [candidate.grounding_metadata for candidate in candidates if candidate.grounding_metadata]
    return Normal(
        "".join(part.text for part in parts if part.text and not part.thought),
        "".join(part.text for part in parts if part.text and part.thought),
        tuple((call.id or "", call.name, call.args or {}) for call in calls),
        tuple(chunk.web.uri for metadata in grounding for chunk in metadata.grounding_chunks),
        _usage([chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]),
        _stop(chunks, candidates, called=bool(calls)),
    )


def _usage(metadata: list[Any]) -> Usage:
    if not metadata:
        return Usage()
    last = metadata[-1]
    cached, thoughts = last.cached_content_token_count or 0, last.thoughts_token_count or 0
    return Usage(
        input=last.prompt_token_count + (last.tool_use_prompt_token_count or 0) - cached,
        cache_read=cached,
        output=(last.candidates_token_count or 0) + thoughts,
        reasoning=thoughts,
    )


def _stop(chunks: list[Any], candidates: list[Any], *, called: bool) -> StopReason:
    if any(chunk.prompt_feedback and chunk.prompt_feedback.block_reason for chunk in chunks):
        return StopReason.REFUSED
    word = next(candidate.finish_reason.value for candidate in candidates if candidate.finish_reason)
    stop = STOPS.get(word, StopReason.OTHER)
    return StopReason.TOOL if called and stop is StopReason.END else stop
