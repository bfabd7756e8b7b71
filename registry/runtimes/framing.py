"""Messages as lines: one JSON object each, in UTF-8, ended by a newline. Used at both ends of the pipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

PROTOCOL: Final = 1
"""The version of the protocol: the app and a plugin have to name the same."""
CANCELLED: Final = -32800
"""The code of the error that answers a call which was cancelled, or cut short by the end of the process."""
MAX_MESSAGE: Final = 32 * 2**20
"""The longest message, in bytes with its newline."""


class MessageError(ValueError):
    """What came is no message, or what is to be sent is too long for one."""


def encode(message: Mapping[str, Any]) -> bytes:
    """The line of a message.

    Raises:
        MessageError: it is longer than `MAX_MESSAGE`.
    """
    try:
        line = _encode(message).encode() + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can carry
        line = _encode_ascii(message).encode() + b"\n"
    if len(line) > MAX_MESSAGE:
        raise MessageError(f"A message of {len(line):,} bytes is too long; {MAX_MESSAGE:,} are allowed.")
    return line


def decode(line: bytes | bytearray) -> dict[str, Any]:
    """The message of a line.

    Raises:
        MessageError: it is not a JSON object.
    """
    try:
        message = _decode(line.decode())
    except (ValueError, RecursionError) as error:
        raise MessageError(f"not a JSON object: {_beginning(line)}") from error
    if not isinstance(message, dict):
        raise MessageError(f"not a JSON object: {_beginning(line)}")
    return message


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


# Made once: `json.dumps` with options makes an encoder at each call.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_encode_ascii = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_decode = json.JSONDecoder(parse_constant=_refuse).decode
