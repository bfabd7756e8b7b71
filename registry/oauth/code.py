"""Signing in through a page in the browser: authorization code with proof key (RFC 6749, 4.1; RFC 7636)."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from registry.oauth.addresses import host_of, with_query
from registry.oauth.callback import Expected, StrayError, read_callback, read_pasted
from registry.oauth.discovery import Server, find_server, register
from registry.oauth.endpoint import ClientProof, post_form, post_json
from registry.oauth.errors import OAuthError
from registry.oauth.events import ShowPage, SignedIn, SignInEvent, Waiting
from registry.oauth.loopback import Loopback
from registry.oauth.proof import challenge_of, new_state, new_verifier
from registry.oauth.tokens import read_token, read_tokens

if TYPE_CHECKING:
    import httpx

    from registry.auth import Credential, OAuthCode

SIGN_IN_S: Final = 300
"""Seconds until a sign-in gives up."""

_PATH: Final = "/callback"
_HOSTS: Final = ("127.0.0.1", "localhost")  # where the listener is; never [::1]


@dataclass(frozen=True, slots=True)
class _Request:
    """One authorization request."""

    server: Server
    proof: ClientProof
    expected: Expected
    verifier: str
    url: str


class CodeSignIn:
    """One sign-in through a page. The answer arrives at a listener on this machine, or is pasted.

    Args:
        method: what the plugin declares.
        client: redirects are not followed, whatever it is set to. It is not closed.
        loopback: False opens no port: the user is elsewhere (SSH) and pastes.
        lasts_s: seconds until it gives up.
        clock: Unix seconds.
    """

    def __init__(
        self,
        method: OAuthCode,
        client: httpx.AsyncClient,
        *,
        loopback: bool = True,
        lasts_s: float = SIGN_IN_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._method = method
        self._client = client
        self._returns = method.redirect == "loopback" and _host_of_redirect(method) in _HOSTS
        self._loopback = loopback and self._returns
        self._lasts_s = lasts_s
        self._clock = clock
        self._state = new_state()
        self._path = _path_of(method, self._state)
        self._expected: Expected | None = None
        self._pasted: asyncio.Future[str] | None = None

    async def events(self) -> AsyncGenerator[SignInEvent, None]:
        """What happens, up to `SignedIn`. Closing it closes the port and everything else. Good for one run.

        Raises:
            OAuthError: the sign-in failed, was refused, or took longer than its time.
        """
        yield Waiting("Asking the server how to sign in")
        server = await find_server(self._method, self._client)
        async with AsyncExitStack() as stack:
            listener = await self._listen(stack)
            request = await self._request(server, self._redirect_uri(listener))
            pasted = self._await_paste(request.expected, stack)
            deadline = asyncio.get_running_loop().time() + self._lasts_s
            yield ShowPage(request.url, host_of(request.url), listener is not None, self._lasts_s)
            code = await _first({pasted, listener.code} if listener else {pasted}, deadline)
        yield Waiting("Finishing the sign-in")
        credential, warning = await self._exchange(request, code)
        yield SignedIn(credential, warning)

    def paste(self, text: str) -> str:
        """Take what the user pasted; what is wrong with it in one line, or "" when it was taken.

        The address of the page that the browser ended on is always good, a code alone only for a method whose
        redirect is "paste".
        """
        if self._expected is None or self._pasted is None or self._pasted.done():
            return "Nothing is being waited for."
        try:
            code = read_pasted(text, self._expected, bare_code=self._method.redirect == "paste")
        except StrayError as error:
            return str(error)
        except OAuthError as error:
            self._pasted.set_exception(error)
            return ""
        self._pasted.set_result(code)
        return ""

    async def _listen(self, stack: AsyncExitStack) -> Loopback | None:
        """The listener, or None when there is none to be had: then the user pastes."""
        if not self._loopback:
            return None
        port = urlsplit(self._method.redirect_uri).port or 0
        try:
            return await stack.enter_async_context(Loopback(self._path, self._read, port=port))
        except OSError:
            return None

    def _read(self, query: str) -> str:
        if self._expected is None:
            raise StrayError("Nothing was asked yet.")
        return read_callback(query, self._expected)

    def _await_paste(self, expected: Expected, stack: AsyncExitStack) -> asyncio.Future[str]:
        pasted = asyncio.get_running_loop().create_future()
        self._expected, self._pasted = expected, pasted
        stack.callback(_forget, pasted)
        return pasted

    def _redirect_uri(self, listener: Loopback | None) -> str:
        """Where the browser is sent back to; "" when the method leaves that to the server."""
        if not self._returns:
            return self._method.redirect_uri
        port = urlsplit(self._method.redirect_uri).port
        # without a listener nobody answers there, and the user copies the address from the browser
        port = listener.port if listener else port or 49152 + secrets.randbelow(16384)
        return f"http://{_host_of_redirect(self._method)}:{port}{self._path}"

    async def _request(self, server: Server, redirect_uri: str) -> _Request:
        method, verifier = self._method, new_verifier()
        proof = ClientProof(method.client_id)
        by_key = method.exchange == "key"
        if not by_key and not method.client_id:
            proof = await register(server, self._client, redirect_uris=[redirect_uri], scopes=method.scopes)
        parameters = {
            **method.extra_parameters,
            "response_type": "" if by_key else "code",
            "client_id": proof.client_id,
            method.callback_parameter: redirect_uri,
            "scope": " ".join(method.scopes),
            "state": "" if by_key else self._state,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        url = with_query(
            server.authorization_endpoint, {name: value for name, value in parameters.items() if value}
        )
        expected = Expected(redirect_uri, "" if by_key else self._state, server.issuer, server.names_itself)
        return _Request(server, proof, expected, verifier, url)

    async def _exchange(self, request: _Request, code: str) -> tuple[Credential, str]:
        if self._method.exchange == "key":
            return await self._exchange_for_key(request, code), ""
        from registry.auth import OAuthGrant  # pydantic: only a sign-in needs it

        form = {"grant_type": "authorization_code", "code": code, "code_verifier": request.verifier}
        if request.expected.redirect_uri:
            form["redirect_uri"] = request.expected.redirect_uri
        answer = await post_form(self._client, request.server.token_endpoint, form, request.proof)
        grant = OAuthGrant(
            client_id=request.proof.client_id,
            token_endpoint=request.server.token_endpoint,
            revocation_endpoint=request.server.revocation_endpoint,
            issuer=request.server.issuer,
        )
        return read_tokens(
            answer,
            grant,
            asked=self._method.scopes,
            now=self._clock(),
            client_secret=request.proof.client_secret,
        )

    async def _exchange_for_key(self, request: _Request, code: str) -> Credential:
        """A long-lived key for the code, as OpenRouter gives it (https://openrouter.ai/docs/oauth)."""
        from registry.auth import Credential  # pydantic: only a sign-in needs it

        body = {"code": code, "code_verifier": request.verifier, "code_challenge_method": "S256"}
        answer = await post_json(
            self._client, request.server.token_endpoint, body, hidden=(code, request.verifier)
        )
        key = read_token(answer.get("key"))
        if not key:
            raise OAuthError("The server sent no key", hint="Sign in again, or paste a key.")
        return Credential.model_validate({"secrets": {"key": key}})


async def _first(answers: set[asyncio.Future[str]], deadline: float) -> str:
    """The first answer; what comes later is not looked at."""
    left = deadline - asyncio.get_running_loop().time()
    done, _ = await asyncio.wait(answers, timeout=max(0, left), return_when=asyncio.FIRST_COMPLETED)
    if not done:
        raise OAuthError("The sign-in took too long", hint="Sign in again.", error="expired_token")
    return done.pop().result()


def _forget(pasted: asyncio.Future[str]) -> None:
    """Take nothing more; an error that nobody has waited for was seen by who pasted it."""
    if pasted.done():
        pasted.exception()
    else:
        pasted.cancel()


def _host_of_redirect(method: OAuthCode) -> str:
    return urlsplit(method.redirect_uri).hostname or "127.0.0.1"


def _path_of(method: OAuthCode, state: str) -> str:
    """The path of the redirect. Where the server sends no state back, the path is what only we know."""
    path = urlsplit(method.redirect_uri).path.rstrip("/") or _PATH
    return f"{path}/{state}" if method.exchange == "key" else path
