"""Standard output for text that comes bit by bit."""

from __future__ import annotations

import asyncio
import os
import select
from typing import Final, TextIO

_CHUNK: Final = 4096
"""A pipe that can be written to takes this much without blocking: PIPE_BUF of POSIX systems."""


class Output:
    """Writes at once, and never holds up the event loop: a reader that stalls is waited for, and can be left.

    Args:
        stream: standard output. Nothing else may write to it in the meantime.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._descriptor = _pollable_descriptor(stream)

    @property
    def is_terminal(self) -> bool:
        """Whether a person may be watching."""
        return self._stream.isatty()

    async def write(self, text: str) -> None:
        """Write text; it has left this process when this returns.

        Raises:
            BrokenPipeError: the reader has gone.
            OSError: it cannot be written, as when the disk is full.
        """
        if self._descriptor is None:
            self._stream.write(text)
            self._stream.flush()
            return
        rest = memoryview(text.encode(self._stream.encoding, "replace"))
        while rest:
            await _until_writable(self._descriptor)
            try:
                rest = rest[os.write(self._descriptor, rest[:_CHUNK]) :]
            except BlockingIOError:  # someone else made the pipe non-blocking
                await asyncio.sleep(0)


def _pollable_descriptor(stream: TextIO) -> int | None:
    """The stream's descriptor, where the system can say whether it takes more (Windows cannot)."""
    if os.name != "posix":
        return None
    try:
        stream.flush()
        return stream.fileno()
    except (OSError, ValueError):
        return None


async def _until_writable(descriptor: int) -> None:
    if select.select([], [descriptor], [], 0)[1]:
        return
    loop = asyncio.get_running_loop()
    writable = asyncio.Event()
    loop.add_writer(descriptor, writable.set)
    try:
        await writable.wait()
    finally:
        loop.remove_writer(descriptor)
