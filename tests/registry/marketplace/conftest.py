"""A small marketplace, built once, and a home that may add it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.paths import Paths
from tests.registry.marketplace.site import Site, make_site, serving


@pytest.fixture(scope="session")
def built_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """`acme/shout` 1.0.0, signed; nobody changes it."""
    return asyncio.run(make_site(tmp_path_factory.mktemp("built-site")))


@pytest.fixture
def site(built_site: Site, tmp_path: Path) -> Site:
    """`acme/shout` 1.0.0, signed; the test may do with it what it likes."""
    return built_site.copy(tmp_path / "marketplace")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A user's folders, not made yet."""
    return Paths(tmp_path / "config", tmp_path / "data", tmp_path / "cache")


@pytest.fixture(params=["folder", "server"])
def address(request: pytest.FixtureRequest, site: Site) -> Iterator[str]:
    """Where the marketplace is: a folder, and a server on this machine."""
    if request.param == "folder":
        yield site.url
        return
    with serving(site) as url:
        yield url
