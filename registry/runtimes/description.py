"""What a plugin says of itself at the handshake, and the manifest that the app makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from registry.manifest import Manifest, Runtime, describe
from registry.plugin import Plugin

SAID: Final = (
    *("name", "version", "summary", "guard", "hooks", "verifies"),
    *("auth_methods", "providers", "commands", "capabilities"),
)
"""The fields of a manifest that a plugin says itself; the others are the app's."""


def describe_as_json(plugin: Plugin) -> dict[str, Any]:
    """What a plugin says of itself, as JSON data.

    Raises:
        PluginError: the plugin breaks the contract.
        Exception: whatever a method of the plugin raises.
    """
    manifest = describe(plugin).to_json()
    return {field: _without_plugin(manifest[field]) for field in SAID}


def _without_plugin(value: Any) -> Any:
    """Entries as the plugin knows them: that they are its own goes without saying."""
    if isinstance(value, list | tuple):
        return [_without_plugin(item) for item in value]
    return {key: item for key, item in value.items() if key != "plugin"} if isinstance(value, dict) else value


def manifest_of(said: Mapping[str, Any]) -> Manifest:
    """The manifest of what a plugin says of itself, checked only for its shape.

    Raises:
        pydantic.ValidationError: it has another shape.
    """
    from registry.runtimes.protocol import Description  # pydantic, which only a process that starts needs

    whole = Description.model_validate(said).model_dump(mode="json")
    about = {"publisher": "", "runtime": Runtime.PROCESS, "entry_point": "", "on_by_default": False}
    return Manifest.from_json({**whole, **about, "problem": "", "launch": None})
