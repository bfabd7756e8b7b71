"""A link is opened outside of this terminal, and only once its address was shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.app import App

from screenshots.take import until
from tui.screens.link import LinkScreen

PAGE = "https://acme.example/account/keys?from=here"


class LinkApp(App[None]):
    """A link screen and nothing below it."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.link = LinkScreen(url)

    def on_mount(self) -> None:
        self.push_screen(self.link)

    def open_url(self, url: str, *, new_tab: bool = True) -> None:
        raise AssertionError("Textual's own way may start a text browser in this terminal")


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """The page that a browser of the user's choice was started with, or nothing."""
    note, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {note}.part && mv {note}.part {note}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    return lambda: note.read_text() if note.exists() else ""


@pytest.mark.skipif("sys.platform == 'win32'", reason="the browser of this test is a shell script")
async def test_the_browser_of_the_user_opens_the_address_that_was_shown(opened: Callable[[], str]) -> None:
    app = LinkApp(PAGE)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen is app.link)
        assert not opened()
        await pilot.press("o")
        await until(pilot, lambda: opened() != "")
        assert app.screen is not app.link
    assert opened() == PAGE


async def test_without_a_browser_that_is_said_and_the_address_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", "none")
    app = LinkApp(PAGE)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.screen is app.link)
        await pilot.press("o")
        await until(pilot, lambda: any("No browser starts" in note.message for note in app._notifications))
        assert app.screen is app.link


@pytest.mark.parametrize("url", ["http://acme.example/", "file:///etc/passwd", "javascript:alert(1)"])
async def test_only_https_is_opened(url: str, opened: Callable[[], str]) -> None:
    app = LinkApp(url)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen is app.link)
        await pilot.press("o")
        await pilot.pause()
        assert app.screen is app.link
    assert not opened()
