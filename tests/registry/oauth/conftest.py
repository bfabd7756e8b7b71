"""One server of each kind for a module, a client and a browser for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from registry.http import create_client
from tests.registry.oauth.servers import AuthServer, Browser, mock_server, oidc_server


@pytest.fixture(scope="module")
def oidc() -> Iterator[AuthServer]:
    with oidc_server() as server:
        yield server


@pytest.fixture(scope="module")
def mock() -> Iterator[AuthServer]:
    with mock_server() as server:
        yield server


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(local=True) as made:
        yield made


@pytest.fixture
def browser(oidc: AuthServer) -> Iterator[Browser]:
    with Browser(oidc) as opened:
        yield opened
