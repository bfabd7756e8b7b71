"""Which modules an app has loaded when it writes its first frame."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.benchmarks.watching_driver import TO_FILE
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


def modules_at_first_frame(command: tuple[str, ...], environment: Mapping[str, str]) -> set[str]:
    """Start an app in a terminal; gives its modules, and the packages of these, at its first frame."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "modules.json"
        watching = {
            TO_FILE: str(file),
            "TEXTUAL_DRIVER": "tests.benchmarks.watching_driver:WatchingDriver",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        with PtySession(*command, size=(120, 40), env={**environment, **watching}) as session:
            session.wait_for(lambda _: file.exists())
        names = json.loads(file.read_text(encoding="utf-8"))
    return {*names, *(name.partition(".")[0] for name in names)}
