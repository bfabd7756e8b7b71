"""Whether an installed plugin is what was agreed to."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from registry.manifest import Manifest
from registry.marketplace.consent import Ask, asks_of, grant_hash

if TYPE_CHECKING:
    from registry.marketplace.installed import InstalledPlugin, InstalledVersion


def asked_by(version: InstalledVersion) -> tuple[Ask, ...]:
    """All that a version in the store asks for.

    Raises:
        KeyError, TypeError, ValueError: what is written down of it is damaged.
    """
    return asks_of(Manifest.from_json({**version.manifest, "launch": None}), version.requirements)


def grant_of(version: InstalledVersion) -> str:
    """What an agreement to a version is bound to: its code, its dependencies and all that it asks for.

    Raises:
        KeyError, TypeError, ValueError: what is written down of it is damaged.
    """
    closure = version.requirements
    digest = hashlib.sha256(closure.encode()).hexdigest() if closure else None
    return grant_hash(asked_by(version), version.artefact, digest)


def is_granted(plugin: InstalledPlugin) -> bool:
    """Whether what was agreed to is what the current code asks for, and was agreed to for this code."""
    try:
        return plugin.reviewed and plugin.grant == grant_of(plugin.current)
    except (LookupError, TypeError, ValueError, AttributeError):
        return False


def agreed(plugin: InstalledPlugin) -> InstalledPlugin:
    """The same plugin, agreed to as it is.

    Raises:
        KeyError, TypeError, ValueError: what is written down of it is damaged.
    """
    asks = tuple((ask.kind, ask.what) for ask in asked_by(plugin.current))
    return replace(plugin, grant=grant_of(plugin.current), asks=asks, reviewed=True)
