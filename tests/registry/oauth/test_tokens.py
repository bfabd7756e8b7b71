"""Renewing and revoking tokens, and answers of token endpoints that are odd."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.auth import Credential, OAuthGrant
from registry.oauth import CodeSignIn, OAuthError, refresh_credential, revoke_credential
from registry.oauth.tokens import read_tokens
from tests.providers.peer import Reply, running_peer
from tests.registry.oauth.servers import AuthServer, Browser, code_method
from tests.registry.oauth.steps import secret, sign_in

NOW = 1_000_000.0
GRANT = OAuthGrant(client_id="c", token_endpoint="https://a.example/token")
REFRESH = "refresh-token-of-the-test"


def credential(url: str, **fields: Any) -> Credential:
    said = {
        "secrets": {"access_token": "access-token-of-the-test", "refresh_token": REFRESH},
        "scopes": ("openid", "email"),
        "grant": {"client_id": "c", "token_endpoint": f"{url}/token", "revocation_endpoint": f"{url}/revoke"},
        "connection": "work",
        "values": {"organisation": "o"},
        **fields,
    }
    return Credential.model_validate(said)


def read(**answer: object) -> tuple[Credential, str]:
    return read_tokens({"access_token": "token", **answer}, GRANT, asked=("a", "b"), now=NOW)


async def test_a_refresh_gives_new_tokens(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser
) -> None:
    old = await sign_in(CodeSignIn(code_method(oidc), client), browser)
    new = await refresh_credential(old, client)
    assert oidc.knows(new.token)
    assert new.token != old.token
    assert secret(new, "refresh_token") != secret(old, "refresh_token")
    assert new.grant == old.grant
    assert oidc.knows((await refresh_credential(new, client)).token)


async def test_a_refresh_token_that_was_used_twice_ends_the_sign_in(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser
) -> None:
    old = await sign_in(CodeSignIn(code_method(oidc), client), browser)
    new = await refresh_credential(old, client)
    for used in (old, new):  # the server suspects a theft and ends the whole family
        with pytest.raises(OAuthError, match="no longer valid") as refused:
            await refresh_credential(used, client)
        assert refused.value.error == "invalid_grant"
        assert not refused.value.temporary
        assert secret(used, "refresh_token") not in str(refused.value)


async def test_what_was_revoked_is_of_no_use(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser
) -> None:
    signed = await sign_in(CodeSignIn(code_method(oidc), client), browser)
    assert await revoke_credential(signed, client) is True
    assert not oidc.knows(signed.token)
    with pytest.raises(OAuthError, match="no longer valid"):
        await refresh_credential(signed, client)
    assert await revoke_credential(signed, client) is True  # RFC 7009, 2.2: what is unknown is revoked


async def test_without_an_endpoint_nothing_is_revoked(client: httpx.AsyncClient) -> None:
    assert await revoke_credential(Credential.model_validate({"secrets": {"key": "k" * 8}}), client) is False
    bare = credential("https://a.example", grant=GRANT)
    assert await revoke_credential(bare, client) is False


async def test_a_server_that_cannot_revoke_access_tokens_is_good_enough(client: httpx.AsyncClient) -> None:
    unsupported = Reply([b'{"error": "unsupported_token_type"}'], status=400)
    async with running_peer(Reply([b""]), unsupported) as peer:
        assert await revoke_credential(credential(peer.url), client) is True
        kinds = [body.decode().split("token_type_hint=")[1].split("&")[0] for _, _, body in peer.requests]
    assert kinds == ["refresh_token", "access_token"]


async def test_a_server_that_does_not_revoke_now_is_named(client: httpx.AsyncClient) -> None:
    async with running_peer(Reply([b""], status=503)) as peer:
        with pytest.raises(OAuthError) as failed:
            await revoke_credential(credential(peer.url), client)
    assert failed.value.temporary


@pytest.mark.parametrize("answer", [{}, {"refresh_token": None}, {"refresh_token": ""}, {"refresh_token": 7}])
async def test_the_refresh_token_is_kept_when_the_answer_has_none(
    client: httpx.AsyncClient, answer: dict[str, object]
) -> None:
    body = json.dumps({"access_token": "new", "token_type": "Bearer", **answer}).encode()
    async with running_peer(Reply([body])) as peer:
        old = credential(peer.url, expires_at=5.0)
        new = await refresh_credential(old, client, clock=lambda: NOW)
    assert secret(new, "refresh_token") == REFRESH
    assert new.token == "new"
    assert new.expires_at is None  # and not the time of the old token
    assert (new.scopes, new.connection, new.values) == (old.scopes, "work", {"organisation": "o"})


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, b"<html>slow down</html>", "text/html"),
        (429, b'{"message": "rate limited"}', "application/json"),
        (503, b"<html>maintenance</html>", "text/html"),
        (503, b'{"error": "temporarily_unavailable"}', "application/json"),
        (500, b'{"error": "invalid_grant"}', "application/json"),
        (200, b"<html>log in to the hotel</html>", "text/html"),
        (200, b"[1, 2]", "application/json"),
        (200, b'{"access_tok', "application/json"),
        (403, b"<html>blocked</html>", "text/html"),
        (302, b"", "text/html"),
        (404, b"", "text/html"),
    ],
)
async def test_trouble_at_the_server_does_not_cost_the_refresh_token(
    client: httpx.AsyncClient, status: int, body: bytes, kind: str
) -> None:
    headers = {"location": "https://elsewhere.example/"} if status == 302 else {}
    async with running_peer(Reply([body], status=status, content_type=kind, headers=headers)) as peer:
        with pytest.raises(OAuthError) as failed:
            await refresh_credential(credential(peer.url), client)
        assert len(peer.requests) == 1
    assert failed.value.temporary
    assert failed.value.error != "invalid_grant"
    assert failed.value.hint


async def test_the_mock_in_trouble_is_told_from_a_refusal(
    mock: AuthServer, client: httpx.AsyncClient
) -> None:
    mock.tell(
        {"status": 429, "body": "<html>", "headers": {"retry-after": "1"}},
        {"status": 503, "body": "<html>"},
        {"status": 400, "body": {"error": "invalid_grant", "error_description": f"bad {REFRESH}"}},
        {},
    )
    old = credential(mock.issuer)
    for temporary in (True, True, False):
        with pytest.raises(OAuthError) as failed:
            await refresh_credential(old, client)
        assert failed.value.temporary is temporary
        assert REFRESH not in str(failed.value)
    assert (await refresh_credential(old, client)).token != old.token


async def test_a_server_that_is_not_there_is_temporary(client: httpx.AsyncClient) -> None:
    async with running_peer(Reply([b""])) as peer:
        url = peer.url
    with pytest.raises(OAuthError, match="cannot be reached") as failed:
        await refresh_credential(credential(url), client)
    assert failed.value.temporary


async def test_a_client_with_a_secret_proves_it_by_its_header(client: httpx.AsyncClient) -> None:
    async with running_peer(Reply([b'{"access_token": "new"}'])) as peer:
        old = credential(peer.url)
        old = old.model_copy(update={"secrets": {**old.secrets, "client_secret": "s:cr t/"}})
        new = await refresh_credential(old, client)
        _, headers, body = peer.requests[0]
    assert headers["authorization"].startswith("Basic ")
    assert b"client_secret" not in body
    assert secret(new, "client_secret") == "s:cr t/"


async def test_without_a_refresh_token_there_is_nothing_to_renew(client: httpx.AsyncClient) -> None:
    with pytest.raises(OAuthError, match="cannot be renewed"):
        await refresh_credential(Credential.model_validate({"secrets": {"key": "k" * 8}}), client)


async def test_a_token_is_not_sent_in_the_clear(client: httpx.AsyncClient) -> None:
    with pytest.raises(OAuthError, match="cannot be used"):
        await refresh_credential(credential("http://plain.example.com"), client)


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER", None])
def test_a_bearer_token_is_taken_however_it_is_spelled(kind: str | None) -> None:
    assert read(token_type=kind)[0].token == "token"
    assert read()[0].token == "token"


@pytest.mark.parametrize("kind", ["DPoP", "mac", "", 7, ["Bearer"]])
def test_a_token_of_another_kind_is_refused(kind: object) -> None:
    with pytest.raises(OAuthError, match="cannot be used"):
        read(token_type=kind)


@pytest.mark.parametrize("token", [None, "", 7, "two words", "line\nbreak", "ümlaut", "x" * 100_000])
def test_what_cannot_be_a_token_is_refused(token: object) -> None:
    with pytest.raises(OAuthError, match="sent no token"):
        read(access_token=token)


@pytest.mark.parametrize(
    ("said", "life"),
    [
        (3600, 3600),
        ("3600", 3600),
        (0.5, 0.5),
        (3599.9, 3599.9),
        (10**30, 10 * 365 * 24 * 3600),
        (0, None),
        (-1, None),
        ("soon", None),
        ("", None),
        ("nan", None),
        (math.inf, None),
        (True, None),
        (None, None),
        ([3600], None),
        ({}, None),
    ],
)
def test_an_odd_life_of_a_token_is_read_or_not_known(said: object, life: float | None) -> None:
    expires_at = read(expires_in=said)[0].expires_at
    assert expires_at == (None if life is None else NOW + life)


async def test_an_odd_life_comes_through_a_real_server(mock: AuthServer, client: httpx.AsyncClient) -> None:
    lives = ["3600", 0, -5, 1e300, None]
    mock.tell(*({"body": {"expires_in": life}} for life in lives), {"without": ["expires_in"]})
    found = []
    for _ in range(len(lives) + 1):
        found.append((await refresh_credential(credential(mock.issuer), client, clock=lambda: 0)).expires_at)  # noqa: PERF401
    assert found == [3600, None, None, 10 * 365 * 24 * 3600, None, None]


@pytest.mark.parametrize(
    ("said", "scopes", "missing"),
    [
        (None, ("a", "b"), ""),
        ("", ("a", "b"), ""),
        (7, ("a", "b"), ""),
        ("b a", ("b", "a"), ""),
        ("a,b", ("a", "b"), ""),
        ("a b c", ("a", "b", "c"), ""),
        ("a", ("a",), "missing: b."),
        ("c", ("c",), "missing: a, b."),
    ],
)
def test_rights_that_were_not_granted_are_named(said: object, scopes: tuple[str, ...], missing: str) -> None:
    credential, warning = read(scope=said)
    assert credential.scopes == scopes
    assert warning.endswith(missing)
    assert bool(warning) is bool(missing)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=50, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(["access_token", "token_type", "expires_in", "scope", "refresh_token"], JSON),
    )
)
def test_no_answer_makes_anything_but_a_credential_or_an_error(answer: dict[str, object]) -> None:
    try:
        credential, _ = read_tokens(answer, GRANT, asked=("a",), now=NOW)
    except OAuthError:
        return
    assert credential.token
    assert credential.expires_at is None or NOW < credential.expires_at < NOW + 1e9
