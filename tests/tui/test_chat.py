"""The chat screen, driven by keys."""

from __future__ import annotations

import asyncio
import sqlite3
import time

import pytest

from jackfield import ChatRequest, Command, CommandCall, CommandResult, ErrorKind, Plugin, ProviderError, Show
from registry.config import update_config
from registry.paths import find_paths
from screenshots.take import until
from tests.gaps import LongestGap
from tests.tui.apps import ask, chatting, gated, in_state, in_turn, raises, says, screen_text, toasts
from tui.states import TurnState


def stored_states() -> list[tuple[str, str, str]]:
    """Role, state and text of every message on disk."""
    with sqlite3.connect(find_paths().history_file) as db:
        return db.execute("SELECT role, state, text FROM messages ORDER BY id").fetchall()


async def test_keys_typed_before_anything_is_ready_are_not_lost() -> None:
    async with chatting(says("hi"), ready=False) as (app, pilot):
        await pilot.press(*"hello", "enter")
        await in_state(app, pilot, TurnState.READY)
        await until(pilot, lambda: "hi" in screen_text(app))
        assert "hello" in screen_text(app)


async def test_a_prompt_is_answered_and_both_are_kept() -> None:
    async with chatting(says("Hello ", "there")) as (app, pilot):
        await ask(app, pilot, "good day")
        await until(pilot, lambda: "Hello there" in screen_text(app))
        assert app.chat.composer.text == ""
        assert "6 tokens" not in screen_text(app)
        assert "5 tokens" in screen_text(app)
    assert stored_states() == [("user", "complete", "good day"), ("assistant", "complete", "Hello there")]


async def test_a_blank_prompt_is_not_sent() -> None:
    async with chatting(says("hi")) as (app, pilot):
        await pilot.press("space", "enter")
        await pilot.pause()
        assert not app.chat.answering
        assert app.chat.conversation.entries == []


@pytest.mark.parametrize("key", ["ctrl+j", "shift+enter", "alt+enter"])
async def test_a_prompt_can_have_several_lines(key: str) -> None:
    async with chatting(says("hi")) as (app, pilot):
        await pilot.press("a", key, "b", "enter")
        await until(pilot, lambda: bool(app.chat.conversation.entries))
        assert app.chat.conversation.entries[0].message.text == "a\nb"


async def test_earlier_prompts_come_back_with_the_arrow_keys() -> None:
    async with chatting(says("hi")) as (app, pilot):
        await ask(app, pilot, "first")
        await ask(app, pilot, "second")
        await pilot.press(*"dra")
        await pilot.press("up")
        assert app.chat.composer.text == "second"
        await pilot.press("up")
        assert app.chat.composer.text == "first"
        await pilot.press("down", "down")
        assert app.chat.composer.text == "dra"


async def test_escape_stops_the_answer_and_keeps_what_came() -> None:
    async with chatting(gated(asyncio.Event(), "half an ")) as (app, pilot):
        await ask(app, pilot, "go", then=TurnState.STREAMING)
        await until(pilot, lambda: "half an" in screen_text(app))
        await pilot.press("escape")
        await in_state(app, pilot, TurnState.STOPPED)
        await until(pilot, lambda: not app.chat.answering)
        assert "half an" in screen_text(app)
        assert "stopped" in screen_text(app)
    assert stored_states()[1] == ("assistant", "stopped", "half an ")


async def test_the_next_prompt_sends_what_was_stopped_along() -> None:
    seen: list[ChatRequest] = []

    def remember(request: ChatRequest) -> object:
        seen.append(request)
        return says("ok")(request)

    async with chatting(in_turn(gated(asyncio.Event(), "half"), remember)) as (app, pilot):  # type: ignore[arg-type]
        await ask(app, pilot, "go", then=TurnState.STREAMING)
        await pilot.press("escape")
        await until(pilot, lambda: not app.chat.answering)
        await ask(app, pilot, "on")
    assert [message.text for message in seen[0].messages] == ["go", "half", "on"]


async def test_a_failed_turn_keeps_the_prompt_and_says_why() -> None:
    fault = ProviderError(ErrorKind.SERVER, "The server is down", detail="status 500", hint="Wait a little.")
    async with chatting(raises(fault, "some ")) as (app, pilot):
        await ask(app, pilot, "tell me", then=TurnState.FAILED)
        await until(pilot, lambda: "Wait a little" in screen_text(app))
        shown = screen_text(app)
        for text in ("tell me", "some", "The server is down", "status 500", "Ctrl+R"):
            assert text in shown
    assert stored_states() == [("user", "complete", "tell me"), ("assistant", "error", "some ")]


