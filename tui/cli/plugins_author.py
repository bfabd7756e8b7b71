"""`jackfield plugins new | check`: what the author of a plugin does."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from registry.chat import Progress
from registry.paths import find_paths
from registry.text import counted
from tui.cli.named import existing
from tui.cli.output import CommandError, Exit, line, note
from tui.cli.progress import ProgressLine
from tui.cli.signals import StopSignals
from tui.cli.taken import taken_by_app

if TYPE_CHECKING:
    from registry.marketplace.authoring.project import Kind


def new_plugin(name: str, kind: Kind, *, into: Path | None, dry_run: bool = False) -> int:
    """Write the project of a new plugin, or only name its files; gives the exit code."""
    from registry.marketplace.authoring.project import ProjectError, create_project

    if name in taken_by_app(find_paths()).plugins:
        raise CommandError(
            f"{line(name, 64)} is part of Jackfield",
            hint="Choose another name: a plugin of the same name could not be installed beside it.",
            code=Exit.USAGE,
        )
    folder = Path(name) if into is None else into
    try:
        files = create_project(folder, name, kind, write=not dry_run)
    except ProjectError as error:
        raise CommandError(error.title, detail=error.detail, hint=error.hint, code=Exit.USAGE) from error
    for file in files:
        print(line(file, 500))
    if dry_run:
        note("Nothing was written.")
        return Exit.DONE
    note(f"Next: `jackfield plugins check {line(folder, 300)}`, and its own tests with `pytest`.")
    return Exit.DONE


def check_plugin(path: Path, *, publisher: str, as_json: bool) -> int:
    """Check a plugin as a marketplace would; gives the exit code: 1 if there is something to mend."""
    with StopSignals() as signals:
        return signals.run(_check(existing(path).resolve(), publisher, as_json=as_json))


async def _check(path: Path, publisher: str, *, as_json: bool) -> int:
    from registry.marketplace.authoring import checking  # what publishes, only for who checks

    progress = ProgressLine()
    progress.show(Progress(f"Building {line(path.name, 60)}, and asking it what it is"))
    try:
        checked = await checking.check_plugin(path, publisher=publisher, taken=taken_by_app(find_paths()))
    finally:
        progress.clear()
    if as_json:
        facts = {
            "id": checked.id,
            "version": checked.version,
            "asks": [ask.words for ask in checked.asks],
            "findings": [asdict(finding) for finding in checked.findings],
        }
        print(json.dumps(facts, indent=2))
        return Exit.FAILED if checked.findings else Exit.DONE
    print(f"{line(checked.id)} {line(checked.version)}")
    for ask in checked.asks:
        print(f"  {line(ask.words, 300)}")
    for finding in checked.findings:
        print(f"{line(finding.where, 300)}\n  {line(finding.what, 500)}\n  {line(finding.mend, 300)}")
    count = len(checked.findings)
    print(f"{counted(count, 'finding')}." if count else "No problem was found.")
    return Exit.FAILED if count else Exit.DONE
