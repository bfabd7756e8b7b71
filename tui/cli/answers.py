"""What comes in on standard input, a line at a time: typed by a person, seen or unseen, or piped in."""

from __future__ import annotations

import asyncio
import codecs
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_CHUNK: Final = 65536
_ERASE: Final = "\x08\x7f"
_ERASE_ALL: Final = "\x15"
_END: Final = "\x04"


class Answers:
    """Lines of standard input. Reading never holds up the event loop, and may be cancelled at any time.

    Args:
        descriptor: where to read.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._text = ""
        self._ended = sys.stdin is None
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._reading: asyncio.Future[bytes] | None = None
        self.from_person = not self._ended and os.isatty(descriptor)
        """Whether a person types them on a terminal, so that asking makes sense."""

    async def ask(self, prompt: str, *, hidden: bool = False) -> str | None:
        """Ask for a line; None at the end of the input. Without a person, the next line is the answer.

        Args:
            prompt: a safe text; shown on standard error, to a person only.
            hidden: whether what is typed stays unseen.
        """
        if hidden and self.from_person and sys.platform == "win32":
            return await _ask_unseen_on_windows(prompt)
        # unseen before the prompt shows that typing may begin
        with _unseen(self._descriptor, wanted=hidden and self.from_person) as unseen:
            if self.from_person:
                print(prompt, end="", file=sys.stderr, flush=True)
            line = await (self._unseen_line() if unseen else self.line())
            if unseen:
                print(file=sys.stderr, flush=True)  # the line break was not shown either
            return line

    async def agrees(self, question: str) -> bool:
        """Ask for a yes; anything else, and the end of the input, is a no."""
        said = await self.ask(f"{question} [y/N] ")
        return (said or "").strip().lower() in ("y", "yes")

    async def line(self) -> str | None:
        """The next line, without its end; None when there is no other."""
        while "\n" not in self._text and not self._ended:
            await self._read_more()
        return self._take()

    async def _unseen_line(self) -> str | None:
        """A line of a terminal that edits nothing itself."""
        while True:
            self._text = _edited(self._text)
            if self._text.startswith(_END):
                self._text = self._text[1:]
                return None
            if "\n" in self._text or self._ended:
                return self._take()
            await self._read_more()

    def _take(self) -> str | None:
        if not self._text and self._ended:
            return None
        line, _, self._text = self._text.partition("\n")
        return line.removesuffix("\r")

    async def _read_more(self) -> None:
        """Wait for more. A read that nobody waits for any more goes on, and counts for who asks next."""
        if self._reading is None:
            self._reading = _in_thread(self._descriptor)
        data = await asyncio.shield(self._reading)
        self._reading = None
        self._ended = not data
        self._text += self._decoder.decode(data, final=not data)


async def _ask_unseen_on_windows(prompt: str) -> str | None:
    from getpass import getpass

    try:
        return await asyncio.to_thread(getpass, prompt)
    except EOFError:
        return None


def _in_thread(descriptor: int) -> asyncio.Future[bytes]:
    """Read once, in a thread that keeps nothing from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bytes] = loop.create_future()

    def settle(data: bytes) -> None:
        if not future.done():
            future.set_result(data)

    def read() -> None:
        try:
            data = os.read(descriptor, _CHUNK)
        except OSError:  # a terminal that has gone
            data = b""
        try:
            loop.call_soon_threadsafe(settle, data)
        except RuntimeError:
            return  # the loop has closed: nobody waits any more

    threading.Thread(target=read, name="standard input", daemon=True).start()
    return future


@contextmanager
def _unseen(descriptor: int, *, wanted: bool) -> Iterator[bool]:
    """While it is entered, the terminal shows nothing of what is typed; gives whether that is so.

    It does not edit the line either, since a terminal cuts a line of its own at 4096 bytes.
    """
    if not wanted or sys.platform == "win32":
        yield False
        return
    import termios

    before = termios.tcgetattr(descriptor)
    changed = termios.tcgetattr(descriptor)
    changed[3] &= ~(termios.ECHO | termios.ICANON)
    changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
    termios.tcsetattr(descriptor, termios.TCSADRAIN, changed)
    try:
        yield True
    except BaseException:
        # half a secret must not end up in the shell
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
        raise
    termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _edited(typed: str) -> str:
    """The first line after its editing keys had their effect: erase, erase all, end of input."""
    line, end, rest = typed.partition("\n")
    kept = ""
    for character in line:
        if character in _ERASE:
            kept = kept[:-1]
        elif character == _ERASE_ALL:
            kept = ""
        elif character != _END or not kept:
            kept += character
    return kept + end + rest
