"""The events of one stream leaving a plugin's process: in batches, and not more than asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

BATCH: Final = 64
"""The most events in one message."""
BATCH_S: Final = 0.02
"""How long an event may wait for others, in seconds, while the provider gives one after the other."""
BATCH_CHARACTERS: Final = 1 << 16
"""A message with so many characters in its texts does not wait for more events."""
_TEXTS: Final = frozenset({"text_delta", "thinking_delta"})


class Outbox:
    """Sends events together that come together, and each at once when none follows.

    A provider that fills whole batches is faster than the app reads: its pieces of text are joined.

    Args:
        window: how many events may be sent before the app asks for more.
        window_bytes: the same in bytes of messages; the last may go beyond.
        send: sends some; gives the bytes that it took.
    """

    def __init__(self, window: int, window_bytes: int, send: Callable[[list[dict[str, Any]]], int]) -> None:
        self._allowed = window
        self._allowed_bytes = window_bytes
        self._send = send
        self._batch: list[dict[str, Any]] = []
        self._characters = 0
        self._begun = 0.0
        self._more = asyncio.Event()

    async def put(self, event: dict[str, Any]) -> None:
        """Send an event, now or with those that follow at once; waits while the app wants none.

        Raises:
            MessageError, TypeError, ValueError: it cannot be sent.
        """
        while self._allowed <= 0 or self._allowed_bytes <= 0:
            self.flush()
            self._more.clear()
            await self._more.wait()
        self._allowed -= 1
        if not self._batch:
            self._begun = time.monotonic()
            asyncio.get_running_loop().call_soon(self.flush_quietly)
        self._batch.append(event)
        self._characters += sum(len(value) for value in event.values() if type(value) is str)
        if (
            len(self._batch) >= BATCH
            or self._characters >= BATCH_CHARACTERS
            or time.monotonic() - self._begun > BATCH_S
        ):
            self.flush()
            await asyncio.sleep(0)  # a provider that never waits must hear of its cancellation all the same

    def flush(self) -> None:
        """Send what there is.

        Raises:
            MessageError, TypeError, ValueError: it cannot be sent.
        """
        batch, self._batch, self._characters = self._batch, [], 0
        if len(batch) >= BATCH:
            joined = join_texts(batch)
            self._allowed += len(batch) - len(joined)
            batch = joined
        if batch:
            self._allowed_bytes -= self._send(batch)

    def flush_quietly(self) -> None:
        """Send what there is; what cannot be sent is kept, and raises when the stream goes on or ends."""
        batch = self._batch
        try:
            self.flush()
        except (TypeError, ValueError):
            self._batch = batch

    def allow(self, events: int, size: int) -> None:
        """The app wants more: so many events, and bytes of messages."""
        self._allowed += events
        self._allowed_bytes += size
        self._more.set()


def join_texts(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same events with texts of one kind and one part that follow each other made one."""
    joined: list[dict[str, Any]] = []
    for event in events:
        last = joined[-1] if joined else {}
        same = event["type"] in _TEXTS and event["type"] == last.get("type")
        if same and event.get("index", 0) == last.get("index", 0):
            joined[-1] = {**last, "text": last["text"] + event["text"]}
        else:
            joined.append(event)
    return joined