async def test_a_failed_turn_can_be_retried_with_one_key() -> None:
    fault = ProviderError(ErrorKind.SERVER, "The server is down")
    async with chatting(in_turn(raises(fault), says("there you are"))) as (app, pilot):
        await ask(app, pilot, "tell me", then=TurnState.FAILED)
        await pilot.press("ctrl+r")
        await in_state(app, pilot, TurnState.READY)
        await until(pilot, lambda: "there you are" in screen_text(app))
        assert "The server is down" not in screen_text(app)
    assert stored_states() == [("user", "complete", "tell me"), ("assistant", "complete", "there you are")]


async def test_a_fault_in_the_provider_s_code_is_shown_and_not_raised() -> None:
    async with chatting(raises(ZeroDivisionError("by [/zero]"))) as (app, pilot):
        await ask(app, pilot, "go", then=TurnState.FAILED)
        await until(pilot, lambda: "by [/zero]" in screen_text(app))


HOSTILE = (
    "[/x] [@click=app.quit]quit[/] \x1b]52;c;aGk=\x07 \x1b]0;owned\x07 \x9b31m \u202eevil\u202c a\u2028b",
    "\x1b",
    "[2J split",
)


async def test_hostile_text_is_shown_as_text() -> None:
    async with chatting(says(*HOSTILE)) as (app, pilot):
        await ask(app, pilot, "go")
        await until(pilot, lambda: "split" in screen_text(app))
        shown = screen_text(app)
        assert "[@click=app.quit]quit[/]" in shown
        assert not set(shown) & set("\x1b\x07\x9b\u202e\u2028")
        assert app.is_running


async def test_switching_the_model_s_plugin_off_and_on_follows_at_once() -> None:
    async with chatting(says("hi")) as (app, pilot):
        await app.host.registry.disable("local")
        await in_state(app, pilot, TurnState.NO_MODEL)
        await app.host.registry.enable("local")
        await in_state(app, pilot, TurnState.READY)
        await ask(app, pilot, "go")


async def test_without_a_model_a_prompt_says_what_to_do() -> None:
    async with chatting(says("hi"), plugins_off=True, ready=False) as (app, pilot):
        await in_state(app, pilot, TurnState.NO_MODEL)
        await until(pilot, lambda: "Safe mode" in screen_text(app))
        await ask(app, pilot, "anyone?", then=TurnState.FAILED)
        await until(pilot, lambda: "plugins screen" in screen_text(app))
        assert "anyone?" in screen_text(app)


class Loud(Plugin):
    name = "loud"
    version = "1"

    def commands(self) -> list[Command]:
        return [
            Command("shout", "Shout", self.shout),
            Command("burst", "Fail", self.burst),
            Command("dream", "Go on for ever", self.dream),
        ]

    async def dream(self, call: CommandCall) -> CommandResult:
        await asyncio.sleep(600)
        return None

    async def shout(self, call: CommandCall) -> CommandResult:
        return Show(f"**{call.argument.upper()}** [/x]")

    async def burst(self, call: CommandCall) -> CommandResult:
        raise ValueError("burst [/x]")


async def test_a_command_runs_and_shows_what_it_gives() -> None:
    async with chatting(says("hi")) as (app, pilot):
        app.host.registry.register(Loud())
        await pilot.press(*"/sho")
        await until(pilot, lambda: "/shout" in screen_text(app))
        await pilot.press("tab", *"hello", "enter")
        await until(pilot, lambda: "HELLO [/x]" in screen_text(app))
        assert app.chat.conversation.entries == []


async def test_a_command_that_fails_is_told_and_what_was_typed_is_put_back() -> None:
    async with chatting(says("hi")) as (app, pilot):
        app.host.registry.register(Loud())
        app.chat.composer.fill("/burst now")
        await pilot.press("enter")
        await until(pilot, lambda: "burst [/x]" in toasts(app))
        assert app.chat.composer.text == "/burst now"


async def test_a_command_that_takes_long_is_shown_and_can_be_stopped() -> None:
    async with chatting(says("hi")) as (app, pilot):
        app.host.registry.register(Loud())
        app.chat.composer.fill("/dream on")
        await pilot.press("enter")
        await until(pilot, lambda: "/dream is running  Esc stops it" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: "is running" not in screen_text(app))
        assert app.chat.composer.text == "/dream on"
        app.chat.composer.fill("/dream on")
        await pilot.press("enter")
        await until(pilot, lambda: "/dream is running" in screen_text(app))
        await pilot.press(*"next")
        await pilot.press("escape")
        await until(pilot, lambda: "is running" not in screen_text(app))
        assert app.chat.composer.text == "next", "what was begun meanwhile is not lost"


