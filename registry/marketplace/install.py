"""Installs plugins: authorise, download, verify, unpack, fetch dependencies; then one change of a pointer.

Until the last step everything happens in folders that have no name in the store, so that an end at any moment
leaves what was installed as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from registry.errors import JackfieldError
from registry.marketplace.archive import ArchiveError, unpack
from registry.marketplace.consent import Ask, Confirm, asks_of, authorize_install, more_than
from registry.marketplace.dependencies import fetch_dependencies
from registry.marketplace.finding import Found, choose_version
from registry.marketplace.installed import (
    InstalledPlugin,
    InstalledVersion,
    change_installed,
    read_installed,
    trees_in_use,
)
from registry.marketplace.lock import lock_file, locked_plugin, requirement_lines, write_lock
from registry.marketplace.store import Store, remove_tree
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.manifest import Manifest
    from registry.marketplace.entry import Version, VersionDetails
    from registry.marketplace.rules import Obstacle, Rules
    from registry.paths import Paths


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Step:
    """How far an installation is."""

    what: Literal["download", "unpack", "dependencies", "done"]
    done: int = 0
    total: int | None = None
    """Bytes, where they are known."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What installing a version would mean."""

    found: Found
    version: Version
    details: VersionDetails
    manifest: Manifest
    asks: tuple[Ask, ...]
    more: tuple[Ask, ...]
    """What of it was not agreed to before."""
    obstacles: tuple[Obstacle, ...]
    """Why it cannot be done; empty when it can."""
    before: InstalledPlugin | None
    """What is installed of it now."""

    @property
    def id(self) -> str:
        """The plugin."""
        return self.found.entry.id

    @property
    def is_needed(self) -> bool:
        """Whether another version than this one is current."""
        return self.before is None or self.before.current.artefact != self.version.artefact.sha256


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

    async def plan(self, found: Found, version: str | None = None) -> Plan:
        """What installing a version would mean; nothing is changed.

        Args:
            found: the plugin.
            version: its number; the newest that may be used when None.

        Raises:
            JackfieldError: there is no such version, or its details cannot be had.
        """
        chosen = choose_version(found.entry, version)
        details = (await found.marketplace.details(found.entry.id)).versions.get(chosen.version)
        if details is None:
            raise JackfieldError(f"The marketplace says nothing of {found.entry.id} {chosen.version}")
        before = self.installed().get(found.entry.id)
        manifest = _manifest(found, chosen, details)
        asks = asks_of(manifest, details.requirements)
        obstacles = self._rules(found).obstacles(
            found.entry, chosen, ignore_age=before.ignore_age if before else False
        )
        granted = before.granted() if before else None
        return Plan(found, chosen, details, manifest, asks, more_than(granted, asks), obstacles, before)

    async def install(
        self,
        plan: Plan,
        confirm: Confirm,
        progress: Callable[[Step], None] = lambda _: None,
        *,
        ignore_age: bool = False,
        locked: bool = False,
    ) -> InstalledPlugin:
        """Install what was planned; the plugin is not switched on by it.

        Args:
            plan: what.
            confirm: asks the user; see `authorize_install`.
            progress: told each step; may be called from another thread.
            ignore_age: take a version that is younger than the minimum age, now and for later updates.
            locked: a lock file names exactly this version.

        Raises:
            JackfieldError: it was not agreed to, or failed. What was installed is as it was.
        """
        before = plan.before
        consent = await authorize_install(
            plan.found.entry,
            plan.version,
            plan.asks,
            self._rules(plan.found),
            granted=before.granted() if before else None,
            confirm=confirm,
            locked=locked,
            ignore_age=ignore_age or bool(before and before.ignore_age),
        )
        tree = await self._bring(plan, progress)
        version = InstalledVersion(
            version=plan.version.version,
            tree=tree,
            artefact=plan.version.artefact.sha256,
            requirements=plan.details.requirements,
            installed_at=datetime.now(UTC).isoformat(timespec="seconds"),
            manifest=plan.details.manifest,
            launch=plan.details.launch,
        )

        def note(plugins: dict[str, InstalledPlugin]) -> None:
            known = plugins.get(plan.id)
            plugin = known.moved_to(version) if known else InstalledPlugin(plan.id, "", version)
            plugins[plan.id] = replace(
                plugin,
                marketplace=plan.found.marketplace.source.name,
                grant=consent.hash,
                asks=tuple((ask.kind, ask.what) for ask in consent.asks),
                ignore_age=plugin.ignore_age or ignore_age,
                reviewed=True,
            )

        plugins = await self.change(note)
        progress(Step("done"))
        return plugins[plan.id]

    async def change(
        self, change: Callable[[dict[str, InstalledPlugin]], None]
    ) -> dict[str, InstalledPlugin]:
        """Change what is installed, bring the lock file in line, and remove code that nothing refers to.

        Raises:
            JackfieldError: it cannot be written.
        """

        def work() -> dict[str, InstalledPlugin]:
            plugins = change_installed(self.paths, change)
            try:
                write_lock(lock_file(self.paths), [locked_plugin(plugin) for plugin in plugins.values()])
                self.store.sweep(trees_in_use(plugins))
            except (OSError, ValueError) as error:
                raise JackfieldError(
                    "The lock file or the store could not be brought in line",
                    detail=safe_text(str(error), single_line=True),
                    hint="What was asked for is done; `jackfield plugins lock` writes the lock file anew.",
                ) from error
            return plugins

        return await asyncio.to_thread(work)

    async def _bring(self, plan: Plan, progress: Callable[[Step], None]) -> str:
        """Bring the code of a version into the store; gives the hash of its tree."""
        folder = work = None
        try:
            folder, work = (
                await asyncio.to_thread(self.store.begin),
                await asyncio.to_thread(self.store.begin),
            )
            size = plan.version.artefact.size
            progress(Step("download", 0, size))
            archive = await plan.found.marketplace.artefact(
                plan.version.artefact, work, lambda done, total: progress(Step("download", done, total))
            )
            progress(Step("unpack"))
            await _finished(partial(_unpack_plugin, archive, folder))
            if plan.details.requirements.strip():
                progress(Step("dependencies"))
                lines = requirement_lines(plan.details.requirements)
                await fetch_dependencies("".join(f"{line}\n" for line in lines), folder, work)
            return await _finished(partial(self.store.keep, folder))
        except (OSError, ValueError) as error:
            raise JackfieldError(
                f"{plan.id} could not be put into the store",
                detail=safe_text(str(error), single_line=True),
                hint="Nothing was changed. Make room on the disk, then try again.",
            ) from error
        finally:
            for leftover in (folder, work):
                if leftover is not None and leftover.is_dir():
                    await _finished(partial(remove_tree, leftover))


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


def _manifest(found: Found, version: Version, details: VersionDetails) -> Manifest:
    """What the catalogue says of a version, checked against its entry.

    Raises:
        JackfieldError: it is no manifest, or that of another plugin.
    """
    from registry.manifest import Manifest

    entry = found.entry
    try:
        manifest = Manifest.from_json(details.manifest)
        if (manifest.name, manifest.version) != (entry.name, version.version):
            raise ValueError(f"it is the manifest of {manifest.name} {manifest.version}")
        if manifest.problem:
            raise ValueError(manifest.problem)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise JackfieldError(
            f"What the marketplace says of {entry.id} {version.version} is damaged",
            detail=safe_text(str(error), single_line=True, limit=300),
            hint="Tell the publisher.",
        ) from error
    return replace(manifest, publisher=entry.publisher)
