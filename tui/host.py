"""What the screens stand on: configuration, registry and history, made ready after the first frame."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from registry.config import LoadedConfig, Settings, load_config, update_config
from registry.errors import JackfieldError
from registry.paths import Paths
from registry.startup import fill_registry, find_manifests, make_registry

# What costs more than a millisecond to import waits for `load_parts`: the first frame does without it.
if TYPE_CHECKING:
    from registry.config_edit import Changes
    from registry.connections import Connections
    from registry.handle import PluginHandle
    from registry.marketplace.installed import InstalledPlugin
    from registry.marketplace.live import LiveInstaller
    from registry.models import ModelChoice
    from registry.registry import PluginRegistry
    from registry.secret_store import SecretStores, StoreKind
    from tui.history.records import Summary
    from tui.history.writer import HistoryWriter
    from tui.market_jobs import Job
    from tui.marketplace import Storefront

DISCOVERY_LIMIT_S = 120.0
"""How long finding and describing all plugins may take, in seconds."""
ANSWER_LIMIT_S = 3.0
WRITE_LIMIT_S = 20.0
"""How long the end of the app waits for a stopped answer to be written down, in seconds."""


class Host:
    """The parts of a running app that have no screen.

    Args:
        paths: where files are kept.
        config: the configuration as it was read at the start.
        plugins_off: start without any plugin code.
        complain: shows the user an error that has no other place.
    """

    def __init__(
        self,
        paths: Paths,
        config: LoadedConfig,
        *,
        plugins_off: bool,
        complain: Callable[[JackfieldError], None],
    ) -> None:
        self.paths = paths
        self.settings: Settings = config.settings
        self._switches = _switches(config.settings)
        """Which plugins are on and off by choice, as far as this app has heeded it."""
        self._toggling = asyncio.Lock()
        self._switching = asyncio.Lock()
        """Held from a switch until it is written down: what config.toml says meanwhile is what was before."""
        self._writing = asyncio.Lock()
        self._write: asyncio.Future[LoadedConfig] | None = None
        """What is written to config.toml, or was written last."""
        self.plugins_off = plugins_off
        self.ready = asyncio.Event()
        """Set once plugins are registered and the history is open."""
        self.interrupted: Summary | None = None
        """The conversation whose last answer ended with the app that wrote it."""
        self.ask_passphrase: Callable[[bool], Awaitable[str | None]] | None = None
        """Asks the user for the passphrase of the encrypted file; told whether a new file is made."""
        self.tell_withdrawn: Callable[[Iterable[InstalledPlugin]], None] = lambda _: None
        """Tells the user of installed plugins that a marketplace has just withdrawn."""
        self.tell_installed: Callable[[Job], None] = lambda _: None
        """Tells the user how an installation ended."""
        self._complain = complain
        self._followed = False
        """Whether something was ever installed while this app ran."""
        self._seen: tuple[tuple[int, int], ...] = ()
        """What `_stamps` gave when others were heeded last."""
        self._following = asyncio.Lock()
        self._answering: set[asyncio.Future[None]] = set()

    @cached_property
    def registry(self) -> PluginRegistry:
        """All plugins; empty until they were found."""
        return make_registry(self.paths, self.settings)

    @cached_property
    def stores(self) -> SecretStores:
        """Where secrets are kept."""
        from registry.secret_store import SecretStores

        return SecretStores(self.paths, self.settings.secrets.store, ask_passphrase=self._ask_passphrase)

    @cached_property
    def connections(self) -> Connections:
        """The accounts that are signed in."""
        from registry.connections import Connections

        return Connections(self.registry, self.paths, self.stores, complain=self._complain)

    @cached_property
    def storefront(self) -> Storefront:
        """What the marketplace screens stand on."""
        from tui.marketplace import Storefront

        return Storefront(self)

    @cached_property
    def installer(self) -> LiveInstaller:
        """What installs, updates and removes plugins with effect on this app."""
        from registry.marketplace.live import LiveInstaller
        from registry.startup import make_installer

        installer = make_installer(self.paths, self.settings)
        return LiveInstaller(installer, self.registry, lambda: self.connections)

    async def _ask_passphrase(self, new: bool) -> str | None:
        return None if self.ask_passphrase is None else await self.ask_passphrase(new)

    @cached_property
    def history(self) -> HistoryWriter:
        """The conversations; they can be read once the host is ready."""
        from tui.history.writer import HistoryWriter

        return HistoryWriter(self.paths.history_file if self.settings.history else None)

    async def start(self) -> None:
        """Find plugins and open the history. What fails is told and gone without."""
        try:
            await asyncio.to_thread(load_parts)
            self._seen = await asyncio.to_thread(self._stamps)
            await self._find_plugins()
            await self._open_history()
        finally:
            self.ready.set()

    async def _find_plugins(self) -> None:
        from registry.threads import call_with_limit

        problems: list[JackfieldError] = []
        find = partial(find_manifests, self.paths, complain=problems.append)
        try:
            manifests = await call_with_limit(find, limit_s=DISCOVERY_LIMIT_S, name="find plugins")
        except TimeoutError:
            self._complain(
                JackfieldError(
                    "Plugins were not found in time",
                    hint="Start again; if it happens again, start with --safe-mode.",
                )
            )
            return
        for problem in problems:
            self._complain(problem)
        fill_registry(self.registry, manifests, self.settings, plugins_off=self.plugins_off)

    async def _open_history(self) -> None:
        from tui.history.history import History
        from tui.history.writer import HistoryWriter

        try:
            set_aside = await self.history.open()
        except JackfieldError as error:
            self._complain(error)
            self.history = HistoryWriter(None)
            await self.history.open()
            return
        if set_aside is not None:
            self._complain(_damaged(set_aside))
        self.interrupted = await self.history.run(History.interrupted)
        await self.history.run(History.purge_deleted)

    async def heed_news(self) -> list[InstalledPlugin]:
        """Switch off what marketplaces withdrew, asking them once a day; gives what is newly withdrawn.

        Raises:
            JackfieldError: what is installed cannot be read or written.
        """
        from registry.marketplace.news import heed_news

        return [] if self.plugins_off else await heed_news(self.paths, lambda: self.installer)

    async def choose_model(self, reference: str | None = None) -> ModelChoice:
        """The model of this reference, or the one that the user chose last, or the first that can answer.

        Raises:
            JackfieldError: there is none.
        """
        await self.ready.wait()
        from registry.models import choose_model, first_model

        if reference is not None:
            return choose_model(self.registry, reference)
        if self.settings.model is not None:
            with suppress(JackfieldError):
                return choose_model(self.registry, self.settings.model)
        return await first_model(self.registry, lambda: self.connections)

    async def keep_model(self, reference: str) -> None:
        """Write down which model to begin with from now on.

        Raises:
            JackfieldError: the configuration cannot be written.
        """
        await self._update({("model",): reference})

    async def keep_favourites(self, references: Sequence[str]) -> None:
        """Write down which models the picker shows first.

        Raises:
            JackfieldError: the configuration cannot be written.
        """
        await self._update({("favourites",): list(references) or None})

    async def keep_theme(self, theme: str) -> None:
        """Write down which theme to begin with from now on.

        Raises:
            JackfieldError: the configuration cannot be written.
        """
        await self._update({("theme",): theme})

    async def keep_store(self, kind: StoreKind) -> None:
        """Write down where secrets are kept from now on.

        Raises:
            JackfieldError: the configuration cannot be written.
        """
        await self._update({("secrets", "store"): str(kind)})

    async def switch_plugin(self, handle: PluginHandle, *, on: bool) -> None:
        """Switch a plugin on or off, at once and from now on.

        The switch holds for this run even when it cannot be written down.

        Raises:
            JackfieldError: it cannot be switched on, or the configuration cannot be written.
        """
        async with self._switching:
            if not self.plugins_off:
                await (self.registry.enable(handle.name) if on else self.registry.disable(handle.name))
            await self._update({("plugins", handle.name, "enabled"): on})
            self._switches[handle.name] = on  # once config.toml says so, and not before

    async def toggle_plugin(self, handle: PluginHandle) -> None:
        """Switch a plugin to what it is not; asked again while that is at work, it is undone.

        Raises:
            JackfieldError: see `switch_plugin`.
        """
        async with self._toggling:
            await self.switch_plugin(handle, on=not handle.contributes)

    def _stamps(self) -> tuple[tuple[int, int], ...]:
        """What tells one state of the files that others write from another."""
        from registry.marketplace.installed import installed_file
        from registry.marketplace.sources import sources_file

        files = (self.paths.config_file, installed_file(self.paths), sources_file(self.paths))
        return tuple(_stamp(file) for file in files)

    async def follow_when_changed(self) -> None:
        """Heed what others did, if they did anything since this was asked last."""
        if self.plugins_off or self._following.locked():
            return
        async with self._following:
            stamps = await asyncio.to_thread(self._stamps)
            if stamps == self._seen:
                return
            marketplaces_changed = stamps[-1] != self._seen[-1]
            self._seen = stamps
            await self.follow_others()
            if marketplaces_changed and "storefront" in vars(self) and self.storefront.loaded:
                await self.storefront.load()

    async def follow_others(self) -> None:
        """Heed what the command line, or another Jackfield, installed, removed and switched meanwhile.

        What cannot be read, or not be switched on, stays as it was.
        """
        if self.plugins_off:
            return
        from registry.marketplace.installed import installed_file

        with suppress(JackfieldError):
            if self._followed or await asyncio.to_thread(installed_file(self.paths).exists):
                self._followed = True
                await asyncio.to_thread(import_module, "registry.marketplace.live")  # a third of a second
                await self.installer.follow()
        async with self._switching:
            await self._follow_switches()

    async def _follow_switches(self) -> None:
        now = _switches((await asyncio.to_thread(load_config, self.paths)).settings)
        for handle in self.registry.handles():
            on = now.get(handle.name)
            if on is None or on == self._switches.get(handle.name):
                continue
            self._switches[handle.name] = on
            with suppress(JackfieldError):
                await (self.registry.enable(handle.name) if on else self.registry.disable(handle.name))

    async def recent_prompts(self) -> list[str]:
        """What the user said before, the latest first."""
        from tui.history.history import History

        return await self.history.run(History.prompts)

    async def _update(self, changes: Changes) -> None:
        from registry.threads import call_with_limit

        write = partial(update_config, self.paths, changes)
        async with self._writing:  # so that what is kept in memory is what was written last
            self._write = asyncio.ensure_future(
                call_with_limit(write, limit_s=WRITE_LIMIT_S, name="write configuration")
            )
            self.settings = (await asyncio.shield(self._write)).settings

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Around an answer: the app does not close before it was written down."""
        done = asyncio.get_running_loop().create_future()
        self._answering.add(done)
        try:
            yield
        finally:
            self._answering.discard(done)
            done.set_result(None)

    async def aclose(self) -> None:
        """Close plugins and the history, after the answers that are being stopped; called once."""
        if self._answering:
            await asyncio.wait(self._answering, timeout=ANSWER_LIMIT_S)
        if self._write is not None:
            await asyncio.wait({self._write}, timeout=ANSWER_LIMIT_S)
        if "storefront" in vars(self):
            await self.storefront.aclose()
        if "connections" in vars(self):
            await self.connections.aclose()
        await self.registry.aclose()
        if self.ready.is_set():
            await self.history.aclose()


def load_parts() -> None:
    """Import what a conversation needs and the first frame does not; called in a thread."""
    for name in (
        "registry.models",
        "registry.connections",
        "tui.turn_view",
        "tui.history.writer",
        "tui.slash",
        "tui.facts",
    ):
        import_module(name)


def _switches(settings: Settings) -> dict[str, bool | None]:
    return {name: plugin.enabled for name, plugin in settings.plugins.items()}


def _damaged(set_aside: Path) -> JackfieldError:
    return JackfieldError(
        "The history was damaged, so a new one was begun",
        detail=f"The damaged file is kept as {set_aside.name}.",
        hint="Earlier conversations may be recovered from it with the sqlite3 program.",
    )


def _stamp(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
