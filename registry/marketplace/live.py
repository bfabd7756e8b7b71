"""Installs, updates and removes with effect on the running app, at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.errors import PluginError
from registry.manifest import Manifest, broken
from registry.marketplace import upkeep
from registry.marketplace.install import Installer, Plan, Step
from registry.marketplace.left_behind import left_behind
from registry.marketplace.manifests import stored_manifest

if TYPE_CHECKING:
    from registry.connection_changes import SignOut
    from registry.connections import Connections
    from registry.handle import PluginHandle
    from registry.marketplace.consent import Confirm
    from registry.marketplace.finding import Found
    from registry.marketplace.installed import InstalledPlugin, InstalledVersion
    from registry.marketplace.rules import Rules
    from registry.marketplace.upkeep import Damage, Update
    from registry.registry import PluginRegistry
    from registry.stored import InstalledManifest


@dataclass(frozen=True, slots=True)
class Loaded:
    """What runs now: the version that the code itself named when it was started, and where it came from."""

    version: str
    tree: str
    """The hash of the folder that it was started from, checked before."""


@dataclass(frozen=True, slots=True)
class Change:
    """Another version of a plugin became current."""

    plugin: InstalledPlugin
    before: InstalledVersion | None
    """What was current until now; None for a new plugin."""
    loaded: Loaded | None = None
    """What runs now; None if the plugin is off, so that nothing of it runs."""
    problem: PluginError | None = None
    """Why the plugin, which is on, could not be started."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A plugin is gone."""

    id: str
    signed_out: tuple[SignOut, ...]


