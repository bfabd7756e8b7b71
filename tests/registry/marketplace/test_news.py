"""What was withdrawn is noticed though nobody looks at a marketplace, and noticing it holds nothing up."""

from __future__ import annotations

import threading
from pathlib import Path
from unittest.mock import patch

import pytest

from registry.marketplace.kept import State, kept_state
from registry.marketplace.live import LiveInstaller
from registry.marketplace.news import heed_news
from registry.marketplace.upkeep import apply_revocations
from tests.registry.marketplace.machines import machine
from tests.registry.marketplace.site import Site


def nobody() -> LiveInstaller:
    pytest.fail("there is nothing to switch off")


async def test_what_was_heeded_is_read_once_and_off_the_event_loop(site: Site, tmp_path: Path) -> None:
    here = await machine(tmp_path / "here", site)
    await here.install()
    await apply_revocations(here.installer)
    readers: list[threading.Thread] = []

    def read(folder: Path) -> State | None:
        readers.append(threading.current_thread())
        return kept_state(folder)

    with patch("registry.marketplace.news.kept_state", read):
        assert await heed_news(here.paths, nobody) == []
    assert len(readers) == 1
    assert readers[0] is not threading.current_thread()


async def test_nothing_is_looked_at_where_nothing_is_installed(site: Site, tmp_path: Path) -> None:
    here = await machine(tmp_path / "here", site)
    assert await heed_news(here.paths, nobody) == []
