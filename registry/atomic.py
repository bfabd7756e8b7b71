"""Files that are written whole or not at all, by one writer at a time."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from registry.errors import JackfieldError
from registry.paths import make_private_folder


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file so that a reader, or a crash at any point, finds the old content or the new one.

    Missing folders are made; for the user alone, unless others may read the file. Where `path` is a symbolic
    link, the file that it points to is written and the link stays.

    Args:
        path: the file.
        data: its whole content.
        mode: its permissions, whatever the umask says.

    Raises:
        OSError: it could not be written; nothing is left behind and the old content is still there.
    """
    target = Path(os.path.realpath(path))
    if mode & 0o044:
        target.parent.mkdir(parents=True, exist_ok=True)
    else:
        make_private_folder(target.parent)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        _write_synced(temporary, data, mode)
        os.replace(temporary, target)  # noqa: PTH105  # named so that a reader sees that it replaces
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


@contextmanager
def locked(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock of a file; the lock is a file beside it and ends with the process that holds it.

    Args:
        path: the file that is to be written. It need not exist.
        timeout_s: how long to wait for another writer, in seconds.

    Raises:
        JackfieldError: another writer held the lock for all that time.
        OSError: the lock file could not be made.
    """
    from filelock import FileLock, Timeout  # imports asyncio, which a start without writing need not pay

    target = Path(os.path.realpath(path))
    make_private_folder(target.parent)
    lock = FileLock(
        target.with_name(f"{target.name}.lock"), timeout=timeout_s, mode=0o600, is_singleton=False
    )
    try:
        lock.acquire()
    except Timeout as error:
        raise JackfieldError(
            "Another Jackfield is writing",
            detail=f"{target} was locked for {timeout_s:g} s.",
            hint="Try again; if it goes on, close the other Jackfield.",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _write_synced(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    with os.fdopen(descriptor, "wb") as file:
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, mode)
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a power cut. Windows cannot open folders and needs no such call."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse; the content is synced all the same
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
