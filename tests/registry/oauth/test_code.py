"""Signing in through a page, against a server that nobody here wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import httpx

from registry.oauth import CodeSignIn, ShowPage, SignedIn, SignInEvent
from tests.registry.oauth.servers import AuthServer, Browser, code_method


async def shown(events: AsyncGenerator[SignInEvent, None]) -> ShowPage:
    async for event in events:
        if isinstance(event, ShowPage):
            return event
    raise AssertionError("no page was shown")


async def signed_in(events: AsyncGenerator[SignInEvent, None]) -> SignedIn:
    last = [event async for event in events][-1]
    assert isinstance(last, SignedIn)
    return last


async def test_the_browser_brings_the_code_back(
    oidc: AuthServer, client: httpx.AsyncClient, browser: Browser
) -> None:
    events = CodeSignIn(code_method(oidc), client).events()
    page = await shown(events)
    end = asyncio.create_task(signed_in(events))
    callback = await asyncio.to_thread(browser.approve, page.url)
    answer = await asyncio.to_thread(browser.open, callback)
    credential = (await end).credential
    assert answer.status_code == 200
    assert oidc.knows(credential.token)
    assert "refresh_token" in credential.secrets
