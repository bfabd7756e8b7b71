"""`jackfield plugins doctor`: looks at everything that installing and running plugins depends on."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass

from registry.errors import JackfieldError
from registry.startup import find_plugins
from registry.text import counted
from tui.cli.output import Exit, line, paint
from tui.cli.plugins_market import Desk, run_desk
from tui.words import age_words


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and what it is like."""

    about: str
    good: bool
    text: str
    mend: str = ""
    """What to do about it."""


def doctor(*, as_json: bool, safe_mode: bool) -> int:
    """Print what was looked at; gives the exit code: 1 if something is wrong. Nothing is changed."""

    async def work(desk: Desk) -> int:
        findings = [finding async for finding in _look(desk)]
        if as_json:
            await desk.output.write(json.dumps([asdict(each) for each in findings], indent=2) + "\n")
        else:
            for each in findings:
                mark = "ok   " if each.good else "wrong"
                text = f"{mark}  {each.about}: {each.text}" + (f"  {each.mend}" if each.mend else "")
                await desk.output.write(paint(text, None if each.good else "bad") + "\n")
        return Exit.DONE if all(each.good for each in findings) else Exit.FAILED

    return run_desk(work, safe_mode=safe_mode)


async def _look(desk: Desk) -> AsyncIterator[Finding]:
    yield _processes()
    yield _tool()
    async for finding in _marketplaces(desk):
        yield finding
    try:
        plugins = desk.live.installed()
    except JackfieldError as error:
        yield Finding("installed", False, line(error.title), line(error.hint))
        return
    yield Finding("installed", True, f"{counted(len(plugins), 'plugin')} from marketplaces")
    for plugin in plugins.values():
        if plugin.warned:
            said = f"its marketplace warns of {line(plugin.current.version)}: {line(plugin.warned, 300)}"
            yield Finding(line(plugin.id), False, said, f"jackfield plugins update {line(plugin.id)}")
    for damage in await desk.live.verify():
        name = f"{line(damage.plugin.id)}=={line(damage.version.version)}"
        what = "is gone" if damage.missing else "was changed"
        yield Finding("store", False, f"the code of {name} {what}", f"jackfield plugins install {name}")
    yield await asyncio.to_thread(_lock, desk)
    for each in await asyncio.to_thread(find_plugins, desk.paths, desk.settings):
        if each.state in ("failed", "needs_review", "revoked"):
            reason = f"{each.state.replace('_', ' ')}: {line(each.reason, 300)}"
            yield Finding(line(each.name), False, reason, f"jackfield plugins show {line(each.name)}")


def _processes() -> Finding:
    if os.name == "posix":
        return Finding("processes", True, "plugins from marketplaces can run here")
    return Finding("processes", False, "plugins from marketplaces need Linux or macOS")


def _tool() -> Finding:
    uv = shutil.which("uv")
    return Finding("dependencies", True, f"fetched with {line(uv, 300) if uv else 'the pip of the app'}")


async def _marketplaces(desk: Desk) -> AsyncIterator[Finding]:
    from registry.marketplace.catalogue_index import load_index
    from registry.marketplace.kept import OLD_AFTER_DAYS

    try:
        index = await asyncio.to_thread(load_index, desk.paths, verify=True)
    except JackfieldError as error:
        yield Finding("marketplaces", False, line(error.title), line(error.hint))
        return
    if not index.shelves:
        yield Finding("marketplaces", True, "none was added", "jackfield marketplace add WHERE")
    for name in sorted({plugin.marketplace for plugin in desk.orphans()}):
        what = "plugins came from it, and it is no longer known"
        yield Finding(
            f"marketplace {line(name)}", False, what, f"jackfield marketplace add WHERE --name {line(name)}"
        )
    for shelf in index.shelves:
        days = shelf.age_days()
        about = f"marketplace {line(shelf.name)}"
        if days is None:
            yield Finding(about, False, "nothing of it is here", "jackfield marketplace refresh")
        else:
            good = days <= OLD_AFTER_DAYS
            mend = "" if good else "jackfield marketplace refresh"
            yield Finding(about, good, f"{counted(shelf.plugins, 'plugin')}, asked {age_words(days)}", mend)


def _lock(desk: Desk) -> Finding:
    from registry.marketplace.lock import lock_file, locked_plugin, read_lock

    try:
        rows = set(read_lock(lock_file(desk.paths)))
    except JackfieldError as error:
        return Finding("lock file", False, line(error.title), line(error.hint))
    here = {locked_plugin(plugin) for plugin in desk.live.installed().values()}
    if rows == here:
        return Finding("lock file", True, "says what is installed")
    ids = ", ".join(sorted(line(row.id) for row in rows ^ here))
    return Finding("lock file", False, f"says something else of {ids}", "jackfield plugins lock, or restore")
