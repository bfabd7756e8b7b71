"""The pages of a plugin's details as text: what it asks for, its versions, what it brings, what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from textual.content import Content

from registry.text import counted
from tui.market_text import Standing, look_of, runtime_badge
from tui.plugin_text import plugin_detail
from tui.words import size_words

if TYPE_CHECKING:
    from registry.changes import HookChange
    from registry.marketplace.consent import Ask
    from registry.marketplace.entry import Details, Version
    from registry.marketplace.finding import Found
    from registry.marketplace.installed import InstalledPlugin
    from registry.marketplace.rules import Obstacle

TABS: Final = ("Overview", "Capabilities", "Versions", "Changelog", "Dependencies", "Cost")
_CHARACTERS_PER_TOKEN: Final = 4
_MUTED: Final = "$foreground-muted"
_WITHOUT_MARKETPLACE: Final = {
    "built-in": "part of Jackfield",
    "in-app": "in the app's process",
    "process": "from a marketplace that is no longer known",
}
"""What is said of a plugin that no marketplace offers, by where its code runs."""
_CHANGES: Final = {
    "built-in": "It changes with Jackfield.",
    "in-app": "It changes with the package that it came with.",
    "process": "Its marketplace is no longer known, and what it said of changes with it.",
}
_NEEDS: Final = {
    "built-in": "What it needs comes with Jackfield.",
    "in-app": "What it needs was installed beside Jackfield.",
}


@dataclass(frozen=True, slots=True)
class Known:
    """What was found out about a plugin of a marketplace, for its pages."""

    found: Found
    details: Details
    version: Version | None
    """The one that would be installed."""
    asks: tuple[Ask, ...] = ()
    """What that one asks for."""
    obstacles: tuple[Obstacle, ...] = ()
    warnings: tuple[str, ...] = ()


def head(standing: Standing, known: Known | None) -> Content:
    """The top of every page: what it is, who made it, where it stands."""
    row, look = standing.row, look_of(standing)
    here = f"  {standing.installed} here" if standing.installed and standing.installed != row.version else ""
    pinned = "  pinned" if standing.pinned else ""
    lines = [
        Content.assemble((row.name, "bold $accent"), f" {row.version}", (here + pinned, _MUTED)),
        Content.assemble((f"{look.glyph} {look.word}", look.colour), (_origin(standing), _MUTED)),
    ]
    if known is not None:
        lines += [Content.styled(f"! {warning}", "$warning") for warning in known.warnings[:2]]
        lines += [_obstacle(obstacle) for obstacle in known.obstacles[:2]]
    elif standing.unfit and not standing.handle:
        lines.append(Content.styled(f"Cannot be installed here: {standing.unfit}", "$warning"))
    return Content("\n").join(lines)


def _obstacle(obstacle: Obstacle) -> Content:
    hint = (
        "w installs it now, and does not wait for its later versions either."
        if obstacle.age
        else obstacle.hint
    )
    return Content.styled(f"! {obstacle.reason} {hint}".rstrip(), "$warning")


def _origin(standing: Standing) -> str:
    row = standing.row
    if not row.marketplace:
        return f"  by {row.publisher}, {_WITHOUT_MARKETPLACE[runtime_badge(standing)]}"
    checked = "checked" if row.verified else "not checked"
    facts = [f"by {row.publisher} ({checked})", f"from {row.marketplace}", row.licence]
    facts.append(size_words(row.size) if row.size else "")
    return "  " + ", ".join(fact for fact in facts if fact)


def own_overview(standing: Standing) -> Content:
    """What there is to say of a plugin that no marketplace describes."""
    return plugin_detail(standing.handle) if standing.handle else Content(standing.row.summary)


def own_changes(standing: Standing) -> Content:
    """Where its changes come from, of a plugin that no marketplace describes."""
    return Content(_CHANGES[runtime_badge(standing)])


def capabilities(standing: Standing, asks: Sequence[Ask], granted: Sequence[Ask] | None) -> Content:
    """What it asks for, in plain words, and the difference to what was agreed to.

    Args:
        standing: which plugin.
        asks: what the version that would be installed, or is part of the app, asks for.
        granted: what was agreed to for the version that is installed; None when none is.
    """
    mark = "part of Jackfield" if standing.is_builtin else "declared"
    lines: list[Content] = []
    if not asks:
        lines.append(Content("It asks for nothing, and adds nothing."))
    for ask in asks:
        new = granted is not None and ask not in granted
        glyph = ("+ ", "$warning bold") if new else ("• ", "$accent")
        lines.append(Content.assemble(glyph, ask.words, (f"  {mark}", _MUTED)))
    gone = [ask for ask in granted or () if ask not in asks]
    lines += [Content.styled(f"- {ask.words}", _MUTED) for ask in gone]
    lines.append(Content(""))
    lines += [Content.styled(text, _MUTED) for text in _about_trust(standing, granted, asks)]
    return Content("\n").join(lines)


def _about_trust(standing: Standing, granted: Sequence[Ask] | None, asks: Sequence[Ask]) -> Iterable[str]:
    if standing.in_app:
        yield "It runs in the app's own process, with the app's rights."
        return
    yield "It runs in a process of its own. What is declared is not enforced: it is what its author says."
    if granted is None:
        yield "You have agreed to nothing yet; installing asks you."
    elif set(asks) <= set(granted):
        yield "You agreed to all of it."
    else:
        yield "+ was not agreed to yet; updating asks you."


@dataclass(frozen=True, slots=True)
class VersionLine:
    """One version in the list of versions."""

    version: str
    date: str
    note: str
    """Whether it is the current one, is kept, was withdrawn."""
    kept: bool = False
    """Whether it can be gone back to without a download."""
    current: bool = False


def version_lines(known: Known | None, plugin: InstalledPlugin | None) -> list[VersionLine]:
    """Every version that the marketplace has or this machine keeps, the newest first."""
    kept = {version.version for version in plugin.earlier} if plugin else set()
    current = plugin.current.version if plugin else ""
    lines: list[VersionLine] = []
    for version in known.found.entry.versions if known else ():
        notes = [
            "current" if version.version == current else "",
            "kept here" if version.version in kept else "",
            "mends a security hole" if version.security else "",
            f"withdrawn: {version.yanked}" if version.yanked else "",
        ]
        date = f"{version.uploaded_at.astimezone():%Y-%m-%d}"
        lines.append(_version_line(version.version, date, notes, kept, current))
    listed = {line.version for line in lines}
    rest = [version.version for version in plugin.earlier] if plugin else []
    for number in [current, *rest]:
        if number and number not in listed:
            notes = ["current" if number == current else "kept here", "no longer offered" if known else ""]
            lines.append(_version_line(number, "", notes, kept, current))
    return lines


def _version_line(version: str, date: str, notes: Sequence[str], kept: set[str], current: str) -> VersionLine:
    text = ", ".join(note for note in notes if note)
    return VersionLine(version, date, text, version in kept, version == current)


def draw_version(line: VersionLine) -> Content:
    """A version as a row."""
    glyph = ("● ", "$success") if line.current else ("○ ", _MUTED)
    return Content.assemble(glyph, (f"{line.version:<12}", "bold"), (f"{line.date:<12}", _MUTED), line.note)


def dependencies(standing: Standing, names: Sequence[str]) -> Content:
    """The packages that it brings along."""
    if standing.in_app:
        return Content.styled(_NEEDS[runtime_badge(standing)], _MUTED)
    if not names:
        return Content("It brings no other package along.")
    lines = [Content.assemble(("• ", "$accent"), name) for name in names]
    much = counted(len(names), "package")
    note = f"{much}: wheels only, each with its hash, in a folder of this plugin alone."
    return Content("\n").join([*lines, Content(""), Content.styled(note, _MUTED)])


def cost(standing: Standing, start_ms: float | None, changes: Sequence[HookChange]) -> Content:
    """What it costs: its start, and what its request hook added in this conversation.

    Args:
        standing: which plugin.
        start_ms: milliseconds that the last start of its process took, if one was measured.
        changes: what hooks changed in the conversation that is open.
    """
    own = [change for change in changes if change.plugin == standing.row.name and change.hook == "on_request"]
    if standing.in_app:
        start = "part of the app's own start"
    elif start_ms is None:
        start = "not measured yet: its process was not started since the app began"
    else:
        start = f"{start_ms:.0f} ms at its last start"
    hooks = standing.handle.manifest.hooks if standing.handle else ()
    if own:
        added = round(sum(_added(change.diff) for change in own) / len(own) / _CHARACTERS_PER_TOKEN)
        prompt = f"about {added:+} tokens in each of the last {len(own)} prompts that it changed"
    elif standing.handle is not None and "on_request" not in hooks:
        prompt = "nothing: it has no hook on requests"
    elif standing.handle is None and "hook" not in standing.row.kinds:
        prompt = "nothing: it has no hooks"
    else:
        prompt = "not measured yet: it changed no prompt of this conversation"
    download = size_words(standing.row.size) if standing.row.size else "nothing"
    rows = (("Download", download), ("Start", start), ("Prompts", prompt), ("Idle", _idle(standing)))
    return Content("\n").join(Content.assemble((f"{label:<10}", _MUTED), text) for label, text in rows)


def _idle(standing: Standing) -> str:
    if standing.in_app:
        return "its code is loaded when it is first used"
    return "no process runs before it is first used; an idle one is stopped"


def _added(diff: str) -> int:
    """Characters that were added, less those that were taken away."""
    total = 0
    for line in diff.splitlines():
        if line.startswith("+"):
            total += len(line) - 1
        elif line.startswith("-"):
            total -= len(line) - 1
    return total
