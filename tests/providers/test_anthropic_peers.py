"""The Anthropic provider against servers that others wrote: one fails on demand, one has a real model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from llmock.pytest_plugin import LLMock
from pydantic import SecretStr

from jackfield import (
    ChatRequest,
    Credential,
    ErrorKind,
    Finished,
    Message,
    Progress,
    Provider,
    ProviderError,
    StopReason,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
)
from providers.anthropic import AnthropicProvider
from providers.embedded.install import Installation
from providers.embedded.machine import check_machine
from providers.embedded.server import ChildConfig, EmbeddedServer
from providers.wire import retry
from tests.providers.anthropic_peer import answer_with, fail_with, offer
from tests.providers.conftest import MakeContext


@pytest.fixture
def provider(llmock: LLMock, make_context: MakeContext) -> Provider:
    return offer(make_context, llmock.base_url("anthropic"))


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was slept each time; nobody waits for it."""
    times: list[float] = []

    async def note(seconds: float) -> None:
        times.append(seconds)

    monkeypatch.setattr(retry, "_sleep", note)
    return times


def words(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_an_answer_is_streamed(llmock: LLMock, provider: Provider) -> None:
    llmock.reply("Hello from a stranger, é.")
    events = await answer_with(provider)
    assert words(events) == "Hello from a stranger, é."
    assert isinstance(events[-1], Finished)
    assert events[-1].stop is StopReason.END
    assert events[-1].usage
    assert events[-1].usage.output > 0


async def test_a_tool_is_called(llmock: LLMock, provider: Provider) -> None:
    llmock.call_tool("look_up", {"word": "lighthouse", "count": 2})
    events = await answer_with(provider)
    assert [event.name for event in events if isinstance(event, ToolCallStarted)] == ["look_up"]
    arguments = "".join(event.text for event in events if isinstance(event, ToolArgumentsDelta))
    assert '"lighthouse"' in arguments
    assert isinstance(events[-1], Finished)
    assert events[-1].stop is StopReason.TOOL


@pytest.mark.parametrize("status", [429, 500, 503, 529])
async def test_a_fault_that_passes_is_not_seen(
    llmock: LLMock, provider: Provider, slept: list[float], status: int
) -> None:
    llmock.fail(status, times=2).reply("Here")
    events = await answer_with(provider)
    assert words(events) == "Here"
    assert len(llmock.requests) == 3
    assert any(isinstance(event, Progress) for event in events)
    assert slept


async def test_the_wait_that_the_server_asks_for_is_kept(llmock: LLMock, provider: Provider) -> None:
    llmock.rate_limit(retry_after=0.3).reply("Here")
    assert words(await answer_with(provider)) == "Here"
    llmock.assert_resilient()


async def test_a_wait_of_hours_is_told_at_once(
    llmock: LLMock, provider: Provider, slept: list[float]
) -> None:
    llmock.rate_limit(retry_after=7200)
    error, _ = await fail_with(provider)
    assert error.kind is ErrorKind.RATE_LIMITED
    assert "resets" in error.hint
    assert slept == []
    assert len(llmock.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, ErrorKind.AUTH),
        (402, ErrorKind.BILLING),
        (403, ErrorKind.PERMISSION),
        (404, ErrorKind.NOT_FOUND),
    ],
)
async def test_a_fault_that_stays_is_told_once(
    llmock: LLMock, provider: Provider, status: int, kind: ErrorKind
) -> None:
    llmock.fail(status, times=None)
    error, events = await fail_with(provider)
    assert error.kind is kind
    assert str(status) in error.detail
    assert events == []
    assert len(llmock.requests) == 1


async def test_an_outage_is_told_after_three_more_attempts(
    llmock: LLMock, provider: Provider, slept: list[float]
) -> None:
    llmock.outage(status=529)
    error, events = await fail_with(provider)
    assert error.kind is ErrorKind.OVERLOADED
    assert all(isinstance(event, Progress) for event in events)
    assert len(llmock.requests) == 4
    assert slept


async def test_a_conversation_that_is_too_long_is_told(llmock: LLMock, provider: Provider) -> None:
    llmock.context_overflow()
    assert (await fail_with(provider))[0].kind is ErrorKind.CONTEXT_OVERFLOW


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("disconnect", ErrorKind.CONNECTION),
        ("truncate", ErrorKind.TRUNCATED_STREAM),
        ("corrupt", ErrorKind.PROTOCOL),
    ],
)
async def test_what_came_before_a_fault_in_the_middle_stands(
    llmock: LLMock, provider: Provider, fault: str, kind: ErrorKind
) -> None:
    llmock.reply("One two three four five six seven eight nine ten")
    getattr(llmock, fault)(after_chunks=6)
    error, events = await fail_with(provider)
    assert error.kind is kind
    assert words(events)
    assert len(llmock.requests) == 1


async def test_a_stream_that_stalls_is_left(llmock: LLMock, make_context: MakeContext) -> None:
    provider = offer(make_context, llmock.base_url("anthropic"))
    assert isinstance(provider, AnthropicProvider)
    await answer_with(provider)
    client = await provider._server.opened()
    client.timeout = httpx.Timeout(5, read=0.2)
    llmock.reply("One two three four five six seven").stall(after_chunks=6, seconds=3)
    error, events = await fail_with(provider)
    assert error.kind is ErrorKind.TIMEOUT
    assert words(events)


# -- a real model -------------------------------------------------------------------------------------------


@pytest.fixture
async def embedded(
    model_folder: Path, make_context: MakeContext
) -> AsyncIterator[tuple[Provider, Credential]]:
    """The provider in front of the embedded model's own Messages endpoint, and its key."""
    installation = Installation(model_folder, check_machine())
    server = EmbeddedServer()
    config = ChildConfig.for_machine(installation.runtime, installation.model, "smollm2", 2048)
    endpoint = await server.ensure_running(config)
    yield (
        offer(make_context, endpoint.address),
        Credential(secrets={"key": SecretStr(endpoint.api_key)}),
    )
    await server.aclose()


@pytest.mark.network
async def test_a_real_model_answers(embedded: tuple[Provider, Credential]) -> None:
    provider, credential = embedded
    asked = ChatRequest("smollm2", [Message.of("user", "Say hello.")], "anthropic", "Be brief.")
    asked.parameters["max_tokens"] = 12
    events = [event async for event in provider.stream(asked, credential)]
    assert words(events).strip()
    assert isinstance(events[-1], Finished)
    assert events[-1].stop in (StopReason.END, StopReason.LENGTH)
    assert events[-1].usage
    assert events[-1].usage.input > 5
    assert 0 < events[-1].usage.output <= 12


@pytest.mark.network
async def test_a_real_server_tells_a_wrong_key_and_a_prompt_that_is_too_long(
    embedded: tuple[Provider, Credential],
) -> None:
    provider, credential = embedded
    error, _ = await fail_with(provider)
    assert error.kind is ErrorKind.AUTH
    asked = ChatRequest("smollm2", [Message.of("user", "word " * 5000)], "anthropic")
    with pytest.raises(ProviderError) as caught:
        await anext(aiter(provider.stream(asked, credential)))
    assert caught.value.kind is ErrorKind.CONTEXT_OVERFLOW
