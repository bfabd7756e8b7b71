"""Responses, Chat Completions and Gemini against a server that fails in the ways that servers fail."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass

import httpx
import pytest
from llmock.pytest_plugin import LLMock
from pydantic import SecretStr

from jackfield import (
    ChatRequest,
    Credential,
    ErrorKind,
    Message,
    Progress,
    Provider,
    ProviderError,
    StopReason,
    StreamEvent,
    TextDelta,
    ToolCallEnded,
)
from providers.compatible import FAMILY
from providers.gemini import GeminiPlugin
from providers.openai import OpenAIPlugin
from tests.providers.conftest import MakeContext
from tests.providers.normal import normal_of

CREDENTIAL = Credential(secrets={"key": SecretStr("a-key")})
QUESTION = "Count to seven, in words and in English."
WORDS = "one two three four five six seven"


@dataclass(frozen=True)
class Dialect:
    """A provider that speaks it, and after how many chunks its server has said some of the text."""

    open: Callable[[MakeContext, LLMock], Provider]
    model: str
    chunks: int


def open_openai(make_context: MakeContext, llmock: LLMock) -> Provider:
    plugin = OpenAIPlugin()
    plugin.on_init(make_context("openai", base_url=llmock.base_url("openai")))
    return plugin.providers()[0]


def open_gemini(make_context: MakeContext, llmock: LLMock) -> Provider:
    plugin = GeminiPlugin()
    plugin.on_init(make_context("gemini", base_url=llmock.base_url("gemini")))
    return plugin.providers()[0]


def open_chat(make_context: MakeContext, llmock: LLMock) -> Provider:
    plugin = FAMILY.make("custom")
    plugin.on_init(make_context("custom", url=llmock.base_url("openai")))
    return plugin.providers()[0]


DIALECTS = {
    "responses": Dialect(open_openai, "gpt-5.4", 7),
    "gemini": Dialect(open_gemini, "gemini-2.5-flash", 3),
    "chat": Dialect(open_chat, "gpt-4o", 4),
}
ALL = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
KEYED = pytest.mark.parametrize(
    "dialect", [DIALECTS["responses"], DIALECTS["gemini"]], ids=["responses", "gemini"]
)


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(seconds: float) -> None:
        del seconds

    monkeypatch.setattr("providers.wire.retry._sleep", at_once)


async def stream(provider: Provider, dialect: Dialect) -> AsyncIterator[StreamEvent]:
    request = ChatRequest(dialect.model, [Message.of("user", QUESTION)], provider.name)
    async for event in provider.stream(request, CREDENTIAL):
        yield event


async def fail(provider: Provider, dialect: Dialect) -> tuple[ProviderError, str]:
    """The error of an answer, and the text that came before it."""
    said: list[str] = []

    async def read() -> None:
        async for event in stream(provider, dialect):
            if isinstance(event, TextDelta):
                said.append(event.text)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(ProviderError) as caught:
        await read()
    assert caught.value.hint
    assert "a-key" not in f"{caught.value} {caught.value!r}"
    return caught.value, "".join(said)


@ALL
async def test_it_answers(make_context: MakeContext, llmock: LLMock, dialect: Dialect) -> None:
    llmock.reply(WORDS)
    answer = await normal_of(stream(dialect.open(make_context, llmock), dialect))
    assert (answer.text, answer.stop) == (WORDS, StopReason.END)
    assert answer.usage.input > 0
    assert answer.usage.output > 0


@ALL
async def test_it_calls_tools(make_context: MakeContext, llmock: LLMock, dialect: Dialect) -> None:
    llmock.call_tool("get_weather", {"city": "Köln", "days": 3})
    events = [event async for event in stream(dialect.open(make_context, llmock), dialect)]

    async def again() -> AsyncIterator[StreamEvent]:
        for event in events:
            yield event

    answer = await normal_of(again())
    assert [call[1:] for call in answer.calls] == [("get_weather", {"city": "Köln", "days": 3})]
    assert answer.stop is StopReason.TOOL
    assert sum(isinstance(event, ToolCallEnded) for event in events) == 1


@ALL
@pytest.mark.usefixtures("no_waiting")
async def test_a_pause_that_the_server_asks_for_is_counted_down(
    make_context: MakeContext, llmock: LLMock, dialect: Dialect
) -> None:
    llmock.rate_limit(retry_after=2).reply(WORDS)
    events = [event async for event in stream(dialect.open(make_context, llmock), dialect)]
    assert [event.total for event in events if isinstance(event, Progress)] == [2, 2]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == WORDS
    assert len(llmock.requests) == 2


@ALL
@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("status", [500, 503, 529])
async def test_a_server_that_recovers_is_asked_again(
    make_context: MakeContext, llmock: LLMock, dialect: Dialect, status: int
) -> None:
    llmock.fail(status, times=2).reply(WORDS)
    assert (await normal_of(stream(dialect.open(make_context, llmock), dialect))).text == WORDS
    assert len(llmock.requests) == 3


@ALL
@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ErrorKind.BAD_REQUEST),
        (401, ErrorKind.AUTH),
        (403, ErrorKind.PERMISSION),
        (404, ErrorKind.NOT_FOUND),
        (429, ErrorKind.RATE_LIMITED),
        (500, ErrorKind.SERVER),
        (503, ErrorKind.OVERLOADED),
        (529, ErrorKind.OVERLOADED),
    ],
)
async def test_a_refusal_is_an_error_of_its_kind(
    make_context: MakeContext, llmock: LLMock, dialect: Dialect, status: int, kind: ErrorKind
) -> None:
    llmock.fail(status, times=None)
    error, said = await fail(dialect.open(make_context, llmock), dialect)
    assert (error.kind, error.status, said) == (kind, status, "")


@ALL
async def test_a_conversation_that_is_too_long_is_told(
    make_context: MakeContext, llmock: LLMock, dialect: Dialect
) -> None:
    llmock.context_overflow()
    error, _ = await fail(dialect.open(make_context, llmock), dialect)
    assert error.kind is ErrorKind.CONTEXT_OVERFLOW
    assert len(llmock.requests) == 1


@ALL
async def test_a_wait_of_hours_is_said_and_not_waited_for(
    make_context: MakeContext, llmock: LLMock, dialect: Dialect
) -> None:
    llmock.rate_limit(times=None, retry_after=36_000)
    error, _ = await fail(dialect.open(make_context, llmock), dialect)
    assert (error.kind, error.retry_after_s) == (ErrorKind.RATE_LIMITED, 36_000)
    assert len(llmock.requests) == 1


@ALL
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("disconnect", ErrorKind.CONNECTION),
        ("truncate", ErrorKind.TRUNCATED_STREAM),
        ("corrupt", ErrorKind.PROTOCOL),
    ],
)
async def test_an_answer_that_breaks_keeps_what_came(
    make_context: MakeContext, llmock: LLMock, dialect: Dialect, fault: str, kind: ErrorKind
) -> None:
    llmock.reply(WORDS)
    getattr(llmock, fault)(after_chunks=dialect.chunks)
    error, said = await fail(dialect.open(make_context, llmock), dialect)
    assert error.kind is kind
    assert said
    assert WORDS.startswith(said.strip())
    assert len(llmock.requests) == 1, "an answer that began is not asked for again"


@ALL
async def test_a_server_that_falls_silent_is_left(
    make_context: MakeContext, llmock: LLMock, dialect: Dialect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.http._LOCAL", httpx.Timeout(5, read=0.3))
    llmock.reply(WORDS).stall(after_chunks=dialect.chunks, seconds=3)
    error, said = await fail(dialect.open(make_context, llmock), dialect)
    assert error.kind is ErrorKind.TIMEOUT
    assert said


@ALL
async def test_leaving_an_answer_ends_it_at_once(
    make_context: MakeContext, llmock: LLMock, dialect: Dialect
) -> None:
    llmock.reply(WORDS).stall(after_chunks=dialect.chunks, seconds=3)
    provider = dialect.open(make_context, llmock)
    request = ChatRequest(dialect.model, [Message.of("user", QUESTION)], provider.name)
    answer = provider.stream(request, CREDENTIAL)
    assert isinstance(answer, AsyncGenerator)
    async with aclosing(answer) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
    assert [event async for event in answer] == []


@KEYED
async def test_the_models_of_the_account_are_listed(
    make_context: MakeContext, llmock: LLMock, dialect: Dialect
) -> None:
    provider = dialect.open(make_context, llmock)
    assert list(await provider.models(None)) == list(provider.known_models), "nobody signed in yet"
    listed = await provider.models(CREDENTIAL)
    assert listed
    assert all(model.id for model in listed)
