"""Signing in with a code that is typed on any device (RFC 8628)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from registry.oauth.addresses import check_address, host_of, is_safe_address
from registry.oauth.discovery import DEVICE_GRANT, Server, find_server, register
from registry.oauth.endpoint import ClientProof, post_form
from registry.oauth.errors import OAuthError, refusal
from registry.oauth.events import ShowCode, SignedIn, SignInEvent, Waiting
from registry.oauth.tokens import read_tokens, seconds
from registry.text import safe_text

if TYPE_CHECKING:
    import httpx

    from registry.auth import Credential, OAuthDevice

_INTERVAL_S: Final = 5.0  # RFC 8628, 3.2: when the server names none
_SLOWER_S: Final = 5.0  # RFC 8628, 3.5: added at each slow_down
_LONGEST_INTERVAL_S: Final = 60.0
_LIFE_S: Final = 300.0
_LONGEST_LIFE_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class _Device:
    """What the server answered to the authorization request (RFC 8628, 3.2)."""

    code: str
    show: ShowCode
    interval_s: float


class DeviceSignIn:
    """One sign-in with a code.

    Args:
        method: what the plugin declares.
        client: redirects are not followed, whatever it is set to. It is not closed.
        clock: Unix seconds.
        timer: seconds of a clock that only goes forward.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        method: OAuthDevice,
        client: httpx.AsyncClient,
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._method = method
        self._client = client
        self._clock = clock
        self._timer = timer
        self._sleep = sleep

    async def events(self) -> AsyncGenerator[SignInEvent, None]:
        """What happens, up to `SignedIn`. Closing it ends the polling.

        Raises:
            OAuthError: the sign-in failed, was refused, or the code expired.
        """
        yield Waiting("Asking the server for a code")
        server = await find_server(self._method, self._client)
        proof = ClientProof(self._method.client_id)
        if not proof.client_id:
            proof = await register(server, self._client, scopes=self._method.scopes)
        device = await self._ask_for_code(server, proof)
        deadline = self._timer() + device.show.lasts_s
        yield device.show
        interval = device.interval_s
        while True:
            # never asked after the end, but once at the end
            await self._sleep(min(interval, max(0.0, deadline - self._timer())))
            try:
                answer = await self._poll(server, proof, device)
            except OAuthError as error:
                slower = _next_interval(error, interval)
                if self._timer() >= deadline:
                    raise refusal("expired_token", host=host_of(server.token_endpoint)) from None
                if slower > interval:
                    yield Waiting(_why_slower(error))
                interval = slower
                continue
            credential, warning = self._read(answer, server, proof)
            yield SignedIn(credential, warning)
            return

    async def _ask_for_code(self, server: Server, proof: ClientProof) -> _Device:
        form = dict(self._method.extra_parameters)
        if self._method.scopes:
            form["scope"] = " ".join(self._method.scopes)
        answer = await post_form(self._client, server.device_authorization_endpoint, form, proof)
        return _read_device(answer)

    async def _poll(self, server: Server, proof: ClientProof, device: _Device) -> dict[str, Any]:
        form = {"grant_type": DEVICE_GRANT, "device_code": device.code}
        return await post_form(self._client, server.token_endpoint, form, proof)

    def _read(self, answer: dict[str, Any], server: Server, proof: ClientProof) -> tuple[Credential, str]:
        from registry.auth import OAuthGrant  # pydantic: only a sign-in needs it

        grant = OAuthGrant(
            client_id=proof.client_id,
            token_endpoint=server.token_endpoint,
            revocation_endpoint=server.revocation_endpoint,
            issuer=server.issuer,
        )
        return read_tokens(
            answer, grant, asked=self._method.scopes, now=self._clock(), client_secret=proof.client_secret
        )


def _next_interval(error: OAuthError, interval: float) -> float:
    """Seconds to wait after a poll that brought nothing; an error that is final is raised (RFC 8628, 3.5)."""
    if error.error == "authorization_pending":
        return interval
    if error.error == "slow_down":
        return interval + _SLOWER_S
    if not error.temporary:
        raise error
    return min(max(interval, interval * 2), max(interval, _LONGEST_INTERVAL_S))


def _why_slower(error: OAuthError) -> str:
    if error.error == "slow_down":
        return "The server asks for more patience"
    return f"{error.title}; trying again"


def _read_device(answer: dict[str, Any]) -> _Device:
    code, user_code = answer.get("device_code"), answer.get("user_code")
    # verification_url: how it was called before the RFC, and still is at Google
    page = answer.get("verification_uri") or answer.get("verification_url")
    if not (isinstance(code, str) and code and isinstance(user_code, str) and isinstance(page, str)):
        raise OAuthError("The server sent no code to sign in with", hint="Choose another way to sign in.")
    shown = safe_text(user_code, limit=64, single_line=True)
    if not shown:
        raise OAuthError("The server sent no code to sign in with", hint="Choose another way to sign in.")
    complete = answer.get("verification_uri_complete")
    show = ShowCode(
        user_code=shown,
        verification_url=check_address(page, "address of the page for the code"),
        complete_url=complete if isinstance(complete, str) and is_safe_address(complete) else None,
        lasts_s=min(seconds(answer.get("expires_in")) or _LIFE_S, _LONGEST_LIFE_S),
    )
    interval = seconds(answer.get("interval")) or _INTERVAL_S
    return _Device(code, show, min(max(interval, 1.0), _LONGEST_INTERVAL_S))
