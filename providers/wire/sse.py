"""Server-sent events, read from bytes that arrive in any pieces.

As the WHATWG standard has it (https://html.spec.whatwg.org/multipage/server-sent-events.html), but for two
things that servers do wrong. An event that the end of the stream cuts off before its blank line is given all
the same: a dialect knows its own terminal marker. And JSON that stands there without a `data:` before it, on
one line or on many, is given as an event: that is how some report a fault in the middle of an answer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from typing import Final, NamedTuple

from jackfield import ErrorKind, ProviderError

MAX_EVENT_BYTES: Final = 64 * 1024 * 1024
"""The largest event: pictures and whole answers travel in one, more than this is a fault."""
_BOM: Final = b"\xef\xbb\xbf"
_JSON_BEGINS: Final = (b"{", b"[")
_FIELDS: Final = (b"data:", b"event:", b":")
"""How lines begin that are no part of JSON which stands there bare."""


class ServerEvent(NamedTuple):
    """One event: its data, lines joined by a newline, and its name, which most dialects leave empty."""

    data: str
    name: str = ""


async def read_events(
    pieces: AsyncIterable[bytes], *, limit: int = MAX_EVENT_BYTES
) -> AsyncGenerator[ServerEvent]:
    """The events of a stream of bytes.

    Raises:
        ProviderError: an event is larger than `limit` bytes.
    """
    reader = EventReader(limit=limit)
    async for piece in pieces:
        for event in reader.feed(piece):
            yield event
    for event in reader.finish():
        yield event


class EventReader:
    """Turns pieces of bytes into events; where the pieces are cut makes no difference.

    Args:
        limit: the largest event, in bytes.
    """

    def __init__(self, *, limit: int = MAX_EVENT_BYTES) -> None:
        self._limit = limit
        self._held = 0  # bytes of the open event and the open line
        self._tail: list[bytes] = []  # the open line, joined only when it ends
        self._after_return = False  # a newline that comes next belongs to a carriage return
        self._first_line = True
        self._data: list[bytes] = []
        self._name = b""
        self._bare = False  # the open event is JSON without a field's name before it

    def feed(self, piece: bytes) -> list[ServerEvent]:
        """The events that this piece completes.

        Raises:
            ProviderError: the open event is larger than the limit.
        """
        if self._after_return and piece:
            self._after_return = False
            piece = piece.removeprefix(b"\n")
        events: list[ServerEvent] = []
        if not (self._tail or self._data or self._name or self._first_line or b"\r" in piece):
            *blocks, piece = piece.split(b"\n\n")  # several times faster than line by line
            for block in blocks:
                self._take_block(block, events)
        # bytes.splitlines knows CR, LF and CRLF only, and works at the speed of memory.
        for line in piece.splitlines(keepends=True):
            self._hold(len(line))
            text = line.rstrip(b"\r\n")
            self._tail.append(text)
            if len(text) < len(line):
                whole = self._tail[0] if len(self._tail) == 1 else b"".join(self._tail)
                self._tail.clear()
                self._take_line(whole, events)
        self._after_return = piece.endswith(b"\r")
        return events

    def finish(self) -> list[ServerEvent]:
        """What the end of the stream completes."""
        events: list[ServerEvent] = []
        if self._tail:
            self._take_line(b"".join(self._tail), events)
            self._tail.clear()
        self._dispatch(events)
        return events

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held > self._limit:
            raise ProviderError(
                ErrorKind.PROTOCOL,
                "The server sent an event that is too large",
                detail=f"One event has more than {self._limit:,} bytes.",
            )

    def _take_block(self, block: bytes, events: list[ServerEvent]) -> None:
        """A whole event: at once in the two forms that servers write, else line by line."""
        name, data = b"", block
        if block.startswith(b"event: "):
            name, _, data = block[7:].partition(b"\n")
        if data.startswith(b"data: ") and b"\n" not in data and len(block) + 2 <= self._limit:
            events.append(ServerEvent(data[6:].decode("utf-8", "replace"), name.decode("utf-8", "replace")))
            return
        for line in (*block.split(b"\n"), b""):
            self._hold(len(line) + 1)
            self._take_line(line, events)

    def _take_line(self, line: bytes, events: list[ServerEvent]) -> None:
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            self._dispatch(events)
            return
        if self._is_bare(line, events):
            self._data.append(line)
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value
        if not self._data:
            self._held = 0  # comments are not kept, so a long silence full of them is no large event

    def _is_bare(self, line: bytes, events: list[ServerEvent]) -> bool:
        """Whether a line is, or goes on with, JSON that stands there bare; a field's line ends it."""
        if self._bare and line.startswith(_FIELDS):
            self._dispatch(events)
        elif not self._data and line.startswith(_JSON_BEGINS):
            self._bare = True
        return self._bare

    def _dispatch(self, events: list[ServerEvent]) -> None:
        if self._data:
            data = b"\n".join(self._data).decode("utf-8", "replace")
            events.append(ServerEvent(data, self._name.decode("utf-8", "replace")))
        self._data.clear()
        self._name = b""
        self._bare = False
        self._held = 0
