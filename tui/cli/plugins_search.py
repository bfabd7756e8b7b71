"""`jackfield plugins search | info`: what the marketplaces that were added have. Search needs no network."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from registry.paths import find_paths
from registry.text import safe_text
from tui.cli.output import Exit, format_table, line, note, paint, warn
from tui.cli.plugins_market import Desk, age_words, run_desk, size_words

if TYPE_CHECKING:
    from registry.marketplace.catalogue_index import CatalogueIndex
    from registry.marketplace.entry import Details, Version
    from registry.marketplace.install import Plan
    from registry.marketplace.rows import Row

_HEADER = ("PLUGIN", "VERSION", "HERE", "CONTRIBUTES", "MARKETPLACE", "SUMMARY")
_OLD_DAYS = 30
"""After how many days a catalogue is said to be old."""


def search(words: str, *, kind: str | None, marketplace: str | None, as_json: bool) -> int:
    """Print the plugins that fit, the best first; gives the exit code."""
    from registry.marketplace.catalogue_index import load_index
    from registry.marketplace.installed import read_installed

    paths = find_paths()
    index = load_index(paths)
    installed = read_installed(paths)
    index.note_installed({plugin.id: plugin.current.version for plugin in installed.values()})
    rows = index.search(words, kinds=(kind,) if kind else (), marketplace=marketplace)
    versions = {plugin.id: plugin.current.version for plugin in installed.values()}
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
        elif days > _OLD_DAYS:
            warn(f"The catalogue of {line(shelf.name)} was last renewed {age_words(days)}.")


def _cells(index: CatalogueIndex, row: Row, versions: dict[str, str]) -> tuple[str, ...]:
    return (
        line(row.id, 130),
        line(row.version) or "-",
        _here(index, row, versions),
        line(", ".join(row.kinds)) or "-",
        line(row.marketplace),
        line(row.summary),
    )


def _here(index: CatalogueIndex, row: Row, versions: dict[str, str]) -> str:
    if row.id in versions:
        return f"{versions[row.id]}, update" if index.has_update(row) else "installed"
    return "not for here" if index.reason_against(row) else "-"


def _row_json(index: CatalogueIndex, row: Row, versions: dict[str, str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "marketplace": row.marketplace,
        "version": row.version,
        "installed": versions.get(row.id),
        "reason_against": index.reason_against(row),
        "summary": row.summary,
        "kinds": list(row.kinds),
        "tags": list(row.tags),
        "contributions": list(row.contributions),
        "licence": row.licence,
        "verified": row.verified,
        "status": row.status,
        "uploaded_at": row.uploaded_at,
        "size": row.size,
    }


def info(wanted: str, *, marketplace: str | None, text: str | None, as_json: bool, safe_mode: bool) -> int:
    """Print all that a marketplace says of a plugin; gives the exit code.

    Args:
        wanted: its id, or its name; with `==VERSION` for another version than the newest.
        marketplace: only look there.
        text: `readme` or `changelog` prints that alone.
        as_json: print JSON.
        safe_mode: run no plugin.
    """

    async def work(desk: Desk) -> int:
        plan = await desk.plan(wanted, marketplace)
        details = await plan.found.marketplace.details(plan.id)
        if text is not None:
            said = details.readme if text == "readme" else details.changelog
            await desk.output.write(f"{safe_text(said, limit=200_000).rstrip()}\n")
        elif as_json:
            await desk.output.write(json.dumps(_facts(plan, details), indent=2) + "\n")
        else:
            rules = await asyncio.to_thread(desk.live.rules, plan.found)
            warnings = rules.warnings(plan.found.entry, plan.version)
            rows = _info_lines(_info_rows(plan, details, warnings))
            await desk.output.write("".join(f"{row}\n" for row in rows))
        return Exit.DONE

    return run_desk(work, safe_mode=safe_mode)


def _info_lines(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(label) for label, _ in rows)
    return [
        f"{shown:<{width}}  {part}".rstrip()
        for label, value in rows
        for shown, part in zip([label, *[""] * value.count("\n")], value.split("\n"), strict=True)
    ]


def _info_rows(plan: Plan, details: Details, warnings: tuple[str, ...]) -> list[tuple[str, str]]:
    entry, version = plan.found.entry, plan.version
    checked = "checked by the marketplace" if entry.verified else "not checked by the marketplace"
    status = f"{entry.status.value} {line(entry.status_reason, 300)}".rstrip()
    rows = [
        ("plugin", line(entry.id)),
        (
            "version",
            f"{line(version.version)}, {version.uploaded_at:%Y-%m-%d}, {size_words(version.artefact.size)}",
        ),
        ("summary", line(entry.summary, 300)),
        ("publisher", f"{line(entry.publisher)}, {checked}"),
        ("marketplace", line(plan.found.marketplace.source.name)),
        ("licence", line(entry.licence)),
        ("status", "" if status == "active" else status),
        ("installed", line(plan.before.current.version) if plan.before else "no"),
        ("runs", "in a process of its own"),
        ("asks for", "\n".join(line(ask.words, 300) for ask in plan.asks) or "nothing"),
        ("more", "\n".join(line(ask.words, 300) for ask in plan.more) if plan.before else ""),
        ("warnings", "\n".join(line(text, 300) for text in warnings)),
        ("obstacles", "\n".join(line(obstacle.reason, 300) for obstacle in plan.obstacles)),
        ("sha-256", version.artefact.sha256),
        ("versions", "\n".join(_version_line(known) for known in entry.versions[:12])),
        ("links", "\n".join(f"{line(name)}  {line(url, 500)}" for name, url in details.links.items())),
    ]
    return [(label, value) for label, value in rows if value]


def _version_line(version: Version) -> str:
    remarks = [f"withdrawn: {line(version.yanked, 200)}"] if version.yanked else []
    remarks += ["mends a security hole"] if version.security else []
    return "  ".join([line(version.version), f"{version.uploaded_at:%Y-%m-%d}", *remarks])


def _facts(plan: Plan, details: Details) -> dict[str, Any]:
    entry = plan.found.entry
    return {
        "id": entry.id,
        "version": plan.version.version,
        "marketplace": plan.found.marketplace.source.name,
        "installed": plan.before.current.version if plan.before else None,
        "summary": entry.summary,
        "verified": entry.verified,
        "licence": entry.licence,
        "status": entry.status.value,
        "kinds": list(entry.kinds),
        "tags": list(entry.tags),
        "contributions": list(entry.contributions),
        "asks": [ask.words for ask in plan.asks],
        "obstacles": [obstacle.reason for obstacle in plan.obstacles],
        "sha256": plan.version.artefact.sha256,
        "versions": [known.model_dump(mode="json") for known in entry.versions],
        "links": {name: str(url) for name, url in details.links.items()},
        "readme": details.readme,
        "changelog": details.changelog,
    }


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))  # ASCII only: nothing in it acts on a terminal
