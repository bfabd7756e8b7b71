"""The hash of a folder's content: the name under which the store keeps it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_FILE: Final = b"F"
_PROGRAM: Final = b"X"
_BLOCK: Final = 1 << 20


def fingerprint(folder: Path) -> str:
    """The SHA-256 of all files below a folder, as 64 hexadecimal digits.

    It covers each file's path, whether it may be executed, and its content, in a fixed order; empty folders
    and times do not count. Each part is preceded by its length, so that no two trees share an input.

    Raises:
        OSError: a file cannot be read.
        ValueError: there is something else than files and folders, such as a symbolic link.
    """
    total = hashlib.sha256()
    for path, kind in sorted(_files(folder)):
        total.update(kind)
        _add(total, path.encode("utf-8", "surrogateescape"))
        total.update(_hash_file(folder / path))
    return total.hexdigest()


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for root, folders, files in os.walk(folder, onerror=_raise):
        for name in [*folders, *files]:
            path = Path(root, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                program = bool(mode & stat.S_IXUSR) and os.name == "posix"
                yield path.relative_to(folder).as_posix(), _PROGRAM if program else _FILE
            elif not stat.S_ISDIR(mode):
                raise ValueError(f"{path.name} is neither a file nor a folder")


def _raise(error: OSError) -> None:
    raise error


def _hash_file(path: Path) -> bytes:
    content = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            content.update(block)
    return content.digest()


def _add(total: hashlib._Hash, part: bytes) -> None:
    total.update(len(part).to_bytes(8, "big"))
    total.update(part)
