"""Puts a registry together from what is installed and what the user chose."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from registry.config import Settings
from registry.discovery import BUILTIN_PUBLISHER, discover
from registry.paths import Paths
from registry.registry import PluginRegistry


def plugins_are_off(*, safe_mode: bool, env: Mapping[str, str] = os.environ) -> bool:
    """Whether the app starts without any plugin code: `--safe-mode` or `JACKFIELD_PLUGINS=none`."""
    return safe_mode or env.get("JACKFIELD_PLUGINS", "").strip().lower() == "none"


def is_on(manifest: Mapping[str, Any], settings: Settings) -> bool:
    """Whether a plugin is on: as the user chose, else as it is by default.

    Plugins that are part of the app say themselves whether they are on from the start; all others are off.
    """
    chosen = settings.plugins.get(manifest["name"])
    if chosen is not None and chosen.enabled is not None:
        return chosen.enabled
    return manifest["publisher"] == BUILTIN_PUBLISHER and bool(manifest["on_by_default"])


def make_registry(paths: Paths, settings: Settings) -> PluginRegistry:
    """An empty registry that knows the plugins' options."""
    return PluginRegistry(paths, options={name: plugin.options for name, plugin in settings.plugins.items()})


def find_manifests(paths: Paths) -> list[dict[str, Any]]:
    """The manifests of all installed plugins, those that are part of the app first.

    Reads a cache; may take a second when that is stale, so call it off the event loop.
    """
    return sorted(discover(paths), key=lambda manifest: manifest["publisher"] != BUILTIN_PUBLISHER)


def fill_registry(
    registry: PluginRegistry, manifests: list[dict[str, Any]], settings: Settings, *, plugins_off: bool
) -> None:
    """Register every plugin, on or off as `is_on` has it; with `plugins_off`, all off."""
    registry.register_all((manifest, not plugins_off and is_on(manifest, settings)) for manifest in manifests)
