"""What the marketplace screens say of a plugin in few words: sizes, ages, marks, states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from textual.content import Content

from registry.discovery import BUILTIN_PUBLISHER
from registry.states import PluginState
from tui.plugin_text import plugin_look
from tui.states import Look
from tui.words import size_words

if TYPE_CHECKING:
    from datetime import datetime

    from registry.handle import PluginHandle
    from registry.marketplace.live import Change
    from registry.marketplace.rows import Row
    from tui.market_jobs import Job

KINDS: Final = (("P", "provider"), ("S", "auth"), ("C", "command"), ("H", "hook"))
"""One letter for each kind of contribution, at its own place."""
ASKS: Final = (("N", "host"), ("E", "environment"), ("F", "folder"))
"""One letter for each kind of capability, at its own place."""
BADGES: Final = {"built-in": "▪", "in-app": "▪", "process": "▫"}
"""Where a plugin's code runs, where there is no room for the word."""
_LEGEND: Final = ("Provider", "Sign-in", "Command", "Hook", "", "Network", "Env", "Folders", "")

_AVAILABLE = Look("·", "available", "$foreground-muted")
_UNFIT = Look("-", "not for here", "$foreground-muted")
_UPDATE = Look("↑", "update", "$accent")
_STOPPED = Look("■", "stopped", "$warning")
_REFUSED = Look("■", "not agreed", "$warning")
_YOUNG = Look("■", "too young", "$warning")
_FAILED = Look("✗", "failed", "$error")
_ENDS: Final = {"stopped": _STOPPED, "refused": _REFUSED, "too young": _YOUNG}
_ASKING = Look("?", "asks you", "$warning")
_OFF = Look("○", "off", "$foreground-muted")
_STEPS: Final = {"unpack": "unpacking", "dependencies": "packages", "done": "installed"}
_WORD_WIDTH = 13


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the code comes from that a user agrees to."""

    marketplace: str
    sha256: str
    """Of the version's file."""
    size: int
    """Bytes; 0 when it is not known."""
    before: str = ""
    """The version that is installed; empty for a new plugin."""
    before_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a plugin of the list stands here and now."""

    row: Row
    handle: PluginHandle | None = None
    """Of what is part of the app, or installed."""
    installed: str = ""
    """The version that was installed from a marketplace, which may have been removed since."""
    has_update: bool = False
    warned: str = ""
    """What its marketplace warns of in the installed version."""
    pinned: bool = False
    can_go_back: bool = False
    """Whether an earlier version is kept here."""
    unfit: str = ""
    """Why it cannot be installed here."""
    outranked: tuple[str, ...] = ()
    """Names of its commands that another plugin answers."""
    job: Job | None = None
    ready_at: datetime | None = None
    """When the version that is offered may be installed, while it is too young."""

    @property
    def is_builtin(self) -> bool:
        """Whether it is part of Jackfield."""
        return not self.row.marketplace and (
            self.handle is None or self.handle.publisher == BUILTIN_PUBLISHER
        )

    @property
    def in_app(self) -> bool:
        """Whether its code runs in the app's process, as against one of its own."""
        return self.row.runtime == "app"


def marks(row: Row) -> str:
    """What a plugin contributes, and what it asks for: `P·C· N··`."""
    letters = (
        "".join(letter if kind in found else "·" for letter, kind in known)
        for known, found in ((KINDS, row.kinds), (ASKS, row.capabilities))
    )
    return " ".join(letters)


def legend() -> Content:
    """What the letters and signs of the list mean, on one line of 80 columns."""
    words = [Content.assemble((word[:1], "bold"), word[1:]) for word in _LEGEND]
    return Content(" ").join([*words, Content("▪ app ▫ process ✓ checked")])


def runtime_badge(standing: Standing) -> str:
    """Where its code runs, in one word."""
    if not standing.in_app:
        return "process"
    return "built-in" if standing.is_builtin else "in-app"


def look_of(standing: Standing) -> Look:
    """The glyph, word and colour of a plugin's state."""
    job = standing.job
    if job is not None and job.running:
        return _progress(job)
    if job is not None and job.state == "failed":
        return _FAILED
    look = _look_at_rest(standing)
    return Look(look.glyph, f"{look.word} pinned", look.colour) if standing.pinned else look


def _look_at_rest(standing: Standing) -> Look:
    job, handle = standing.job, standing.handle
    if handle is not None and not (standing.has_update and handle.state is PluginState.INSTALLED):
        look = plugin_look(handle)
        return Look(look.glyph, f"{look.word} ↑", look.colour) if standing.has_update else look
    if standing.has_update:
        return Look("○", "off ↑", _UPDATE.colour)
    if standing.installed:
        return _OFF
    if job is not None and job.state in _ENDS:
        return _ENDS[job.state]
    return _UNFIT if standing.unfit else _AVAILABLE


def _progress(job: Job) -> Look:
    if job.state == "asking":
        return _ASKING
    step = job.step
    if job.state == "planning" or step is None:
        return Look("◌", "looking", "$accent")
    if step.what == "download":
        share = f"{100 * step.done // step.total}%" if step.total else size_words(step.done)
        return Look("◐", f"{_bar(step.done, step.total)} {share}", "$accent")
    return Look("◐", _STEPS.get(step.what, step.what), "$accent")


def _bar(done: int, total: int | None, width: int = 7) -> str:
    filled = width * done // total if total else 0
    return "━" * filled + "┄" * (width - filled)


