"""Requests to an authorization server: no redirect, a limited time, a limited answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus

from registry.oauth.addresses import check_address, host_of
from registry.oauth.answers import Answer, read_answer, read_document
from registry.oauth.errors import OAuthError

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
    answer = await _ask(client, "POST", url, data=body, auth=auth)
    return read_answer(answer, [*hidden, proof.client_secret])


async def post_json(
    client: httpx.AsyncClient, url: str, body: Mapping[str, Any], *, hidden: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The JSON object that a server answers to JSON; `hidden` are the secrets in it.

    Raises:
        OAuthError: as `post_form`.
    """
    return read_answer(await _ask(client, "POST", url, json=dict(body), auth=None), hidden)


async def get_json(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """The JSON object at an address.

    Raises:
        NotOAuthError: there is none; it may be at another address.
        OAuthError: the server cannot be reached, or has failed.
    """
    return read_document(await _ask(client, "GET", url, auth=None))


async def _ask(client: httpx.AsyncClient, method: str, url: str, **content: Any) -> Answer:
    import httpx  # only a sign-in needs it

    check_address(url, "address of the sign-in server")
    host = host_of(url)
    try:
        async with asyncio.timeout(_LIMIT_S):
            return await _exchange(client, method, url, content)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError) as error:
        late = isinstance(error, httpx.TimeoutException | TimeoutError)
        raise OAuthError(
            f"{host} did not answer in time" if late else f"{host} cannot be reached",
            detail=type(error).__name__,  # its text may quote the request
            hint="Check the connection and try again.",
            temporary=True,
        ) from None


async def _exchange(client: httpx.AsyncClient, method: str, url: str, content: dict[str, Any]) -> Answer:
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
        return Answer(host_of(url), answer.status_code, bytes(body))
