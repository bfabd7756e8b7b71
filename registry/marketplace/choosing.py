"""Which version of a plugin is meant."""

from __future__ import annotations

from collections.abc import Sequence

from registry.errors import JackfieldError
from registry.marketplace.entry import Entry, Revocation, Version
from registry.marketplace.rules import withdrawing
from registry.text import safe_text


def choose_version(entry: Entry, wanted: str | None, revocations: Sequence[Revocation] = ()) -> Version:
    """The version of this number; without one, the newest final one that was neither yanked nor revoked.

    Where all of them were, it is the newest of them: so that it can be said why it is not installed.

    Raises:
        JackfieldError: there is none.
    """
    if wanted is not None:
        version = entry.version(wanted)
        if version is None:
            have = ", ".join(version.version for version in entry.versions[:10])
            raise JackfieldError(
                f"{entry.id} has no version {safe_text(wanted, single_line=True, limit=40)}",
                detail=f"Versions: {have}",
            )
        return version
    offered = offered_versions(entry, revocations) or newest_first(entry.versions)
    if not offered:
        raise JackfieldError(f"{entry.id} has no version yet")
    return offered[0]


def offered_versions(entry: Entry, revocations: Sequence[Revocation]) -> list[Version]:
    """What was neither yanked nor revoked, the newest first; only final versions, if any is."""
    from packaging.version import Version as Number

    usable = [
        version
        for version in entry.versions
        if not version.yanked and not withdrawing(revocations, entry.id, version.version)
    ]
    final = [version for version in usable if not Number(version.version).is_prerelease]
    return newest_first(final or usable)


def newest_first(versions: Sequence[Version]) -> list[Version]:
    """Versions by their numbers, the highest first."""
    from packaging.version import Version as Number

    return sorted(versions, key=lambda version: Number(version.version), reverse=True)
