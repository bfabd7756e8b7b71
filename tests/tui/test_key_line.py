"""The line of keys: no label is cut at any width, and Help is always there."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from textual.widgets._footer import FooterKey

from screenshots.take import until
from tests.tui.apps import AppPilot, ask, chatting, says, screen_text
from tui.app import JackfieldApp
from tui.screens.connections import ConnectionsScreen
from tui.widgets.key_line import KeyLine

WANTED = {"Help", "Plugins", "Model", "Connect", "Market", "palette"}


def shown(app: JackfieldApp) -> list[FooterKey]:
    return [key for key in app.screen.query(FooterKey) if key.display]


def cut(app: JackfieldApp) -> list[str]:
    """The labels that are not seen as a whole, or stand on the palette's."""
    keys = sorted(shown(app), key=lambda key: key.region.x)
    edges = [*(key.region.x for key in keys[1:]), app.screen.query_one(KeyLine).region.right]
    return [
        key.description
        for key, edge in zip(keys, edges, strict=True)
        if key.region.x + cell_len(f"{key.key_display} {key.description}") > edge
    ]


def labels(app: JackfieldApp) -> set[str]:
    return {key.description for key in shown(app)}


@pytest.mark.parametrize("width", [40, 80, 90, 120])
async def test_no_label_is_cut_on_the_chat_and_help_is_always_there(width: int) -> None:
    async with chatting(says("Hello"), size=(width, 24)) as (app, pilot):
        await ask(app, pilot, "Hi")
        await until(pilot, lambda: "Help" in labels(app) and "palette" in labels(app))
        assert cut(app) == []
        if width >= 80:
            assert labels(app) >= WANTED
        if width == 120:
            assert labels(app) >= WANTED | {"Retry", "New", "Set", "History"}


async def test_keys_come_back_when_there_is_room_again() -> None:
    async with chatting(says("Hello"), size=(50, 24)) as (app, pilot):
        await until(pilot, lambda: "Help" in labels(app))
        assert "History" not in labels(app)
        await pilot.resize_terminal(120, 24)
        await until(pilot, lambda: "History" in labels(app))
        assert cut(app) == []


async def test_the_line_is_made_anew_for_other_keys_only() -> None:
    async with chatting(says("Hello")) as (app, pilot):
        await open_connections(app, pilot)
        await pilot.pause()
        before = shown(app)
        app.screen.refresh_bindings()
        await pilot.pause()
        assert shown(app) == before
        app.set_keymap({"connections.add": "y"})
        await until(pilot, lambda: any(key.key_display == "y" for key in shown(app)))
        assert set(shown(app)).isdisjoint(before)


async def test_behind_a_dialog_no_key_is_named() -> None:
    async with chatting(says("Hello")) as (app, pilot):
        await until(pilot, lambda: "History" in screen_text(app))
        await pilot.press("f1")
        await until(pilot, lambda: "Keys" in screen_text(app))
        assert "palette" not in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: "palette" in screen_text(app))
        await pilot.press("f8")
        await until(pilot, lambda: "Add marketplace" in screen_text(app))
        await pilot.press("a")
        await until(pilot, lambda: "Esc" in screen_text(app) and "Add marketplace" not in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: "Add marketplace" in screen_text(app))


async def test_no_label_is_cut_on_other_screens() -> None:
    async with chatting(says("Hello")) as (app, pilot):
        await open_connections(app, pilot)
        assert cut(app) == []
        assert {"Add", "Keyring", "Back", "Help"} <= labels(app)


async def open_connections(app: JackfieldApp, pilot: AppPilot) -> None:
    await pilot.press("f7")
    await until(pilot, lambda: len(app.screen_stack) > 2)
    await pilot.press("escape")
    await until(pilot, lambda: isinstance(app.screen, ConnectionsScreen) and "Help" in labels(app))
