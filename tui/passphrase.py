"""Asks for the passphrase of the encrypted file, once after each start, whoever needs it first."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from registry.errors import JackfieldError

if TYPE_CHECKING:
    from textual.app import App

    from tui.host import Host

REFUSED_S: Final = 1.0
"""How long a "no" holds, in seconds: several providers that are asked at once need the passphrase at once."""


class PassphraseQuestion:
    """What the host calls when the encrypted file is needed.

    Args:
        app: where it is asked.
        host: whose file it is.
    """

    def __init__(self, app: App[None], host: Host) -> None:
        self._app = app
        self._host = host
        self._refused_at = float("-inf")

    async def ask(self, new: bool) -> str | None:
        """The passphrase, which opens the file if there is one; None when the user gave none.

        Args:
            new: whether there is no file yet.
        """
        from tui.screens.secret_store import PassphraseScreen

        if not new and time.monotonic() < self._refused_at + REFUSED_S:
            return None
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

        def take(passphrase: str | None) -> None:
            if not answer.done():  # who asked may have given up
                answer.set_result(passphrase)

        screen = PassphraseScreen(new=new, check=None if new else self._check)
        self._app.push_screen(screen, take)
        try:
            passphrase = await answer
        finally:
            screen.leave(None)
        if passphrase is None:
            self._refused_at = time.monotonic()
        return passphrase

    async def _check(self, passphrase: str) -> str:
        """What is wrong with a passphrase, in one line."""
        from registry.encrypted_file_store import EncryptedFileStore

        try:
            await EncryptedFileStore(self._host.stores.file, passphrase).unlock()
        except JackfieldError as error:
            return error.title
        return ""
