"""One server of each kind for all tests of a process, a client and a browser for one test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.registry.oauth.servers import CERTIFICATES, AuthServer, Browser, mock_server, oidc_server


@pytest.fixture(scope="session")
def oidc() -> Iterator[AuthServer]:
    with oidc_server() as server:
        yield server


@pytest.fixture(scope="session")
def mock() -> Iterator[AuthServer]:
    with mock_server() as server:
        yield server


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    # certificates are read once: that takes longer than most of the tests
    async with httpx.AsyncClient(trust_env=False, verify=CERTIFICATES) as made:
        yield made


@pytest.fixture
def browser(oidc: AuthServer) -> Iterator[Browser]:
    with Browser(oidc) as opened:
        yield opened
