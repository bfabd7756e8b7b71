"""Secrets as items of the system's keyring."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from registry.keyring_backend import Backend
from registry.keyring_items import delete_secret, read_secret, write_secret
from registry.keyring_worker import LIMIT_S, KeyringWorker, shared_worker
from registry.secret_contract import StoreError, StoreKind

_SHARE_OF_WAITING: Final = 0.6
"""How much of its time a change waits at most for another Jackfield that is writing."""


class KeyringStore:
    """Keeps each secret as an item of the system's keyring: under its service, with its name.

    It can be used from any event loop, which it never stops, and never keeps the process from ending.

    Args:
        lock: a file that need not exist; of the processes that name it, one writes at a time.
        limit_s: how long each call may take, in seconds.
        worker: the thread that calls the keyring; the one of the process by default.
    """

    def __init__(self, lock: Path, *, limit_s: float = LIMIT_S, worker: KeyringWorker | None = None) -> None:
        self._lock = lock
        self._limit_s = limit_s
        self._worker = worker or shared_worker()

    @property
    def kind(self) -> StoreKind:
        """Always `KEYRING`."""
        return StoreKind.KEYRING

    async def get(self, service: str, name: str) -> str | None:
        """The secret; None if there is none.

        Raises:
            StoreError: the keyring did not give it.
        """
        return await self._worker.call(
            lambda backend: read_secret(backend, service, name), limit_s=self._limit_s
        )

    async def set(self, service: str, name: str, secret: str) -> None:
        """Keep a secret, in the place of the one that was there.

        Raises:
            StoreError: the keyring did not take it. The one that was there still is, unless the fault is
                `TIMED_OUT`: then it is there, or the new one is.
        """

        def write(backend: Backend) -> None:
            from registry.atomic import locked

            with locked(self._lock, _SHARE_OF_WAITING * self._limit_s):
                write_secret(backend, service, name, secret)

        await self._worker.call(write, limit_s=self._limit_s)

    async def delete(self, service: str, name: str) -> None:
        """Remove a secret; nothing happens if there is none.

        Raises:
            StoreError: the keyring did not remove it.
        """

        def remove(backend: Backend) -> None:
            from registry.atomic import locked

            with locked(self._lock, _SHARE_OF_WAITING * self._limit_s):
                delete_secret(backend, service, name)

        await self._worker.call(remove, limit_s=self._limit_s)


@dataclass(frozen=True, slots=True)
class KeyringReport:
    """What a test of the keyring found."""

    usable: bool
    """Whether secrets can be kept there."""
    backend: str
    """The keyring's class, such as `keyring.backends.SecretService.Keyring`; empty if there is none."""
    problem: str
    """What is wrong, in words for people, in one line or two; empty if nothing is."""
    hint: str
    """What the user can do about it."""
    round_trip: bool
    """Whether an item was written, read and removed."""


async def check_keyring(*, limit_s: float = LIMIT_S, worker: KeyringWorker | None = None) -> KeyringReport:
    """Find the keyring, and write, read and remove an item of random name and content.

    Never raises a `StoreError`: it is what the report tells.

    Args:
        limit_s: how long the keyring may take, in seconds.
        worker: the thread that calls the keyring; the one of the process by default.
    """
    found: list[str] = []

    def check(backend: Backend) -> bool:
        found.append(backend.name)
        return _round_trip(backend)

    try:
        same = await (worker or shared_worker()).call(check, limit_s=limit_s)
    except StoreError as error:
        problem = "\n".join(part for part in (error.title, error.detail) if part)
        return KeyringReport(False, "".join(found), problem, error.hint, False)
    if same:
        return KeyringReport(True, found[0], "", "", True)
    problem = "The keyring did not give back what was written."
    hint = 'Choose another place for secrets: `store = "file"` in the table `[secrets]` of config.toml.'
    return KeyringReport(False, found[0], problem, hint, False)


def _round_trip(backend: Backend) -> bool:
    service, name, secret = "jackfield:doctor", secrets.token_hex(8), secrets.token_urlsafe(24)
    try:
        backend.set(service, name, secret)
        same = backend.get(service, name) == secret
    finally:
        backend.delete(service, name)
    return same and backend.get(service, name) is None
