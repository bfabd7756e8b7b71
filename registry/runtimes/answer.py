"""The answer to one call, on its way from the thread of the pipes to the one that waits for it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any


class Answer:
    """Waited for by a thread for a moment, or by an event loop for as long as it takes."""

    def __init__(self) -> None:
        self._here = threading.Lock()
        self._here.acquire()  # released when the answer is here
        self._lock = threading.Lock()
        self.is_here = False
        """Whether it is here, for better or worse."""
        self._result: Any = None
        self._error: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._future: asyncio.Future[Any] | None = None

    def wait(self, limit_s: float) -> bool:
        """Hold up this thread until the answer is here, for at most so many seconds; whether it is here."""
        return self._here.acquire(timeout=limit_s)

    def result(self) -> Any:
        """The answer that is here.

        Raises:
            Exception: what the call failed with.
        """
        if self._error is not None:
            raise self._error
        return self._result

    def future(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Any]:
        """The answer as a future of this loop, which runs on this thread."""
        future: asyncio.Future[Any] = loop.create_future()
        with self._lock:
            self._loop, self._future = loop, future
            if self.is_here:
                self._settle()
        return future

    def succeed(self, result: Any) -> None:
        """The answer is here. On the thread of the pipes."""
        self._take(result, None)

    def fail(self, error: Exception) -> None:
        """There is none. On the thread of the pipes."""
        self._take(None, error)

    def _take(self, result: Any, error: Exception | None) -> None:
        with self._lock:
            self._result, self._error, self.is_here = result, error, True
            loop = self._loop
        self._here.release()
        if loop is not None:
            with suppress(RuntimeError):  # the loop has closed: nobody waits any more
                loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        if self._future is None or self._future.done():
            return
        if self._error is not None:
            self._future.set_exception(self._error)
        else:
            self._future.set_result(self._result)
