"""How states look: one glyph, one word and one colour for each, everywhere the same."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from registry.handle import PluginHandle, PluginState


@dataclass(frozen=True, slots=True)
class Look:
    """A glyph, a word and a colour (a theme variable)."""

    glyph: str
    word: str
    colour: str


class TurnState(Enum):
    """Where the open conversation stands."""

    STARTING = Look("◌", "starting", "$foreground-muted")
    READY = Look("●", "ready", "$success")
    WAITING = Look("◐", "waiting", "$accent")
    PREPARING = Look("◐", "preparing", "$accent")
    THINKING = Look("◐", "thinking", "$accent")
    STREAMING = Look("◐", "answering", "$accent")
    STOPPED = Look("■", "stopped", "$warning")
    FAILED = Look("✗", "failed", "$error")
    NO_MODEL = Look("○", "no model", "$warning")


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


def plugin_look(handle: PluginHandle) -> Look:
    """How a plugin's state is shown; a failure that did not end it is counted."""
    look = PLUGIN_LOOKS[handle.state]
    if handle.state is PluginState.FAILED and handle.failures:
        return Look(look.glyph, f"failed x{handle.failures}", look.colour)
    return look
