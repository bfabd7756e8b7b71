"""Unpacks what a stranger packed: wheels, zip files and tar files, each path, size and kind checked first."""

from __future__ import annotations

import gzip
import lzma
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Final

from registry.errors import JackfieldError
from registry.text import safe_text

_BLOCK: Final = 1 << 16
_DAMAGE: Final = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    ValueError,
    LookupError,
    NotImplementedError,
)
_RESERVED: Final = frozenset(
    ["con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(1, 10))]
)


class ArchiveError(JackfieldError):
    """An archive holds what must not be unpacked."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """How much an archive may hold."""

    files: int = 20_000
    bytes: int = 500_000_000
    """Of all files together, unpacked."""
    path_length: int = 240
    depth: int = 30


@dataclass(frozen=True, slots=True)
class _Member:
    path: str
    program: bool
    folder: bool
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, folder: Path, limits: ArchiveLimits | None = None) -> int:
    """Unpack an archive into an empty folder; gives how many files there were.

    The kind is told by the content. Nothing leaves the folder: absolute paths, `..`, drive letters, links,
    devices, two names that a file system may take for one, and more than the limits allow are refused.

    Raises:
        ArchiveError: it is no archive, is damaged, or holds one of these. What was unpacked so far is for
            the caller to remove.
        OSError: the disk refused.
    """
    limits = limits or ArchiveLimits()
    seen: dict[str, str] = {}
    total = files = 0
    with _members(archive) as members:
        for member in members:
            path = _checked_path(member.path, limits)
            _refuse_collision(path, seen, folder_too=member.folder)
            files += 1
            if files > limits.files:
                raise _refused(archive, f"It holds more than {limits.files} files.")
            target = folder / path
            if member.folder:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            total += _copy(archive, member, target, limits.bytes - total)
    return files


def _copy(archive: Path, member: _Member, target: Path, room: int) -> int:
    """Write one file; what the archive says of its size is not believed."""
    written = 0
    with target.open("xb") as file:
        for block in _blocks(archive, member):
            written += len(block)
            if written > room:
                raise _refused(archive, "Unpacked it is larger than a plugin may be.")
            file.write(block)
    target.chmod(0o755 if member.program else 0o644)
    return written


def _blocks(archive: Path, member: _Member) -> Iterator[bytes]:
    try:
        with member.open() as source:
            while block := source.read(_BLOCK):
                yield block
    except (*_DAMAGE, OSError, RuntimeError) as error:
        raise _refused(archive, f"It is damaged: {safe_text(str(error), single_line=True)}") from error


def _checked_path(name: str, limits: ArchiveLimits) -> str:
    path = PurePosixPath(name)
    parts = path.parts
    if (
        not parts
        or path.is_absolute()
        or ".." in parts
        or len(name) > limits.path_length
        or len(parts) > limits.depth
        or any(_is_bad_part(part) for part in parts)
    ):
        raise ArchiveError(
            "The archive holds a path that is not allowed",
            detail=safe_text(repr(name), single_line=True, limit=200),
            hint="Nothing was installed. Tell the publisher.",
        )
    return path.as_posix()


def _is_bad_part(part: str) -> bool:
    return (
        any(character in '<>:"|?*\\' or ord(character) < 32 for character in part)
        or part.endswith((" ", "."))
        or part.partition(".")[0].lower() in _RESERVED
    )


def _refuse_collision(path: str, seen: dict[str, str], *, folder_too: bool) -> None:
    """Refuse names that a file system without case, or with another Unicode form, takes for the same."""
    parts = path.split("/")
    for length in range(1, len(parts) + 1):
        name = "/".join(parts[:length])
        plain = unicodedata.normalize("NFC", name).casefold()
        is_file = length == len(parts) and not folder_too
        if seen.setdefault(plain, name) != name or (is_file and f"{plain}\0" in seen):
            raise ArchiveError(
                "The archive holds two files that may be one",
                detail=safe_text(f"{seen[plain]} and {name}", single_line=True, limit=300),
                hint="Nothing was installed. Tell the publisher.",
            )
        if is_file:
            seen[f"{plain}\0"] = name


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[_Member]]:
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                yield _zip_members(archive, zipped)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                yield _tar_members(archive, tar)
        else:
            raise _refused(archive, "It is neither a zip nor a tar file.")
    except _DAMAGE as error:
        raise _refused(archive, f"It is damaged: {safe_text(str(error), single_line=True)}") from error


def _zip_members(archive: Path, zipped: zipfile.ZipFile) -> Iterator[_Member]:
    for info in zipped.infolist():
        mode = info.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refused(archive, f"{safe_text(info.filename, single_line=True)} is a link or a device.")
        program = bool(mode & stat.S_IXUSR)
        yield _Member(info.filename, program, info.filename.endswith("/"), partial(zipped.open, info))


def _tar_members(archive: Path, tar: tarfile.TarFile) -> Iterator[_Member]:
    for info in tar:
        if not (info.isreg() or info.isdir()):
            raise _refused(archive, f"{safe_text(info.name, single_line=True)} is a link or a device.")
        program = bool(info.mode & stat.S_IXUSR)
        yield _Member(info.name, program, info.isdir(), partial(_extract, tar, info))


def _extract(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(info)
    if file is None:
        raise tarfile.ReadError("a file without content")
    return file


def _refused(archive: Path, detail: str) -> ArchiveError:
    return ArchiveError(
        f"{safe_text(archive.name, single_line=True)} cannot be unpacked",
        detail=detail,
        hint="Nothing was installed. Tell the publisher.",
    )
