"""The keys that sign a marketplace: a folder with all public keys, and the private ones that are here.

The four roles are those of The Update Framework (specification, section 2.1). Private keys are ed25519 (RFC
8032), sealed with AES-256-GCM under a key that scrypt (RFC 7914) derives from a passphrase.
"""

from __future__ import annotations

import base64
import json
import os
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from securesystemslib.signer import CryptoSigner, SSlibKey

from registry.atomic import write_atomically
from registry.errors import JackfieldError, reason_of
from registry.text import safe_text

ROLES: Final = ("root", "targets", "snapshot", "timestamp")
WORK: Final = 2**17
"""The cost of deriving a key (scrypt's N), with r = 8 and p = 1: 128 MiB of memory, about half a second."""
MIN_PASSPHRASE: Final = 8
"""The shortest passphrase for new keys, in characters."""
_FILE: Final = "keys.json"
_FORMAT: Final = "jackfield-marketplace-keys"


class KeysError(JackfieldError):
    """Keys cannot be made, read or opened."""


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """Who signs for a role."""

    threshold: int
    keys: tuple[SSlibKey, ...]


class KeyFolder:
    """A folder of keys.

    Args:
        folder: where it is.
        passphrase: gives the passphrase; asked at most once, when a sealed key is needed.

    Raises:
        KeysError: it is none.
    """

    def __init__(self, folder: Path, passphrase: Callable[[], str] | None = None) -> None:
        self.folder = folder
        self._ask = passphrase
        self._said: str | None = None
        self._derived: dict[tuple[bytes, int], bytes] = {}
        try:
            data = json.loads((folder / _FILE).read_bytes())
            if data["format"] != _FORMAT:
                raise ValueError("it has another format")
            self.roles: dict[str, RoleKeys] = {role: _role(data["roles"][role]) for role in ROLES}
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise KeysError(
                f"{safe_text(str(folder), single_line=True)} holds no keys of a marketplace",
                detail=reason_of(error),
                hint="`jackfield marketplace keys create` makes some.",
            ) from error

    @property
    def are_sealed(self) -> bool:
        """Whether a private key in the folder needs the passphrase."""
        return any("sealed" in _read_key(file) for file in self.folder.glob("*.key"))

    def signers(self, keyids: Iterable[str]) -> list[CryptoSigner]:
        """Those of these keys whose private half is in the folder.

        Raises:
            KeysError: the passphrase is wrong, or a file is damaged.
        """
        wanted = set(keyids)
        found: dict[str, CryptoSigner] = {}
        for file in sorted(self.folder.glob("*.key")):
            data = _read_key(file)
            if data.get("keyid") in wanted:
                signer = CryptoSigner(Ed25519PrivateKey.from_private_bytes(self._open(file, data)))
                found[signer.public_key.keyid] = signer
        return [signer for keyid, signer in found.items() if keyid in wanted]

    def _open(self, file: Path, data: dict[str, Any]) -> bytes:
        try:
            if "plain" in data:
                return base64.b64decode(data["plain"], validate=True)
            salt, nonce, sealed = (
                base64.b64decode(data[part], validate=True) for part in ("salt", "nonce", "sealed")
            )
            key = self._derive(salt, data["work"])
            return AESGCM(key).decrypt(nonce, sealed, str(data["keyid"]).encode())
        except InvalidTag as error:
            raise KeysError(
                "The passphrase does not open the keys",
                detail=f"Tried on {safe_text(file.name, single_line=True)}.",
                hint="Try again; what was sealed cannot be opened without it.",
            ) from error
        except (ValueError, LookupError, TypeError) as error:
            raise _damaged(file) from error

    def _derive(self, salt: bytes, work: object) -> bytes:
        if not isinstance(work, int) or not 2 <= work <= 2**20 or work & (work - 1):
            raise ValueError("an impossible cost")
        if self._said is None:
            if self._ask is None:
                raise KeysError(
                    "The keys are sealed with a passphrase", hint="Set JACKFIELD_KEYS_PASSPHRASE to it."
                )
            self._said = self._ask()
        if (salt, work) not in self._derived:
            self._derived[salt, work] = _scrypt(self._said, salt, work)
        return self._derived[salt, work]


def create_keys(
    folder: Path, passphrase: str | None, *, root_keys: int = 1, threshold: int = 1, work: int = WORK
) -> KeyFolder:
    """Make the keys of a new marketplace: so many for root, and one for each other role.

    Args:
        folder: where to put them; made if it is not there.
        passphrase: what seals the private keys; None leaves them open to whoever can read the files.
        root_keys: how many root keys.
        threshold: how many of them have to sign a change of keys.
        work: the cost of deriving a key from the passphrase.

    Raises:
        KeysError: there are keys already, or the numbers or the passphrase cannot be used.
        OSError: they cannot be written.
    """
    if (folder / _FILE).exists():
        raise KeysError(
            f"There are keys in {safe_text(str(folder), single_line=True)} already",
            hint="`keys rotate` replaces one.",
        )
    if not 1 <= threshold <= root_keys <= 20:
        raise KeysError(
            "The threshold is at least 1 and at most the number of root keys, which is at most 20"
        )
    sealing = _Sealing.of(passphrase, work)
    roles = {
        role: RoleKeys(
            threshold if role == "root" else 1,
            tuple(_new_key(folder, role, sealing) for _ in range(root_keys if role == "root" else 1)),
        )
        for role in ROLES
    }
    _write_roles(folder, roles)
    return KeyFolder(folder, None if passphrase is None else lambda: passphrase)


