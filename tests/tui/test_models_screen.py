"""The model picker: finding one of thousands, favourites, recent ones, and what is known of each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from textual.widgets import Input

from jackfield import ChatRequest, Credential, ErrorKind, Model, Plugin, Provider, ProviderError, StreamEvent
from registry.config import load_config
from registry.paths import find_paths
from screenshots.take import until
from tests.tui.apps import AppPilot, ask, chatting, in_state, says, screen_text
from tui.app import JackfieldApp
from tui.recent_models import KEPT, recent_models, remember_model
from tui.screens.models import ModelsScreen
from tui.states import TurnState
from tui.widgets.row_list import RowList


class Shop(Provider):
    """Has as many models as it is told to have."""

    def __init__(self, name: str, models: Sequence[Model], *, fails: bool = False) -> None:
        self.name = name
        self.title = name.title()
        self.known_models = () if fails else models
        self._fails = fails

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        if self._fails:
            raise ProviderError(ErrorKind.AUTH, "No key")
        return self.known_models

    async def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        async for event in says("Hello")(request):
            yield event


class ShopPlugin(Plugin):
    """Some shops."""

    name = "shops"
    version = "1.0.0"

    def __init__(self, *shops: Shop) -> None:
        self._shops = shops

    def providers(self) -> Sequence[Provider]:
        return self._shops


THREE_THOUSAND = [
    Shop(f"shop{shop}", [Model(f"vendor/model-{number}", f"Model {number:03}") for number in range(300)])
    for shop in range(10)
]
CLAUDE = Shop("anthropic", [Model("claude-sonnet-4-5"), Model("claude-of-tomorrow")])


async def open_picker(app: JackfieldApp, pilot: AppPilot) -> ModelsScreen:
    await pilot.press("f3")
    await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
    screen = app.screen
    assert isinstance(screen, ModelsScreen)
    await until(pilot, lambda: "Asking" not in screen_text(app) and screen.rows.key is not None)
    return screen


def keys(screen: ModelsScreen) -> list[str]:
    return [row.key for row in screen.query_one(RowList)._rows]


async def type_filter(pilot: AppPilot, screen: ModelsScreen, text: str) -> None:
    screen.query_one(Input).value = text
    await pilot.pause()


async def test_one_of_three_thousand_is_found_by_typing() -> None:
    async with chatting(says("Hello")) as (app, pilot):
        app.host.registry.register(ShopPlugin(*THREE_THOUSAND))
        screen = await open_picker(app, pilot)
        assert len(keys(screen)) == 3000 + 10 + 2, "every model, and a heading for each provider"
        await pilot.press(*"shop7", "space", *"290")
        await until(pilot, lambda: screen.rows.key == "shop7/vendor/model-290")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.chat)
        await until(pilot, lambda: app.chat.status.model == "Model 290")
        assert app.chat.choice is not None
        assert app.chat.choice.reference == "shop7/vendor/model-290"


async def test_rows_that_are_not_seen_are_not_drawn() -> None:
    async with chatting(says("Hello")) as (app, pilot):
        app.host.registry.register(ShopPlugin(*THREE_THOUSAND))
        screen = await open_picker(app, pilot)
        drawn = [line for line in screen_text(app).splitlines() if "Model 0" in line]
        assert 1 <= len(drawn) <= 24
        await pilot.press("pagedown", "pagedown")
        assert screen.rows.key is not None


async def test_what_is_known_of_a_model_is_shown_in_eighty_columns() -> None:
    async with chatting(says("Hello"), size=(80, 24)) as (app, pilot):
        app.host.registry.register(ShopPlugin(CLAUDE))
        await open_picker(app, pilot)
        shown = screen_text(app)
        (known,) = [line for line in shown.splitlines() if "Claude Sonnet 4.5" in line]
        (unknown,) = [line for line in shown.splitlines() if "claude-of-tomorrow" in line]
        assert "I·RT" in known
        assert "3/15" in known
        assert "$" not in unknown
        assert "/" not in unknown
        assert "I image  F file  R reasoning  T tools" in shown


async def test_a_provider_that_cannot_be_asked_shows_what_the_catalogue_knows() -> None:
    async with chatting(says("Hello")) as (app, pilot):
        app.host.registry.register(ShopPlugin(Shop("anthropic", (), fails=True)))
        screen = await open_picker(app, pilot)
        assert "anthropic/claude-sonnet-4-5" in keys(screen)
        assert "No key" in screen_text(app)


async def test_favourites_come_first_and_stay() -> None:
    async with chatting(says("Hello")) as (app, pilot):
        app.host.registry.register(ShopPlugin(CLAUDE))
        screen = await open_picker(app, pilot)
        await type_filter(pilot, screen, "sonnet")
        await pilot.press("ctrl+t")
        await until(pilot, lambda: app.host.settings.favourites == ("anthropic/claude-sonnet-4-5",))
        await type_filter(pilot, screen, "")
        assert keys(screen)[1] == "anthropic/claude-sonnet-4-5"
        assert keys(screen).count("anthropic/claude-sonnet-4-5") == 1
        assert "Favourites" in screen_text(app)
        assert "* Claude Sonnet 4.5" in screen_text(app)
        assert load_config(find_paths()).settings.favourites == ("anthropic/claude-sonnet-4-5",)
        await type_filter(pilot, screen, "sonnet")
        assert screen.rows.key == "anthropic/claude-sonnet-4-5"
        await pilot.press("ctrl+t")
        await until(pilot, lambda: app.host.settings.favourites == ())


async def test_a_model_that_answered_is_among_the_recent_ones() -> None:
    async with chatting(says("Hello")) as (app, pilot):
        await ask(app, pilot, "Hi")
        await until(pilot, lambda: len(recent_models(find_paths())) == 1)
        app.host.registry.register(ShopPlugin(CLAUDE))
        screen = await open_picker(app, pilot)
        assert keys(screen)[0] == "#recent*"
        assert keys(screen)[1].startswith("local/")
        await in_state(app, pilot, TurnState.READY)


def test_the_last_models_are_remembered_each_once() -> None:
    paths = find_paths()
    for number in range(KEPT + 3):
        remember_model(paths, f"acme/{number}")
    remember_model(paths, "acme/5")
    recent = recent_models(paths)
    assert recent[:2] == ["acme/5", f"acme/{KEPT + 2}"]
    assert len(recent) == len(set(recent)) == KEPT


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"models": 1}', b'{"models": [1, {}]}'])
def test_a_damaged_list_of_recent_models_is_empty(damage: bytes) -> None:
    paths = find_paths()
    remember_model(paths, "acme/1")
    (paths.cache / "recent-models.json").write_bytes(damage)
    assert recent_models(paths) == []
