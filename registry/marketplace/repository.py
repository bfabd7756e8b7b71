"""One marketplace as a client sees it: its catalogue, the details of a plugin, the files to install."""

from __future__ import annotations

import gzip
import hashlib
import threading
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json
from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError
from tuf.api.serialization import DeserializationError

from registry.atomic import locked
from registry.collector import paused_collector
from registry.errors import ConfigError
from registry.marketplace.entry import SCHEMA, Artefact, Catalogue, Details
from registry.marketplace.kept import State, days_since, keep, kept_catalogue, kept_state
from registry.marketplace.rows import read_rows, write_rows
from registry.marketplace.sources import Source, cache_folder, root_file
from registry.marketplace.transport import Fetcher
from registry.marketplace.trust import (
    METADATA,
    MOST_TARGET_BYTES,
    MarketplaceError,
    explained,
    fingerprint_of,
    get_target,
    is_signed,
    offline,
    online,
    read_target,
    root_version,
)
from registry.text import safe_text
from registry.threads import call_with_limit

if TYPE_CHECKING:
    from tuf.api.metadata import Targets

    from registry.paths import Paths

CATALOGUE: Final = "catalogue.json.gz"
SHARDS: Final = 256
"""Into how many files the details of all plugins are spread."""
REFRESH_LIMIT_S: Final = 600.0
_FUTURE: Final = timedelta(days=2)
_ENDINGS: Final = (".whl", ".zip", ".tar.gz")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class CachedCatalogue:
    """The catalogue that came last, and how old it is."""

    catalogue: Catalogue
    checked_at: datetime
    """When the marketplace was last asked with success."""

    def age_days(self, now: datetime) -> float:
        """Days since it was last asked; endless when that cannot be known."""
        return days_since(self.checked_at, now)


class _Head(BaseModel):
    """What is read first, since the rest may have another form in a newer catalogue."""

    schema_version: int = SCHEMA


def details_path(plugin_id: str) -> str:
    """The signed file that has the details of a plugin, among those of others."""
    shard = hashlib.sha256(plugin_id.encode()).digest()[0] % SHARDS
    return f"details/{shard:02x}.json.gz"


