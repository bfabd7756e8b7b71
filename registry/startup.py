"""Puts a registry together from what is installed and what the user chose.

Importing this costs little: a command that only lists plugins need not load the registry.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from registry.discovery import BUILTIN_PUBLISHER, discover, find_candidates
from registry.errors import JackfieldError
from registry.marketplace.manifests import installed_manifests
from registry.paths import Paths
from registry.states import Held, PluginState
from registry.stored import InstalledManifest

if TYPE_CHECKING:
    from registry.marketplace.finding import Found
    from registry.marketplace.install import Installer
    from registry.registry import PluginRegistry
    from registry.settings import Settings


@dataclass(frozen=True, slots=True)
class ListedPlugin:
    """A plugin that is here, and where it will stand once a registry holds it."""

    manifest: Mapping[str, Any]
    """As `Manifest.to_json` gives it; a thousand of them are listed without being decoded."""
    state: Literal["installed", "needs_review", "enabled", "failed", "revoked"]
    """A value of `PluginState`."""
    reason: str = ""
    """Why it failed, or is held back."""

    @property
    def name(self) -> str:
        """The plugin's name."""
        return str(self.manifest["name"])


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
    return bool(manifest["publisher"] == BUILTIN_PUBLISHER and manifest["on_by_default"])


def make_registry(paths: Paths, settings: Settings) -> PluginRegistry:
    """An empty registry that knows the plugins' options."""
    from registry.registry import PluginRegistry  # brings asyncio, which a list of plugins need not pay for

    return PluginRegistry(paths, options={name: plugin.options for name, plugin in settings.plugins.items()})


def find_manifests(
    paths: Paths, *, complain: Callable[[JackfieldError], None] = lambda _: None
) -> list[dict[str, Any]]:
    """The manifests of all installed plugins, those that are part of the app first, each group by name.

    Reads a cache; may take a second when that is stale, so call it off the event loop.

    Args:
        paths: where the cache and the list of what came from marketplaces are.
        complain: told when that list cannot be read; what it names is left out then.
    """
    return sorted([*discover(paths), *_from_marketplaces(paths, complain)], key=_order)


def _from_marketplaces(paths: Paths, complain: Callable[[JackfieldError], None]) -> list[InstalledManifest]:
    try:
        return installed_manifests(paths)
    except JackfieldError as error:
        complain(error)
        return []


def find_plugins(
    paths: Paths,
    settings: Settings,
    *,
    plugins_off: bool = False,
    complain: Callable[[JackfieldError], None] = lambda _: None,
) -> tuple[ListedPlugin, ...]:
    """All installed plugins with the state each will have, in the registry's order, without a registry.

    Args:
        paths: where the cache of manifests is.
        settings: what the user chose.
        plugins_off: run no plugin's code, not even to describe it: then only names and publishers are known,
            and every plugin is off.
        complain: as `find_manifests` has it.
    """
    if plugins_off:
        known = [*_undescribed_manifests(), *_from_marketplaces(paths, complain)]
        return tuple(ListedPlugin(manifest, "installed") for manifest in sorted(known, key=_order))
    seen: set[str] = set()
    plugins: list[ListedPlugin] = []
    for manifest in find_manifests(paths, complain=complain):
        name = manifest["name"]
        on = is_on(manifest, settings)
        held = manifest.held if isinstance(manifest, InstalledManifest) else None
        if name in seen:
            plugins.append(ListedPlugin(manifest, "failed", f"Another plugin is already named {name}."))
        elif manifest["problem"]:
            plugins.append(ListedPlugin(manifest, "failed", manifest["problem"]))
        elif held and (on or held.state is PluginState.REVOKED):
            plugins.append(ListedPlugin(manifest, _value(held), held.reason))
        else:
            plugins.append(ListedPlugin(manifest, "enabled" if on else "installed"))
        seen.add(name)
    return tuple(plugins)


def _value(held: Held) -> Literal["needs_review", "revoked"]:
    return "revoked" if held.state is PluginState.REVOKED else "needs_review"


def make_installer(paths: Paths, settings: Settings) -> Installer:
    """What installs plugins from marketplaces, under the rules of this app and of the user."""
    from jackfield import __version__
    from registry.marketplace.install import Installer  # only who installs waits for it
    from registry.marketplace.machine import Machine
    from registry.marketplace.rules import Rules

    def rules(found: Found) -> Rules:
        others = discover(paths)
        wanted = settings.marketplaces
        return Rules(
            Machine(__version__),
            builtin_names={each["name"] for each in others if each["publisher"] == BUILTIN_PUBLISHER},
            taken={
                each["name"]: f"a plugin of the package by {each['publisher']}"
                for each in others
                if each["publisher"] != BUILTIN_PUBLISHER
            },
            allow=wanted.allow,
            block=wanted.block,
            revocations=found.revocations,
            min_age=wanted.min_age,
            catalogue_is_old=found.is_old,
        )

    return Installer(paths, rules)


def fill_registry(
    registry: PluginRegistry, manifests: Sequence[Mapping[str, Any]], settings: Settings, *, plugins_off: bool
) -> None:
    """Register every plugin, on or off as `is_on` has it; with `plugins_off`, all off."""
    registry.register_all((manifest, not plugins_off and is_on(manifest, settings)) for manifest in manifests)


def _order(manifest: Mapping[str, Any]) -> tuple[bool, str]:
    return manifest["publisher"] != BUILTIN_PUBLISHER, manifest["name"]


def _undescribed_manifests() -> list[dict[str, Any]]:
    from registry.manifest import Manifest

    return [
        Manifest(found.name, "", publisher=found.publisher, entry_point=found.entry_point).to_json()
        for found in find_candidates()
    ]
