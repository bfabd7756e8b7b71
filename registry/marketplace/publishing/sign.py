"""Signs a marketplace: metadata of The Update Framework (TUF) over what `build` wrote.

Only what changed, or is past half of its life, is signed anew. The order in which files appear leaves a site
that is complete at every moment, and `timestamp.json`, which makes the new state known, comes last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from registry.atomic import write_atomically
from registry.marketplace.publishing.build import DRAFT, PublishError
from registry.marketplace.publishing.keys import ROLES, KeyFolder
from registry.marketplace.repository import CATALOGUE
from registry.marketplace.trust import METADATA, TARGETS, fingerprint_of
from registry.text import safe_text

LIVES: Final = {
    Root.type: timedelta(days=365),
    Targets.type: timedelta(days=90),
    Snapshot.type: timedelta(days=14),
    Timestamp.type: timedelta(days=14),
}
"""How long a signature of each role may be believed. The last is how long news can be held back."""
_WAITING: Final = "root.waiting.json"

_S = TypeVar("_S", Root, Targets, Snapshot, Timestamp)


@dataclass(frozen=True, slots=True)
class Signed:
    """What signing did."""

    signed: tuple[str, ...]
    """The roles that were signed anew."""
    fingerprint: str
    """SHA-256 of the first root: what users are shown when they add the marketplace."""
    waiting: int = 0
    """How many more signatures of root keys a new root needs before anything else can be signed."""


def sign(out: Path, keys: KeyFolder, now: datetime | None = None) -> Signed:
    """Sign what `build` wrote.

    A root that needs more keys than the folder has is kept aside; signing again with the other keys adds
    theirs. Until it has enough, nothing else is signed.

    Args:
        out: the folder that `build` wrote to.
        keys: the keys.
        now: the time; for tests.

    Raises:
        PublishError: there is nothing to sign, a key is missing, or what is there cannot be read.
        KeysError: the keys cannot be opened.
        OSError: it cannot be written.
    """
    if not (out / DRAFT / CATALOGUE).is_file():
        raise PublishError(
            f"There is nothing to sign in {_line(out)}",
            hint=f"Run `jackfield marketplace build SOURCE {_line(out)}` first.",
        )
    (out / METADATA).mkdir(parents=True, exist_ok=True)
    try:
        return _Signing(out, keys, now or datetime.now(UTC)).run()
    except (RepositoryError, DeserializationError) as error:
        raise PublishError(
            "The metadata that are there cannot be read",
            detail=_line(error),
            hint="Restore them from what was published last.",
        ) from error


class _Signing:
    def __init__(self, out: Path, keys: KeyFolder, now: datetime) -> None:
        self._out = out
        self._folder = out / METADATA
        self._keys = keys
        self._now = now.replace(microsecond=0)
        self._signed: list[str] = []

    def run(self) -> Signed:
        root, waiting = self._root()
        if waiting:
            return Signed(tuple(self._signed), "", waiting)
        targets = self._targets(root)
        snapshot = self._snapshot(root, targets.version)
        self._timestamp(root, snapshot.version)
        first = (self._folder / "1.root.json").read_bytes()
        return Signed(tuple(self._signed), fingerprint_of(first))

    # root

    def _root(self) -> tuple[Root, int]:
        """The root that holds, and how many signatures a new one lacks."""
        current = self._newest_root()
        if current is not None and not self._needs_new_root(current):
            return current.signed, 0
        if current is not None and not self._has_other_keys(current) and not self._root_keys_here(current):
            return current.signed, 0  # renewed where the root keys are; it still holds meanwhile
        wanted = self._waiting_root(current) or Metadata(self._next_root(current))
        judges = [wanted.signed] if current is None else [current.signed, wanted.signed]
        keyids = {keyid for judge in judges for keyid in judge.roles[Root.type].keyids}
        for signer in self._keys.signers(keyids):
            wanted.sign(signer, append=True)
        data = wanted.to_bytes()
        missing = max(_missing(judge, wanted) for judge in judges)
        if missing:
            if not wanted.signatures:
                raise PublishError("No root key is here", hint="A new root has to be signed with root keys.")
            write_atomically(self._folder / _WAITING, data, 0o644)
            return wanted.signed, missing
        write_atomically(self._folder / f"{wanted.signed.version}.root.json", data, 0o644)
        (self._folder / _WAITING).unlink(missing_ok=True)
        self._signed.append(Root.type)
        return wanted.signed, 0

    def _newest_root(self) -> Metadata[Root] | None:
        version = _newest(self._folder, Root.type)
        return Metadata[Root].from_file(str(self._folder / f"{version}.root.json")) if version else None

    def _needs_new_root(self, current: Metadata[Root]) -> bool:
        return self._is_old(current.signed) or self._has_other_keys(current)

    def _root_keys_here(self, current: Metadata[Root]) -> bool:
        return bool(self._keys.signers(current.signed.roles[Root.type].keyids))

    def _has_other_keys(self, current: Metadata[Root]) -> bool:
        return any(
            set(current.signed.roles[role].keyids) != {key.keyid for key in self._keys.roles[role].keys}
            or current.signed.roles[role].threshold != self._keys.roles[role].threshold
            for role in ROLES
        )

    def _next_root(self, current: Metadata[Root] | None) -> Root:
        root = Root(
            version=current.signed.version + 1 if current else 1,
            expires=self._now + LIVES[Root.type],
            consistent_snapshot=True,
        )
        for role in ROLES:
            for key in self._keys.roles[role].keys:
                root.add_key(key, role)
            root.roles[role].threshold = self._keys.roles[role].threshold
        return root

    def _waiting_root(self, current: Metadata[Root] | None) -> Metadata[Root] | None:
        """A root that was begun with other keys, if it is still the one that is wanted."""
        file = self._folder / _WAITING
        if not file.is_file():
            return None
        waiting = Metadata[Root].from_file(str(file))
        version = current.signed.version + 1 if current else 1
        fits = waiting.signed.version == version and not self._needs_new_root(waiting)
        return waiting if fits else None

    # the other roles

    def _targets(self, root: Root) -> Targets:
        files = self._draft_files()
        infos = {path: TargetFile.from_data(path, data, ["sha256"]) for path, data in files.items()}
        current = self._current(Targets, root)
        if current is not None and current.targets == infos:
            return current
        for path, data in files.items():
            digest = infos[path].hashes["sha256"]
            folder, _, name = path.rpartition("/")
            file = self._out / TARGETS / folder / f"{digest}.{name}"
            if not file.is_file() or sha256(file.read_bytes()).hexdigest() != digest:
                write_atomically(file, data, 0o644)
        version = _newest(self._folder, Targets.type) + 1
        fresh = Targets(version=version, expires=self._expiry(Targets.type), targets=infos)
        return self._write(fresh, root, f"{version}.targets.json")

    def _snapshot(self, root: Root, targets: int) -> Snapshot:
        current = self._current(Snapshot, root)
        if current is not None and current.meta["targets.json"].version == targets:
            return current
        version = _newest(self._folder, Snapshot.type) + 1
        meta = {"targets.json": MetaFile(version=targets)}
        fresh = Snapshot(version=version, expires=self._expiry(Snapshot.type), meta=meta)
        return self._write(fresh, root, f"{version}.snapshot.json")

    def _timestamp(self, root: Root, snapshot: int) -> Timestamp:
        file = self._folder / "timestamp.json"
        before = Metadata[Timestamp].from_file(str(file)) if file.is_file() else None
        if (
            before is not None
            and self._still_holds(before, root)
            and before.signed.snapshot_meta.version == snapshot
        ):
            return before.signed
        version = before.signed.version + 1 if before else 1
        meta = MetaFile(version=snapshot)
        fresh = Timestamp(version=version, expires=self._expiry(Timestamp.type), snapshot_meta=meta)
        return self._write(fresh, root, "timestamp.json")

    def _draft_files(self) -> dict[str, bytes]:
        draft = self._out / DRAFT
        files = [draft / CATALOGUE, *sorted((draft / "details").glob("*.json.gz"))]
        return {file.relative_to(draft).as_posix(): file.read_bytes() for file in files}

    def _current(self, kind: type[_S], root: Root) -> _S | None:
        """The newest metadata of a role, if they may stay as they are."""
        version = _newest(self._folder, kind.type)
        if not version:
            return None
        known: Metadata[_S] = Metadata.from_file(str(self._folder / f"{version}.{kind.type}.json"))
        return known.signed if self._still_holds(known, root) else None

    def _still_holds(self, known: Metadata[_S], root: Root) -> bool:
        return not self._is_old(known.signed) and not _missing(root, known)

    def _is_old(self, signed: Root | Targets | Snapshot | Timestamp) -> bool:
        return signed.expires - self._now < LIVES[signed.type] / 2

    def _expiry(self, role: str) -> datetime:
        return self._now + LIVES[role]

    def _write(self, fresh: _S, root: Root, name: str) -> _S:
        metadata = Metadata(fresh)
        for signer in self._keys.signers(root.roles[fresh.type].keyids):
            metadata.sign(signer, append=True)
        if _missing(root, metadata):
            raise PublishError(
                f"The key of {fresh.type} is not here", hint="Sign with a folder that has its private half."
            )
        write_atomically(self._folder / name, metadata.to_bytes(), 0o644)
        self._signed.append(fresh.type)
        return fresh


def _missing(judge: Root, metadata: Metadata[_S]) -> int:
    """How many signatures it lacks before a root believes it."""
    result = judge.get_verification_result(metadata.signed.type, metadata.signed_bytes, metadata.signatures)
    return max(0, result.threshold - len(result.signed))


def _newest(folder: Path, role: str) -> int:
    """The highest version of a role's files; 0 without any."""
    versions = [file.name.partition(".")[0] for file in folder.glob(f"*.{role}.json")]
    return max((int(version) for version in versions if version.isdecimal()), default=0)


def _line(text: object) -> str:
    return safe_text(str(text), single_line=True, limit=300)
