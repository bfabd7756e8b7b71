"""One account that is signed in, and what can be done with a list of them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from registry.errors import JackfieldError
from registry.secret_contract import StoreKind
from registry.text import safe_text

MAX_LABEL: Final = 60
"""The longest label, in characters."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One account that is signed in, without its secrets."""

    plugin: str
    method: str
    """The name of the auth method."""
    type: str
    """The type of the auth method, such as `api_key`."""
    label: str
    """What the user calls the account; unique within a plugin, whatever the case of its letters."""
    active: bool
    """Whether it is used where none is named; one of a plugin is."""
    created_at: float
    """When the user signed in, in Unix seconds."""
    expires_at: float | None
    """When the secret stops being good, in Unix seconds; None where nobody said."""
    store: StoreKind
    """Where its secrets are."""
    scopes: tuple[str, ...] = ()
    """What the user granted."""
    renewable: bool = False
    """Whether it can be renewed without the user once it expires."""
    renewed_at: float = 0.0
    """When its secrets were last written, in Unix seconds."""
    needs_sign_in: str = ""
    """Why the user has to sign in again; empty when all is well."""
    revision: str = ""
    """Another text whenever its secrets were written."""

    @property
    def title(self) -> str:
        """How to speak of it in a sentence."""
        return f"{self.plugin} ({self.label})"

    def lapsed(self, now: float) -> bool:
        """Whether it has expired and cannot renew itself."""
        return self.expires_at is not None and self.expires_at <= now and not self.renewable


def check_label(label: str) -> str:
    """A label that the user typed, as it is kept: one line, nothing invisible.

    Raises:
        JackfieldError: nothing is left of it, or it is too long.
    """
    safe = safe_text(label, single_line=True)
    if not safe or len(safe) > MAX_LABEL:
        raise JackfieldError(
            "This label cannot be used", hint=f"Choose one line of 1 to {MAX_LABEL} characters."
        )
    return safe


def free_label(label: str, taken: Iterable[str]) -> str:
    """The label, or the first of `label-2`, `label-3` and so on that is not taken."""
    used = {one.casefold() for one in taken}
    found, number = label, 1
    while found.casefold() in used:
        number += 1
        ending = f"-{number}"
        found = label[: MAX_LABEL - len(ending)] + ending
    return found


def find(entries: Iterable[Connection], plugin: str, label: str) -> Connection | None:
    """The connection of this plugin and label, whatever the case of the label's letters."""
    wanted = label.casefold()
    named = (entry for entry in entries if entry.plugin == plugin and entry.label.casefold() == wanted)
    return next(named, None)


def new_revision() -> str:
    """A text that no connection had before."""
    return secrets.token_hex(8)


def same(one: Connection, other: Connection) -> bool:
    """Whether both are the same connection, whatever became of it in between."""
    return one.plugin == other.plugin and one.label == other.label


def put(entries: list[Connection], old: Connection, new: Connection) -> None:
    """Put what is known now in the place of a connection; one that is gone stays gone.

    Which one is active stays as it is.
    """
    entries[:] = [replace(new, active=entry.active) if same(entry, old) else entry for entry in entries]


def activate(entries: list[Connection], chosen: Connection) -> None:
    """Make one connection the active one of its plugin; one of this session leaves the file as it is."""
    for place, entry in enumerate(entries):
        if same(entry, chosen):
            entries[place] = replace(entry, active=True)
        elif entry.plugin == chosen.plugin and (
            entry.store is StoreKind.SESSION or chosen.store is not StoreKind.SESSION
        ):
            entries[place] = replace(entry, active=False)


def one_active(session: Sequence[Connection], lasting: Sequence[Connection]) -> tuple[Connection, ...]:
    """All of them, with one of a plugin active: of two that are, one of this session, else the first."""
    chosen: dict[str, Connection] = {}
    for entry in (*session, *lasting):
        if entry.active:
            chosen.setdefault(entry.plugin, entry)
    return tuple(replace(entry, active=chosen.get(entry.plugin) is entry) for entry in (*lasting, *session))
