"""In a real terminal, with the keyboard only: from no marketplace to a plugin that was used, and is gone."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.homes import LIMIT_S
from tests.e2e.terminal import TmuxTerminal
from tests.tui.cli_harness import COMMAND, Shell
from tests.tui.marketplaces import SHOUT, WHISPER, site_at


class _Keyboard:
    """Somebody at the terminal, who looks before they type on."""

    def __init__(self, terminal: TmuxTerminal) -> None:
        self._terminal = terminal

    def does(self, *keys: str, sees: str) -> None:
        """Press keys, and wait until this is on the screen."""
        for key in keys:
            self._terminal.press(key)
        self._terminal.wait_for(sees, LIMIT_S)

    def says(self, text: str, *, sees: str) -> None:
        """Type a line, and wait until this is on the screen."""
        self._terminal.type(text)
        self.does("Enter", sees=sees)

    def goes_back(self) -> None:
        """From wherever this is to the chat, one screen after the other."""
        for _ in range(4):
            before = self._settled()
            if "Write a message" in before:
                return
            self._terminal.press("Escape")
            self._terminal.wait_for(lambda screen, before=before: screen != before, LIMIT_S)  # type: ignore[misc]
        self._terminal.wait_for("Write a message", LIMIT_S)

    def _settled(self) -> str:
        """The screen, once all keys have had their effect and nothing on it changes by itself."""
        before = ""
        while (screen := self._terminal.screen()) != before:
            before = screen
            time.sleep(0.5)
        return screen

    def goes_to_shout(self) -> None:
        """From the chat to the plugin in the marketplace."""
        self.does("F8", sees="by best match")
        self.does("/", sees="To the list")
        self._terminal.type("shout")
        self.does("Enter", sees="1 of ")
        self._terminal.wait_for("shout", LIMIT_S)


@pytest.mark.skipif(sys.platform == "win32", reason="processes of plugins need POSIX")
@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_a_plugin_of_somebody_else_comes_is_used_and_goes(tmp_path: Path, size: tuple[int, int]) -> None:
    site = site_at(tmp_path / "market", SHOUT, WHISPER)
    (tmp_path / "home").mkdir()
    shell = Shell(tmp_path / "home", tmp_path / "none", {})
    with TmuxTerminal(size=size, env=shell.environment()) as terminal:
        user = _Keyboard(terminal)
        terminal.start(*COMMAND)
        terminal.wait_for("● ready", LIMIT_S)

        user.does("F8", sees="No marketplace yet")
        user.does("a", sees="Add a marketplace")
        user.says(site.url, sees="y agrees")
        user.does("y", sees="by best match  added")
        user.goes_back()

        user.goes_to_shout()
        user.does("Enter", sees="It says everything again.")
        user.does("i", sees="adds the command /shout")
        user.does("y", "Enter", sees="installed and off")
        user.does("Space", sees="shout is on")
        user.goes_back()
        user.says("/shout hey", sees="hey from shout 1.0.0")

        site.put(replace(SHOUT, versions=("2.0.0",), environment=("ACME_TOKEN",)))
        asyncio.run(site.publish())
        user.goes_to_shout()
        user.does("r", sees="active ↑")
        user.does("u", sees="now asks for more than 1.0.0")
        user.does("y", "Enter", sees="z Roll back")
        user.goes_back()
        user.says("/shout hey", sees="hey from shout 2.0.0")

        user.goes_to_shout()
        user.does("z", sees="is now 1.0.0")
        user.does("Space", sees="○ off")
        user.goes_back()
        user.says("/shout hey", sees="There is no command /shout")
        for _ in range(len("/shout hey")):
            terminal.press("BSpace")

        user.goes_to_shout()
        user.does("d", sees="Its earlier versions go too.")
        user.does("Down", "Enter", sees="available")
        terminal.press("C-q")
        assert terminal.wait_for_exit(LIMIT_S) == 0
    assert "shout" not in shell.run("plugins", "list").out
