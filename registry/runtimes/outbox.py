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
_TEXTS: Final = frozenset({"text_delta", "thinking_delta"})


class Outbox:
    """Sends events together that come together, and each at once when none follows.

    A provider that fills whole batches is faster than the app reads: its pieces of text are joined.

    Args:
        window: how many events may be sent before the app asks for more.
        send: sends some.
    """

    def __init__(self, window: int, send: Callable[[list[dict[str, Any]]], None]) -> None:
        self._allowed = window
        self._send = send
        self._batch: list[dict[str, Any]] = []
        self._begun = 0.0
        self._more = asyncio.Event()

    async def put(self, event: dict[str, Any]) -> None:
        """Send an event, now or with those that follow at once; waits while the app wants none.

        Raises:
            MessageError, TypeError, ValueError: it cannot be sent.
        """
        while self._allowed <= 0:
            self.flush()
            self._more.clear()
            await self._more.wait()
        self._allowed -= 1
        if not self._batch:
            self._begun = time.monotonic()
            asyncio.get_running_loop().call_soon(self.flush_quietly)
        self._batch.append(event)
        if len(self._batch) >= BATCH or time.monotonic() - self._begun > BATCH_S:
            self.flush()
            await asyncio.sleep(0)  # a provider that never waits must hear of its cancellation all the same

    def flush(self) -> None:
        """Send what there is.

        Raises:
            MessageError, TypeError, ValueError: it cannot be sent.
        """
        batch, self._batch = self._batch, []
        if len(batch) >= BATCH:
            joined = join_texts(batch)
            self._allowed += len(batch) - len(joined)
            batch = joined
        if batch:
            self._send(batch)

    def flush_quietly(self) -> None:
        """Send what there is; what cannot be sent is kept, and raises when the stream goes on or ends."""
        batch = self._batch
        try:
            self.flush()
        except (TypeError, ValueError):
            self._batch = batch

    def allow(self, events: int) -> None:
        """The app wants more."""
        self._allowed += events
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
