"""Secrets in a file that a passphrase encrypts.

The key is derived with scrypt (RFC 7914), with the cost that the OWASP Password Storage Cheat Sheet asks for;
the content is sealed with AES-256-GCM (NIST SP 800-38D). The file is one JSON object; all but the sealed part
can be read and is authenticated with it.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import os
import unicodedata
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

from registry.atomic import locked, write_atomically
from registry.errors import JackfieldError
from registry.secret_contract import StoreError, StoreFault, StoreKind

WORK: Final = 2**17
"""The cost of deriving the key (scrypt's N), with r = 8 and p = 1: 128 MiB of memory, about half a second."""
MAX_BYTES: Final = 16_000_000
"""The largest file that is read, in bytes."""
LOCK_TIMEOUT_S: Final = 10.0
"""How long a change waits for another Jackfield that is writing, in seconds."""

_FORMAT: Final = "jackfield-secrets"
_VERSION: Final = 1
_MAX_WORK: Final = 2**18
_T = TypeVar("_T")
_Secrets = dict[str, dict[str, str]]


class EncryptedFileStore:
    """Keeps secrets in a file that a passphrase encrypts. It is made by the first `set`, for the user alone.

    Args:
        path: the file.
        passphrase: its passphrase.
        work: the cost of deriving the key of a new file: scrypt's N, a power of two; None for `WORK`.
    """

    def __init__(self, path: Path, passphrase: str, *, work: int | None = None) -> None:
        self._path = path
        # RFC 8265, section 4.2: the same passphrase from any keyboard
        self._passphrase = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass")
        self._work = WORK if work is None else work
        self._key: tuple[bytes, int, bytes] | None = None

    @property
    def kind(self) -> StoreKind:
        """Always `FILE`."""
        return StoreKind.FILE

    async def unlock(self) -> None:
        """Find out whether the passphrase is the file's. Without a file, any is.

        Raises:
            StoreError: it is not, or the file cannot be read.
        """
        await asyncio.to_thread(self._read)

    async def get(self, service: str, name: str) -> str | None:
        """The secret; None if there is none.

        Raises:
            StoreError: the passphrase is wrong, or the file cannot be read.
        """
        kept = await asyncio.to_thread(self._read)
        return kept.get(service, {}).get(name)

    async def set(self, service: str, name: str, secret: str) -> None:
        """Keep a secret, in the place of the one that was there.

        Raises:
            StoreError: the passphrase is wrong, or the file cannot be read or written; it is as it was.
        """

        def put(kept: _Secrets) -> None:
            kept.setdefault(service, {})[name] = secret

        await asyncio.to_thread(self._change, put)

    async def delete(self, service: str, name: str) -> None:
        """Remove a secret; nothing happens if there is none.

        Raises:
            StoreError: the passphrase is wrong, or the file cannot be read or written; it is as it was.
        """

        def remove(kept: _Secrets) -> None:
            kept.get(service, {}).pop(name, None)
            if service in kept and not kept[service]:
                del kept[service]

        await asyncio.to_thread(self._change, remove)

    def _read(self) -> _Secrets:
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise _unusable(self._path, StoreFault.REFUSED, "cannot be read", error) from error
        return self._open(data)

    def _change(self, change: Callable[[_Secrets], None]) -> None:
        try:
            with locked(self._path, LOCK_TIMEOUT_S):
                kept = self._read()
                before = json.dumps(kept)
                change(kept)
                if json.dumps(kept) != before:
                    write_atomically(self._path, self._seal(kept))
        except StoreError:
            raise
        except JackfieldError as error:
            raise StoreError(
                StoreFault.TIMED_OUT, error.title, detail=error.detail, hint=error.hint
            ) from error
        except OSError as error:
            denied = error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}
            fault = StoreFault.READ_ONLY if denied else StoreFault.REFUSED
            raise _unusable(self._path, fault, "cannot be written", error) from error

    def _open(self, data: bytes) -> _Secrets:
        sealed = _parse(data, self._path)
        key = self._derive(sealed["salt"], sealed["work"])
        if _check_of(key) != sealed["check"]:
            raise StoreError(
                StoreFault.WRONG_PASSPHRASE,
                "The passphrase is wrong",
                detail=f"It does not open {self._path}.",
                hint="Try again. Without the passphrase, the secrets in the file cannot be read by anyone.",
            )
        return _decrypt(sealed, key, self._path)

    def _seal(self, kept: _Secrets) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        salt, work, _ = self._key or (os.urandom(16), self._work, b"")
        key = self._derive(salt, work)
        nonce = os.urandom(12)
        head = {"work": work, "salt": salt, "check": _check_of(key), "nonce": nonce}
        content = json.dumps(kept).encode()
        return _write({**head, "sealed": AESGCM(key[:32]).encrypt(nonce, content, _bound(head))})

    def _derive(self, salt: bytes, work: int) -> bytes:
        """64 bytes: the key of the content, and what the check of the passphrase is made of."""
        if self._key is not None and self._key[:2] == (salt, work):
            return self._key[2]
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

        key = Scrypt(salt=salt, length=64, n=work, r=8, p=1).derive(self._passphrase)
        self._key = (salt, work, key)
        return key


