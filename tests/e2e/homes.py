"""Homes of users, with the app's real command to start in them, and a look at the processes it leaves."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.terminal import PtySession, Size, TmuxTerminal, wait_until
from tests.processes import is_running
from tests.tui.cli_harness import COMMAND

LIMIT_S = 40.0
"""How long a test waits for the app on a machine that is busy with other tests, in seconds."""
ENTRY_POINTS = {
    "scene": "ScenePlugin",
    "scene-raising": "RaisingPlugin",
    "scene-hanging": "HangingPlugin",
    "scene-unloadable": "UnloadablePlugin",
    "scene-misnamed": "MisnamedPlugin",
    "scene-one": "OnePlugin",
    "scene-two": "TwoPlugin",
}
_SWITCHES = {b"1049": b"l", b"25": b"h", b"7": b"h"} | dict.fromkeys(
    (b"1000", b"1003", b"1004", b"1006", b"1015", b"2004"), b"l"
)
"""What the app switches in a terminal, and how a shell wants it."""


@dataclass(frozen=True)
class Home:
    """A folder that holds all that the app keeps, beside the plugins of the tests."""

    folder: Path
    site: Path
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "config" / "config.toml"

    @property
    def history(self) -> Path:
        return self.folder / "data" / "history.sqlite"

    @property
    def notes(self) -> str:
        """What the plugins noted."""
        file = self.folder / "notes"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    @property
    def environment(self) -> dict[str, str]:
        return {
            "JACKFIELD_HOME": str(self.folder),
            "SCENE_NOTES": str(self.folder / "notes"),
            "PYTHONPATH": str(self.site),
            **self.env,
        }

    def configure(self, *plugins: str, model: str = "", text: str = "") -> None:
        """Write the configuration as a user would: a model, any text, and plugins to be on."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        first = f'model = "{model}"\n' if model else ""
        tables = "".join(f"[plugins.{name}]\nenabled = true\n" for name in plugins)
        self.config.write_text(f"{first}{text}\n{tables}", encoding="utf-8")

    def pty(self, *arguments: str, size: Size = (80, 24), before: tuple[str, ...] = ()) -> PtySession:
        """The command on a pseudo-terminal; `before` is a command that starts it."""
        return PtySession(*before, *COMMAND, *arguments, size=size, env=self.environment)

    def terminal(self, size: Size = (80, 24)) -> TmuxTerminal:
        """A terminal for `start(*COMMAND)`."""
        return TmuxTerminal(size=size, env=self.environment)

    def said(self) -> list[tuple[str, str, str]]:
        """Role, state and text of every message on disk, also of one that is being written."""
        with closing(sqlite3.connect(self.history)) as db:
            return db.execute(
                """SELECT role, state, text || COALESCE((SELECT group_concat(chunk, '') FROM
                (SELECT text AS chunk FROM chunks WHERE message_id = messages.id ORDER BY seq)), '')
                FROM messages ORDER BY id"""
            ).fetchall()


def new_home(folder: Path, folders: pytest.TempPathFactory, *, tone: str = "plain") -> Home:
    """A home in which the plugins of the tests are installed and off, and their manifests are known."""
    base = folders.getbasetemp()
    site, described = base / "e2e-site", base / f"e2e-described-{tone}"
    env = {"SCENE_TONE": tone}
    if not site.exists():
        _install_plugins(site)
    if not described.exists():
        described.mkdir()
        with Home(described, site, env).pty("plugins", "list") as listing:
            assert listing.wait_for_exit(LIMIT_S) == 0
    shutil.copytree(described, folder)
    return Home(folder, site, env)


def _install_plugins(site: Path) -> None:
    info = site / "scene_plugins-1.0.dist-info"
    info.mkdir(parents=True)
    shutil.copyfile(Path(__file__).with_name("scene_plugins.py"), site / "scene_plugins.py")
    metadata = (
        "Metadata-Version: 2.1\nName: scene-plugins\nVersion: 1.0\nAuthor: Scene\x1b]0;ZXZpbA\x07 Corp\n"
    )
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    entries = "".join(f"{name} = scene_plugins:{plugin}\n" for name, plugin in ENTRY_POINTS.items())
    (info / "entry_points.txt").write_text(f"[jackfield.plugins]\n{entries}", encoding="utf-8")


def is_restored(output: bytes) -> bool:
    """Whether the terminal is left as a shell wants it, judged by the last word on each of its modes."""
    for mode, wanted in _SWITCHES.items():
        on, off = output.rfind(b"\x1b[?%sh" % mode), output.rfind(b"\x1b[?%sl" % mode)
        if (on < off) is not (wanted == b"l") and max(on, off) >= 0:
            return False
    return output.rfind(b"\x1b[<u") >= output.rfind(b"\x1b[>25u")


def wait_until_gone(processes: set[int]) -> None:
    """Wait until none of these processes runs any more.

    Raises:
        AssertionError: one goes on.
    """

    def none_runs() -> bool:
        return not any(is_running(process) for process in processes)

    wait_until(none_runs, LIMIT_S, f"none of {processes} runs any more")


def wait_for_said(
    home: Home, fits: Callable[[list[tuple[str, str, str]]], bool]
) -> list[tuple[str, str, str]]:
    """Wait until the messages on disk are as a function wants them, and give them."""
    wait_until(lambda: home.history.exists() and fits(home.said()), LIMIT_S, "the history is as wanted")
    return home.said()
