"""Messages as lines: one JSON object each, in UTF-8, ended by a newline. Used at both ends of the pipe."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final, NoReturn

PROTOCOL: Final = 1
"""The version of the protocol: the app and a plugin have to name the same."""
CANCELLED: Final = -32800
"""The code of the error that answers a call which was cancelled, or cut short by the end of the process."""
MAX_MESSAGE: Final = 32 * 2**20
"""The longest message, in bytes with its newline: of a request with files in it, as sent or as changed."""
MAX_EVENTS_MESSAGE: Final = 4 * 2**20
"""The longest message with events of a stream: pieces of text, and nothing that was attached."""
MAX_PARTS: Final = 400_000
"""The most texts, lists, objects and commas in one message: in memory they are far more than their bytes."""
PARTS_OF_EVENT: Final = 256
"""The most of these in one event, on the average of its message."""


class MessageError(ValueError):
    """What came is no message, or what is to be sent is too long for one."""


def encode(message: Mapping[str, Any], most: int = MAX_MESSAGE) -> bytes:
    """The line of a message.

    Raises:
        MessageError: it is longer than so many bytes.
    """
    try:
        line = _encode(message).encode() + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can carry
        line = _encode_ascii(message).encode() + b"\n"
    if len(line) > most:
        raise MessageError(f"A message of {len(line):,} bytes is too long; {most:,} are allowed.")
    return line


def decode(line: bytes | bytearray) -> dict[str, Any]:
    """The message of a line.

    Raises:
        MessageError: it is not a JSON object, or holds more than `MAX_PARTS` parts.
    """
    if has_more_parts(line, MAX_PARTS):
        raise MessageError(f"a message with more than {MAX_PARTS:,} values")
    try:
        message = _decode(line.decode())
    except (ValueError, RecursionError) as error:
        raise MessageError(f"not a JSON object: {_beginning(line)}") from error
    if not isinstance(message, dict):
        raise MessageError(f"not a JSON object: {_beginning(line)}")
    return message


def has_more_parts(line: bytes | bytearray, most: int) -> bool:
    """Whether there are more than so many texts, lists, objects and commas outside of texts in it."""
    if len(line) <= most or sum(map(line.count, _SIGNS)) <= most:  # no scan of an image or a long text
        return False
    return next(islice(_PARTS.finditer(line), most, None), None) is not None


class Lines:
    """Cuts a stream into lines. What is held back is never longer than one message may be."""

    def __init__(self) -> None:
        self._open = bytearray()

    def feed(self, piece: bytes) -> list[bytes | bytearray]:
        """The lines that this piece of the stream completes, without their newlines.

        Raises:
            MessageError: a line is longer than `MAX_MESSAGE`.
        """
        first, *others = piece.split(b"\n")
        self._open += first
        if len(self._open) >= MAX_MESSAGE:
            size = len(self._open)
            self._open.clear()
            raise MessageError(f"a message of more than {MAX_MESSAGE:,} bytes (at least {size:,})")
        if not others:
            return []
        done: list[bytes | bytearray] = [self._open]
        done += others[:-1]
        self._open = bytearray(others[-1])
        return [line for line in done if line.strip()]


def _beginning(line: bytes | bytearray) -> str:
    return repr(bytes(line[:60]).decode(errors="replace"))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_SIGNS: Final = (b'"', b"[", b"{", b",")
_PARTS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{,]', re.DOTALL)
"""A whole text, or a sign outside of one. A text need not end: else each quote in it would be tried anew."""

# Made once: `json.dumps` with options makes an encoder at each call.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_encode_ascii = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_decode = json.JSONDecoder(parse_constant=_refuse).decode
