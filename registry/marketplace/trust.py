"""What a marketplace may say and be believed: its metadata as The Update Framework (TUF) has them.

Online, python-tuf's client follows the specification's client workflow (section 5). Offline, the cached
metadata are verified again from the pinned root, with their age in place of their expiry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tuf.api import exceptions as tuf
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization import DeserializationError
from tuf.ngclient import Updater, UpdaterConfig

from registry.errors import JackfieldError
from registry.marketplace.transport import AbandonedError
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.marketplace.kept import State
    from registry.marketplace.transport import Fetcher

METADATA: Final = "metadata"
TARGETS: Final = "targets"
MOST_METADATA_BYTES: Final = 5_000_000
"""Of one metadata file."""
MOST_TARGET_BYTES: Final = 60_000_000
"""Of one signed file of the catalogue."""


class MarketplaceError(JackfieldError):
    """A marketplace cannot be reached, or must not be believed.

    Args:
        refused: whether what came was refused, as against nothing having come.
    """

    def __init__(self, title: str, *, detail: str = "", hint: str = "", refused: bool = False) -> None:
        super().__init__(title, detail=detail, hint=hint)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class RootOffer:
    """The root of trust that a marketplace offers: what a user agrees to when adding it."""

    url: str
    data: bytes
    fingerprint: str
    """SHA-256 of the file, 64 hexadecimal digits."""
    keys: tuple[str, ...]
    threshold: int
    """How many of the keys have to sign a change of keys."""
    expires: datetime


def read_root(url: str, data: bytes) -> RootOffer:
    """What a root file says, checked against itself.

    Raises:
        MarketplaceError: it is no root, or does not bear its own signatures.
    """
    try:
        metadata = Metadata[Root].from_bytes(data)
        root = metadata.signed
        if not isinstance(root, Root):
            raise tuf.RepositoryError("it is no root")
        root.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
    except (tuf.RepositoryError, DeserializationError, ValueError) as error:
        raise MarketplaceError(
            "This is no marketplace",
            detail=f"Its root of trust cannot be read: {_line(error)}",
            hint="Ask who runs it for the right address.",
            refused=True,
        ) from error
    role = root.roles[Root.type]
    keys = tuple(sorted(role.keyids))
    return RootOffer(url, data, fingerprint_of(data), keys, role.threshold, root.expires)


def root_version(data: bytes) -> int:
    """The version of a root.

    Raises:
        DeserializationError: it is none.
    """
    return Metadata[Root].from_bytes(data).signed.version


def fingerprint_of(data: bytes) -> str:
    """The SHA-256 of a root file, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def online(folder: Path, url: str, root: bytes, fetcher: Fetcher) -> Updater:
    """A client that has refreshed its metadata; call it in a thread, with the folder locked.

    Args:
        folder: where metadata are cached.
        url: the marketplace.
        root: the pinned root.
        fetcher: gets the files.

    Raises:
        tuf.RepositoryError, tuf.DownloadError, OSError: see `explained`.
    """
    metadata = folder / METADATA
    metadata.mkdir(parents=True, exist_ok=True)
    updater = Updater(
        str(metadata),
        f"{url}{METADATA}/",
        str(folder / TARGETS),
        f"{url}{TARGETS}/",
        fetcher=fetcher,
        config=UpdaterConfig(
            max_root_rotations=64,
            targets_max_length=MOST_METADATA_BYTES,
            snapshot_max_length=MOST_METADATA_BYTES,
        ),
        bootstrap=root,
    )
    updater.refresh()
    return updater


def offline(state: State, root: bytes) -> Targets:
    """The list of signed files of a kept state, verified again; expiry is left to the reader.

    Raises:
        tuf.RepositoryError, DeserializationError, KeyError: it is not what was signed.
    """
    trusted = Metadata[Root].from_bytes(root)
    trusted.signed.verify_delegate(Root.type, trusted.signed_bytes, trusted.signatures)
    for newer in state.roots:
        step = Metadata[Root].from_bytes(newer.encode())
        for judge in (trusted.signed, step.signed):
            judge.verify_delegate(Root.type, step.signed_bytes, step.signatures)
        if step.signed.version != trusted.signed.version + 1:
            raise tuf.BadVersionNumberError("the chain of roots is broken")
        trusted = step
    timestamp = Metadata[Timestamp].from_bytes(state.timestamp.encode())
    snapshot = Metadata[Snapshot].from_bytes(state.snapshot.encode())
    targets = Metadata[Targets].from_bytes(state.targets.encode())
    for role, part in ((Timestamp.type, timestamp), (Snapshot.type, snapshot), (Targets.type, targets)):
        trusted.signed.verify_delegate(role, part.signed_bytes, part.signatures)
    if (
        timestamp.signed.snapshot_meta.version != snapshot.signed.version
        or snapshot.signed.meta["targets.json"].version != targets.signed.version
    ):
        raise tuf.RepositoryError("the kept files do not belong together")
    return targets.signed


