"""Fetches the files of a marketplace, from a server or a folder, in a thread that can be told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from tuf.api.exceptions import DownloadError, DownloadHTTPError
from tuf.ngclient.fetcher import FetcherInterface

from registry.errors import JackfieldError
from registry.text import safe_text

if TYPE_CHECKING:
    import httpx

FILE_LIMIT_S: Final = 900.0
"""How long one file may take, in seconds: a server that drips cannot hold an installation for ever."""
_BLOCK: Final = 1 << 16


class AbandonedError(DownloadError):
    """Whoever asked for the file does not want it any more."""


class Fetcher(FetcherInterface):
    """Gives the content of an address, piece by piece.

    Args:
        cancelled: ends what is under way when it is set.
        when_bytes: told how many bytes came, each time that some did; called in the fetching thread.
    """

    def __init__(
        self, cancelled: threading.Event | None = None, when_bytes: Callable[[int], None] | None = None
    ) -> None:
        self._cancelled = cancelled or threading.Event()
        self._when_bytes = when_bytes or _ignore
        self._client: httpx.Client | None = None
        self.requests: list[str] = []
        """The addresses that were asked for, in order."""
        self.received = 0
        """Bytes of content that came."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.requests.append(url)
        blocks = self._file(url) if urlsplit(url).scheme == "file" else self._http(url)
        return self._watched(blocks)

    def _watched(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        ends = time.monotonic() + FILE_LIMIT_S
        for block in blocks:
            if self._cancelled.is_set():
                raise AbandonedError("stopped")
            if time.monotonic() > ends:
                raise DownloadError(f"it took more than {FILE_LIMIT_S / 60:g} minutes")
            self.received += len(block)
            self._when_bytes(len(block))
            yield block

    def _file(self, url: str) -> Iterator[bytes]:
        path = Path(url2pathname(urlsplit(url).path))
        try:
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    yield block
        except FileNotFoundError as error:
            raise DownloadHTTPError("there is no such file", 404) from error
        except OSError as error:
            raise DownloadError(str(error)) from error

    def _http(self, url: str) -> Iterator[bytes]:
        import httpx

        if self._client is None:
            from registry.http import create_download_client

            self._client = create_download_client()
        try:
            # as it lies there: a server that packs it, or says so of a packed file, would change its hash
            with self._client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response:
                if response.status_code != httpx.codes.OK:
                    raise DownloadHTTPError(
                        f"the server answered {response.status_code}", response.status_code
                    )
                yield from response.iter_raw(_BLOCK)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DownloadError(str(error) or type(error).__name__) from error

    def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            self._client.close()
            self._client = None


def _ignore(_: int) -> None:
    pass


def base_address(where: str) -> str:
    """The address of a marketplace as it is kept: https, http, or a folder of this machine; ends with `/`.

    Raises:
        JackfieldError: it is none of these.
    """
    try:
        parts = urlsplit(where)
        _ = parts.port  # says only then that it is no number
    except ValueError as error:
        raise _no_address(where, "Its host or its port is written in a way that none can be.") from error
    if parts.scheme in ("https", "http", "file") and safe_text(where, single_line=True) != where:
        raise _no_address(where, "It holds characters that nobody sees.")
    if parts.scheme in ("https", "http") and parts.hostname:
        if parts.username or parts.password:
            raise _no_address(where, "It holds a user name or a password, which would be kept in a file.")
        return where.rstrip("/") + "/"
    if parts.scheme == "file":
        return where.rstrip("/") + "/"
    folder = _folder(where)
    if folder is not None:
        return folder.as_uri() + "/"
    raise _no_address(where, "It is neither an https address nor a folder.")


def _folder(where: str) -> Path | None:
    """The folder that is there under this name; None when there is none, or it cannot be looked at."""
    with suppress(OSError, RuntimeError, ValueError):  # too long a name, an unknown user, a NUL
        folder = Path(where).expanduser()
        return folder.resolve() if folder.is_dir() else None
    return None


def _no_address(where: str, detail: str) -> JackfieldError:
    # without what may be a password, which may itself hold an @
    shown = safe_text(where.rpartition("@")[2], single_line=True, limit=200)
    return JackfieldError(
        f"{shown} is no address of a marketplace",
        detail=detail,
        hint="Give an address such as https://plugins.example.org/, or a folder that holds a marketplace.",
    )
