"""`jackfield plugins remove`: a plugin's code goes; its data and accounts only when the user wants that."""

from __future__ import annotations

import json
from dataclasses import dataclass

from registry.config import update_config
from registry.text import counted
from tui.cli.how import How
from tui.cli.output import Exit, line, note
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
        accounts = len(await desk.connections.all(short))
        if how.dry_run:
            await _write_plan(desk, plugin_id, accounts, how, has_data=has_data)
            return Exit.DONE
        asking = not how.agreed and desk.answers.from_person
        data = leaving.data
        if data is None:
            data = (
                has_data
                and asking
                and await desk.answers.agrees(f"Remove the data of {line(plugin_id)} too?")
            )
        secrets = leaving.secrets
        if secrets is None:
            question = f"Sign out of its {counted(accounts, 'account')} too?"
            secrets = accounts > 0 and asking and await desk.answers.agrees(question)
        removed = await desk.live.remove(plugin_id, data=data, secrets=secrets)
        update_config(desk.paths, {("plugins", short, "enabled"): None})
        kept = {"data": has_data and not data, "accounts": 0 if secrets else accounts}
        if how.as_json:
            await desk.output.write(json.dumps({"id": removed.id, "kept": kept}, indent=2) + "\n")
            return Exit.DONE
        await desk.output.write(f"Removed {line(removed.id)}.\n")
        if stays := [f"its {what}" for what, left in kept.items() if left]:
            note(
                f"What stays: {' and '.join(stays)}. "
                f"`jackfield plugins remove {line(plugin_id)} --data --secrets` removes that too."
            )
        return Exit.DONE

    return run_desk(work, safe_mode=safe_mode)


async def _write_plan(desk: Desk, plugin_id: str, accounts: int, how: How, *, has_data: bool) -> None:
    if how.as_json:
        facts = {"id": plugin_id, "has_data": has_data, "accounts": accounts}
        await desk.output.write(json.dumps(facts, indent=2) + "\n")
        return
    folder = " and a folder of data" if has_data else ""
    has = f"{counted(accounts, 'account')}{folder}"
    note(f"Would remove {line(plugin_id)}; it has {has}. Nothing was changed.")


def _removable(desk: Desk, name: str) -> str:
    from registry.marketplace.left_behind import left_behind

    behind = left_behind(desk.paths)
    for plugin_id in behind.values():
        if name in (plugin_id, plugin_id.partition("/")[2]) and plugin_id not in desk.live.installed():
            return plugin_id
    return desk.installed(name).id
