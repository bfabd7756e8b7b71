"""The manifests of installed plugins, from what is written down of them; no code is run for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from registry.errors import JackfieldError, PluginError
from registry.marketplace.installed import InstalledPlugin, read_installed
from registry.marketplace.machine import SYSTEM
from registry.states import Held, PluginState
from registry.stored import InstalledManifest, has_index

if TYPE_CHECKING:
    from registry.manifest import Manifest
    from registry.paths import Paths

STORE: Final = "store"
"""The folder of installed code, in the data folder."""


def installed_manifests(paths: Paths) -> list[InstalledManifest]:
    """The manifest of the current version of each installed plugin, with what keeps it off, by id.

    Raises:
        JackfieldError: the list of installed plugins is damaged.
    """
    return [stored_manifest(paths, plugin) for plugin in read_installed(paths).values()]


def stored_manifest(paths: Paths, plugin: InstalledPlugin) -> InstalledManifest:
    """The manifest of the current version of an installed plugin, as a registry takes it.

    What decides under which name and from which folder it runs does not come from its publisher.
    """
    current = plugin.current
    data: dict[str, Any] = {
        **current.manifest,
        "name": plugin.name,
        "publisher": plugin.publisher,
        "runtime": "process",
        "entry_point": "",
        "on_by_default": False,
        "launch": _launch(paths, plugin),
    }
    if not has_index(data):
        data |= {"guard": False, "problem": "What is known of it is damaged. Install it again."}
    elif data["launch"] is None and not data["problem"]:
        data["problem"] = f"It has no program for {SYSTEM}."
    return InstalledManifest(data, held_by(plugin))


def _launch(paths: Paths, plugin: InstalledPlugin) -> dict[str, Any] | None:
    said = plugin.current.launch
    commands = said.get("commands")
    command = commands.get(SYSTEM) if isinstance(commands, dict) else said.get("command")
    entry_point = said.get("entry_point", "")
    if not command and not entry_point:
        return None
    capabilities = plugin.current.manifest.get("capabilities")
    return {
        "command": command,
        "entry_point": entry_point,
        "folder": str(paths.data / STORE / plugin.current.tree),
        # what was declared and agreed to, whatever else the description of the launch may say
        "environment": list(capabilities["environment"]) if isinstance(capabilities, dict) else [],
    }


def held_by(plugin: InstalledPlugin) -> Held | None:
    """What keeps an installed plugin off, as far as it is written down; None when nothing does."""
    if plugin.revoked:
        return Held(
            PluginState.REVOKED,
            f"Version {plugin.current.version} was revoked: {plugin.revoked}",
            "Update it, go back to an earlier version, or remove it.",
        )
    return None if plugin.reviewed else _unreviewed(plugin)


def _unreviewed(plugin: InstalledPlugin) -> Held:
    return Held(
        PluginState.NEEDS_REVIEW,
        f"Version {plugin.current.version} asks for more than you agreed to, or is not what you agreed to.",
        "Look at what it asks for in the marketplace screen, or go back to the version before.",
    )


def check_before_start(paths: Paths, manifest: Manifest) -> Held | None:
    """Look once more, before a process of a plugin is started; blocking.

    Its agreement is checked against what it asks for, and every file of its code against the hash of the
    whole, so that what runs is what was agreed to.

    Returns:
        What keeps it off; None when it may run, or did not come from a marketplace.

    Raises:
        PluginError: it was changed: by another Jackfield meanwhile, or on the disk.
    """
    from registry.manifest import Manifest
    from registry.marketplace.grants import is_granted
    from registry.marketplace.store import Store

    if manifest.launch is None or manifest.launch.folder.parent != paths.data / STORE:
        return None
    plugin = _find(paths, manifest)
    if plugin is None:
        raise PluginError(f"The plugin {manifest.name} was removed by another Jackfield")
    if plugin.current.tree != manifest.launch.folder.name:
        raise PluginError(
            f"The plugin {manifest.name} was changed by another Jackfield",
            detail=f"There is now version {plugin.current.version}.",
            hint="Reload it to go on with that.",
        )
    held = held_by(plugin)
    if held is not None or not is_granted(plugin):
        return held or _unreviewed(plugin)
    if Manifest.from_json(stored_manifest(paths, plugin)) != manifest:
        raise PluginError(
            f"The plugin {manifest.name} is not what it was when it was found", hint="Reload it."
        )
    if not Store(paths).is_sound(plugin.current.tree):
        raise PluginError(
            f"The code of the plugin {manifest.name} is not what was installed",
            detail="Files of it were changed, or are gone.",
            hint=f"`jackfield plugins install {plugin.id}=={plugin.current.version}` brings it anew.",
        )
    return None


def manifest_again(paths: Paths, manifest: Manifest) -> Manifest | None:
    """What is written down now of a plugin that came from a marketplace; None for any other.

    Raises:
        PluginError: it is not installed any more, or what is known of it is damaged.
    """
    from registry.manifest import Manifest

    if manifest.launch is None or manifest.launch.folder.parent != paths.data / STORE:
        return None
    plugin = _find(paths, manifest)
    if plugin is None:
        raise PluginError("It is not installed any more.")
    try:
        return Manifest.from_json(stored_manifest(paths, plugin))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise PluginError("What is known of it is damaged.", hint="Install it again.") from error


def _find(paths: Paths, manifest: Manifest) -> InstalledPlugin | None:
    try:
        return read_installed(paths).get(f"{manifest.publisher}/{manifest.name}")
    except JackfieldError as error:
        raise PluginError(error.title, detail=error.detail, hint=error.hint) from error
