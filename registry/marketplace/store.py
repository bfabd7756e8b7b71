"""The store: code of installed plugins, one read-only folder for each content, named by its hash.

A folder gets its name by one rename after everything in it is complete and synced, so a name in the store
always stands for the whole content. What a process had not finished when it ended lies in `incoming` and is
swept later.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from registry.marketplace.fingerprint import fingerprint
from registry.paths import Paths, make_private_folder

INCOMING: Final = "incoming"
SYNCING: Final = 16
"""How many files are synced at once."""
LEFTOVER_AGE_S: Final = 24 * 3600.0
"""After how long what an ended process left in `incoming` is removed, in seconds."""

_TREE = re.compile(r"[0-9a-f]{64}")


class Store:
    """The folder of installed code.

    Args:
        paths: where it is.
    """

    def __init__(self, paths: Paths) -> None:
        self.folder = paths.data / "store"

    def path(self, tree: str) -> Path:
        """Where the content of this hash is, or would be.

        Raises:
            ValueError: it is no hash.
        """
        if not _TREE.fullmatch(tree):
            raise ValueError("no hash of a tree")
        return self.folder / tree

    def has(self, tree: str) -> bool:
        """Whether this content is there."""
        return self.path(tree).is_dir()

    def trees(self) -> list[str]:
        """The hashes of all that is there, sorted."""
        if not self.folder.is_dir():
            return []
        return sorted(entry.name for entry in self.folder.iterdir() if _TREE.fullmatch(entry.name))

    def begin(self) -> Path:
        """A new empty folder to put content into, on the same disk as the store.

        Raises:
            OSError: it cannot be made.
        """
        folder = make_private_folder(self.folder / INCOMING) / f"{os.getpid()}-{secrets.token_hex(6)}"
        folder.mkdir(mode=0o700)
        return folder

    def seal(self, folder: Path) -> str:
        """Make the content of a folder that `begin` gave read-only and last through a power cut.

        Returns:
            The hash of the content; the folder is still where it was.

        Raises:
            OSError: the disk refused.
            ValueError: it holds something else than files and folders.
        """
        _make_read_only(folder)
        with _syncing(folder):
            return fingerprint(folder)

    def place(self, folder: Path, tree: str) -> None:
        """Give a sealed folder its name. Content that is there already stays, unless it was damaged.

        Whoever refers to it has to hold the lock of what refers to it: anybody else's `sweep` removes what
        nothing refers to.

        Raises:
            OSError: the disk refused.
        """
        target = self.path(tree)
        if target.is_dir():
            if self.is_sound(tree):
                remove_tree(folder)
                return
            self.remove(tree)
        folder.chmod(0o700)  # a folder that cannot be written to cannot be renamed everywhere
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():
                raise
            remove_tree(folder)
        else:
            target.chmod(0o500)

    def is_sound(self, tree: str) -> bool:
        """Whether the content still has the hash that it is named by."""
        try:
            return fingerprint(self.path(tree)) == tree
        except (OSError, ValueError):
            return False

    def remove(self, tree: str) -> None:
        """Remove content. A folder that is half removed has no name in the store any more.

        Raises:
            OSError: it cannot be removed.
        """
        folder = self.path(tree)
        if not folder.is_dir():
            return
        doomed = make_private_folder(self.folder / INCOMING) / f"{os.getpid()}-{secrets.token_hex(6)}"
        folder.chmod(0o700)
        folder.rename(doomed)
        remove_tree(doomed)

    def sweep(self, wanted: Collection[str], now: float | None = None) -> list[str]:
        """Remove content that nothing refers to, and what ended processes left; gives the removed hashes."""
        gone = [tree for tree in self.trees() if tree not in wanted]
        for tree in gone:
            self.remove(tree)
        incoming = self.folder / INCOMING
        moment = time.time() if now is None else now
        for leftover in incoming.iterdir() if incoming.is_dir() else ():
            with suppress(OSError):
                if _is_abandoned(leftover, moment):
                    remove_tree(leftover)
        return gone


def remove_tree(folder: Path) -> None:
    """Remove a folder of the store, though it is read-only.

    Raises:
        OSError: it cannot be removed.
    """
    for root, folders, _ in os.walk(folder):
        Path(root).chmod(0o700)
        for name in folders:
            Path(root, name).chmod(0o700)
    shutil.rmtree(folder)


def _is_abandoned(leftover: Path, now: float) -> bool:
    """Whether the process that began it has ended, as far as that can be known, or did so long ago."""
    if now - leftover.stat().st_mtime > LEFTOVER_AGE_S:
        return True
    owner = leftover.name.partition("-")[0]
    if os.name != "posix" or not owner.isdigit():
        return False
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _make_read_only(folder: Path) -> None:
    for root, folders, files in os.walk(folder):
        for name in files:
            path = Path(root, name)
            program = path.lstat().st_mode & stat.S_IXUSR
            if not path.is_symlink():
                path.chmod(0o500 if program else 0o400)
        for name in folders:
            path = Path(root, name)
            if not path.is_symlink():
                path.chmod(0o700)
    for root, _, _ in os.walk(folder, topdown=False):
        Path(root).chmod(0o500)


@contextmanager
def _syncing(folder: Path) -> Iterator[None]:
    """Make the content last through a power cut before it gets its name, while something else is done."""
    if os.name != "posix":
        yield
        return
    with ThreadPoolExecutor(SYNCING, thread_name_prefix="sync store") as threads:
        synced = threads.submit(_sync_all, folder, threads)
        yield
        synced.result()


def _sync_all(folder: Path, threads: ThreadPoolExecutor) -> None:
    """By one call where the system has it (Linux, syncfs(2)); else file by file, many at a time."""
    import ctypes

    whole = getattr(ctypes.CDLL(None), "syncfs", None)
    if whole is not None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            if whole(descriptor) == 0:
                return
        finally:
            os.close(descriptor)
    paths = [Path(root, name) for root, _, files in os.walk(folder) for name in ("", *files)]
    for _ in threads.map(_sync, paths):
        pass


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse; the content is checked before it runs
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
