"""How long an event loop did not run."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable


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
