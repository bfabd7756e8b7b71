"""Which marketplaces the user added, each with the root of trust that was agreed to then."""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from registry.atomic import locked, write_atomically
from registry.errors import ConfigError, JackfieldError, reason_of
from registry.text import safe_text
from registry.threads import LimitReachedError, call_with_limit

if TYPE_CHECKING:
    from registry.marketplace.trust import RootOffer
    from registry.paths import Paths

LOCK_LIMIT_S: Final = 20.0
FETCH_ROOT_LIMIT_S: Final = 90.0
_ROOT: Final = "metadata/1.root.json"
_NOT_FOUND: Final = 404
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Source:
    """One marketplace that was added."""

    name: str
    url: str
    """Ends with `/`."""
    fingerprint: str
    """SHA-256 of its pinned root."""
    added_at: datetime


def sources_file(paths: Paths) -> Path:
    """Where they are written down."""
    return paths.config / "marketplaces.toml"


def root_file(paths: Paths, name: str) -> Path:
    """The pinned root of a marketplace."""
    return paths.data / "marketplaces" / name / "root.json"


def cache_folder(paths: Paths, name: str) -> Path:
    """What was fetched from a marketplace; can be removed at any time."""
    return paths.cache / "marketplaces" / name


def read_sources(paths: Paths) -> tuple[Source, ...]:
    """The marketplaces, by name.

    Raises:
        ConfigError: the file cannot be read or says something else.
    """
    file = sources_file(paths)
    try:
        data = tomllib.loads(file.read_text("utf-8"))
        found = [_source(entry) for entry in data.get("marketplace", [])]
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise ConfigError(
            "The list of marketplaces cannot be read",
            detail=reason_of(error, file),
            hint="Mend or remove the file, then add the marketplaces again.",
        ) from error
    return tuple(sorted(found, key=lambda source: source.name))


def _source(entry: Any) -> Source:
    if not isinstance(entry, dict):
        raise TypeError("a marketplace is a table")
    name, url, fingerprint = (str(entry.get(key, "")) for key in ("name", "url", "fingerprint"))
    added_at = entry.get("added_at")
    if not _NAME.fullmatch(name) or not re.fullmatch(r"[0-9a-f]{64}", fingerprint):
        raise ValueError("a marketplace has a name and a fingerprint")
    if not isinstance(added_at, datetime):
        raise TypeError("added_at is a time")
    return Source(name, url, fingerprint, added_at)


def find_source(paths: Paths, name: str) -> Source:
    """The marketplace of this name.

    Raises:
        JackfieldError: there is none.
    """
    for source in read_sources(paths):
        if source.name == name:
            return source
    shown = safe_text(name, single_line=True, limit=64)
    raise JackfieldError(
        f"There is no marketplace named {shown}", hint="`jackfield marketplace list` shows those there are."
    )


async def offer_root(url: str) -> RootOffer:
    """The root of trust that the marketplace at an address offers.

    Raises:
        MarketplaceError: it cannot be reached, or is none.
    """
    from registry.marketplace.transport import Fetcher
    from registry.marketplace.trust import MarketplaceError, explained, read_root

    cancelled = threading.Event()

    def fetch() -> RootOffer:
        fetcher = Fetcher(cancelled)
        try:
            with explained(url):
                data = fetcher.download_bytes(f"{url}{_ROOT}", 512_000)
        except MarketplaceError as error:
            if getattr(error.__cause__, "status_code", None) != _NOT_FOUND:
                raise
            shown = safe_text(url, single_line=True, limit=100)
            raise MarketplaceError(
                f"There is no marketplace at {shown}",
                detail=f"It has no {_ROOT}, with which trust begins.",
                hint="Give the address or the folder that `jackfield marketplace sign` wrote.",
            ) from error
        finally:
            fetcher.close()
        return read_root(url, data)

    try:
        return await call_with_limit(fetch, limit_s=FETCH_ROOT_LIMIT_S, name="fetch root")
    except LimitReachedError as error:
        raise MarketplaceError(
            f"{safe_text(url, single_line=True, limit=100)} took too long",
            hint="Try again when the network is better.",
        ) from error
    finally:
        cancelled.set()


