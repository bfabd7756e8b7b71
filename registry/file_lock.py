"""A lock between processes that an event loop can wait for."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import JackfieldError
from registry.paths import make_private_folder
from registry.threads import call_with_limit

if TYPE_CHECKING:
    from filelock import BaseFileLock

_TRY_EVERY_S = 0.02
_DISK_LIMIT_S = 10.0


class LockedError(JackfieldError):
    """A lock was not to be had: somebody else held it all the time, or its file cannot be made."""


@asynccontextmanager
async def file_lock(path: Path, limit_s: float) -> AsyncGenerator[None, None]:
    """Hold a lock that one task of one process has at a time; it ends with the process that holds it.

    Waiting can be cancelled and holds up nobody else. It is the lock that `registry.atomic.locked` takes.

    Args:
        path: the file to lock. The lock itself is a file beside it.
        limit_s: how long to wait, in seconds.

    Raises:
        LockedError: somebody else held it for all that time, or the lock file cannot be made.
    """
    try:
        async with asyncio.timeout(limit_s):
            lock = await call_with_limit(lambda: _make(path), limit_s=_DISK_LIMIT_S, name="make a lock")
            await _acquire(lock)
    except TimeoutError as error:
        raise LockedError(
            "Another Jackfield is at the same work",
            detail=f"{path.name} was locked for {limit_s:g} s.",
            hint="Try again; if it goes on, close the other Jackfield.",
        ) from error
    except OSError as error:
        raise LockedError(
            "A lock cannot be made",
            detail=f"{path}.lock: {(error.strerror or str(error)).lower()}",
            hint="Check the permissions of the folder, and the room on the disk.",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _make(path: Path) -> BaseFileLock:
    from filelock import FileLock  # only where somebody writes

    target = Path(os.path.realpath(path))
    make_private_folder(target.parent)
    # taken in one thread and released in another
    return FileLock(
        target.with_name(f"{target.name}.lock"), blocking=False, mode=0o600, thread_local=False,
        is_singleton=False,
    )  # fmt: skip


async def _acquire(lock: BaseFileLock) -> None:
    from filelock import Timeout

    while True:
        try:
            await call_with_limit(
                lock.acquire, limit_s=_DISK_LIMIT_S, name="take a lock", when_late=lock.release
            )
        except Timeout:
            await asyncio.sleep(_TRY_EVERY_S * random.uniform(0.5, 1.5))  # noqa: S311 - spreads those who wait
        else:
            return
