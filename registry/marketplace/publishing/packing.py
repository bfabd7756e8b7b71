"""Packs a plugin that is no Python: the folder `archive` beside `plugin.toml` becomes a zip file."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path
from typing import Final

from registry.marketplace.publishing.source import PluginSource

FOLDER: Final = "archive"
_STAMP: Final = (2020, 2, 2, 0, 0, 0)


def build_archive(source: PluginSource, work: Path) -> list[Path]:
    """The archive of the files in `archive` beside `plugin.toml`; none where there is no such folder.

    The same files give the same bytes on every machine: they are sorted, not compressed, and have one time.

    Raises:
        OSError: they cannot be read.
    """
    folder = source.folder / FOLDER
    if not folder.is_dir():
        return []
    target = work / f"{source.name}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            member = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _STAMP)
            program = file.stat().st_mode & stat.S_IXUSR
            member.create_system = 3  # POSIX, whichever system packs it
            member.external_attr = (stat.S_IFREG | (0o755 if program else 0o644)) << 16
            archive.writestr(member, file.read_bytes())
    return [target]
