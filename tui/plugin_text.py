"""Plugins in words: a row of the list, and the details."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.content import Content

from registry.connections import key_variables
from registry.handle import PluginHandle, PluginState
from registry.manifest import AuthMethodEntry, CommandEntry, Manifest
from tui.states import Look

PLUGIN_LOOKS = {
    PluginState.AVAILABLE: Look("·", "available", "$foreground-muted"),
    PluginState.INSTALLED: Look("○", "off", "$foreground-muted"),
    PluginState.NEEDS_REVIEW: Look("?", "needs review", "$warning"),
    PluginState.ENABLED: Look("●", "on", "$success"),
    PluginState.ACTIVE: Look("◉", "active", "$success"),
    PluginState.FAILED: Look("✗", "failed", "$error"),
    PluginState.AUTO_DISABLED: Look("■", "switched off", "$error"),
    PluginState.REVOKED: Look("■", "revoked", "$error"),
}
_NEXT_STEP = {
    PluginState.INSTALLED: "Space switches it on.",
    PluginState.NEEDS_REVIEW: "Space shows what it asks for; nothing of it runs before you agree.",
    PluginState.AUTO_DISABLED: "Space switches it on again and forgets the failures; r reads its code again.",
    PluginState.FAILED: "r reads its code again; c copies this report for its author.",
}


def plugin_look(handle: PluginHandle) -> Look:
    """How a plugin's state is shown; a failure that did not end it is counted."""
    look = PLUGIN_LOOKS[handle.state]
    if handle.state is PluginState.FAILED and handle.failures:
        return Look(look.glyph, f"failed x{handle.failures}", look.colour)
    return look


def plugin_row(handle: PluginHandle, width: int, *, busy: bool) -> Content:
    """One line: state, name, version, summary."""
    look = plugin_look(handle)
    word = "working" if busy else look.word
    name_width = max(14, min(24, width // 3))
    if width < 60:
        return Content.assemble(
            ("◌ " if busy else f"{look.glyph} ", look.colour),
            (f"{handle.name[: width - 16]:<{max(1, width - 16)}} ", "bold"),
            word,
        )
    return Content.assemble(
        ("◌ " if busy else f"{look.glyph} ", look.colour),
        (f"{handle.name[:name_width]:<{name_width}} ", "bold"),
        f"{word:<13} ",
        handle.manifest.summary,
    )


def plugin_detail(handle: PluginHandle, outranked: Sequence[CommandEntry] = ()) -> Content:
    """Everything that is known of a plugin.

    Args:
        handle: which plugin.
        outranked: commands of others that answer in the place of its own.
    """
    manifest, look = handle.manifest, plugin_look(handle)
    by = f" by {manifest.publisher}" if manifest.publisher else ""
    lines = [
        Content.assemble((handle.name, "bold $accent"), f" {manifest.version}{by}"),
        Content.assemble((f"{look.glyph} {look.word}", look.colour)),
    ]
    if manifest.summary:
        lines += [Content(""), Content(manifest.summary)]
    if handle.reason:
        lines += [Content(""), Content.styled("Why", "bold"), Content.styled(handle.reason, "$error")]
    if handle.state in _NEXT_STEP:
        lines += [Content(""), Content.styled(_NEXT_STEP[handle.state], "$foreground-muted")]
    lines += [Content(""), *_contributions(manifest)]
    lines += [
        Content.styled(f"/{entry.name} is answered by {entry.plugin}, which comes first.", "$warning")
        for entry in outranked
    ]
    lines += [Content(""), *_facts(handle)]
    return Content("\n").join(lines)


def _contributions(manifest: Manifest) -> Iterable[Content]:
    """What it adds, and what it asks for beyond that."""
    nothing = True
    for provider in manifest.providers:
        nothing = False
        yield _pair("provider", f"{provider.title} ({provider.name}/…)")
        for model in provider.models[:8]:
            yield _pair("", model.title)
        if len(provider.models) > 8:
            yield _pair("", f"and {len(provider.models) - 8} more models")
    if len(manifest.commands) > 3:
        nothing = False
        yield _pair("commands", "  ".join(f"/{command.name}" for command in manifest.commands))
    for command in manifest.commands if len(manifest.commands) <= 3 else ():
        nothing = False
        yield _pair("command", f"/{command.name} {command.argument}".rstrip() + f"  {command.summary}")
    for method in manifest.auth_methods:
        nothing = False
        yield _pair("sign-in", _sign_in(method))
    for hook in manifest.hooks:
        nothing = False
        yield _pair("hook", hook + (" (guard: it fails closed)" if manifest.guard else ""))
    if nothing:
        yield Content.styled("Contributes nothing.", "$foreground-muted")
    asked = manifest.capabilities
    for label, names in (("calls", asked.hosts), ("is given", asked.environment), ("folders", asked.folders)):
        if names:
            yield _pair(label, ", ".join(names))


def _sign_in(method: AuthMethodEntry) -> str:
    """An auth method in words; of a key, where it is looked for."""
    variables = key_variables([method.data])
    if variables:
        return f"a key, in the environment variable {' or '.join(variables)}"
    return str(method.data.get("label") or method.data.get("type", ""))


def _facts(handle: PluginHandle) -> Iterable[Content]:
    if handle.manifest.launch is not None:
        runtime = "in a process of its own"
    elif handle.publisher == "Jackfield":
        runtime = "part of Jackfield"
    else:
        runtime = "in the app's process, with its rights"
    yield _pair("runs", runtime)
    yield _pair("order", f"{handle.order}")
    if handle.manifest.entry_point:
        yield _pair("code", handle.manifest.entry_point)


def _pair(label: str, text: str) -> Content:
    return Content.assemble((f"{label:<9}", "$foreground-muted"), text)
