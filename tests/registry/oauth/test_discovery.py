"""Finding a server's endpoints, and registering with it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import httpx
import pytest

from registry.auth import OAuthCode
from registry.oauth.discovery import Server, discover, find_server, register, well_known
from registry.oauth.errors import OAuthError
from tests.providers.peer import Peer, Reply, running_peer
from tests.registry.oauth.servers import AuthServer, code_method

NOTHING = Reply([b"nothing here"], status=404)


def document(peer: Peer, **fields: object) -> Reply:
    said = {"issuer": peer.url, "authorization_endpoint": "https://a.example/auth", **fields}
    return Reply([json.dumps(said).encode()], content_type="application/json")


def paths(peer: Peer) -> list[str]:
    return [line.split(" ")[1] for line, _, _ in peer.requests]


async def test_oidc_provider_is_found_by_its_issuer(oidc: AuthServer, client: httpx.AsyncClient) -> None:
    server = await find_server(code_method(oidc), client)
    assert server.issuer == oidc.issuer
    assert server.token_endpoint == oidc.at("/token")
    assert server.revocation_endpoint == oidc.at("/token/revocation")
    assert server.device_authorization_endpoint == oidc.at("/device/auth")
    assert server.names_itself


async def test_the_mock_is_found_though_it_is_known_to_openid_connect_only(
    mock: AuthServer, client: httpx.AsyncClient
) -> None:
    server = await discover(mock.issuer, client)
    assert server.token_endpoint == mock.at("/token")
    assert not server.names_itself


@pytest.mark.parametrize(
    ("issuer", "places"),
    [
        (
            "https://a.example",
            [
                "https://a.example/.well-known/oauth-authorization-server",
                "https://a.example/.well-known/openid-configuration",
            ],
        ),
        (
            "https://a.example/tenant/",
            [
                "https://a.example/.well-known/oauth-authorization-server/tenant",
                "https://a.example/.well-known/openid-configuration/tenant",
                "https://a.example/tenant/.well-known/openid-configuration",
            ],
        ),
    ],
)
def test_the_well_known_places_of_an_issuer(issuer: str, places: list[str]) -> None:
    assert well_known(issuer) == places


async def test_places_are_asked_in_their_order(client: httpx.AsyncClient) -> None:
    async with running_peer() as peer:
        peer.replies = [NOTHING, NOTHING, document(peer, issuer=f"{peer.url}/t")]
        await discover(f"{peer.url}/t", client)
    assert paths(peer) == [
        "/.well-known/oauth-authorization-server/t",
        "/.well-known/openid-configuration/t",
        "/t/.well-known/openid-configuration",
    ]


@pytest.mark.parametrize(
    "answer",
    [
        Reply([b"<html>the start page for every path</html>"], content_type="text/html"),
        Reply([b'{"error": "Not Found"}'], status=404, content_type="application/json"),
        Reply([b"forbidden"], status=403),
        Reply([b""], status=302, headers={"location": "https://elsewhere.example"}),
    ],
)
async def test_where_there_is_nothing_the_next_place_is_asked(
    client: httpx.AsyncClient, answer: Reply
) -> None:
    async with running_peer() as peer:
        peer.replies = [answer, document(peer, token_endpoint="https://a.example/token")]
        assert (await discover(peer.url, client)).token_endpoint == "https://a.example/token"


async def test_what_a_method_declares_wins_and_may_be_enough(client: httpx.AsyncClient) -> None:
    async with running_peer() as peer:
        peer.replies = [document(peer, token_endpoint="https://a.example/token")]
        mine = "https://mine.example/auth"
        partly = OAuthCode(client_id="c", issuer=peer.url, authorization_endpoint=mine)
        server = await find_server(partly, client)
        assert (server.authorization_endpoint, server.token_endpoint) == (mine, "https://a.example/token")
        whole = OAuthCode(client_id="c", issuer=peer.url, authorization_endpoint=mine, token_endpoint=mine)
        assert (await find_server(whole, client)).issuer == peer.url
        assert len(peer.requests) == 1


@pytest.mark.parametrize("issuer", ["https://evil.example", "", None, 7])
async def test_a_server_that_speaks_for_another_is_refused(client: httpx.AsyncClient, issuer: object) -> None:
    async with running_peer() as peer:
        peer.replies = [document(peer, issuer=issuer)]
        with pytest.raises(OAuthError, match="speaks for another one"):
            await discover(peer.url, client)
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"token_endpoint": "https://a.example/t", "code_challenge_methods_supported": ["plain"]},
            "does not protect",
        ),
        ({"token_endpoint": "http://plain.example.com/token"}, "cannot be used"),
        (
            {"token_endpoint": "https://a.example/token", "authorization_endpoint": "javascript:1"},
            "cannot be used",
        ),
        ({}, "no token address"),
        ({"token_endpoint": 7}, "no token address"),
    ],
)
async def test_a_server_that_is_not_safe_is_refused(
    client: httpx.AsyncClient, fields: Mapping[str, object], words: str
) -> None:
    async with running_peer() as peer:
        peer.replies = [document(peer, **fields)]
        with pytest.raises(OAuthError, match=words):
            await find_server(OAuthCode(client_id="c", issuer=peer.url), client)


async def test_a_server_that_is_down_is_not_taken_for_one_without_a_description(
    client: httpx.AsyncClient,
) -> None:
    async with running_peer(Reply([b""], status=503)) as peer:
        with pytest.raises(OAuthError, match="failed") as failed:
            await discover(peer.url, client)
    assert failed.value.temporary
    assert len(peer.requests) == 1


async def test_a_server_without_a_description_is_named(client: httpx.AsyncClient) -> None:
    async with running_peer(NOTHING) as peer:
        with pytest.raises(OAuthError, match="does not say how to sign in") as failed:
            await discover(peer.url, client)
    assert not failed.value.temporary


async def test_where_nobody_registers_the_sign_in_says_so(
    mock: AuthServer, client: httpx.AsyncClient
) -> None:
    with pytest.raises(OAuthError, match="no registration address"):
        await find_server(code_method(mock, client_id=""), client)


@pytest.mark.parametrize(
    ("answer", "secret"),
    [
        ({"client_id": "made"}, ""),
        ({"client_id": "made", "client_secret": "s", "token_endpoint_auth_method": "none"}, ""),
        (
            {"client_id": "made", "client_secret": "s", "token_endpoint_auth_method": "client_secret_basic"},
            "s",
        ),
    ],
)
async def test_a_registered_client_is_public_unless_the_server_insists(
    client: httpx.AsyncClient, answer: dict[str, object], secret: str
) -> None:
    async with running_peer(Reply([json.dumps(answer).encode()], status=201)) as peer:
        server = Server(registration_endpoint=f"{peer.url}/register")
        proof = await register(
            server, client, redirect_uris=["http://127.0.0.1:1/callback"], scopes=["a", "b"]
        )
    assert (proof.client_id, proof.client_secret) == ("made", secret)
    asked = peer.sent()
    assert asked["token_endpoint_auth_method"] == "none"
    assert asked["redirect_uris"] == ["http://127.0.0.1:1/callback"]
    assert asked["scope"] == "a b"


@pytest.mark.parametrize(
    "reply",
    [
        Reply([b"{}"], status=201),
        Reply([b'{"client_id": 7}'], status=201),
        Reply([b'{"error": "invalid_client_metadata"}'], status=400),
        Reply([b""], status=403),
    ],
)
async def test_a_server_that_does_not_register_is_named(client: httpx.AsyncClient, reply: Reply) -> None:
    async with running_peer(reply) as peer:
        with pytest.raises(OAuthError):
            await register(Server(registration_endpoint=peer.url), client)


async def test_a_client_is_really_registered(oidc: AuthServer, client: httpx.AsyncClient) -> None:
    server = await discover(oidc.issuer, client)
    first, second = [await register(server, client, redirect_uris=["http://127.0.0.1/x"]) for _ in range(2)]
    assert first.client_id != second.client_id
    assert first.client_secret == ""
