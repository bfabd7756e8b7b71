"""The history's file: opening it, its schema, what its faults mean, and who is still writing to it."""

from __future__ import annotations

import os
import secrets
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from registry.errors import JackfieldError
from registry.paths import make_private_folder

BUSY_S = 5.0
"""How long one process waits for another's write, in seconds."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE conversations(
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            title TEXT NOT NULL DEFAULT '',
            model TEXT,
            created_at TEXT NOT NULL,
            updated_at TEXT NOT NULL,
            deleted_at TEXT
        )""",
        "CREATE INDEX conversations_by_time ON conversations(updated_at)",
        """CREATE TABLE messages(
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            conversation_id INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            role TEXT NOT NULL,
            model TEXT,
            state TEXT NOT NULL CHECK (state IN ('complete', 'streaming', 'stopped', 'error')),
            parts TEXT NOT NULL,
            usage TEXT,
            stop TEXT,
            note TEXT NOT NULL DEFAULT '',
            diffs TEXT NOT NULL DEFAULT '[]',
            owner TEXT,
            created_at TEXT NOT NULL,
            indexed INTEGER NOT NULL DEFAULT 0,
            text TEXT NOT NULL DEFAULT '',
            UNIQUE (conversation_id, position)
        )""",
        "CREATE INDEX messages_by_role ON messages(role, id)",
        "CREATE INDEX messages_open ON messages(id) WHERE state = 'streaming'",
        "CREATE INDEX messages_to_index ON messages(id) WHERE indexed = 0 AND state <> 'streaming'",
        """CREATE TABLE chunks(
            message_id INTEGER NOT NULL REFERENCES messages(id) ON DELETE CASCADE,
            seq INTEGER NOT NULL,
            kind TEXT NOT NULL,
            text TEXT NOT NULL,
            PRIMARY KEY (message_id, seq)
        ) WITHOUT ROWID""",
    ),
    (
        "ALTER TABLE conversations ADD COLUMN system TEXT",
        "ALTER TABLE conversations ADD COLUMN parameters TEXT NOT NULL DEFAULT '{}'",
    ),
)
"""What brings a file from one version to the next. Only ever add to the end: files of every age are about."""