class LiveInstaller:
    """What an installer does, with a registry that follows.

    Args:
        installer: does it.
        registry: the plugins of the running app.
        connections: gives the accounts of plugins; None where there are none.
    """

    def __init__(
        self,
        installer: Installer,
        registry: PluginRegistry,
        connections: Callable[[], Connections] | None = None,
    ) -> None:
        self.installer = installer
        self.registry = registry
        self._connections = connections
        self._following = asyncio.Lock()

    def installed(self) -> dict[str, InstalledPlugin]:
        """What is installed, by id. Raises JackfieldError when that cannot be read."""
        return self.installer.installed()

    def rules(self, found: Found) -> Rules:
        """What may be installed here and now; blocking."""
        return self.installer.rules(found)

    async def plan(self, found: Found, version: str | None = None) -> Plan:
        """As `Installer.plan`."""
        return await self.installer.plan(found, version)

    async def install(
        self,
        plan: Plan,
        confirm: Confirm,
        progress: Callable[[Step], None] = lambda _: None,
        *,
        ignore_age: bool = False,
        ask_later: bool = False,
    ) -> Change:
        """Install a version. A new plugin is off; one that was on stays on, with the new code.

        What replaces a plugin of another marketplace is off, as a new one is.

        Raises:
            JackfieldError: as `Installer.install`.
        """
        async with self._followed(plan.id), self._off_if_replaced(plan):
            try:
                plugin = await self.installer.install(
                    plan, confirm, progress, ignore_age=ignore_age, ask_later=ask_later
                )
            except asyncio.CancelledError:
                plugin = await self._installed_after_all(plan)
        try:
            return await self._changed(plugin, plan.continued)
        except asyncio.CancelledError:  # too late as well: it is current already
            _go_on()
            return Change(plugin, plan.continued.current if plan.continued else None)

    @asynccontextmanager
    async def _off_if_replaced(self, plan: Plan) -> AsyncGenerator[None, None]:
        """Switch off what now has the code of another marketplace, before the registry takes that code."""
        try:
            yield
        finally:
            if plan.before is not None and plan.continued is None:
                await asyncio.shield(self._switch_off_replaced(plan.before))

    async def _switch_off_replaced(self, before: InstalledPlugin) -> None:
        handle = self._handle(before)
        if handle is not None and (await asyncio.to_thread(self.installed)).get(before.id) != before:
            await self.registry.disable(handle.name)

    async def _installed_after_all(self, plan: Plan) -> InstalledPlugin:
        """What was stopped when it was too late: then it is installed, and has to be said to be.

        Raises:
            CancelledError: it is not.
        """
        plugin = (await asyncio.shield(asyncio.to_thread(self.installed))).get(plan.id)
        if plugin is None or plugin == plan.before or not plugin.current.is_same(plan.content):
            raise asyncio.CancelledError
        _go_on()
        return plugin

    async def roll_back(self, plugin_id: str, to: str | None = None) -> Change:
        """Go back to an earlier version; see `upkeep.roll_back`."""
        before = upkeep.find_installed(self.installer, plugin_id)
        async with self._followed(before.id):
            plugin = await upkeep.roll_back(self.installer, before.id, to)
        return await self._changed(plugin, before)

    async def review(self, plugin_id: str, confirm: Confirm) -> InstalledPlugin:
        """Ask for what an update asks for beyond what was agreed to; see `upkeep.review`."""
        async with self._followed(plugin_id):
            return await upkeep.review(self.installer, plugin_id, confirm)

    async def pin(self, plugin_id: str, *, pinned: bool) -> InstalledPlugin:
        """Have updates leave a plugin as it is, or no longer."""
        return await upkeep.pin(self.installer, plugin_id, pinned=pinned)

    async def remove(self, plugin_id: str, *, data: bool, secrets: bool) -> Removed:
        """Switch a plugin off, forget it and remove its code.

        Args:
            plugin_id: which plugin.
            data: remove the folder that belongs to it too.
            secrets: sign out of all its accounts and remove their secrets too.

        Raises:
            JackfieldError: it is not here, or something of it cannot be removed.
        """
        plugin = self.installed().get(plugin_id)
        name = plugin_id.partition("/")[2]
        if plugin is None and left_behind(self.installer.paths).get(name) != plugin_id:
            raise upkeep.not_installed(plugin_id)
        connections = self._connections() if self._connections else None
        signed_out: tuple[SignOut, ...] = ()
        if connections is not None and secrets:
            signed_out = await connections.forget_plugin(name)
        no_secrets = connections is None or not await connections.all(name)
        if plugin is not None and (handle := self._handle(plugin)) is not None:
            await self.registry.disable(handle.name)  # nothing of it runs while its data go
        async with self._followed(plugin_id):
            await upkeep.remove(self.installer, plugin_id, data=data, secrets=no_secrets)
        return Removed(plugin_id, signed_out)

    async def verify(self) -> list[Damage]:
        """As `upkeep.verify`."""
        return await upkeep.verify(self.installer)

    async def outdated(self) -> list[Update]:
        """As `upkeep.outdated`."""
        return await upkeep.outdated(self.installer)

    async def apply_revocations(self) -> list[InstalledPlugin]:
        """Switch off what the catalogues that came last withdrew; gives what is newly revoked.

        Call it after each refresh.
        """
        revoked = await upkeep.apply_revocations(self.installer)
        await self.follow()
        return revoked

    async def follow(self) -> None:
        """Bring the registry in line with what is installed, whoever installed it.

        Raises:
            JackfieldError: what is installed cannot be read.
        """
        plugins = await asyncio.to_thread(self.installed)
        known = {
            f"{handle.publisher}/{handle.name}" for handle in self.registry.handles() if self._is_ours(handle)
        }
        for plugin_id in sorted(known | plugins.keys()):
            await self._follow(plugin_id)

    @asynccontextmanager
    async def _followed(self, plugin_id: str) -> AsyncGenerator[None, None]:
        """The registry follows, also when only the last part of the work failed."""
        try:
            yield
        finally:
            await asyncio.shield(self._follow(plugin_id))

    async def _follow(self, plugin_id: str) -> None:
        async with self._following:
            plugin = (await asyncio.to_thread(self.installed)).get(plugin_id)
            handle = self._handle_of(plugin_id)
            if plugin is None:
                if handle is not None:
                    await self.registry.unregister(handle.name)
                return
            data = stored_manifest(self.installer.paths, plugin)
            if handle is None:
                self.registry.register_manifest(data, enabled=False)
                return
            manifest = _decoded(data)
            if handle.manifest != manifest or handle.held != data.held:
                await self.registry.replace(manifest, data.held)

    async def _changed(self, plugin: InstalledPlugin, before: InstalledPlugin | None) -> Change:
        earlier = before.current if before else None
        handle = self._handle(plugin)
        if handle is None or not handle.contributes:
            return Change(plugin, earlier)
        try:
            return Change(plugin, earlier, await self._loaded(handle, plugin.current))
        except PluginError as error:
            return Change(plugin, earlier, problem=error)

    async def _loaded(self, handle: PluginHandle, current: InstalledVersion) -> Loaded:
        """What runs of a plugin that is on; it is started for that.

        Raises:
            PluginError: it cannot be started, or is another version than what was installed.
        """
        from registry.runtimes.process import ProcessPlugin

        plugin = await self.registry.plugin(handle)  # its process has to name the version of its manifest
        folder = plugin.launch.folder if isinstance(plugin, ProcessPlugin) else None
        if folder != self.installer.store.path(current.tree) or plugin.version != current.version:
            raise PluginError(f"{handle.name} runs, but not as version {current.version}")
        return Loaded(plugin.version, current.tree)

    def _handle(self, plugin: InstalledPlugin) -> PluginHandle | None:
        return self._handle_of(plugin.id)

    def _handle_of(self, plugin_id: str) -> PluginHandle | None:
        publisher, _, name = plugin_id.partition("/")
        for handle in self.registry.handles():
            if (handle.publisher, handle.name) == (publisher, name) and self._is_ours(handle):
                return handle
        return None

    def _is_ours(self, handle: PluginHandle) -> bool:
        """Whether it came from a marketplace, as against a package beside the app."""
        launch = handle.manifest.launch
        return launch is not None and launch.folder.parent == self.installer.store.folder


def _go_on() -> None:
    """The task was cancelled when it was too late, and tells what it did."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


def _decoded(data: InstalledManifest) -> Manifest:
    try:
        return Manifest.from_json(data)
    except (LookupError, TypeError, ValueError, AttributeError):
        problem = "What is known of it is damaged. Install it again."
        return broken(data["name"], problem, publisher=data["publisher"])
