"""Turns an entry point into a plugin object."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from functools import reduce
from importlib import import_module

from registry.contract import is_plugin_name
from registry.errors import PluginError
from registry.family import PluginFamily
from registry.plugin import Plugin

MEMBER = "#"
"""Stands between the entry point of a family and the name of one member."""


def load_plugin(entry_point: str) -> Plugin:
    """Import `module:attribute` and make the plugin; of a family, the member after the `#`.

    Raises:
        PluginError: what it names is not a plugin class.
        Exception: whatever the module or the class raises.
    """
    address, _, member = entry_point.partition(MEMBER)
    target = _target(address)
    if isinstance(target, PluginFamily) and member:
        return _make_member(target, member)
    plugin = target() if isinstance(target, type) and issubclass(target, Plugin) else target
    if not isinstance(plugin, Plugin):
        found = target.__name__ if isinstance(target, type) else f"a {type(target).__name__}"
        raise PluginError(
            f"{entry_point} is {found}, not a plugin",
            hint="An entry point of the group jackfield.plugins names a subclass of jackfield.Plugin.",
        )
    return plugin


def member_entry_points(entry_point: str) -> list[str] | None:
    """The entry points of all members, if the entry point names a family.

    Raises:
        PluginError: the family names its members wrongly.
        Exception: whatever the module or the family raises.
    """
    if MEMBER in entry_point:
        return None
    target = _target(entry_point)
    if not isinstance(target, PluginFamily):
        return None
    names = list(target.names())
    if not all(is_plugin_name(name) for name in names) or len(set(names)) != len(names):
        raise PluginError(
            f"{entry_point} names its plugins wrongly",
            hint="Each has a name of its own, with lower-case letters, digits and `-`.",
        )
    return [f"{entry_point}{MEMBER}{name}" for name in names]


def _target(address: str) -> object:
    module_name, _, attribute = address.partition(":")
    module: object = import_module(module_name)
    return reduce(getattr, attribute.split("."), module) if attribute else module


def _make_member(family: PluginFamily, name: str) -> Plugin:
    plugin: object = family.make(name)
    if not isinstance(plugin, Plugin) or plugin.name != name:
        raise PluginError(f"The family gave something else where the plugin {name} belongs")
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