def is_signed(targets: Targets, path: str, data: bytes) -> bool:
    """Whether this is the signed file of this path."""
    info = targets.targets.get(path)
    if info is None:
        return False
    try:
        info.verify_length_and_hashes(data)
    except tuf.LengthOrHashMismatchError:
        return False
    return True


def read_target(folder: Path, targets: Targets, path: str) -> bytes | None:
    """A cached signed file, if it is there and is what was signed."""
    try:
        data = (folder / TARGETS / path.replace("/", "%2F")).read_bytes()
    except OSError:
        return None
    return data if is_signed(targets, path, data) else None


def get_target(updater: Updater, path: str) -> bytes | None:
    """A signed file, from the cache when it has not changed; None when there is none of this name.

    Raises:
        tuf.RepositoryError, tuf.DownloadError, OSError: see `explained`.
    """
    info: TargetFile | None = updater.get_targetinfo(path)
    if info is None:
        return None
    if info.length > MOST_TARGET_BYTES:
        raise tuf.RepositoryError(f"{path} claims to have {info.length} bytes")
    return Path(updater.find_cached_target(info) or updater.download_target(info)).read_bytes()


@contextmanager
def explained(name: str, now: datetime | None = None) -> Iterator[None]:
    """Turns what can go wrong with a marketplace into words for a person.

    Raises:
        MarketplaceError: in place of every error of TUF, of the network and of the disk.
    """
    shown = safe_text(name, single_line=True, limit=100)
    moment = (now or datetime.now(UTC)).strftime("%Y-%m-%d")
    keep = "Nothing was changed; what is installed goes on working."
    try:
        yield
    except AbandonedError as error:
        raise MarketplaceError("Stopped", hint=keep) from error
    except tuf.ExpiredMetadataError as error:
        raise MarketplaceError(
            f"The catalogue of {shown} is out of date",
            detail=f"It was to be renewed before today, {moment}: {_line(error)}. Someone may hold back "
            "newer ones, the marketplace may have stopped, or this computer's date is wrong.",
            hint=f"Check the date of this computer, then try again later. {keep}",
            refused=True,
        ) from error
    except tuf.BadVersionNumberError as error:
        raise _refused(
            shown, f"It gave an older state than one that was seen before: {_line(error)}."
        ) from error
    except tuf.UnsignedMetadataError as error:
        raise _refused(shown, "It is not signed with the keys that were agreed to.") from error
    except (tuf.LengthOrHashMismatchError, tuf.DownloadLengthMismatchError) as error:
        raise _refused(shown, f"A file is not the one that was signed: {_line(error)}.") from error
    except tuf.DownloadHTTPError as error:
        raise _unreachable(shown, f"The server answered {error.status_code}.") from error
    except tuf.DownloadError as error:
        raise _unreachable(shown, _line(error.__cause__ or error)) from error
    except (tuf.RepositoryError, DeserializationError, KeyError, ValueError) as error:
        raise _refused(shown, f"It does not fit together: {_line(error)}.") from error
    except OSError as error:
        raise MarketplaceError(
            f"The catalogue of {shown} cannot be kept", detail=_line(error), hint="Make room on the disk."
        ) from error


def _refused(name: str, detail: str) -> MarketplaceError:
    return MarketplaceError(
        f"What {name} sent was refused",
        detail=detail,
        hint="Nothing was changed; what is installed goes on working. If it stays so, tell who runs it.",
        refused=True,
    )


def _unreachable(name: str, detail: str) -> MarketplaceError:
    return MarketplaceError(
        f"{name} cannot be reached",
        detail=detail,
        hint="Check the address and the network, and try again. What came before stays.",
    )


def _line(error: object) -> str:
    return safe_text(str(error) or type(error).__name__, single_line=True, limit=300)
