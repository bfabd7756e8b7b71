"""`jackfield marketplace keys`, and the passphrase that opens them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.redaction import remember
from tui.cli.answers import Answers
from tui.cli.output import CommandError, Exit, format_table, line, note, paint
from tui.cli.signals import StopSignals

if TYPE_CHECKING:
    from registry.marketplace.publishing.keys import KeyFolder

PASSPHRASE: Final = "JACKFIELD_KEYS_PASSPHRASE"  # noqa: S105 - the name of a variable


def create(folder: Path, *, root_keys: int, threshold: int, plain: bool) -> int:
    """Make the keys of a new marketplace; gives the exit code."""
    with StopSignals() as signals:
        return signals.run(_create(folder, root_keys, threshold, plain=plain))


async def _create(folder: Path, root_keys: int, threshold: int, *, plain: bool) -> int:
    from registry.marketplace.publishing.keys import create_keys

    passphrase = None if plain else await new_passphrase()
    keys = create_keys(folder, passphrase, root_keys=root_keys, threshold=threshold)
    _print(keys)
    note("Keep a copy of the root keys where no other machine reaches it, and take them from here.")
    return Exit.DONE


def rotate(role: str, folder: Path, *, old: str | None, plain: bool) -> int:
    """Put a new key in the place of one; gives the exit code."""
    with StopSignals() as signals:
        return signals.run(_rotate(role, folder, old, plain=plain))


async def _rotate(role: str, folder: Path, old: str | None, *, plain: bool) -> int:
    from registry.marketplace.publishing.keys import rotate_key

    passphrase = None if plain else await known_passphrase()
    gone, new = rotate_key(folder, role, passphrase, old=old)
    print(f"{line(role)}: {gone[:12]} is replaced by {new[:12]}.")
    note("Sign the site now: that makes it known.")
    return Exit.DONE


def list_keys(folder: Path, *, as_json: bool) -> int:
    """Print who signs for what; gives the exit code."""
    from registry.marketplace.publishing.keys import KeyFolder

    keys = KeyFolder(folder)
    if as_json:
        data = {
            role: {"threshold": known.threshold, "keys": [key.keyid for key in known.keys]}
            for role, known in keys.roles.items()
        }
        print(json.dumps(data, indent=2))
    else:
        _print(keys)
    return Exit.DONE


def _print(keys: KeyFolder) -> None:
    cells = [
        (role, f"{known.threshold} of {len(known.keys)}", " ".join(key.keyid[:12] for key in known.keys))
        for role, known in keys.roles.items()
    ]
    heading, rows = format_table(("ROLE", "SIGN", "KEYS"), cells)
    print("\n".join([paint(heading, "heading"), *rows]))


async def opened_keys(folder: Path) -> KeyFolder:
    """A folder of keys, with its passphrase if it has one.

    Raises:
        JackfieldError: there are none, or nobody gave the passphrase.
    """
    from registry.marketplace.publishing.keys import KeyFolder

    if not KeyFolder(folder).are_sealed:
        return KeyFolder(folder)
    passphrase = await known_passphrase()
    return KeyFolder(folder, lambda: passphrase)


async def known_passphrase() -> str:
    """The passphrase of keys that are there.

    Raises:
        CommandError: nobody gave one.
    """
    return await _given("Passphrase of the keys (not shown): ")


async def new_passphrase() -> str:
    """A passphrase for new keys, asked for twice.

    Raises:
        CommandError: nobody gave one, or the two differ.
    """
    first = await _given("New passphrase for the keys (not shown): ")
    if not os.environ.get(PASSPHRASE) and await _given("The same again: ") != first:
        raise CommandError("The two are not the same", hint="Nothing was made. Try again.")
    return first


async def _given(prompt: str) -> str:
    given: str | None = os.environ.get(PASSPHRASE)
    if not given:
        answers = Answers()
        given = await answers.ask(prompt, hidden=True) if answers.from_person else None
    if not given:
        raise CommandError(
            "The keys need a passphrase, and nobody gave one",
            hint=f"Set {PASSPHRASE}, or use --plain when making keys that need none.",
            code=Exit.USAGE,
        )
    remember(given)
    return given
