"""`jackfield plugins remove`: a plugin's code goes; its data and accounts only when the user wants that."""

from __future__ import annotations

from dataclasses import dataclass

from registry.config import update_config
from tui.cli.output import Exit, line, note
from tui.cli.plugins_install import How
from tui.cli.plugins_market import Desk, run_desk


@dataclass(frozen=True, slots=True)
class Leaving:
    """What goes with a plugin that is removed; None asks."""

    data: bool | None = None
    secrets: bool | None = None


def remove(name: str, *, leaving: Leaving, how: How, safe_mode: bool) -> int:
    """Remove a plugin; gives the exit code. Its data and secrets stay unless it is said that they go."""

    async def work(desk: Desk) -> int:
        plugin_id = _removable(desk, name)
        short = plugin_id.partition("/")[2]
        has_data = desk.paths.plugin_data(short).is_dir()
        accounts = await desk.connections.all(short)
        if how.dry_run:
            note(
                f"Would remove {line(plugin_id)}; it has {len(accounts)} accounts"
                f"{' and a folder of data' if has_data else ''}. Nothing was changed."
            )
            return Exit.DONE
        asked = how.agreed or not desk.answers.from_person
        data = (
            leaving.data
            if leaving.data is not None
            else (has_data and not asked and await _yes(desk, f"Remove the data of {line(plugin_id)} too?"))
        )
        secrets = (
            leaving.secrets
            if leaving.secrets is not None
            else (
                bool(accounts)
                and not asked
                and await _yes(desk, f"Sign out of its {len(accounts)} accounts too?")
            )
        )
        removed = await desk.live.remove(plugin_id, data=data, secrets=secrets)
        update_config(desk.paths, {("plugins", short, "enabled"): None})
        await desk.output.write(f"Removed {line(removed.id)}.\n")
        stays = ["its data"] * (has_data and not data) + ["its accounts"] * (bool(accounts) and not secrets)
        if stays:
            note(
                f"What stays: {' and '.join(stays)}. "
                f"`jackfield plugins remove {line(plugin_id)} --data --secrets` removes that too."
            )
        return Exit.DONE

    return run_desk(work, safe_mode=safe_mode)


def _removable(desk: Desk, name: str) -> str:
    from registry.marketplace.left_behind import left_behind

    behind = left_behind(desk.paths)
    for plugin_id in behind.values():
        if name in (plugin_id, plugin_id.partition("/")[2]) and plugin_id not in desk.live.installed():
            return plugin_id
    return desk.installed(name).id


async def _yes(desk: Desk, question: str) -> bool:
    said = await desk.answers.ask(f"{question} [y/N] ")
    return (said or "").strip().lower() in ("y", "yes")
