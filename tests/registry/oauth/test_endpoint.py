"""Requests to an authorization server: what goes wrong is said in plain words, without a secret."""

from __future__ import annotations

import asyncio
import json
import traceback

import httpx
import pytest

from registry.oauth.endpoint import MAX_ANSWER, ClientProof, get_json, post_form
from registry.oauth.errors import OAuthError
from tests.providers.peer import Reply, running_peer
from tests.registry.oauth.steps import LIMIT_S
from tests.registry.plugins_for_tests import until

PUBLIC = ClientProof("c")
SECRETS = {
    "code": "code-of-the-test",
    "code_verifier": "verifier-of-the-test",
    "device_code": "device-code-of-the-test",
    "refresh_token": "refresh-of-the-test",
}
PROOF = ClientProof("c", "client-secret-of-the-test")


async def failure(client: httpx.AsyncClient, reply: Reply) -> OAuthError:
    async with running_peer(reply) as peer:
        with pytest.raises(OAuthError) as failed:
            await post_form(client, f"{peer.url}/token", SECRETS, PROOF)
    return failed.value


async def test_secrets_that_a_server_quotes_are_not_shown(client: httpx.AsyncClient) -> None:
    quoted = " ".join([*SECRETS.values(), PROOF.client_secret])
    for body in (
        {"error": "invalid_request", "error_description": quoted},
        {"error": {"message": quoted}},
        {"error": {"message": "x" * 295 + quoted}},
        {"message": quoted},
    ):
        error = await failure(client, Reply([json.dumps(body).encode()], status=400))
        shown = "".join(traceback.format_exception(error)) + repr(error)
        assert "of-the-test" not in shown
        assert "code-of" not in shown


async def test_the_words_of_a_server_are_made_safe_and_short(client: httpx.AsyncClient) -> None:
    body = {"error": "odd\x1b[31m_error", "error_description": "evil\x1b]0;title\x07\n\u202e" + "x" * 5000}
    error = await failure(client, Reply([json.dumps(body).encode()], status=400))
    assert "\x1b" not in str(error)
    assert "\u202e" not in str(error)
    assert len(str(error)) < 700


async def test_an_answer_that_does_not_end_is_left(client: httpx.AsyncClient) -> None:
    error = await failure(client, Reply([b" " * 65536] * (MAX_ANSWER // 65536 + 1), stays_open=True))
    assert "too long" in error.title


async def test_a_compressed_answer_cannot_swell(client: httpx.AsyncClient) -> None:
    import gzip

    body = gzip.compress(b" " * 50_000_000)
    error = await failure(client, Reply([body], headers={"content-encoding": "gzip"}))
    assert "too long" in error.title


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_whatever_the_client_does(status: int) -> None:
    async with running_peer(Reply([b'{"access_token": "stolen"}'])) as thief:
        away = Reply([b""], status=status, headers={"location": thief.url})
        async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as eager:
            await failure(eager, away)
        assert thief.requests == []


async def test_a_server_that_says_nothing_is_left(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.oauth.endpoint._LIMIT_S", 0.2)
    error = await failure(client, Reply([b"{"], stays_open=True))
    assert "did not answer in time" in error.title
    assert error.temporary


async def test_cancelling_a_request_closes_its_connection(client: httpx.AsyncClient) -> None:
    async with running_peer(Reply([b"{"], stays_open=True)) as peer:
        asking = asyncio.create_task(post_form(client, f"{peer.url}/token", SECRETS, PUBLIC))
        await until(lambda: peer.requests)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with asyncio.timeout(LIMIT_S):
            await peer.left.wait()


@pytest.mark.parametrize(
    "url",
    [
        "http://plain.example.com/token",
        "ftp://a.example/token",
        "file:///etc/passwd",
        "https://user@a.example/token",
        "https:///token",
        "https://a.example:port/token",
        "https://a.example/to ken",
        "https://ä.example/token",
        "token",
        "",
        "https://a.example/" + "x" * 10_000,
        "http://127.0.0.1.evil.example/token",
        "http://[::ffff:10.0.0.1]/token",
    ],
)
async def test_only_https_and_this_machine_are_asked(client: httpx.AsyncClient, url: str) -> None:
    with pytest.raises(OAuthError, match="cannot be used"):
        await get_json(client, url)


async def test_who_is_asked_is_named(client: httpx.AsyncClient) -> None:
    async with running_peer(Reply([b"<html>"], status=503)) as peer:
        with pytest.raises(OAuthError) as failed:
            await get_json(client, peer.url)
    assert failed.value.title == f"{peer.url.removeprefix('http://')} failed (503)"
