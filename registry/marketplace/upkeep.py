"""What is done with installed plugins: go back, pin, remove, verify, look for updates, heed revocations."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry.errors import JackfieldError
from registry.marketplace.consent import asks_of, grant_hash, more_than
from registry.marketplace.entry import Severity
from registry.marketplace.finding import catalogues, choose_version
from registry.marketplace.installed import InstalledPlugin, InstalledVersion
from registry.marketplace.rules import revoking
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.manifest import Manifest
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
    shown = safe_text(wanted, single_line=True, limit=130)
    raise JackfieldError(
        f"{shown} was not installed from a marketplace",
        hint="`jackfield plugins list` shows what is there; built-in plugins can only be switched off.",
    )


async def roll_back(installer: Installer, plugin_id: str, to: str | None = None) -> InstalledPlugin:
    """Make an earlier version current again; nothing is downloaded.

    Args:
        installer: where.
        plugin_id: which plugin.
        to: the version; the one before the current one when None.

    Raises:
        JackfieldError: there is no such earlier version here, its code is damaged, or it was revoked.
    """
    plugin = installer.installed()[plugin_id]
    choices = [version for version in plugin.earlier if to is None or version.version == to]
    if not choices:
        have = ", ".join(version.version for version in plugin.earlier) or "none"
        raise JackfieldError(
            f"There is no earlier version of {plugin_id} to go back to", detail=f"Kept here: {have}."
        )
    target = choices[0]
    if not await asyncio.to_thread(installer.store.is_sound, target.tree):
        raise JackfieldError(
            f"The code of {plugin_id} {target.version} is damaged",
            hint=f"Install it anew: `jackfield plugins install {plugin_id}=={target.version}`.",
        )
    await _refuse_revoked(installer, plugin_id, target)

    def change(plugins: dict[str, InstalledPlugin]) -> None:
        moved = plugins[plugin_id].moved_to(target)
        asks = asks_of(_manifest_of(target), target.requirements)
        if not more_than(moved.granted(), asks):
            moved = replace(moved, grant=_grant(target), asks=_pairs(target), reviewed=True)
        else:
            moved = replace(moved, reviewed=False)
        plugins[plugin_id] = moved

    return (await installer.change(change))[plugin_id]


async def _refuse_revoked(installer: Installer, plugin_id: str, version: InstalledVersion) -> None:
    for _, catalogue, _ in await catalogues(installer.paths):
        for revocation in revoking(catalogue.revocations, plugin_id, version.version):
            if revocation.severity is not Severity.WARN:
                raise JackfieldError(f"{plugin_id} {version.version} was revoked", detail=revocation.reason)


async def pin(installer: Installer, plugin_id: str, *, pinned: bool) -> InstalledPlugin:
    """Have updates leave a plugin as it is, or no longer.

    Raises:
        JackfieldError: it cannot be written.
    """

    def change(plugins: dict[str, InstalledPlugin]) -> None:
        plugins[plugin_id] = replace(plugins[plugin_id], pinned=pinned)

    return (await installer.change(change))[plugin_id]


async def remove(installer: Installer, plugin_id: str, *, data: bool) -> InstalledPlugin:
    """Forget a plugin and remove its code.

    Args:
        installer: where.
        plugin_id: which plugin.
        data: remove the folder that belongs to it too.

    Returns:
        What was removed. Its secrets are for `Connections.forget_plugin`.

    Raises:
        JackfieldError: it cannot be removed.
    """
    plugin = installer.installed()[plugin_id]

    def change(plugins: dict[str, InstalledPlugin]) -> None:
        plugins.pop(plugin_id, None)

    await installer.change(change)
    if data:
        folder = installer.paths.plugin_data(plugin.name)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return plugin


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

    entries = {
        (place.source.name, entry.id): entry
        for place, catalogue, _ in await catalogues(installer.paths)
        for entry in catalogue.entries
    }
    updates: list[Update] = []
    for plugin in installer.installed().values():
        entry = entries.get((plugin.marketplace, plugin.id))
        if entry is None or not entry.versions:
            continue
        newest = choose_version(entry, None)
        if Number(newest.version) > Number(plugin.current.version):
            updates.append(Update(plugin, newest.version, plugin.pinned, newest.security))
    return updates


async def apply_revocations(installer: Installer) -> list[InstalledPlugin]:
    """Mark what its marketplace withdrew, and unmark what it no longer does; gives what is newly marked.

    Uses the catalogues that were fetched last, so it works offline. Call it before any plugin's code runs.
    """
    revocations = [
        revocation
        for _, catalogue, _ in await catalogues(installer.paths)
        for revocation in catalogue.revocations
    ]
    now = installer.installed()
    reasons = {plugin.id: _reason(revocations, plugin) for plugin in now.values()}
    changed = [plugin_id for plugin_id, plugin in now.items() if plugin.revoked != reasons[plugin_id]]
    if not changed:
        return []

    def change(plugins: dict[str, InstalledPlugin]) -> None:
        for plugin_id in set(changed) & plugins.keys():
            plugins[plugin_id] = replace(plugins[plugin_id], revoked=reasons[plugin_id])

    after = await installer.change(change)
    return [after[plugin_id] for plugin_id in changed if plugin_id in after and after[plugin_id].revoked]


def _reason(revocations: Sequence[Revocation], plugin: InstalledPlugin) -> str:
    for revocation in revoking(revocations, plugin.id, plugin.current.version):
        if revocation.severity is not Severity.WARN:
            return revocation.reason or "no reason given"
    return ""


def is_granted(plugin: InstalledPlugin) -> bool:
    """Whether what was agreed to is what the current code asks for, and was agreed to for this code."""
    return plugin.reviewed and plugin.grant == _grant(plugin.current)


def _grant(version: InstalledVersion) -> str:
    import hashlib

    closure = version.requirements
    digest = hashlib.sha256(closure.encode()).hexdigest() if closure else None
    return grant_hash(asks_of(_manifest_of(version), closure), version.artefact, digest)


def _pairs(version: InstalledVersion) -> tuple[tuple[str, str], ...]:
    return tuple((ask.kind, ask.what) for ask in asks_of(_manifest_of(version), version.requirements))


def _manifest_of(version: InstalledVersion) -> Manifest:
    from registry.manifest import Manifest

    return Manifest.from_json(version.manifest)
