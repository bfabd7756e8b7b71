"""The history behind a thread of its own, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar

from registry.errors import JackfieldError
from tui.history.history import History
from tui.history.records import Chunk, Kind

COMMIT_INTERVAL_S = 0.05
"""Streamed text is committed at most this often, in seconds, or sooner when something else is asked for."""
RETRY_S = 1.0
"""How long text waits that could not be written, in seconds."""

P = ParamSpec("P")
T = TypeVar("T")


class HistoryWriter:
    """An asynchronous front for one `History`, which lives in one thread.

    What is asked for happens in the order in which it was asked for. The thread never keeps the process from
    ending; whoever cares for the last 50 ms of text calls `close` or `aclose`.

    Args:
        path: the file; None keeps everything in memory.
    """

    failure: JackfieldError | None
    """Why the last commit of streamed text failed; None when it did not. The text is kept and tried again."""

    def __init__(self, path: Path | None) -> None:
        self.failure = None
        self._path = path
        self._history: History | None = None
        self._wake = threading.Condition()
        self._jobs: deque[Callable[[], None]] = deque()
        self._pieces: list[_Piece] = []
        self._closing = False
        self._closed = threading.Event()
        self._next_commit = 0.0
        self._thread = threading.Thread(target=self._work, name="history", daemon=True)

    async def open(self) -> Path | None:
        """Open the file in the thread. Gives the new name of a damaged file that was set aside.

        Raises:
            JackfieldError: the file cannot be used, nor can this writer.
        """
        opened: Future[Path | None] = Future()
        self._jobs.append(partial(self._settle, opened, self._open))
        self._thread.start()
        return await asyncio.wrap_future(opened)

    async def run(
        self, operation: Callable[Concatenate[History, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do something with the history, after everything that was asked for before.

        It is done even when the caller is cancelled while it waits.

        ```python
        conversation = await writer.run(History.load_conversation, 3)
        ```

        Raises:
            JackfieldError: as the operation does, or because the writer is closed.
        """
        done: Future[T] = Future()
        with self._wake:
            self._refuse_when_closed()
            self._jobs.append(partial(self._settle, done, lambda: operation(self._opened, *args, **kwargs)))
            self._wake.notify()
        return await asyncio.wrap_future(done)

    async def append(self, message_id: int, text: str, *, kind: Kind = "text") -> None:
        """Write a piece of an open answer; returns when it would outlive the process.

        Raises:
            JackfieldError: it could not be written yet (it will be tried again), or the answer is not open.
        """
        written: Future[None] = Future()
        self._put(Chunk(message_id, text, kind), written)
        await asyncio.wrap_future(written)

    def append_soon(self, message_id: int, text: str, *, kind: Kind = "text") -> None:
        """Write a piece of an open answer within the next 50 ms; see `failure`.

        Raises:
            JackfieldError: the writer is closed.
        """
        self._put(Chunk(message_id, text, kind), None)

    async def aclose(self) -> None:
        """Write what is left and close the file."""
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def close(self, *, limit_s: float = 5.0) -> bool:
        """Write what is left and close the file, waiting this long at most. False when that was too short."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        return not self._thread.is_alive() or self._closed.wait(limit_s)

    @property
    def _opened(self) -> History:
        if self._history is None:
            raise JackfieldError("The history is not open")
        return self._history

    def _open(self) -> Path | None:
        try:
            self._history = History(self._path)
        except JackfieldError:
            with self._wake:
                self._closing = True
            raise
        return self._history.set_aside

    def _put(self, chunk: Chunk, written: Future[None] | None) -> None:
        with self._wake:
            self._refuse_when_closed()
            self._pieces.append((chunk, written))
            self._wake.notify()

    def _refuse_when_closed(self) -> None:
        if self._closing:
            raise JackfieldError("The history is closed")

    def _work(self) -> None:
        ending = False
        while not ending:
            with self._wake:
                self._wait()
                jobs, self._jobs = self._jobs, deque()
                pieces, self._pieces = self._pieces, []
                ending = self._closing
            if pieces:
                self._commit(pieces)
            for job in jobs:
                job()
        if self._history is not None:
            self._history.close()
        self._closed.set()

    def _wait(self) -> None:
        """Wait, with the lock held, until there is something to do and streamed text may be written."""
        while not self._jobs and not self._closing:
            left = self._next_commit - time.monotonic() if self._pieces else None
            if left is not None and left <= 0:
                return
            self._wake.wait(left)

    def _commit(self, pieces: list[_Piece]) -> None:
        try:
            closed = self._opened.append(_joined([chunk for chunk, _ in pieces]))
        except JackfieldError as error:
            self._fail(pieces, error)
            with self._wake:  # what could not be written goes first the next time
                self._pieces[:0] = [(chunk, None) for chunk, _ in pieces]
            self._next_commit = time.monotonic() + RETRY_S
            return
        self.failure = None
        self._next_commit = time.monotonic() + COMMIT_INTERVAL_S
        lost = [piece for piece in pieces if piece[0].message_id in closed]
        if lost:
            self._fail(lost, JackfieldError("The answer is not open any more", hint=_RELOAD))
        for chunk, written in pieces:
            if written and chunk.message_id not in closed and written.set_running_or_notify_cancel():
                written.set_result(None)

    def _fail(self, pieces: list[_Piece], error: JackfieldError) -> None:
        self.failure = error
        for _, written in pieces:
            if written and written.set_running_or_notify_cancel():
                written.set_exception(error)

    def _settle(self, done: Future[T], operation: Callable[[], T]) -> None:
        awaited = done.set_running_or_notify_cancel()
        try:
            result = operation()
        except Exception as error:  # noqa: BLE001  # it is the caller's, who waits in another thread
            if awaited:
                done.set_exception(error)
            elif isinstance(error, JackfieldError):
                self.failure = error
        else:
            if awaited:
                done.set_result(result)


_Piece: TypeAlias = tuple[Chunk, Future[None] | None]
_RELOAD = "Load the conversation again to see it as it is kept."


def _joined(chunks: list[Chunk]) -> list[Chunk]:
    """Neighbours of one answer and one kind become one chunk."""
    return [
        Chunk(message_id, "".join(chunk.text for chunk in run), kind)
        for (message_id, kind), run in groupby(chunks, lambda chunk: (chunk.message_id, chunk.kind))
    ]
