"""What happens while something else is on its way: nothing is lost, and nothing is told twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
from textual import events

from jackfield import Command, CommandCall, CommandResult, Plugin, Send
from registry.config import load_config, update_config
from registry.errors import ConfigError, JackfieldError
from registry.marketplace.catalogue_index import CatalogueIndex, load_index
from registry.marketplace.installed import read_installed
from registry.marketplace.live import LiveInstaller
from registry.models import ModelChoice
from registry.oauth import ShowPage, SignInEvent
from registry.paths import find_paths
from registry.secret_store import StoreKind
from screenshots.scripted import PolitePlugin
from screenshots.take import until
from tests.registry.marketplace.machines import Machine, make_rules
from tests.registry.marketplace.site import FakePlugin, added, make_site
from tests.tui.apps import ask, chatting, gated, in_turn, says, screen_text, toasts
from tests.tui.marketplaces import SHOUT, find, has_added, job_state, open_market, top
from tests.tui.test_chat import stored_states
from tui.connecting import Connected
from tui.conversation import SessionEvent
from tui.history.history import History
from tui.screens.connect import ConnectScreen
from tui.screens.consent import ConsentScreen
from tui.screens.help import HelpScreen
from tui.screens.secret_store import PassphraseScreen
from tui.screens.sign_in import SignInScreen
from tui.states import TurnState

HELLO = says("Hello")
SWITCHED = "local-servers"


# Screens


class RefusedSignIn:
    """A sign-in that shows a page, and is refused once the gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def events(self) -> AsyncGenerator[SignInEvent, None]:
        yield ShowPage("https://a.example/x", "a.example", True, 300)
        await self.gate.wait()
        raise JackfieldError("The sign-in was refused")


async def test_a_sign_in_that_ends_below_another_screen_leaves_when_that_is_gone() -> None:
    sign_in = RefusedSignIn()
    outcomes: list[object] = []
    async with chatting(HELLO) as (app, pilot):
        app.push_screen(SignInScreen("Acme", sign_in), outcomes.append)
        await until(pilot, lambda: "a.example" in screen_text(app))
        await pilot.press("f1")
        await top(app, pilot, HelpScreen)
        sign_in.gate.set()
        await until(pilot, lambda: not [one for one in app.workers if one.group == "sign-in"])
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.chat and bool(outcomes))
        assert [str(outcome) for outcome in outcomes] == ["The sign-in was refused"]


async def test_a_passphrase_whose_screen_is_taken_away_is_one_that_nobody_gave() -> None:
    async with chatting(HELLO) as (app, pilot):
        asked = asyncio.ensure_future(app.host.stores.store(StoreKind.FILE))
        await top(app, pilot, PassphraseScreen)
        await pilot.press("f7")
        await top(app, pilot, ConnectScreen)
        app._use_connected(Connected("acme", "Acme", None))
        with pytest.raises(JackfieldError):
            await asyncio.wait_for(asked, 20)


# The conversation


async def test_an_answer_that_is_stopped_while_it_is_written_down_is_kept_once() -> None:
    written, go_on = asyncio.Event(), asyncio.Event()
    async with chatting(in_turn(HELLO, says("Again"))) as (app, pilot):
        run = app.host.history.run

        async def slow(operation: Callable[..., Any], *args: Any, **options: Any) -> Any:
            result = await run(operation, *args, **options)
            if operation is History.finish_answer and not written.is_set():
                written.set()
                await go_on.wait()
            return result

        with patch.object(app.host.history, "run", slow):
            await pilot.press(*"hi", "enter")
            await asyncio.wait_for(written.wait(), 20)
            app.chat.action_stop()
            await pilot.pause()
            go_on.set()
            await until(pilot, lambda: not app.chat.answering)
            assert [entry.state for entry in app.chat.conversation.entries] == ["complete", "complete"]
            await ask(app, pilot, "more")
    assert [state for _, state, _ in stored_states()] == ["complete"] * 4


class Later(Plugin):
    """Has a command that sends a prompt, once the gate is open."""

    name = "later"
    version = "1"
    gate: ClassVar[asyncio.Event]
    begun: ClassVar[asyncio.Event]

    def commands(self) -> list[Command]:
        return [Command("later", "Sends later", self._later)]

    async def _later(self, _: CommandCall) -> CommandResult:
        self.begun.set()
        await self.gate.wait()
        return Send("from the command")


