"""The listener on this machine that the browser is sent back to (RFC 8252, 7.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from registry.oauth.callback import StrayError
from registry.oauth.errors import OAuthError
from registry.oauth.page import page
from registry.oauth.proof import same

_HOST: Final = "127.0.0.1"
_MAX_HEAD: Final = 16 * 1024
_MAX_OPEN: Final = 64
_REQUEST_S: Final = 10

_DONE = page(HTTPStatus.OK, "You can close this page", "Go back to Jackfield, which finishes the sign-in.")
_DENIED = page(
    HTTPStatus.OK, "The sign-in was refused", "Nothing was connected. Go back to Jackfield to try again."
)
_FAILED = page(HTTPStatus.OK, "The sign-in failed", "Nothing was connected. Jackfield says why.")
_STRAY = page(
    HTTPStatus.BAD_REQUEST,
    "This is not the answer Jackfield waits for",
    "The sign-in goes on where it was started.",
)
_OVER = page(HTTPStatus.GONE, "This sign-in is over", "Go back to Jackfield.")
_NOT_FOUND = page(
    HTTPStatus.NOT_FOUND, "There is nothing here", "Jackfield waits here for a sign-in to finish."
)
_WRONG_METHOD = page(
    HTTPStatus.METHOD_NOT_ALLOWED, "This is not a page for that", "Jackfield only waits here."
)
_TOO_LONG = page(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request is too long", "Jackfield did not read it."
)


class Loopback:
    """A listener on 127.0.0.1 for one answer.

    Whatever else comes is answered and forgotten. The answer ends it: `code` has it, nothing more is taken.
    Use it as an asynchronous context; leaving it closes the port and every connection.

    Args:
        path: the only path that is listened to, compared in constant time.
        read: gives the code of a query; StrayError: it is none of ours, OAuthError: the sign-in failed.
        port: 0 for a free one.

    Attributes:
        code: done with the code, or with the OAuthError of the answer.
        port: where it listens.
    """

    def __init__(self, path: str, read: Callable[[str], str], *, port: int = 0) -> None:
        self.code: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.port = port
        self._path = path
        self._read = read
        self._taken = False
        self._closed = False
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Loopback:
        """Listen.

        Raises:
            OSError: the port is taken, or the machine has no loopback.
        """
        self._server = await asyncio.start_server(self._serve, _HOST, self.port, limit=_MAX_HEAD)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True  # for a connection whose task has not begun
        if self._server:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        if self._server:
            await self._server.wait_closed()
        if self.code.done() and not self.code.cancelled():
            self.code.exception()  # seen, so that nothing complains when nobody has waited for it
        else:
            self.code.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or self._closed or len(self._open) >= _MAX_OPEN:
            writer.transport.abort()
            return
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        settle: Callable[[], None] = _nothing
        try:
            async with asyncio.timeout(_REQUEST_S):
                answer, settle = await self._answer(reader)
                writer.write(answer)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            pass  # it came to nothing, or left before the page arrived; the code counts all the same
        finally:
            writer.transport.abort()
            settle()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[bytes, Callable[[], None]]:
        """What to send, and what to do once it is sent."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _TOO_LONG, _nothing
        method, target = _request_line(head)
        path, _, query = target.partition("?")
        if not same(path, self._path):
            return _NOT_FOUND, _nothing
        if method != "GET":
            return _WRONG_METHOD, _nothing
        if self._taken:
            return _OVER, _nothing
        return self._take(query)

    def _take(self, query: str) -> tuple[bytes, Callable[[], None]]:
        try:
            code = self._read(query)
        except StrayError:
            return _STRAY, _nothing
        except OAuthError as error:
            self._taken = True
            failure = error
            return _DENIED if error.error == "access_denied" else _FAILED, lambda: self._fail(failure)
        self._taken = True
        return _DONE, lambda: self._finish(code)

    def _finish(self, code: str) -> None:
        if not self.code.done():
            self.code.set_result(code)

    def _fail(self, error: OAuthError) -> None:
        if not self.code.done():
            self.code.set_exception(error)


def _nothing() -> None:
    """There is nothing to settle."""


def _request_line(head: bytes) -> tuple[str, str]:
    """Method and target of a request; empty for what is no HTTP."""
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return "", ""
    return words[0], words[1]
