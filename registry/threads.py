"""Runs code that may never return, without ever being held up by it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from registry.contract import explain

_T = TypeVar("_T")


class LimitReachedError(TimeoutError):
    """The limit of `call_with_limit` was reached, as against a TimeoutError that the function raised."""


async def call_with_limit(
    function: Callable[[], _T],
    *,
    limit_s: float,
    name: str,
    when_late: Callable[[], object] | None = None,
) -> _T:
    """Call a plain function in a thread of its own and wait for at most `limit_s` seconds.

    The thread is a daemon: one that never returns does not keep the process from ending, as a thread of
    asyncio's own pool would.

    Args:
        function: what to call.
        limit_s: how long to wait, in seconds.
        name: the thread's name.
        when_late: called on the event loop when the function ended after nobody waited any more.

    Raises:
        LimitReachedError: the function did not return in time; it may go on, unheard.
        Exception: whatever the function raises. What is no `Exception` comes as a RuntimeError.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: Exception | None) -> None:
        if future.done():
            if when_late is not None:
                when_late()
        elif error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as raised:  # noqa: BLE001 - handed to the caller whole
            error = _as_exception(raised)
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # the loop has closed: nobody waits any more

    threading.Thread(target=run, name=name, daemon=True).start()
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            return await future
    except TimeoutError as error:
        if limit.expired():
            raise LimitReachedError(f"{name} took more than {limit_s:g} s") from error
        raise


def _as_exception(raised: BaseException) -> Exception:
    """The error as one that a future may hold: those that end an event loop or an iterator may not be."""
    if isinstance(raised, Exception) and not isinstance(raised, StopIteration):
        return raised
    return RuntimeError(explain(raised))
