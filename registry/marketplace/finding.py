"""Finds plugins in the catalogues of all marketplaces that were added, as they were fetched last."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from registry.errors import JackfieldError
from registry.marketplace.entry import Catalogue, Entry, Revocation
from registry.marketplace.kept import OLD_AFTER_DAYS
from registry.marketplace.repository import Marketplace
from registry.marketplace.sources import read_sources
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.paths import Paths


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin, and where it was found."""

    marketplace: Marketplace
    entry: Entry
    revocations: tuple[Revocation, ...]
    is_old: bool
    """Whether the catalogue has not been renewed for too long."""


async def catalogues(
    paths: Paths, only: Collection[str] | None = None
) -> list[tuple[Marketplace, Catalogue, bool]]:
    """The catalogue of each marketplace that has one here, and whether it is too old; no network is used.

    Args:
        paths: where they are.
        only: ids, or names without their publishers, of the entries that are wanted; all when None.

    Raises:
        ConfigError: the list of marketplaces cannot be read.
    """
    now = datetime.now(UTC)
    found: list[tuple[Marketplace, Catalogue, bool]] = []
    for source in read_sources(paths):
        marketplace = Marketplace(source, paths)
        cached = await marketplace.cached(only)
        if cached is not None:
            found.append((marketplace, cached.catalogue, cached.age_days(now) > OLD_AFTER_DAYS))
    return found


async def find_plugin(paths: Paths, wanted: str, marketplace: str | None = None) -> Found:
    """The plugin of an id, or of a name that only one publisher uses.

    Args:
        paths: where the catalogues are.
        wanted: `publisher/name`, or `name`.
        marketplace: only look there.

    Raises:
        JackfieldError: there is none, or there are several.
    """
    known = await catalogues(paths, {wanted})
    found = [
        Found(place, entry, catalogue.revocations, is_old)
        for place, catalogue, is_old in known
        if marketplace is None or place.source.name == marketplace
        for entry in catalogue.entries
        if wanted in (entry.id, entry.name)
    ]
    if len(found) == 1:
        return found[0]
    shown = safe_text(wanted, single_line=True, limit=130)
    unknown = marketplace not in {source.name for source in read_sources(paths)}
    if not found and marketplace is not None and unknown:
        place = safe_text(marketplace, single_line=True, limit=64)
        raise JackfieldError(
            f"{shown} is of the marketplace {place}, which is not known here",
            hint=f"`jackfield marketplace add WHERE --name {place}` adds it under this name.",
        )
    if not found:
        raise JackfieldError(
            f"No marketplace has the plugin {shown}",
            detail=_places(paths, known),
            hint="`jackfield plugins search` looks for one, `jackfield marketplace refresh` looks anew.",
        )
    choices = ", ".join(f"{each.entry.id} of {each.marketplace.source.name}" for each in found)
    raise JackfieldError(
        f"Several plugins are called {shown}",
        detail=choices,
        hint="Name it with its publisher."
        if len({each.entry.id for each in found}) > 1
        else "Name the marketplace with --marketplace.",
    )


def _places(paths: Paths, known: Sequence[tuple[Marketplace, Catalogue, bool]]) -> str:
    """Where a plugin was looked for, and where that could not be done."""
    looked = [place.source.name for place, _, _ in known]
    unread = [source.name for source in read_sources(paths) if source.name not in looked]
    said = [f"Looked in: {', '.join(looked)}."] if looked else []
    if unread:
        said.append(f"Not fetched yet, or damaged here: {', '.join(unread)}.")
    return " ".join(said) or "No marketplace was added."
