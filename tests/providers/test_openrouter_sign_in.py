"""OpenRouter makes a key for the app: nobody has to copy one, and pasting one still works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from jackfield import ApiKey, Credential, OAuthCode, PluginError
from providers.compatible import FAMILY
from providers.compatible_rows import read_row
from registry.oauth import CodeSignIn, ShowPage, SignedIn, SignInEvent
from tests.providers.peer import Peer, Reply, running_peer

KEY = "sk-or-v1-of-the-test"
GIVEN = Reply([b'{"key": "' + KEY.encode() + b'", "user_id": "user_1"}'], content_type="application/json")


def methods() -> tuple[OAuthCode, OAuthCode, ApiKey]:
    browser, code, key = FAMILY.make("openrouter").auth_methods()
    assert isinstance(browser, OAuthCode)
    assert isinstance(code, OAuthCode)
    assert isinstance(key, ApiKey)
    return browser, code, key


def at(peer: Peer, method: OAuthCode) -> OAuthCode:
    """The method, at a server of the test."""
    return method.model_copy(
        update={
            "authorization_endpoint": f"{peer.url}/auth",
            "token_endpoint": f"{peer.url}/api/v1/auth/keys",
        }
    )


async def page_of(events: AsyncGenerator[SignInEvent, None]) -> tuple[ShowPage, dict[str, str]]:
    async for event in events:
        if isinstance(event, ShowPage):
            return event, dict(parse_qsl(urlsplit(event.url).query))
    raise AssertionError("no page was shown")


async def end_of(events: AsyncGenerator[SignInEvent, None]) -> Credential:
    last = [event async for event in events][-1]
    assert isinstance(last, SignedIn)
    return last.credential


def test_the_page_and_the_exchange_are_those_of_openrouter_and_a_key_is_taken_too() -> None:
    browser, code, key = methods()
    for method in (browser, code):
        assert method.authorization_endpoint == "https://openrouter.ai/auth"
        assert method.token_endpoint == "https://openrouter.ai/api/v1/auth/keys"
        assert method.exchange == "key"
        assert method.client_id == ""
    assert key.env == ("OPENROUTER_API_KEY",)


def test_only_openrouter_signs_in() -> None:
    for name in FAMILY.names():
        found = [method for method in FAMILY.make(name).auth_methods() if isinstance(method, OAuthCode)]
        assert bool(found) is (name == "openrouter")


async def test_the_browser_brings_a_code_that_becomes_a_key() -> None:
    async with running_peer(GIVEN) as peer, httpx.AsyncClient(trust_env=False) as client:
        events = CodeSignIn(at(peer, methods()[0]), client).events()
        page, asked = await page_of(events)
        assert asked.keys() == {"callback_url", "code_challenge", "code_challenge_method", "key_label"}
        assert page.listening
        end = asyncio.create_task(end_of(events))
        assert (await client.get(f"{asked['callback_url']}?code=auth_code_1")).status_code == 200
        credential = await end
        line, _, _ = peer.requests[0]
        sent = peer.sent()
    assert credential.token == KEY
    assert line.startswith("POST /api/v1/auth/keys ")
    assert sent.keys() == {"code", "code_verifier", "code_challenge_method"}
    assert sent["code"] == "auth_code_1"


async def test_on_another_device_the_page_shows_the_code() -> None:
    async with running_peer(GIVEN) as peer, httpx.AsyncClient(trust_env=False) as client:
        sign_in = CodeSignIn(at(peer, methods()[1]), client)
        events = sign_in.events()
        page, asked = await page_of(events)
        assert "callback_url" not in asked
        assert not page.listening
        assert sign_in.paste("auth_code_2\n") == ""
        assert (await end_of(events)).token == KEY


@pytest.mark.parametrize("key", ["page", "exchange"])
def test_a_sign_in_at_a_plain_address_is_refused(key: str, tmp_path: Path) -> None:
    addresses = {
        "page": "https://acme.example/auth",
        "exchange": "https://acme.example/keys",
        key: "http://acme",
    }
    lines = [f'{name} = "{address}"' for name, address in addresses.items()]
    text = (
        '[acme]\ntitle = "Acme"\nbase_url = "https://acme.example/v1"\ndocs = "https://acme.example"\n'
        'env = ["ACME_KEY"]\nkey_url = "https://acme.example/keys"\n[acme.sign_in]\ncallback = "back"\n'
    )
    file = tmp_path / "rows.toml"
    file.write_text(text + "\n".join(lines))
    with pytest.raises(PluginError, match=f"sign_in.{key}"):
        read_row(file, "acme")
