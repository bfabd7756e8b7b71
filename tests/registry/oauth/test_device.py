"""Signing in with a code that is typed elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping

import httpx
import pytest

from registry.auth import OAuthDevice
from registry.oauth import DeviceSignIn, OAuthError, ShowCode, Waiting
from tests.providers.peer import Reply, running_peer
from tests.registry.oauth.servers import AuthServer, Browser, device_method, oidc_server
from tests.registry.oauth.steps import first, secret, signed_in

PENDING = {"status": 400, "body": {"error": "authorization_pending"}}
SLOW_DOWN = {"status": 400, "body": {"error": "slow_down"}}
DENIED = {"status": 400, "body": {"error": "access_denied"}}
TOKEN = {"status": 200, "body": {"access_token": "token-of-the-mock", "token_type": "bearer"}}


class Time:
    """A clock that a sign-in moves by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def sign_in(client: httpx.AsyncClient, time: Time) -> Callable[[OAuthDevice], DeviceSignIn]:
    return lambda method: DeviceSignIn(method, client, timer=time, sleep=time.sleep)


def mock_method(mock: AuthServer) -> OAuthDevice:
    """The mock does not say that it has a device endpoint."""
    return OAuthDevice(
        client_id="any",
        device_authorization_endpoint=mock.at("/device"),
        token_endpoint=mock.at("/token"),
    )


@contextlib.asynccontextmanager
async def device_peer(said: Mapping[str, object]) -> AsyncIterator[OAuthDevice]:
    usual = {"device_code": "d-code", "user_code": "U-CODE", "verification_uri": "https://a.example"}
    code = Reply([json.dumps({**usual, **said}).encode()])
    async with running_peer(code, Reply([b'{"access_token": "token"}'])) as peer:
        yield OAuthDevice(
            client_id="c", device_authorization_endpoint=f"{peer.url}/d", token_endpoint=f"{peer.url}/t"
        )


async def test_the_code_is_shown_and_the_sign_in_ends_when_it_was_typed(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser, time: Time
) -> None:
    events = DeviceSignIn(device_method(oidc), client, timer=time, sleep=time.sleep).events()
    show = await first(ShowCode, events)
    assert show.user_code in (show.complete_url or "")
    assert show.verification_url == oidc.at("/device")
    assert 0 < show.lasts_s <= 600
    await asyncio.to_thread(browser.approve_device, show.complete_url or "")
    credential = (await signed_in(events)).credential
    assert oidc.knows(credential.token)
    assert secret(credential, "refresh_token")
    assert time.slept == [5]  # the server names no interval


async def test_a_code_that_is_refused_ends_the_sign_in(
    oidc: AuthServer, browser: Browser, sign_in: Callable[[OAuthDevice], DeviceSignIn]
) -> None:
    events = sign_in(device_method(oidc)).events()
    show = await first(ShowCode, events)
    await asyncio.to_thread(browser.deny_device, show.complete_url or "")
    with pytest.raises(OAuthError, match="The sign-in was refused") as refused:
        await signed_in(events)
    assert refused.value.error == "access_denied"


async def test_a_code_that_nobody_types_expires(client: httpx.AsyncClient) -> None:
    with oidc_server(device_code_s=1) as server:
        loop_time = asyncio.get_running_loop().time

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(min(seconds, 0.3))

        sign_in = DeviceSignIn(device_method(server), client, timer=loop_time, sleep=sleep)
        with pytest.raises(OAuthError, match="The code has expired") as expired:
            await signed_in(sign_in.events())
    assert expired.value.error == "expired_token"


async def test_polling_ends_with_the_code_also_when_the_server_does_not_say_so(
    mock: AuthServer, time: Time, sign_in: Callable[[OAuthDevice], DeviceSignIn]
) -> None:
    mock.tell(*[PENDING] * 200)
    with pytest.raises(OAuthError, match="The code has expired"):
        await signed_in(sign_in(mock_method(mock)).events())
    assert sum(time.slept) == 600
    assert set(time.slept) == {5}


async def test_slow_down_adds_five_seconds_for_good(
    mock: AuthServer, time: Time, sign_in: Callable[[OAuthDevice], DeviceSignIn]
) -> None:
    mock.tell(PENDING, SLOW_DOWN, PENDING, SLOW_DOWN, PENDING, TOKEN)
    await signed_in(sign_in(mock_method(mock)).events())
    assert time.slept == [5, 5, 10, 10, 15, 15]


async def test_a_refusal_after_slow_down_is_a_refusal(
    mock: AuthServer, sign_in: Callable[[OAuthDevice], DeviceSignIn]
) -> None:
    mock.tell(PENDING, SLOW_DOWN, DENIED)
    with pytest.raises(OAuthError, match="The sign-in was refused"):
        await signed_in(sign_in(mock_method(mock)).events())


async def test_a_server_in_trouble_is_asked_less_often_and_then_answers(
    mock: AuthServer, time: Time, sign_in: Callable[[OAuthDevice], DeviceSignIn]
) -> None:
    busy = {"status": 429, "body": "<html>slow</html>"}
    broken = {"status": 503, "body": "<html>down</html>"}
    mock.tell(busy, broken, TOKEN)
    events = [event async for event in sign_in(mock_method(mock)).events()]
    assert time.slept == [5, 10, 20]
    told = [event.text for event in events if isinstance(event, Waiting)]
    assert [text.split("; ")[-1] for text in told[1:]] == ["trying again", "trying again"]


