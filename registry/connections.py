"""The accounts that are signed in, and what a provider signs in with.

A credential is looked for in this order, everywhere:

1. the connection that the user named, of the provider's plugin; when it is not there, that is an error;
2. the active connection of the plugin; when it needs a new sign-in, that is an error too, since nobody would
   notice that another account is used;
3. the environment variables that an `ApiKey` of the plugin names, the first that is set.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from registry.connection import Connection, check_label, find
from registry.connection_changes import ConnectionChanges, SignOut, no_connection
from registry.connection_file import ConnectionFile
from registry.contract import explain, is_plugin_name, line
from registry.errors import JackfieldError, PluginError
from registry.kept_credentials import KeptCredentials, SignInNeededError
from registry.paths import Paths
from registry.plugin import Plugin, verifies
from registry.provider import Model, ProviderError
from registry.refreshing import Refresher
from registry.registry import PluginRegistry
from registry.single_flight import SingleFlight
from registry.threads import call_with_limit

if TYPE_CHECKING:
    import httpx

    from registry.auth import AuthMethod, Credential
    from registry.secret_store import SecretStores

DEFAULT_LABEL: Final = "default"
"""What a connection is called when the user did not name it."""
CLOSE_LIMIT_S: Final = 5.0
"""How long the end of the app waits for a credential that is being renewed or stored, in seconds."""

__all__ = [
    "Connection",
    "Connections",
    "SignInNeededError",
    "SignOut",
    "key_variables",
]


class Connections:
    """The connections of all plugins.

    Every change is written down before the method returns, and is made to its end even when its caller is
    cancelled. Several instances may do all of this at once.

    Args:
        registry: who knows which plugin has a provider, and its auth methods.
        paths: where the list of connections is.
        stores: where secrets are kept; a new connection goes to the chosen one.
        env: where keys may be.
        clock: the time in Unix seconds.
        http: makes a client; `registry.http.create_client` when None.
        complain: shows the user what is wrong and has no other place; it is logged when None.
    """

    def __init__(
        self,
        registry: PluginRegistry,
        paths: Paths,
        stores: SecretStores,
        *,
        env: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
        http: Callable[..., httpx.AsyncClient] | None = None,
        complain: Callable[[JackfieldError], None] | None = None,
    ) -> None:
        self._registry = registry
        self._stores = stores
        self._env = env
        self._clock = clock
        self._http = http
        complain = complain or _log
        self._file = ConnectionFile(paths.data / "connections.toml", complain)
        self._kept = KeptCredentials(stores)
        self._work = SingleFlight()
        self._refresher = Refresher(
            self._file, self._kept, paths.data / "locks", self.client, clock=clock, complain=complain
        )
        self._changes = ConnectionChanges(
            self._file, self._kept, self._refresher.lock, self.client, clock=clock, complain=complain
        )

    async def all(self, plugin: str | None = None) -> tuple[Connection, ...]:
        """The connections of one plugin or of all, in the order of adding. No secret is read."""
        now = self._clock()
        found = (entry for entry in await self._file.read() if plugin is None or entry.plugin == plugin)
        return tuple(
            replace(entry, needs_sign_in="It has expired, and cannot be renewed.")
            if entry.lapsed(now) and not entry.needs_sign_in
            else entry
            for entry in found
        )

    async def add(
        self, plugin: str, method: AuthMethod, credential: Credential, *, label: str = ""
    ) -> Connection:
        """Keep a credential as a new connection, which becomes the active one of its plugin.

        Args:
            plugin: the plugin's name.
            method: how the user signed in.
            credential: what that gave.
            label: what to call it; a number is put after one that is taken.

        Raises:
            JackfieldError: the label cannot be used, or the list cannot be written; nothing was kept.
            StoreError: the chosen store does not take the secret; nothing was kept.
        """
        if not is_plugin_name(plugin):
            raise _no_plugin(plugin)
        blank = Connection(
            plugin,
            method.name,
            method.type,
            check_label(label or DEFAULT_LABEL),
            active=True,
            created_at=self._clock(),
            expires_at=None,
            store=self._stores.chosen,
        )
        return await self._work.undisturbed(self._changes.add(blank, credential))

    async def sign_in_again(
        self, plugin: str, label: str, credential: Credential, *, method: AuthMethod | None = None
    ) -> Connection:
        """Put a new credential in place of a connection's old one, in the chosen store.

        Args:
            plugin: the plugin's name.
            label: the connection's label.
            credential: what signing in gave.
            method: how the user signed in; None: as before.

        Raises:
            JackfieldError: there is no such connection, or the list cannot be written.
            StoreError: the chosen store does not take the secret; the old one is still there.
        """
        known = await self._changes.existing(plugin, label)
        wanted = replace(known, store=self._stores.chosen)
        if method is not None:
            wanted = replace(wanted, method=method.name, type=method.type)
        return await self._work.undisturbed(self._changes.sign_in_again(wanted, credential))

    async def rename(self, plugin: str, label: str, new: str) -> Connection:
        """Give a connection another label.

        The secret is written under the new name before the list is changed, and deleted under the old one
        after that, so that whatever stops this leaves a connection that works.

        Raises:
            JackfieldError: there is no such connection, the label cannot be used or is taken.
            StoreError: the secret cannot be moved.
        """
        return await self._work.undisturbed(self._changes.rename(plugin, label, check_label(new)))

    async def use(self, plugin: str, label: str) -> Connection:
        """Make a connection the active one of its plugin.

        Raises:
            JackfieldError: there is no such connection, or the list cannot be written.
        """
        return await self._work.undisturbed(self._changes.use(plugin, label))

    async def sign_out(self, plugin: str, label: str) -> SignOut:
        """End a connection: at the server where it has an endpoint for that (RFC 7009), and here.

        When the server cannot be reached, the secret is deleted all the same. If the connection was the
        active one, the latest of the others takes its place.

        Raises:
            JackfieldError: there is no such connection, or the list cannot be written.
            StoreError: the secret cannot be deleted; the connection is still there.
        """
        return await self._work.undisturbed(self._changes.sign_out(plugin, label))

    async def forget_plugin(self, plugin: str) -> tuple[SignOut, ...]:
        """Sign out of every connection of a plugin, because it is being uninstalled; all secrets go.

        Raises:
            JackfieldError: the list cannot be written.
            StoreError: a secret cannot be deleted; its connection is still there, and no other.
        """
        gone: list[SignOut] = []
        problem: JackfieldError | None = None
        for entry in await self.all(plugin):
            try:
                gone.append(await self.sign_out(plugin, entry.label))
            except JackfieldError as error:
                problem = problem or error
        if problem is not None:
            raise problem
        return tuple(gone)

    async def resolve(self, provider: str, *, connection: str | None = None) -> Credential | None:
        """The credential for a provider, renewed if it is about to expire; None when there is none.

        Args:
            provider: the provider's name.
            connection: the label of the connection to use; None leaves it to the order of resolution.

        Raises:
            JackfieldError: the named connection is not there.
            SignInNeededError: the user has to sign in again.
            ProviderError: it has expired, and cannot be renewed now.
            StoreError: the secret cannot be read.
        """
        plugin = self._plugin_of(provider)
        if plugin is None:
            return None
        entries = await self.all(plugin)
        if connection is not None:
            chosen = find(entries, plugin, connection)
            if chosen is None:
                raise no_connection(plugin, connection, entries)
        else:
            chosen = next((entry for entry in entries if entry.active), None)
        if chosen is None:
            return self._from_environment(plugin)
        if chosen.needs_sign_in:
            raise SignInNeededError(chosen, chosen.needs_sign_in)
        return await self._refresher.current(chosen)

    async def renew(self, provider: str, rejected: Credential) -> Credential | None:
        """Another credential in place of one that a server refused; None where there is nothing to renew.

        Keys, and what comes from the environment, are never renewed.

        Raises:
            SignInNeededError: the user has to sign in again.
            ProviderError: it cannot be renewed now.
            StoreError: the secret cannot be read.
        """
        plugin = self._plugin_of(provider)
        if plugin is None or not rejected.connection:
            return None
        entry = find(await self._file.read(), plugin, rejected.connection)
        return None if entry is None else await self._refresher.replace_rejected(entry, rejected)

    def environment_key(self, plugin: str) -> str | None:
        """The name of the environment variable that holds a key for this plugin, if one is set."""
        methods = [entry.data for entry in self._registry.auth_methods() if entry.plugin == plugin]
        return next((name for name in key_variables(methods) if self._env.get(name, "").strip()), None)

    def _from_environment(self, plugin: str) -> Credential | None:
        variable = self.environment_key(plugin)
        if variable is None:
            return None
        from pydantic import SecretStr  # only where somebody signed in

        from registry.auth import Credential

        return Credential(secrets={"key": SecretStr(self._env[variable].strip())})

    def _plugin_of(self, provider: str) -> str | None:
        return next((entry.plugin for entry in self._registry.providers() if entry.name == provider), None)

    async def verify(self, plugin: str, credential: Credential) -> list[Model]:
        """Try a credential before it is kept: the plugin's own check, then a list of its models.

        Raises:
            ProviderError: it is no good, or the server cannot be asked.
            PluginError: the plugin is off, cannot be loaded, or failed.
        """
        from registry.models import models_of

        loaded = await self._registry.plugin(self._registry.handle(plugin))
        if verifies(loaded):
            await _call_verify(loaded, credential)
        models: list[Model] = []
        for entry in self._registry.providers():
            if entry.plugin == plugin:
                provider = await self._registry.provider(entry.name)
                models += await models_of(provider, entry, credential)
        return models

    async def client(self, plugin: str) -> httpx.AsyncClient:
        """A client for the servers where a plugin's users sign in; whoever asks for it closes it.

        The options `ca_bundle` and `proxy` of the plugin are heeded.

        Raises:
            ConfigError: one of these options cannot be used.
        """
        known = (handle for handle in self._registry.handles() if handle.name == plugin)
        options = next((handle.options for handle in known), {})
        given = {name: options.get(name) for name in ("ca_bundle", "proxy")}
        texts: dict[str, Any] = {name: value for name, value in given.items() if isinstance(value, str)}

        def make() -> httpx.AsyncClient:
            from registry.http import create_client

            return (self._http or create_client)(**texts)

        # reading the certificates would hold up the event loop for 90 ms
        return await call_with_limit(make, limit_s=30, name="make an HTTP client")

    async def aclose(self) -> None:
        """Let what is under way end, and forget every secret; called once."""
        await self._work.aclose(CLOSE_LIMIT_S)
        await self._refresher.aclose(CLOSE_LIMIT_S)


async def _call_verify(plugin: Plugin, credential: Credential) -> None:
    try:
        await plugin.verify(credential)
    except ProviderError:
        raise
    except Exception as error:
        raise PluginError(
            f"{plugin.name} failed to check the sign-in",
            detail=explain(error),
            hint="Switch its plugin off, or tell its author.",
        ) from error


def key_variables(methods: Sequence[Mapping[str, Any]]) -> list[str]:
    """The environment variables that may hold a key, in order."""
    found: list[str] = []
    for method in methods:
        names = method.get("env") if method.get("type") == "api_key" else ()
        found += [name for name in names or () if isinstance(name, str)]
    return found


def _no_plugin(name: str) -> JackfieldError:
    return JackfieldError(
        f"There is no plugin named {line(name)}", hint="`jackfield plugins list` shows all of them."
    )


def _log(problem: JackfieldError) -> None:
    logging.getLogger("jackfield.connections").warning("%s", problem)
