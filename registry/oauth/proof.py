"""The random values of a sign-in, and how they are compared."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets


def new_verifier() -> str:
    """A code verifier of 256 random bits (RFC 7636, 4.1)."""
    return secrets.token_urlsafe(32)


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier, the only method that is used (RFC 7636, 4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def new_state() -> str:
    """A value that only the answer to our own request can have (RFC 6749, 10.12)."""
    return secrets.token_urlsafe(32)


def same(given: str, expected: str) -> bool:
    """Whether two texts are equal; how long it takes does not tell where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))