def standing_row(standing: Standing, width: int) -> Content:
    """One line: state, name, publisher, marks, runtime, summary; as many of them as there is room for."""
    row, look = standing.row, look_of(standing)
    gray = standing.unfit and standing.handle is None and standing.job is None
    word = Content.styled(f"{look.glyph} {look.word}", look.colour).truncate(
        _WORD_WIDTH + 2, ellipsis=True, pad=True
    )
    name_width = max(10, min(22, (width - 34) // 3 + 4))
    name = Content.styled(row.name, "$foreground-muted" if gray else "bold")
    parts: list[Content | tuple[str, str]] = [word, name.truncate(name_width, ellipsis=True, pad=True)]
    check = "✓" if row.verified else " "
    who = Content(row.publisher).truncate(min(14, max(8, width // 7)), ellipsis=True, pad=True)
    parts += [Content(" "), who, (check, "$success"), (f" {marks(row)} ", "$foreground-muted")]
    badge = runtime_badge(standing)
    parts.append((f"{badge:<8}" if width >= 84 else BADGES[badge], "$foreground-muted"))
    reason = standing.unfit if gray else row.summary
    parts += [Content("  "), Content.styled(reason, "$foreground-muted" if gray else "")]
    return Content.assemble(*parts)


def note_of(standing: Standing) -> Content:
    """A line or two below the list: what is wrong with the plugin under the cursor, or what comes next."""
    row, job, handle = standing.row, standing.job, standing.handle
    if job is not None and job.state == "failed" and job.error is not None:
        title, detail = (text.replace("\n", " ") for text in (job.error.title, job.error.detail))
        return Content.assemble(
            (f"{title}.", "$error"), "  t tries again, c copies the report.  ", (detail, "$foreground-muted")
        )
    if job is not None and job.plan is not None and job.ready_at is not None:
        return _too_young(job.plan.version.version, job.ready_at)
    if job is not None and job.state == "asking":
        return Content.styled("It asks for your agreement: v shows what it asks for.", "$warning")
    if job is not None and job.running:
        return Content.styled("x stops it; what was there before stays.", "$foreground-muted")
    if handle is not None and handle.state is PluginState.NEEDS_REVIEW:
        return Content.assemble((handle.reason, "$warning"), "  v shows what it asks for.")
    if handle is not None and handle.reason:
        back = "  z goes back to the version before." if standing.can_go_back else ""
        return Content.assemble((handle.reason.replace("\n", " "), "$error"), back)
    if job is not None and job.state in ("stopped", "refused"):
        why = "You stopped it" if job.state == "stopped" else "You did not agree to what it asks for"
        key = "w" if job.ignore_age else "u" if standing.installed else "i"
        return Content(f"{why}; nothing was changed. {key} tries again.")
    if job is not None and job.state == "done" and standing.installed:
        return _next_step(standing)
    if standing.warned:
        return Content.styled(f"Its marketplace warns: {standing.warned}", "$warning")
    if standing.unfit and handle is None:
        return Content.styled(f"Cannot be installed here: {standing.unfit}", "$warning")
    if standing.ready_at is not None and standing.job is None:
        note = _too_young(row.version, standing.ready_at)
        return (
            note.append("  i takes an older version.") if row.has_older and not standing.installed else note
        )
    return Content.styled(row.summary, "$foreground-muted")


def _too_young(version: str, ready_at: datetime) -> Content:
    when = f"{ready_at.astimezone():%Y-%m-%d %H:%M}"
    return Content.assemble((f"{version} is too young until {when}. ", "$warning"), "w does not wait.")


def _next_step(standing: Standing) -> Content:
    handle = standing.handle
    if handle is None:
        return Content.styled("It is installed.", "$success")
    change = standing.job.change if standing.job else None
    if (
        change is not None
        and change.before is not None
        and change.plugin.current.version == standing.installed
    ):
        more = "It runs." if handle.contributes else "It is off. Space switches it on."
        return Content.assemble((f"{_version_words(change)} ", "$success"), more)
    if not handle.contributes:
        return Content.assemble(
            (f"{handle.name} is installed and off. ", "$success"), "Space switches it on."
        )
    if any(entry.data.get("type") != "no_auth" for entry in handle.manifest.auth_methods):
        return Content.assemble((f"{handle.name} is on. ", "$success"), "s signs in to it.")
    own = [name for command in handle.manifest.commands if (name := command.name) not in standing.outranked]
    names = "  ".join(f"/{name}" for name in own[:4])
    more = f" Try {names} in the chat." if names else ""
    taken = "  ".join(f"/{name}" for name in standing.outranked[:4])
    less = f"  Another plugin answers {taken}." if taken else ""
    return Content.assemble((f"{handle.name} is on.", "$success"), more, (less, "$warning"))


def end_words(job: Job) -> str:
    """How an installation ended."""
    if job.change is not None and job.change.before is not None:
        return change_words(job.change)
    if job.change is not None:
        return f"{job.id} {job.change.plugin.current.version} is installed and off. F8 switches it on."
    return f"{job.id} was not installed. {job.error or ''}".rstrip()


def change_words(change: Change) -> str:
    """Another version of a plugin became current: its hash before and after, and whether that one runs."""
    text = _version_words(change)
    if change.problem is not None:
        return f"{text} It is on, but could not be started: {change.problem.title}"
    return f"{text} It runs." if change.loaded else f"{text} It is off."


def _version_words(change: Change) -> str:
    current, before = change.plugin.current, change.before
    hashes = f"{before.tree[:12]} → {current.tree[:12]}" if before else current.tree[:12]
    return f"{change.plugin.id} is now {current.version} (code {hashes})."
