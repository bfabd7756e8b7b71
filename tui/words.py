"""Ages and sizes in words, the same on every screen and in every command."""

from __future__ import annotations

from math import isinf

from registry.text import counted


def age_words(days: float) -> str:
    """How long ago, in words; an endless time is one that is not known."""
    if isinf(days):
        return "at an unknown time"
    if days < 1 / 24:
        return "just now"
    if days < 1:
        return f"{counted(round(days * 24), 'hour')} ago"
    return f"{counted(round(days), 'day')} ago"


def size_words(size: int) -> str:
    """Bytes, in three digits or so."""
    return f"{size / 1e6:.1f} MB" if size >= 1_000_000 else f"{max(1, round(size / 1000))} kB"
