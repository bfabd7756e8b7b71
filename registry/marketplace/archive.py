"""Unpacks what a stranger packed: wheels, zip files and tar files, each path, size and kind checked first."""

from __future__ import annotations

import gzip
import io
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
from typing import IO, Final, cast

from registry.errors import JackfieldError
from registry.text import safe_text

_BLOCK: Final = 1 << 16
_ZIP_READ: Final = 8 << 20
"""The most of a zip file that is read at once, in bytes: above all its list of members."""
_TAR_HEADERS: Final = 16 << 10
"""The most that the headers of one member of a tar file may take, in bytes."""
_DAMAGE: Final = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
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
    """Files and folders together."""
    bytes: int = 500_000_000
    """Of all files together, unpacked."""
    path_length: int = 240
    depth: int = 30


@dataclass(frozen=True, slots=True)
class _Member:
    path: str
    program: bool
    folder: bool
    blocks: Callable[[], Iterator[bytes]]
    """Its content, piece by piece."""


def unpack(archive: Path, folder: Path, limits: ArchiveLimits | None = None) -> None:
    """Unpack an archive into an empty folder.

    The kind is told by the content: a zip file whose members are stored or deflated, as those of wheels are,
    or a tar file, plain or packed with gzip. Nothing leaves the folder: absolute paths, `..`, drive letters,
    links, devices, two names that a file system may take for one, and more than the limits allow are refused.
    It takes little memory, whatever the archive says of itself.

    Raises:
        ArchiveError: it is no archive, is damaged, or holds one of these. What was unpacked so far is for
            the caller to remove.
        OSError: the disk refused.
    """
    limits = limits or ArchiveLimits()
    seen: dict[str, tuple[str, bool]] = {}
    total = 0
    with _members(archive) as members:
        for count, member in enumerate(members, 1):
            path = _checked_path(member.path, limits)
            _refuse_collision(path, seen, is_file=not member.folder)
            if max(count, len(seen)) > limits.files:  # the same folder may be named again and again
                raise _refused(archive, f"It holds more than {limits.files} files and folders.")
            target = folder / path
            if member.folder:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            total += _copy(archive, member, target, limits.bytes - total)


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
        yield from member.blocks()
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


def _refuse_collision(path: str, seen: dict[str, tuple[str, bool]], *, is_file: bool) -> None:
    """Refuse names that a file system without case, or with another Unicode form, takes for the same."""
    parts = path.split("/")
    for length in range(1, len(parts) + 1):
        name = "/".join(parts[:length])
        is_last_file = is_file and length == len(parts)
        plain = unicodedata.normalize("NFC", name).casefold()
        known = seen.get(plain)
        if known is None:
            seen[plain] = (name, is_last_file)
        elif known != (name, False) or is_last_file:  # only a folder may be named again, as a folder
            raise ArchiveError(
                "The archive holds two files that may be one",
                detail=safe_text(f"{known[0]} and {path}", single_line=True, limit=300),
                hint="Nothing was installed. Tell the publisher.",
            )


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[_Member]]:
    try:
        if zipfile.is_zipfile(archive):
            with _ZipSource(archive) as source, zipfile.ZipFile(source) as zipped:
                yield _zip_members(archive, zipped)
        else:
            with _tar_content(archive) as content:
                headers = _TarSource(content)
                yield _tar_members(archive, _opened_tar(archive, headers), headers)
    except _DAMAGE as error:
        raise _refused(archive, f"It is damaged: {safe_text(str(error), single_line=True)}") from error


class _ZipSource(io.FileIO):
    """A zip file, never much of it at once: a list of millions of members would fill the memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = _ZIP_READ + 1 if size is None or size < 0 else min(size, _ZIP_READ + 1)
        data = super().read(wanted) or b""
        if len(data) > _ZIP_READ:
            raise zipfile.BadZipFile("its list of members is too large")
        return data


def _zip_members(archive: Path, zipped: zipfile.ZipFile) -> Iterator[_Member]:
    for info in zipped.infolist():
        mode = info.external_attr >> 16
        shown = safe_text(info.filename, single_line=True)
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refused(archive, f"{shown} is a link or a device.")
        # of the others, zipfile unpacks all that one block stands for at once: gigabytes for a few bytes
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refused(archive, f"{shown} is neither stored nor deflated, as members of a wheel are.")
        program = bool(mode & stat.S_IXUSR)
        yield _Member(info.filename, program, info.filename.endswith("/"), partial(_zip_blocks, zipped, info))


def _zip_blocks(zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with zipped.open(info) as source:
        while block := source.read(_BLOCK):
            yield block


@contextmanager
def _tar_content(archive: Path) -> Iterator[io.BufferedIOBase]:
    """The content of a tar file, plain or packed with gzip, to be read from its beginning to its end."""
    with archive.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield file
            return
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
            yield unpacked


class _TooLongError(tarfile.TarError):
    """The headers of a member take too much."""


class _TarSource:
    """A tar file, read forward: for the headers of one member never more than `_TAR_HEADERS`.

    By itself `tarfile` reads a long name whole, however long its header says that it is.
    """

    def __init__(self, content: io.BufferedIOBase) -> None:
        self._content = content
        self._position = 0
        self._room = _TAR_HEADERS

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        if position < self._position:
            raise tarfile.ReadError("a member begins before the end of the one before it")
        while self._position < position and self._next(position - self._position):
            pass

    def read(self, size: int) -> bytes:
        """What `tarfile` reads, which are headers."""
        self._room -= size
        if size < 0 or self._room < 0:
            raise _TooLongError("the headers of a member are too long")
        return self._next(size)

    def members(self, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
        """The members of the tar file that reads from here."""
        while True:
            self._room = _TAR_HEADERS
            info = tar.next()
            if info is None:
                return
            yield info

    def blocks(self, info: tarfile.TarInfo) -> Iterator[bytes]:
        """The content of the member that came last, piece by piece."""
        self.seek(info.offset_data)
        left = info.size
        while left:
            block = self._next(left)
            if not block:
                raise EOFError("it ends in the middle of a file")
            left -= len(block)
            yield block

    def _next(self, most: int) -> bytes:
        data = self._content.read(min(most, _BLOCK))
        self._position += len(data)
        return data


def _opened_tar(archive: Path, source: _TarSource) -> tarfile.TarFile:
    try:
        return tarfile.TarFile(fileobj=cast("IO[bytes]", source), mode="r")
    except tarfile.ReadError as error:
        detail = "It is neither a zip nor a tar file, plain or packed with gzip."
        raise _refused(archive, detail) from error


def _tar_members(archive: Path, tar: tarfile.TarFile, source: _TarSource) -> Iterator[_Member]:
    for info in source.members(tar):
        shown = safe_text(info.name, single_line=True)
        if not (info.isreg() or info.isdir()):
            raise _refused(archive, f"{shown} is a link or a device.")
        if info.issparse() or info.size < 0:
            raise _refused(archive, f"{shown} is no plain file: it has gaps or no size.")
        program = bool(info.mode & stat.S_IXUSR)
        yield _Member(info.name, program, info.isdir(), partial(source.blocks, info))


def _refused(archive: Path, detail: str) -> ArchiveError:
    return ArchiveError(
        f"{safe_text(archive.name, single_line=True)} cannot be unpacked",
        detail=detail,
        hint="Nothing was installed. Tell the publisher.",
    )
