"""A small signed marketplace on the screen of the app, and ways to get about in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from registry.paths import find_paths
from screenshots.take import until
from tests.registry.marketplace.site import FakePlugin, Site, added, make_site
from tests.tui.apps import AppPilot, screen_text
from tui.app import JackfieldApp
from tui.screens.marketplace import MarketplaceScreen

SHOUT = FakePlugin(
    "acme/shout",
    hosts=("api.acme.example",),
    about={"tags": ["fun"]},
    readme="# Shout\n\nIt says **everything** again.\n",
    changelog="# Changes\n\n- 1.0.0 says it.\n",
)
WHISPER = FakePlugin("acme/whisper", summary="Says it softly.")
FUTURE = FakePlugin("umbrella/future", about={"min_app": "99.0"}, summary="Comes later.")


def site_at(folder: Path, *plugins: FakePlugin) -> Site:
    """A marketplace in a folder, for a fixture that is not asynchronous."""
    return asyncio.run(make_site(folder, *plugins))


async def has_added(site: Site) -> None:
    """Add the marketplace to the home of this test and fetch its catalogue."""
    await added(find_paths(), site)


def market(app: JackfieldApp) -> MarketplaceScreen:
    """The screen of the marketplace, which is on top."""
    assert isinstance(app.screen, MarketplaceScreen)
    return app.screen


async def shows(app: JackfieldApp, pilot: AppPilot, *texts: str) -> None:
    """Wait until the screen shows all of these."""
    try:
        await until(pilot, lambda: all(text in screen_text(app) for text in texts), limit_s=15)
    except TimeoutError:
        raise AssertionError(f"{texts} not in\n{screen_text(app)}") from None


async def top(app: JackfieldApp, pilot: AppPilot, kind: type) -> None:
    """Wait until a screen of this kind is on top."""
    await until(pilot, lambda: isinstance(app.screen, kind))


async def open_market(app: JackfieldApp, pilot: AppPilot) -> None:
    """Press F8 and wait for the list."""
    await pilot.press("f8")
    await top(app, pilot, MarketplaceScreen)
    await until(pilot, lambda: app.host.storefront.loaded and not app.host.storefront.refreshing)
    await until(pilot, lambda: market(app).plugins.key is not None)


async def find(app: JackfieldApp, pilot: AppPilot, text: str, plugin_id: str) -> None:
    """Search, and go from the search to the list with the plugin under the cursor."""
    await pilot.press("slash", *text)
    await until(pilot, lambda: (market(app).plugins.key or "").endswith(plugin_id))
    await pilot.press("enter")


def job_state(app: JackfieldApp, plugin_id: str) -> Callable[[], str]:
    """Gives where the installation of a plugin stands; empty without one."""

    def state() -> str:
        jobs = [job for job in app.host.storefront.jobs.all() if job.id == plugin_id]
        return jobs[0].state.value if jobs else ""

    return state
