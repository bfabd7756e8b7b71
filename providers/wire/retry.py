"""Asking again: before the first event only, for as long as the server asks, with a countdown on screen."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

from jackfield import ErrorKind, Progress, ProviderError, Started, StreamEvent, UsageReceived

RETRIES: Final = 3
"""How often a request is sent again."""
LONGEST_WAIT_S: Final = 60.0
"""Nobody watches a countdown for longer than this, in seconds."""
_FIRST_PAUSE_S: Final = 0.5
_FIRST_PAUSE_OVERLOADED_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 8.0

_STATES: Final = {
    ErrorKind.CONNECTION: "cannot be reached",
    ErrorKind.TIMEOUT: "took too long",
    ErrorKind.SERVER: "had a fault",
    ErrorKind.TRUNCATED_STREAM: "broke off",
}


async def retrying(
    make_stream: Callable[[], AsyncGenerator[StreamEvent]], *, name: str
) -> AsyncGenerator[StreamEvent]:
    """The events of a stream, which is made anew when it fails before its first event.

    `Started` and a first `UsageReceived` say nothing yet, so they are held back until something follows them;
    `Progress` goes through and does not count. While it waits it gives `Progress` once a second. Closing it
    ends a wait at once.

    Args:
        make_stream: sends the request; called once for each time that it is sent.
        name: how the user calls the provider.

    Raises:
        ProviderError: the fault is not one that passes, events were given before it, the server asks to wait
            longer than `LONGEST_WAIT_S`, or the request failed four times.
    """
    attempt = 0
    while True:
        began = monotonic()
        held: list[StreamEvent] = []
        given = False
        try:
            async with aclosing(make_stream()) as events:
                async for event in events:
                    if given:
                        yield event
                    elif isinstance(event, Started | UsageReceived):
                        held.append(event)
                    elif isinstance(event, Progress):
                        yield event
                    else:
                        given = True
                        for earlier in held:
                            yield earlier
                        yield event
            return
        except ProviderError as error:
            if given:
                raise
            wait_s = pause_before(attempt, error)
            resets = error.retryable or error.kind is ErrorKind.BILLING  # as the quota of a day does
            if resets and wait_s > LONGEST_WAIT_S:
                error.hint = f"{_reset_hint(wait_s)} Choose another model until then."
            if not error.retryable or wait_s > LONGEST_WAIT_S:
                raise
            if attempt == RETRIES or monotonic() - began > LONGEST_WAIT_S:
                raise
            state = _STATES.get(error.kind, "is busy")
        attempt += 1
        async with aclosing(_count_down(f"{name} {state}", attempt, wait_s)) as countdown:
            async for progress in countdown:
                yield progress


def pause_before(attempt: int, error: ProviderError) -> float:
    """How long to wait, in seconds: what the server said, or else twice as long each time.

    Args:
        attempt: how often the request was sent again already.
        error: why it has to be.
    """
    if error.retry_after_s is not None and math.isfinite(error.retry_after_s):
        return max(0.0, error.retry_after_s)
    first = _FIRST_PAUSE_OVERLOADED_S if error.kind is ErrorKind.OVERLOADED else _FIRST_PAUSE_S
    spread = 1 - 0.25 * random.random()  # noqa: S311 - so that clients do not return all at once
    return min(first * 2.0**attempt, _LONGEST_PAUSE_S) * spread


async def _count_down(trouble: str, attempt: int, wait_s: float) -> AsyncGenerator[StreamEvent]:
    whole = math.ceil(wait_s)
    ends = monotonic() + wait_s
    for done in range(whole):
        label = f"{trouble}, trying again in {whole - done} s ({attempt} of {RETRIES})"
        yield Progress(label, done, whole, "steps")
        # Towards the end, not by whole seconds: whoever reads the events may take its time.
        await _sleep(min(1.0, max(0.0, ends - (whole - done - 1) - monotonic())))


async def _sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


def _reset_hint(wait_s: float) -> str:
    try:
        now = datetime.now(UTC).astimezone()
        then = now + timedelta(seconds=wait_s)
    except OverflowError:
        return "The limit does not reset in any foreseeable time."
    if then.date() == now.date():
        return f"The limit resets at {then:%H:%M}."
    return f"The limit resets on {then:%d %b} at {then:%H:%M}."
