"""`jackfield plugins enable | disable`: switches plugins, from now on and in a Jackfield that runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from registry.config import update_config
from registry.discovery import BUILTIN_PUBLISHER
from registry.errors import JackfieldError
from registry.states import PluginState
from registry.stored import InstalledManifest
from tui.cli.how import How
from tui.cli.output import CommandError, exit_of, line, note, show_error
from tui.cli.plugins import find_here, pick, start

if TYPE_CHECKING:
    from registry.paths import Paths
    from registry.startup import ListedPlugin


def switch_plugins(names: Sequence[str], *, on: bool, how: How, safe_mode: bool) -> int:
    """Switch plugins on or off from now on; gives the exit code: 1 if one could not be.

    Args:
        names: names or ids. None is switched if one of them is unknown.
        on: whether they shall be on. What one asks for beyond what was agreed to is asked then.
        how: with or without asking, and so on.
        safe_mode: run no plugin.
    """
    paths, settings = start()
    plugins = find_here(paths, settings, safe_mode=safe_mode)
    chosen = [pick(plugins, name) for name in names]
    done: list[str] = []
    errors: list[JackfieldError] = []
    for plugin in chosen:
        try:
            _switch(paths, plugin, on=on, how=how, safe_mode=safe_mode)
        except JackfieldError as error:
            show_error(error)
            errors.append(error)
        else:
            done.append(plugin.name)
    if how.as_json:
        print(json.dumps([{"name": name, "enabled": on} for name in done], indent=2))
    return exit_of(errors)


def _switch(paths: Paths, plugin: ListedPlugin, *, on: bool, how: How, safe_mode: bool) -> None:
    if on and plugin.state in ("failed", "revoked"):
        raise CommandError(
            f"The plugin {line(plugin.name)} cannot be switched on",
            detail=plugin.reason,
            hint=(
                "`jackfield plugins update`, `rollback` or `remove` it."
                if plugin.state == "revoked"
                else f"Once it is mended, run `jackfield plugins enable {line(plugin.name)}` again."
            ),
        )
    held = on and _is_held_for_review(plugin)
    if how.dry_run:
        if held:
            note(line(plugin.reason, 500))
    else:
        if held:
            from tui.cli.plugins_install import review  # what installs is heavy, and seldom needed here

            review(f"{plugin.manifest['publisher']}/{plugin.name}", agreed=how.agreed, safe_mode=safe_mode)
        update_config(paths, {("plugins", plugin.name, "enabled"): on})
    if not how.as_json:
        print(f"{line(plugin.name)} {'would be' if how.dry_run else 'is'} {'on' if on else 'off'}.")
    if on and not how.dry_run and plugin.manifest["publisher"] != BUILTIN_PUBLISHER:
        _say_what_that_means(plugin)


def _say_what_that_means(plugin: ListedPlugin) -> None:
    note(
        "Its code runs in a process of its own, with your rights."
        if plugin.manifest["runtime"] == "process"
        else "Its code runs inside Jackfield and may do whatever you may."
    )
    if any(method.get("type") != "no_auth" for method in plugin.manifest["auth_methods"]):
        note(f"`jackfield auth login {line(plugin.name)}` signs in.")


def _is_held_for_review(plugin: ListedPlugin) -> bool:
    """Whether it may not run before the user agreed to what it asks for."""
    held = plugin.manifest.held if isinstance(plugin.manifest, InstalledManifest) else None
    return held is not None and held.state is PluginState.NEEDS_REVIEW
