"""How long an event loop did not run."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from typing import Final

BEAT_S: Final = 0.005


class Pulse:
    """A clock that goes only while this process does: a thread beside the event loop counts.

    A machine that is busy, or stops the whole process for a while, does not look like a loop that is held up.
    """

    def __enter__(self) -> Pulse:
        self._beats = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def __call__(self) -> float:
        """How long this process has run since this was entered, in seconds; never more than it was."""
        return self._beats * BEAT_S

    def _beat(self) -> None:
        while not self._over.wait(BEAT_S):
            self._beats += 1


class LongestGap:
    """The longest time for which the event loop did not run.

    Args:
        clock: `time.thread_time` counts what the loop itself computed, however busy the machine is.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = 0.0
        self._clock = clock

    async def __aenter__(self) -> LongestGap:
        gc.disable()  # what else was made in this process is not what is measured
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        gc.enable()

    async def _watch(self) -> None:
        last = self._clock()
        while True:
            await asyncio.sleep(0.001)
            now = self._clock()
            self.seconds, last = max(self.seconds, now - last), now
