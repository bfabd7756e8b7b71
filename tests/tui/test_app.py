"""The app around the chat: configuration, plugins screen, help, themes, what happens when files fail."""

from __future__ import annotations

import asyncio

from textual.widgets import Input

from registry.paths import find_paths
from screenshots.take import until
from tests.tui.apps import ask, chatting, gated, in_state, is_on, says, screen_text, toasts
from tui.screens.plugins import PluginsScreen
from tui.states import TurnState


def write_config(text: str) -> None:
    path = find_paths().config_file
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")


async def test_a_broken_config_is_told_and_left_as_it_is() -> None:
    write_config("theme = [\n")
    async with chatting(says("hi")) as (app, pilot):
        await until(pilot, lambda: "config.toml" in toasts(app))
        await ask(app, pilot, "still there?")
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, PluginsScreen))
        await pilot.press("end", "space")
        await until(pilot, lambda: "TOML" in toasts(app) or "cannot" in toasts(app))
    assert find_paths().config_file.read_text(encoding="utf-8") == "theme = [\n"


async def test_the_theme_is_kept() -> None:
    write_config("# mine\n")
    async with chatting(says("hi")) as (app, pilot):
        app.theme = "jackfield-light"
        await until(pilot, lambda: "jackfield-light" in find_paths().config_file.read_text(encoding="utf-8"))
    assert find_paths().config_file.read_text(encoding="utf-8").startswith("# mine\n")
    async with chatting(says("hi")) as (app, _):
        assert app.theme == "jackfield-light"


async def test_a_plugin_is_toggled_with_the_space_bar_and_the_choice_is_kept() -> None:
    async with chatting(says("hi")) as (app, pilot):
        await pilot.press("f2")
        await until(pilot, lambda: "anthropic" in screen_text(app))
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*"today")
        await until(pilot, lambda: "1 shown" in screen_text(app))
        await pilot.press("enter", "space")
        await until(pilot, lambda: app.host.registry.handle("today").contributes)
        await until(pilot, lambda: is_on("today"))
        await pilot.press("space")
        await until(pilot, lambda: not app.host.registry.handle("today").contributes)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: not isinstance(app.screen, PluginsScreen))
    assert "enabled = false" in find_paths().config_file.read_text(encoding="utf-8")


async def test_plugins_can_be_filtered_and_their_details_read() -> None:
    async with chatting(says("hi"), size=(120, 40)) as (app, pilot):
        await pilot.press("f2")
        await until(pilot, lambda: "anthropic" in screen_text(app))
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*"date")
        await until(pilot, lambda: "1 shown" in screen_text(app))
        shown = screen_text(app)
        assert "on_request" in shown
        assert "commands" not in shown
        await pilot.press("escape")
        await until(pilot, lambda: "commands" in screen_text(app))


async def test_help_lists_the_keys_that_are_bound_now() -> None:
    write_config('[keys]\n"chat.retry" = "f9"\n')
    async with chatting(says("hi"), size=(120, 60)) as (app, pilot):
        await pilot.press("f1")
        await until(pilot, lambda: "Ask the last prompt again" in screen_text(app))
        line = next(line for line in screen_text(app).splitlines() if "Ask the last prompt again" in line)
        assert "f9" in line.lower()
        for text in ("Send the prompt", "See and switch plugins", "Composer", "Transcript"):
            assert text in screen_text(app)


async def test_a_key_of_one_s_own_works_and_a_wrong_one_is_told() -> None:
    write_config('[keys]\n"chat.new" = "f9"\n"chat.nwe" = "f8"\n"chat.search" = "hyper+banana"\n')
    async with chatting(says("hi")) as (app, pilot):
        await until(pilot, lambda: "chat.nwe" in toasts(app) and "hyper+banana" in toasts(app))
        await ask(app, pilot, "old")
        await pilot.press("f9")
        await until(pilot, lambda: app.chat.conversation.entries == [])


async def test_an_interrupted_answer_is_offered_at_the_next_start() -> None:
    import subprocess
    import sys

    writer = (
        "import asyncio, os\n"
        "from registry.chat import Message\n"
        "from registry.paths import find_paths\n"
        "from tui.history.history import History\n"
        "history = History(find_paths().history_file)\n"
        "conversation = history.create_conversation()\n"
        "history.add_message(conversation, Message.of('user', 'long ago'))\n"
        "answer = history.begin_answer(conversation, model='local/m')\n"
        "from tui.history.records import Chunk\n"
        "history.append([Chunk(answer, 'half of it')])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", writer], check=False)
    async with chatting(says("and the rest")) as (app, pilot):
        await until(pilot, lambda: "interrupted" in screen_text(app))
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "half of it" in screen_text(app))
        await ask(app, pilot, "go on")
        await until(pilot, lambda: "and the rest" in screen_text(app))


async def test_a_history_that_cannot_be_opened_costs_the_history_only() -> None:
    find_paths().history_file.mkdir(parents=True)
    async with chatting(says("hi")) as (app, pilot):
        await until(pilot, lambda: bool(toasts(app)))
        await ask(app, pilot, "go")
        await until(pilot, lambda: "hi" in screen_text(app))


async def test_ending_the_app_in_the_middle_of_an_answer_keeps_it() -> None:
    async with chatting(gated(asyncio.Event(), "half")) as (app, pilot):
        await ask(app, pilot, "go", then=TurnState.STREAMING)
        await until(pilot, lambda: "half" in screen_text(app))
    async with chatting(says("hi")) as (app, pilot):
        await pilot.press("f4")
        await until(pilot, lambda: "go" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "half" in screen_text(app))
        await in_state(app, pilot, TurnState.READY)


async def test_every_binding_has_an_id_and_says_what_it_does() -> None:
    from textual.binding import Binding

    async with chatting(says("hi")) as (app, _):
        for node in (app, app.chat, app.chat.composer, app.chat.transcript):
            own = Binding.make_bindings(type(node).__dict__["BINDINGS"])
            for binding in own:
                assert binding.id, binding
                assert binding.description, binding
                assert binding.tooltip, binding


async def test_who_wants_no_history_gets_none_on_disk() -> None:
    write_config("history = false\n")
    async with chatting(says("hi")) as (app, pilot):
        await ask(app, pilot, "between us")
        await until(pilot, lambda: "hi" in screen_text(app))
    assert not find_paths().history_file.exists()
