"""Takes the pictures of the app: `python -m screenshots.take`; with `--check`, compares instead of writing.

The app is the real one, driven through Textual's pilot; only the model is scripted, since a picture has to
be the same each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from textual.pilot import Pilot
from textual.widgets import Input, Static

from registry.config import load_config
from registry.oauth import SignInEvent
from registry.paths import find_paths
from registry.secret_store import StoreError, StoreFault
from registry.startup import find_manifests
from screenshots import scripted
from screenshots import scripted_accounts as accounts
from tui.app import JackfieldApp
from tui.screens.connect_form import ConnectFormScreen
from tui.screens.connections import ConnectionsScreen
from tui.screens.secret_store import SecretStoreScreen
from tui.screens.sign_in import SignInScreen
from tui.states import TurnState
from tui.widgets.attachment_line import AttachmentLine
from tui.widgets.row_list import RowList

FOLDER = Path(__file__).parent
SMALL, LARGE = (80, 24), (120, 40)
FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""Textual's pictures fetch a font from another host, which a picture should not; the reader's own will do."""
QUESTION = "What is a jackfield, and how is it used?"

AppPilot = Pilot[None]


@dataclass(frozen=True)
class Picture:
    """One picture.

    Args:
        name: its file's name.
        reach: brings the app to what is shown.
        script: how the model answers.
        size: columns and rows.
        theme: the theme's name.
    """

    name: str
    reach: Callable[[AppPilot], Awaitable[None]]
    script: scripted.Script = scripted.answers
    size: tuple[int, int] = LARGE
    theme: str = "jackfield-dark"


async def main(arguments: list[str]) -> int:
    """Take or check all pictures, or those whose names are given."""
    check = "--check" in arguments
    names = [argument for argument in arguments if not argument.startswith("-")]
    wrong: list[str] = []
    for picture in all_pictures():
        if names and picture.name not in names:
            continue
        path = FOLDER / f"{picture.name}.svg"
        kept = path.read_text(encoding="utf-8") if check and path.exists() else ""
        svg = await take(picture, like=kept)
        if not check:
            path.write_text(svg, encoding="utf-8")
            print(path.name)
        elif kept != svg:
            wrong.append(picture.name)
    if wrong:
        print("These pictures no longer match the app:", ", ".join(wrong))
        print("Look at what changed, then run `python -m screenshots.take`.")
    return 1 if wrong else 0


def all_pictures() -> tuple[Picture, ...]:
    """Those below, and those of the marketplace."""
    from screenshots.market_pictures import MARKET_PICTURES  # they are reached with what is in this module

    return (*PICTURES, *MARKET_PICTURES)


async def take(picture: Picture, *, like: str = "", limit_s: float = 20) -> str:
    """The picture as SVG text.

    Args:
        picture: what to take.
        like: what it should be: the app may take a while until it looks so.
        limit_s: how long to wait for that, in seconds.
    """
    async with running_app(picture) as pilot:
        await picture.reach(pilot)
        for field in pilot.app.screen.query(Input):
            field.cursor_blink = False
        await pilot.pause()
        pilot.app.screen.set_focus(pilot.app.screen.focused)
        taken, deadline = _export(pilot), time.monotonic() + limit_s
        while like and taken != like and time.monotonic() < deadline:
            await pilot.pause(0.1)
            taken = _export(pilot)
        return taken


def _export(pilot: AppPilot) -> str:
    svg = pilot.app.export_screenshot(title="Jackfield")
    return FONT_FACE.sub("", svg).replace("Fira Code, monospace", "Fira Code, Menlo, Consolas, monospace")


@asynccontextmanager
async def running_app(picture: Picture) -> AsyncIterator[AppPilot]:
    """The app, ready, with an own empty home."""
    with tempfile.TemporaryDirectory() as home, patch.dict(os.environ, _environment(home), clear=True):
        paths = find_paths()
        app = JackfieldApp(paths, plugins_off=False, config=load_config(paths))
        app.animation_level = "none"
        manifests = scripted.with_stand_in(find_manifests(paths), picture.script)
        with patch("tui.host.find_manifests", return_value=manifests):
            async with app.run_test(size=picture.size) as pilot:
                app.theme = picture.theme
                app.chat.composer.cursor_blink = False
                await until(pilot, lambda: app.chat.status.state is TurnState.READY)
                yield pilot


