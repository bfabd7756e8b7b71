"""Gathers a stream's events while the reader is busy, so that no token costs a trip of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import replace

from registry.chat import TextDelta, ThinkingDelta
from registry.turn import TurnEvent

JOINED_CHARACTERS = 32768
"""Deltas are not joined beyond this size: joining costs what has been joined already."""


async def coalesce(events: AsyncGenerator[TurnEvent, None]) -> AsyncGenerator[TurnEvent, None]:
    """The same events; deltas of one part that came while the reader was busy are joined.

    Closing it closes `events` at once. What `events` raises is raised after all that came before.
    """
    waiting: list[TurnEvent] = []
    wake = asyncio.Event()

    async def collect() -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    _join(waiting, event)
                    wake.set()
        finally:
            wake.set()

    collector = asyncio.create_task(collect(), name="turn")
    try:
        while not (collector.done() and not waiting):
            await wake.wait()
            wake.clear()
            batch, waiting[:] = list(waiting), []
            for event in batch:
                yield event
            if collector.done():
                wake.set()
        collector.result()
    finally:
        collector.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await collector


def _join(waiting: list[TurnEvent], event: TurnEvent) -> None:
    last = waiting[-1] if waiting else None
    if (
        isinstance(event, TextDelta | ThinkingDelta)
        and isinstance(last, TextDelta | ThinkingDelta)
        and (type(event), event.index) == (type(last), last.index)
        and len(last.text) < JOINED_CHARACTERS
    ):
        waiting[-1] = replace(last, text=last.text + event.text)
    else:
        waiting.append(event)
