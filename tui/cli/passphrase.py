"""Asks for the passphrase of the encrypted file on a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from registry.errors import JackfieldError
from tui.cli.answers import Answers
from tui.cli.output import note

LEAST_PASSPHRASE: Final = 8
"""The shortest new passphrase that is taken, in characters."""
TRIES: Final = 3
"""How often a person is asked for the passphrase of a file that is there."""


class PassphrasePrompt:
    """What stores call when they need the passphrase and no variable has it.

    Args:
        file: the encrypted file, which need not exist.
        answers: who is asked; nobody unless it is a person.
    """

    def __init__(self, file: Path, answers: Answers) -> None:
        self._file = file
        self._answers = answers

    async def ask(self, new: bool) -> str | None:
        """The passphrase, which opens the file if there is one; None when nobody gave one."""
        if not self._answers.from_person:
            return None
        return await self._ask_new() if new else await self._ask_known()

    async def _ask_new(self) -> str | None:
        note("Secrets will be kept in a file that a passphrase encrypts. Nobody can read them without it.")
        while True:
            first = await self._answers.ask("New passphrase (not shown): ", hidden=True)
            if not first:
                return None
            if len(first) < LEAST_PASSPHRASE:
                note(f"  At least {LEAST_PASSPHRASE} characters.")
                continue
            if await self._answers.ask("The same again: ", hidden=True) == first:
                return first
            note("  The two are not the same.")

    async def _ask_known(self) -> str | None:
        from registry.encrypted_file_store import EncryptedFileStore  # only those who chose it need it

        for _ in range(TRIES):
            passphrase = await self._answers.ask(
                "Passphrase of the encrypted file (not shown): ", hidden=True
            )
            if not passphrase:
                return None
            try:
                await EncryptedFileStore(self._file, passphrase).unlock()
            except JackfieldError as error:
                note(f"  {error.title}.")
            else:
                return passphrase
        return None
