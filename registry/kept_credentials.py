"""The credentials of connections: in their secret stores, and in memory while the app runs.

Reading an OS keyring takes some 30 ms, which a turn should not wait for. What is in memory counts as long as
connections.toml names the revision that it had, so what another instance wrote is read anew.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeAlias

from registry.connection import Connection
from registry.provider import ErrorKind, ProviderError

if TYPE_CHECKING:
    from registry.auth import Credential
    from registry.secret_store import SecretStore, SecretStores

_Key: TypeAlias = tuple[str, str]
_logger = logging.getLogger("jackfield.connections")


class SignInNeededError(ProviderError):
    """A connection is of no use before the user signs in again.

    Args:
        connection: which one.
        cause: why, in one sentence.
    """

    def __init__(self, connection: Connection, cause: str) -> None:
        super().__init__(
            ErrorKind.AUTH,
            f"You are no longer signed in to {connection.title}",
            detail=cause,
            hint="Sign in again in the connections screen, or with "
            f"`jackfield auth login {connection.plugin}`.",
        )
        self.connection = connection


class KeptCredentials:
    """Reads and writes the credentials of connections.

    Args:
        stores: where secrets are kept.
    """

    def __init__(self, stores: SecretStores) -> None:
        self._stores = stores
        self._cached: dict[_Key, tuple[str, Credential]] = {}
        self._held: dict[_Key, tuple[Connection, Credential]] = {}

    def cached(self, connection: Connection) -> Credential | None:
        """The credential, if it is in memory and nobody has written another one since."""
        revision, credential = self._cached.get(_key(connection), ("", None))
        return credential if revision == connection.revision else None

    async def read(self, connection: Connection) -> Credential:
        """The credential as its store has it now.

        Raises:
            SignInNeededError: the store has no such credential, or a damaged one.
            StoreError: the store cannot be read.
        """
        if (held := await self._write_held(connection)) is not None:
            return held
        from registry.auth import Credential  # pydantic, which only who has signed in pays for

        store = await self.store(connection)
        text = await store.get(service(connection.plugin), connection.label)
        if text is None:
            raise SignInNeededError(connection, "The secret store has nothing for it.")
        try:
            credential = Credential.from_json(text)
        except ValueError:
            raise SignInNeededError(
                connection, "What the secret store has for it is damaged."
            ) from None  # which would show what is in there
        return self.remember(connection, credential)

    async def write(self, connection: Connection, credential: Credential) -> None:
        """Put a credential into the store of its connection.

        Raises:
            StoreError: it is not in the store.
        """
        store = await self.store(connection)
        await store.set(service(connection.plugin), connection.label, credential.to_json())

    async def delete(self, connection: Connection) -> None:
        """Take a credential out of memory and out of its store; one that is not there is fine.

        Raises:
            StoreError: it may still be in the store.
        """
        self.forget(connection)
        store = await self.store(connection)
        await store.delete(service(connection.plugin), connection.label)

    async def store(self, connection: Connection) -> SecretStore:
        """Where the secrets of this connection are; may ask the user for a passphrase.

        Raises:
            StoreError: it cannot be used.
        """
        return await self._stores.store(connection.store)

    def remember(self, connection: Connection, credential: Credential) -> Credential:
        """Keep a credential in memory for as long as the connection has this revision; gives it, labelled."""
        labelled = credential.model_copy(update={"connection": connection.label})
        self._cached[_key(connection)] = (connection.revision, labelled)
        return labelled

    def forget(self, connection: Connection) -> None:
        """Have a credential in memory no longer."""
        self._cached.pop(_key(connection), None)
        self._held.pop(_key(connection), None)

    def hold(self, connection: Connection, credential: Credential) -> Credential:
        """Keep a credential that could not be written; `read` writes it once its store answers again."""
        self._held[_key(connection)] = (connection, credential)
        return self.remember(connection, credential)

    @property
    def held(self) -> tuple[Connection, ...]:
        """The connections whose newest credential is in memory only."""
        return tuple(connection for connection, _ in self._held.values())

    async def _write_held(self, connection: Connection) -> Credential | None:
        then, credential = self._held.get(_key(connection), (None, None))
        if then is None or credential is None:
            return None
        if then.revision != connection.revision:  # somebody has signed in again meanwhile
            self.forget(connection)
            return None
        from registry.secret_store import StoreError

        try:
            await self.write(connection, credential)
        except StoreError as error:
            _logger.warning("a renewed credential is still not stored: %s", error.title)
        else:
            del self._held[_key(connection)]
        return self.remember(connection, credential)


def service(plugin: str) -> str:
    """The name under which a store has the secrets of a plugin."""
    return f"jackfield:{plugin}"


def _key(connection: Connection) -> _Key:
    return connection.plugin, connection.label
