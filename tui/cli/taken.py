"""What the app itself has, so that an author does not name something else like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.marketplace.publishing.check import Taken
    from registry.paths import Paths


def taken_by_app(paths: Paths) -> Taken:
    """The names of the plugins that are part of the app, and of their commands."""
    from registry.discovery import BUILTIN_PUBLISHER
    from registry.marketplace.publishing.check import Taken
    from registry.startup import find_manifests

    own = [each for each in find_manifests(paths) if each["publisher"] == BUILTIN_PUBLISHER]
    return Taken(
        frozenset(manifest["name"] for manifest in own),
        frozenset(command["name"] for manifest in own for command in manifest["commands"]),
    )
