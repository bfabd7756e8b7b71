"""The rows of a catalogue as lists show them, in a file that is read in a moment.

They are made from a verified catalogue and lie beside it, with its hash. They serve for looking only: what is
installed is decided from the verified catalogue itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from registry.atomic import write_atomically
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.marketplace.entry import Catalogue, Entry, Version

FILE: Final = "rows.json"
_FORMAT: Final = 3
_MOST_NEEDS: Final = 4
"""So many versions of one plugin have a row; that none of them fits a machine but an older one is rare."""


class Row(NamedTuple):
    """A version of a plugin as a list shows it. All text is safe to show.

    Where an older version needs less than a newer one, it has a row too: which one would be installed depends
    on the machine. Those of one plugin follow each other, the newest first.
    """

    marketplace: str
    id: str
    summary: str
    version: str
    """Its number; empty when there is none."""
    uploaded_at: float
    """When that version was published, in seconds since 1970."""
    size: int
    """Bytes of its own file."""
    kinds: Sequence[str]
    tags: Sequence[str]
    contributions: Sequence[str]
    capabilities: Sequence[str]
    """Kinds of what it asks for: host, environment, folder."""
    runtime: str
    """Where its code runs: `process` for one of its own, `app` for that of the app."""
    licence: str
    verified: bool
    status: str
    status_reason: str
    min_app: str
    protocol: int
    platforms: Sequence[str]
    python: str
    withdrawn: str
    """Why it can not be installed by anyone: it is quarantined, or all versions were yanked or revoked."""
    security: bool
    """Whether it mends a hole: then it need not be old."""
    has_older: bool
    """Whether there are earlier versions that could be installed."""

    @property
    def publisher(self) -> str:
        """Who publishes it."""
        return self.id.partition("/")[0]

    @property
    def name(self) -> str:
        """What the plugin calls itself."""
        return self.id.partition("/")[2]

    @property
    def key(self) -> tuple[str, str]:
        """Tells it from every other row: where it is from, and its id."""
        return self.marketplace, self.id


def write_rows(folder: Path, digest: str, catalogue: Catalogue, marketplace: str) -> list[Row]:
    """Make the rows of a verified catalogue and write them beside it.

    Args:
        folder: the cache of the marketplace.
        digest: SHA-256 of the catalogue as it was signed.
        catalogue: what it says.
        marketplace: the name that the user knows it by.

    Raises:
        OSError: they cannot be written.
    """
    rows = [row for entry in catalogue.entries for row in _rows(entry, catalogue, marketplace)]
    head = {"format": _FORMAT, "catalogue": digest, "marketplace": marketplace}
    write_atomically(folder / FILE, json.dumps({**head, "rows": rows}).encode())
    return rows


def read_rows(folder: Path, digest: str, marketplace: str) -> list[Row] | None:
    """The rows that were made of the catalogue with this hash; None when there are none of it."""
    try:
        text = (folder / FILE).read_text("ascii")
        data = json.loads(text)
        head = (data["format"], data["catalogue"], data["marketplace"])
        if head != (_FORMAT, digest, marketplace):
            return None
        rows = _built(data["rows"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    # A file that somebody changed must not reach a terminal either; without an escape in it, it cannot.
    return [_cleaned(row) for row in rows] if "\\" in text else rows


def _built(values: list[Any]) -> list[Row]:
    """Rows of lists, whose lists become tuples: those of texts are no work for the garbage collector.

    Raises:
        TypeError: they have another shape.
    """
    rows: list[Row] = []
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    for row in values:
        for place in _LISTS:
            if type(row[place]) is not list:
                raise TypeError("a row has another shape")
            part = tuple(row[place])
            known = shared.get(part)
            row[place] = shared.setdefault(part, _texts(part)) if known is None else known
        if tuple(map(type, row)) != _SHAPE:
            raise TypeError("a row has another shape")
        rows.append(Row(*row))
    return rows


def _texts(part: tuple[Any, ...]) -> tuple[str, ...]:
    if not all(type(text) is str for text in part):
        raise TypeError("a list holds something else than texts")
    return part


_BLANK: Final = Row(
    *("", "", "", "", 0.0, 0, (), (), (), (), "", "", False, "", "", "", 0, (), "", ""),
    security=False,
    has_older=False,
)
_SHAPE: Final = tuple(map(type, _BLANK))
_LISTS: Final = tuple(place for place, value in enumerate(_BLANK) if isinstance(value, tuple))


def _cleaned(row: Row) -> Row:
    return Row(*(_clean(value) for value in row))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return safe_text(value, single_line=True)
    return tuple(_clean(item) for item in value) if isinstance(value, tuple) else value


def _rows(entry: Entry, catalogue: Catalogue, marketplace: str) -> list[Row]:
    from registry.marketplace.choosing import newest_first, offered_versions

    offered = offered_versions(entry, catalogue.revocations)
    if not offered:
        newest = next(iter(newest_first(entry.versions)), None)
        return [_row(entry, newest, marketplace, _withdrawn(entry, newest, catalogue))]
    by_needs: dict[object, Row] = {}
    for place, version in enumerate(offered):
        needs = (version.min_app, version.protocol, version.platforms, version.python)
        if needs not in by_needs and len(by_needs) < _MOST_NEEDS:
            has_older = place + 1 < len(offered)
            withdrawn = _withdrawn(entry, version, catalogue)
            by_needs[needs] = _row(entry, version, marketplace, withdrawn, has_older=has_older)
    return list(by_needs.values())


def _row(
    entry: Entry, version: Version | None, marketplace: str, withdrawn: str, *, has_older: bool = False
) -> Row:
    uploaded = version.uploaded_at if version else datetime.fromtimestamp(0, UTC)
    return Row(
        marketplace,
        entry.id,
        entry.summary,
        version.version if version else "",
        uploaded.timestamp(),
        version.artefact.size if version else 0,
        entry.kinds,
        entry.tags,
        entry.contributions,
        entry.capabilities,
        entry.runtime,
        entry.licence,
        entry.verified,
        entry.status.value,
        entry.status_reason,
        version.min_app if version else "0",
        version.protocol if version else 1,
        version.platforms if version else (),
        version.python if version else "",
        withdrawn,
        version.security if version else False,
        has_older,
    )


def _withdrawn(entry: Entry, version: Version | None, catalogue: Catalogue) -> str:
    """Why nobody can install it; empty when they can."""
    from registry.marketplace.entry import Status
    from registry.marketplace.rules import withdrawing

    if version is None:
        return "There is no version yet."
    for revocation in withdrawing(catalogue.revocations, entry.id, version.version):
        return revocation.reason or "It was revoked."
    if entry.status is Status.QUARANTINED:
        return entry.status_reason or "It is held back as unsafe."
    return version.yanked
