"""Plugins that are registered as objects: described where they are, whatever they raise."""

from __future__ import annotations

from dataclasses import replace

from registry.contract import explain
from registry.manifest import Manifest, broken, describe
from registry.plugin import Plugin


def describe_object(plugin: Plugin) -> Manifest:
    """The manifest of a plugin object; if it cannot be described, one that says why."""
    try:
        return describe(plugin)
    except BaseException as error:  # noqa: BLE001 - the border to a plugin's code: its state says what it raised
        return broken(_name_of(plugin), explain(error))


def make_again(old: Plugin, known: Manifest) -> tuple[Plugin, Manifest]:
    """A fresh object of the same class and its manifest; the old one if none can be made.

    Args:
        old: the object there was.
        known: its manifest. If it was a guard, it stays one even if it can no longer be described.
    """
    fresh = old
    try:
        fresh = type(old)()
        manifest = describe_object(fresh)
    except BaseException as error:  # noqa: BLE001 - ditto
        manifest = broken(known.name, explain(error))
    if manifest.problem and known.guard:
        manifest = replace(manifest, name=known.name, guard=True, hooks=known.hooks)
    return fresh, manifest


def _name_of(plugin: Plugin) -> str:
    try:
        name = getattr(plugin, "name", None)
    except BaseException:  # noqa: BLE001 - ditto
        name = None
    return name if isinstance(name, str) and name else type(plugin).__name__
