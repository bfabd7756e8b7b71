"""What reading an answer costs, beside the official clients, for the same 20 MB from the loopback.

`uv run python -m tests.benchmarks.stream_readers` prints the rows of this group alone. Each side is a process
of its own that reads the whole stream once; its CPU time is divided by the events that it gave. The official
clients give typed events and assemble nothing, which is the least that they can do.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any

from tests.benchmarks.children import ROOT, in_turns
from tests.benchmarks.table import HEADER, Row

WORDS = ("The ", "quick ", "brown ", "fox ", "jumps ", "over ", "the ", "lazy ", "dog. ", "Größe ")
KEY = "benchmark"
PIECE = 65_536
"""Bytes that are written at once: as much as a fast network would give a client."""


def sse(body: dict[str, object], *, named: bool = False) -> bytes:
    name = f"event: {body['type']}\n" if named else ""
    return f"{name}data: {json.dumps(body, separators=(',', ':'))}\n\n".encode()


def chat_stream(size: int) -> bytes:
    """A Chat Completions stream of about this many bytes, one word in each chunk."""

    def chunk(delta: dict[str, object], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        return sse({**head, "system_fingerprint": "fp_1", "choices": [choice], "usage": None})

    block = b"".join(chunk({"content": word}) for word in WORDS)
    first, last = chunk({"role": "assistant", "content": ""}), chunk({}, "stop") + b"data: [DONE]\n\n"
    return first + block * (size // len(block)) + last


def messages_stream(size: int) -> bytes:
    """An Anthropic Messages stream."""

    def event(kind: str, **fields: object) -> bytes:
        return sse({"type": kind, **fields}, named=True)

    def delta(word: str) -> bytes:
        return event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})

    usage = {"input_tokens": 9, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    first = event(
        "message_start", message={**message, "stop_reason": None, "stop_sequence": None, "usage": usage}
    ) + event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    last = (
        event("content_block_stop", index=0)
        + event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9})
        + event("message_stop")
    )
    block = b"".join(map(delta, WORDS))
    return first + block * (size // len(block)) + last


def responses_stream(size: int) -> bytes:
    """A Responses stream."""

    def event(kind: str, **fields: object) -> bytes:
        return sse({"type": kind, "sequence_number": 1, **fields}, named=True)

    def delta(word: str) -> bytes:
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        return event("response.output_text.delta", **place, delta=word, logprobs=[])

    response = {"id": "r", "object": "response", "created_at": 1, "model": "m", "output": [], "tools": []}
    block = b"".join(map(delta, WORDS))
    return (
        event("response.created", response={**response, "status": "in_progress"})
        + block * (size // len(block))
        + event("response.completed", response={**response, "status": "completed"})
    )


def generate_stream(size: int) -> bytes:
    """A Gemini stream."""

    def chunk(word: str, **fields: object) -> bytes:
        content = {"role": "model", "parts": [{"text": word}]}
        usage = {"promptTokenCount": 9, "candidatesTokenCount": 9, "totalTokenCount": 18}
        candidate = {"index": 0, "content": content, **fields}
        return sse(
            {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": "r"}
        )

    block = b"".join(map(chunk, WORDS))
    return block * (size // len(block)) + chunk("", finishReason="STOP")


STREAMS = {
    "/chat/completions": chat_stream,
    "/v1/messages": messages_stream,
    "/responses": responses_stream,
    "streamGenerateContent": generate_stream,
}


async def count_ours(dialect: str, url: str) -> int:
    """Read the stream with our reader; gives the number of pieces of text."""
    from jackfield import TextDelta
    from registry.http import create_client

    body = {"model": "m", "stream": True}
    async with create_client(local=True) as client:
        events: Any
        if dialect == "chat":
            from providers.wire.chat_completions import stream_chat

            events = stream_chat(client, f"{url}/chat/completions", body, name="Peer")
        elif dialect == "messages":
            from providers.wire.anthropic_messages import stream_messages

            events = stream_messages(client, f"{url}/v1/messages", body, name="Peer", headers={})
        elif dialect == "responses":
            from providers.wire.openai_responses import stream_responses

            events = stream_responses(client, f"{url}/responses", body, name="Peer")
        else:
            from providers.wire.gemini_generate import stream_generate

            address = f"{url}/v1beta/models/m:streamGenerateContent?alt=sse"
            events = stream_generate(client, address, body, model="m", name="Peer")
        return await _count(events, lambda event: isinstance(event, TextDelta))


async def count_theirs(dialect: str, url: str) -> int:
    """Read the stream with the official client, event by event, without assembling an answer."""
    if dialect == "chat":
        import openai

        async with openai.AsyncOpenAI(api_key=KEY, base_url=url) as client:
            chunks = await client.chat.completions.create(model="m", messages=[], stream=True)
            return await _count(chunks, lambda chunk: bool(chunk.choices and chunk.choices[0].delta.content))
    if dialect == "responses":
        import openai

        async with openai.AsyncOpenAI(api_key=KEY, base_url=url) as client:
            events = await client.responses.create(model="m", input="Hi", stream=True)
            return await _count(events, lambda event: event.type == "response.output_text.delta")
    if dialect == "messages":
        import anthropic

        async with anthropic.AsyncAnthropic(api_key=KEY, base_url=url) as asking:
            blocks = await asking.messages.create(model="m", max_tokens=9, messages=[], stream=True)
            return await _count(blocks, lambda event: event.type == "content_block_delta")
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=url, api_version="v1beta")
    asked = genai.Client(api_key=KEY, http_options=options)
    answers = await asked.aio.models.generate_content_stream(model="m", contents="Hi")
    return await _count(answers, lambda chunk: bool(chunk.candidates[0].content.parts[0].text))


async def _count(events: AsyncIterator[Any], is_text: Callable[[Any], bool]) -> int:
    count = 0
    async for event in events:
        count += is_text(event)
    return count


SIDES: dict[str, Callable[[str, str], Awaitable[int]]] = {"ours": count_ours, "theirs": count_theirs}


def measure_here(side: str, dialect: str, small: str, large: str) -> None:
    """Print the CPU time of this process for the large stream, in seconds, and its number of events."""

    async def run() -> tuple[float, int]:
        await SIDES[side](dialect, small)  # imports, and whatever else is done once
        before = time.process_time()
        count = await SIDES[side](dialect, large)
        return time.process_time() - before, count

    print(json.dumps(asyncio.run(run())))


def serve_here(size: int) -> None:
    """Serve streams of about this many bytes until standard input closes; prints the address."""
    bodies = {path: make(size) for path, make in STREAMS.items()}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = next(
                int(line.split(":")[1])
                for line in head.split("\r\n")
                if line.lower().startswith("content-length")
            )
            await reader.readexactly(length)
            body = next(body for path, body in bodies.items() if path in head.split("\r\n")[0])
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            for start in range(0, len(body), PIECE):
                writer.write(body[start : start + PIECE])
                await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await asyncio.to_thread(sys.stdin.read)

    asyncio.run(run())


@contextlib.contextmanager
def served(size: int) -> Iterator[str]:
    """The address of a process that serves streams of this size."""
    command = [sys.executable, "-m", "tests.benchmarks.stream_readers", "serve", str(size)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate("")


def per_thousand(side: str, dialect: str, small: str, large: str) -> float:
    """Milliseconds of CPU for 1000 events."""
    command = [sys.executable, "-m", "tests.benchmarks.stream_readers", "read", side, dialect, small, large]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, count = json.loads(done.stdout)
    assert count > 0, f"{side} read no text in {dialect}"
    return 1e6 * float(seconds) / int(count)


BUDGETS = {
    "chat": ("openai SDK, Chat Completions", 1 / 5, 1 / 20),
    "responses": ("openai SDK, Responses", 1 / 5, 1 / 20),
    "messages": ("anthropic SDK", 0.6, 1 / 5),
    "generate": ("google-genai SDK", None, None),
}


def rows(quick: bool) -> Iterator[Row]:
    """One row for each dialect: our CPU for an event to that of the official client."""
    with served(20_000) as small, served(1_000_000 if quick else 20_000_000) as large:
        for dialect, (peer, budget, beyond) in BUDGETS.items():

            def side(name: str, dialect: str = dialect) -> dict[str, float]:
                return {"ms": per_thousand(name, dialect, small, large)}

            ours, theirs = in_turns(
                1 if quick else 3, partial(side, "ours"), partial(side, "theirs"), warm=False
            )
            detail = f"{ours['ms']:.1f} and {theirs['ms']:.1f} ms of CPU for 1000 events"
            measure = f"stream event, bytes to normalised event: to the {peer}"
            yield Row(measure, ours["ms"] / theirs["ms"], budget, beyond, detail=detail)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", size]:
            serve_here(int(size))
        case ["read", side, dialect, small, large]:
            measure_here(side, dialect, small, large)
        case given:
            print(HEADER)
            for row in rows("--quick" in given):
                print(row, flush=True)
