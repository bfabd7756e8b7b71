"""One attempt to connect a plugin: switch it on, try the credential, keep it, or leave all as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.auth import KEY
from registry.errors import JackfieldError
from registry.provider import ErrorKind, ProviderError
from registry.secret_store import StoreError, StoreFault, StoreKind
from tui.connection_text import plugin_title

if TYPE_CHECKING:
    from registry.auth import AuthMethod, Credential
    from registry.connections import Connection
    from registry.handle import PluginHandle
    from tui.host import Host

CHECK_LIMIT_S: Final = 30.0
"""How long a provider may take to say whether a credential is good, in seconds."""

_STORE_FAULTS = frozenset(
    {
        StoreFault.NO_BACKEND,
        StoreFault.LOCKED,
        StoreFault.TIMED_OUT,
        StoreFault.REFUSED,
        StoreFault.READ_ONLY,
    }
)
"""What another store may do better."""
_REFUSED = frozenset({ErrorKind.AUTH, ErrorKind.BAD_REQUEST})


@dataclass(frozen=True, slots=True)
class Connected:
    """What connecting gave."""

    plugin: str
    """The plugin's name; it is on now."""
    title: str
    """How people call it."""
    connection: Connection | None
    """The account; None when the key in the environment is used and nothing was stored."""


class Attempt:
    """Connects one plugin.

    Args:
        host: whose plugins and connections it is about.
        handle: the plugin, which may be off.
    """

    def __init__(self, host: Host, handle: PluginHandle) -> None:
        self._host = host
        self._handle = handle
        self._was_on = handle.contributes
        self.title = plugin_title(handle)

    async def check(self, credential: Credential) -> None:
        """Try a credential, with the plugin switched on for it.

        Raises:
            JackfieldError: it is no good, or that cannot be found out now; `is_refusal` tells which.
        """
        await self._switch_on()
        try:
            async with asyncio.timeout(CHECK_LIMIT_S):
                await self._host.connections.verify(self._handle.name, credential)
        except TimeoutError as error:
            raise ProviderError(
                ErrorKind.TIMEOUT,
                f"{self.title} did not answer within {CHECK_LIMIT_S:g} s",
                hint="Try again, or save without checking.",
            ) from error

    async def _switch_on(self) -> None:
        if not self._handle.contributes:
            await self._host.registry.enable(self._handle.name)

    async def keep(
        self,
        method: AuthMethod,
        credential: Credential,
        label: str,
        choose: Callable[[StoreError], Awaitable[StoreKind | None]],
        *,
        replaces: Connection | None = None,
    ) -> Connected | None:
        """Store a credential as a new account, or in the place of the one that an account had.

        Args:
            method: how the user signed in.
            credential: what that gave.
            label: what to call the account.
            choose: asks for another store when the chosen one cannot take it; what works is kept to from then
                on, but for this session's memory.
            replaces: the account that was signed in to again.

        Returns:
            What was connected; None when no store was chosen.

        Raises:
            JackfieldError: it cannot be stored.
        """
        stores = self._host.stores
        before = stores.chosen
        try:
            connection = await self._add(method, credential, label, replaces)
            while isinstance(connection, StoreError):
                chosen = await choose(connection)
                stores.chosen = chosen or before
                if chosen is StoreKind.ENVIRONMENT:
                    await self._host.keep_store(chosen)
                if chosen is None or chosen is StoreKind.ENVIRONMENT:
                    return None
                connection = await self._add(method, credential, label, replaces)
        except JackfieldError:
            stores.chosen = before
            raise
        if stores.chosen not in (before, StoreKind.SESSION):
            await self._host.keep_store(stores.chosen)
        await self.settle()
        return Connected(self._handle.name, self.title, connection)

    async def _add(
        self, method: AuthMethod, credential: Credential, label: str, replaces: Connection | None
    ) -> Connection | StoreError:
        connections = self._host.connections
        try:
            if replaces is not None:
                return await connections.sign_in_again(replaces.plugin, replaces.label, credential)
            return await connections.add(self._handle.name, method, credential, label=label)
        except StoreError as error:
            if error.fault not in _STORE_FAULTS:
                raise
            return error

    async def settle(self) -> Connected:
        """Have the plugin on from now on.

        Raises:
            JackfieldError: the configuration cannot be written; the plugin is on for this run.
        """
        if not self._was_on:
            await self._host.switch_plugin(self._handle, on=True)
            self._was_on = True
        return Connected(self._handle.name, self.title, None)

    async def leave(self) -> None:
        """Switch the plugin off again, if it was off before."""
        if not self._was_on and self._handle.contributes:
            await self._host.registry.disable(self._handle.name)


def is_refusal(error: JackfieldError) -> bool:
    """Whether it says that the credential is no good, so that saving it would be of no use."""
    return isinstance(error, ProviderError) and error.kind in _REFUSED


def is_key_alone(credential: Credential) -> bool:
    """Whether it is a key and nothing beside it, so that the variable that holds the key is enough."""
    return set(credential.secrets) == {KEY} and not credential.values
