"""Requests to an authorization server: no redirect, a limited answer, errors in plain words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from registry.oauth.addresses import check_address, host_of
from registry.oauth.errors import OAuthError, is_temporary, refusal

if TYPE_CHECKING:
    import httpx

MAX_ANSWER: Final = 256 * 1024
"""The largest answer that is read, in bytes."""

_LIMIT_S = 30
_SECRET_FIELDS = frozenset(
    {"code", "code_verifier", "device_code", "refresh_token", "token", "client_secret", "access_token"}
)
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class ClientProof:
    """How the client names itself to a server (RFC 6749, 2.3).

    A public client sends its id; one that was registered with a secret proves it by HTTP Basic, which every
    server has to support.
    """

    client_id: str
    client_secret: str = ""

    def fields(self) -> dict[str, str]:
        """What goes into the form."""
        return {"client_id": self.client_id} if self.client_id and not self.client_secret else {}

    def basic(self) -> tuple[str, str] | None:
        """User and password for HTTP Basic, each encoded as a form is (RFC 6749, 2.3.1)."""
        from urllib.parse import quote_plus

        if not self.client_secret:
            return None
        return quote_plus(self.client_id), quote_plus(self.client_secret)


async def post_form(
    client: httpx.AsyncClient, url: str, form: Mapping[str, str], proof: ClientProof
) -> dict[str, Any]:
    """The JSON object that a server answers to a form.

    Raises:
        OAuthError: the server refused, cannot be reached or does not speak OAuth.
    """
    import httpx  # only a sign-in needs it

    body = {**form, **proof.fields()}
    basic = proof.basic()
    auth = httpx.BasicAuth(*basic) if basic else None
    hidden = [value for name, value in body.items() if name in _SECRET_FIELDS]
    return await _ask(client, "POST", url, [*hidden, proof.client_secret], data=body, auth=auth)


async def post_json(
    client: httpx.AsyncClient, url: str, body: Mapping[str, Any], *, hidden: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The JSON object that a server answers to JSON; `hidden` are the secrets in it.

    Raises:
        OAuthError: as `post_form`.
    """
    return await _ask(client, "POST", url, list(hidden), json=dict(body), auth=None)


async def get_json(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """The JSON object at an address.

    Raises:
        OAuthError: as `post_form`; `error` is "not_found" where there is nothing.
    """
    return await _ask(client, "GET", url, [], auth=None)


async def _ask(
    client: httpx.AsyncClient, method: str, url: str, hidden: list[str], **content: Any
) -> dict[str, Any]:
    import httpx  # only a sign-in needs it

    check_address(url, "address of the sign-in server")
    host = host_of(url)
    try:
        async with asyncio.timeout(_LIMIT_S):
            status, body = await _exchange(client, method, url, content)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError) as error:
        late = isinstance(error, httpx.TimeoutException | TimeoutError)
        raise OAuthError(
            f"{host} did not answer in time" if late else f"{host} cannot be reached",
            detail=type(error).__name__,  # its text may quote the request
            hint="Check the connection and try again.",
            temporary=True,
        ) from None
    return _read(status, body, host, hidden)


async def _exchange(
    client: httpx.AsyncClient, method: str, url: str, content: dict[str, Any]
) -> tuple[int, bytes]:
    body = bytearray()
    async with client.stream(
        method, url, headers=_HEADERS, follow_redirects=False, timeout=_LIMIT_S, **content
    ) as answer:
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > MAX_ANSWER:
                raise OAuthError(
                    f"The answer of {host_of(url)} is too long",
                    hint="It may not be the server of the sign-in. Try again later.",
                    temporary=True,
                )
        return answer.status_code, bytes(body)


def _read(status: int, body: bytes, host: str, hidden: list[str]) -> dict[str, Any]:
    answer = _json_object(body or b"{}")  # a revocation is answered with nothing
    error = answer.get("error") if answer is not None else None
    passing = status in {408, 425, 429} or status >= 500
    # Some answer 200 with an error. A server that fails is not believed when it says that a grant is void.
    if isinstance(error, str) and error and (not passing or is_temporary(error)):
        said = answer.get("error_description") if answer is not None else ""
        raise refusal(error, _without(said if isinstance(said, str) else "", hidden), host=host)
    if answer is not None and 200 <= status < 300:
        return answer
    if status in {404, 410} or 300 <= status < 400:
        raise OAuthError(
            f"{host} has no such page ({status})",
            hint="Tell the author of the plugin or of the server.",
            error="not_found",
            temporary=True,
        )
    if passing:
        raise OAuthError(
            f"{host} is busy ({status})" if status == 429 else f"{host} failed ({status})",
            hint="Try again in a few minutes.",
            temporary=True,
        )
    raise OAuthError(
        f"{host} did not answer as a sign-in server does ({status})",
        detail="" if answer is None else _without(_message(answer), hidden),
        hint="A proxy or a login page of the network may be in between. Try again later.",
        temporary=True,
    )


def _message(answer: dict[str, Any]) -> str:
    """The words of a server whose errors are not those of the RFC."""
    from registry.text import safe_text

    error = answer.get("error")
    said = error.get("message") if isinstance(error, dict) else answer.get("message")
    return safe_text(said, limit=300, single_line=True) if isinstance(said, str) else ""


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _without(text: str, hidden: list[str]) -> str:
    """The text without the secrets that were sent: a server may quote them."""
    for secret in sorted({secret for secret in hidden if len(secret) >= 4}, key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return text
