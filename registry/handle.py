"""One plugin as the registry holds it: its state, and everything that has to end when it is switched off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from registry.errors import PluginError
from registry.manifest import Manifest, broken
from registry.plugin import Plugin
from registry.running import LOAD_LIMIT_S, Corner, Running, keep_until_done, start
from registry.runtimes.choosing import make_plugin
from registry.states import Held, PluginState
from registry.threads import call_with_limit

if TYPE_CHECKING:
    from registry.command import Command
    from registry.provider import Provider

_T = TypeVar("_T")


class PluginHandle:
    """One registered plugin. The registry makes handles; everyone else reads them.

    Args:
        manifest: what is known of the plugin; as JSON data it is decoded when first asked for.
        corner: what the plugin of a name is given when it is loaded.
        plugin: the object, for a plugin that has no entry point.
        check: what has to be true before its code runs; called in a thread.
        when_changed: called after every change of what it contributes.
    """

    __slots__ = (
        "__weakref__",
        "_check",
        "_closing",
        "_corner",
        "_given",
        "_loading",
        "_manifest",
        "_running",
        "_state",
        "_switching",
        "_when_changed",
        "failures",
        "held",
        "name",
        "order",
        "publisher",
        "reason",
        "removed",
        "wanted",
    )

    def __init__(
        self,
        manifest: Manifest | Mapping[str, Any],
        *,
        corner: Callable[[str], Corner],
        plugin: Plugin | None = None,
        check: Callable[[Manifest], Held | None] = lambda _: None,
        when_changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._manifest = manifest
        self.name: str = manifest.name if isinstance(manifest, Manifest) else manifest["name"]
        self.publisher: str = manifest.publisher if isinstance(manifest, Manifest) else manifest["publisher"]
        """Who made it; known without decoding the manifest."""
        self._state = PluginState.INSTALLED
        self._when_changed = when_changed
        self.reason = ""
        """Why it failed or was switched off; empty when all is well."""
        self.wanted = False
        """Whether it is to be on, whatever keeps it from that."""
        self.failures = 0
        self.held: Held | None = None
        """What keeps it off whatever the user chose."""
        self.order = 0
        """Its place among all plugins, from 1: the order in which hooks run and contributions are listed."""
        self.removed = False
        """Whether the registry has forgotten it; it never contributes again."""
        self._corner = corner
        self._check = check
        self._given = plugin
        self._running: Running | None = None
        self._loading: asyncio.Task[Running] | None = None
        self._closing: asyncio.Task[str] | None = None
        self._switching: asyncio.Lock | None = None

    @property
    def options(self) -> Mapping[str, object]:
        """What the user's configuration sets for it."""
        return self._corner(self.name).options

    @property
    def manifest(self) -> Manifest:
        """What is known of the plugin; decoded when first asked for."""
        known = self._manifest
        if isinstance(known, Manifest):
            return known
        try:
            decoded = Manifest.from_json(known)
        except (LookupError, TypeError, ValueError, AttributeError):
            entry_point = str(known.get("entry_point", ""))
            self.reason = "What is known of it is damaged. Reload it."
            decoded = broken(self.name, self.reason, entry_point=entry_point, publisher=self.publisher)
        self._manifest = decoded
        if decoded.problem and self._state is not PluginState.FAILED:
            self.state = PluginState.FAILED
        return decoded

    @property
    def problem(self) -> tuple[str, bool]:
        """Why it could not be described, and whether it is a guard; known without decoding the manifest."""
        known = self._manifest
        if isinstance(known, Manifest):
            return known.problem, known.guard
        return known["problem"], known["guard"] is True

    def stand(self, *, on: bool) -> None:
        """Take the state that follows from the manifest alone, as one without a history."""
        problem, guard = self.problem
        self.wanted, self.failures, self.reason = on, 0, problem
        if problem:
            # A guard that is broken goes on blocking: nobody does its work.
            self.failures = 1 if guard and on else 0
            self.state = PluginState.FAILED
        elif self.held and (on or self.held.state is PluginState.REVOKED):
            self.state, self.reason = self.held.state, self.held.reason
        else:
            self.state = PluginState.ENABLED if on else PluginState.INSTALLED

    def check_can_be_on(self) -> None:
        """Do nothing for a plugin that can be switched on.

        Raises:
            PluginError: it is too broken, was revoked, or waits for the user's agreement.
        """
        reason, hint = self.manifest.problem, "Reload it once it is mended."
        if self.held and not reason:
            reason, hint = self.held.reason, self.held.hint
        if reason:
            raise PluginError(f"The plugin {self.name} cannot be switched on", detail=reason, hint=hint)

    @property
    def state(self) -> PluginState:
        """Where it stands."""
        return self._state

    @state.setter
    def state(self, state: PluginState) -> None:
        self._state = state
        self._when_changed()

    @property
    def contributes(self) -> bool:
        """Whether its providers, commands and hooks count now."""
        state = self._state
        return (
            state is PluginState.ENABLED
            or state is PluginState.ACTIVE
            or (state is PluginState.FAILED and self.failures > 0)
        ) and not self.removed

    @property
    def plugin(self) -> Plugin | None:
        """The plugin object, if its code has been loaded."""
        return self._running.plugin if self._running else None

    @property
    def given(self) -> Plugin | None:
        """The object that was registered, for a plugin that has no entry point."""
        return self._given

    @property
    def switching(self) -> asyncio.Lock:
        """Held while it is switched on or off, reloaded or removed: one of these at a time."""
        if self._switching is None:
            self._switching = asyncio.Lock()  # most plugins are never switched
        return self._switching

    async def load(self) -> Plugin:
        """The plugin object; imported and initialised on first use, in a thread.

        Raises:
            PluginError: it is off, or it cannot be loaded.
        """
        return (await self._run()).plugin

    async def provider(self, name: str) -> Provider:
        """The provider of this name.

        Raises:
            PluginError: the plugin cannot be loaded, or no longer has that provider.
        """
        return _pick((await self._run()).providers, name, self.name, "provider")

    async def command(self, name: str) -> Command:
        """The command of this name.

        Raises:
            PluginError: the plugin cannot be loaded, or no longer has that command.
        """
        return _pick((await self._run()).commands, name, self.name, "command")

    async def _run(self) -> Running:
        """The running plugin. However many ask at once, it is loaded once."""
        if self._running is None:
            while self.switching.locked():
                async with self.switching:
                    pass  # it is being switched or reloaded: what comes out of that is what counts
        running = self._running or await self._start()
        if running.given_up:
            await self.close()  # so that it begins anew when it is switched on again
            raise PluginError(
                f"The plugin {self.name} was given up",
                detail=running.given_up,
                hint="Switch it on again to retry, or tell its author.",
            )
        return running

    async def _start(self) -> Running:
        if not self.contributes:
            raise self._off()
        if self.manifest.problem:
            raise PluginError(f"The plugin {self.name} could not be loaded", detail=self.manifest.problem)
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(), name=f"load {self.name}")
            self._loading.add_done_callback(_look_at_error)
        loading = self._loading
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            if loading.cancelled() and not _is_cancelled():
                if self.switching.locked():
                    return await self._run()  # it is being reloaded or replaced: what comes of that counts
                raise self._off() from None
            raise

    async def _load(self) -> Running:
        me = asyncio.current_task()
        try:
            await self._check_before_start()
            make: Callable[[], Plugin] = (
                partial(_same, self._given)
                if self._given
                else partial(make_plugin, self.manifest, self._check)
            )
            running = await start(make, self._corner(self.name))
            self._running = running
        finally:
            if self._loading is me:
                self._loading = None
        if self._state is PluginState.ENABLED:
            self.state = PluginState.ACTIVE
        return running

    async def _check_before_start(self) -> None:
        """Have a plugin that must not run any more stand as that, and none of its code run."""
        manifest = self.manifest
        if manifest.launch is None:
            return
        try:
            held = await call_with_limit(
                lambda: self._check(manifest), limit_s=LOAD_LIMIT_S, name=f"check {self.name}"
            )
        except TimeoutError as error:
            raise PluginError(f"The code of the plugin {self.name} could not be checked in time") from error
        if held is not None:
            self.held = held
            self.stand(on=self.wanted)
            raise PluginError(f"The plugin {self.name} was not started", detail=held.reason, hint=held.hint)

    def _off(self) -> PluginError:
        return PluginError(f"The plugin {self.name} is off", hint="Switch it on in the plugins screen.")

    async def close(self) -> None:
        """Let go of everything the plugin holds. It can be loaded again afterwards.

        It is closed to the end, even if whoever waits for it is cancelled.
        """
        loading, self._loading = self._loading, None
        running, self._running = self._running, None
        if loading is not None or running is not None:
            self._closing = asyncio.create_task(self._close(loading, running), name=f"close {self.name}")
            keep_until_done(self._closing)
        if self._closing is not None and not self._closing.done():
            reason = await asyncio.shield(self._closing)
            self.reason = self.reason or reason

    async def _close(self, loading: asyncio.Task[Running] | None, running: Running | None) -> str:
        if loading is not None:
            loading.cancel()
            await asyncio.wait({loading})
            if not loading.cancelled() and loading.exception() is None:
                running = loading.result()  # it was done before it could be cancelled
                self._running = None if self._running is running else self._running
        return await running.close() if running else ""

    def renew(self, manifest: Manifest, plugin: Plugin | None) -> None:
        """Take a fresh manifest, and a fresh object if the plugin was registered as one."""
        self._manifest = manifest
        self.publisher = manifest.publisher
        self._given = plugin
        self._when_changed()

    def rename(self, name: str) -> None:
        """Go by another name, as one does whose own name was not known before it could be described."""
        self.name = name


def _same(plugin: Plugin) -> Plugin:
    return plugin


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _look_at_error(task: asyncio.Task[Running]) -> None:
    """Everyone who waited may have been cancelled; asyncio would then write the error over the screen."""
    if not task.cancelled():
        task.exception()


def _pick(found: Mapping[str, _T], name: str, plugin: str, what: str) -> _T:
    if name not in found:
        raise PluginError(
            f"The plugin {plugin} no longer has the {what} {name}",
            hint="Reload the plugin in the plugins screen.",
        )
    return found[name]


__all__ = ["Held", "PluginHandle", "PluginState"]
