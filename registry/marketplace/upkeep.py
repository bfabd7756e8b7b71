"""What is done with installed plugins: go back, pin, remove, verify, look for updates, heed revocations."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import JackfieldError
from registry.marketplace.choosing import choose_version
from registry.marketplace.consent import Ask, Confirm, ConsentError, Request, more_than
from registry.marketplace.entry import Entry, Severity
from registry.marketplace.finding import Found, catalogues
from registry.marketplace.grants import agreed, asked_by, is_granted
from registry.marketplace.installed import InstalledPlugin, InstalledVersion, Plugins
from registry.marketplace.kept import State, kept_state, note_heeded
from registry.marketplace.left_behind import left_behind, note_left_behind
from registry.marketplace.repository import Marketplace
from registry.marketplace.rules import revoking, withdrawing
from registry.marketplace.sources import Source, cache_folder, read_sources
from registry.marketplace.switches import forget_choice
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.marketplace.entry import Revocation
    from registry.marketplace.install import Installer


@dataclass(frozen=True, slots=True)
class Update:
    """A newer version of an installed plugin."""

    plugin: InstalledPlugin
    newest: str
    pinned: bool
    security: bool


@dataclass(frozen=True, slots=True)
class Damage:
    """Code in the store that is not what was installed."""

    plugin: InstalledPlugin
    version: InstalledVersion
    missing: bool
    """Whether it is gone, as against changed."""


def find_installed(installer: Installer, wanted: str) -> InstalledPlugin:
    """The installed plugin of an id or a name.

    Raises:
        JackfieldError: it was not installed from a marketplace.
    """
    for plugin in installer.installed().values():
        if wanted in (plugin.id, plugin.name):
            return plugin
    raise not_installed(wanted)


def not_installed(wanted: str) -> JackfieldError:
    """What to say of something that is not there."""
    shown = safe_text(wanted, single_line=True, limit=130)
    return JackfieldError(
        f"{shown} was not installed from a marketplace",
        hint="`jackfield plugins list` shows what is there; built-in plugins can only be switched off.",
    )


async def roll_back(installer: Installer, plugin_id: str, to: str | None = None) -> InstalledPlugin:
    """Make an earlier version current again; nothing is downloaded.

    Args:
        installer: where.
        plugin_id: which plugin; its name will do.
        to: one of those that are kept; the one before the current one when None.

    Raises:
        JackfieldError: there is no such earlier version here, its code is damaged, or it must not run.
    """
    plugin = find_installed(installer, plugin_id)
    target = way_back(plugin, to)
    if not await asyncio.to_thread(installer.store.is_sound, target.tree):
        raise JackfieldError(
            f"The code of {plugin.id} {target.version} is damaged",
            hint=f"Install it anew: `jackfield plugins install {plugin.id}=={target.version}`.",
        )
    await _refuse_forbidden(installer, plugin, target)
    asks = _asked_by(plugin, target)

    def change(plugins: Plugins) -> None:
        known = _there(plugins, plugin.id)
        if target not in known.earlier:
            raise JackfieldError(f"{plugin.id} was changed by another Jackfield", hint="Look at it again.")
        moved = known.moved_to(target)
        more = more_than(moved.granted(), asks)
        plugins[plugin.id] = replace(moved, reviewed=False) if more else agreed(moved)

    return (await installer.change(change))[plugin.id]


def way_back(plugin: InstalledPlugin, to: str | None) -> InstalledVersion:
    """The version that `roll_back` would make current.

    Raises:
        JackfieldError: it is not kept here, or none is that came before.
    """
    named = (version for version in plugin.earlier if version.version == to)
    target = plugin.before if to is None else next(named, None)
    if target is None:
        raise _no_way_back(plugin, to)
    return target


def _no_way_back(plugin: InstalledPlugin, to: str | None) -> JackfieldError:
    kept = ", ".join(version.version for version in plugin.earlier)
    title = f"There is no earlier version of {plugin.id} to go back to"
    hint = ""
    if to is not None:
        title = f"{plugin.id} {safe_text(to, single_line=True, limit=40)} is not kept here"
        hint = f"`jackfield plugins install {plugin.id}==VERSION` brings another version."
    elif kept:
        hint = f"Name the one that you want: `jackfield plugins rollback {plugin.id} VERSION`."
    detail = f"{plugin.current.version} is installed; kept beside it: {kept or 'none'}."
    return JackfieldError(title, detail=detail, hint=hint)


def _there(plugins: Plugins, plugin_id: str) -> InstalledPlugin:
    if plugin_id not in plugins:
        raise JackfieldError(f"{plugin_id} was removed by another Jackfield")
    return plugins[plugin_id]


async def _refuse_forbidden(installer: Installer, plugin: InstalledPlugin, version: InstalledVersion) -> None:
    """Nothing becomes current, or is agreed to, that must not be installed now; no network is used."""
    found = await _last_known(installer, plugin)
    for revocation in withdrawing(found.revocations, plugin.id, version.version):
        raise JackfieldError(
            f"{plugin.id} {version.version} was revoked",
            detail=revocation.reason,
            hint="Nothing was changed. Choose another version.",
        )
    rules = await asyncio.to_thread(installer.rules, found)
    obstacles = rules.obstacles_to_kept(found.entry, version.version)
    if obstacles:
        raise JackfieldError(
            f"{plugin.id} {version.version} must not run here",
            detail=" ".join(obstacle.reason for obstacle in obstacles),
            hint=obstacles[0].hint or "Nothing was changed.",
        )


async def _last_known(installer: Installer, plugin: InstalledPlugin) -> Found:
    """What its marketplace said last of an installed plugin: its name alone, if there is nothing any more."""
    named = Entry(id=plugin.id, versions=())
    for place, catalogue, is_old in await catalogues(installer.paths, only={plugin.id}):
        if plugin.is_from(place.source):
            entry = next((entry for entry in catalogue.entries if entry.id == plugin.id), named)
            return Found(place, entry, catalogue.revocations, is_old)
    gone = Source(plugin.marketplace, "", plugin.fingerprint, datetime.now(UTC))
    return Found(Marketplace(gone, installer.paths), named, (), is_old=False)


def _asked_by(plugin: InstalledPlugin, version: InstalledVersion) -> tuple[Ask, ...]:
    try:
        return asked_by(version)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise JackfieldError(
            f"What is written down of {plugin.id} {version.version} is damaged",
            detail=safe_text(str(error), single_line=True, limit=300),
            hint="Nothing was changed. Install it again.",
        ) from error


async def review(installer: Installer, plugin_id: str, confirm: Confirm) -> InstalledPlugin:
    """Ask for what the installed version asks for beyond what was agreed to, and write the answer down.

    Args:
        installer: where.
        plugin_id: which plugin.
        confirm: asks the user.

    Raises:
        ConsentError: they did not agree; it stays off.
        JackfieldError: it is not installed, must not be, or it cannot be written.
    """
    plugin = find_installed(installer, plugin_id)
    if is_granted(plugin):
        return plugin
    await _refuse_forbidden(installer, plugin, plugin.current)
    asks = _asked_by(plugin, plugin.current)
    more = more_than(plugin.granted(), asks)
    request = Request(plugin.id, plugin.current.version, asks, more or asks, is_update=True)
    if await confirm(request) is not True:
        raise ConsentError(
            f"{plugin.id} stays off",
            detail="You did not agree to what it asks for.",
            hint=f"`jackfield plugins rollback {plugin.id}` goes back to the version before.",
        )

    def change(plugins: Plugins) -> None:
        known = _there(plugins, plugin.id)
        if known.current != plugin.current:
            raise JackfieldError(f"{plugin.id} was changed by another Jackfield", hint="Look at it again.")
        plugins[plugin.id] = agreed(known)

    return (await installer.change(change))[plugin.id]


async def pin(installer: Installer, plugin_id: str, *, pinned: bool) -> InstalledPlugin:
    """Have updates leave a plugin as it is, or no longer.

    Raises:
        JackfieldError: it is not installed, or it cannot be written.
    """
    plugin = find_installed(installer, plugin_id)

    def change(plugins: Plugins) -> None:
        plugins[plugin.id] = replace(_there(plugins, plugin.id), pinned=pinned)

    return (await installer.change(change))[plugin.id]


async def remove(
    installer: Installer, plugin_id: str, *, data: bool, secrets: bool
) -> InstalledPlugin | None:
    """Forget a plugin and that it was on, and remove its code; also what one that was removed left behind.

    Args:
        installer: where.
        plugin_id: which plugin, with its publisher.
        data: remove the folder that belongs to it too.
        secrets: its secrets are gone already, by `Connections.forget_plugin`. What stays of data or secrets
            is for nobody but this plugin, should it be installed again.

    Returns:
        What was removed; None if only something left behind was.

    Raises:
        JackfieldError: it is not here, or cannot be removed.
    """
    plugin = installer.installed().get(plugin_id)
    name = plugin_id.partition("/")[2]
    if plugin is None and left_behind(installer.paths).get(name) != plugin_id:
        raise not_installed(plugin_id)
    folder = installer.paths.plugin_data(name)

    def note() -> None:
        note_left_behind(installer.paths, plugin_id, something=folder.is_dir() or not secrets)

    def clear() -> None:
        if data:
            shutil.rmtree(folder, ignore_errors=True)
        note()

    await asyncio.to_thread(note)  # whatever ends this early, what is here has an owner
    if plugin is not None:
        await asyncio.to_thread(forget_choice, installer.paths, name)
    await installer.change(lambda plugins: _forget(plugins, plugin_id))
    await asyncio.to_thread(clear)
    return plugin


def _forget(plugins: Plugins, plugin_id: str) -> None:
    plugins.pop(plugin_id, None)


async def verify(installer: Installer) -> list[Damage]:
    """Hash all code in the store again; what is not what was installed, in order."""

    def work() -> list[Damage]:
        return [
            Damage(plugin, version, missing=not installer.store.has(version.tree))
            for plugin in installer.installed().values()
            for version in (plugin.current, *plugin.earlier)
            if not installer.store.is_sound(version.tree)
        ]

    return await asyncio.to_thread(work)


async def outdated(installer: Installer) -> list[Update]:
    """Installed plugins with a newer version in the catalogue that was fetched last."""
    from packaging.version import Version as Number

    plugins = installer.installed()
    entries = {
        (place.source.name, entry.id): (place.source, entry, catalogue.revocations)
        for place, catalogue, _ in await catalogues(installer.paths, only=plugins)
        for entry in catalogue.entries
    }
    updates: list[Update] = []
    for plugin in plugins.values():
        source, entry, revocations = entries.get((plugin.marketplace, plugin.id), (None, None, ()))
        if source is None or entry is None or not entry.versions or not plugin.is_from(source):
            continue
        newest = choose_version(entry, None, revocations)
        if Number(newest.version) > Number(plugin.current.version):
            updates.append(Update(plugin, newest.version, plugin.pinned, newest.security))
    return updates


async def apply_revocations(installer: Installer) -> list[InstalledPlugin]:
    """Mark what its marketplace withdrew or warns of, and unmark what it no longer does; gives what is new.

    Uses the catalogues that were fetched last, so it works offline. Call it before any plugin's code runs.
    """
    states = await asyncio.to_thread(_states, installer)
    here = await catalogues(installer.paths, only=())
    known = {place.source.name: (place.source, catalogue.revocations) for place, catalogue, _ in here}

    def marked(plugin: InstalledPlugin) -> InstalledPlugin:
        for source, revocations in known.values():
            if plugin.is_from(source):
                revoked, warned = _marks(revocations, plugin)
                return replace(plugin, revoked=revoked, warned=warned)
        return plugin  # what was revoked stays so when its marketplace cannot be asked

    now = installer.installed()
    changed = [plugin.id for plugin in now.values() if marked(plugin) != plugin]

    def change(plugins: Plugins) -> None:
        for plugin_id in set(changed) & plugins.keys():
            plugins[plugin_id] = marked(plugins[plugin_id])  # another version may be current by now

    after = await installer.change(change) if changed else now
    await asyncio.to_thread(
        _note_heeded, {folder: states[folder] for folder in states if folder.name in known}
    )
    there = [after[plugin_id] for plugin_id in changed if plugin_id in after]
    return [plugin for plugin in there if plugin.revoked or plugin.warned]


def _states(installer: Installer) -> dict[Path, State]:
    """Which state each marketplace is in, by its folder."""
    folders = [cache_folder(installer.paths, source.name) for source in read_sources(installer.paths)]
    return {folder: state for folder in folders if (state := kept_state(folder)) is not None}


def _note_heeded(states: Mapping[Path, State]) -> None:
    for folder, state in states.items():
        with suppress(OSError):  # then it is looked at once more
            note_heeded(folder, state)


def _marks(revocations: Sequence[Revocation], plugin: InstalledPlugin) -> tuple[str, str]:
    """Why its version was withdrawn, and what is to be known of one that was not."""
    found = revoking(revocations, plugin.id, plugin.current.version)
    reasons = {
        warns: [
            each.reason or "no reason given" for each in found if (each.severity is Severity.WARN) is warns
        ]
        for warns in (False, True)
    }
    if reasons[False]:
        return reasons[False][0], ""
    return "", " ".join(reasons[True])


__all__ = [
    "Damage",
    "Update",
    "apply_revocations",
    "find_installed",
    "is_granted",
    "outdated",
    "pin",
    "remove",
    "review",
    "roll_back",
    "verify",
]