@pytest.mark.parametrize(
    ("typed", "kept", "where"),
    [("", "from the command", "in the composer"), ("my own", "my own", "the prompt before")],
    ids=["nothing typed", "something typed"],
)
async def test_what_a_command_sends_waits_for_the_answer_that_is_on_its_way(
    typed: str, kept: str, where: str
) -> None:
    Later.gate, Later.begun = asyncio.Event(), asyncio.Event()
    end = asyncio.Event()
    async with chatting(gated(end, "first ")) as (app, pilot):
        app.host.registry.register(Later())
        await pilot.press(*"/later", "escape", "enter")
        await asyncio.wait_for(Later.begun.wait(), 20)
        await pilot.press(*"hi", "enter")
        await until(pilot, lambda: "first" in screen_text(app))
        await pilot.press(*typed)
        Later.gate.set()
        await until(pilot, lambda: f"What the command sends is {where}" in toasts(app))
        assert app.chat.answering, "Esc stops it"
        assert app.chat.composer.text == kept
        end.set()
        await until(pilot, lambda: not app.chat.answering)
        assert [entry.state for entry in app.chat.conversation.entries] == ["complete", "complete"]


async def test_asking_again_twice_at_once_asks_once() -> None:
    end = asyncio.Event()
    async with chatting(in_turn(says("one"), gated(end, "again "), gated(end, "third "))) as (app, pilot):
        await ask(app, pilot, "hi")
        for _ in range(2):
            app.post_message(events.Key("ctrl+r", None))
        await until(pilot, lambda: "again" in screen_text(app))
        assert app.chat.answering
        end.set()
        await until(pilot, lambda: not app.chat.answering)
        entries = app.chat.conversation.entries
        assert [(entry.message.role, entry.state) for entry in entries] == [
            ("user", "complete"),
            ("assistant", "complete"),
        ]
        assert entries[-1].message.text == "again "


async def test_the_next_prompt_can_be_sent_when_the_answer_is_seen_to_be_complete() -> None:
    end = asyncio.Event()
    async with chatting(in_turn(says("one"), says("two"))) as (app, pilot):
        answer = app.chat.conversation.answer

        async def ends_late(choice: ModelChoice) -> AsyncGenerator[SessionEvent, None]:
            async for event in answer(choice):
                yield event
            await end.wait()

        with patch.object(app.chat.conversation, "answer", ends_late):
            await pilot.press(*"hi", "enter")
            await until(pilot, lambda: app.chat.status.state is TurnState.READY and "one" in screen_text(app))
        await pilot.press(*"go", "enter")
        await until(pilot, lambda: "two" in screen_text(app) and not app.chat.answering)
        assert [entry.state for entry in app.chat.conversation.entries] == ["complete"] * 4
        assert "stopped" not in screen_text(app)


async def test_a_new_conversation_does_not_wait_for_the_answer_of_the_old_one() -> None:
    never = asyncio.Event()
    async with chatting(in_turn(gated(never, "old "), says("new"))) as (app, pilot):
        await pilot.press(*"hi", "enter")
        await until(pilot, lambda: "old" in screen_text(app))
        app.chat.action_new()
        assert not app.chat.answering
        await pilot.press(*"hello", "enter")
        await until(pilot, lambda: "new" in screen_text(app) and not app.chat.answering)
        assert "stopped" not in screen_text(app)
        assert len(app.chat.conversation.entries) == 2


async def test_what_was_sent_before_the_history_was_read_is_still_the_latest() -> None:
    async with chatting(HELLO) as (app, pilot):
        await ask(app, pilot, "new")
        app.chat.composer.set_prompts(["old", "new"])  # as when reading the history took longer
        await pilot.press("up")
        assert app.chat.composer.text == "new"
        await pilot.press("up")
        assert app.chat.composer.text == "old"


# Plugins


async def test_an_installation_that_is_stopped_before_it_begins_can_be_begun_again(tmp_path: Path) -> None:
    await has_added(await make_site(tmp_path, SHOUT))
    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        state = job_state(app, "acme/shout")
        for key in "ix":
            app.post_message(events.Key(key, key))
        await until(pilot, lambda: state() == "stopped")
        await pilot.press("i")
        await top(app, pilot, ConsentScreen)