async def test_a_broken_connection_does_not_end_the_sign_in(
    time: Time, sign_in: Callable[[OAuthDevice], DeviceSignIn]
) -> None:
    code = Reply([b'{"device_code": "d", "user_code": "U", "verification_uri": "https://a.example"}'])
    cut = Reply([b'{"access'], breaks_off=True)
    token = Reply([b'{"access_token": "token"}'])
    async with running_peer(code, cut, token) as peer:
        method = OAuthDevice(
            client_id="c", device_authorization_endpoint=f"{peer.url}/d", token_endpoint=f"{peer.url}/t"
        )
        await signed_in(sign_in(method).events())
    assert time.slept == [5, 10]


async def test_an_error_that_comes_with_status_200_is_an_error(
    mock: AuthServer, time: Time, sign_in: Callable[[OAuthDevice], DeviceSignIn]
) -> None:
    mock.tell({**PENDING, "status": 200}, {**SLOW_DOWN, "status": 200}, TOKEN)  # as GitHub answers
    await signed_in(sign_in(mock_method(mock)).events())
    assert time.slept == [5, 5, 10]


@pytest.mark.parametrize(
    ("said", "slept"),
    [
        ({"interval": 7}, 7),
        ({"interval": "7"}, 7),
        ({"interval": 0}, 5),
        ({"interval": -3}, 5),
        ({"interval": None}, 5),
        ({"interval": 0.01}, 1),
        ({"interval": 1e9}, 60),
        ({"interval": [7]}, 5),
    ],
)
async def test_an_odd_interval_neither_hammers_the_server_nor_hangs(
    said: dict[str, object], slept: float, time: Time, sign_in: Callable[[OAuthDevice], DeviceSignIn]
) -> None:
    async with device_peer(said) as method:
        await signed_in(sign_in(method).events())
    assert time.slept == [slept]


@pytest.mark.parametrize("life", [None, 0, -1, "soon", float(10**30)])
async def test_an_odd_life_of_a_code_has_a_limit(
    life: object, sign_in: Callable[[OAuthDevice], DeviceSignIn]
) -> None:
    async with device_peer({"expires_in": life}) as method:
        show = await first(ShowCode, sign_in(method).events())
    assert 60 <= show.lasts_s <= 1800


@pytest.mark.parametrize(
    "said",
    [
        {"device_code": None},
        {"user_code": ""},
        {"user_code": "\u202e\u200b"},
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "http://plain.example.com/"},
        {"verification_uri": "https://good.example@evil.example/"},
        {"verification_uri": None},
    ],
)
async def test_a_code_that_cannot_be_used_is_refused(
    said: dict[str, object], sign_in: Callable[[OAuthDevice], DeviceSignIn]
) -> None:
    async with device_peer(said) as method:
        with pytest.raises(OAuthError):
            await signed_in(sign_in(method).events())


async def test_what_the_server_shows_cannot_act_on_the_terminal(
    sign_in: Callable[[OAuthDevice], DeviceSignIn],
) -> None:
    said = {"user_code": "AB\x1b[31m\nCD\u202e", "verification_uri_complete": "javascript:alert(1)"}
    async with device_peer(said) as method:
        show = await first(ShowCode, sign_in(method).events())
    assert show.user_code == "AB CD"
    assert show.complete_url is None


async def test_a_device_registers_where_it_is_not_known(
    oidc: AuthServer, browser: Browser, sign_in: Callable[[OAuthDevice], DeviceSignIn]
) -> None:
    events = sign_in(device_method(oidc, client_id="")).events()
    show = await first(ShowCode, events)
    await asyncio.to_thread(browser.approve_device, show.complete_url or "")
    assert oidc.knows((await signed_in(events)).credential.token)


async def test_what_a_plugin_adds_is_sent_with_the_first_request(
    sign_in: Callable[[OAuthDevice], DeviceSignIn], client: httpx.AsyncClient
) -> None:
    code = Reply([b'{"device_code": "d", "user_code": "U", "verification_uri": "https://a.example"}'])
    async with running_peer(code) as peer:
        method = OAuthDevice(
            client_id="c",
            device_authorization_endpoint=f"{peer.url}/d",
            token_endpoint=f"{peer.url}/t",
            scopes=("a", "b"),
            extra_parameters={"audience": "x"},
        )
        await first(ShowCode, sign_in(method).events())
        assert peer.requests[0][2] == b"audience=x&scope=a+b&client_id=c"


async def test_closing_the_events_ends_the_polling(mock: AuthServer, client: httpx.AsyncClient) -> None:
    before = asyncio.all_tasks()
    events = DeviceSignIn(mock_method(mock), client).events()
    await first(ShowCode, events)
    end = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    end.cancel()
    with pytest.raises(asyncio.CancelledError):
        await end
    await events.aclose()
    assert asyncio.all_tasks() == before
