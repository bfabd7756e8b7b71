"""What a command line names has to be there: a file or a folder."""

from __future__ import annotations

from pathlib import Path

from tui.cli.output import CommandError, Exit, line


def existing(path: str | Path) -> Path:
    """A file or folder of this name.

    Raises:
        CommandError: there is none; with the exit code of a wrong command line.
    """
    found = Path(path)
    if not found.exists():
        raise CommandError(f"{line(path, 300)} is not there", code=Exit.USAGE)
    return found
