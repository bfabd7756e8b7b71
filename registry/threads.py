"""Runs code that may never return, without ever being held up by it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


async def call_with_limit(function: Callable[[], _T], *, limit_s: float, name: str) -> _T:
    """Call a plain function in a thread of its own and wait for at most `limit_s` seconds.

    The thread is a daemon: one that never returns does not keep the process from ending, as a thread of
    asyncio's own pool would.

    Raises:
        TimeoutError: the function did not return in time; it may go on, unheard.
        Exception: whatever the function raises.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as raised:  # noqa: BLE001 - handed to the caller whole
            error = (
                raised
                if isinstance(raised, Exception)
                else RuntimeError(f"{type(raised).__name__}: {raised}")
            )
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # the loop has closed: nobody waits any more

    threading.Thread(target=run, name=name, daemon=True).start()
    async with asyncio.timeout(limit_s):
        return await future
