"""The embedded model, fetched once per machine, and corners for plugins."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from jackfield import PluginContext
from providers.embedded.install import Installation, install
from providers.embedded.machine import check_machine

# Read as this module is imported, since each test starts with an environment without the app's variables.
_CACHE = os.environ.get("JACKFIELD_TEST_CACHE") or str(Path(tempfile.gettempdir()) / "jackfield-test-cache")

MakeContext = Callable[..., PluginContext]


@pytest.fixture
async def make_context(tmp_path: Path) -> AsyncIterator[MakeContext]:
    """Makes corners for plugins, and closes what they opened."""
    made: list[PluginContext] = []

    def make(plugin: str = "local", *, folder: Path | None = None, **options: object) -> PluginContext:
        context = PluginContext(plugin, options, folder or tmp_path / plugin, logging.getLogger(plugin))
        made.append(context)
        return context

    yield make
    for context in made:
        for close in reversed(context._closers):
            closing = close()
            assert isinstance(closing, Awaitable)
            await closing


@pytest.fixture(scope="session")
def model_folder() -> Path:
    """The data folder of the plugin `local`, with the real runtime and the real weights."""
    installation = Installation(Path(_CACHE) / "local", check_machine())

    async def fetch() -> None:
        async for _ in install(installation):  # it waits for other test processes by itself
            pass

    asyncio.run(fetch())
    return installation.folder
