"""Installs what a lock file says: the same files by their hashes, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry.errors import JackfieldError
from registry.marketplace.finding import find_plugin
from registry.marketplace.install import Installer, Plan, Step
from registry.marketplace.installed import InstalledPlugin, Plugins, change_installed
from registry.marketplace.lock import (
    LockedPlugin,
    UnwrittenRows,
    lock_file,
    locked_plugin,
    read_lock,
    requirement_lines,
    write_lock,
)

if TYPE_CHECKING:
    from pathlib import Path

    from registry.marketplace.consent import Confirm
    from registry.paths import Paths


@dataclass(frozen=True, slots=True)
class Restored:
    """What restoring did."""

    installed: tuple[InstalledPlugin, ...]
    unchanged: tuple[str, ...]
    """Ids that were as the lock file says already."""
    failed: tuple[tuple[str, JackfieldError], ...]
    """Ids that could not be brought, or were not agreed to, each with the reason."""
    others: tuple[str, ...]
    """Ids that are installed though the lock file does not name them; they were left alone."""


async def restore(
    installer: Installer,
    confirm: Confirm,
    progress: Callable[[str, Step], None] = lambda _id, _step: None,
    *,
    file: Path | None = None,
    only: Sequence[str] = (),
) -> Restored:
    """Install exactly what a lock file says. What fails does not keep the others from being installed.

    Args:
        installer: where.
        confirm: asks the user for each plugin: an agreement on another machine is none here.
        progress: told the id and the step; may be called from another thread.
        file: the lock file; that of the user when None. It is not written.
        only: only these ids; all when empty.

    Raises:
        JackfieldError: the lock file cannot be read, or names none of `only`.
    """
    rows = await asyncio.to_thread(read_lock, file or lock_file(installer.paths))
    for wanted in set(only) - {row.id for row in rows}:
        raise JackfieldError(f"The lock file does not name {wanted}", hint="Install it without --locked.")
    done: list[InstalledPlugin] = []
    unchanged: list[str] = []
    failed: list[tuple[str, JackfieldError]] = []
    for row in rows:
        if only and row.id not in only:
            continue
        try:
            if await asyncio.to_thread(_is_restored, installer, row):
                unchanged.append(row.id)
            else:
                done.append(await _restore(installer, row, confirm, progress))
        except JackfieldError as error:
            failed.append((row.id, error))
    others = installer.installed().keys() - {row.id for row in rows}
    return Restored(tuple(done), tuple(unchanged), tuple(failed), tuple(sorted(others)))


async def plan_locked(installer: Installer, row: LockedPlugin) -> Plan:
    """What installing a row of a lock file would mean.

    Raises:
        JackfieldError: the marketplace that it names does not have that version, or has other content for it.
    """
    found = await find_plugin(installer.paths, row.id, row.marketplace)
    plan = await installer.plan(found, row.version, locked=True)
    if plan.version.artefact.sha256 != row.artefact:
        raise _differs(row, "Its file", row.artefact, plan.version.artefact.sha256)
    requires = requirement_lines(plan.content.requirements)
    if requires != row.requires:
        ours, theirs = (" ".join(lines) or "none" for lines in (row.requires, requires))
        raise _differs(row, "Its dependencies", ours[:120], theirs[:120])
    return plan


async def write_lock_anew(installer: Installer) -> tuple[LockedPlugin, ...]:
    """Have the lock file say what is installed, and nothing else; gives its rows.

    Raises:
        JackfieldError, OSError: what is installed cannot be read, or the lock file cannot be written.
    """
    return await asyncio.to_thread(_write_lock_anew, installer.paths)


def _write_lock_anew(paths: Paths) -> tuple[LockedPlugin, ...]:
    rows: tuple[LockedPlugin, ...] = ()

    def write(_: Plugins, now: Plugins) -> None:  # while nobody else changes what is installed
        nonlocal rows
        rows = tuple(sorted(locked_plugin(plugin) for plugin in now.values()))
        write_lock(lock_file(paths), rows)
        UnwrittenRows(paths).clear()

    change_installed(paths, lambda _: None, write)
    return rows


async def _restore(
    installer: Installer, row: LockedPlugin, confirm: Confirm, progress: Callable[[str, Step], None]
) -> InstalledPlugin:
    plan = await plan_locked(installer, row)
    plugin = await installer.install(plan, confirm, lambda step: progress(row.id, step))
    if plugin.pinned == row.pinned:
        return plugin

    def pin(plugins: Plugins) -> None:
        if row.id in plugins:
            plugins[row.id] = replace(plugins[row.id], pinned=row.pinned)

    return (await installer.change(pin)).get(row.id, plugin)


def _is_restored(installer: Installer, row: LockedPlugin) -> bool:
    plugin = installer.installed().get(row.id)
    return (
        plugin is not None
        and (plugin.current.version, plugin.current.artefact) == (row.version, row.artefact)
        and requirement_lines(plugin.current.requirements) == row.requires
        and installer.store.is_sound(plugin.current.tree)
    )


def _differs(row: LockedPlugin, what: str, ours: str, theirs: str) -> JackfieldError:
    return JackfieldError(
        f"{row.marketplace} has another content for {row.id} {row.version}",
        detail=f"{what}: locked is {ours}, there is {theirs}.",
        hint="Nothing was changed. A version must not change; ask the publisher before you lock it anew.",
    )
