"""The events of one stream, on their way from the thread of the pipes to the event loop that reads them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import Any

from registry.chat import StreamEvent
from registry.runtimes.codec import event_from_json
from registry.runtimes.framing import MessageError


class RemoteStream:
    """Holds at most a window of events: a plugin that sends more than it was asked for is ended.

    Args:
        loop: where the events are read.
        window: how many events may come before more are asked for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, window: int) -> None:
        self._loop = loop
        self._window = window
        self._allowed = window
        self._lock = threading.Lock()
        self._read_since = 0
        self._batches: deque[list[Any]] = deque()
        self._error: Exception | None = None
        self._done = False
        self._news = asyncio.Event()

    def take(self, events: list[Any]) -> None:
        """Events came. On the thread of the pipes.

        Raises:
            MessageError: they are more than were asked for.
        """
        with self._lock:
            self._allowed -= len(events)
            too_many = self._allowed < 0
        if too_many:
            raise MessageError(f"more events than the {self._window} that it may send unasked")
        self._call(self._add, events)

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
            Exception: what the stream failed with.
        """
        while not self._batches and not self._done:
            self._news.clear()
            await self._news.wait()
        if self._batches:
            return [event_from_json(event) for event in self._batches.popleft()]
        if self._error is not None:
            raise self._error
        return []

    def consumed(self, count: int) -> int:
        """Note that events were read. How many more the plugin may now be asked for, or 0."""
        self._read_since += count
        if self._read_since < self._window // 2:
            return 0
        more, self._read_since = self._read_since, 0
        with self._lock:
            self._allowed += more
        return more

    def _add(self, events: list[Any]) -> None:
        if events:
            self._batches.append(events)
            self._news.set()

    def _finish(self, error: Exception | None) -> None:
        self._error = error
        self._done = True
        self._news.set()

    def _call(self, function: Any, argument: Any) -> None:
        with suppress(RuntimeError):  # the loop has closed: nobody reads any more
            self._loop.call_soon_threadsafe(function, argument)