def rotate_key(
    folder: Path, role: str, passphrase: str | None, *, old: str | None = None, work: int = WORK
) -> tuple[str, str]:
    """Put a new key in the place of one; the next signing makes it known with a new root.

    The private half of an old root key stays in the folder: it has to sign the change.

    Args:
        folder: the keys.
        role: whose.
        passphrase: what seals the new private key.
        old: the beginning of the id of the key to replace; needed where there are several.
        work: the cost of deriving a key from the passphrase.

    Returns:
        The id of the old key and that of the new one.

    Raises:
        KeysError: there is no such role or key, or the passphrase is not that of the other keys.
        OSError: it cannot be written.
    """
    keys = KeyFolder(folder, None if passphrase is None else lambda: passphrase)
    if role not in ROLES:
        raise KeysError(f"There is no role {safe_text(role, single_line=True, limit=40)}")
    known = keys.roles[role]
    leaving = [key for key in known.keys if old is None or key.keyid.startswith(old)]
    if len(leaving) != 1:
        ids = ", ".join(key.keyid[:12] for key in known.keys)
        raise KeysError(f"It is not clear which key of {role} to replace", hint=f"Choose with --key: {ids}")
    keys.signers([leaving[0].keyid])  # a wrong passphrase is noticed before a key is sealed with it
    new = _new_key(folder, role, _Sealing.of(passphrase, work))
    kept = tuple(new if key is leaving[0] else key for key in known.keys)
    _write_roles(folder, {**keys.roles, role: RoleKeys(known.threshold, kept)})
    return leaving[0].keyid, new.keyid


@dataclass(frozen=True, slots=True)
class _Sealing:
    """What seals the private keys of one run: they share a salt, so that they share one derivation."""

    key: bytes | None
    salt: bytes
    work: int

    @classmethod
    def of(cls, passphrase: str | None, work: int) -> _Sealing:
        if passphrase is not None and len(passphrase) < MIN_PASSPHRASE:
            raise KeysError(f"The passphrase has fewer than {MIN_PASSPHRASE} characters")
        salt = os.urandom(16)
        return cls(None if passphrase is None else _scrypt(passphrase, salt, work), salt, work)

    def fields(self, keyid: str, private: bytes) -> dict[str, Any]:
        if self.key is None:
            return {"plain": _text(private)}
        nonce = os.urandom(12)
        sealed = AESGCM(self.key).encrypt(nonce, private, keyid.encode())
        return {"salt": _text(self.salt), "work": self.work, "nonce": _text(nonce), "sealed": _text(sealed)}


def _new_key(folder: Path, role: str, sealing: _Sealing) -> SSlibKey:
    private = Ed25519PrivateKey.generate()
    public = SSlibKey.from_crypto(private.public_key())
    fields = sealing.fields(public.keyid, private.private_bytes_raw())
    data = {"format": _FORMAT, "role": role, "keyid": public.keyid, **fields}
    write_atomically(folder / f"{role}-{public.keyid[:12]}.key", json.dumps(data, indent=1).encode())
    return public


def _scrypt(passphrase: str, salt: bytes, work: int) -> bytes:
    # RFC 8265, section 4.2: the same passphrase from any keyboard
    said = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass")
    return Scrypt(salt=salt, length=32, n=work, r=8, p=1).derive(said)


def _write_roles(folder: Path, roles: dict[str, RoleKeys]) -> None:
    data = {
        role: {
            "threshold": known.threshold,
            "keys": [{"keyid": key.keyid, **key.to_dict()} for key in known.keys],
        }
        for role, known in roles.items()
    }
    write_atomically(folder / _FILE, json.dumps({"format": _FORMAT, "roles": data}, indent=1).encode())


def _role(data: dict[str, Any]) -> RoleKeys:
    keys = []
    for entry in data["keys"]:
        fields = dict(entry)
        keys.append(SSlibKey.from_dict(fields.pop("keyid"), fields))
    threshold = data["threshold"]
    if not isinstance(threshold, int) or not 1 <= threshold <= len(keys):
        raise ValueError("a threshold that its keys cannot reach")
    return RoleKeys(threshold, tuple(keys))


def _read_key(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(file) from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise _damaged(file)
    return data


def _damaged(file: Path) -> KeysError:
    return KeysError(
        f"{safe_text(file.name, single_line=True)} is not a key that was written here",
        hint="Restore it from a backup, or move it away.",
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
