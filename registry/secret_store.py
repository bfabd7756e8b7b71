"""Where secrets are kept: in the system's keyring, or where the user chose. Never in plain on a disk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from registry.paths import Paths
from registry.secret_contract import SecretStore, StoreError, StoreFault, StoreKind

if TYPE_CHECKING:
    from registry.encrypted_file_store import EncryptedFileStore

__all__ = [
    "PASSPHRASE_VARIABLE",
    "AskPassphrase",
    "EnvironmentStore",
    "SecretStore",
    "SecretStores",
    "SessionStore",
    "StoreError",
    "StoreFault",
    "StoreKind",
]

PASSPHRASE_VARIABLE: Final = "JACKFIELD_PASSPHRASE"  # noqa: S105  # the name of a variable
"""The environment variable that holds the passphrase of the encrypted file."""

AskPassphrase: TypeAlias = Callable[[bool], Awaitable[str | None]]
"""Asks the user for the passphrase; True: for a new one, as there is no file yet. None: they gave none."""


class SecretStores:
    """The stores of this process, each made when it is first needed.

    Args:
        paths: where the encrypted file is, and the lock of those who write to the keyring.
        chosen: the store that new secrets go to.
        ask_passphrase: asks the user for the passphrase of the encrypted file. Without it, only
            the environment variable `JACKFIELD_PASSPHRASE` gives one.
        env: the environment variables.
    """

    def __init__(
        self,
        paths: Paths,
        chosen: StoreKind,
        ask_passphrase: AskPassphrase | None = None,
        *,
        env: Mapping[str, str] = os.environ,
    ) -> None:
        self.chosen = chosen
        """The store that new secrets go to."""
        self._paths = paths
        self._ask_passphrase = ask_passphrase
        self._env = env
        self._made: dict[StoreKind, SecretStore] = {}
        self._asking = asyncio.Lock()

    @property
    def file(self) -> Path:
        """The encrypted file, which need not exist."""
        return self._paths.data / "secrets.encrypted"

    async def store(self, kind: StoreKind) -> SecretStore:
        """The store of a kind. For the encrypted file, the user may be asked for the passphrase.

        Raises:
            StoreError: the passphrase is missing or wrong, or the encrypted file cannot be read.
        """
        if kind is StoreKind.FILE:
            async with self._asking:  # two that need it ask once
                return self._made.get(kind) or await self._open_file()
        return self._made.get(kind) or self._make(kind)

    def _make(self, kind: StoreKind) -> SecretStore:
        made: SecretStore
        match kind:
            case StoreKind.KEYRING:
                from registry.keyring_store import KeyringStore  # only those who chose it need it

                made = KeyringStore(self._paths.data / "keyring")
            case StoreKind.SESSION:
                made = SessionStore()
            case _:
                made = EnvironmentStore()
        self._made[kind] = made
        return made

    async def _open_file(self) -> EncryptedFileStore:
        from registry.encrypted_file_store import EncryptedFileStore  # only those who chose it need it

        new = not await asyncio.to_thread(self.file.exists)
        store = EncryptedFileStore(self.file, await self._passphrase(new=new))
        try:
            await store.unlock()
        except StoreError as error:
            if error.fault is StoreFault.WRONG_PASSPHRASE and self._env.get(PASSPHRASE_VARIABLE):
                error.hint = f"Correct or unset {PASSPHRASE_VARIABLE}."
            raise
        self._made[StoreKind.FILE] = store
        return store

    async def _passphrase(self, *, new: bool) -> str:
        passphrase = self._env.get(PASSPHRASE_VARIABLE)
        if not passphrase and self._ask_passphrase is not None:
            passphrase = await self._ask_passphrase(new)
        if not passphrase:
            raise StoreError(
                StoreFault.NO_PASSPHRASE,
                "The encrypted file has no passphrase" if new else "The encrypted file is locked",
                hint=f"Give its passphrase, or set {PASSPHRASE_VARIABLE}.",
            )
        return passphrase


class SessionStore:
    """Keeps secrets in memory, until the app ends."""

    def __init__(self) -> None:
        self._secrets: dict[tuple[str, str], str] = {}

    @property
    def kind(self) -> StoreKind:
        """Always `SESSION`."""
        return StoreKind.SESSION

    async def get(self, service: str, name: str) -> str | None:
        """The secret; None if there is none."""
        return self._secrets.get((service, name))

    async def set(self, service: str, name: str, secret: str) -> None:
        """Keep a secret, in the place of the one that was there."""
        self._secrets[service, name] = secret

    async def delete(self, service: str, name: str) -> None:
        """Remove a secret; nothing happens if there is none."""
        self._secrets.pop((service, name), None)


class EnvironmentStore:
    """Keeps nothing: who chose it has the credentials in environment variables."""

    @property
    def kind(self) -> StoreKind:
        """Always `ENVIRONMENT`."""
        return StoreKind.ENVIRONMENT

    async def get(self, service: str, name: str) -> str | None:
        """None: the variables are read where a credential is resolved."""
        return None

    async def set(self, service: str, name: str, secret: str) -> None:
        """Refuse.

        Raises:
            StoreError: always, with the fault `READ_ONLY`.
        """
        raise StoreError(
            StoreFault.READ_ONLY,
            "Secrets come from environment variables only",
            detail="That is what was chosen as the place for secrets, and nothing can be written there.",
            hint="Set the variable of the provider, or choose another place: `store` in the table [secrets].",
        )

    async def delete(self, service: str, name: str) -> None:
        """Nothing: there is never anything to remove."""