async def add_source(
    paths: Paths,
    where: str,
    *,
    name: str | None = None,
    confirm: Callable[[RootOffer], Awaitable[bool]],
) -> Source | None:
    """Add a marketplace after the user agreed to its root of trust; None when that was declined.

    Args:
        paths: where to write it down.
        where: its address, or a folder.
        name: how to call it; without one, by its host or folder, with a number if that is taken.
        confirm: shows the fingerprint and asks.

    Raises:
        JackfieldError: it cannot be reached, is none, or its name is taken.
    """
    from registry.marketplace.transport import base_address

    url = base_address(where)
    name = name or _free_name(read_sources(paths), url)
    if not _NAME.fullmatch(name):
        raise JackfieldError(
            f"{safe_text(name, single_line=True, limit=64)} is no name for a marketplace",
            hint="Use lower-case letters, digits and `-`, beginning with a letter.",
        )
    _check_free(read_sources(paths), name, url)
    offer = await offer_root(url)
    if not await confirm(offer):
        return None
    source = Source(name, url, offer.fingerprint, datetime.now(UTC).replace(microsecond=0))
    await asyncio.to_thread(_put, paths, source, offer.data)
    return source


def _put(paths: Paths, source: Source, root: bytes) -> None:
    """Write down a marketplace and its root; waits for the lock and for the disk."""
    with _changing(paths):
        known = read_sources(paths)
        _check_free(known, source.name, source.url)
        # of one that had this name before
        shutil.rmtree(cache_folder(paths, source.name), ignore_errors=True)
        write_atomically(root_file(paths, source.name), root)
        _write(paths, [*known, source])


def remove_source(paths: Paths, name: str) -> None:
    """Forget a marketplace. What was installed from it stays. Call it off the event loop.

    Raises:
        JackfieldError: there is none of this name, or it cannot be written.
    """
    find_source(paths, name)
    with _changing(paths):
        _write(paths, [source for source in read_sources(paths) if source.name != name])
        for folder in (root_file(paths, name).parent, cache_folder(paths, name)):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _changing(paths: Paths) -> Iterator[None]:
    """While the list is changed, nobody else changes it; why it cannot be written is said in words."""
    try:
        with locked(sources_file(paths), LOCK_LIMIT_S):
            yield
    except OSError as error:
        raise ConfigError(
            "The list of marketplaces cannot be written",
            detail=reason_of(error, sources_file(paths)),
            hint="Make room on the disk, or check the permissions of the folder.",
        ) from error


def _check_free(known: tuple[Source, ...], name: str, url: str) -> None:
    for source in known:
        if source.url == url:
            raise JackfieldError(
                f"This marketplace is there already, as {source.name}", hint="Refresh it to see what is new."
            )
        if source.name == name:
            raise JackfieldError(
                f"There is already a marketplace named {name}",
                hint="Remove that one first, or give this one another name with --name.",
            )


def _free_name(known: tuple[Source, ...], url: str) -> str:
    """A name for an address that is not there yet; with a number when its host has another one."""
    name, taken = _name_from(url), {source.name for source in known}
    numbered = (f"{name}-{number}" for number in count(2))
    return name if name not in taken else next(free for free in numbered if free not in taken)


def _name_from(url: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    base = parts.hostname or parts.path.rstrip("/").rpartition("/")[2]
    plain = re.sub(r"[^a-z0-9]+", "-", base.lower()).strip("-")
    return plain if _NAME.fullmatch(plain) else f"marketplace-{plain}".rstrip("-")


def _write(paths: Paths, sources: list[Source]) -> None:
    import tomlkit  # only who changes the list waits for it

    document = tomlkit.document()
    document.add(tomlkit.comment("Marketplaces that you added. `jackfield marketplace` changes this file."))
    tables = tomlkit.aot()
    for source in sorted(sources, key=lambda source: source.name):
        table = tomlkit.table()
        table.update(
            {
                "name": source.name,
                "url": source.url,
                "fingerprint": source.fingerprint,
                "added_at": source.added_at,
            }
        )
        tables.append(table)
    document.add("marketplace", tables)
    write_atomically(sources_file(paths), tomlkit.dumps(document).encode())
