"""Signing in through a page, against a server that nobody here wrote."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncGenerator
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest

from registry.auth import OAuthCode
from registry.oauth import (
    CodeSignIn,
    OAuthError,
    ShowPage,
    SignedIn,
    SignInEvent,
    open_browser,
    refresh_credential,
    revoke_credential,
)
from tests.providers.peer import Reply, running_peer
from tests.registry.oauth.servers import PASTE_URI, AuthServer, Browser, agreeing_browser, code_method
from tests.registry.oauth.steps import first, secret, sign_in, signed_in


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def changed(url: str, **fields: str | None) -> str:
    """The address with other fields in its query."""
    kept = {**query(url), **fields}
    return (
        url.split("?")[0]
        + "?"
        + urlencode({name: value for name, value in kept.items() if value is not None})
    )


def port_of(page: ShowPage) -> int:
    return urlsplit(query(page.url)["redirect_uri"]).port or 0


def accepts(port: int) -> bool:
    with socket.socket() as caller:
        caller.settimeout(5)
        return caller.connect_ex(("127.0.0.1", port)) == 0


async def running(
    events: AsyncGenerator[SignInEvent, None],
) -> tuple[ShowPage, asyncio.Task[SignedIn]]:
    page = await first(ShowPage, events)
    return page, asyncio.create_task(signed_in(events))


async def test_the_browser_brings_the_code_back(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser
) -> None:
    events = CodeSignIn(code_method(oidc), client).events()
    page = await first(ShowPage, events)
    assert page.listening
    assert page.host == urlsplit(oidc.issuer).netloc
    end = asyncio.create_task(signed_in(events))
    callback = await asyncio.to_thread(browser.approve, page.url)
    answer = await asyncio.to_thread(browser.open, callback)
    credential = (await end).credential
    assert answer.status_code == 200
    assert oidc.knows(credential.token)
    assert secret(credential, "refresh_token")
    assert credential.grant is not None
    assert credential.grant.issuer == oidc.issuer
    assert credential.scopes == ("openid", "offline_access")


async def test_a_browser_that_the_app_starts_brings_the_code_back(
    oidc: AuthServer, client: httpx.AsyncClient
) -> None:
    events = CodeSignIn(code_method(oidc), client).events()
    page = await first(ShowPage, events)
    assert open_browser(page.url, {**os.environ, "BROWSER": agreeing_browser()})
    assert oidc.knows((await signed_in(events)).credential.token)


async def test_the_request_has_a_proof_a_state_and_a_port_of_its_own(
    oidc: AuthServer, client: httpx.AsyncClient
) -> None:
    pages = []
    for _ in range(2):
        events = CodeSignIn(code_method(oidc), client).events()
        pages.append(query((await first(ShowPage, events)).url))
        await events.aclose()
    one, other = pages
    assert one["code_challenge_method"] == "S256"
    assert len(one["code_challenge"]) == 43
    assert urlsplit(one["redirect_uri"]).hostname == "127.0.0.1"
    for name in ("state", "code_challenge"):
        assert one[name] != other[name]


async def test_the_page_in_the_browser_holds_nothing_from_outside_and_is_not_kept(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser
) -> None:
    page, end = await running(CodeSignIn(code_method(oidc), client).events())
    callback = await asyncio.to_thread(browser.approve, page.url)
    answer = await asyncio.to_thread(browser.open, callback)
    await end
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "You can close this page" in answer.text
    assert "http" not in answer.text
    assert query(callback)["code"] not in answer.text


async def test_who_refuses_is_told_so_in_the_browser_and_in_the_app(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser
) -> None:
    page, end = await running(CodeSignIn(code_method(oidc), client).events())
    callback = await asyncio.to_thread(browser.deny, page.url)
    answer = await asyncio.to_thread(browser.open, callback)
    with pytest.raises(OAuthError, match="The sign-in was refused") as refused:
        await end
    assert refused.value.error == "access_denied"
    assert not refused.value.temporary
    assert "The sign-in was refused" in answer.text
    assert not accepts(port_of(page))


async def test_a_forged_state_is_answered_and_the_wait_goes_on(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser
) -> None:
    page, end = await running(CodeSignIn(code_method(oidc), client).events())
    callback = await asyncio.to_thread(browser.approve, page.url)
    for forged in ("forged", "", None):
        answer = await asyncio.to_thread(browser.open, changed(callback, state=forged))
        assert answer.status_code == 400
    assert not end.done()
    assert (await asyncio.to_thread(browser.open, callback)).status_code == 200
    await end


@pytest.mark.parametrize("forged", ["https://evil.example.com", "", None])
async def test_an_answer_of_another_server_ends_the_sign_in(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser, forged: str | None
) -> None:
    granted = oidc.count("granted authorization_code")
    page, end = await running(CodeSignIn(code_method(oidc), client).events())
    callback = await asyncio.to_thread(browser.approve, page.url)
    await asyncio.to_thread(browser.open, changed(callback, iss=forged))
    with pytest.raises(OAuthError, match="another server"):
        await end
    assert oidc.count("granted authorization_code") == granted


async def test_after_the_answer_the_port_is_closed(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser
) -> None:
    page, end = await running(CodeSignIn(code_method(oidc), client).events())
    assert accepts(port_of(page))
    callback = await asyncio.to_thread(browser.approve, page.url)
    await asyncio.to_thread(browser.open, callback)
    await end
    assert not accepts(port_of(page))


async def test_the_address_of_the_dead_page_can_be_pasted(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser
) -> None:
    sign = CodeSignIn(code_method(oidc), client, loopback=False)
    events = sign.events()
    page, end = await running(events)
    assert not page.listening
    assert not accepts(port_of(page))
    callback = await asyncio.to_thread(browser.approve, page.url)
    assert "another sign-in" in sign.paste(changed(callback, state="forged"))
    assert "another sign-in" in sign.paste(changed(callback, state=None))
    assert sign.paste(page.url) == "It is not the page that the sign-in ends on."
    assert "whole address" in sign.paste(query(callback)["code"])
    assert sign.paste(f"  {callback[:40]}\n {callback[40:]}\n") == ""  # as a terminal wraps it
    assert sign.paste(callback) == "Nothing is being waited for."
    await end


async def test_pasting_works_while_the_listener_waits(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser
) -> None:
    sign = CodeSignIn(code_method(oidc), client)
    page, end = await running(sign.events())
    assert page.listening
    assert sign.paste(await asyncio.to_thread(browser.approve, page.url)) == ""
    await end
    assert not accepts(port_of(page))


async def test_a_refusal_can_be_pasted_too(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser
) -> None:
    sign = CodeSignIn(code_method(oidc), client, loopback=False)
    page, end = await running(sign.events())
    assert sign.paste(await asyncio.to_thread(browser.deny, page.url)) == ""
    with pytest.raises(OAuthError, match="refused"):
        await end


@pytest.mark.parametrize("alone", [False, True])
async def test_a_method_for_pasting_takes_the_code_alone_or_the_address(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser, alone: bool
) -> None:
    sign = CodeSignIn(code_method(oidc, redirect="paste", redirect_uri=PASTE_URI), client)
    page, end = await running(sign.events())
    assert not page.listening
    callback = await asyncio.to_thread(browser.approve, page.url)
    assert callback.startswith(PASTE_URI)
    code = query(callback)["code"]
    assert "another sign-in" in sign.paste(f"{code}#forged")
    assert sign.paste(f"{code}#{query(page.url)['state']}" if alone else callback) == ""
    await end


async def test_without_a_free_port_the_user_pastes(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}/callback"
        sign = CodeSignIn(code_method(oidc, redirect_uri=uri), client)
        page, end = await running(sign.events())
        assert not page.listening
        assert query(page.url)["redirect_uri"] == uri
        assert sign.paste(await asyncio.to_thread(browser.approve, page.url)) == ""
        await end


async def test_a_server_that_is_known_by_its_issuer_alone_registers_a_client(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser
) -> None:
    credential = await sign_in(CodeSignIn(code_method(oidc, client_id=""), client), browser)
    assert oidc.knows(credential.token)
    assert credential.grant is not None
    assert len(credential.grant.client_id) > 20


async def test_no_log_holds_a_secret(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    page, end = await running(CodeSignIn(code_method(oidc), client).events())
    callback = await asyncio.to_thread(browser.approve, page.url)
    caplog.clear()  # the browser's own log, which has the code
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(page))
    writer.write(f"GET /callback?{urlsplit(callback).query} HTTP/1.1\r\n\r\n".encode())
    await reader.read()
    writer.close()
    signed = (await end).credential
    fresh = await refresh_credential(signed, client)
    await revoke_credential(fresh, client)
    assert "httpx" in {record.name for record in caplog.records}
    for value in (
        query(callback)["code"],
        *(secret(of, name) for of in (signed, fresh) for name in of.secrets),
    ):
        assert value not in caplog.text


async def test_a_sign_in_gives_up_after_its_time(oidc: AuthServer, client: httpx.AsyncClient) -> None:
    page, end = await running(CodeSignIn(code_method(oidc), client, lasts_s=0.05).events())
    with pytest.raises(OAuthError, match="took too long"):
        await end
    assert not accepts(port_of(page))


async def test_closing_the_events_closes_the_port(oidc: AuthServer, client: httpx.AsyncClient) -> None:
    before = asyncio.all_tasks()
    sign = CodeSignIn(code_method(oidc), client)
    events = sign.events()
    page = await first(ShowPage, events)
    caller = socket.create_connection(("127.0.0.1", port_of(page)))
    async with asyncio.timeout(5):
        await events.aclose()
    assert not accepts(port_of(page))
    with caller, contextlib.suppress(ConnectionResetError):
        assert await asyncio.to_thread(caller.recv, 1) == b""
    assert sign.paste("anything") == "Nothing is being waited for."
    assert asyncio.all_tasks() == before


async def test_cancelling_the_wait_closes_the_port(oidc: AuthServer, client: httpx.AsyncClient) -> None:
    before = asyncio.all_tasks()
    events = CodeSignIn(code_method(oidc), client).events()
    page = await first(ShowPage, events)
    waits = asyncio.Event()

    async def wait() -> None:
        waits.set()
        await signed_in(events)

    end = asyncio.create_task(wait())
    await waits.wait()
    assert accepts(port_of(page))
    end.cancel()
    with pytest.raises(asyncio.CancelledError):
        await end
    assert not accepts(port_of(page))
    assert asyncio.all_tasks() == before


async def test_fewer_rights_than_asked_for_are_told(
    mock: AuthServer, client: httpx.AsyncClient, browser: Browser
) -> None:
    mock.tell({"body": {"scope": "openid"}})
    method = code_method(mock, scopes=("openid", "email"))
    page, end = await running(CodeSignIn(method, client).events())
    there = await asyncio.to_thread(browser.open, page.url)
    await asyncio.to_thread(browser.open, there.headers["location"])
    assert "missing: email" in (await end).warning


def key_method(url: str, **fields: object) -> OAuthCode:
    """As OpenRouter has it: no client, a callback of another name, no state."""
    return OAuthCode.model_validate(
        {
            "authorization_endpoint": f"{url}/auth",
            "token_endpoint": f"{url}/api/v1/auth/keys",
            "exchange": "key",
            "callback_parameter": "callback_url",
            **fields,
        }
    )


async def test_a_code_is_exchanged_for_a_lasting_key(client: httpx.AsyncClient, browser: Browser) -> None:
    async with running_peer(Reply([b'{"key": "sk-or-v1-abcdefgh", "user_id": "u"}'])) as peer:
        page, end = await running(CodeSignIn(key_method(peer.url), client).events())
        asked = query(page.url)
        assert asked.keys() == {"callback_url", "code_challenge", "code_challenge_method"}
        path = urlsplit(asked["callback_url"]).path
        stray = asked["callback_url"].removesuffix(path) + "/callback/guessed?code=forged"
        assert (await asyncio.to_thread(browser.open, stray)).status_code == 404
        await asyncio.to_thread(browser.open, asked["callback_url"] + "?code=the-code")
        ended = await end
        sent = peer.sent()
    assert secret(ended.credential, "key") == "sk-or-v1-abcdefgh"
    assert sent["code"] == "the-code"
    assert sent["code_challenge_method"] == "S256"
    assert len(str(sent["code_verifier"])) == 43


async def test_a_key_for_a_code_that_was_shown_needs_no_callback(client: httpx.AsyncClient) -> None:
    async with running_peer(Reply([b'{"key": "sk-or-v1-abcdefgh"}'])) as peer:
        sign = CodeSignIn(key_method(peer.url, redirect="paste"), client)
        page, end = await running(sign.events())
        assert "callback_url" not in parse_qs(urlsplit(page.url).query)
        assert sign.paste(" the-code ") == ""
        await end


@pytest.mark.parametrize("uri", ["https://app.example.com/done", "http://[::1]:4000/callback"])
async def test_a_redirect_that_is_not_ours_is_sent_as_declared(
    oidc: AuthServer, client: httpx.AsyncClient, uri: str
) -> None:
    page = await first(ShowPage, CodeSignIn(code_method(oidc, redirect_uri=uri), client).events())
    assert not page.listening
    assert query(page.url)["redirect_uri"] == uri


async def test_a_server_that_wants_localhost_gets_it(oidc: AuthServer, client: httpx.AsyncClient) -> None:
    method = code_method(oidc, redirect_uri="http://localhost/auth/callback")
    events = CodeSignIn(method, client).events()
    page = await first(ShowPage, events)
    assert page.listening
    redirect = urlsplit(query(page.url)["redirect_uri"])
    assert (redirect.hostname, redirect.path) == ("localhost", "/auth/callback")
    assert accepts(redirect.port or 0)
    await events.aclose()


async def test_an_exchange_without_a_key_fails_in_plain_words(client: httpx.AsyncClient) -> None:
    reply = Reply([b'{"error": {"code": 403, "message": "Invalid code or code_verifier"}}'], status=403)
    async with running_peer(reply) as peer:
        sign = CodeSignIn(key_method(peer.url, redirect="paste"), client)
        _, end = await running(sign.events())
        sign.paste("the-code")
        with pytest.raises(OAuthError, match="Invalid code or code_verifier") as failed:
            await end
    assert "the-code" not in str(failed.value)
