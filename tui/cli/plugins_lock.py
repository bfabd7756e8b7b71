"""`jackfield plugins lock | restore | verify`: the lock file, and whether the store is what was installed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import JackfieldError
from registry.paths import find_paths
from registry.text import counted
from tui.cli.how import How
from tui.cli.output import CommandError, Exit, exit_of, line, note, show_error, warn
from tui.cli.plugins_market import Desk, ask_lines, run_desk

if TYPE_CHECKING:
    from registry.marketplace.lock import LockedPlugin
    from registry.marketplace.planning import Plan
    from registry.marketplace.restoring import Restored


def lock(*, how: How, safe_mode: bool) -> int:
    """Have the lock file say what is installed, and nothing else; gives the exit code."""
    from registry.marketplace.lock import lock_file, locked_plugin, read_lock
    from registry.marketplace.restoring import write_lock_anew

    async def work(desk: Desk) -> int:
        file = lock_file(desk.paths)
        if how.dry_run:
            rows = {locked_plugin(plugin) for plugin in desk.live.installed().values()}
            before = set(read_lock(file))
            if how.as_json:
                await _write_rows(desk, file, sorted(rows))
                return Exit.DONE
            for row in sorted(before - rows):
                await desk.output.write(f"- {line(row.id)} {line(row.version)}\n")
            for row in sorted(rows - before):
                await desk.output.write(f"+ {line(row.id)} {line(row.version)}\n")
            note("Nothing was changed." if rows != before else "The lock file says so already.")
            return Exit.DONE
        written = await write_lock_anew(desk.installer)
        if how.as_json:
            await _write_rows(desk, file, written)
        else:
            await desk.output.write(f"{line(file, 500)}: {counted(len(written), 'plugin')}\n")
        return Exit.DONE

    return run_desk(work, safe_mode=safe_mode)


async def _write_rows(desk: Desk, file: Path, rows: Sequence[LockedPlugin]) -> None:
    plugins = [{"id": row.id, "version": row.version, "sha256": row.artefact} for row in rows]
    await desk.output.write(json.dumps({"file": str(file), "plugins": plugins}, indent=2) + "\n")


def restore(only: Sequence[str], *, file: Path | None, how: How, safe_mode: bool) -> int:
    """Install exactly what a lock file says; gives the exit code: 1 if something of it could not be had.

    Args:
        only: ids or names; all when empty.
        file: the lock file; the user's own when None.
        how: with or without asking, and so on.
        safe_mode: run no plugin.
    """
    from registry.marketplace.installed import set_damaged_aside
    from registry.marketplace.lock import lock_file, read_lock
    from registry.marketplace.restoring import restore as restore_from

    where = file or lock_file(find_paths())
    if not where.is_file():
        raise CommandError(f"There is no lock file {line(where, 400)}", code=Exit.USAGE)
    rows = read_lock(where)
    if not how.dry_run and (aside := set_damaged_aside(find_paths())):
        warn(f"The damaged list of installed plugins is now {line(aside, 400)}.")

    async def work(desk: Desk) -> int:
        await desk.refresh()
        ids = [row.id for row in rows if not only or {row.id, row.id.partition("/")[2]} & set(only)]
        missing = [each for each in only if not any(each in (one, one.partition("/")[2]) for one in ids)]
        if missing:
            raise CommandError(
                f"The lock file does not name {line(missing[0], 130)}",
                hint="Install it without --locked.",
                code=Exit.USAGE,
            )
        if how.dry_run:
            return await _plan(desk, [row for row in rows if row.id in ids], how)
        restored = await restore_from(
            desk.installer, desk.ask(agreed=how.agreed), desk.show_step, file=where, only=ids
        )
        desk.progress.clear()
        return await _report(desk, restored, how)

    return run_desk(work, safe_mode=safe_mode)


async def _plan(desk: Desk, rows: Sequence[LockedPlugin], how: How) -> int:
    from registry.marketplace.restoring import plan_locked

    plans: list[Plan] = []
    errors: list[JackfieldError] = []
    for row in rows:
        try:
            plans.append(await plan_locked(desk.installer, row))
        except JackfieldError as error:
            show_error(error)
            errors.append(error)
    if how.as_json:
        found = [{"id": plan.id, "version": plan.version.version, "needed": plan.is_needed} for plan in plans]
        await desk.output.write(json.dumps(found, indent=2) + "\n")
    for plan in () if how.as_json else plans:
        state = "would be installed" if plan.is_needed else "is here already"
        lines = [f"{line(plan.id)} {line(plan.version.version)} {state}", *ask_lines(plan.more)]
        await desk.output.write("".join(f"{text}\n" for text in lines))
    note("Nothing was changed.")
    return exit_of(errors)


async def _report(desk: Desk, restored: Restored, how: How) -> int:
    for _, error in restored.failed:
        show_error(error)
    if how.as_json:
        facts = {
            "installed": [
                {"id": plugin.id, "version": plugin.current.version, "tree": plugin.current.tree}
                for plugin in restored.installed
            ],
            "unchanged": list(restored.unchanged),
            "failed": [{"id": plugin_id, "reason": str(error)} for plugin_id, error in restored.failed],
            "others": list(restored.others),
        }
        await desk.output.write(json.dumps(facts, indent=2) + "\n")
    else:
        for plugin in restored.installed:
            await desk.output.write(f"Installed {line(plugin.id)} {line(plugin.current.version)}\n")
        for plugin_id in restored.unchanged:
            await desk.output.write(f"Unchanged {line(plugin_id)}\n")
        for plugin_id in restored.others:
            note(f"{line(plugin_id)} is installed, though the lock file does not name it. It was left alone.")
    return exit_of([error for _, error in restored.failed])


def verify(*, as_json: bool, safe_mode: bool) -> int:
    """Hash all installed code again; gives the exit code: 1 if something is not what was installed."""

    async def work(desk: Desk) -> int:
        damages = await desk.live.verify()
        if as_json:
            facts = [
                {
                    "id": damage.plugin.id,
                    "version": damage.version.version,
                    "tree": damage.version.tree,
                    "missing": damage.missing,
                    "current": damage.version == damage.plugin.current,
                }
                for damage in damages
            ]
            await desk.output.write(json.dumps(facts, indent=2) + "\n")
        else:
            for damage in damages:
                what = "is gone" if damage.missing else "was changed"
                await desk.output.write(
                    f"{line(damage.plugin.id)} {line(damage.version.version)}: its code {what}\n"
                )
        if not damages:
            count = await asyncio.to_thread(_count, desk)
            note(f"{counted(count, 'version')} in the store, nothing changed since it was installed.")
            return Exit.DONE
        worst = damages[0]
        raise CommandError(
            "Code in the store is not what was installed",
            hint=f"`jackfield plugins install {line(worst.plugin.id)}=={line(worst.version.version)}` "
            "brings it anew.",
        )

    return run_desk(work, safe_mode=safe_mode)


def _count(desk: Desk) -> int:
    return sum(1 + len(plugin.earlier) for plugin in desk.live.installed().values())