_REPAIR = "repair"
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def connect(path: Path | None) -> sqlite3.Connection:
    """Open a file, or one in memory, and bring it to the newest version.

    Raises:
        sqlite3.Error: it cannot be opened.
        OSError: its folder cannot be made.
        JackfieldError: a newer version of the app wrote it.
    """
    if path:
        make_private_folder(path.parent)
        with suppress(FileExistsError):
            # only when it is new: closing a handle would let go of SQLite's own locks on a file in use
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(
        path or ":memory:", timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        _configure(connection)
        migrate(connection)
        if path and _damage_note(path).exists():
            _check_thoroughly(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_or_set_aside(path: Path | None) -> tuple[sqlite3.Connection, Path | None]:
    """Like `connect`, but a damaged file is renamed and a new one begun; gives the damaged one's new name."""
    try:
        return connect(path), None
    except sqlite3.Error as error:
        if path is None or not is_damaged(error):
            raise
    with _alone(path):
        try:
            return connect(path), None  # another process has set it aside in the meantime
        except sqlite3.Error as error:
            if not is_damaged(error):
                raise
        moved = set_aside(path)
        return connect(path), moved


def migrate(connection: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Run each migration that the file lacks, each in a transaction of its own.

    Raises:
        JackfieldError: the file is newer than these migrations.
        sqlite3.Error: one failed; the file is as it was before it.
    """
    while (version := _version(connection)) != len(migrations):
        if version > len(migrations):
            raise JackfieldError(
                "The history was written by a newer version of Jackfield",
                detail=f"It has version {version}; this one knows versions up to {len(migrations)}.",
                hint="Update Jackfield, or set JACKFIELD_HOME to another folder.",
            )
        with transaction(connection):
            if _version(connection) == version:  # else another process was faster
                for statement in migrations[version]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version + 1}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that takes the write lock at once, so that it never fails half-way for lack of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def set_aside(path: Path) -> Path:
    """Rename a damaged file, and SQLite's files beside it, and give back its new name.

    Raises:
        OSError: it cannot be renamed.
    """
    stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S")
    target = path.with_name(f"{path.name}.broken-{stamp}")
    count = 1
    while target.exists():
        count += 1
        target = path.with_name(f"{path.name}.broken-{stamp}-{count}")
    path.rename(target)
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    _damage_note(path).unlink(missing_ok=True)
    return target


def is_damaged(error: Exception) -> bool:
    """Whether the error says that the file itself is no good."""
    return isinstance(error, sqlite3.Error) and _code(error) in _DAMAGED


@contextmanager
def explained(path: Path | None) -> Iterator[None]:
    """Turn the faults of SQLite and of the file system into errors that a person can act on."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if path and is_damaged(error):
            with suppress(
                OSError
            ):  # then the next start does not look closely; this error is shown all the same
                _damage_note(path).touch()
        raise explain(error, path) from error


def explain(error: Exception, path: Path | None) -> JackfieldError:
    """What a fault means and what to do about it."""
    title, hint = "The history cannot be used", "Set JACKFIELD_HOME to a folder that you can write to."
    code = _code(error)
    if code in _DAMAGED:
        title = "The history file is damaged"
        hint = "Quit and start Jackfield again: it sets a damaged file aside, keeps it, and begins a new one."
    elif code == sqlite3.SQLITE_FULL:
        title, hint = "The disk is full", "Make room; what is on the screen is written with the next change."
    elif code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        title = "Another program holds the history"
        hint = (
            "Close the program that has the file open; what is on the screen is written with the next change."
        )
    elif code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM} or isinstance(error, PermissionError):
        title = "The history cannot be written"
        hint = "Make the file and its folder writable, or set JACKFIELD_HOME to a folder that is."
    elif code == sqlite3.SQLITE_CONSTRAINT:
        title, hint = "This conversation is not there any more", "Another window may have deleted it."
    return JackfieldError(title, detail=f"{path or 'in memory'}: {error}", hint=hint)


class Owner:
    """Marks answers as being written by someone who is alive.

    The mark is a file that is locked for as long as its owner lives. The system lets go of the lock however
    the process ends, and a process id that is used again deceives nobody.
    """

    def __init__(self, history: Path) -> None:
        self._folder = make_private_folder(_marks(history))
        for name in os.listdir(self._folder):  # noqa: PTH208  # names are what is wanted
            if name != _REPAIR:
                is_alive(history, name)  # removes what the dead left behind
        self.name = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._mark = self._make_mark()

    def _make_mark(self) -> int:
        """Make the mark and lock it; again when another process took it for a dead one's in between."""
        mark = self._folder / self.name
        for _ in range(20):
            handle = os.open(mark, os.O_CREAT | os.O_RDWR, 0o600)
            if _try_lock(handle) and mark.exists():
                return handle
            os.close(handle)
        return os.open(mark, os.O_CREAT | os.O_RDWR, 0o600)  # a file system without locks

    def close(self) -> None:
        """Stop owning. Answers that are still open count as interrupted."""
        os.close(self._mark)
        with suppress(OSError):  # a mark that stays behind is locked by nobody and means nothing
            (self._folder / self.name).unlink()


def is_alive(history: Path, owner: str) -> bool:
    """Whether the owner of this name still lives."""
    mark = _marks(history) / Path(owner).name
    try:
        handle = os.open(mark, os.O_RDWR)
    except OSError:
        return False
    try:
        alive = not _try_lock(handle)
    finally:
        os.close(handle)
    if not alive:
        with suppress(OSError):
            mark.unlink()
    return alive


@contextmanager
def _alone(history: Path) -> Iterator[None]:
    handle = os.open(make_private_folder(_marks(history)) / _REPAIR, os.O_CREAT | os.O_RDWR, 0o600)
    deadline = time.monotonic() + BUSY_S
    try:
        while not _try_lock(handle) and time.monotonic() < deadline:
            time.sleep(0.01)
        yield
    finally:
        os.close(handle)


def _configure(connection: sqlite3.Connection) -> None:
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            # SQLite does not wait by itself when two processes make the same new file at once
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = NORMAL")  # a commit outlives the process, if not a power cut
    connection.execute("PRAGMA foreign_keys = ON")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _check_thoroughly(connection: sqlite3.Connection, path: Path) -> None:
    finding = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if finding != "ok":
        error = sqlite3.DatabaseError(finding)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error
    _damage_note(path).unlink(missing_ok=True)


def _damage_note(path: Path) -> Path:
    """The file that tells the next start to look closely."""
    return path.with_name(path.name + ".damaged")


def _marks(history: Path) -> Path:
    return history.with_name(history.name + ".live")


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code


def _try_lock(handle: int) -> bool:
    """Lock an open file without waiting; False when somebody else has it."""
    try:
        if sys.platform == "win32":
            import msvcrt  # only there

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # everywhere else

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