def _check_of(key: bytes) -> bytes:
    return sha256(b"jackfield passphrase check" + key[32:]).digest()


def _bound(head: dict[str, Any]) -> bytes:
    """What is authenticated beside the content."""
    return b"|".join([_FORMAT.encode(), str(_VERSION).encode(), str(head["work"]).encode(), head["salt"]])


def _write(fields: dict[str, Any]) -> bytes:
    plain: dict[str, Any] = {"format": _FORMAT, "version": _VERSION}
    for name, value in fields.items():
        plain[name] = base64.b64encode(value).decode() if isinstance(value, bytes) else value
    plain["digest"] = _digest(plain)
    return json.dumps(plain, indent=1).encode() + b"\n"


def _digest(plain: dict[str, Any]) -> str:
    """Of all else in the file: tells a damaged file from a wrong passphrase."""
    return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _parse(data: bytes, path: Path) -> dict[str, Any]:
    try:
        plain = json.loads(data) if len(data) <= MAX_BYTES else None
        if not isinstance(plain, dict) or plain.get("format") != _FORMAT:
            raise ValueError("not a file of secrets")
        if isinstance(plain.get("version"), int) and plain["version"] > _VERSION:
            raise _newer(path)
        if plain.get("version") != _VERSION or plain.pop("digest", "") != _digest(plain):
            raise ValueError("not what was written")
        work = plain["work"]
        if not isinstance(work, int) or not 2 <= work <= _MAX_WORK or work & (work - 1):
            raise ValueError("an impossible cost")
        names = ("salt", "check", "nonce", "sealed")
        return {"work": work} | {name: base64.b64decode(plain[name], validate=True) for name in names}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged(path) from error


def _decrypt(sealed: dict[str, Any], key: bytes, path: Path) -> _Secrets:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        content = AESGCM(key[:32]).decrypt(sealed["nonce"], sealed["sealed"], _bound(sealed))
        kept: _Secrets = json.loads(content)
    except (InvalidTag, ValueError) as error:
        raise _damaged(path) from error
    return kept


def _damaged(path: Path) -> StoreError:
    return StoreError(
        StoreFault.DAMAGED,
        "The encrypted file of secrets is damaged",
        detail=f"{path} is not what was written. It is left as it is.",
        hint="Restore it from a backup, or move it away and sign in again.",
    )


def _newer(path: Path) -> StoreError:
    return StoreError(
        StoreFault.DAMAGED,
        "The encrypted file of secrets is of a newer Jackfield",
        detail=f"{path} is left as it is.",
        hint="Update Jackfield, or move the file away and sign in again.",
    )


def _unusable(path: Path, fault: StoreFault, what: str, error: OSError) -> StoreError:
    return StoreError(
        fault,
        f"The encrypted file of secrets {what}",
        detail=f"{path}: {error.strerror or type(error).__name__}.",
        hint="Check the permissions of the file and its folder, and that the disk is not full.",
    )
