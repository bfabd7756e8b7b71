"""One plugin as the registry holds it: its state, and everything that has to end when it is switched off."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from registry.errors import JackfieldError, PluginError
from registry.loading import load_plugin
from registry.manifest import Manifest
from registry.plugin import Plugin, PluginContext
from registry.text import safe_text
from registry.threads import call_with_limit

if TYPE_CHECKING:
    from registry.command import Command
    from registry.provider import Provider

_T = TypeVar("_T")

LOAD_LIMIT_S = 20.0
"""How long importing and initialising a plugin may take, in seconds."""
CLOSE_LIMIT_S = 3.0
"""How long each thing that a plugin asked to close may take, in seconds."""


class PluginState(StrEnum):
    """Where a plugin stands."""

    AVAILABLE = "available"
    """Offered by a marketplace, not installed."""
    INSTALLED = "installed"
    """Here, and off."""
    NEEDS_REVIEW = "needs_review"
    """On, but not before the user agreed to what it asks for."""
    ENABLED = "enabled"
    """On; its code has not been needed yet."""
    ACTIVE = "active"
    """On, and its code runs."""
    FAILED = "failed"
    """On with a failure remembered, or so broken that it cannot be on at all."""
    AUTO_DISABLED = "auto_disabled"
    """Switched off by the app, for the reason that is kept."""
    REVOKED = "revoked"
    """Withdrawn by its marketplace."""


class PluginHandle:
    """One registered plugin. The registry makes handles; everyone else reads them."""

    def __init__(
        self,
        manifest: Manifest | Mapping[str, Any],
        *,
        data_folder: Path,
        options: Mapping[str, object],
        plugin: Plugin | None = None,
    ) -> None:
        self._manifest = manifest
        self.name: str = manifest.name if isinstance(manifest, Manifest) else manifest["name"]
        self.state = PluginState.INSTALLED
        self.reason = ""
        """Why it failed or was switched off; empty when all is well."""
        self.failures = 0
        self.order = 0
        """Its place among all plugins, from 1: the order in which hooks run and contributions are listed."""
        self._data_folder = data_folder
        self._options = options
        self._given = plugin
        self._loaded: Plugin | None = None
        self._loading: asyncio.Task[Plugin] | None = None
        self._closers: list[Callable[[], object]] = []
        self._providers: dict[str, Provider] | None = None
        self._commands: dict[str, Command] | None = None

    @property
    def manifest(self) -> Manifest:
        """What is known of the plugin; decoded when first asked for."""
        if not isinstance(self._manifest, Manifest):
            self._manifest = Manifest.from_json(self._manifest)
        return self._manifest

    @property
    def publisher(self) -> str:
        """Who made it; known without decoding the manifest."""
        return (
            self._manifest.publisher if isinstance(self._manifest, Manifest) else self._manifest["publisher"]
        )

    @property
    def contributes(self) -> bool:
        """Whether its providers, commands and hooks count now."""
        return self.state in (PluginState.ENABLED, PluginState.ACTIVE) or (
            self.state is PluginState.FAILED and self.failures > 0
        )

    @property
    def plugin(self) -> Plugin | None:
        """The plugin object, if its code has been loaded."""
        return self._loaded

    async def load(self) -> Plugin:
        """The plugin object; imported and initialised on first use, in a thread.

        Raises:
            PluginError: it is off, or it cannot be loaded; its state then says why.
        """
        if self._loaded is not None:
            return self._loaded
        if not self.contributes:
            raise PluginError(f"The plugin {self.name} is off", hint="Switch it on in the plugins screen.")
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(), name=f"load {self.name}")
        loading = self._loading
        try:
            return await asyncio.shield(loading)
        finally:
            if loading.done() and self._loading is loading:
                self._loading = None

    async def _load(self) -> Plugin:
        try:
            plugin = await call_with_limit(self._make, limit_s=LOAD_LIMIT_S, name=f"load {self.name}")
        except TimeoutError as error:
            raise PluginError(
                f"The plugin {self.name} did not start within {LOAD_LIMIT_S:g} s",
                hint="Switch it on again to retry, or tell its author.",
            ) from error
        except JackfieldError:
            raise
        except Exception as error:
            raise PluginError(
                f"The plugin {self.name} could not be loaded",
                detail=safe_text(f"{type(error).__name__}: {error}", limit=2000),
                hint="Switch it on again to retry, or tell its author.",
            ) from error
        self._loaded = plugin
        if self.state is PluginState.ENABLED:
            self.state = PluginState.ACTIVE
        return plugin

    def _make(self) -> Plugin:
        plugin = self._given or load_plugin(self.manifest.entry_point)
        plugin.on_init(
            PluginContext(
                self.name,
                self._options,
                self._data_folder,
                logging.getLogger(f"jackfield.{self.name}"),
                self._closers,
            )
        )
        return plugin

    async def provider(self, name: str) -> Provider:
        """The provider of this name.

        Raises:
            PluginError: the plugin cannot be loaded, or no longer has that provider.
        """
        plugin = await self.load()
        if self._providers is None:
            self._providers = {
                provider.name: provider for provider in self._ask("providers", plugin.providers)
            }
        return _pick(self._providers, name, self.name, "provider")

    async def command(self, name: str) -> Command:
        """The command of this name.

        Raises:
            PluginError: the plugin cannot be loaded, or no longer has that command.
        """
        plugin = await self.load()
        if self._commands is None:
            self._commands = {command.name: command for command in self._ask("commands", plugin.commands)}
        return _pick(self._commands, name, self.name, "command")

    def _ask(self, method: str, call: Callable[[], Any]) -> Any:
        try:
            return list(call())
        except Exception as error:
            raise PluginError(
                f"The plugin {self.name} failed in {method}()",
                detail=safe_text(f"{type(error).__name__}: {error}", limit=2000),
                hint="Switch it off, or tell its author.",
            ) from error

    async def close(self) -> None:
        """Let go of everything the plugin holds. It can be loaded again afterwards."""
        if self._loading is not None:
            self._loading.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._loading
            self._loading = None
        closers: list[Callable[[], object]] = [
            provider.aclose for provider in (self._providers or {}).values()
        ]
        closers += reversed(self._closers)
        self._closers = []
        self._providers = self._commands = self._loaded = None
        for close in closers:
            await self._close_one(close)

    async def _close_one(self, close: Callable[[], object]) -> None:
        try:
            result = close() if inspect.iscoroutinefunction(close) else await _call_plain(close, self.name)
            if inspect.isawaitable(result):
                async with asyncio.timeout(CLOSE_LIMIT_S):
                    await _as_coroutine(result)
        except Exception as error:  # noqa: BLE001 - the border to a plugin's code: the rest is closed all the same
            self.reason = safe_text(f"It did not close well: {type(error).__name__}: {error}", limit=500)

    def renew(self, manifest: Manifest, plugin: Plugin | None) -> None:
        """Take a fresh manifest, and a fresh object if the plugin was registered as one."""
        self._manifest = manifest
        self._given = plugin

    def set_options(self, options: Mapping[str, object]) -> None:
        """The options that the plugin is given when it is loaded next."""
        self._options = options

    @property
    def given(self) -> Plugin | None:
        """The object that was registered, for a plugin that has no entry point."""
        return self._given


async def _call_plain(close: Callable[[], object], name: str) -> object:
    return await call_with_limit(close, limit_s=CLOSE_LIMIT_S, name=f"close {name}")


async def _as_coroutine(awaitable: Awaitable[object]) -> object:
    return await awaitable


def _pick(found: Mapping[str, _T], name: str, plugin: str, what: str) -> _T:
    if name not in found:
        raise PluginError(
            f"The plugin {plugin} no longer has the {what} {name}",
            hint="Reload the plugin in the plugins screen.",
        )
    return found[name]
