"""Work that is done once for all who want it at the same time, and to its end whoever stops waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

_T = TypeVar("_T")


class SingleFlight:
    """Runs work in tasks of its own. Event loops in other threads have flights of their own."""

    def __init__(self) -> None:
        self._flights: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, asyncio.Task[Any]]] = (
            WeakKeyDictionary()
        )

    async def run(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """What the work gives: that which is under way for this key, or new work.

        Cancelling whoever waits does not cancel the work.

        Raises:
            Exception: whatever the work raises.
        """
        flights = self._flights.setdefault(asyncio.get_running_loop(), {})
        task: asyncio.Task[_T] | None = flights.get(key)
        if task is None or task.done():
            task = asyncio.create_task(make(), name=f"connections: {key}")
            flights[key] = task

            def landed(done: asyncio.Task[_T]) -> None:
                if flights.get(key) is done:
                    del flights[key]
                if not done.cancelled():
                    done.exception()  # seen, also where nobody waits any more

            task.add_done_callback(landed)
        return await asyncio.shield(task)

    async def undisturbed(self, work: Coroutine[Any, Any, _T]) -> _T:
        """What the work gives; it is done to its end, also when whoever waits is cancelled.

        Raises:
            Exception: whatever the work raises.
        """
        return await self.run(object(), lambda: work)

    async def aclose(self, limit_s: float) -> None:
        """Wait for what this event loop has under way, then stop it.

        Args:
            limit_s: how long to wait, in seconds.
        """
        tasks = set(self._flights.get(asyncio.get_running_loop(), {}).values())
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=limit_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=limit_s)