async def test_an_update_that_is_stopped_when_it_is_there_is_done(tmp_path: Path) -> None:
    site = await make_site(tmp_path, FakePlugin("acme/shout", versions=("1.0.0",)))
    here = Machine(find_paths(), await added(find_paths(), site), make_rules())
    await here.install()
    site.put(FakePlugin("acme/shout", versions=("1.1.0",)))
    await site.publish()
    await here.marketplace.refresh()
    starting = asyncio.Event()

    async def start(*_: object) -> None:
        starting.set()
        await asyncio.Event().wait()

    async with chatting(HELLO) as (app, pilot):
        await open_market(app, pilot)
        await find(app, pilot, "shou", "acme/shout")
        with patch.object(LiveInstaller, "_changed", start):
            await pilot.press("u")
            await asyncio.wait_for(starting.wait(), 20)
            await pilot.press("x")
            await until(pilot, lambda: job_state(app, "acme/shout")() == "done")
    assert read_installed(find_paths())["acme/shout"].current.version == "1.1.0"


@contextmanager
def written_slowly() -> Iterator[tuple[threading.Event, threading.Event]]:
    """Writing config.toml takes its time: tells when it is begun, and when it may go on."""
    writing, go_on = threading.Event(), threading.Event()

    def slow(*args: Any) -> Any:
        writing.set()
        assert go_on.wait(20)
        return update_config(*args)

    with patch("tui.host.update_config", slow):
        yield writing, go_on


async def test_a_switch_is_not_undone_by_what_was_written_before_it() -> None:
    async with chatting(HELLO) as (app, pilot):
        handle = app.host.registry.handle(SWITCHED)
        await app.host.switch_plugin(handle, on=False)
        await app.host.switch_plugin(handle, on=True)
        seen: list[bool] = []
        app.host.registry.subscribe(lambda: seen.append(handle.contributes))
        with written_slowly() as (writing, go_on):
            switching = asyncio.ensure_future(app.host.switch_plugin(handle, on=False))
            await until(pilot, writing.is_set)
            following = asyncio.ensure_future(app.host.follow_others())
            await asyncio.wait([following], timeout=0.5)  # time enough to undo it
            go_on.set()
            await asyncio.gather(switching, following)
        assert seen
        assert True not in seen


async def test_the_end_waits_for_a_switch_that_is_being_written_down() -> None:
    async with chatting(HELLO) as (app, pilot):
        with written_slowly() as (writing, go_on):
            switch = app.host.switch_plugin(app.host.registry.handle(SWITCHED), on=False)
            switching = asyncio.ensure_future(switch)
            await until(pilot, writing.is_set)
        switching.cancel()  # as everything that a screen began, at the end
        ending = asyncio.ensure_future(app.host.aclose())
        await asyncio.wait({ending}, timeout=0.3)
        assert not ending.done()
        go_on.set()
        await ending
        assert load_config(find_paths()).settings.plugins[SWITCHED].enabled is False


async def test_a_switch_that_cannot_be_written_down_holds_for_this_run() -> None:
    def refuse(*_: object) -> None:
        raise ConfigError("It is read-only")

    async with chatting(HELLO) as (app, _):
        handle = app.host.registry.handle(SWITCHED)
        await app.host.switch_plugin(handle, on=False)
        with patch("tui.host.update_config", refuse), suppress(ConfigError):
            await app.host.switch_plugin(handle, on=True)
        await app.host.follow_others()
        assert handle.contributes


async def test_what_goes_while_the_list_is_made_is_not_left_on_it() -> None:
    making, go_on = threading.Event(), threading.Event()

    def slow(*args: Any, **options: Any) -> CatalogueIndex:
        making.set()
        assert go_on.wait(30)
        return load_index(*args, **options)

    async with chatting(HELLO) as (app, pilot):
        registry, storefront = app.host.registry, app.host.storefront
        await open_market(app, pilot)
        with patch("tui.marketplace.load_index", slow):
            registry.register(PolitePlugin())
            await until(pilot, making.is_set)
            await registry.unregister("polite")
            go_on.set()
            await until(pilot, lambda: storefront._reload is not None and storefront._reload.done())
        assert "polite" not in [row.name for row in storefront.index.rows]
