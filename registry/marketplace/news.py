"""Asks marketplaces for what they withdrew, so that it stops though nobody looks at a marketplace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Final

from registry.errors import JackfieldError
from registry.marketplace.installed import read_installed
from registry.marketplace.kept import days_since, is_heeded, kept_state
from registry.marketplace.sources import Source, cache_folder, read_sources

if TYPE_CHECKING:
    from registry.marketplace.installed import InstalledPlugin
    from registry.marketplace.live import LiveInstaller
    from registry.paths import Paths

ASK_AFTER_DAYS: Final = 1.0
"""A marketplace that was asked within this time is not asked again."""


async def heed_news(paths: Paths, live: Callable[[], LiveInstaller]) -> list[InstalledPlugin]:
    """Switch off what the marketplaces of installed plugins withdrew; gives what is newly withdrawn.

    Those that were not asked for a day are asked first. One that cannot be reached costs nothing:
    what it said last counts, and its own screen tells its age.

    Args:
        paths: where everything is.
        live: gives who switches off; not called while there is nothing to look at.

    Raises:
        JackfieldError: what is installed cannot be read or written.
    """
    due, heeded = await asyncio.to_thread(_look, paths)
    if not due and heeded:
        return []
    await asyncio.to_thread(import_module, "registry.marketplace.repository")  # a quarter of a second
    from registry.marketplace.repository import Marketplace

    news = [Marketplace(source, paths).refresh() for source in due]
    for result in await asyncio.gather(*news, return_exceptions=True):
        if isinstance(result, BaseException) and not isinstance(result, JackfieldError):
            raise result
    return await live().apply_revocations()


def _look(paths: Paths) -> tuple[list[Source], bool]:
    """The marketplaces to ask, and whether what all of them said last was heeded."""
    due: list[Source] = []
    heeded = True
    now = datetime.now(UTC)
    for source in _sources_in_use(paths):
        folder = cache_folder(paths, source.name)
        state = kept_state(folder)
        if state is None or days_since(state.asked, now) > ASK_AFTER_DAYS:
            due.append(source)
        if state is not None and not is_heeded(folder, state):
            heeded = False
    return due, heeded


def _sources_in_use(paths: Paths) -> list[Source]:
    """The marketplaces that something here came from."""
    names = {plugin.marketplace for plugin in read_installed(paths).values()}
    return [source for source in read_sources(paths) if source.name in names] if names else []
