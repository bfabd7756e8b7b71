"""Runs the command line as a shell does, beside plugins of another author that are installed for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

LIMIT_S = 30.0
"""How long a test waits for something to happen, in seconds."""
COMMAND = [sys.executable, "-P", "-m", "tui.cli"]
ENTRY_POINTS = {
    "acme": "acme_plugins:ScenePlugin",
    "acme-broken": "acme_plugins:NoSuchPlugin",
    "acme-guard": "acme_plugins:GuardPlugin",
    "acme-lists": "acme_plugins:ListPlugin",
    "acme-raising": "acme_plugins:RaisingPlugin",
    "acme-shout": "acme_plugins:ShoutPlugin",
    "acme-unloadable": "acme_plugins:UnloadablePlugin",
}


@dataclass(frozen=True)
class Result:
    """What a finished command left."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """A user's home with plugins installed, none of them on, and the command line to use it."""

    home: Path
    site: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.home / "config" / "config.toml"

    @property
    def notes(self) -> list[str]:
        """What the plugins noted, in order."""
        file = self.home / "notes"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def environment(self) -> dict[str, str]:
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("JACKFIELD_", "PYTHON"))
        }
        return {
            **kept,
            "JACKFIELD_HOME": str(self.home),
            "ACME_NOTES": str(self.home / "notes"),
            "PYTHONPATH": str(self.site),
            **self.env,
        }

    def switch_on(self, *plugins: str) -> None:
        """Switch plugins on, as a user who edits the configuration does."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        with self.config.open("a", encoding="utf-8") as config:
            config.writelines(f"[plugins.{name}]\nenabled = true\n" for name in plugins)

    def run(self, *arguments: str, stdin: bytes = b"") -> Result:
        """Run a command to its end."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            input=stdin,
            capture_output=True,
            env=self.environment(),
            timeout=LIMIT_S,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command whose output the test reads while it runs."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(),
            bufsize=0,
        )


def new_shell(home: Path, folders: pytest.TempPathFactory) -> Shell:
    """A new home in which all plugins of the tests are installed and off, and their manifests are known."""
    described = _described_shell(folders.getbasetemp())
    shutil.copytree(described.home, home)
    return Shell(home, described.site)


@cache
def _described_shell(folder: Path) -> Shell:
    # Describing plugins takes a second, which each test would pay.
    site, home = folder / "cli-site", folder / "cli-described"
    site.mkdir()
    home.mkdir()
    install_plugins(site)
    shell = Shell(home, site)
    assert shell.run("plugins", "list").code == 0
    return shell


def install_plugins(site: Path) -> None:
    """Write a distribution as an installer does; its author's name is hostile."""
    shutil.copyfile(Path(__file__).with_name("cli_fixture_plugins.py"), site / "acme_plugins.py")
    info = site / "acme_plugins-1.0.dist-info"
    info.mkdir()
    metadata = "Metadata-Version: 2.1\nName: acme-plugins\nVersion: 1.0\nAuthor: Acme\x1b]0;x\x07 Corp\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    entries = "".join(f"{name} = {target}\n" for name, target in ENTRY_POINTS.items())
    (info / "entry_points.txt").write_text(f"[jackfield.plugins]\n{entries}", encoding="utf-8")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition.

    Raises:
        AssertionError: it did not become true in time.
    """
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)
