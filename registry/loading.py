"""Turns an entry point into a plugin object."""

from __future__ import annotations

import sys
from importlib import import_module

from registry.errors import PluginError
from registry.plugin import Plugin


def load_plugin(entry_point: str) -> Plugin:
    """Import `module:attribute` and make the plugin.

    Raises:
        PluginError: what it names is not a plugin class.
        Exception: whatever the module or the class raises.
    """
    module_name, _, attribute = entry_point.partition(":")
    target = getattr(import_module(module_name), attribute)
    plugin = target() if isinstance(target, type) else target
    if not isinstance(plugin, Plugin):
        raise PluginError(
            f"{entry_point} is a {type(plugin).__name__}, not a plugin",
            hint="An entry point of the group jackfield.plugins names a subclass of jackfield.Plugin.",
        )
    return plugin


def forget_module(entry_point: str) -> None:
    """Drop the entry point's module and its submodules, so that the next load reads the code again."""
    module_name = entry_point.partition(":")[0]
    for name in [name for name in sys.modules if name == module_name or name.startswith(module_name + ".")]:
        del sys.modules[name]
