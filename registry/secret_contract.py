"""What every place for secrets promises, and how it says that it cannot keep the promise."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from registry.errors import JackfieldError


class StoreKind(StrEnum):
    """Where secrets are kept."""

    KEYRING = "keyring"
    """Items of the system's own keyring."""
    FILE = "file"
    """A file that a passphrase encrypts."""
    SESSION = "session"
    """Memory, until the app ends."""
    ENVIRONMENT = "environment"
    """Nowhere: credentials come from environment variables only."""


class StoreFault(StrEnum):
    """Why a store did not do what it was asked to."""

    NO_BACKEND = "no backend"
    """There is no keyring of the system."""
    LOCKED = "locked"
    """The keyring is locked, and nobody unlocked it."""
    TIMED_OUT = "timed out"
    """There was no answer in time. Whether something was written is not known."""
    REFUSED = "refused"
    """The store answered with an error."""
    WRONG_PASSPHRASE = "wrong passphrase"  # noqa: S105  # the name of a fault
    NO_PASSPHRASE = "no passphrase"  # noqa: S105  # the name of a fault
    DAMAGED = "damaged"
    """What is stored is not what was written."""
    READ_ONLY = "read only"
    """Nothing can be written there."""


class StoreError(JackfieldError):
    """A secret could not be read or written. No text of it holds the secret.

    Args:
        fault: what kind of failure it is, for those who can do something about it.
        title: what happened, in one short line.
        detail: the cause, as far as it is known.
        hint: what the user can do next.
    """

    def __init__(self, fault: StoreFault, title: str, *, detail: str = "", hint: str = "") -> None:
        super().__init__(title, detail=detail, hint=hint)
        self.fault = fault


class SecretStore(Protocol):
    """Keeps secrets by a service, such as `jackfield:openai`, and a name within it."""

    @property
    def kind(self) -> StoreKind:
        """Which kind of store it is."""
        ...

    async def get(self, service: str, name: str) -> str | None:
        """The secret; None if there is none.

        Raises:
            StoreError: it cannot be read.
        """
        ...

    async def set(self, service: str, name: str, secret: str) -> None:
        """Keep a secret, in the place of the one that was there.

        Raises:
            StoreError: it cannot be written. The one that was there still is, unless the fault is
                `TIMED_OUT`: then it is there, or the new one is.
        """
        ...

    async def delete(self, service: str, name: str) -> None:
        """Remove a secret; nothing happens if there is none.

        Raises:
            StoreError: it cannot be removed.
        """
        ...
