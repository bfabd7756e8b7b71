"""The listener on this machine: only the answer to our own request ends the wait."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.oauth.callback import Expected, StrayError, read_callback, read_pasted
from registry.oauth.errors import OAuthError
from registry.oauth.loopback import Loopback
from tests.registry.oauth.steps import LIMIT_S
from tests.registry.plugins_for_tests import until

STATE = "state-of-the-test"
ISSUER = "https://a.example"
EXPECTED = Expected("http://127.0.0.1:1/callback", STATE, ISSUER)
GOOD = f"/callback?code=abc&state={STATE}"


@pytest.fixture
async def listener() -> AsyncIterator[Loopback]:
    async with Loopback("/callback", lambda query: read_callback(query, EXPECTED)) as opened:
        yield opened


async def say(listener: Loopback, request: bytes, *, closes: bool = False) -> bytes:
    """What the listener answers to these bytes, until it closes the connection."""
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        try:
            writer.write(request)
            if closes:
                writer.write_eof()
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


async def get(listener: Loopback, target: str) -> int:
    answer = await say(listener, f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return int(answer.split(b" ")[1])


async def test_only_this_machine_can_reach_it(listener: Loopback) -> None:
    server = listener._server
    assert server is not None
    assert [at.getsockname()[0] for at in server.sockets] == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /favicon.ico HTTP/1.1\r\n\r\n", b"404"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /callback/ HTTP/1.1\r\n\r\n", b"404"),
        (b"GET http://127.0.0.1/callback?code=a HTTP/1.1\r\n\r\n", b"404"),
        (b"GET //callback?code=a HTTP/1.1\r\n\r\n", b"404"),
        (f"POST {GOOD} HTTP/1.1\r\n\r\n".encode(), b"405"),
        (f"OPTIONS {GOOD} HTTP/1.1\r\n\r\n".encode(), b"405"),
        (b"GET /callback HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /callback?code=abc HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /callback?code=abc&state= HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /callback?code=abc&state=forged HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /callback?error=access_denied HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /callback?error=access_denied&state=forged HTTP/1.1\r\n\r\n", b"400"),
        (f"GET /callback?state={STATE} HTTP/1.1\r\n\r\n".encode(), b"400"),
        (f"GET /callback?code=&state={STATE} HTTP/1.1\r\n\r\n".encode(), b"400"),
        (f"GET /callback?code=a&code=b&state={STATE} HTTP/1.1\r\n\r\n".encode(), b"400"),
        (f"GET /callback?code=a&state=forged&state={STATE} HTTP/1.1\r\n\r\n".encode(), b"400"),
        (f"GET /callback?{'a=b&' * 100}code=a&state={STATE} HTTP/1.1\r\n\r\n".encode(), b"400"),
        (f"GET {GOOD} HTTP/1.1\r\nX: {'y' * 100_000}\r\n\r\n".encode(), b"431"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"404"),
        (b"GET\r\n\r\n", b"404"),
        (b"\r\n\r\n", b"404"),
        (b"GET /callback?code=\xff\xfe&state=\xff HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /[::callback HTTP/1.1\r\n\r\n", b"404"),
        (b"GET //[::/callback HTTP/1.1\r\n\r\n", b"404"),
    ],
)
async def test_what_is_not_the_answer_is_answered_and_forgotten(
    listener: Loopback, request_: bytes, status: bytes
) -> None:
    assert (await say(listener, request_)).startswith(b"HTTP/1.1 " + status)
    assert not listener.code.done()
    assert await get(listener, GOOD) == 200
    assert await listener.code == "abc"


@pytest.mark.parametrize("request_", [b"", b"GET /callback?code=abc&state=", b"\x00" * 100])
async def test_who_hangs_up_in_the_middle_is_forgotten(listener: Loopback, request_: bytes) -> None:
    assert await say(listener, request_, closes=True) == b""
    assert await get(listener, GOOD) == 200


async def test_who_says_nothing_does_not_keep_the_answer_waiting(
    listener: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.oauth.loopback._REQUEST_S", 0.3)
    slow = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(20)]
    for caller in slow:
        caller.sendall(b"GET /callback")
    assert await get(listener, GOOD) == 200
    assert await listener.code == "abc"
    await until(lambda: not listener._open)
    for caller in slow:
        caller.close()


async def test_too_many_at_once_are_turned_away(listener: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.oauth.loopback._MAX_OPEN", 3)
    idle = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(3)]
    assert await say(listener, b"", closes=True) == b""
    for _, writer in idle:
        writer.close()
    await until(lambda: not listener._open)
    assert await get(listener, GOOD) == 200


async def test_exactly_one_answer_counts(listener: Loopback) -> None:
    first = await asyncio.gather(
        *(get(listener, GOOD.replace("abc", f"code{number}")) for number in range(5))
    )
    assert sorted(first) == [200, 410, 410, 410, 410]
    assert await get(listener, f"/callback?error=access_denied&state={STATE}") == 410
    assert (await listener.code).startswith("code")


async def test_a_browser_that_leaves_before_the_page_has_answered_all_the_same(listener: Loopback) -> None:
    with socket.create_connection(("127.0.0.1", listener.port)) as caller:
        caller.sendall(f"GET {GOOD} HTTP/1.1\r\n\r\n".encode())
    async with asyncio.timeout(LIMIT_S):
        assert await listener.code == "abc"


@pytest.mark.parametrize(
    ("error", "words"),
    [("access_denied", b"The sign-in was refused"), ("server_error", b"The sign-in failed")],
)
async def test_a_failure_is_said_in_plain_words_and_without_those_of_the_server(
    listener: Loopback, error: str, words: bytes
) -> None:
    target = f"/callback?error={error}&error_description=%3Cscript%3Eevil&state={STATE}"
    answer = await say(listener, f"GET {target} HTTP/1.1\r\n\r\n".encode())
    assert words in answer
    assert b"script" not in answer.split(b"\r\n\r\n", 1)[1]
    with pytest.raises(OAuthError):
        await listener.code


async def test_the_page_may_use_its_own_style_and_nothing_else(listener: Loopback) -> None:
    answer = (await say(listener, b"GET / HTTP/1.1\r\n\r\n")).decode()
    style = answer.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in answer
    assert "default-src 'none'" in answer
    assert "url(" not in style


async def test_leaving_closes_the_port_and_whoever_is_connected() -> None:
    before = asyncio.all_tasks()
    async with asyncio.timeout(5), Loopback("/callback", lambda query: query) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        await until(lambda: listener._open)
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", listener.port)
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    assert listener.code.cancelled()
    assert asyncio.all_tasks() == before


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_no_bytes_end_the_wait(noise: bytes) -> None:
    async def talk() -> None:
        async with Loopback("/callback", lambda query: read_callback(query, EXPECTED)) as listener:
            await say(listener, noise, closes=True)
            assert not listener.code.done()
            assert await get(listener, GOOD) == 200

    asyncio.run(talk())


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60) | st.builds("http://127.0.0.1:1/callback?{}".format, st.text(max_size=60)))
def test_nothing_that_is_pasted_is_taken_for_an_answer_by_chance(text: str) -> None:
    with pytest.raises(StrayError):
        read_pasted(text, EXPECTED, bare_code=False)


def test_an_answer_names_the_server_that_was_asked() -> None:
    names_itself = Expected("", STATE, ISSUER, names_itself=True)
    good = f"code=abc&state={STATE}"
    assert read_callback(f"{good}&iss=https%3A%2F%2Fa.example", names_itself) == "abc"
    assert read_callback(good, EXPECTED) == "abc"  # it has not said that it names itself
    for query, expected in (
        (good, names_itself),
        (f"{good}&iss=https://evil.example", EXPECTED),
        (f"{good}&iss=https://a.example/", EXPECTED),
        (f"error=access_denied&state={STATE}&iss=https://evil.example", EXPECTED),
    ):
        with pytest.raises(OAuthError, match="another server"):
            read_callback(query, expected)
