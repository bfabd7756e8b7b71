"""Ends a command in good order when it is told to stop: nothing is left running, no traceback is shown."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from types import FrameType, TracebackType
from typing import Any, Final

from tui.ending import end_tasks, leave

CLOSE_LIMIT_S: Final = 8.0
"""How long a stopped command may take to close what it holds, in seconds; then the process ends."""

_SIGNALS: Final = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]


class StopSignals:
    """While it is entered, the first signal stops what `run` runs; a second one ends the process at once.

    A signal that comes before or after `run` raises SystemExit where the program stands. A signal that
    whoever started the process wants ignored, as `nohup` does, stays ignored.
    """

    def __init__(self) -> None:
        self._received: int | None = None
        self._stop: Callable[[], None] | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def run(self, work: Coroutine[Any, Any, int]) -> int:
        """Run a coroutine that gives an exit code. A signal cancels it, and gives the code 128 + its number.

        Raises:
            Exception: what the coroutine raises.
        """
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(self._run(work))
        finally:
            loop.run_until_complete(end_tasks(loop))
            loop.close()

    async def _run(self, work: Coroutine[Any, Any, int]) -> int:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()

        def stop() -> None:
            loop.call_soon_threadsafe(stopped.set)

        self._stop = stop
        task = loop.create_task(work)
        waiting = loop.create_task(stopped.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._received is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=CLOSE_LIMIT_S)
            if not task.done():
                leave(128 + self._received)
        self._stop = None
        if self._received is None:
            return task.result()
        if not task.cancelled():
            task.exception()  # it has been stopped: what it raised for that does not matter
        return 128 + self._received

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        again = self._received is not None
        self._received = number
        if self._stop is None:
            raise SystemExit(128 + number)
        if again:
            leave(128 + number)
        self._stop()
