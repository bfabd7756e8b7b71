"""Turns an entry point into a plugin object."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from functools import reduce
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
    module: object = import_module(module_name)
    target = reduce(getattr, attribute.split("."), module) if attribute else module
    plugin = target() if isinstance(target, type) and issubclass(target, Plugin) else target
    if not isinstance(plugin, Plugin):
        found = target.__name__ if isinstance(target, type) else f"a {type(target).__name__}"
        raise PluginError(
            f"{entry_point} is {found}, not a plugin",
            hint="An entry point of the group jackfield.plugins names a subclass of jackfield.Plugin.",
        )
    return plugin


def forget_module(entry_point: str, others: Iterable[str] = ()) -> None:
    """Drop the code behind an entry point, so that the next load reads it again.

    Args:
        entry_point: whose code.
        others: entry points of other plugins. The whole top-level package is dropped unless one of them
            lives in it too; then only the entry point's own module and what is below it.
    """
    module = entry_point.partition(":")[0]
    package = module.partition(".")[0]
    shared = any(other.partition(":")[0].partition(".")[0] == package for other in others)
    root = module if shared else package
    for name in [name for name in sys.modules if name == root or name.startswith(root + ".")]:
        del sys.modules[name]
    importlib.invalidate_caches()
