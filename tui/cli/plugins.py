"""`jackfield plugins list | show`: what is here, from manifests and configuration alone.

No plugin's code runs in this process, and no registry is made: a list from a warm cache comes at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from registry.config import load_config
from registry.errors import JackfieldError
from registry.marketplace.installed import InstalledPlugin, read_installed
from registry.paths import Paths, find_paths
from registry.startup import ListedPlugin, find_plugins, plugins_are_off
from registry.stored import InstalledManifest
from tui.cli.output import CommandError, Exit, format_table, line, note, paint, show_error, show_problems

if TYPE_CHECKING:
    from registry.settings import Settings

_Colour = Literal["heading", "bad", "muted"] | None


STATE_WORDS = {
    "enabled": "on",
    "installed": "off",
    "needs_review": "needs review",
    "failed": "failed",
    "revoked": "revoked",
}
"""The words of the plugins screen for the states that a plugin can have before anything runs."""
_COLOURS: dict[str, _Colour] = {
    "enabled": None,
    "installed": "muted",
    "needs_review": "bad",
    "failed": "bad",
    "revoked": "bad",
}


def list_plugins(*, as_json: bool, safe_mode: bool) -> int:
    """Print all installed plugins; gives the exit code."""
    paths, settings = start()
    plugins = find_here(paths, settings, safe_mode=safe_mode)
    if as_json:
        _print_json([_summary_json(plugin) for plugin in plugins])
        return Exit.DONE
    if not plugins:
        note("No plugin is installed.")
        return Exit.DONE
    _print_plugins(plugins)
    return Exit.DONE


def show_plugin(name: str, *, as_json: bool, safe_mode: bool) -> int:
    """Print all that is known of one plugin; gives the exit code."""
    paths, settings = start()
    plugin = pick(find_here(paths, settings, safe_mode=safe_mode), name)
    origin = _origin(paths, plugin)
    if as_json:
        _print_json(_details_json(plugin) | {"origin": _origin_json(origin) if origin else None})
        return Exit.DONE
    details = [*_details(plugin), *(_origin_rows(origin) if origin else ())]
    width = max(len(label) for label, _ in details)
    for label, text in details:
        for shown, row in zip([label, *[""] * text.count("\n")], text.split("\n"), strict=True):
            print(f"{shown:<{width}}  {row}".rstrip())
    return Exit.DONE


def start() -> tuple[Paths, Settings]:
    """Where things are and how they are set; warns of what is wrong with the configuration."""
    paths = find_paths()
    config = load_config(paths)
    show_problems(config.problems)
    return paths, config.settings


def find_here(paths: Paths, settings: Settings, *, safe_mode: bool) -> tuple[ListedPlugin, ...]:
    """All plugins that are here; those of them whose code may not run, as far as they are known."""
    off = plugins_are_off(safe_mode=safe_mode)
    if off:
        note("Plugins are off: only what is known without running any of their code is shown.")
    return find_plugins(paths, settings, plugins_off=off, complain=show_error)


def pick(plugins: Sequence[ListedPlugin], name: str) -> ListedPlugin:
    """The plugin of a name or an id.

    Raises:
        CommandError: none is called so.
    """
    for plugin in plugins:
        if name in (plugin.name, f"{plugin.manifest['publisher']}/{plugin.name}"):
            return plugin
    raise no_plugin(name, [plugin.name for plugin in plugins])


def no_plugin(name: str, known: Sequence[str]) -> CommandError:
    """The error for a name that no plugin has; tells those of the known ones that are near it."""
    from difflib import get_close_matches

    near = [line(close) for close in get_close_matches(name, known, cutoff=0.5)]
    hint = f"Did you mean {' or '.join(near)}?" if near else "`jackfield plugins list` shows all."
    for offered in _offered(name)[:1]:
        hint = f"A marketplace has it: `jackfield plugins install {line(offered)}` brings it."
    return CommandError(f"There is no plugin named {line(name, 64)}", hint=hint, code=Exit.USAGE)


def _offered(name: str) -> list[str]:
    """The ids of plugins of this name or id in the marketplaces that were added."""
    from registry.marketplace.catalogue_index import load_index

    with suppress(JackfieldError, OSError):
        return [row.id for row in load_index(find_paths()).rows if name in (row.name, row.id)]
    return []


def _print_plugins(plugins: Sequence[ListedPlugin]) -> None:
    header = ("NAME", "VERSION", "STATE", "PUBLISHER", "CONTRIBUTES", "SUMMARY")
    heading, rows = format_table(header, [_cells(plugin) for plugin in plugins])
    print(paint(heading, "heading"))
    for plugin, row in zip(plugins, rows, strict=True):
        print(paint(row, _COLOURS[plugin.state]))
        if plugin.reason:
            print(paint(f"  {line(plugin.reason)}", _COLOURS[plugin.state]))


def _cells(plugin: ListedPlugin) -> tuple[str, ...]:
    manifest = plugin.manifest
    return (
        line(plugin.name, 64),
        line(manifest["version"]) or "-",
        STATE_WORDS[plugin.state],
        line(manifest["publisher"], 32) or "-",
        line("; ".join(f"{what} {', '.join(names)}" for what, names in _contributions(manifest)), 80) or "-",
        line(manifest["summary"]),
    )


def _contributions(manifest: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """What the plugin adds: a word for the kind, and names. Kinds of which it has none are left out."""
    kinds = [
        ("providers", [entry["name"] for entry in manifest["providers"]]),
        ("commands", [f"/{entry['name']}" for entry in manifest["commands"]]),
        ("hooks", list(manifest["hooks"])),
        ("auth methods", [str(entry.get("type", "")) for entry in manifest["auth_methods"]]),
    ]
    return [(what, names) for what, names in kinds if names]


def _details(plugin: ListedPlugin) -> list[tuple[str, str]]:
    manifest = plugin.manifest
    rows = [
        ("name", line(plugin.name)),
        ("version", line(manifest["version"])),
        ("state", STATE_WORDS[plugin.state]),
        ("reason", "\n".join(line(row) for row in plugin.reason.splitlines())),
        ("summary", line(manifest["summary"])),
        ("publisher", line(manifest["publisher"])),
        ("runtime", line(manifest["runtime"])),
        ("guard", "yes: when one of its hooks fails, the turn stops" if manifest["guard"] else ""),
        ("code", line(manifest["entry_point"])),
        ("providers", "\n".join(_provider_line(entry) for entry in manifest["providers"])),
        ("commands", "\n".join(_command_line(entry) for entry in manifest["commands"])),
        ("hooks", line(", ".join(manifest["hooks"]))),
        *((kind, line(", ".join(names), 1000)) for kind, names in manifest["capabilities"].items()),
        ("auth methods", "\n".join(_auth_line(entry) for entry in manifest["auth_methods"])),
    ]
    return [(label, text) for label, text in rows if text]


def _origin(paths: Paths, plugin: ListedPlugin) -> InstalledPlugin | None:
    """What is written down of a plugin that came from a marketplace."""
    if not isinstance(plugin.manifest, InstalledManifest):
        return None
    return read_installed(paths).get(f"{plugin.manifest['publisher']}/{plugin.name}")


def _origin_rows(origin: InstalledPlugin) -> list[tuple[str, str]]:
    rows = [
        ("marketplace", line(origin.marketplace)),
        ("installed", line(origin.current.installed_at)),
        ("hash", origin.current.tree),
        ("pinned", "yes" if origin.pinned else ""),
        ("warning", line(origin.warned, 300)),
        ("kept", line(", ".join(version.version for version in origin.earlier))),
    ]
    return [(label, text) for label, text in rows if text]


def _origin_json(origin: InstalledPlugin) -> dict[str, Any]:
    return {
        "id": origin.id,
        "marketplace": origin.marketplace,
        "installed_at": origin.current.installed_at,
        "tree": origin.current.tree,
        "pinned": origin.pinned,
        "warning": origin.warned,
        "earlier": [version.version for version in origin.earlier],
    }


def _provider_line(entry: Mapping[str, Any]) -> str:
    models = ", ".join(str(model["id"]) for model in entry["models"])
    return line(f"{entry['name']}  {entry['title']}" + (f" ({models})" if models else ""), 400)


def _command_line(entry: Mapping[str, Any]) -> str:
    return line(f"/{entry['name']} {entry['argument']}".rstrip() + f"  {entry['summary']}")


def _auth_line(entry: Mapping[str, Any]) -> str:
    return line(f"{entry.get('type', '')}  {entry.get('label', '')}")


def _summary_json(plugin: ListedPlugin) -> dict[str, Any]:
    manifest = plugin.manifest
    return {
        "name": plugin.name,
        "version": manifest["version"],
        "state": plugin.state,
        "reason": plugin.reason,
        "publisher": manifest["publisher"],
        "summary": manifest["summary"],
        "providers": [entry["name"] for entry in manifest["providers"]],
        "commands": [entry["name"] for entry in manifest["commands"]],
        "hooks": manifest["hooks"],
        "auth_methods": [entry.get("type", "") for entry in manifest["auth_methods"]],
    }


def _details_json(plugin: ListedPlugin) -> dict[str, Any]:
    facts = {key: value for key, value in plugin.manifest.items() if key != "problem"}
    return facts | {"state": plugin.state, "reason": plugin.reason}


def _print_json(value: object) -> None:
    json.dump(value, sys.stdout, indent=2)  # ASCII only: nothing in it acts on a terminal
    print()
