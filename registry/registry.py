"""The plugin registry: knows every plugin and its state, and answers what they contribute now."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from registry.errors import JackfieldError, PluginError
from registry.handle import PluginHandle, PluginState
from registry.hooks import HookRunner
from registry.loading import forget_module
from registry.manifest import (
    AuthMethodEntry,
    CommandEntry,
    Manifest,
    ProviderEntry,
    broken,
    describe,
)
from registry.paths import Paths
from registry.plugin import Plugin
from registry.text import safe_text
from registry.threads import call_with_limit

if TYPE_CHECKING:
    from registry.command import Command
    from registry.provider import Provider

FAILURES_ALLOWED = 2
"""This many failures of one hook within `FAILURE_WINDOW_S` switch its plugin off."""
FAILURE_WINDOW_S = 300.0

_T = TypeVar("_T")
_Entry = TypeVar("_Entry", ProviderEntry, CommandEntry)


class PluginRegistry:
    """All plugins, in a fixed order: those of the app first, then the others, each group by name.

    Args:
        paths: where plugins keep their data.
        options: options of each plugin by its name, as config.toml has them.
        clock: seconds that only grow; for tests.
    """

    def __init__(
        self,
        paths: Paths,
        *,
        options: Mapping[str, Mapping[str, object]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths = paths
        self._options = dict(options or {})
        self._clock = clock
        self._handles: list[PluginHandle] = []
        self._locks: dict[str, asyncio.Lock] = {}
        self._failure_times: dict[tuple[str, str], deque[float]] = {}
        self._listeners: list[Callable[[], None]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self.hook_runner = HookRunner()

    # -- registering ------------------------------------------------------------------------------------

    def register(self, plugin: Plugin, *, enabled: bool = True) -> PluginHandle:
        """Add a plugin object. What is wrong with it becomes the state of its handle, never an exception."""
        try:
            manifest = describe(plugin)
        except JackfieldError as error:
            manifest = broken(_name_of(plugin), str(error))
        except Exception as error:  # noqa: BLE001 - the border to a plugin's code: its state says what it raised
            manifest = broken(_name_of(plugin), f"{type(error).__name__}: {error}")
        return self._add(manifest, enabled=enabled, plugin=plugin)

    def register_manifest(self, manifest: Manifest | Mapping[str, Any], *, enabled: bool) -> PluginHandle:
        """Add a plugin that is known by its manifest; its code is imported when it is first used."""
        return self._add(manifest, enabled=enabled, plugin=None)

    def register_all(self, manifests: Iterable[tuple[Mapping[str, Any], bool]]) -> None:
        """Add many manifests, each with whether it is on, and tell listeners once."""
        for manifest, enabled in manifests:
            self._insert(manifest, enabled=enabled, plugin=None)
        self._settle()

    def _add(
        self, manifest: Manifest | Mapping[str, Any], *, enabled: bool, plugin: Plugin | None
    ) -> PluginHandle:
        handle = self._insert(manifest, enabled=enabled, plugin=plugin)
        self._settle()
        return handle

    def _insert(
        self, manifest: Manifest | Mapping[str, Any], *, enabled: bool, plugin: Plugin | None
    ) -> PluginHandle:
        name = manifest.name if isinstance(manifest, Manifest) else manifest["name"]
        problem = manifest.problem if isinstance(manifest, Manifest) else manifest["problem"]
        handle = PluginHandle(
            manifest,
            data_folder=self._paths.plugin_data(name),
            options=self._options.get(name, {}),
            plugin=plugin,
        )
        taken = name in self._locks
        if taken:
            handle.state, handle.reason = PluginState.FAILED, f"Another plugin is already named {name}."
        elif problem:
            handle.state, handle.reason = PluginState.FAILED, problem
        elif enabled:
            handle.state = PluginState.ENABLED
        if not taken:
            self._locks[name] = asyncio.Lock()
        self._handles.append(handle)
        return handle

    def _settle(self) -> None:
        self._handles.sort(key=_sort_key)
        for order, handle in enumerate(self._handles, start=1):
            handle.order = order
        self._tell()

    # -- switching --------------------------------------------------------------------------------------

    async def enable(self, name: str) -> PluginHandle:
        """Switch a plugin on; its contributions count at once. Past failures are forgotten.

        Raises:
            PluginError: there is no such plugin, or it is too broken to be on.
        """
        handle = self.handle(name)
        async with self._locks[name]:
            if handle.manifest.problem:
                raise PluginError(
                    f"The plugin {name} cannot be switched on",
                    detail=handle.manifest.problem,
                    hint="Reload it once it is mended.",
                )
            self._forget_failures(name)
            handle.failures, handle.reason = 0, ""
            handle.state = PluginState.ACTIVE if handle.plugin else PluginState.ENABLED
        self._tell()
        return handle

    async def disable(self, name: str) -> PluginHandle:
        """Switch a plugin off and let go of all that it holds.

        Raises:
            PluginError: there is no such plugin.
        """
        handle = self.handle(name)
        if not handle.manifest.problem:
            handle.state, handle.reason, handle.failures = PluginState.INSTALLED, "", 0
        self._tell()
        async with self._locks[name]:
            await handle.close()
        self._tell()
        return handle

    async def reload(self, name: str) -> PluginHandle:
        """Close a plugin, read its code again and describe it anew; it stays on if it was.

        Raises:
            PluginError: there is no such plugin.
        """
        from registry.discovery import describe_again

        handle = self.handle(name)
        was_on = handle.contributes or handle.state in (PluginState.AUTO_DISABLED, PluginState.FAILED)
        async with self._locks[name]:
            await handle.close()
            if handle.given is None:
                old = handle.manifest
                manifest = await call_with_limit(
                    lambda: describe_again(old), limit_s=60, name=f"describe {name}"
                )
                forget_module(manifest.entry_point)
                handle.renew(replace(manifest, name=name), None)
            else:
                self._renew_object(handle)
            self._forget_failures(name)
            handle.failures, handle.reason = 0, handle.manifest.problem
            if handle.manifest.problem:
                handle.state = PluginState.FAILED
            else:
                handle.state = PluginState.ENABLED if was_on else PluginState.INSTALLED
        self._tell()
        return handle

    def _renew_object(self, handle: PluginHandle) -> None:
        assert handle.given is not None  # noqa: S101 - the caller asked
        try:
            plugin = type(handle.given)()
            handle.renew(describe(plugin), plugin)
        except Exception as error:  # noqa: BLE001 - the border to a plugin's code: its state says what it raised
            handle.renew(broken(handle.name, f"{type(error).__name__}: {error}"), handle.given)

    async def unregister(self, name: str) -> None:
        """Close a plugin and forget it.

        Raises:
            PluginError: there is no such plugin.
        """
        handle = await self.disable(name)
        self._handles.remove(handle)
        del self._locks[name]
        self._settle()

    async def aclose(self) -> None:
        """Close every plugin. The registry is of no use afterwards."""
        self._listeners.clear()
        await asyncio.gather(*(handle.close() for handle in self._handles), *self._closing)
        self.hook_runner.close()

    # -- asking -----------------------------------------------------------------------------------------

    def handles(self) -> tuple[PluginHandle, ...]:
        """Every plugin, in order."""
        return tuple(self._handles)

    def handle(self, name: str) -> PluginHandle:
        """The plugin of this name.

        Raises:
            PluginError: there is none.
        """
        for handle in self._handles:
            if handle.name == name:
                return handle
        raise PluginError(
            f"There is no plugin named {safe_text(name, single_line=True, limit=64)}",
            hint="`jackfield plugins list` shows all of them.",
        )

    def providers(self) -> tuple[ProviderEntry, ...]:
        """The providers of all plugins that are on, in order. Of two with one name the first counts."""
        return self._unique(lambda handle: handle.manifest.providers)

    def commands(self) -> tuple[CommandEntry, ...]:
        """The commands of all plugins that are on, in order. Of two with one name the first counts."""
        return self._unique(lambda handle: handle.manifest.commands)

    def auth_methods(self) -> tuple[AuthMethodEntry, ...]:
        """The auth methods of all plugins that are on, in order."""
        return tuple(entry for handle in self._on() for entry in handle.manifest.auth_methods)

    def hooks(self, hook: str) -> tuple[PluginHandle, ...]:
        """The plugins that are on and have this hook, in the order in which it runs.

        A guard that failed stays in: it goes on blocking until the user switches it off.
        """
        return tuple(handle for handle in self._on() if hook in handle.manifest.hooks)

    async def provider(self, name: str) -> Provider:
        """The provider of this name; its plugin is loaded if need be.

        Raises:
            PluginError: no plugin that is on has it, or its plugin cannot be loaded.
        """
        handle = self._owner(self.providers(), name, "provider")
        return await self._load_or_disable(handle, lambda: handle.provider(name))

    async def command(self, name: str) -> Command:
        """The command of this name; its plugin is loaded if need be.

        Raises:
            PluginError: no plugin that is on has it, or its plugin cannot be loaded.
        """
        handle = self._owner(self.commands(), name, "command")
        return await self._load_or_disable(handle, lambda: handle.command(name))

    async def plugin(self, handle: PluginHandle) -> Plugin:
        """The object of a plugin that is on; loaded if need be.

        Raises:
            PluginError: it cannot be loaded. A plugin that fails here is switched off, unless it is a guard.
        """
        return await self._load_or_disable(handle, handle.load)

    def _on(self) -> Iterator[PluginHandle]:
        return (handle for handle in self._handles if handle.contributes)

    def _unique(self, entries: Callable[[PluginHandle], tuple[_Entry, ...]]) -> tuple[_Entry, ...]:
        found: dict[str, _Entry] = {}
        for handle in self._on():
            for entry in entries(handle):
                found.setdefault(entry.name, entry)
        return tuple(found.values())

    def _owner(self, entries: tuple[_Entry, ...], name: str, what: str) -> PluginHandle:
        for entry in entries:
            if entry.name == name:
                return self.handle(entry.plugin)
        raise PluginError(
            f"No plugin that is on has the {what} {safe_text(name, single_line=True, limit=64)}",
            hint="Switch its plugin on in the plugins screen.",
        )

    async def _load_or_disable(self, handle: PluginHandle, load: Callable[[], Awaitable[_T]]) -> _T:
        was_loaded = handle.plugin is not None
        try:
            result = await load()
        except PluginError as error:
            if handle.contributes:
                self._fail(handle, str(error), disable=True)
            raise
        if not was_loaded:
            self._tell()
        return result

    # -- failures ---------------------------------------------------------------------------------------

    def note_failure(self, name: str, hook: str, reason: str) -> bool:
        """Remember that a hook failed; the second time within five minutes switches its plugin off.

        Returns:
            Whether the plugin was switched off. A guard never is: without it, what it guards would pass.
        """
        handle = self.handle(name)
        times = self._failure_times.setdefault((name, hook), deque(maxlen=FAILURES_ALLOWED))
        times.append(self._clock())
        often = len(times) == FAILURES_ALLOWED and times[-1] - times[0] <= FAILURE_WINDOW_S
        self._fail(handle, f"{hook}: {reason}", disable=often)
        return handle.state is PluginState.AUTO_DISABLED

    def _fail(self, handle: PluginHandle, reason: str, *, disable: bool) -> None:
        handle.failures += 1
        handle.reason = reason
        handle.state = PluginState.FAILED
        if disable and not handle.manifest.guard:
            handle.state = PluginState.AUTO_DISABLED
            task = asyncio.get_running_loop().create_task(
                self._close_disabled(handle), name=f"close {handle.name}"
            )
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._tell()

    async def _close_disabled(self, handle: PluginHandle) -> None:
        reason = handle.reason
        async with self._locks[handle.name]:
            if handle.state is PluginState.AUTO_DISABLED:
                await handle.close()
                handle.reason = reason

    def _forget_failures(self, name: str) -> None:
        for key in [key for key in self._failure_times if key[0] == name]:
            del self._failure_times[key]

    # -- listening --------------------------------------------------------------------------------------

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called after every change; gives a function that ends it."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()


def _sort_key(handle: PluginHandle) -> tuple[int, str]:
    from registry.discovery import BUILTIN_PUBLISHER

    return (0 if handle.publisher == BUILTIN_PUBLISHER else 1, handle.name)


def _name_of(plugin: Plugin) -> str:
    name = getattr(plugin, "name", None)
    return name if isinstance(name, str) and name else type(plugin).__name__
