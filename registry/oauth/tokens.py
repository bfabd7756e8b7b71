"""Tokens: reading what a token endpoint answers, renewing them, revoking them."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from registry.oauth.endpoint import ClientProof, post_form
from registry.oauth.errors import OAuthError
from registry.text import safe_text

if TYPE_CHECKING:
    import httpx

    from registry.auth import Credential, OAuthGrant

_LONGEST_LIFE_S = 10 * 365 * 24 * 3600
_LONGEST_TOKEN = 64 * 1024
_TOKEN = re.compile(r"[\x21-\x7e]+")  # RFC 6749, A.12 and A.17, without the space, which no header survives


async def refresh_credential(
    credential: Credential, client: httpx.AsyncClient, *, clock: Callable[[], float] = time.time
) -> Credential:
    """The credential with new tokens (RFC 6749, 6). A refresh token that the answer does not replace is kept.

    Args:
        credential: one with a grant and a refresh token; its other secrets, values and connection are kept.
        client: redirects are not followed, whatever it is set to.
        clock: Unix seconds.

    Raises:
        OAuthError: `error` is "invalid_grant" when the refresh token is void for good. Any other failure
            leaves it as good as it was.
    """
    grant, secret = credential.grant, _secret(credential, "refresh_token")
    if grant is None or not secret:
        raise OAuthError("This sign-in cannot be renewed", hint="Sign in again.")
    answer = await post_form(
        client,
        grant.token_endpoint,
        {"grant_type": "refresh_token", "refresh_token": secret},
        ClientProof(grant.client_id, _secret(credential, "client_secret")),
    )
    fresh, _ = read_tokens(answer, grant, asked=credential.scopes, now=clock())
    return fresh.model_copy(
        update={
            "secrets": {**credential.secrets, **fresh.secrets},
            "values": credential.values,
            "connection": credential.connection,
        }
    )


async def revoke_credential(credential: Credential, client: httpx.AsyncClient) -> bool:
    """Tell the server that the tokens are no longer wanted (RFC 7009); False: it offers no way to.

    The refresh token goes first: with it, most servers end the access token too. A token that the server no
    longer knows counts as revoked, as the RFC says.

    Raises:
        OAuthError: the server could not be told; the tokens may still be good.
    """
    grant = credential.grant
    if grant is None or not grant.revocation_endpoint:
        return False
    proof = ClientProof(grant.client_id, _secret(credential, "client_secret"))
    told = False
    for name in ("refresh_token", "access_token"):
        token = _secret(credential, name)
        if not token:
            continue
        try:
            await post_form(
                client, grant.revocation_endpoint, {"token": token, "token_type_hint": name}, proof
            )
        except OAuthError as error:
            # RFC 7009, 2.2.1: a server need not be able to revoke access tokens
            if not (told and error.error == "unsupported_token_type"):
                raise
        told = True
    return told


def read_tokens(
    answer: dict[str, Any], grant: OAuthGrant, *, asked: Sequence[str], now: float, client_secret: str = ""
) -> tuple[Credential, str]:
    """The credential in the answer of a token endpoint, and a warning or "" (RFC 6749, 5.1).

    Args:
        answer: from the server; nothing of it is believed.
        grant: becomes the credential's.
        asked: the scopes that were asked for; an answer that names none grants them all.
        now: Unix seconds.
        client_secret: of a client that was registered with one.

    Raises:
        OAuthError: there is no token in it, or one of a type that is not Bearer.
    """
    from registry.auth import Credential  # pydantic: only a sign-in needs it

    _check_type(answer.get("token_type"))
    access = read_token(answer.get("access_token"))
    if not access:
        raise OAuthError(
            "The server sent no token", hint="Try again; if it stays so, tell the author of the plugin."
        )
    granted = _scopes(answer.get("scope")) or tuple(asked)
    secrets = {
        "access_token": access,
        "refresh_token": read_token(answer.get("refresh_token")),
        "client_secret": client_secret,
    }
    credential = Credential.model_validate(
        {
            "secrets": {name: secret for name, secret in secrets.items() if secret},
            "expires_at": _expiry(answer.get("expires_in"), now),
            "scopes": granted,
            "grant": grant,
        }
    )
    return credential, _warning(asked, granted)


def seconds(value: object) -> float | None:
    """A time from an answer: seconds above zero, or None for what is missing, odd or nonsense."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return min(number, _LONGEST_LIFE_S) if math.isfinite(number) and number > 0 else None


def _expiry(expires_in: object, now: float) -> float | None:
    """Unix seconds; None when the server does not say: then only a refusal tells that the token is old."""
    life = seconds(expires_in)
    return None if life is None else now + life


def _check_type(kind: object) -> None:
    """RFC 6749, 7.1: a token of a type that is not understood must not be used; the name has no case."""
    if kind is None or (isinstance(kind, str) and kind.lower() == "bearer"):
        return
    raise OAuthError(
        "The server sent a token of a kind that cannot be used",
        detail=safe_text(str(kind), limit=60, single_line=True),
        hint="Choose another way to sign in.",
    )


def read_token(value: object) -> str:
    """The token or key that a server sent; "" for what is none and could not be put into a header."""
    if isinstance(value, str) and len(value) <= _LONGEST_TOKEN and _TOKEN.fullmatch(value):
        return value
    return ""


def _scopes(value: object) -> tuple[str, ...]:
    """The scopes of an answer; some servers put commas in place of spaces."""
    if not isinstance(value, str):
        return ()
    return tuple(
        dict.fromkeys(safe_text(part, limit=200) for part in re.split(r"[\s,]+", value[:10_000]) if part)
    )


def _warning(asked: Sequence[str], granted: Sequence[str]) -> str:
    missing = [scope for scope in asked if scope not in granted]
    if not missing:
        return ""
    return f"Signed in with fewer rights than asked for; missing: {', '.join(missing)}."


def _secret(credential: Credential, name: str) -> str:
    secret = credential.secrets.get(name)
    return secret.get_secret_value() if secret else ""
