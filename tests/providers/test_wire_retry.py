"""A request that fails before its first event is sent again, when the server says, and never for money."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from jackfield import (
    ErrorKind,
    Finished,
    Progress,
    ProviderError,
    Started,
    StreamEvent,
    TextDelta,
    Usage,
    UsageReceived,
)
from providers.wire import retry
from providers.wire.errors import error_of_response, make_error
from providers.wire.retry import pause_before, retrying
from providers.wire.transport import post_events
from tests.providers.peer import Reply, running_peer

HELLO: list[StreamEvent] = [Started("1"), UsageReceived(Usage(input=1)), TextDelta("Hello"), Finished()]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was slept each time; nobody waits for it."""
    times: list[float] = []

    async def note(seconds: float) -> None:
        times.append(seconds)

    monkeypatch.setattr(retry, "_sleep", note)
    return times


def attempts(*runs: Sequence[StreamEvent | ProviderError]) -> Callable[[], AsyncGenerator[StreamEvent]]:
    """Streams that give these events, each time those of the next run."""
    waiting = list(runs)

    async def stream() -> AsyncGenerator[StreamEvent]:
        for event in waiting.pop(0):
            if isinstance(event, ProviderError):
                raise event
            yield event

    return stream


def fault(kind: ErrorKind = ErrorKind.SERVER, after_s: float | None = None) -> ProviderError:
    return make_error(kind, "Peer", detail="the cause", retry_after_s=after_s)


async def collect(make_stream: Callable[[], AsyncGenerator[StreamEvent]]) -> list[StreamEvent]:
    return [event async for event in retrying(make_stream, name="Peer")]


async def failing(make_stream: Callable[[], AsyncGenerator[StreamEvent]]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await collect(make_stream)
    return caught.value


def answer(events: Sequence[StreamEvent]) -> list[StreamEvent]:
    return [event for event in events if not isinstance(event, Progress)]


async def test_a_fault_before_the_first_event_is_not_seen(slept: list[float]) -> None:
    events = await collect(attempts([fault()], HELLO))
    assert answer(events) == HELLO
    assert len(slept) == 1


@pytest.mark.parametrize("before", [[Started("0")], [Started("0"), UsageReceived(Usage(input=9))]])
async def test_what_says_nothing_yet_is_not_shown_twice(
    slept: list[float], before: list[StreamEvent]
) -> None:
    assert answer(await collect(attempts([*before, fault(ErrorKind.TRUNCATED_STREAM)], HELLO))) == HELLO


async def test_a_fault_after_the_first_event_is_the_end(slept: list[float]) -> None:
    events: list[StreamEvent] = []

    async def read() -> None:
        async for event in retrying(attempts([*HELLO[:3], fault()], HELLO), name="Peer"):
            events.append(event)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(ProviderError):
        await read()
    assert events == HELLO[:3]
    assert slept == []


async def test_after_three_more_attempts_the_last_error_stands(slept: list[float]) -> None:
    last = fault(ErrorKind.OVERLOADED)
    assert await failing(attempts([fault()], [fault()], [fault()], [last], HELLO)) is last
    assert len(slept) >= 3


@pytest.mark.parametrize(
    "kind",
    [
        *(ErrorKind.AUTH, ErrorKind.PERMISSION, ErrorKind.BILLING, ErrorKind.NOT_FOUND),
        *(ErrorKind.BAD_REQUEST, ErrorKind.CONTEXT_OVERFLOW, ErrorKind.TOO_LARGE, ErrorKind.PROTOCOL),
    ],
)
async def test_a_fault_that_does_not_pass_is_told_at_once(slept: list[float], kind: ErrorKind) -> None:
    assert (await failing(attempts([fault(kind, 1.0)], HELLO))).kind is kind
    assert slept == []


async def test_the_countdown_is_shown_once_a_second(slept: list[float]) -> None:
    events = await collect(attempts([fault(ErrorKind.OVERLOADED, 3.0)], HELLO))
    shown = [event for event in events if isinstance(event, Progress)]
    assert [progress.label for progress in shown] == [
        "Peer is busy, trying again in 3 s (1 of 3)",
        "Peer is busy, trying again in 2 s (1 of 3)",
        "Peer is busy, trying again in 1 s (1 of 3)",
    ]
    assert [(progress.done, progress.total, progress.unit) for progress in shown] == [
        (0, 3, "steps"),
        (1, 3, "steps"),
        (2, 3, "steps"),
    ]
    assert len(slept) == 3
    assert all(seconds <= 1.0 for seconds in slept)


async def test_a_wait_lasts_as_long_as_the_server_asks() -> None:
    began = asyncio.get_running_loop().time()
    await collect(attempts([fault(ErrorKind.RATE_LIMITED, 0.25)], HELLO))
    assert asyncio.get_running_loop().time() - began >= 0.24


async def test_a_long_wait_is_not_waited_but_told(slept: list[float]) -> None:
    error = await failing(attempts([fault(ErrorKind.RATE_LIMITED, 600)], HELLO))
    assert re.search(r"The limit resets (on \d\d \w+ )?at \d\d:\d\d", error.hint)
    assert slept == []


async def test_a_quota_of_the_day_is_told_with_its_end(slept: list[float]) -> None:
    error = await failing(attempts([fault(ErrorKind.BILLING, 36_000)], HELLO))
    assert "The limit resets" in error.hint
    assert "resets" not in (await failing(attempts([fault(ErrorKind.BILLING)], HELLO))).hint
    assert slept == []


@pytest.mark.parametrize("seconds", [1e9, 1e300])
async def test_a_wait_for_ages_is_told_too(slept: list[float], seconds: float) -> None:
    assert "The limit" in (await failing(attempts([fault(ErrorKind.RATE_LIMITED, seconds)]))).hint


async def test_a_fault_that_took_minutes_is_not_repeated(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 300.0])
    monkeypatch.setattr(retry, "monotonic", lambda: next(clock))
    assert (await failing(attempts([fault(ErrorKind.TIMEOUT)], HELLO))).kind is ErrorKind.TIMEOUT
    assert slept == []


