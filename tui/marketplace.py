"""What the marketplace screens stand on: the list, what is installed, and installations under way."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

from jackfield import __version__
from registry.errors import JackfieldError
from registry.marketplace.catalogue_index import CatalogueIndex, load_index
from registry.marketplace.installed import InstalledPlugin, current_versions, read_installed
from registry.marketplace.machine import Machine
from registry.marketplace.rows import Row
from registry.marketplace.sources import Source, read_sources
from registry.text import safe_text
from tui.market_jobs import Job, Jobs
from tui.market_pages import Known
from tui.market_rows import row_of
from tui.market_text import Origin, Standing

if TYPE_CHECKING:
    from registry.handle import PluginHandle
    from registry.marketplace.consent import Confirm, Request
    from registry.marketplace.finding import Found
    from registry.marketplace.install import Step
    from registry.marketplace.live import Change, LiveInstaller
    from registry.marketplace.planning import Plan
    from registry.paths import Paths
    from registry.registry import PluginRegistry
    from tui.host import Host


_T = TypeVar("_T")
ERRAND_LIMIT_S: Final = 5.0
"""How long the end of the app waits for what is being done to installed plugins, in seconds."""


class Storefront:
    """All plugins in one list, and what can be done with them. Made when it is first looked at.

    Args:
        host: whose plugins and files it is about.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self.paths: Paths = host.paths
        self.index = CatalogueIndex(machine=Machine(__version__))
        self.installed: dict[str, InstalledPlugin] = {}
        self.sources: tuple[Source, ...] = ()
        self.loaded = False
        """Whether the list is complete, as far as it is on this machine."""
        self.refreshing = False
        self.problems: dict[str, JackfieldError] = {}
        """Why a marketplace could not be asked, by its name."""
        self.trouble: JackfieldError | None = None
        """Why there is no list at all."""
        self.jobs = Jobs(self._work, self._tell, host.tell_installed)
        self._listeners: list[Callable[[], None]] = []
        self._found: dict[tuple[str, str], Found] = {}
        self._own: frozenset[tuple[str, str]] = frozenset()
        """Names and versions of what the list has beside the catalogues."""
        self._handles: dict[str, PluginHandle] = {}
        """The plugins that are here by their names; empty until they are needed."""
        self._errands: dict[str, asyncio.Task[Any]] = {}
        """What is being done to installed plugins, by id: a screen that is left does not end it halfway."""
        self._loading = asyncio.Lock()
        self._follow = host.registry.subscribe(self._registry_changed)
        self._reload: asyncio.Task[None] | None = None
        self._changed = False

    @cached_property
    def live(self) -> LiveInstaller:
        """What installs, updates and removes with effect on the running app."""
        return self._host.installer

    @property
    def registry(self) -> PluginRegistry:
        """All plugins that are here."""
        return self._host.registry

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called after every change; gives a function that ends it."""
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    def _registry_changed(self) -> None:
        """Draw anew at once, and see what there is now."""
        self._handles.clear()
        self._changed = True
        if self.loaded and (self._reload is None or self._reload.done()):
            self._reload = asyncio.create_task(self._look_again(), name="look at installed plugins")
        self._tell()

    async def _look_again(self) -> None:
        """Somebody switched, installed or removed something, here or with the command line."""
        while self._changed:  # once more where something changed while this was looked at
            self._changed = False
            await self.read_installed()
            if self._own_names() != self._own:
                await self.load()

    async def follow_others(self) -> None:
        """Heed what somebody else installed, removed and switched meanwhile."""
        await self._host.follow_others()
        await self.read_installed()

    async def load(self) -> None:
        """Read what is on this machine; no network is used."""
        await self._host.ready.wait()
        async with self._loading:
            try:
                await self._load()
                self.trouble = None
            except JackfieldError as error:
                self.trouble = error
            self.loaded = True
        self._tell()

    async def _load(self) -> None:
        self.sources = await asyncio.to_thread(read_sources, self.paths)
        trouble = await self._read_installed()
        own = list(self._own_rows())
        self._own = self._own_names()
        self.index = await asyncio.to_thread(load_index, self.paths, more=own)
        gc.freeze()  # ten thousand rows stay: no later collection has to look through them while one types
        self._found.clear()
        self.jobs.forget_all_but({row.key for row in self.index.rows})
        self._note_installed()
        if trouble is not None:
            raise trouble  # once all else is listed

    async def _read_installed(self) -> JackfieldError | None:
        """Look at what is installed; gives why that could not be read: then what was known stays."""
        try:
            self.installed = await asyncio.to_thread(read_installed, self.paths)
        except JackfieldError as error:
            return error
        return None

    def _note_installed(self) -> None:
        self.index.note_installed(current_versions(self.installed.values(), self.sources))

    def _own_handles(self) -> Iterable[PluginHandle]:
        """What is here and came from no marketplace that is still known."""
        sold = {
            plugin_id.partition("/")[2]
            for _, plugin_id in current_versions(self.installed.values(), self.sources)
        }
        return (handle for handle in self.registry.handles() if handle.name not in sold)

    def _own_names(self) -> frozenset[tuple[str, str]]:
        return frozenset((handle.name, handle.publisher) for handle in self._own_handles())

    def _own_rows(self) -> Iterable[Row]:
        return (row_of(handle) for handle in self._own_handles())

    async def read_installed(self) -> None:
        """Look again at what is installed."""
        self.trouble = await self._read_installed() or self.trouble
        self._note_installed()
        self._tell()

    async def refresh(self) -> None:
        """Ask the marketplaces for their newest catalogues, all at once. What went wrong is in `problems`."""
        from registry.marketplace.repository import Marketplace

        self.refreshing = True
        self._tell()
        try:
            sources = await asyncio.to_thread(read_sources, self.paths)
            results = await asyncio.gather(
                *(Marketplace(source, self.paths).refresh() for source in sources), return_exceptions=True
            )
        finally:
            self.refreshing = False
            self._tell()
        for source, result in zip(sources, results, strict=True):
            self.problems.pop(source.name, None)
            if isinstance(result, JackfieldError):
                self.problems[source.name] = result
            elif isinstance(result, BaseException):
                raise result
        with suppress(JackfieldError):  # what cannot be read is told by `load`
            self._host.tell_withdrawn(await self.live.apply_revocations())
        await self._host.follow_others()
        await self.load()

    def standing(self, row: Row) -> Standing:
        """How a plugin of the list stands."""
        plugin = self._installed_of(row)
        handle = self._handle(row) if plugin is not None or not row.marketplace else None
        return Standing(
            row,
            handle,
            plugin.current.version if plugin else "",
            has_update=bool(plugin) and self.index.has_update(row),
            warned=safe_text(plugin.warned, single_line=True, limit=300) if plugin else "",
            pinned=bool(plugin and plugin.pinned),
            can_go_back=bool(plugin and plugin.before),
            unfit=self.index.reason_against(row) or self._shadowed(row),
            outranked=tuple(entry.name for entry in self.registry.outranked(handle)) if handle else (),
            job=self.jobs.get(row.key),
            ready_at=self.ready_at(row),
        )

    def _installed_of(self, row: Row) -> InstalledPlugin | None:
        """What is installed of it; nothing where that came from another marketplace than the row."""
        plugin = self.installed.get(row.id) if row.runtime == "process" else None
        return None if row.marketplace and not self.index.is_installed(row) else plugin

    def _handle(self, row: Row) -> PluginHandle | None:
        if not self._handles:
            for handle in self.registry.handles():
                self._handles.setdefault(handle.name, handle)
        return self._handles.get(row.name)

    def _shadowed(self, row: Row) -> str:
        """Why a plugin of this name cannot be installed beside those that are here."""
        if not row.marketplace or row.id in self.installed:
            return ""
        return f"Another plugin is already named {row.name}." if self._handle(row) else ""

    def oldest_days(self) -> float | None:
        """Days since the marketplace that was not asked for the longest time was; None without any."""
        ages = [shelf.age_days(datetime.now(UTC)) for shelf in self.index.shelves]
        known = [age for age in ages if age is not None]
        return max(known, default=None)

    async def found(self, row: Row) -> Found:
        """The plugin in its verified catalogue.

        Raises:
            JackfieldError: it is there no longer.
        """
        from registry.marketplace.finding import find_plugin

        if row.key not in self._found:
            self._found[row.key] = await find_plugin(self.paths, row.id, row.marketplace)
        return self._found[row.key]

    async def known(self, row: Row) -> Known:
        """All that its marketplace says of a plugin, and what of it counts here and now.

        Raises:
            JackfieldError: it cannot be had.
        """
        from registry.manifest import Manifest
        from registry.marketplace.consent import asks_of

        found = await self.found(row)
        details = await found.marketplace.details(row.id)
        version = found.entry.version(row.version)
        about = details.versions.get(row.version)
        if version is None or about is None:
            return Known(found, details, version)
        plugin = self._installed_of(row)
        rules = await asyncio.to_thread(self.live.rules, found)
        try:
            asks = asks_of(Manifest.from_json(about.manifest), about.requirements)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            detail = safe_text(str(error), single_line=True, limit=300)
            raise JackfieldError(
                f"What the marketplace says of {row.id} is damaged", detail=detail, hint="Tell the publisher."
            ) from error
        judged = rules.obstacles(found.entry, version, ignore_age=bool(plugin and plugin.ignore_age))
        here = plugin is not None and plugin.current.version == row.version
        return Known(
            found, details, version, asks, () if here else judged, rules.warnings(found.entry, version)
        )

    def ready_at(self, row: Row) -> datetime | None:
        """When a version that is too young now may be installed; None when it may be already."""
        if not row.marketplace or not row.uploaded_at or row.security:
            return None
        plugin = self._installed_of(row)
        if plugin is not None and (plugin.ignore_age or not self.index.has_update(row)):
            return None
        ready = datetime.fromtimestamp(row.uploaded_at, UTC) + self._host.settings.marketplaces.min_age
        return ready if ready > datetime.now(UTC) else None

    def start_ms(self, standing: Standing) -> float | None:
        """Milliseconds that the last start of its process took; None when none was measured."""
        from registry.runtimes.process import ProcessPlugin

        plugin = standing.handle.plugin if standing.handle else None
        return plugin.start_ms if isinstance(plugin, ProcessPlugin) else None

    def install(self, row: Row, version: str | None = None, *, ignore_age: bool = False) -> Job:
        """Begin to install a version, the newest when None. It goes on when the screen is closed."""
        return self.jobs.start(Job(row.id, row.marketplace, version, ignore_age))

    async def _work(self, job: Job, confirm: Confirm, progress: Callable[[Step], None]) -> None:
        row = next((row for row in self.index.rows if row.key == job.key), None)
        if row is None:
            raise JackfieldError(f"{job.id} is not in the catalogue any more")
        plan: Plan = await self.live.plan(await self.found(row), job.version)
        job.plan = plan
        job.change = await self.live.install(plan, confirm, progress, ignore_age=job.ignore_age)
        self.problems.pop(job.marketplace, None)  # it answers again
        await self.read_installed()

    def is_busy(self, plugin_id: str) -> bool:
        """Whether something is being done to an installed plugin."""
        return plugin_id in self._errands

    async def _to_its_end(self, plugin_id: str, work: Coroutine[Any, Any, _T]) -> _T:
        """Do something to an installed plugin, also when whoever asked for it goes away meanwhile.

        Raises:
            JackfieldError: something is being done to it already, or what `work` raises.
        """
        if self.is_busy(plugin_id):
            work.close()
            raise JackfieldError(f"Something is being done to {plugin_id} already", hint="Wait for its end.")
        task = asyncio.create_task(self._noted(work), name=f"errand for {plugin_id}")
        self._errands[plugin_id] = task
        task.add_done_callback(lambda _: self._ended(plugin_id))
        self._tell()
        return await asyncio.shield(task)

    async def _noted(self, work: Coroutine[Any, Any, _T]) -> _T:
        try:
            return await work
        finally:
            await self.read_installed()

    def _ended(self, plugin_id: str) -> None:
        del self._errands[plugin_id]
        self._tell()

    async def toggle(self, handle: PluginHandle) -> None:
        """Switch a plugin on or off, at once and from now on.

        Raises:
            JackfieldError: it cannot be switched on, or the configuration cannot be written.
        """
        await self._host.toggle_plugin(handle)

    async def roll_back(self, plugin_id: str, to: str | None) -> Change:
        """Go back to an earlier version, the one before when None.

        Raises:
            JackfieldError: there is none, or it must not run any more.
        """
        return await self._to_its_end(plugin_id, self.live.roll_back(plugin_id, to))

    async def pin(self, plugin_id: str, *, pinned: bool) -> None:
        """Have updates leave a plugin as it is, or no longer.

        Raises:
            JackfieldError: it cannot be written down.
        """
        await self._to_its_end(plugin_id, self.live.pin(plugin_id, pinned=pinned))

    async def remove(self, row: Row, *, data: bool, secrets: bool) -> None:
        """Remove a plugin's code; its data and accounts too, where that is wanted.

        Raises:
            JackfieldError: it cannot be removed.
        """
        await self._to_its_end(row.id, self.live.remove(row.id, data=data, secrets=secrets))
        self.jobs.forget(row.key)

    async def review(self, standing: Standing, confirm: Callable[[Request, Origin], Awaitable[bool]]) -> None:
        """Ask for the agreement that an installed plugin waits for.

        Raises:
            JackfieldError: the user does not agree, or it cannot be written down.
        """
        plugin = self.installed[standing.row.id]
        version = plugin.current
        is_listed = standing.row.version == version.version  # else the size is that of another version
        origin = Origin(plugin.marketplace, version.artefact, standing.row.size if is_listed else 0)

        async def ask(request: Request) -> bool:
            return await confirm(request, origin)

        await self.live.review(plugin.id, ask)
        await self.read_installed()

    async def aclose(self) -> None:
        """Stop installations, and wait a while for what cannot be left halfway."""
        self._follow()
        if self._reload is not None:
            self._reload.cancel()
        await self.jobs.aclose()
        if self._errands:
            await asyncio.wait(self._errands.values(), timeout=ERRAND_LIMIT_S)
