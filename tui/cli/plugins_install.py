"""`jackfield plugins install | update | outdated | rollback | pin`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import JackfieldError
from tui.cli.how import How
from tui.cli.output import CommandError, Exit, exit_of, format_table, line, note, paint, show_error
from tui.cli.plugins_market import Desk, ask_lines, run_desk
from tui.words import size_words

if TYPE_CHECKING:
    from registry.marketplace.install import Plan
    from registry.marketplace.installed import InstalledPlugin, InstalledVersion
    from registry.marketplace.live import Change
    from registry.marketplace.rules import Obstacle
    from registry.marketplace.upkeep import Update

_DIGITS = 16
"""How many digits of a hash are shown; JSON has all."""


def install(wanted: Sequence[str], *, marketplace: str | None, how: How, safe_mode: bool) -> int:
    """Install plugins; gives the exit code. None is switched on by it.

    Args:
        wanted: ids or names, each perhaps with `==VERSION`.
        marketplace: only look there.
        how: with or without asking, and so on.
        safe_mode: run no plugin.
    """
    from registry.marketplace.consent import ConsentError

    async def work(desk: Desk) -> int:
        await desk.refresh()
        changes: list[Change] = []
        plans: list[Plan] = []
        errors: list[JackfieldError] = []
        try:
            for each in wanted:
                plan = await desk.plan(each, marketplace)
                if how.dry_run:
                    plans.append(plan)
                elif plan.is_needed or not await _is_sound(desk, plan):
                    try:
                        changes.append(await _install(desk, plan, how))
                    except ConsentError as error:  # the others may be welcome
                        show_error(error)
                        errors.append(error)
                else:
                    note(f"{line(plan.id)} {line(plan.version.version)} is installed already.")
        finally:  # what was done before one failed
            await _report(desk, changes, how)
        if how.dry_run:
            errors += await _write_plans(desk, plans, how)
        return exit_of([*errors, *_problems(changes)])

    return run_desk(work, safe_mode=safe_mode)


async def _is_sound(desk: Desk, plan: Plan) -> bool:
    return plan.before is not None and await asyncio.to_thread(
        desk.installer.store.is_sound, plan.before.current.tree
    )


async def _install(desk: Desk, plan: Plan, how: How) -> Change:
    for version, reason in plan.passed_over:
        note(f"{line(plan.id)} {line(version)} is passed over: {line(reason, 400)}")
    artefact = plan.version.artefact
    note(
        f"{line(plan.id)} {line(plan.version.version)} from {line(plan.found.marketplace.source.name)}, "
        f"{size_words(artefact.size)}, SHA-256 {artefact.sha256}"
    )
    try:
        return await desk.live.install(
            plan,
            desk.ask(agreed=how.agreed),
            lambda step: desk.show_step(plan.id, step),
            ignore_age=how.ignore_age,
        )
    except JackfieldError as error:
        young = any(obstacle.age for obstacle in plan.obstacles) and not how.ignore_age
        if young and len(plan.obstacles) == 1:
            hint = "Wait, or install it all the same with --now."
            raise JackfieldError(error.title, detail=error.detail, hint=hint) from error
        raise


async def _write_plans(desk: Desk, plans: Sequence[Plan], how: How) -> list[JackfieldError]:
    """Write what would be done; gives why some of it could not be, which is shown already."""
    if how.as_json:
        await desk.output.write(json.dumps([_plan_json(plan, how) for plan in plans], indent=2) + "\n")
    else:
        lines = [text for plan in plans for text in _plan_lines(plan)]
        await desk.output.write("".join(f"{text}\n" for text in lines))
    errors = [_refused(plan, obstacles) for plan in plans if (obstacles := _obstacles(plan, how))]
    for error in errors:
        show_error(error)
    note("Nothing was changed.")
    return errors


def _refused(plan: Plan, obstacles: Sequence[Obstacle]) -> JackfieldError:
    return JackfieldError(
        f"{line(plan.id)} {line(plan.version.version)} cannot be installed",
        detail=" ".join(obstacle.reason for obstacle in obstacles),
        hint=obstacles[0].hint,
    )


def _obstacles(plan: Plan, how: How) -> list[Obstacle]:
    return [each for each in plan.obstacles if not (how.ignore_age and each.age)]


def _plan_lines(plan: Plan) -> list[str]:
    before = f"{line(plan.before.current.version)} -> " if plan.before else ""
    version, size = line(plan.version.version), size_words(plan.version.artefact.size)
    return [f"{line(plan.id)} {before}{version}, {size}", *ask_lines(plan.more)]


def _plan_json(plan: Plan, how: How) -> dict[str, Any]:
    return {
        "id": plan.id,
        "version": plan.version.version,
        "marketplace": plan.found.marketplace.source.name,
        "before": plan.before.current.version if plan.before else None,
        "needed": plan.is_needed,
        "size": plan.version.artefact.size,
        "sha256": plan.version.artefact.sha256,
        "asks": [ask.words for ask in plan.asks],
        "asks_more": [ask.words for ask in plan.more],
        "obstacles": [obstacle.reason for obstacle in _obstacles(plan, how)],
    }


def update(names: Sequence[str], *, everything: bool, how: How, safe_mode: bool) -> int:
    """Bring plugins up to date; gives the exit code: 1 if one could not be.

    Args:
        names: ids or names.
        everything: all that are not pinned.
        how: with or without asking, and so on.
        safe_mode: run no plugin.
    """
    if bool(names) == everything:
        raise CommandError("Name plugins to update, or use --all", code=Exit.USAGE)

    async def work(desk: Desk) -> int:
        await desk.refresh()
        changes: list[Change] = []
        plans: list[Plan] = []
        errors: list[JackfieldError] = []
        try:
            for plugin in _chosen(desk, names):
                try:
                    plan = await _newer(desk, plugin, named=bool(names))
                    if plan is not None and not how.dry_run:
                        changes.append(await _install(desk, plan, how))
                    elif plan is not None:
                        plans.append(plan)
                except JackfieldError as error:
                    if not everything:
                        raise
                    show_error(error)
                    errors.append(error)
        finally:  # what was done before one failed
            await _report(desk, changes, how)
        if how.dry_run:
            errors += await _write_plans(desk, plans, how)
        return exit_of([*errors, *_problems(changes)])

    return run_desk(work, safe_mode=safe_mode)


def _chosen(desk: Desk, names: Sequence[str]) -> list[InstalledPlugin]:
    if names:
        return [desk.installed(name) for name in names]
    return list(desk.live.installed().values())


async def _newer(desk: Desk, plugin: InstalledPlugin, *, named: bool) -> Plan | None:
    """What updating a plugin would mean; None when there is nothing to do."""
    from packaging.version import Version as Number

    if plugin.pinned:
        note(f"{line(plugin.id)} is pinned to {line(plugin.current.version)}.")
        return None
    plan = await desk.plan(plugin.id, plugin.marketplace)
    newer = Number(plan.version.version) > Number(plugin.current.version)
    if not newer or not plan.is_needed:
        for version, reason in plan.passed_over:
            note(f"{line(plugin.id)} {line(version)} is passed over: {line(reason, 400)}")
        if named:
            note(f"{line(plugin.id)} {line(plugin.current.version)} is the newest that can be installed.")
        return None
    return plan


def outdated(*, as_json: bool, safe_mode: bool) -> int:
    """Print installed plugins with a newer version; gives the exit code."""

    async def work(desk: Desk) -> int:
        await desk.refresh()
        updates = await desk.live.outdated()
        orphans = desk.orphans()
        desk.warn_of(orphans)
        if as_json:
            rows = [_update_json(each) for each in updates]
            await desk.output.write(json.dumps(rows, indent=2) + "\n")
        elif updates:
            heading, rows_ = format_table(
                ("PLUGIN", "HERE", "NEWEST", ""), [_update_cells(u) for u in updates]
            )
            await desk.output.write("\n".join([paint(heading, "heading"), *rows_, ""]))
            free = any(not update.pinned for update in updates)
            note(
                "`jackfield plugins update --all` brings those that are not pinned."
                if free
                else "All of them are pinned; `jackfield plugins unpin NAME` lets one be updated."
            )
        else:
            note(f"Everything{' else' if orphans else ''} is up to date.")
        return Exit.DONE

    return run_desk(work, safe_mode=safe_mode)


def _update_cells(update: Update) -> tuple[str, ...]:
    remarks = ["pinned"] * update.pinned + ["security"] * update.security
    current = update.plugin.current.version
    return line(update.plugin.id), line(current), line(update.newest), ", ".join(remarks)


def _update_json(update: Update) -> dict[str, Any]:
    return {
        "id": update.plugin.id,
        "installed": update.plugin.current.version,
        "newest": update.newest,
        "pinned": update.pinned,
        "security": update.security,
    }


def roll_back(name: str, to: str | None, *, how: How, safe_mode: bool) -> int:
    """Go back to an earlier version; gives the exit code."""

    async def work(desk: Desk) -> int:
        plugin = desk.installed(name)
        if how.dry_run:
            from registry.marketplace.upkeep import way_back

            await _write_way_back(desk, plugin, way_back(plugin, to), how)
            return Exit.DONE
        changes = [await desk.live.roll_back(plugin.id, to)]
        await _report(desk, changes, how)
        return exit_of(_problems(changes))

    return run_desk(work, safe_mode=safe_mode)


async def _write_way_back(desk: Desk, plugin: InstalledPlugin, target: InstalledVersion, how: How) -> None:
    kept = [version.version for version in plugin.earlier]
    if how.as_json:
        facts = {"id": plugin.id, "version": target.version, "before": plugin.current.version, "kept": kept}
        await desk.output.write(json.dumps(facts, indent=2) + "\n")
    else:
        steps = f"{line(plugin.current.version)} -> {line(target.version)}"
        await desk.output.write(f"{line(plugin.id)} {steps}; kept here: {line(', '.join(kept))}\n")
    note("Nothing was changed.")


def pin(name: str, *, pinned: bool, how: How, safe_mode: bool) -> int:
    """Have updates leave a plugin as it is, or no longer; gives the exit code."""

    async def work(desk: Desk) -> int:
        plugin = desk.installed(name)
        if not how.dry_run:
            plugin = await desk.live.pin(plugin.id, pinned=pinned)
        if how.as_json:
            facts = {"id": plugin.id, "version": plugin.current.version, "pinned": pinned}
            await desk.output.write(json.dumps(facts, indent=2) + "\n")
            return Exit.DONE
        state = f"pinned to {line(plugin.current.version)}" if pinned else "no longer pinned"
        await desk.output.write(f"{line(plugin.id)} {'would be' if how.dry_run else 'is'} {state}.\n")
        return Exit.DONE

    return run_desk(work, safe_mode=safe_mode)


def review(plugin_id: str, *, agreed: bool, safe_mode: bool) -> None:
    """Ask for what the installed version asks for beyond what was agreed to.

    Raises:
        JackfieldError: the user did not agree, or it is not installed.
    """

    async def work(desk: Desk) -> int:
        await desk.live.review(plugin_id, desk.ask(agreed=agreed))
        return Exit.DONE

    if code := run_desk(work, safe_mode=safe_mode):
        raise CommandError("Nothing was changed", code=Exit(code))


def _problems(changes: Sequence[Change]) -> list[JackfieldError]:
    """Why what is there now could not be started; `_report` has shown it."""
    return [change.problem for change in changes if change.problem is not None]


async def _report(desk: Desk, changes: Sequence[Change], how: How) -> None:
    if how.as_json:
        if not how.dry_run:
            await desk.output.write(json.dumps([_change_json(change) for change in changes], indent=2) + "\n")
    else:
        for change in changes:
            sound = await asyncio.to_thread(desk.installer.store.is_sound, change.plugin.current.tree)
            await desk.output.write("".join(f"{text}\n" for text in change_lines(change, sound=sound)))
    for change in changes:
        if change.problem is not None:
            show_error(change.problem)
            if change.before is not None and change.plugin.before == change.before:
                note(f"`jackfield plugins rollback {line(change.plugin.id)}` brings the version before.")
        elif not change.plugin.reviewed:
            note(
                "It asks for more than you agreed to, and stays off until "
                f"`jackfield plugins enable {line(change.plugin.name)}` has asked you."
            )
        elif change.before is None:
            note(f"It is off. `jackfield plugins enable {line(change.plugin.name)}` switches it on.")


def change_lines(change: Change, *, sound: bool) -> list[str]:
    """What became of a plugin: versions, hashes, and the proof that the new code is the one that is there.

    Args:
        change: what was done.
        sound: whether the code in the store still has its hash, read anew.
    """
    plugin, before = change.plugin, change.before
    now = plugin.current
    if before is None:
        head = f"Installed {line(plugin.id)} {line(now.version)}"
        code = now.tree[:_DIGITS]
    else:
        head = f"{line(plugin.id)} {line(before.version)} -> {line(now.version)}"
        code = f"{before.tree[:_DIGITS]} -> {now.tree[:_DIGITS]}"
    if change.loaded is not None:
        proof = (
            f"it was started from {change.loaded.tree[:_DIGITS]} and says that it is {change.loaded.version}"
        )
    elif sound:
        proof = f"its files were read again and have the hash {now.tree[:_DIGITS]}; nothing of it runs"
    else:
        proof = "its files are NOT what was installed: `jackfield plugins verify`"
    return [head, f"  code    {code}", f"  proof   {proof}"]


def _change_json(change: Change) -> dict[str, Any]:
    now, before = change.plugin.current, change.before
    return {
        "id": change.plugin.id,
        "version": now.version,
        "tree": now.tree,
        "before": {"version": before.version, "tree": before.tree} if before else None,
        "loaded": {"version": change.loaded.version, "tree": change.loaded.tree} if change.loaded else None,
        "problem": str(change.problem) if change.problem else None,
    }