async def test_closing_ends_a_wait_at_once() -> None:
    async with aclosing(retrying(attempts([fault(ErrorKind.OVERLOADED, 50.0)]), name="Peer")) as events:
        assert isinstance(await anext(events), Progress)
    waiting = asyncio.ensure_future(collect(attempts([fault(ErrorKind.OVERLOADED, 50.0)])))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 10)


def test_without_a_hint_the_pause_doubles_up_to_a_limit() -> None:
    for attempt, longest in enumerate([0.5, 1.0, 2.0, 4.0, 8.0, 8.0]):
        assert 0.75 * longest <= pause_before(attempt, fault()) <= longest
    assert 1.5 <= pause_before(0, fault(ErrorKind.OVERLOADED)) <= 2.0


# -- hints, as servers give them ----------------------------------------------------------------------------


def respond(status: int, message: object = "slow down", **headers: str) -> ProviderError:
    body = message if isinstance(message, dict) else {"error": {"message": message}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return error_of_response("Peer", status, named, json.dumps(body).encode())


def in_a_minute() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=50), usegmt=True)


@pytest.mark.parametrize(
    ("error", "least", "most"),
    [
        (respond(429, retry_after_ms="1500", retry_after="9"), 1.5, 1.5),
        (respond(429, retry_after_ms="soon", retry_after="9"), 9, 9),
        (respond(429, retry_after="2.5"), 2.5, 2.5),
        (respond(429, retry_after=in_a_minute()), 30, 50),
        (respond(429, "Please retry in 46.1s.", retry_after="3"), 3, 3),
        (respond(429, "Please retry in 46.1s."), 46.1, 46.1),
        (respond(429, "Please try again in 20ms."), 0.02, 0.02),
        (respond(429, "Please try again in 1m30.5s. Visit ..."), 90.5, 90.5),
        (respond(429, "Please try again in 2h"), 7200, 7200),
        (respond(429, "Please try again in 5 minutes"), 300, 300),
        (
            respond(
                429,
                {
                    "error": {
                        "code": 429,
                        "message": "Quota exceeded.",
                        "status": "RESOURCE_EXHAUSTED",
                        "details": [
                            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "46s"}
                        ],
                    }
                },
            ),
            46,
            46,
        ),
        (respond(429, "Please try again in a while."), 0.375, 0.5),
        (respond(429, retry_after="inf"), 0.375, 0.5),
        (respond(529), 1.5, 2.0),
    ],
)
def test_the_pause_is_what_the_server_says(error: ProviderError, least: float, most: float) -> None:
    assert error.retryable
    assert least <= pause_before(0, error) <= most


def test_the_servers_own_word_on_asking_again_wins() -> None:
    assert not respond(503, x_should_retry="false").retryable
    assert respond(400, x_should_retry="true").retryable
    assert respond(503, x_should_retry="perhaps").retryable


@pytest.mark.parametrize(
    "error",
    [
        respond(402),
        respond(429, {"error": {"message": "x", "code": "insufficient_quota"}}),
        respond(429, {"error": {"message": "x", "code": "insufficient_quota"}}, x_should_retry="true"),
        respond(400, "Your credit balance is too low to access the API."),
        respond(429, {"error": {"message": "x", "details": {"error_code": "enforced_spend_limit_reached"}}}),
        respond(
            429,
            {
                "error": {
                    "status": "RESOURCE_EXHAUSTED",
                    "message": "x",
                    "details": [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProject-FreeTier"}]}],
                }
            },
        ),
    ],
)
def test_what_costs_money_or_a_quota_is_never_asked_again(error: ProviderError) -> None:
    assert error.kind is ErrorKind.BILLING
    assert not error.retryable


def test_an_error_names_provider_status_and_request() -> None:
    error = respond(503, "the cause", request_id="req_1")
    assert "Peer" in error.title
    assert "the cause" in error.detail
    assert "HTTP 503" in error.detail
    assert "req_1" in error.detail
    assert error.hint


async def test_a_server_is_asked_again_for_real() -> None:
    busy = Reply([b'{"error": {"message": "busy"}}'], 503, "application/json", {"retry-after-ms": "10"})
    async with running_peer(busy, busy, Reply([b"data: hello\n\n"])) as peer, httpx.AsyncClient() as client:

        async def ask() -> AsyncGenerator[StreamEvent]:
            async for event in post_events(client, peer.url, {}, name="Peer"):
                yield TextDelta(event.data)

        events = await collect(ask)
    assert answer(events) == [TextDelta("hello")]
    assert len(peer.requests) == 3
