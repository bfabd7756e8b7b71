"""Where the app keeps its files. `JACKFIELD_HOME` moves all of them under one folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Paths:
    """The app's three folders. They are made, for the user alone, when first written to."""

    config: Path
    data: Path
    cache: Path

    @property
    def config_file(self) -> Path:
        """The user's configuration."""
        return self.config / "config.toml"

    @property
    def history_file(self) -> Path:
        """The conversations."""
        return self.data / "history.sqlite"

    @property
    def manifest_cache(self) -> Path:
        """What is known of each plugin without running it."""
        return self.cache / "manifests.json"

    def plugin_data(self, plugin: str) -> Path:
        """The folder that belongs to one plugin alone."""
        return self.data / "plugins" / plugin


def find_paths(env: Mapping[str, str] = os.environ) -> Paths:
    """The folders of this user, by the platform's custom or under `JACKFIELD_HOME`."""
    home = env.get("JACKFIELD_HOME")
    if home:
        root = Path(home).expanduser()
        return Paths(root / "config", root / "data", root / "cache")
    from platformdirs import PlatformDirs  # 15 ms that `--version` need not pay

    dirs = PlatformDirs("jackfield", appauthor=False)
    return Paths(dirs.user_config_path, dirs.user_data_path, dirs.user_cache_path)


def make_private_folder(folder: Path) -> Path:
    """Make a folder that only this user can read, and likewise those above it that are missing.

    Raises:
        OSError: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        make_private_folder(folder.parent)  # `parents=True` would make those above for everybody
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder
