"""Long secrets as several items of a keyring, so that each fits where the system limits its size.

Windows takes 2560 bytes of UTF-16 for one item (CRED_MAX_CREDENTIAL_BLOB_SIZE in wincred.h). The item that
bears the secret's own name, its head, holds a short secret as it is. Of a long one it says how many parts
there are, in which of two slots, and their digest. A new secret is written to the slot that is not in use,
then the head, in one call; then the other slot is emptied. Where a keyring has no such call, the new head is
first written to a spare place, which counts while there is no head. Whoever stops half way leaves the old
secret or the new one, and what is left over is removed by the next who writes or deletes.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import Final, NamedTuple

from registry.keyring_backend import Backend
from registry.secret_contract import StoreError, StoreFault

PART_UNITS: Final = 1200
"""The longest text of one item, in UTF-16 units."""
MAX_PARTS: Final = 2000
"""The most parts that a secret may have."""

_HEAD: Final = re.compile(r"jackfield-parts:1:([ab]):(\d{1,4}):([0-9a-f]{64})")
_MARK: Final = "jackfield-parts:"
_TRIES: Final = 3


class _Parts(NamedTuple):
    slot: str
    pieces: int
    digest: str


def read_secret(backend: Backend, service: str, name: str) -> str | None:
    """The secret; None if there is none.

    Raises:
        StoreError: parts of it are missing or changed.
    """
    for _ in range(_TRIES):  # another process may replace it while it is read
        head = _head(backend, service, name)
        if head is None or not head.startswith(_MARK):
            return head
        parts = _parse(head)
        text = _join(backend, service, name, parts) if parts else None
        if text is not None:
            return text
    raise StoreError(
        StoreFault.DAMAGED,
        "A secret in the keyring is damaged",
        detail="Some of its parts are missing or were changed.",
        hint="Sign in again.",
    )


def write_secret(backend: Backend, service: str, name: str, secret: str) -> None:
    """Keep a secret. Only one process may write at a time.

    Raises:
        StoreError: it is too long.
    """
    head = _head(backend, service, name)
    old = _parse(head or "")
    if _fits(secret):
        _put_head(backend, service, name, secret, head)
        for slot in "ab":
            _empty(backend, service, name, slot)
        return
    slot = "b" if old and old.slot == "a" else "a"
    text = json.dumps(secret)  # ASCII: whatever a keyring does to other characters, it does not do to these
    pieces = [text[start : start + PART_UNITS] for start in range(0, len(text), PART_UNITS)]
    if len(pieces) > MAX_PARTS:
        raise StoreError(StoreFault.REFUSED, "The secret is too long for the keyring")
    _empty(backend, service, name, slot)
    for number, piece in enumerate(pieces):
        backend.set(_part(service, name, slot, number), name, piece)
    digest = sha256(text.encode()).hexdigest()
    _put_head(backend, service, name, f"{_MARK}1:{slot}:{len(pieces)}:{digest}", head)
    _empty(backend, service, name, "a" if slot == "b" else "b")


def delete_secret(backend: Backend, service: str, name: str) -> None:
    """Remove a secret and all parts, also those that an unfinished write left. Only one process at a time."""
    if not backend.replaces_at_once:
        backend.delete(_spare(service, name), name)
    backend.delete(service, name)
    for slot in "ab":
        _empty(backend, service, name, slot)


def _fits(secret: str) -> bool:
    """Whether it can be an item as it is. An empty text or a NUL does not survive everywhere."""
    return (
        0 < len(secret) <= PART_UNITS
        and secret.isprintable()
        and len(secret.encode("utf-16-le")) <= 2 * PART_UNITS
        and not secret.startswith(_MARK)
    )


def _head(backend: Backend, service: str, name: str) -> str | None:
    head = backend.get(service, name)
    if head is None and not backend.replaces_at_once:
        return backend.get(_spare(service, name), name)
    return head


def _put_head(backend: Backend, service: str, name: str, text: str, old: str | None) -> None:
    if backend.replaces_at_once or old is None:
        backend.set(service, name, text)
        return
    if backend.get(service, name) is None:
        backend.set(service, name, old)  # it is in the spare place only, which is written next
    backend.set(_spare(service, name), name, text)
    backend.set(service, name, text)
    backend.delete(_spare(service, name), name)


def _spare(service: str, name: str) -> str:
    return f"{service}/{name}#spare"


def _part(service: str, name: str, slot: str, number: int) -> str:
    """The service of a part. Each has its own: on Windows, the names of one service push each other away."""
    return f"{service}/{name}#{slot}{number}"


def _parse(head: str) -> _Parts | None:
    found = _HEAD.fullmatch(head)
    return _Parts(found[1], int(found[2]), found[3]) if found else None


def _join(backend: Backend, service: str, name: str, parts: _Parts) -> str | None:
    pieces = []
    for number in range(min(parts.pieces, MAX_PARTS)):
        piece = backend.get(_part(service, name, parts.slot, number), name)
        if piece is None:
            return None
        pieces.append(piece)
    text = "".join(pieces)
    if sha256(text.encode()).hexdigest() != parts.digest:
        return None
    return str(json.loads(text))


def _empty(backend: Backend, service: str, name: str, slot: str) -> None:
    """Delete the parts of a slot, the last one first, so that those that are left are always found."""
    end = 0
    while end < MAX_PARTS and backend.get(_part(service, name, slot, end), name) is not None:
        end += 1
    for number in reversed(range(end)):
        backend.delete(_part(service, name, slot, number), name)
