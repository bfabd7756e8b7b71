"""Which connections there are: connections.toml, read by every instance and written by one at a time.

There is no secret in it: those are in the secret store that an entry names. Connections that last for this
session only are kept in memory and never written.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from registry.connection import MAX_LABEL, Connection, find, one_active
from registry.contract import is_plugin_name
from registry.errors import JackfieldError
from registry.file_lock import file_lock
from registry.secret_contract import StoreKind
from registry.text import safe_text
from registry.threads import call_with_limit

MAX_BYTES: Final = 1_000_000
"""The largest file that is read, in bytes."""
VERSION: Final = 1
"""The version of the file's schema. A file of a newer one is left alone."""
LOCK_LIMIT_S: Final = 30.0
"""How long a change waits for another Jackfield that is writing, in seconds."""
_DISK_LIMIT_S: Final = 20.0

_Stamp: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Loaded:
    entries: tuple[Connection, ...] = ()
    damaged: str = ""
    """What is wrong with the content; the entries are what could be read all the same."""
    problem: JackfieldError | None = None
    """Why the file must not be touched."""
    stamp: _Stamp | None = field(default=None, compare=False)


class ConnectionFile:
    """The list of connections. Every change is made to what the file holds at that moment.

    Args:
        path: where the file is; it need not exist.
        complain: told once of each thing that is wrong with it.
    """

    def __init__(self, path: Path, complain: Callable[[JackfieldError], None]) -> None:
        self._path = path
        self._complain = complain
        self._known: _Loaded | None = None
        self._session: tuple[Connection, ...] = ()
        self._told: set[str] = set()

    async def read(self) -> tuple[Connection, ...]:
        """The connections as they are now, in the order in which they were added.

        At most one of a plugin is active.
        A damaged file is set aside. One that cannot be read counts as empty and is left as it is.
        """
        loaded = await self._load()
        if loaded.damaged:
            async with file_lock(self._path, LOCK_LIMIT_S):
                loaded = await self._load_whole()
        if loaded.problem is not None:
            self._tell(loaded.problem)
        return one_active(self._session, loaded.entries)

    @asynccontextmanager
    async def change(self) -> AsyncGenerator[list[Connection], None]:
        """The connections in a list, which is written when the block ends without an exception.

        Nobody else writes meanwhile.

        Raises:
            JackfieldError: the file cannot be read or written; it is as it was.
        """
        async with file_lock(self._path, LOCK_LIMIT_S):
            loaded = await self._load_whole()
            if loaded.problem is not None:
                raise loaded.problem
            entries = [*loaded.entries, *self._session]
            yield entries
            lasting = tuple(entry for entry in entries if entry.store is not StoreKind.SESSION)
            if lasting != loaded.entries:
                await self._write(lasting)
            self._session = tuple(entry for entry in entries if entry.store is StoreKind.SESSION)

    def _tell(self, problem: JackfieldError) -> None:
        if str(problem) not in self._told:
            self._told.add(str(problem))
            self._complain(problem)

    async def _load(self) -> _Loaded:
        try:
            return await call_with_limit(self._load_now, limit_s=_DISK_LIMIT_S, name="read connections")
        except OSError as error:  # a TimeoutError is one
            return _Loaded(problem=_unusable(self._path, _reason(error)))

    async def _load_whole(self) -> _Loaded:
        """Load under the lock. A damaged file is kept under another name, and what is good stays."""
        loaded = await self._load()
        if not loaded.damaged:
            return loaded
        kept = self._path.with_name(f"{self._path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
        try:
            await call_with_limit(
                partial(_set_aside, self._path, kept), limit_s=_DISK_LIMIT_S, name="keep connections"
            )
            await self._write(loaded.entries)
        except OSError as error:
            return replace(loaded, damaged="", problem=_unusable(self._path, _reason(error)))
        except JackfieldError as error:
            return replace(loaded, damaged="", problem=error)
        self._tell(
            JackfieldError(
                "The list of connections was damaged",
                detail=f"{loaded.damaged} The file is kept as {kept.name}; "
                f"{len(loaded.entries)} connections could be read.",
                hint="Connect again what is missing, or mend the file and put it back.",
            )
        )
        return replace(loaded, damaged="")

    def _load_now(self) -> _Loaded:
        try:
            stamp = _stamp(self._path)
            known = self._known
            if known is not None and known.stamp == stamp:
                return known
            with self._path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return _Loaded()
        self._known = replace(_parse(data, self._path), stamp=stamp)
        return self._known

    async def _write(self, entries: tuple[Connection, ...]) -> None:
        try:
            await call_with_limit(
                partial(self._write_now, entries), limit_s=_DISK_LIMIT_S, name="write connections"
            )
        except OSError as error:
            raise _unusable(self._path, _reason(error)) from error

    def _write_now(self, entries: tuple[Connection, ...]) -> None:
        from registry.atomic import write_atomically

        write_atomically(self._path, _dump(entries))
        self._known = _Loaded(entries, stamp=_stamp(self._path))


def _parse(data: bytes, path: Path) -> _Loaded:
    import tomllib  # not before somebody has signed in

    if len(data) > MAX_BYTES:
        return _Loaded(damaged=f"It is larger than {MAX_BYTES:,} bytes.")
    try:
        table = tomllib.loads(data.decode())
    except (ValueError, RecursionError):
        return _Loaded(damaged="It is not TOML.")
    version = table.get("version")
    if isinstance(version, int) and version > VERSION:
        return _Loaded(problem=_unusable(path, "a newer Jackfield has written it"))
    given = table.get("connection", [])
    if version != VERSION or not isinstance(given, list):
        return _Loaded(damaged="It is no list of connections.")
    entries: list[Connection] = []
    damaged = ""
    for number, item in enumerate(given, start=1):
        try:
            entry = _entry(item)
            if find(entries, entry.plugin, entry.label):
                raise ValueError("it is there twice")
            entries.append(entry)
        except (KeyError, TypeError, ValueError) as error:
            damaged = f"Connection {number} is wrong: {safe_text(str(error), single_line=True, limit=100)}."
    return _Loaded(tuple(entries), damaged=damaged)


def _entry(item: Any) -> Connection:
    if not isinstance(item, Mapping):
        raise TypeError("it is no table")
    if not is_plugin_name(item["plugin"]):
        raise ValueError("its plugin has no name that is allowed")
    label = item["label"]
    if (
        not isinstance(label, str)
        or not label
        or label != safe_text(label, single_line=True, limit=MAX_LABEL)
    ):
        raise ValueError("its label is not allowed")
    scopes = item.get("scopes", [])
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise TypeError("its scopes are no list of texts")
    return Connection(
        plugin=item["plugin"],
        method=_text(item, "method"),
        type=_text(item, "type"),
        label=label,
        active=_truth(item, "active"),
        created_at=_time(item, "created_at") or 0.0,
        expires_at=_time(item, "expires_at"),
        store=StoreKind(_text(item, "store")),
        scopes=tuple(safe_text(scope, single_line=True, limit=200) for scope in scopes),
        renewable=_truth(item, "renewable"),
        renewed_at=_time(item, "renewed_at") or 0.0,
        needs_sign_in=safe_text(_text(item, "needs_sign_in"), single_line=True, limit=500),
        revision=_text(item, "revision"),
    )


def _text(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key, "")
    if not isinstance(value, str):
        raise TypeError(f"{key} is no text")
    return safe_text(value, single_line=True, limit=1000)


def _truth(item: Mapping[str, Any], key: str) -> bool:
    value = item.get(key, False)
    if not isinstance(value, bool):
        raise TypeError(f"{key} is not true or false")
    return value


def _time(item: Mapping[str, Any], key: str) -> float | None:
    value = item.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{key} is no time")
    return float(value)


_HEADER: Final = (
    "The accounts that are signed in. No secret is in here: each is in the store that is named.",
    "`jackfield auth` and the connections screen change this file.",
)


def _dump(entries: Iterable[Connection]) -> bytes:
    import tomlkit  # heavy, and most starts write nothing

    document = tomlkit.document()
    for text in _HEADER:
        document.add(tomlkit.comment(text))
    document["version"] = VERSION
    tables = tomlkit.aot()
    for entry in entries:
        table = tomlkit.table()
        table["plugin"], table["label"] = entry.plugin, entry.label
        table["method"], table["type"] = entry.method, entry.type
        table["store"], table["active"] = str(entry.store), entry.active
        table["created_at"], table["renewed_at"] = entry.created_at, entry.renewed_at
        if entry.expires_at is not None:
            table["expires_at"] = entry.expires_at
        table["renewable"], table["scopes"] = entry.renewable, list(entry.scopes)
        table["needs_sign_in"], table["revision"] = entry.needs_sign_in, entry.revision
        tables.append(table)
    document["connection"] = tables
    return tomlkit.dumps(document).encode()


def _set_aside(path: Path, kept: Path) -> None:
    os.replace(path, kept)  # noqa: PTH105  # named so that a reader sees that it replaces


def _stamp(path: Path) -> _Stamp:
    """What is different once another process has written the file: it is always a new one."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _unusable(path: Path, reason: str) -> JackfieldError:
    return JackfieldError(
        "The list of connections cannot be used",
        detail=f"{path}: {reason}",
        hint="Check the file and its permissions, or move it away; it is never overwritten.",
    )


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
