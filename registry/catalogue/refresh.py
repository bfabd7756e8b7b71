"""A newer catalogue from a server that the user named; nothing is fetched unless one is."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from registry.catalogue.schema import Contents, read_contents, write_contents
from registry.errors import JackfieldError
from registry.text import safe_text

if TYPE_CHECKING:
    import httpx

    from registry.paths import Paths
    from registry.settings import CatalogueSettings

LIMIT_S: Final = 10.0
"""How long a refresh may take in all, in seconds."""
INTERVAL_S: Final = 24 * 3600.0
"""How long a copy is taken as it is before its server is asked again, in seconds."""
MAX_BYTES: Final = 4_000_000
_FORMAT: Final = 1
_HINT: Final = "The one that is there is used. `catalogue.refresh = false` in config.toml ends refreshing."


class Refreshed(Enum):
    """What a refresh did."""

    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    """The server has nothing newer than the copy."""


@dataclass(frozen=True, slots=True)
class _Copy:
    contents: Contents
    url: str
    etag: str


def copy_file(paths: Paths) -> Path:
    """Where the refreshed copy is kept."""
    return paths.cache / "catalogue.json"


def read_copy(paths: Paths) -> Contents | None:
    """The refreshed copy; None when there is none, or none that can be used."""
    copy = _read(paths)
    return copy.contents if copy else None


async def refresh_if_due(paths: Paths, settings: CatalogueSettings) -> Refreshed | None:
    """Refresh once a day, if the settings name a server and allow it; None when nothing was asked.

    Raises:
        JackfieldError: as `refresh`.
    """
    if not settings.refresh or not settings.url or not await asyncio.to_thread(_is_due, paths, settings.url):
        return None
    from registry.http import create_client

    async with create_client() as client:
        return await refresh(paths, settings.url, client)


async def refresh(paths: Paths, url: str, client: httpx.AsyncClient) -> Refreshed:
    """Fetch the catalogue at an address, unless its server says that the copy is still right.

    The copy is replaced only by a catalogue that was read without fault, and at once.

    Args:
        paths: where the copy is kept.
        url: where a catalogue in our schema is; no default exists.
        client: what asks.

    Raises:
        JackfieldError: it could not be fetched within `LIMIT_S`, or is no catalogue; the copy is as it was.
    """
    import httpx

    copy = await asyncio.to_thread(_read, paths)
    known = copy if copy and copy.url == url else None
    try:
        async with asyncio.timeout(LIMIT_S):
            body, etag = await _fetch(client, url, known.etag if known else "")
        if body is None:
            if known is None:
                raise _failed("the server says that nothing changed, but there is no copy")
            await asyncio.to_thread(_write, paths, known)
            return Refreshed.UNCHANGED
        contents = await asyncio.to_thread(_checked, body)
        await asyncio.to_thread(_write, paths, _Copy(contents, url, etag))
    except TimeoutError as error:
        raise _failed(f"the server did not answer within {LIMIT_S:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise _failed(f"{type(error).__name__}: {error}") from error
    return Refreshed.REPLACED


async def _fetch(client: httpx.AsyncClient, url: str, etag: str) -> tuple[bytes | None, str]:
    """The body and its tag; no body when the server has nothing else than what the tag stands for."""
    headers = {"Accept": "application/json"} | ({"If-None-Match": etag} if etag else {})
    async with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 304:
            return None, etag
        if response.status_code != 200:
            raise _failed(f"the server answered with status {response.status_code}")
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MAX_BYTES:
                raise _failed(f"it is larger than {MAX_BYTES:,} bytes")
        return bytes(body), response.headers.get("ETag", "")


def _checked(body: bytes) -> Contents:
    try:
        contents = read_contents(body)
    except (ValueError, KeyError) as error:
        raise _failed(f"it is no catalogue: {error}") from error
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    if contents.date > tomorrow:  # it would stand before every later one
        raise _failed(f"its date, {contents.date}, has not come yet")
    return contents


def _read(paths: Paths) -> _Copy | None:
    try:
        with copy_file(paths).open("rb") as file:
            stored: dict[str, Any] = json.loads(file.read(2 * MAX_BYTES))
        if stored["format"] != _FORMAT:
            return None
        contents = read_contents(json.dumps(stored["catalogue"]).encode())
        return _Copy(contents, str(stored["url"]), str(stored["etag"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # whatever is wrong with a copy, the packaged snapshot is there


def _write(paths: Paths, copy: _Copy) -> None:
    from registry.atomic import write_atomically

    stored = {
        "format": _FORMAT,
        "url": copy.url,
        "etag": copy.etag,
        "asked": time.time(),
        "catalogue": json.loads(write_contents(copy.contents)),
    }
    write_atomically(copy_file(paths), json.dumps(stored).encode())


def _is_due(paths: Paths, url: str) -> bool:
    """Whether the copy is of another server, or was last asked about a day ago, or is not there."""
    try:
        stored = json.loads(copy_file(paths).read_bytes())
        asked = float(stored["asked"])
        return bool(stored["url"] != url) or not 0 <= time.time() - asked < INTERVAL_S
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return True


def _failed(reason: str) -> JackfieldError:
    detail = safe_text(reason[:1].upper() + reason[1:], single_line=True, limit=300)
    return JackfieldError("The catalogue of models was not refreshed", detail=detail + ".", hint=_HINT)
