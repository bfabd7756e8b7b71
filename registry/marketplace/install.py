"""Installs plugins: authorise, download, verify, unpack, fetch dependencies; then one change of a pointer.

Until the last step everything happens in folders that have no name in the store, so that an end at any moment
leaves what was installed as it was.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from registry.errors import JackfieldError, reason_of
from registry.marketplace.archive import ArchiveError, unpack
from registry.marketplace.consent import Confirm, Consent, authorize_install
from registry.marketplace.dependencies import fetch_dependencies
from registry.marketplace.finding import Found
from registry.marketplace.installed import (
    InstalledPlugin,
    Plugins,
    change_installed,
    read_installed,
    trees_in_use,
)
from registry.marketplace.left_behind import left_behind, note_left_behind
from registry.marketplace.lock import (
    UnwrittenRows,
    change_lock,
    lock_file,
    locked_plugin,
    requirement_lines,
)
from registry.marketplace.planning import Plan, make_plan, withdrawn_elsewhere
from registry.marketplace.store import Store, remove_tree
from registry.marketplace.switches import switch_off
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.marketplace.rules import Rules
    from registry.paths import Paths


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Step:
    """How far an installation is."""

    what: Literal["download", "unpack", "dependencies", "store", "done"]
    done: int = 0
    total: int | None = None
    """Bytes, where they are known."""


class Installer:
    """Installs, updates and removes on one machine.

    Args:
        paths: where everything is.
        rules: what is allowed, given what is known of a catalogue: its revocations and whether it is too old.
    """

    def __init__(self, paths: Paths, rules: Callable[[Found], Rules]) -> None:
        self.paths = paths
        self.store = Store(paths)
        self._rules = rules

    def installed(self) -> dict[str, InstalledPlugin]:
        """What is installed, by id.

        Raises:
            JackfieldError: it cannot be read.
        """
        return read_installed(self.paths)

    async def plan(self, found: Found, version: str | None = None, *, locked: bool = False) -> Plan:
        """What installing a version would mean; nothing is changed.

        Args:
            found: the plugin.
            version: its number; the newest that may be installed when None.
            locked: a lock file names exactly this version: it may be yanked or young.

        Raises:
            JackfieldError: there is no such version, or its details cannot be had or are damaged.
        """
        rules = await asyncio.to_thread(self.rules, found)
        before = self.installed().get(found.entry.id)
        return await make_plan(self.paths, found, rules, before, version, locked=locked)

    def rules(self, found: Found) -> Rules:
        """What may be installed here and now, given also which names others have here; blocking.

        What the marketplace of the installed version withdrew does not come back by way of another one.

        Raises:
            JackfieldError: what is installed cannot be read.
        """
        rules = self._rules(found)
        installed = self.installed()
        ids = {plugin.name: plugin.id for plugin in installed.values()}
        rules = replace(rules, taken={**rules.taken, **left_behind(self.paths), **ids})
        before = installed.get(found.entry.id)
        if before is None or before.is_from(found.marketplace.source):
            return rules
        elsewhere = withdrawn_elsewhere(self.paths, before)
        return replace(rules, revocations=(*rules.revocations, *elsewhere))

    async def install(
        self,
        plan: Plan,
        confirm: Confirm,
        progress: Callable[[Step], None] = lambda _: None,
        *,
        ignore_age: bool = False,
        ask_later: bool = False,
    ) -> InstalledPlugin:
        """Install what was planned; the plugin is not switched on by it.

        What replaces a plugin of another marketplace is new: everything is asked, it is off, and there is no
        way back to what it replaced.

        Args:
            plan: what.
            confirm: asks the user; see `authorize_install`.
            progress: told each step; may be called from another thread.
            ignore_age: take a version that is younger than the minimum age, now and for later updates.
            ask_later: an update that asks for more is brought without asking now, and stays off until the
                user answered; see `upkeep.review`.

        Raises:
            JackfieldError: it was not agreed to, failed, or something else was installed meanwhile. What was
                installed is as it was.
        """
        before = plan.continued
        put_off = ask_later and before is not None and bool(plan.more)
        consent = await authorize_install(
            plan.found.entry,
            plan.version,
            plan.asks,
            await asyncio.to_thread(self.rules, plan.found),
            granted=plan.asks if put_off else before.granted() if before else None,
            confirm=confirm,
            warnings=plan.warnings,
            locked=plan.locked,
            ignore_age=ignore_age or bool(before and before.ignore_age),
        )
        here = await asyncio.to_thread(self._already_here, plan)
        folder = None if here else await self._bring(plan, progress)
        progress(Step("store"))
        plugin = await self._finish(plan, folder, here, None if put_off else consent, ignore_age=ignore_age)
        progress(Step("done"))
        return plugin

    async def _finish(
        self, plan: Plan, sealed: _Sealed | None, here: str, consent: Consent | None, *, ignore_age: bool
    ) -> InstalledPlugin:
        """The one change: the folder gets its name, and the list says that it is current."""
        tree = sealed.tree if sealed else here
        version = replace(
            plan.content, tree=tree, installed_at=datetime.now(UTC).isoformat(timespec="seconds")
        )

        source = plan.found.marketplace.source

        def note(plugins: Plugins) -> None:
            there = plugins.get(plan.id)
            plan.check_still_holds(there, consent)
            known = there if there is not None and there.is_from(source) else None
            if known and known.current.is_same(version) and self.store.is_sound(known.current.tree):
                plugin = replace(known, revoked="")  # somebody else was quicker
            else:
                if sealed:
                    self.store.place(sealed.folder, sealed.tree)
                plugin = known.moved_to(version) if known else InstalledPlugin(plan.id, "", version)
            plugin = replace(
                plugin,
                marketplace=source.name,
                fingerprint=source.fingerprint,
                ignore_age=plugin.ignore_age or ignore_age,
                reviewed=False,
            )
            if consent is not None:
                asks = tuple((ask.kind, ask.what) for ask in consent.asks)
                plugin = replace(plugin, grant=consent.hash, asks=asks, reviewed=True)
            plugins[plan.id] = plugin

        try:
            if plan.continued is None and (plan.before is not None or not plan.locked):
                await asyncio.to_thread(switch_off, self.paths, plan.found.entry.name)
            plugins = await self.change(note)
        finally:
            if sealed and sealed.folder.is_dir():
                await _finished(partial(remove_tree, sealed.folder))
        await asyncio.to_thread(note_left_behind, self.paths, plan.id, something=False)
        return plugins[plan.id]

    async def change(self, change: Callable[[Plugins], None]) -> Plugins:
        """Change what is installed, bring the lock file in line, and remove code that nothing refers to.

        Cancelling it does not end it half way.

        Raises:
            JackfieldError: it cannot be written.
        """
        return await _finished(partial(self._change, change))

    def _change(self, change: Callable[[Plugins], None]) -> Plugins:
        problems: list[Exception] = []
        file = lock_file(self.paths)
        unwritten = UnwrittenRows(self.paths)

        def noted(plugins: Plugins) -> None:
            before = dict(plugins)
            change(plugins)
            ids = before.keys() | plugins.keys()
            unwritten.add(each for each in ids if before.get(each) != plugins.get(each))

        def write_rows(after: Plugins) -> None:
            ids = unwritten.ids()
            change_lock(file, {each: locked_plugin(after[each]) if each in after else None for each in ids})
            unwritten.clear()

        def then(_before: Plugins, after: Plugins) -> None:
            for work in (write_rows, lambda plugins: self.store.sweep(trees_in_use(plugins))):
                try:
                    work(after)
                except (OSError, ValueError, JackfieldError) as error:
                    problems.append(error)

        try:
            plugins = change_installed(self.paths, noted, then)
        except (OSError, ValueError) as error:
            raise JackfieldError(
                "What is installed cannot be changed",
                detail=reason_of(error),
                hint="Nothing was changed. Make room on the disk and check the permissions, then try again.",
            ) from error
        if problems:
            raise JackfieldError(
                "The lock file or the store could not be brought in line",
                detail=safe_text(str(problems[0]), limit=1000),
                hint="What was asked for is done; `jackfield plugins lock` writes the lock file anew.",
            ) from problems[0]
        return plugins

    async def tidy(self) -> None:
        """Remove what a process that was killed left behind.

        Raises:
            JackfieldError: it cannot be removed.
        """
        await self.change(lambda _: None)

    def _already_here(self, plan: Plan) -> str:
        """The tree of this very version, if it is kept here and sound; else nothing."""
        known = (plan.before.current, *plan.before.earlier) if plan.before else ()
        for version in known:
            if version.is_same(plan.content) and self.store.is_sound(version.tree):
                return version.tree
        return ""

    async def _bring(self, plan: Plan, progress: Callable[[Step], None]) -> _Sealed:
        """Bring the code of a version onto the disk of the store; it has no name there yet."""
        folders: list[Path] = []
        sealed: _Sealed | None = None
        try:
            for _ in range(4):
                folders += [await asyncio.to_thread(self.store.begin)]
            # what the publisher made lies apart from what the tool that fetches dependencies reads
            whole, own, download, work = folders
            async with self._dependencies(plan, whole, work) as dependencies:
                size = plan.version.artefact.size
                progress(Step("download", 0, size))
                archive = await plan.found.marketplace.artefact(
                    plan.version.artefact,
                    download,
                    lambda done, total: progress(Step("download", done, total)),
                )
                progress(Step("unpack"))
                await _finished(partial(_unpack_plugin, archive, own))
                if dependencies is not None:
                    progress(Step("dependencies"))
                    await dependencies
            await _finished(partial(_put_together, own, whole))
            sealed = _Sealed(whole, await _finished(partial(self.store.seal, whole)))
            return sealed
        except (OSError, ValueError) as error:
            raise JackfieldError(
                f"{plan.id} could not be put into the store",
                detail=reason_of(error),
                hint="Nothing was changed. Make room on the disk, then try again.",
            ) from error
        finally:
            for folder in folders:
                if folder.is_dir() and (sealed is None or folder != sealed.folder):
                    await _finished(partial(remove_tree, folder))

    @asynccontextmanager
    async def _dependencies(
        self, plan: Plan, folder: Path, work: Path
    ) -> AsyncGenerator[asyncio.Task[None] | None, None]:
        """Fetch the dependencies beside all else; what is not done at the end is stopped."""
        lines = requirement_lines(plan.content.requirements)
        if not lines:
            yield None
            return
        text = "".join(f"{line}\n" for line in lines)
        fetching = fetch_dependencies(text, folder, work, cache=self.paths.cache / "uv")
        task = asyncio.create_task(fetching, name=f"dependencies of {plan.id}")
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # whoever waited for it has it; else something else went wrong before


def _put_together(own: Path, whole: Path) -> None:
    """Move a plugin's own files to those of its dependencies.

    Raises:
        ArchiveError: both have a file of one name.
        OSError: one cannot be moved.
    """
    (whole / ".lock").unlink(missing_ok=True)  # uv's own
    for root, _, files in os.walk(own):
        folder = whole / Path(root).relative_to(own)
        folder.mkdir(exist_ok=True)
        for name in files:
            target = folder / name
            if target.exists():
                raise ArchiveError(
                    "A dependency brings a file of the plugin itself",
                    detail=safe_text(target.relative_to(whole).as_posix(), single_line=True, limit=200),
                    hint="Nothing was installed. Tell the publisher.",
                )
            Path(root, name).rename(target)


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A folder of a whole version, under a name that counts for nothing yet."""

    folder: Path
    tree: str


async def _finished(work: Callable[[], _T]) -> _T:
    """Do something in a thread to its end, also when whoever waits is cancelled meanwhile."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _unpack_plugin(archive: Path, folder: Path) -> None:
    """Unpack a plugin's own file. Of a wheel, what an installer would run or put elsewhere is refused.

    Raises:
        ArchiveError: it must not be unpacked.
    """
    unpack(archive, folder)
    if archive.suffix != ".whl":
        return
    startup = [path.name for path in folder.glob("*.pth")]
    elsewhere = [path.name for path in folder.glob("*.data")]
    if startup or elsewhere:
        raise ArchiveError(
            "The wheel holds what a plugin must not have",
            detail=f"It runs at every start or goes elsewhere: {', '.join([*startup, *elsewhere])[:300]}",
            hint="Nothing was installed. Tell the publisher.",
        )


__all__ = ["Installer", "Plan", "Step"]
