"""The last state of a marketplace that was whole and verified, kept for when it cannot be reached.

TUF's own cache goes forward file by file, so that an attack that stops it halfway leaves parts of two states.
What is kept here changes with one rename, after everything of the new state was verified.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Final

from registry.atomic import write_atomically

_FILE: Final = "state.json"
_HEEDED: Final = "heeded"
OLD_AFTER_DAYS: Final = 30.0
"""A catalogue that was not renewed for longer is shown, but nothing new is installed from it."""
_CLOCKS_DIFFER_DAYS: Final = 1 / 24


@dataclass(frozen=True, slots=True)
class State:
    """Metadata as they were signed, to be verified again whenever they are used."""

    roots: tuple[str, ...]
    """Those after the pinned one, in order."""
    timestamp: str
    snapshot: str
    targets: str
    catalogue: str
    """SHA-256 of the catalogue."""
    checked_at: str
    """When the marketplace was last asked with success."""

    @property
    def asked(self) -> datetime:
        """The same as a time."""
        return datetime.fromisoformat(self.checked_at)


def keep(folder: Path, metadata: Path, pinned: int, catalogue: bytes, now: datetime) -> None:
    """Keep a state that was verified.

    Args:
        folder: where to.
        metadata: TUF's cache.
        pinned: the version of the pinned root.
        catalogue: the catalogue as it was signed.
        now: when it was asked for.

    Raises:
        OSError: it cannot be written.
    """
    roots: list[str] = []
    while (newer := metadata / "root_history" / f"{pinned + len(roots) + 1}.root.json").is_file():
        roots.append(newer.read_text("utf-8"))
    digest = hashlib.sha256(catalogue).hexdigest()
    file = _catalogue_file(folder, digest)
    if _content(file) != catalogue:  # one that was damaged in the meantime, too
        write_atomically(file, catalogue)
    state = State(
        roots=tuple(roots),
        timestamp=(metadata / "timestamp.json").read_text("utf-8"),
        snapshot=(metadata / "snapshot.json").read_text("utf-8"),
        targets=(metadata / "targets.json").read_text("utf-8"),
        catalogue=digest,
        checked_at=now.isoformat(),
    )
    write_atomically(folder / _FILE, json.dumps(asdict(state)).encode())
    for old in folder.glob("catalogue-*.json.gz"):
        if old != file:
            old.unlink(missing_ok=True)


def days_since(checked_at: datetime, now: datetime) -> float:
    """How many days ago a marketplace was asked; endless if that is still to come.

    Then the clock was wrong at that time, and how old what came then is cannot be known.
    """
    days = (now - checked_at).total_seconds() / 86_400
    return max(0.0, days) if days >= -_CLOCKS_DIFFER_DAYS else inf


def kept_state(folder: Path) -> State | None:
    """The state that is kept; None when there is none, or it is damaged. It is not verified by this."""
    try:
        data = json.loads((folder / _FILE).read_bytes())
        state = State(tuple(str(root) for root in data.pop("roots")), **data)
        parts = (state.timestamp, state.snapshot, state.targets, state.catalogue)
        if any(type(part) is not str for part in parts) or state.asked.tzinfo is None:
            return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return state


def kept_catalogue(folder: Path, state: State) -> bytes | None:
    """The catalogue of a state, as it was signed; None when it is gone."""
    with suppress(ValueError):
        return _content(_catalogue_file(folder, state.catalogue))
    return None


def note_heeded(folder: Path, state: State) -> None:
    """What the catalogue of this state withdraws was switched off.

    Raises:
        OSError: it cannot be written.
    """
    write_atomically(folder / _HEEDED, state.catalogue.encode())


def is_heeded(folder: Path, state: State) -> bool:
    """Whether that was noted of it."""
    with suppress(OSError):
        return (folder / _HEEDED).read_bytes() == state.catalogue.encode()
    return False


def _content(file: Path) -> bytes | None:
    with suppress(OSError):
        return file.read_bytes()
    return None


def _catalogue_file(folder: Path, digest: str) -> Path:
    if not digest.isalnum():
        raise ValueError("no hash")
    return folder / f"catalogue-{digest}.json.gz"