def _environment(home: str) -> dict[str, str]:
    """This process's environment, with a display and without anybody's keys."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.endswith(("_KEY", "_TOKEN")) and not name.startswith("SSH_")
    }
    return {**kept, "JACKFIELD_HOME": home, "DISPLAY": ":0"}


async def until(pilot: AppPilot, condition: Callable[[], bool], *, limit_s: float = 20) -> None:
    """Wait for a condition, and then for the screen to be drawn.

    Raises:
        TimeoutError: it did not come true.
    """
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - a screen has no event for "looks so"
            await asyncio.sleep(0.01)
    await pilot.pause()


def chat_state(pilot: AppPilot) -> TurnState:
    """The state that the chat screen shows."""
    return chat_app(pilot).chat.status.state


def chat_app(pilot: AppPilot) -> JackfieldApp:
    """The app behind a pilot."""
    assert isinstance(pilot.app, JackfieldApp)
    return pilot.app


async def ask(pilot: AppPilot, prompt: str, state: TurnState) -> None:
    """Send a prompt, and wait until the status line says what is expected of it."""
    chat = chat_app(pilot).chat
    said = len(chat.conversation.entries)
    chat.composer.fill(prompt)
    await pilot.press("enter")
    await until(pilot, lambda: len(chat.conversation.entries) > said)
    ended = state in (TurnState.READY, TurnState.FAILED)
    await until(pilot, lambda: chat.status.state is state and not (ended and chat.answering))


async def _ask(pilot: AppPilot, state: TurnState) -> None:
    await ask(pilot, QUESTION, state)
    await until(pilot, lambda: not chat_app(pilot).chat.transcript.busy)
    await pilot.pause(0.2)


async def _nothing(pilot: AppPilot) -> None:
    await pilot.pause()


async def _answered(pilot: AppPilot) -> None:
    await _ask(pilot, TurnState.READY)


async def _streaming(pilot: AppPilot) -> None:
    await _ask(pilot, TurnState.STREAMING)


async def _fetching(pilot: AppPilot) -> None:
    await _ask(pilot, TurnState.PREPARING)


async def _stopped(pilot: AppPilot) -> None:
    await _streaming(pilot)
    await pilot.press("escape")
    await until(pilot, lambda: chat_state(pilot) is TurnState.STOPPED)
    await pilot.pause(0.2)


async def _failed(pilot: AppPilot) -> None:
    await _ask(pilot, TurnState.FAILED)


async def _found(pilot: AppPilot) -> None:
    await _answered(pilot)
    await pilot.press("ctrl+f", *"socket")
    await pilot.pause(0.2)


async def _commands(pilot: AppPilot) -> None:
    await pilot.press("slash")
    await pilot.pause()


async def _help(pilot: AppPilot) -> None:
    await pilot.press("f1")
    await pilot.pause()


async def _palette(pilot: AppPilot) -> None:
    await pilot.press("ctrl+p")
    await pilot.pause(0.5)


async def _models(pilot: AppPilot) -> None:
    host = chat_app(pilot).host
    for name in ("anthropic", "gemini"):
        await host.registry.enable(name)
    await host.keep_favourites(["anthropic/claude-opus-5-5", "local/smollm2-135m-instruct"])
    await pilot.press("f3")
    await until(pilot, lambda: "Asking" not in str(pilot.app.screen.query_one("#note", Static).content))
    await pilot.press("home")
    await pilot.pause(0.2)


async def _history(pilot: AppPilot) -> None:
    await _answered(pilot)
    await pilot.press("ctrl+n", "f4")
    await until(pilot, lambda: any(rows.key for rows in pilot.app.screen.query(RowList)))


async def _plugins(pilot: AppPilot) -> None:
    await pilot.press("f2")
    await pilot.pause(0.3)


async def _plugin_failed(pilot: AppPilot) -> None:
    chat_app(pilot).host.registry.register(scripted.ForgetfulPlugin())
    for _ in range(2):
        await _answered(pilot)
    chat_app(pilot).clear_notifications()
    await pilot.press("f2", "end")
    await pilot.pause(0.3)


async def _changes(pilot: AppPilot) -> None:
    chat_app(pilot).host.registry.register(scripted.PolitePlugin())
    await _answered(pilot)
    await pilot.press("f5")
    await pilot.pause(0.3)


async def _parameters(pilot: AppPilot) -> None:
    await pilot.press("f6")
    await until(pilot, lambda: bool(pilot.app.screen.query("#system")))
    await pilot.press(*"0.7", "tab", *"9000", "tab", "tab", *"Answer in one sentence.")
    await pilot.pause(0.2)


async def _attachments(pilot: AppPilot) -> None:
    with contextlib.chdir(FOLDER.parent):
        chat_app(pilot).chat.composer.fill("Compare @LICENSE with @cat.png, please.")
        line = pilot.app.screen.query_one(AttachmentLine)
        await until(pilot, lambda: len(line.items) == 2)
    await pilot.pause(0.2)


async def _cursor(pilot: AppPilot) -> None:
    await _answered(pilot)
    chat_app(pilot).chat.transcript.focus()
    await pilot.press("k")
    await pilot.pause(0.2)


async def _connect(pilot: AppPilot) -> None:
    chat_app(pilot).host.registry.register(accounts.PatchbayPlugin(), enabled=False)
    await accounts.add_accounts(chat_app(pilot))
    chat_app(pilot).connect()
    await until(pilot, lambda: any(rows.key for rows in pilot.app.screen.query(RowList)))


async def _form(pilot: AppPilot, plugin: accounts.PatchbayPlugin) -> None:
    chat_app(pilot).host.registry.register(plugin, enabled=False)
    chat_app(pilot).connect(plugin.name)
    await until(pilot, lambda: isinstance(pilot.app.screen, ConnectFormScreen))
    await until(pilot, lambda: pilot.app.focused is not None)


async def _connect_form(pilot: AppPilot) -> None:
    await _form(pilot, accounts.PatchbayPlugin())
    await pilot.press("ctrl+t", "tab", *"ftp://workshop")
    await pilot.pause(0.2)


async def _connect_refused(pilot: AppPilot) -> None:
    await _form(pilot, accounts.PatchbayPlugin(only_key=True))
    await pilot.press(*"patchbay-key", "enter")
    await until(pilot, lambda: pilot.app.screen.query_one("#state").has_class("-failed"))


async def _connect_checking(pilot: AppPilot) -> None:
    await _form(pilot, accounts.PatchbayPlugin(refuses=False, only_key=True))
    await pilot.press(*"patchbay-key", "enter")
    state = pilot.app.screen.query_one("#state", Static)
    await until(pilot, lambda: "Asking" in str(state.content))


async def _sign_in(pilot: AppPilot, event: SignInEvent) -> None:
    screen = SignInScreen(
        "Patchbay", accounts.StandingSignIn(event), env={"DISPLAY": ":0"}, clock=lambda: 0.0
    )
    chat_app(pilot).push_screen(screen)
    await until(pilot, lambda: screen.is_mounted and "left" in str(screen.state.content))


async def _sign_in_page(pilot: AppPilot) -> None:
    await _sign_in(pilot, accounts.page())


async def _sign_in_code(pilot: AppPilot) -> None:
    await _sign_in(pilot, accounts.code())


async def _connections(pilot: AppPilot) -> None:
    chat_app(pilot).host.registry.register(accounts.PatchbayPlugin())
    await accounts.add_accounts(chat_app(pilot))
    screen = ConnectionsScreen(chat_app(pilot).host, clock=lambda: accounts.NOW)
    chat_app(pilot).push_screen(screen)
    await until(pilot, lambda: screen.is_mounted and screen.rows.key is not None)
    await pilot.press("end")
    await pilot.pause(0.2)


async def _secret_store(pilot: AppPilot) -> None:
    error = StoreError(
        StoreFault.NO_BACKEND, "There is no keyring of the system to use", detail="None answers here."
    )
    chat_app(pilot).push_screen(SecretStoreScreen(error, ["PATCHBAY_API_KEY"]))
    await pilot.pause(0.3)


PICTURES = (
    Picture("empty", _nothing),
    Picture("empty-small", _nothing, size=SMALL),
    Picture("chat", _answered),
    Picture("chat-small", _answered, size=SMALL),
    Picture("chat-light", _answered, theme="jackfield-light"),
    Picture("thinking", _answered, script=scripted.thinks, size=SMALL),
    Picture("fetching", _fetching, script=scripted.keeps_fetching, size=SMALL),
    Picture("streaming", _streaming, script=scripted.keeps_writing, size=SMALL),
    Picture("stopped", _stopped, script=scripted.keeps_writing, size=SMALL),
    Picture("failed", _failed, script=scripted.fails, size=SMALL),
    Picture("search", _found),
    Picture("block-cursor", _cursor),
    Picture("commands", _commands, size=SMALL),
    Picture("help", _help, size=SMALL),
    Picture("palette", _palette, size=SMALL),
    Picture("models", _models, size=SMALL),
    Picture("history", _history, size=SMALL),
    Picture("plugins", _plugins),
    Picture("plugins-small", _plugins, size=SMALL),
    Picture("plugin-failed", _plugin_failed),
    Picture("changes", _changes, size=SMALL),
    Picture("connect", _connect),
    Picture("connect-small", _connect, size=SMALL),
    Picture("connect-form", _connect_form),
    Picture("connect-form-small", _connect_form, size=SMALL),
    Picture("connect-refused", _connect_refused, size=SMALL),
    Picture("connect-checking", _connect_checking, size=SMALL),
    Picture("sign-in-page", _sign_in_page, size=SMALL),
    Picture("sign-in-code", _sign_in_code),
    Picture("sign-in-code-small", _sign_in_code, size=SMALL),
    Picture("connections", _connections),
    Picture("connections-small", _connections, size=SMALL),
    Picture("secret-store", _secret_store, size=SMALL),
    Picture("parameters", _parameters, size=SMALL),
    Picture("attachments", _attachments, size=SMALL),
)

if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
