"""The parameters of a conversation: the form, what is sent, what is kept, and what is told."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence

import pytest
from textual.widgets import Input, Select, TextArea

from jackfield import (
    ChatRequest,
    Credential,
    Finished,
    Model,
    Parameter,
    Plugin,
    Provider,
    StreamEvent,
    TextDelta,
)
from registry.paths import find_paths
from screenshots.take import until
from tests.tui.apps import AppPilot, ask, chatting, in_state, says, screen_text, toasts
from tui.app import JackfieldApp
from tui.screens.parameters import ParametersScreen
from tui.states import TurnState


class Recorder(Plugin):
    """Two models that take different things; it remembers what it was asked."""

    name = "recorder"
    version = "1.0.0"

    def __init__(self, *, left_out: str = "") -> None:
        self.requests: list[ChatRequest] = []
        self._provider = _Recording(self.requests, left_out)

    def providers(self) -> Sequence[Provider]:
        return [self._provider]


class _Recording(Provider):
    name = "recorder"
    known_models = (Model("warm", "Warm", output_limit=1000), Model("deep", "Deep", reasoning=True))

    def __init__(self, requests: list[ChatRequest], left_out: str) -> None:
        self._requests = requests
        self._left_out = left_out

    async def parameters(self, model: Model) -> Sequence[Parameter]:
        if model.id == "warm":
            return (Parameter.temperature(1), Parameter.max_tokens(model.output_limit))
        return (Parameter.max_tokens(), Parameter.effort(("low", "high")))

    async def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        self._requests.append(request)
        yield TextDelta("Fine.")
        yield Finished(details={"left_out": self._left_out} if self._left_out else {})


async def use(app: JackfieldApp, model: str) -> None:
    await app.chat.use_model(await app.host.choose_model(f"recorder/{model}"))


async def open_form(app: JackfieldApp, pilot: AppPilot) -> ParametersScreen:
    await pilot.press("f6")
    await until(pilot, lambda: isinstance(app.screen, ParametersScreen))
    await until(pilot, lambda: bool(app.screen.query("#note")))
    assert isinstance(app.screen, ParametersScreen)
    return app.screen


async def close_form(app: JackfieldApp, pilot: AppPilot) -> None:
    await pilot.press("ctrl+s")
    await until(pilot, lambda: app.screen is app.chat)


async def test_the_form_has_what_the_model_takes_and_nothing_else() -> None:
    async with chatting(says("hi")) as (app, pilot):
        app.host.registry.register(Recorder())
        await use(app, "warm")
        await open_form(app, pilot)
        shown = screen_text(app)
        for text in (
            "Warm",
            "Temperature",
            "A number from 0 to 1",
            "from 1 to 1 000 tokens",
            "System prompt",
        ):
            assert text in shown
        assert "Effort" not in shown
        await pilot.press("escape")
        await use(app, "deep")
        await open_form(app, pilot)
        assert "Effort" in screen_text(app)
        assert "Low or high" in screen_text(app)
        assert "Temperature" not in screen_text(app)


async def test_what_is_set_goes_with_each_request_and_is_shown_in_the_status_line() -> None:
    recorder = Recorder()
    async with chatting(says("hi")) as (app, pilot):
        app.host.registry.register(recorder)
        await use(app, "warm")
        form = await open_form(app, pilot)
        await pilot.press(*"0.7", "tab", *"200")
        form.query_one("#system", TextArea).focus()
        await pilot.press(*"Be kind.", "enter", *"Be short.")
        await close_form(app, pilot)
        await until(pilot, lambda: "temperature 0.7, max tokens 200, system prompt" in screen_text(app))
        await ask(app, pilot, "How?")
    request = recorder.requests[0]
    assert request.parameters == {"temperature": 0.7, "max_tokens": 200}
    assert request.system == "Be kind.\nBe short."


async def test_a_wrong_value_is_told_while_it_is_typed_and_is_not_saved() -> None:
    async with chatting(says("hi")) as (app, pilot):
        app.host.registry.register(Recorder())
        await use(app, "warm")
        await open_form(app, pilot)
        await pilot.press("7")
        await until(pilot, lambda: "Temperature is at most 1" in screen_text(app))
        await pilot.press("tab", "ctrl+s")
        await pilot.pause()
        assert isinstance(app.screen, ParametersScreen)
        focused = app.screen.focused
        assert isinstance(focused, Input)
        assert focused.value == "7"
        await pilot.press("backspace", *"0.5")
        await until(pilot, lambda: "Temperature is at most 1" not in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.chat)
        assert app.chat.conversation.parameters == {"temperature": 0.5}


async def test_escape_asks_once_before_it_leaves_what_was_typed() -> None:
    async with chatting(says("hi")) as (app, pilot):
        app.host.registry.register(Recorder())
        await use(app, "warm")
        await open_form(app, pilot)
        await pilot.press("1", "escape")
        await until(pilot, lambda: "Not saved yet" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.chat)
        assert app.chat.conversation.parameters == {}
        await open_form(app, pilot)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.chat)


async def test_reset_empties_the_form_and_holds_once_it_is_saved() -> None:
    async with chatting(says("hi")) as (app, pilot):
        app.host.registry.register(Recorder())
        await use(app, "deep")
        await app.chat.conversation.set_parameters({"effort": "high", "temperature": 0.5}, "Be kind.")
        form = await open_form(app, pilot)
        assert form.query_one(Select).value == "high"
        assert "Kept, but not taken by this model: temperature 0.5" in screen_text(app)
        await pilot.press("ctrl+r")
        assert app.chat.conversation.parameters
        await close_form(app, pilot)
        assert app.chat.conversation.parameters == {}
        assert app.chat.conversation.system is None


async def test_a_choice_is_made_with_the_keys() -> None:
    async with chatting(says("hi")) as (app, pilot):
        app.host.registry.register(Recorder())
        await use(app, "deep")
        form = await open_form(app, pilot)
        form.query_one(Select).focus()
        await pilot.press("enter", "down", "down", "enter")
        await until(pilot, lambda: form.query_one(Select).value in ("low", "high"))
        await close_form(app, pilot)
        assert app.chat.conversation.parameters in ({"effort": "low"}, {"effort": "high"})


async def test_another_model_keeps_the_values_and_says_which_it_does_not_take() -> None:
    recorder = Recorder()
    async with chatting(says("hi")) as (app, pilot):
        app.host.registry.register(recorder)
        await use(app, "warm")
        await app.chat.conversation.set_parameters({"temperature": 0.7, "max_tokens": 200}, None)
        await use(app, "deep")
        await until(pilot, lambda: "Deep does not take temperature 0.7" in toasts(app))
        await ask(app, pilot, "one")
        await until(pilot, lambda: "not sent, since the model does not take it" in screen_text(app))
        await ask(app, pilot, "two")
        assert screen_text(app).count("not sent, since") == 1
        await use(app, "warm")
        await ask(app, pilot, "three")
    assert [request.parameters for request in recorder.requests] == [
        {"max_tokens": 200},
        {"max_tokens": 200},
        {"temperature": 0.7, "max_tokens": 200},
    ]


async def test_what_the_provider_left_out_is_told_in_the_turn() -> None:
    recorder = Recorder(left_out="max_tokens")
    async with chatting(says("hi")) as (app, pilot):
        app.host.registry.register(recorder)
        await use(app, "warm")
        await app.chat.conversation.set_parameters({"max_tokens": 200}, None)
        await ask(app, pilot, "one")
        await until(pilot, lambda: "does not take it: max_tokens" in screen_text(app))


async def test_parameters_are_kept_with_the_conversation_and_come_back_with_it() -> None:
    async with chatting(says("hi")) as (app, pilot):
        app.host.registry.register(Recorder())
        await use(app, "warm")
        await app.chat.conversation.set_parameters({"temperature": 0.25}, "Be kind.")
        await ask(app, pilot, "the first")
        await app.chat.conversation.set_parameters({"temperature": 0.75}, "Be kind.")
        number = app.chat.conversation.id
        assert number is not None
        await pilot.press("ctrl+n")
        assert (app.chat.conversation.parameters, app.chat.conversation.system) == ({}, None)
        assert "temperature" not in screen_text(app)
        await app.chat.open(number)
        assert app.chat.conversation.parameters == {"temperature": 0.75}
        assert app.chat.conversation.system == "Be kind."
        await until(pilot, lambda: "temperature 0.75" in screen_text(app))


async def test_parameters_of_an_older_or_damaged_file_are_none() -> None:
    async with chatting(says("hi")) as (app, pilot):
        await ask(app, pilot, "the first")
        number = app.chat.conversation.id
        assert number is not None
        with sqlite3.connect(find_paths().history_file) as database:
            database.execute("UPDATE conversations SET parameters = ?", ('{"a": [1], "temperature": 0.5}',))
        await app.chat.open(number)
        assert app.chat.conversation.parameters == {"temperature": 0.5}
        with sqlite3.connect(find_paths().history_file) as database:
            database.execute("UPDATE conversations SET parameters = '{'")
        await app.chat.open(number)
        assert app.chat.conversation.parameters == {}


async def test_the_command_opens_the_form() -> None:
    async with chatting(says("hi")) as (app, pilot):
        app.chat.composer.fill("/parameters")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ParametersScreen))


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
async def test_the_form_can_be_used_in_a_small_terminal(size: tuple[int, int]) -> None:
    async with chatting(says("hi"), size=size) as (app, pilot):
        app.host.registry.register(Recorder())
        await use(app, "warm")
        form = await open_form(app, pilot)
        await pilot.press("tab", "tab", *"Be kind.")
        await until(pilot, lambda: "Be kind." in screen_text(app))
        assert form.focused is form.query_one("#system", TextArea)


async def test_without_a_model_only_the_system_prompt_is_asked_for() -> None:
    async with chatting(says("hi"), plugins_off=True, ready=False) as (app, pilot):
        await in_state(app, pilot, TurnState.NO_MODEL)
        form = await open_form(app, pilot)
        assert not form.query(Input)
        assert form.query_one("#system", TextArea).text == ""
