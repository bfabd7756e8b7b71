"""A sign-in with OAuth in plain text: the page to open or the code to type, and the wait for its end."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final

from registry.auth import OAuthCode, OAuthDevice
from registry.errors import JackfieldError
from registry.oauth import (
    CodeSignIn,
    DeviceSignIn,
    ShowCode,
    ShowPage,
    SignedIn,
    SignInEvent,
    Waiting,
    has_display,
    open_browser,
    qr_lines,
)
from tui.cli.answers import Answers
from tui.cli.output import line, note, terminal_width
from tui.connection_text import countdown

if TYPE_CHECKING:
    import httpx

_URL_LIMIT: Final = 4000
_DARK_ON_LIGHT: Final = "\x1b[30;107m"
_PLAIN: Final = "\x1b[0m"


class TextSignIn:
    """One sign-in on the command line. However it ends, nothing that it opened is left.

    Args:
        method: how to sign in.
        client: for the server's endpoints; it is not closed.
        answers: where Enter and what is pasted come from.
        env: says whether there is a browser that the user sees.
    """

    def __init__(
        self,
        method: OAuthCode | OAuthDevice,
        client: httpx.AsyncClient,
        answers: Answers,
        *,
        env: Mapping[str, str] = os.environ,
    ) -> None:
        self._answers = answers
        self._env = env
        self._page = ""
        self._paste: CodeSignIn | None = None
        self._sign_in: CodeSignIn | DeviceSignIn
        if isinstance(method, OAuthDevice):
            self._sign_in = DeviceSignIn(method, client)
        else:
            self._sign_in = self._paste = CodeSignIn(method, client, loopback=has_display(env))

    async def run(self) -> SignedIn:
        """Sign in.

        Raises:
            JackfieldError: it failed, was refused, or took too long.
        """
        listening: asyncio.Task[None] | None = None
        async with aclosing(self._sign_in.events()) as events:
            try:
                while True:
                    event = await _next(events, listening)
                    if isinstance(event, SignedIn):
                        return event
                    self._show(event)
                    if listening is None and isinstance(event, ShowPage | ShowCode):
                        must_paste = isinstance(event, ShowPage) and not event.listening
                        listening = asyncio.create_task(self._heed_input(must_paste=must_paste))
            finally:
                if listening is not None:
                    listening.cancel()
                    with suppress(asyncio.CancelledError, JackfieldError):
                        await listening

    def _show(self, event: SignInEvent) -> None:
        match event:
            case ShowPage():
                self._show_page(event)
            case ShowCode():
                self._show_code(event)
            case Waiting(text=text):
                note(f"{line(text)}…")
            case _:
                pass

    def _show_page(self, event: ShowPage) -> None:
        self._page = event.url
        note(f"Sign in on a page of {line(event.host, 300)}:")
        note(f"\n{line(event.url, _URL_LIMIT)}\n", limit=_URL_LIMIT + 2)
        if self._can_open:
            note("Enter opens it in your browser.")
        if event.listening:
            note("Or open it anywhere, and paste the address that the browser ends on here.")
        else:
            note("At the end, the browser may show an error. Paste its address here all the same.")
        note(f"Waiting for at most {countdown(event.lasts_s)} minutes; Ctrl-C stops.")

    def _show_code(self, event: ShowCode) -> None:
        self._page = event.verification_url
        note(f"On any device, open\n\n{line(event.verification_url, _URL_LIMIT)}\n", limit=_URL_LIMIT + 30)
        note(f"and type this code: {line(event.user_code, 64)}\n")
        _show_large(line(event.user_code, 64))
        _show_qr(event.complete_url or event.verification_url)
        if self._can_open:
            note("Enter opens the page in your browser.")
        note(f"Waiting for at most {countdown(event.lasts_s)} minutes; Ctrl-C stops.")

    @property
    def _can_open(self) -> bool:
        return self._answers.from_person and has_display(self._env)

    async def _heed_input(self, *, must_paste: bool) -> None:
        """Open the page at Enter, and take what is pasted, until there is no more input.

        Raises:
            JackfieldError: nothing can be pasted any more, and there is no other way to go on.
        """
        while (text := await self._answers.line()) is not None:
            if text.strip():
                self._take(text.strip())
            elif self._can_open and not open_browser(self._page, self._env):
                note("No browser starts. Copy the address.")
        if must_paste:
            raise JackfieldError(
                "The address that the browser ended on was not given",
                detail="Standard input has ended, and no browser on this machine can be heard.",
                hint="Run it in a terminal, or keep standard input open and write the address there.",
            )

    def _take(self, text: str) -> None:
        problem = self._paste.paste(text) if self._paste is not None else "There is nothing to paste here."
        if problem:
            note(line(problem))


async def _next(
    events: AsyncGenerator[SignInEvent, None], listening: asyncio.Task[None] | None
) -> SignInEvent:
    """The next event, unless the input makes going on impossible."""
    upcoming = asyncio.ensure_future(anext(events))
    try:
        watched = {upcoming} if listening is None or listening.done() else {upcoming, listening}
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if not upcoming.done() and listening is not None and listening.done():
            listening.result()
        return await upcoming
    finally:
        if not upcoming.done():
            upcoming.cancel()
            with suppress(asyncio.CancelledError, JackfieldError, StopAsyncIteration):
                await upcoming


def _show_large(code: str) -> None:
    width = terminal_width(sys.stderr)
    if width is None or not _is_utf8():
        return
    from tui.widgets.big_letters import large  # brings Textual, which only this needs

    rows = large(code)
    if rows and len(rows[0]) <= width:
        note("\n".join((*rows, "")))


def _show_qr(url: str) -> None:
    """The page as a picture for a phone, where it fits; in black on white, as phones want it."""
    width = terminal_width(sys.stderr)
    if width is None or os.environ.get("TERM") == "dumb" or not _is_utf8():
        return
    rows = qr_lines(url)
    if rows and len(rows[0]) <= width:
        for row in rows:
            print(f"{_DARK_ON_LIGHT}{row}{_PLAIN}", file=sys.stderr)


def _is_utf8() -> bool:
    return (getattr(sys.stderr, "encoding", "") or "").lower().replace("-", "") == "utf8"
