"""`jackfield plugins search`: what the marketplaces that were added have. It needs no network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from registry.marketplace.kept import OLD_AFTER_DAYS
from registry.marketplace.link import PREFIX
from registry.paths import find_paths
from tui.cli.output import CommandError, Exit, format_table, line, note, paint, warn
from tui.words import age_words

if TYPE_CHECKING:
    from registry.marketplace.catalogue_index import CatalogueIndex
    from registry.marketplace.rows import Row

_HEADER = ("PLUGIN", "VERSION", "HERE", "CONTRIBUTES", "MARKETPLACE", "SUMMARY")


def search(words: str, *, kind: str | None, marketplace: str | None, as_json: bool) -> int:
    """Print the plugins that fit, the best first; gives the exit code."""
    from registry.marketplace.catalogue_index import load_index
    from registry.marketplace.installed import current_versions, read_installed
    from registry.marketplace.sources import read_sources

    paths = find_paths()
    index = load_index(paths)
    versions = current_versions(read_installed(paths).values(), read_sources(paths))
    index.note_installed(versions)
    if marketplace is not None and marketplace not in {shelf.name for shelf in index.shelves}:
        raise CommandError(
            f"There is no marketplace named {line(marketplace, 64)}",
            hint="`jackfield marketplace list` shows those that were added.",
            code=Exit.USAGE,
        )
    words = words.removeprefix(PREFIX)
    rows = index.search(words, kinds=(kind,) if kind else (), marketplace=marketplace)
    if as_json:
        _print_json([_row_json(index, row, versions) for row in rows])
        return Exit.DONE
    _say_what_is_old(index)
    if not rows:
        note("Nothing fits." if index.shelves else "No marketplace was added: `jackfield marketplace add`.")
        return Exit.DONE
    heading, lines = format_table(_HEADER, [_cells(index, row, versions) for row in rows])
    print(paint(heading, "heading"))
    for row, text in zip(rows, lines, strict=True):
        print(paint(text, "muted" if index.reason_against(row) else None))
    return Exit.DONE


def _say_what_is_old(index: CatalogueIndex) -> None:
    for shelf in index.shelves:
        days = shelf.age_days()
        if days is None:
            warn(f"Nothing of {line(shelf.name)} is here yet: `jackfield marketplace refresh` fetches it.")
        elif days > OLD_AFTER_DAYS:
            warn(f"The catalogue of {line(shelf.name)} was last renewed {age_words(days)}.")


def _cells(index: CatalogueIndex, row: Row, versions: dict[tuple[str, str], str]) -> tuple[str, ...]:
    return (
        line(row.id, 130),
        line(row.version) or "-",
        _here(index, row, versions),
        line(", ".join(row.kinds)) or "-",
        line(row.marketplace),
        line(row.summary),
    )


def _here(index: CatalogueIndex, row: Row, versions: dict[tuple[str, str], str]) -> str:
    if row.key in versions:
        return f"{versions[row.key]}, update" if index.has_update(row) else "installed"
    return "not for here" if index.reason_against(row) else "-"


def _row_json(index: CatalogueIndex, row: Row, versions: dict[tuple[str, str], str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "marketplace": row.marketplace,
        "version": row.version,
        "installed": versions.get(row.key),
        "reason_against": index.reason_against(row),
        "summary": row.summary,
        "kinds": list(row.kinds),
        "tags": list(row.tags),
        "contributions": list(row.contributions),
        "capabilities": list(row.capabilities),
        "licence": row.licence,
        "verified": row.verified,
        "status": row.status,
        "uploaded_at": row.uploaded_at,
        "size": row.size,
    }


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))  # ASCII only: nothing in it acts on a terminal
