"""`jackfield auth doctor`: whether secrets can be kept where they are to be kept, and what to do if not."""

from __future__ import annotations

import os
import secrets
from dataclasses import asdict, dataclass
from typing import Any, Final

from registry.connections import key_variables
from registry.errors import JackfieldError
from registry.keyring_store import KeyringReport, check_keyring
from registry.secret_store import PASSPHRASE_VARIABLE, StoreKind
from tui.cli.auth_session import Session, json_text, run_session
from tui.cli.output import Exit, line
from tui.connection_text import STORE_WORDS

_SERVICE: Final = "jackfield:doctor"


@dataclass(frozen=True, slots=True)
class _Store:
    """The store that new secrets go to."""

    kind: StoreKind
    usable: bool
    round_trip: bool = False
    """Whether a secret was written, read and removed."""
    problem: str = ""
    hint: str = ""


def examine(*, as_json: bool, safe_mode: bool) -> int:
    """Try the keyring and the store that is in use, and print what was found.

    Returns:
        The exit code: `FAILED` when the store in use cannot keep a secret.
    """

    async def work(session: Session) -> int:
        keyring = await check_keyring()
        store = await _examine_store(session, keyring)
        variables = _set_variables(session)
        if as_json:
            await session.output.write(json_text(_as_json(keyring, store, variables)))
        else:
            await session.output.write(_as_text(keyring, store, variables))
        return Exit.DONE if store.usable else Exit.FAILED

    return run_session(work, safe_mode=safe_mode)


async def _examine_store(session: Session, keyring: KeyringReport) -> _Store:
    kind = session.stores.chosen
    match kind:
        case StoreKind.KEYRING:
            return _Store(kind, keyring.usable, keyring.round_trip, keyring.problem, keyring.hint)
        case StoreKind.FILE if not session.stores.file.exists():
            return _Store(kind, usable=True, hint="The file is made when the first secret is kept.")
        case StoreKind.FILE:
            return await _try_file(session)
        case StoreKind.SESSION:
            hint = "In the app, what signs in is kept until it ends; a command forgets it at once."
            return _Store(kind, usable=True, hint=hint)
        case _:
            return _Store(kind, usable=True, hint="Nothing is stored: keys come from variables only.")


async def _try_file(session: Session) -> _Store:
    name, secret = secrets.token_hex(8), secrets.token_urlsafe(24)
    try:
        store = await session.stores.store(StoreKind.FILE)
        try:
            await store.set(_SERVICE, name, secret)
            same = await store.get(_SERVICE, name) == secret
        finally:
            await store.delete(_SERVICE, name)
    except JackfieldError as error:
        problem = "\n".join(part for part in (error.title, error.detail) if part)
        return _Store(StoreKind.FILE, usable=False, problem=problem, hint=error.hint)
    problem = "" if same else "The file did not give back what was written."
    return _Store(StoreKind.FILE, usable=same, round_trip=same, problem=problem)


def _set_variables(session: Session) -> list[str]:
    """The names of the variables that hold keys of plugins that are on."""
    names = key_variables([entry.data for entry in session.registry.auth_methods()])
    return [name for name in names if os.environ.get(name, "").strip()]


def _as_json(keyring: KeyringReport, store: _Store, variables: list[str]) -> dict[str, Any]:
    return {"store": asdict(store), "keyring": asdict(keyring), "variables": variables}


def _as_text(keyring: KeyringReport, store: _Store, variables: list[str]) -> str:
    rows = [
        ("secrets go to", STORE_WORDS[store.kind]),
        ("state", "good" if store.usable else "cannot be used"),
        ("round trip", _round_trip(store)),
        ("problem", store.problem),
        ("what to do" if not store.usable else "note", store.hint),
        ("keyring", keyring.backend or "none"),
        ("keyring's state", "good" if keyring.usable else keyring.problem),
        ("keys in the environment", ", ".join(variables) or "none"),
        ("passphrase", f"in {PASSPHRASE_VARIABLE}" if os.environ.get(PASSPHRASE_VARIABLE) else ""),
    ]
    shown = [(label, text) for label, text in rows if text]
    width = max(len(label) for label, _ in shown)
    lines = [
        f"{name:<{width}}  {line(part, 500)}".rstrip()
        for label, text in shown
        for name, part in zip([label, *[""] * text.count("\n")], text.split("\n"), strict=True)
    ]
    return "\n".join((*lines, ""))


def _round_trip(store: _Store) -> str:
    if store.round_trip:
        return "a secret was written, read and removed"
    return "" if store.usable else "failed"
