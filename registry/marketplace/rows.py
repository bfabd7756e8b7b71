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
    from registry.marketplace.entry import Catalogue, Entry

FILE: Final = "rows.json"
_FORMAT: Final = 2


class Row(NamedTuple):
    """A plugin as a list shows it. All text is safe to show."""

    marketplace: str
    id: str
    summary: str
    version: str
    """The one that would be installed; empty when there is none."""
    uploaded_at: float
    """When that version was published, in seconds since 1970."""
    size: int
    """Bytes of its own file."""
    kinds: Sequence[str]
    tags: Sequence[str]
    contributions: Sequence[str]
    capabilities: Sequence[str]
    """Kinds of what it asks for: host, environment, folder."""
    licence: str
    verified: bool
    status: str
    status_reason: str
    min_app: str
    protocol: int
    platforms: Sequence[str]
    python: str
    withdrawn: str
    """Why it can not be installed by anyone: it is quarantined, or this version was yanked or revoked."""

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
    rows = [_row(entry, catalogue, marketplace) for entry in catalogue.entries]
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
            part = tuple(row[place])
            row[place] = shared.setdefault(part, part)
        rows.append(Row(*row))
    if rows and [type(value) for value in rows[0]] != [type(value) for value in _BLANK]:
        raise TypeError("the rows have another shape")
    return rows


_BLANK: Final = Row("", "", "", "", 0.0, 0, (), (), (), (), "", False, "", "", "", 0, (), "", "")
_LISTS: Final = tuple(place for place, value in enumerate(_BLANK) if isinstance(value, tuple))


def _cleaned(row: Row) -> Row:
    return Row(*(_clean(value) for value in row))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return safe_text(value, single_line=True)
    return tuple(_clean(item) for item in value) if isinstance(value, tuple) else value


def _row(entry: Entry, catalogue: Catalogue, marketplace: str) -> Row:
    from registry.errors import JackfieldError
    from registry.marketplace.choosing import choose_version
    from registry.marketplace.entry import Status

    try:
        chosen = choose_version(entry, None)
    except JackfieldError:
        chosen = None
    uploaded = chosen.uploaded_at if chosen else datetime.fromtimestamp(0, UTC)
    withdrawn = chosen.yanked if chosen else "There is no version yet."
    if entry.status is Status.QUARANTINED:
        withdrawn = entry.status_reason or "It is held back as unsafe."
    withdrawn = _revoked(entry.id, chosen.version if chosen else "", catalogue) or withdrawn
    return Row(
        marketplace,
        entry.id,
        entry.summary,
        chosen.version if chosen else "",
        uploaded.timestamp(),
        chosen.artefact.size if chosen else 0,
        entry.kinds,
        entry.tags,
        entry.contributions,
        entry.capabilities,
        entry.licence,
        entry.verified,
        entry.status.value,
        entry.status_reason,
        chosen.min_app if chosen else "0",
        chosen.protocol if chosen else 1,
        chosen.platforms if chosen else (),
        chosen.python if chosen else "",
        withdrawn,
    )


def _revoked(plugin_id: str, version: str, catalogue: Catalogue) -> str:
    from registry.marketplace.entry import Severity
    from registry.marketplace.rules import revoking

    for revocation in revoking(catalogue.revocations, plugin_id, version):
        if revocation.severity is not Severity.WARN:
            return revocation.reason or "It was revoked."
    return ""
