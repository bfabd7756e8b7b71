"""Which version of a plugin is meant."""

from __future__ import annotations

from registry.errors import JackfieldError
from registry.marketplace.entry import Entry, Version
from registry.text import safe_text


def choose_version(entry: Entry, wanted: str | None) -> Version:
    """The version of this number; without one, the newest final one that was not yanked.

    Raises:
        JackfieldError: there is none.
    """
    from packaging.version import Version as Number

    if wanted is not None:
        version = entry.version(wanted)
        if version is None:
            have = ", ".join(version.version for version in entry.versions[:10])
            raise JackfieldError(
                f"{entry.id} has no version {safe_text(wanted, single_line=True, limit=40)}",
                detail=f"Versions: {have}",
            )
        return version
    usable = [version for version in entry.versions if not version.yanked]
    final = [version for version in usable if not Number(version.version).is_prerelease]
    candidates = final or usable or list(entry.versions)
    if not candidates:
        raise JackfieldError(f"{entry.id} has no version yet")
    return max(candidates, key=lambda version: Number(version.version))
