"""The last lines that a process wrote, for the details of an error."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from registry.text import safe_text

LINES_KEPT: Final = 40
LINE_LIMIT: Final = 500
"""How much of one line is kept, in bytes."""

TEXT_LIMIT: Final = 2000
"""How much is shown, in characters."""


class LastLines:
    """Keeps the end of a stream in bounded memory, however much comes. One thread feeds, any reads."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque(maxlen=LINES_KEPT)
        self._open = b""
        self._lock = threading.Lock()

    def feed(self, piece: bytes) -> None:
        """Take more of the stream."""
        first, *others = piece.rsplit(b"\n", LINES_KEPT + 1)
        with self._lock:
            if not others:
                self._open = (self._open + first[-LINE_LIMIT:])[:LINE_LIMIT]
                return
            done = [self._open + first[-LINE_LIMIT:], *others[:-1]]
            self._lines += [line[:LINE_LIMIT] for line in done if line.strip()]
            self._open = others[-1][:LINE_LIMIT]

    def text(self, count: int = 8) -> str:
        """The last `count` lines, fit to be shown."""
        with self._lock:
            lines = [*self._lines, self._open] if self._open.strip() else [*self._lines]
        shown = b"\n".join(lines[-count:]).decode(errors="replace")
        return safe_text(shown)[-TEXT_LIMIT:].strip()
