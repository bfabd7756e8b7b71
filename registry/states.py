"""Where a plugin stands, and what may keep it from being on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class PluginState(StrEnum):
    """Where a plugin stands."""

    AVAILABLE = "available"
    """Offered by a marketplace, not installed."""
    INSTALLED = "installed"
    """Here, and off."""
    NEEDS_REVIEW = "needs_review"
    """On, but not before the user agreed to what it asks for."""
    ENABLED = "enabled"
    """On; its code has not been needed yet."""
    ACTIVE = "active"
    """On, and its code runs."""
    FAILED = "failed"
    """On with a failure remembered, or so broken that it cannot be on at all."""
    AUTO_DISABLED = "auto_disabled"
    """Switched off by the app, for the reason that is kept."""
    REVOKED = "revoked"
    """Withdrawn by its marketplace."""


@dataclass(frozen=True, slots=True)
class Held:
    """What keeps a plugin off whatever the user chose."""

    state: Literal[PluginState.NEEDS_REVIEW, PluginState.REVOKED]
    reason: str
    hint: str = ""
    """What the user can do about it."""
