"""What the children of this package have in common: how they are started, read and ended."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final

from jackfield import safe_text

_LINE_LIMIT: Final = 4000
_LINES_KEPT: Final = 40

# A child has a session of its own, so that Ctrl+C in a terminal reaches the app alone, which ends the child.
if sys.platform == "win32":
    NEW_SESSION: Final = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
else:
    NEW_SESSION: Final = {"start_new_session": True}


class LastLines:
    """The last lines that a child wrote, for the details of an error."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)

    def add(self, line: str) -> None:
        """Keep a line, in place of the oldest when there are too many."""
        if line.strip():
            self._lines.append(line.rstrip())

    def text(self, count: int = _LINES_KEPT) -> str:
        """The last `count` lines, fit to be shown."""
        return safe_text("\n".join(list(self._lines)[-count:]), limit=2000)


async def read_lines(stream: asyncio.StreamReader) -> AsyncGenerator[str]:
    """The lines of a stream; overlong ones are cut, so that no child can fill the memory."""
    open_line = b""
    while piece := await stream.read(65536):
        *lines, rest = piece.split(b"\n")
        for line in lines:
            yield (open_line + line)[:_LINE_LIMIT].decode("utf-8", "replace")
            open_line = b""
        open_line = (open_line + rest)[:_LINE_LIMIT]
    if open_line:
        yield open_line.decode("utf-8", "replace")


async def kill(process: asyncio.subprocess.Process) -> None:
    """End a child at once and collect it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    await process.wait()
