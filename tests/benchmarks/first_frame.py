"""Which modules an app has loaded when it writes its first frame.

Textual takes the driver of the terminal from the environment variable `TEXTUAL_DRIVER`; `WatchingDriver` is
Textual's own that in addition notes, at the first frame, what is loaded. The app itself is unchanged.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from textual.drivers.linux_driver import LinuxDriver

from tests.e2e.terminal import PtySession

HEAVY: Final = frozenset(
    {
        "httpx",
        "keyring",
        "pydantic",
        "pydantic_core",
        "tomlkit",
        "filelock",
        "markdown_it",
        "pygments.lexers",
        "pygments.lexer",
        "providers",
        "sqlite3",
        "tuf",
        "registry.registry",
        "registry.turn",
        "tui.transcript",
    }
)
"""Packages and modules that the first frame does without."""
TO_FILE: Final = "JACKFIELD_TEST_MODULES"
SHOWS: Final = "rite a message"
"""What stands on the first frame, after the cursor."""


class WatchingDriver(LinuxDriver):
    """Notes at the first frame what is loaded."""

    def write(self, data: str) -> None:
        """Write, and note what is loaded if this is the first frame."""
        super().write(data)
        if SHOWS in data and (file := os.environ.pop(TO_FILE, None)):
            part = Path(file).with_suffix(".part")
            part.write_text(json.dumps(sorted(sys.modules)), encoding="utf-8")
            part.rename(file)


def modules_at_first_frame(command: tuple[str, ...], environment: Mapping[str, str]) -> set[str]:
    """Start an app in a terminal; gives its modules, and the packages of these, at its first frame."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "modules.json"
        watching = {
            TO_FILE: str(file),
            "TEXTUAL_DRIVER": f"{__name__}:{WatchingDriver.__name__}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        with PtySession(*command, size=(120, 40), env={**environment, **watching}) as session:
            session.wait_for(lambda _: file.exists())
        names = json.loads(file.read_text(encoding="utf-8"))
    return {*names, *(name.partition(".")[0] for name in names)}
