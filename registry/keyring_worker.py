"""The one thread on which the keyring is called.

A keyring asks its user in a window and answers when they do, or it hangs and never answers. Neither may
stop the event loop, pile up threads, or keep the process from ending.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from registry.keyring_backend import Backend, find_backend, store_error
from registry.secret_contract import StoreError, StoreFault

LIMIT_S: Final = 5.0
"""How long a call may take, in seconds."""

_MOMENT_S: Final = 0.02
_NAMED_BY: Final = ("PYTHON_KEYRING_BACKEND", "DBUS_SESSION_BUS_ADDRESS")
_T = TypeVar("_T")


class KeyringWorker:
    """Calls the keyring, one call after another, on one daemon thread.

    Any number of event loops may use it. While a call is stuck, others fail at once; when it returned, it
    works again.

    Args:
        find: gives the keyring; called on the thread at first, after each failure, and when the environment
            names another keyring.
    """

    def __init__(self, find: Callable[[], Backend] = find_backend) -> None:
        self._find = find
        self._found: tuple[object, Backend] | None = None
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._current: _Job | None = None

    async def call(self, work: Callable[[Backend], _T], *, limit_s: float = LIMIT_S) -> _T:
        """Do some work with the keyring, and wait for it.

        Work whose caller was told that it took too long ends before its next call to the keyring. Work
        whose caller was cancelled is finished.

        Args:
            work: called with the keyring.
            limit_s: how long each call to the keyring may take, in seconds, from when its turn comes.

        Raises:
            StoreError: it failed in any way, or a call took longer than the limit.
        """
        self._raise_if_stuck()
        job = _Job(work, limit_s)
        self._jobs.put(job)
        self._start()
        remaining = limit_s
        while True:
            limit = asyncio.timeout(remaining)
            try:
                async with limit:
                    await asyncio.shield(job.done)
            except TimeoutError:
                remaining = self._remaining(job)
                if remaining > 0:
                    continue  # it had to wait for its turn
                job.given_up = True
                raise _no_answer(limit_s) from None
            result: _T = job.result()
            return result

    def _raise_if_stuck(self) -> None:
        current = self._current
        if current is not None and current.remaining() <= 0:
            raise _no_answer(current.limit_s)

    def _remaining(self, job: _Job) -> float:
        """How long to wait on, in seconds: for the job itself, or for the one before it."""
        current = self._current
        if current is None or job.finished:  # between two jobs
            return _MOMENT_S
        return current.remaining()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="jackfield-keyring", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            if job.given_up:
                continue
            job.begun = time.monotonic()
            self._current = job
            job.run(self._keyring)
            if job.failed:
                self._found = None
            job.finished = True
            self._current = None
            job.settle()
            del job  # it holds a secret

    def _keyring(self) -> Backend:
        named = [os.environ.get(variable) for variable in _NAMED_BY]
        if self._found is None or self._found[0] != named:
            self._found = (named, self._find())
        return self._found[1]


class _Job:
    """One piece of work: done on the worker's thread, waited for on an event loop."""

    def __init__(self, work: Callable[[Backend], Any], limit_s: float) -> None:
        self.limit_s = limit_s
        self.begun = 0.0
        """When its last call to the keyring began, by the monotonic clock, in seconds."""
        self.given_up = False
        self.finished = False
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._work = work
        self._result: Any = None
        self._error: StoreError | None = None

    @property
    def failed(self) -> bool:
        return self._error is not None

    def remaining(self) -> float:
        return self.begun + self.limit_s - time.monotonic()

    def run(self, find: Callable[[], Backend]) -> None:
        try:
            self._result = self._work(_Guarded(find(), self))
        except BaseException as error:  # noqa: BLE001 - whatever a backend raises becomes an error that is shown
            self._error = store_error(error)

    def settle(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            return  # the loop has closed: nobody waits any more

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result

    def _wake(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class _Guarded:
    """A backend that is not called any more when the caller was told that it failed."""

    def __init__(self, backend: Backend, job: _Job) -> None:
        self._backend = backend
        self._job = job

    @property
    def name(self) -> str:
        return self._backend.name

    @property
    def replaces_at_once(self) -> bool:
        return self._backend.replaces_at_once

    def get(self, service: str, name: str) -> str | None:
        self._next_call()
        return self._backend.get(service, name)

    def set(self, service: str, name: str, secret: str) -> None:
        self._next_call()
        self._backend.set(service, name, secret)

    def delete(self, service: str, name: str) -> None:
        self._next_call()
        self._backend.delete(service, name)

    def _next_call(self) -> None:
        if self._job.given_up:
            raise _no_answer(self._job.limit_s)
        self._job.begun = time.monotonic()


def _no_answer(limit_s: float) -> StoreError:
    return StoreError(
        StoreFault.TIMED_OUT,
        f"The keyring did not answer within {limit_s:g} s",
        detail="It may wait for an answer in a window of its own.",
        hint="Answer the keyring's window, or unlock your login keyring, and try again.",
    )


@cache
def shared_worker() -> KeyringWorker:
    """The worker of this process: backends are not made for two threads at a time."""
    return KeyringWorker()
