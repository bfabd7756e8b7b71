"""What most tests of a sign-in do: wait for the page or the code, then for the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

from registry.auth import Credential
from registry.oauth import CodeSignIn, ShowPage, SignedIn, SignInEvent
from tests.registry.oauth.servers import Browser

LIMIT_S = 20
_T = TypeVar("_T")


async def first(kind: type[_T], events: AsyncGenerator[SignInEvent, None]) -> _T:
    """The first event of a kind."""
    async with asyncio.timeout(LIMIT_S):
        async for event in events:
            if isinstance(event, kind):
                return event
    raise AssertionError(f"there was no {kind.__name__}")


async def signed_in(events: AsyncGenerator[SignInEvent, None]) -> SignedIn:
    """The end of a sign-in that succeeds."""
    async with asyncio.timeout(LIMIT_S):
        rest = [event async for event in events]
    assert isinstance(rest[-1], SignedIn)
    return rest[-1]


async def sign_in(sign_in: CodeSignIn, browser: Browser) -> Credential:
    """A whole sign-in through the listener, where the person agrees."""
    events = sign_in.events()
    page = await first(ShowPage, events)
    end = asyncio.create_task(signed_in(events))
    callback = await asyncio.to_thread(browser.approve, page.url)
    await asyncio.to_thread(browser.open, callback)
    return (await end).credential


def secret(credential: Credential, name: str) -> str:
    """A secret of a credential in plain."""
    return credential.secrets[name].get_secret_value()
