"""The plugin registry: knows every plugin and its state, and answers what they contribute now."""

from __future__ import annotations

import asyncio
import time
from bisect import insort
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from registry.contract import is_plugin_name
from registry.discovery import BUILTIN_PUBLISHER, check_before_start, describe_in_time
from registry.errors import PluginError
from registry.failures import FailureLog
from registry.handle import Held, PluginHandle, PluginState
from registry.hooks import HookRunner
from registry.listeners import Listeners
from registry.loading import forget_module
from registry.manifest import AuthMethodEntry, CommandEntry, Manifest, ProviderEntry, broken
from registry.objects import describe_object, make_again
from registry.paths import Paths
from registry.plugin import Plugin
from registry.running import Corner
from registry.stored import InstalledManifest, has_index
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.command import Command
    from registry.provider import Provider

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
        self._handles: list[PluginHandle] = []
        self._named: dict[str, PluginHandle] = {}
        self._failures = FailureLog(clock)
        self._listeners = Listeners()
        self._answers: dict[str, Any] = {}
        self._forget_answers = self._answers.clear  # one object for all handles: a thousand are no free start
        self._corner_of = self._corner
        self._check = partial(check_before_start, paths)
        self._closing: set[asyncio.Task[None]] = set()
        self.hook_runner = HookRunner()

    def register(self, plugin: Plugin, *, enabled: bool = True) -> PluginHandle:
        """Add a plugin object. What is wrong with it becomes the state of its handle, never an exception."""
        return self._add(describe_object(plugin), enabled=enabled, plugin=plugin)

    def register_manifest(self, manifest: Manifest | Mapping[str, Any], *, enabled: bool) -> PluginHandle:
        """Add a plugin that is known by its manifest; its code is imported when it is first used."""
        return self._add(manifest, enabled=enabled, plugin=None)

    def register_all(self, manifests: Iterable[tuple[Mapping[str, Any], bool]]) -> None:
        """Add many manifests, each with whether it is on, and tell listeners once."""
        for manifest, enabled in manifests:
            self._handles.append(self._make_handle(manifest, enabled=enabled, plugin=None))
        self._handles.sort(key=_sort_key)
        self._settle()

    def _add(
        self, manifest: Manifest | Mapping[str, Any], *, enabled: bool, plugin: Plugin | None
    ) -> PluginHandle:
        handle = self._make_handle(manifest, enabled=enabled, plugin=plugin)
        insort(self._handles, handle, key=_sort_key)
        self._settle()
        return handle

    def _make_handle(
        self, manifest: Manifest | Mapping[str, Any], *, enabled: bool, plugin: Plugin | None
    ) -> PluginHandle:
        if not isinstance(manifest, Manifest) and not has_index(manifest):
            manifest = broken("unnamed", "What is known of it is damaged.")
        handle = PluginHandle(
            manifest,
            corner=self._corner_of,
            plugin=plugin,
            check=self._check,
            when_changed=self._forget_answers,
        )
        if isinstance(manifest, InstalledManifest):
            handle.held = manifest.held
        if self._named.setdefault(handle.name, handle) is not handle:
            handle.reason = f"Another plugin is already named {handle.name}."
            handle.wanted, handle.state = enabled, PluginState.FAILED
        else:
            handle.stand(on=enabled)
        return handle

    def _corner(self, name: str) -> Corner:
        """What belongs to the plugin of this name alone."""
        folder = name if is_plugin_name(name) else "unnamed"  # never one outside of the data folder
        return Corner(name, self._options.get(name, {}), self._paths.plugin_data(folder))

    def _settle(self) -> None:
        for order, handle in enumerate(self._handles, start=1):
            handle.order = order
        self._tell()

    async def enable(self, name: str) -> PluginHandle:
        """Switch a plugin on; its contributions count at once. Past failures are forgotten.

        Raises:
            PluginError: there is no such plugin, or it is too broken to be on.
        """
        handle = self.handle(name)
        async with handle.switching:
            self._check_there(handle)
            handle.check_can_be_on()
            self._failures.forget(name)
            handle.wanted, handle.failures, handle.reason = True, 0, ""
            handle.state = PluginState.ACTIVE if handle.plugin else PluginState.ENABLED
        self._tell()
        return handle

    async def disable(self, name: str) -> PluginHandle:
        """Switch a plugin off and let go of all that it holds.

        Raises:
            PluginError: there is no such plugin.
        """
        handle = self.handle(name)
        self._switch_off(handle)
        async with handle.switching:
            self._switch_off(handle)  # whoever held the lock may have switched it on
            await self._close(handle)
        self._tell()
        return handle

    def _switch_off(self, handle: PluginHandle) -> None:
        handle.wanted, handle.failures, handle.reason = False, 0, handle.manifest.problem
        handle.state = PluginState.FAILED if handle.reason else PluginState.INSTALLED
        self._failures.forget(handle.name)
        self._tell()

    async def _close(self, handle: PluginHandle) -> None:
        self.hook_runner.forget(handle.name)
        await handle.close()

    async def reload(self, name: str) -> PluginHandle:
        """Close a plugin, read its code again and describe it anew; it stays on if it was.

        A plugin that could not say its name before is called by its own name from then on.

        Raises:
            PluginError: there is no such plugin.
        """
        handle = self.handle(name)
        async with handle.switching:
            self._check_there(handle)
            await self._close(handle)
            if handle.given is None:
                manifest = await self._describe_again(handle)
                handle.renew(manifest, None)
            else:
                fresh, manifest = make_again(handle.given, handle.manifest)
                handle.renew(manifest, fresh)
            self._failures.forget(name)
            self._take_name(handle, manifest)
            handle.stand(on=handle.wanted)
        self._settle()
        return handle

    async def replace(self, manifest: Manifest, held: Held | None = None) -> PluginHandle:
        """Take another version of a plugin in place of the one there is; it stays on if it was.

        Args:
            manifest: of the version that counts from now on, or the same one to hold it or to let it go.
            held: what keeps it off whatever the user chose, if anything does.

        Raises:
            PluginError: there is no such plugin.
        """
        handle = self.handle(manifest.name)
        async with handle.switching:
            self._check_there(handle)
            await self._close(handle)
            handle.renew(manifest, None)
            self._failures.forget(handle.name)
            handle.held = held
            handle.stand(on=handle.wanted)
        self._tell()
        return handle

    async def _describe_again(self, handle: PluginHandle) -> Manifest:
        old = handle.manifest
        manifest = await describe_in_time(old, self._paths)
        others = [other.manifest.entry_point for other in self._handles if other is not handle]
        forget_module(old.entry_point, others)
        return manifest

    def _take_name(self, handle: PluginHandle, manifest: Manifest) -> None:
        """Call a plugin by the name that it now has, unless that is taken or it has lost its own."""
        if manifest.name == handle.name or manifest.problem:
            return
        if manifest.name in self._named:
            taken = f"Another plugin is already named {manifest.name}."
            handle.renew(replace(manifest, name=handle.name, problem=taken), handle.given)
            return
        del self._named[handle.name]
        handle.rename(manifest.name)
        self._named[handle.name] = handle
        self._handles.sort(key=_sort_key)

    async def unregister(self, name: str) -> None:
        """Close a plugin and forget it. One that waited for its name takes it, switched off.

        Raises:
            PluginError: there is no such plugin.
        """
        handle = await self.disable(name)
        async with handle.switching:
            self._check_there(handle)
            handle.removed = True
            handle.state = PluginState.INSTALLED
            await self._close(handle)
            self._handles.remove(handle)
            del self._named[handle.name]
        heir = next((other for other in self._handles if other.name == handle.name), None)
        if heir is not None:
            self._named[heir.name] = heir
            heir.stand(on=False)
        self._settle()

    async def aclose(self) -> None:
        """Close every plugin. The registry is of no use afterwards."""
        self._listeners.forget()
        for handle in self._handles:
            handle.removed = True
        self._answers.clear()
        await asyncio.gather(*(handle.close() for handle in self._handles), *self._closing)
        self.hook_runner.close()

    def _check_there(self, handle: PluginHandle) -> None:
        if handle.removed:
            raise _no_such(handle.name)

    def handles(self) -> tuple[PluginHandle, ...]:
        """Every plugin, in order."""
        return tuple(self._handles)

    def handle(self, name: str) -> PluginHandle:
        """The plugin of this name.

        Raises:
            PluginError: there is none.
        """
        if name not in self._named:
            raise _no_such(name)
        return self._named[name]

    def providers(self) -> tuple[ProviderEntry, ...]:
        """The providers of all plugins that are on, in order. Of two with one name the first counts."""
        return self._answer("providers", lambda: _unique(handle.manifest.providers for handle in self._on()))

    def commands(self) -> tuple[CommandEntry, ...]:
        """The commands of all plugins that are on, in order. Of two with one name the first counts."""
        return self._answer("commands", lambda: _unique(handle.manifest.commands for handle in self._on()))

    def outranked(self, handle: PluginHandle) -> tuple[CommandEntry, ...]:
        """Commands of others that answer in the place of those of the same names that a plugin has."""
        own = {command.name for command in handle.manifest.commands} if handle.contributes else set()
        return tuple(entry for entry in self.commands() if entry.name in own and entry.plugin != handle.name)

    def auth_methods(self) -> tuple[AuthMethodEntry, ...]:
        """The auth methods of all plugins that are on, in order."""
        return self._answer(
            "auth_methods",
            lambda: tuple(entry for handle in self._on() for entry in handle.manifest.auth_methods),
        )

    def hooks(self, hook: str) -> tuple[PluginHandle, ...]:
        """The plugins that are on and have this hook, in the order in which it runs.

        A guard that failed stays in: it goes on blocking until the user switches it off.
        """
        return self._answer(
            hook, lambda: tuple(handle for handle in self._on() if hook in handle.manifest.hooks)
        )

    def _answer(self, question: str, find: Callable[[], _T]) -> _T:
        """What is asked at every key press is found once for each change."""
        if question not in self._answers:
            self._answers[question] = find()
        answer: _T = self._answers[question]
        return answer

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

    def _on(self) -> list[PluginHandle]:
        """The plugins that contribute now. One whose manifest turns out to be damaged no longer does."""
        for handle in self._handles:
            if handle.contributes:
                _ = handle.manifest
        return [handle for handle in self._handles if handle.contributes]

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
            elif handle.held:
                self._tell()
            raise
        if not was_loaded:
            self._tell()
        return result

    def note_failure(self, name: str, hook: str, reason: str) -> bool:
        """Remember that a hook failed; the second time within five minutes switches its plugin off.

        Returns:
            Whether the plugin was switched off. A guard never is: without it, what it guards would pass.
        """
        handle = self._named.get(name)
        if handle is None or not handle.contributes:
            return False  # switched off or removed while its hook ran
        often = self._failures.note(name, hook)
        self._fail(handle, f"{hook}: {reason}", disable=often)
        return handle.state is PluginState.AUTO_DISABLED

    def _fail(self, handle: PluginHandle, reason: str, *, disable: bool) -> None:
        handle.failures += 1
        handle.reason = safe_text(reason, limit=2000)
        if disable and not handle.manifest.guard:
            handle.state = PluginState.AUTO_DISABLED
            closing = asyncio.ensure_future(self._close_disabled(handle))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        else:
            handle.state = PluginState.FAILED
        self._tell()

    async def _close_disabled(self, handle: PluginHandle) -> None:
        async with handle.switching:
            if handle.state is PluginState.AUTO_DISABLED:
                await self._close(handle)

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called after every change; gives a function that ends it."""
        return self._listeners.add(listener)

    def _tell(self) -> None:
        self._answers.clear()
        self._listeners.tell()


def _unique(groups: Iterable[tuple[_Entry, ...]]) -> tuple[_Entry, ...]:
    found: dict[str, _Entry] = {}
    for entries in groups:
        for entry in entries:
            found.setdefault(entry.name, entry)
    return tuple(found.values())


def _sort_key(handle: PluginHandle) -> tuple[bool, str]:
    return (handle.publisher != BUILTIN_PUBLISHER, handle.name)


def _no_such(name: str) -> PluginError:
    return PluginError(
        f"There is no plugin named {safe_text(name, single_line=True, limit=64)}",
        hint="`jackfield plugins list` shows all of them.",
    )
