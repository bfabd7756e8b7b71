"""How states look: one glyph, one word and one colour for each, everywhere the same."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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
