"""The events of one stream, on their way from the thread of the pipes to the event loop that reads them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import Any, Final

from registry.chat import StreamEvent
from registry.runtimes.codec import event_from_json
from registry.runtimes.framing import MessageError

WINDOW: Final = 256
"""How many events of a stream a plugin may send before it is asked for more."""
WINDOW_BYTES: Final = 8 * 2**20
"""How many bytes of messages with events it may send before it is asked for more; the last may go beyond."""
MAX_ANSWER: Final = 32 * 2**20
"""The most bytes of messages with events in one stream. No model writes as much."""


class AnswerTooLong(Exception):  # noqa: N818 - it is what the provider is told to have done
    """The events of a stream take more than `MAX_ANSWER` bytes; those that came before stand."""


class RemoteStream:
    """Holds at most a window of events and bytes: a plugin that sends more than it was asked for is ended.

    Args:
        loop: where the events are read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._allowed = WINDOW
        self._allowed_bytes = WINDOW_BYTES
        self._came = 0
        """Bytes, from the first message on."""
        self._read = 0
        self._read_bytes = 0
        """What was read since more was asked for."""
        self._batches: deque[tuple[list[Any], int]] = deque()
        self._error: Exception | None = None
        self._done = False
        self._news = asyncio.Event()

    def take(self, events: list[Any], size: int) -> None:
        """Events came, in a message of so many bytes. On the thread of the pipes.

        Raises:
            MessageError: they are more than were asked for.
        """
        if not events or self._came > MAX_ANSWER:
            return  # nothing to read, or what was sent before it hears of its cancellation
        with self._lock:
            too_many = len(events) > self._allowed
            too_much = self._allowed_bytes <= 0
            self._allowed -= len(events)
            self._allowed_bytes -= size
        if too_many:
            raise MessageError(f"more events than the {WINDOW} that it may send unasked")
        if too_much:
            raise MessageError(f"events after the {WINDOW_BYTES:,} bytes of them that it may send unasked")
        self._came += size
        if self._came > MAX_ANSWER:
            self.fail(AnswerTooLong())
        else:
            self._call(self._add, (events, size))

    def succeed(self, _result: Any) -> None:
        """The stream has ended well. On the thread of the pipes."""
        self._call(self._finish, None)

    def fail(self, error: Exception) -> None:
        """The stream has failed; events that came before it stand. On the thread of the pipes."""
        self._call(self._finish, error)

    async def next_events(self) -> list[StreamEvent]:
        """What has come since; nothing at the end.

        Raises:
            ValueError: it is something else than events.
            AnswerTooLong: it is longer than an answer may be.
            Exception: what the stream failed with.
        """
        while not self._batches and not self._done:
            self._news.clear()
            await self._news.wait()
        if self._batches:
            events, size = self._batches.popleft()
            self._read += len(events)
            self._read_bytes += size
            return [event_from_json(event) for event in events]
        if self._error is not None:
            raise self._error
        return []

    def more(self) -> dict[str, int]:
        """How much more the plugin may now be asked for; nothing before half of the window was read."""
        if self._read < WINDOW // 2 and self._read_bytes < WINDOW_BYTES // 2:
            return {}
        more = {"events": self._read, "bytes": self._read_bytes}
        self._read = self._read_bytes = 0
        with self._lock:
            self._allowed += more["events"]
            self._allowed_bytes += more["bytes"]
        return more

    def _add(self, batch: tuple[list[Any], int]) -> None:
        self._batches.append(batch)
        self._news.set()

    def _finish(self, error: Exception | None) -> None:
        if not self._done:
            self._done, self._error = True, error
            self._news.set()

    def _call(self, function: Any, argument: Any) -> None:
        with suppress(RuntimeError):  # the loop has closed: nobody reads any more
            self._loop.call_soon_threadsafe(function, argument)
