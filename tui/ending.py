"""Ends a process in good order, without waiting for a plugin's code that refuses to end."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from contextlib import suppress
from typing import Final

_LIMIT_S: Final = 1.0
"""How long tasks, and then threads, may take to end, in seconds."""


async def end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """End what is left, but unlike `asyncio.run` do not wait forever for a task that refuses to."""
    left = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
    for task in left:
        task.cancel()
    if left:
        _, refusing = await asyncio.wait(left, timeout=_LIMIT_S)
        if refusing:  # what they raise when the interpreter drops them is of no use to anyone
            sys.unraisablehook = lambda _: None
            loop.set_exception_handler(lambda _loop, _context: None)
    with suppress(TimeoutError):
        async with asyncio.timeout(_LIMIT_S):
            await loop.shutdown_asyncgens()


def leave_stuck_threads(code: int) -> None:
    """End the process with this exit code if a thread would keep it from ending; else just return."""
    deadline = time.monotonic() + _LIMIT_S
    others = [
        thread
        for thread in threading.enumerate()
        if thread is not threading.current_thread() and not thread.daemon
    ]
    for thread in others:
        thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in others):
        leave(code)


def leave(code: int) -> None:
    """End the process without waiting for anything that refuses to end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError, RuntimeError):
            continue
    os._exit(code)