async def test_a_command_goes_with_its_plugin() -> None:
    async with chatting(says("hi")) as (app, pilot):
        app.host.registry.register(Loud())
        await app.host.registry.disable("loud")
        app.chat.composer.fill("/shout hello")
        await pilot.press("enter")
        await until(pilot, lambda: "There is no command /shout" in toasts(app))


async def test_a_path_is_no_command() -> None:
    async with chatting(says("hi")) as (app, pilot):
        await ask(app, pilot, "/etc/hosts is what?")


async def test_new_begins_an_empty_conversation_and_history_opens_the_old_one() -> None:
    async with chatting(says("hi")) as (app, pilot):
        await ask(app, pilot, "the old one")
        app.chat.composer.fill("/new")
        await pilot.press("enter")
        await until(pilot, lambda: "J A C K F I E L D" in screen_text(app))
        await pilot.press("f4")
        await until(pilot, lambda: "the old one" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "hi" in screen_text(app))
        await ask(app, pilot, "and on")
    assert [text for _, _, text in stored_states()] == ["the old one", "hi", "and on", "hi"]


class Failing(Plugin):
    name = "failing"
    version = "1"

    async def on_request(self, request: ChatRequest) -> None:
        raise KeyError("[/x]")


async def test_a_failing_hook_is_named_and_the_answer_comes_all_the_same() -> None:
    async with chatting(says("hi")) as (app, pilot):
        app.host.registry.register(Failing())
        await ask(app, pilot, "one")
        await until(pilot, lambda: "The plugin failing failed in on_request" in toasts(app))
        await ask(app, pilot, "two")
        await until(pilot, lambda: "switched off" in toasts(app))
        assert app.host.registry.handle("failing").state == "auto_disabled"


async def test_the_app_can_be_tiny_while_an_answer_streams() -> None:
    gate = asyncio.Event()
    async with chatting(gated(gate, "# Title\n\n" + "word " * 400)) as (app, pilot):
        await ask(app, pilot, "go", then=TurnState.STREAMING)
        await pilot.resize_terminal(20, 5)
        await pilot.pause(0.2)
        assert "word" in screen_text(app)
        await pilot.resize_terminal(120, 40)
        gate.set()
        await in_state(app, pilot, TurnState.READY)


async def test_ten_megabytes_in_one_event_do_not_hold_up_the_keyboard() -> None:
    async with chatting(says("x" * 10_000_000)) as (app, pilot):
        app.chat.composer.fill("go")
        await pilot.press("enter")
        async with LongestGap(time.thread_time) as gap:
            answered = lambda: bool(app.chat.conversation.entries[1:]) and not app.chat.answering  # noqa: E731
            await until(pilot, answered, limit_s=90)
        assert gap.seconds < 0.5
        await pilot.press("a")
        assert app.chat.composer.text == "a"


async def test_an_answer_is_named_after_its_model_also_when_it_was_loaded() -> None:
    async with chatting(gated(asyncio.Event(), "half")) as (app, pilot):
        await ask(app, pilot, "go", then=TurnState.STREAMING)
        title = app.chat.status.model
        await pilot.press("escape")
        await until(pilot, lambda: not app.chat.answering)
        await pilot.press("ctrl+n", "f4")
        await until(pilot, lambda: "go" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "half" in screen_text(app))
        assert title in screen_text(app).partition("half")[0]


async def test_no_other_model_than_the_chosen_one_answers_without_a_word() -> None:
    update_config(find_paths(), {("model",): "groq/a-model"})
    async with chatting(says("Hello")) as (app, pilot):
        await until(pilot, lambda: "groq/a-model is not there: its plugin may be off." in toasts(app))
        assert app.chat.choice is not None
        assert app.chat.choice.provider.name == "local"
        groq = app.host.registry.handle("groq")
        await app.host.switch_plugin(groq, on=True)
        await until(pilot, lambda: "a-model is back, and answers again." in toasts(app))
        assert app.chat.choice.reference == "groq/a-model"
        await app.host.switch_plugin(groq, on=False)
        await until(pilot, lambda: toasts(app).count("groq/a-model is not there") == 2)
        assert app.chat.choice.provider.name == "local"
        await app.host.switch_plugin(app.host.registry.handle("openrouter"), on=True)
        assert toasts(app).count("is not there") == 2, "it is said once"
