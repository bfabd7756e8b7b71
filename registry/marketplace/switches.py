"""A plugin is on by its name in the configuration, and another publisher's may have the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.config import load_config, update_config

if TYPE_CHECKING:
    from registry.paths import Paths


def switch_off(paths: Paths, name: str) -> None:
    """An earlier plugin of the name may have been on: what is installed anew is not.

    Raises:
        ConfigError: the configuration cannot be written.
    """
    if _is_on(paths, name):
        update_config(paths, {("plugins", name, "enabled"): False})


def forget_choice(paths: Paths, name: str) -> None:
    """That it was on was said of a plugin that goes: the next one of its name, from a lock file say, is not.

    Raises:
        ConfigError: the configuration cannot be written.
    """
    if _is_on(paths, name):
        update_config(paths, {("plugins", name, "enabled"): None})


def _is_on(paths: Paths, name: str) -> bool:
    chosen = load_config(paths).settings.plugins.get(name)
    return chosen is not None and chosen.enabled is True
