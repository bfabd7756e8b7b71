"""The embedded model for real: fetched once per machine, started, stopped, killed, asked again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from jackfield import (
    ChatRequest,
    ErrorKind,
    Finished,
    Message,
    Progress,
    ProviderError,
    Started,
    StopReason,
    StreamEvent,
    TextDelta,
)
from providers.embedded.install import Installation
from providers.embedded.machine import check_machine
from providers.embedded.server import EmbeddedServer
from providers.local import MODEL, LocalPlugin, LocalProvider
from tests.providers.conftest import MakeContext

ROOT = Path(__file__).parents[2]
HELLO = "Hello! Who are you?"
LONG = "Count from one to one thousand, every number in words."


def ask(*texts: str, **parameters: int) -> ChatRequest:
    """A request whose messages alternate between the user and the assistant."""
    roles = ("user", "assistant")
    messages = [Message.of(roles[number % 2], text) for number, text in enumerate(texts)]  # type: ignore[arg-type]
    return ChatRequest(MODEL.id, messages, parameters=dict(parameters))


def provider_of(plugin: LocalPlugin) -> LocalProvider:
    (provider,) = plugin.providers()
    assert isinstance(provider, LocalProvider)
    return provider


@pytest.fixture
async def local(make_context: MakeContext, model_folder: Path) -> AsyncIterator[LocalProvider]:
    """The provider, with everything fetched and nothing started."""
    plugin = LocalPlugin()
    plugin.on_init(make_context(folder=model_folder))
    provider = provider_of(plugin)
    yield provider
    await provider.aclose()


async def answer(provider: LocalProvider, request: ChatRequest) -> list[StreamEvent]:
    return [event async for event in provider.stream(request, None)]


def said(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def child(provider: LocalProvider) -> EmbeddedServer:
    assert provider._chat is not None
    return provider._chat.server


async def is_generating(server: EmbeddedServer, client: httpx.AsyncClient) -> bool:
    endpoint = server.endpoint
    assert endpoint is not None
    slots = (await client.get(f"{endpoint.address}/slots", headers=endpoint.headers)).json()
    return any(slot["is_processing"] for slot in slots)


def test_describing_it_starts_and_fetches_nothing() -> None:
    script = (
        "import sys; from providers.local import LocalPlugin\n"
        "(provider,) = LocalPlugin().providers()\n"
        "print(provider.name, provider.title, *[model.name for model in provider.known_models], sep='|')\n"
        "heavy = {'httpx', 'asyncio', 'pydantic', 'filelock', 'providers.embedded'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "local|Offline demo model|offline demo model (SmolLM2 135M)"


async def test_it_says_that_it_is_switched_off_before_it_has_a_corner() -> None:
    with pytest.raises(ProviderError) as caught:
        await answer(provider_of(LocalPlugin()), ask(HELLO))
    assert caught.value.kind is ErrorKind.UNAVAILABLE


async def test_another_model_is_not_known(make_context: MakeContext) -> None:
    plugin = LocalPlugin()
    plugin.on_init(make_context())
    with pytest.raises(ProviderError) as caught:
        await answer(provider_of(plugin), replace(ask(HELLO), model="other"))
    assert caught.value.kind is ErrorKind.NOT_FOUND


@pytest.mark.network
async def test_it_answers(local: LocalProvider) -> None:
    assert local._chat is None, "something was opened before the first request"
    events = await answer(local, ask("What is the capital of France?"))
    assert "Paris" in said(events)
    assert isinstance(events[0], Progress)
    assert next(type(event) for event in events if not isinstance(event, Progress)) is Started
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.stop is StopReason.END
    assert last.usage is not None
    assert last.usage.input > 0
    assert last.usage.output > 0
    again = await answer(local, ask("What is the capital of France?", said(events), "And of Japan?"))
    finished = again[-1]
    assert isinstance(finished, Finished)
    assert finished.usage is not None
    assert finished.usage.cache_read > 0, "the conversation was read anew"
    assert not any(isinstance(event, Progress) for event in again), "it was started again"


@pytest.mark.network
async def test_an_answer_can_be_limited(local: LocalProvider) -> None:
    last = (await answer(local, ask(LONG, max_tokens=5, temperature=0)))[-1]
    assert isinstance(last, Finished)
    assert last.stop is StopReason.LENGTH
    assert last.usage is not None
    assert last.usage.output == 5


@pytest.mark.network
@pytest.mark.parametrize("way", ["close", "cancel"])
async def test_stopping_ends_the_generation_at_once(local: LocalProvider, way: str) -> None:
    begun, stop, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def read() -> None:
        async with aclosing(local.stream(ask(LONG, max_tokens=2000), None)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    finished.set()
                if isinstance(event, TextDelta):
                    begun.set()
                    if way == "close" and stop.is_set():
                        return

    async with httpx.AsyncClient(trust_env=False) as client:
        reading = asyncio.ensure_future(read())
        await asyncio.wait_for(begun.wait(), 60)
        tries = 1
        while not await is_generating(child(local), client):
            # on a busy machine all of an answer may have come before it is looked at
            await reading
            assert tries < 5, "it was never seen to write"
            begun.clear()
            finished.clear()
            reading = asyncio.ensure_future(read())
            await asyncio.wait_for(begun.wait(), 60)
            tries += 1
        began = time.monotonic()
        stop.set()
        if way == "cancel":
            reading.cancel()
        await asyncio.wait({reading}, timeout=20)
        assert not finished.is_set(), "it came to its end before it was stopped"
        while await is_generating(child(local), client):
            assert time.monotonic() - began < 20, "it goes on writing for nobody"


@pytest.mark.network
async def test_a_killed_process_is_told_and_started_again(local: LocalProvider) -> None:
    async def kill_while_answering() -> tuple[str, ProviderError | None]:
        events: list[StreamEvent] = []
        try:
            async for event in local.stream(ask(LONG, max_tokens=2000), None):
                events.append(event)
                if len(said(events)) > 20:
                    pid = child(local).pid
                    assert pid is not None
                    os.kill(pid, signal.SIGKILL)
        except ProviderError as error:
            return said(events), error
        return said(events), None

    text, error = await kill_while_answering()
    # On a busy machine all of an answer may have come before it is read; then the next one finds it dead.
    for _ in range(5):
        if error is None or not text:
            text, error = await kill_while_answering()
    assert error is not None
    assert error.kind is ErrorKind.CONNECTION
    assert error.title == "The embedded model stopped unexpectedly"
    assert len(text) > 20
    assert isinstance((await answer(local, ask(HELLO)))[-1], Finished)


@pytest.mark.network
async def test_a_long_conversation_loses_its_beginning_and_says_so(
    local: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("providers.embedded.chat.CONTEXT", 1024)  # reading 4096 tokens takes a minute
    filler = "The quick brown fox jumps over the lazy dog. " * 15
    texts = [text for turn in range(8) for text in (f"Turn {turn}. {filler}", f"Answer {turn}.")]
    steps = local.stream(ask(*texts, "What is the capital of France?", max_tokens=8), None)
    async with aclosing(steps) as events:
        seen = [event async for event in events]
    notes = [event.label for event in seen if isinstance(event, Progress) and "Left out" in event.label]
    assert len(notes) == 1
    last = seen[-1]
    assert isinstance(last, Finished)
    assert last.details["note"] == notes[0]
    assert last.usage is not None
    assert 300 < last.usage.input + last.usage.cache_read <= 1024
    assert any(isinstance(event, Progress) and event.unit == "steps" for event in seen)


@pytest.mark.network
async def test_a_message_that_never_fits_is_told_so(local: LocalProvider) -> None:
    with pytest.raises(ProviderError) as caught:
        await answer(local, ask("fox and dog " * 3000))
    assert caught.value.kind is ErrorKind.CONTEXT_OVERFLOW
    assert "Shorten" in caught.value.hint


@pytest.mark.network
async def test_two_questions_at_once_are_both_answered(local: LocalProvider) -> None:
    answers = await asyncio.gather(answer(local, ask(HELLO)), answer(local, ask("hi", max_tokens=20)))
    assert all(isinstance(events[-1], Finished) for events in answers)


@pytest.mark.network
async def test_closing_ends_the_process(local: LocalProvider) -> None:
    await answer(local, ask("hi", max_tokens=3))
    pid = child(local).pid
    assert pid is not None
    await local.aclose()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.network
async def test_damaged_weights_are_refused_and_fetched_again(
    make_context: MakeContext, model_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(model_folder, folder, copy_function=os.link)
    model = Installation(folder, check_machine()).model
    data = bytearray(model.read_bytes())
    data[50_000_000] ^= 1
    model.unlink()  # it is linked to the one that other tests use
    model.write_bytes(data)
    plugin = LocalPlugin()
    plugin.on_init(make_context(folder=folder))
    provider = provider_of(plugin)
    try:
        with pytest.raises(ProviderError) as caught:
            await answer(provider, ask(HELLO))
        assert "damaged" in caught.value.title
        assert isinstance((await answer(provider, ask("hi", max_tokens=3)))[-1], Finished)
    finally:
        await provider.aclose()