class Marketplace:
    """A marketplace that was added.

    All methods work in threads of their own and never hold up an event loop. Several processes may use the
    same cache.

    Args:
        source: which one.
        paths: where its root and its cache are.
        clock: the time; for tests.
    """

    def __init__(
        self, source: Source, paths: Paths, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.source = source
        self._root_file = root_file(paths, source.name)
        self._cache = cache_folder(paths, source.name)
        self._clock = clock
        self.requests: list[str] = []
        """What the last call asked the server for."""
        self.received = 0
        """How many bytes it was given for that."""

    async def refresh(self, progress: Callable[[int], None] | None = None) -> Catalogue:
        """Ask the marketplace for its newest catalogue. Cancelling it stops the download.

        Args:
            progress: told how many bytes have come so far; called in another thread.

        Raises:
            MarketplaceError: it cannot be reached, or what it gave must not be believed; the cached catalogue
                stays as it was.
        """
        return await self._in_thread(lambda cancelled: self._refresh(cancelled, progress))

    async def cached(self, only: Collection[str] | None = None) -> CachedCatalogue | None:
        """The catalogue that came last, verified again; None when none ever came or it is damaged.

        Args:
            only: ids, or names without their publishers, of the entries that are wanted; all when None. All
                of ten thousand take long, and hold up what else runs.
        """
        return await self._in_thread(lambda _: self.read_cached(only))

    async def details(self, plugin_id: str) -> Details:
        """All that the marketplace says of a plugin; from the cache when that is still what was signed.

        Raises:
            MarketplaceError: it has no such plugin, cannot be reached, or must not be believed.
        """
        return await self._in_thread(lambda cancelled: self._details(plugin_id, cancelled))

    async def artefact(
        self, artefact: Artefact, folder: Path, progress: Callable[[int, int], None] = lambda _a, _b: None
    ) -> Path:
        """Download the file of a version into a folder; size and hash are checked while it comes.

        Args:
            artefact: what to get; from the verified catalogue.
            folder: where to put it.
            progress: told how many bytes of how many are there; called in another thread.

        Returns:
            The file. Its name is `plugin` with the ending that was published: its publisher chooses no name
            that something else in a folder might have.

        Raises:
            MarketplaceError: it cannot be had, or is not what was signed; nothing of it is left.
        """
        return await self._in_thread(lambda cancelled: self._download(artefact, folder, progress, cancelled))

    async def _in_thread(self, work: Callable[[threading.Event], _T]) -> _T:
        cancelled = threading.Event()
        try:
            return await call_with_limit(
                lambda: work(cancelled), limit_s=REFRESH_LIMIT_S, name=f"marketplace {self.source.name}"
            )
        except TimeoutError as error:
            raise MarketplaceError(
                f"{self.source.name} took too long", hint="Try again when the network is better."
            ) from error
        finally:
            cancelled.set()

    def _root(self) -> bytes:
        """The pinned root.

        Raises:
            ConfigError: it is gone, or not the one that was agreed to.
        """
        try:
            data = self._root_file.read_bytes()
        except OSError:
            data = b""
        if fingerprint_of(data) != self.source.fingerprint:
            raise ConfigError(
                f"The root of trust of {self.source.name} is not the one that you agreed to",
                hint="Remove the marketplace and add it again.",
            )
        return data

    def _refresh(self, cancelled: threading.Event, progress: Callable[[int], None] | None) -> Catalogue:
        def tell(_: int) -> None:
            if progress is not None:
                progress(fetcher.received)

        fetcher = Fetcher(cancelled, tell)
        with self._fetching(fetcher), self._guarded():
            updater = online(self._cache, self.source.url, self._root(), fetcher)
            raw = get_target(updater, CATALOGUE)
            if raw is None:
                raise RepositoryError("there is no catalogue")
            catalogue = self._checked(raw)
            self._keep(raw, catalogue)
        return catalogue

    @contextmanager
    def _fetching(self, fetcher: Fetcher) -> Iterator[None]:
        """Notes what was asked for, and lets go of connections."""
        try:
            yield
        finally:
            self.requests, self.received = fetcher.requests, fetcher.received
            fetcher.close()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """One process at a time in the cache, and every fault in words for a person."""
        with self._explained(), locked(self._cache / CATALOGUE, REFRESH_LIMIT_S):
            yield

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Every fault in words for a person."""
        with explained(self.source.name, self._clock()):
            try:
                yield
            except ValidationError as error:
                raise RepositoryError(f"{error.error_count()} entries are not as they should be") from error

    def _checked(self, raw: bytes) -> Catalogue:
        """The catalogue, if it is one for this app and of this time."""
        text = unzipped(raw)
        if _Head.model_validate_json(text).schema_version > SCHEMA:
            raise MarketplaceError(
                f"The catalogue of {self.source.name} is made for a newer Jackfield",
                hint="Update Jackfield, then refresh.",
            )
        catalogue = Catalogue.model_validate_json(text)
        if catalogue.made_at > self._clock() + _FUTURE:
            raise MarketplaceError(
                f"The catalogue of {self.source.name} comes from the future",
                detail=f"It was made on {catalogue.made_at:%Y-%m-%d}, here it is {self._clock():%Y-%m-%d}.",
                hint="Set the date of this computer, then refresh.",
                refused=True,
            )
        return catalogue

    def _keep(self, raw: bytes, catalogue: Catalogue) -> None:
        pinned = root_version(self._root())
        keep(self._cache, self._cache / METADATA, pinned, raw, self._clock())
        digest = hashlib.sha256(raw).hexdigest()
        if read_rows(self._cache, digest, self.source.name) is None:
            write_rows(self._cache, digest, catalogue, self.source.name)

    def _state(self) -> tuple[State, Targets] | None:
        """The state that was kept, verified again; None when there is none, or it must not be believed."""
        with suppress(RepositoryError, DeserializationError, ValueError, KeyError, ConfigError):
            state = kept_state(self._cache)
            return None if state is None else (state, offline(state, self._root()))
        return None

    def read_cached(self, only: Collection[str] | None = None) -> CachedCatalogue | None:
        """As `cached`, for who is in a thread already."""
        for _ in range(3):  # a refresh may end, and remove the old catalogue, while this is verified
            found = self._state()
            if found is None:
                return None
            state, targets = found
            raw = kept_catalogue(self._cache, state)
            if raw is not None:
                break
        else:
            return None
        if not is_signed(targets, CATALOGUE, raw):
            return None
        with suppress(RepositoryError, ValueError):
            text = unzipped(raw) if only is None else _with_only(unzipped(raw), only)
            if _Head.model_validate_json(text).schema_version <= SCHEMA:
                return CachedCatalogue(Catalogue.model_validate_json(text), state.asked)
        return None

    def _details(self, plugin_id: str, cancelled: threading.Event) -> Details:
        path = details_path(plugin_id)
        self.requests, self.received = [], 0
        found = self._state()
        raw = read_target(self._cache, found[1], path) if found else None
        if raw is None:
            fetcher = Fetcher(cancelled)
            with self._fetching(fetcher), self._guarded():
                raw = get_target(online(self._cache, self.source.url, self._root(), fetcher), path)
        return self._pick(raw, plugin_id)

    def _pick(self, raw: bytes | None, plugin_id: str) -> Details:
        from pydantic import TypeAdapter

        if raw is not None:
            with self._explained():
                for details in TypeAdapter(list[Details]).validate_json(unzipped(raw)):
                    if details.id == plugin_id:
                        return details
        shown = safe_text(plugin_id, single_line=True, limit=130)
        raise MarketplaceError(
            f"{self.source.name} has no plugin {shown}", hint="Refresh the catalogue; it may have changed."
        )

    def _download(
        self,
        artefact: Artefact,
        folder: Path,
        progress: Callable[[int, int], None],
        cancelled: threading.Event,
    ) -> Path:
        target = folder / f"plugin{_ending(artefact.path)}"
        fetcher = Fetcher(cancelled)
        try:
            with self._fetching(fetcher), explained(self.source.name, self._clock()):
                _save(fetcher, f"{self.source.url}{artefact.path}", artefact, target, progress)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return target


def _ending(path: str) -> str:
    """What a published file ends with, of what means something here; else nothing."""
    return next((ending for ending in _ENDINGS if path.endswith(ending)), "")


def _save(
    fetcher: Fetcher, url: str, artefact: Artefact, target: Path, progress: Callable[[int, int], None]
) -> None:
    found = hashlib.sha256()
    size = 0
    with target.open("xb") as file:
        for block in fetcher.fetch(url):
            size += len(block)
            if size > artefact.size:
                break
            found.update(block)
            file.write(block)
            progress(size, artefact.size)
    if size != artefact.size or found.hexdigest() != artefact.sha256:
        raise LengthOrHashMismatchError(f"{target.name} has another size or content")


def _with_only(text: bytes, wanted: Collection[str]) -> bytes:
    """A catalogue that was found good when it came, without the entries that nobody wants now."""

    def is_wanted(entry: Any) -> bool:
        plugin_id = str(entry.get("id")) if isinstance(entry, dict) else ""
        return plugin_id in wanted or plugin_id.partition("/")[2] in wanted

    with paused_collector():
        value = from_json(text)
        if not isinstance(value, dict) or not isinstance(value.get("entries"), list):
            return text  # of another form: who reads it says so
        value["entries"] = [entry for entry in value["entries"] if is_wanted(entry)]  # frees all others, too
        return to_json(value)


def unzipped(data: bytes) -> bytes:
    """Unpack at most `MOST_TARGET_BYTES`.

    Raises:
        RepositoryError: it is larger, or no gzip.
    """
    try:
        unpacker = zlib.decompressobj(wbits=31)
        text = unpacker.decompress(data, MOST_TARGET_BYTES)
    except zlib.error as error:
        raise RepositoryError("a file is not packed as it should be") from error
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise RepositoryError("a file is too large, or cut short")
    return text


def zipped(data: bytes) -> bytes:
    """Pack; the same data give the same bytes."""
    return gzip.compress(data, mtime=0)
