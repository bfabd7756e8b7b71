"""How the pictures of the marketplace are reached."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from unittest.mock import patch

from textual.widgets import Input, Static

from registry.errors import JackfieldError
from screenshots import scripted_market as shelf
from screenshots.take import SMALL, AppPilot, Picture, chat_app, until
from tui.screens.consent import ConsentScreen
from tui.screens.marketplace import MarketplaceScreen
from tui.screens.marketplace_actions import MarketplaceActions
from tui.widgets.row_list import RowList

if TYPE_CHECKING:
    from tui.marketplace import Storefront

WIDE = (160, 50)


async def _market(pilot: AppPilot, *, wanted: str = "redactor", old: bool = False) -> Storefront:
    """The marketplace with one plugin under the cursor."""
    app = chat_app(pilot)
    shop = await shelf.stock(app, age=timedelta(days=9 if old else 0, hours=2))
    app.show_marketplace(wanted)
    await until(
        pilot, lambda: isinstance(app.screen, MarketplaceScreen) and bool(app.screen.query(".plugins"))
    )
    await until(pilot, lambda: app.screen.query_one(".plugins", RowList).key is not None)
    await pilot.pause(0.5)
    return shop


async def _marketplace(pilot: AppPilot) -> None:
    await _market(pilot)


async def _market_search(pilot: AppPilot) -> None:
    await _market(pilot)
    await pilot.press("slash", *"tran")
    await pilot.pause(0.3)


async def _market_facets(pilot: AppPilot) -> None:
    await _market(pilot)
    await pilot.press("f", "down", "down", "space")
    await pilot.pause(0.3)


async def _market_detail(pilot: AppPilot) -> None:
    await _market(pilot)
    await pilot.press("enter")
    await pilot.pause(0.5)


async def _market_capabilities(pilot: AppPilot) -> None:
    await _market_detail(pilot)
    await pilot.press("right")
    await pilot.pause(0.3)


async def _market_versions(pilot: AppPilot) -> None:
    await _market_capabilities(pilot)
    await pilot.press("right")
    await pilot.pause(0.3)


async def _market_cost(pilot: AppPilot) -> None:
    await _market_detail(pilot)
    await pilot.press("left")
    await pilot.pause(0.3)


async def _market_installing(pilot: AppPilot) -> None:
    shop = await _market(pilot, wanted="notes")
    shelf.install(shop)
    await _market_drawn(pilot)


async def _market_failed(pilot: AppPilot) -> None:
    shop = await _market(pilot, wanted="weather")
    shelf.fail(shop)
    await _market_drawn(pilot)


async def _market_offline(pilot: AppPilot) -> None:
    shop = await _market(pilot, old=True)
    shop.problems["official"] = JackfieldError("official cannot be reached")
    await _market_drawn(pilot)


async def _market_drawn(pilot: AppPilot) -> None:
    screen = pilot.app.screen
    assert isinstance(screen, MarketplaceActions)
    screen.changed()
    await pilot.pause(0.3)


async def _market_empty(pilot: AppPilot) -> None:
    await pilot.press("f8")
    await until(pilot, lambda: chat_app(pilot).host.storefront.loaded)
    await pilot.pause(0.5)


async def _consent(pilot: AppPilot) -> None:
    await _market(pilot)
    pilot.app.push_screen(ConsentScreen(shelf.REQUEST, shelf.NEW_ORIGIN))
    await pilot.pause(0.3)


async def _consent_update(pilot: AppPilot) -> None:
    await _market(pilot)
    pilot.app.push_screen(ConsentScreen(shelf.UPDATE, shelf.UPDATE_ORIGIN))
    await pilot.pause(0.3)


async def _add_marketplace(pilot: AppPilot) -> None:
    await _market_empty(pilot)
    await pilot.press("a")
    await until(pilot, lambda: isinstance(pilot.app.focused, Input))
    with patch("registry.marketplace.sources.offer_root", return_value=shelf.OFFER):
        await pilot.press(*shelf.OFFER.url, "enter")
        await until(pilot, lambda: "Fingerprint" in str(pilot.app.screen.query_one("#said", Static).content))


MARKET_PICTURES = (
    Picture("marketplace", _marketplace, size=WIDE),
    Picture("marketplace-small", _marketplace, size=SMALL),
    Picture("marketplace-search", _market_search, size=SMALL),
    Picture("marketplace-facets", _market_facets, size=SMALL),
    Picture("marketplace-detail", _market_detail, size=SMALL),
    Picture("marketplace-capabilities", _market_capabilities, size=SMALL),
    Picture("marketplace-versions", _market_versions, size=SMALL),
    Picture("marketplace-cost", _market_cost, size=SMALL),
    Picture("marketplace-installing", _market_installing, size=SMALL),
    Picture("marketplace-failed", _market_failed, size=WIDE),
    Picture("marketplace-offline", _market_offline, size=SMALL),
    Picture("marketplace-empty", _market_empty, size=SMALL),
    Picture("add-marketplace", _add_marketplace, size=SMALL),
    Picture("consent", _consent, size=SMALL),
    Picture("consent-update", _consent_update, size=SMALL),
)
