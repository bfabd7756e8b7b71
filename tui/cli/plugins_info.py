"""`jackfield plugins info`: all that a marketplace says of a plugin."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from registry.marketplace.link import link_to
from registry.text import safe_text
from tui.cli.output import Exit, line
from tui.cli.plugins_market import Desk, run_desk
from tui.words import size_words

if TYPE_CHECKING:
    from registry.marketplace.entry import Details, Version
    from registry.marketplace.install import Plan


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
        ("link to it", link_to(entry.id)),
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
        "link": link_to(entry.id),
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
        "capabilities": list(entry.capabilities),
        "asks": [ask.words for ask in plan.asks],
        "obstacles": [obstacle.reason for obstacle in plan.obstacles],
        "sha256": plan.version.artefact.sha256,
        "versions": [known.model_dump(mode="json") for known in entry.versions],
        "links": {name: str(url) for name, url in details.links.items()},
        "readme": details.readme,
        "changelog": details.changelog,
    }
