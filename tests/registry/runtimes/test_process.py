"""A plugin in a process of its own is a plugin like any other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from jackfield import (
    ChatResponse,
    CommandCall,
    Credential,
    ErrorKind,
    Finished,
    HostAction,
    Message,
    Model,
    Perform,
    ProviderError,
    Show,
    Started,
    TextDelta,
    UsageReceived,
)
from registry.discovery import describe_again
from registry.errors import PluginError
from registry.handle import PluginState
from registry.manifest import Manifest, Runtime, describe
from registry.plugin import hooks_of, verifies
from registry.runtimes.outbox import BATCH, join_texts
from registry.runtimes.process import ProcessPlugin, describe_process
from registry.runtimes.remote_stream import WINDOW
from registry.turn import Turn, TurnFinished
from tests.processes import children
from tests.registry.plugins_for_tests import until
from tests.registry.runtimes.folders import (
    EVERYTHING,
    MINIMAL,
    registry_of,
    request,
    running,
    started,
    with_limits,
    write_hook,
    write_plugin,
)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """A plugin with one of each, described."""
    launch = write_plugin(tmp_path_factory.mktemp("everything"), EVERYTHING)
    return asyncio.run(describe_process(launch, publisher="Acme"))


@pytest.fixture
async def plugin(everything: Manifest, tmp_path: Path) -> AsyncIterator[ProcessPlugin]:
    assert everything.launch is not None
    plugin = ProcessPlugin(everything.launch, everything)
    async with running(plugin, tmp_path, suffix="!"):
        yield plugin


def test_its_manifest_says_what_it_contributes_and_how_it_is_started(everything: Manifest) -> None:
    assert (everything.name, everything.version, everything.publisher) == ("everything", "1.2.0", "Acme")
    assert everything.runtime is Runtime.PROCESS
    assert everything.hooks == ("on_request", "on_response", "on_event")
    assert everything.verifies
    assert everything.capabilities.hosts == ("api.acme.com",)
    assert [entry.data["env"] for entry in everything.auth_methods] == [["EVERYTHING_KEY"]]
    assert everything.providers[0].models == (Model("one", "Model one", context_window=1000),)
    assert [entry.name for entry in everything.commands] == ["shout", "leave"]
    assert Manifest.from_json(json.loads(json.dumps(everything.to_json()))) == everything


async def test_it_has_only_the_hooks_that_its_process_has(tmp_path: Path) -> None:
    launch = write_hook(tmp_path, "pass")
    plugin = ProcessPlugin(launch, await describe_process(launch))
    assert hooks_of(plugin) == ("on_request",)
    assert not verifies(plugin)
    assert replace(describe(plugin), runtime=Runtime.PROCESS, launch=launch) == await describe_process(launch)


async def test_it_changes_a_request(plugin: ProcessPlugin) -> None:
    asked = request("Hello")
    before = asked.messages[0]
    await plugin.on_request(asked)
    assert asked.messages[1].text == "Hello!"
    assert asked.parameters == {"temperature": 0.5}
    assert asked.messages[0] is before, "a message that was not changed is the same object"


async def test_it_changes_an_answer(plugin: ProcessPlugin) -> None:
    answer = ChatResponse(Message.of("assistant", "well done"))
    await plugin.on_response(answer)
    assert answer.message.text == "Well Done"


async def test_it_changes_leaves_and_drops_events(plugin: ProcessPlugin) -> None:
    finished = Finished()
    assert await plugin.on_event(TextDelta("bob", 2)) == TextDelta("pop")
    assert await plugin.on_event(TextDelta("drop")) is None
    assert await plugin.on_event(finished) is finished


async def test_its_commands_run(plugin: ProcessPlugin) -> None:
    shout, leave = plugin.commands()
    assert await shout.run(CommandCall("hey", (Message.of("user", "a"),))) == Show("HEY after 1")
    assert await leave.run(CommandCall("")) == Perform(HostAction.QUIT)


async def test_its_provider_streams(plugin: ProcessPlugin) -> None:
    events = [event async for event in plugin.providers()[0].stream(request("Hello you"), None)]
    assert events[0] == Started("1", "one")
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Hello ", "you "]
    assert isinstance(events[-2], UsageReceived)
    assert events[-1] == Finished(usage=events[-2].usage, details={"id": "1"})


async def test_its_provider_lists_models_and_parameters(plugin: ProcessPlugin) -> None:
    provider = plugin.providers()[0]
    assert list(await provider.models(None)) == [Model("listed", reasoning=True)]
    assert [parameter.name for parameter in await provider.parameters(Model("one"))] == ["temperature"]
    assert list(await provider.parameters(Model("two"))) == []


async def test_a_credential_reaches_the_call_that_needs_it(plugin: ProcessPlugin) -> None:
    credential = Credential(
        secrets={"key": SecretStr("a good key"), "refresh_token": SecretStr("stays here")}
    )
    events = [event async for event in plugin.providers()[0].stream(request(), credential)]
    assert TextDelta("signed in with 10 characters") in events
    await plugin.verify(credential)


async def test_a_refusal_comes_back_as_the_error_that_was_raised(plugin: ProcessPlugin) -> None:
    with pytest.raises(ProviderError) as refused:
        await plugin.verify(Credential(secrets={"key": SecretStr("a bad one")}))
    assert (refused.value.kind, refused.value.status) == (ErrorKind.AUTH, 401)
    assert (refused.value.title, refused.value.detail) == ("The key is no good", "said the server")


async def test_a_turn_runs_through_all_of_it(everything: Manifest, tmp_path: Path) -> None:
    registry = registry_of(tmp_path, everything)
    events = [event async for event in Turn(registry, request("bad drop good")).events()]
    assert isinstance(events[-1], TurnFinished)
    assert events[-1].response.message.text == "Pad Good "
    assert registry.handle("everything").state is PluginState.ACTIVE
    await registry.aclose()
    assert (tmp_path / "data" / "plugins" / "everything" / "closed").exists(), "on_close was not called"


async def test_it_is_started_at_its_first_use_and_ended_when_it_is_switched_off(
    everything: Manifest, tmp_path: Path
) -> None:
    before = children()
    registry = registry_of(tmp_path, everything)
    assert [entry.name for entry in registry.providers()] == ["echo"]
    assert children() == before
    await registry.command("shout")
    assert len(children() - before) == 2, "the plugin and its watch"
    await registry.disable("everything")
    assert children() == before
    await registry.aclose()


async def test_hooks_work_from_another_thread_and_loop_at_the_same_time(plugin: ProcessPlugin) -> None:
    def hooks() -> list[str]:
        async def run() -> list[str]:
            asked = [request(str(number)) for number in range(50)]
            await asyncio.gather(*(plugin.on_request(one) for one in asked))
            return [one.messages[-1].text for one in asked]

        return asyncio.run(run())

    async def stream() -> int:
        events = plugin.providers()[0].stream(request("word " * 2000), None)
        return sum([event.text.count("word") async for event in events if isinstance(event, TextDelta)])

    changed, words = await asyncio.gather(asyncio.to_thread(hooks), stream())
    assert changed == [f"{number}!" for number in range(50)]
    assert words == 2000


STREAMS = """
import asyncio, pathlib
from jackfield import *

here = pathlib.Path(__file__).parent

class Streams(Provider):
    name = "streams"
    known_models = (Model("m"),)
    async def stream(self, request, credential):
        count = 0
        try:
            while True:
                yield TextDelta(str(count))
                count += 1
                if request.messages[-1].text == "slowly":
                    await asyncio.sleep(0.01)
        finally:
            (here / "stopped").write_text(str(count))

class StreamsPlugin(Plugin):
    name = "streams"
    version = "1.0"
    def providers(self):
        return [Streams()]
"""


@pytest.mark.parametrize("pace", ["slowly", "at once"])
async def test_closing_a_stream_stops_it_at_the_source(tmp_path: Path, pace: str) -> None:
    launch = write_plugin(tmp_path / "code", STREAMS)
    async with started(launch, tmp_path) as plugin:
        async with aclosing(plugin.providers()[0].stream(request(pace), None)) as stream:  # type: ignore[type-var]
            async for event in stream:
                assert isinstance(event, TextDelta)
                assert event.text.startswith("0")
                break
        await until((tmp_path / "code" / "stopped").exists)
        assert plugin.commands() == []


async def test_switching_it_off_while_it_answers_is_no_fault_of_it(tmp_path: Path) -> None:
    launch = write_plugin(tmp_path / "code", STREAMS)
    async with started(launch, tmp_path) as plugin:
        stream = plugin.providers()[0].stream(request("slowly"), None)
        await anext(stream)
        closing = asyncio.ensure_future(plugin.aclose())
        with pytest.raises(ProviderError, match="streams was switched off while it answered") as caught:
            async for _ in stream:
                pass
        await closing
        assert caught.value.kind is ErrorKind.CONNECTION
        assert caught.value.detail == ""


async def test_a_provider_is_held_up_by_who_reads_its_stream(tmp_path: Path) -> None:
    launch = write_plugin(tmp_path / "code", STREAMS)
    async with started(launch, tmp_path) as plugin:
        async with aclosing(plugin.providers()[0].stream(request("at once"), None)) as stream:  # type: ignore[type-var]
            await anext(stream)
            for _ in range(20):  # each is a round through the event loop of the plugin, which could go on
                assert await plugin.providers()[0].models(None)
        await until((tmp_path / "code" / "stopped").exists)
        assert int((tmp_path / "code" / "stopped").read_text()) <= (WINDOW + 1) * BATCH


async def test_it_is_stopped_when_idle_and_started_again_by_the_next_call(tmp_path: Path) -> None:
    before = children()
    launch = with_limits(write_hook(tmp_path / "code", "request.system = str(os.getpid())"), idle_s=1.0)
    async with started(launch, tmp_path) as plugin:
        first, second = request(), request()
        await plugin.on_request(first)
        await until(lambda: children() == before)
        await plugin.on_request(second)
        assert first.system != second.system
        assert not plugin.given_up


async def test_it_can_be_reloaded_with_other_contributions(tmp_path: Path) -> None:
    launch = write_plugin(tmp_path / "code", EVERYTHING)
    registry = registry_of(tmp_path, await describe_process(launch))
    await registry.command("shout")
    write_plugin(tmp_path / "code", EVERYTHING.replace('"shout"', '"whisper"'))
    await registry.reload("everything")
    assert [entry.name for entry in registry.commands()] == ["whisper", "leave"]
    result = await (await registry.command("whisper")).run(CommandCall("x"))
    assert result == Show("X after 0")
    await registry.aclose()


async def test_one_that_no_longer_describes_itself_says_why(tmp_path: Path) -> None:
    launch = write_plugin(tmp_path / "code", MINIMAL)
    manifest = await describe_process(launch, publisher="Acme")
    (launch.folder / "written.py").write_text("raise RuntimeError('broken by hand')", encoding="utf-8")
    again = await asyncio.to_thread(describe_again, manifest)
    assert "broken by hand" in again.problem
    assert again.publisher == "Acme"
    with pytest.raises(PluginError, match="broken by hand"):
        await describe_process(launch)


def test_only_texts_of_one_kind_and_part_are_joined() -> None:
    def text(value: str, kind: str = "text_delta", index: int = 0) -> dict[str, Any]:
        return {"type": kind, "text": value, "index": index}

    events: list[dict[str, Any]] = [
        text("a"),
        text("b"),
        text("c", index=1),
        text("d", "thinking_delta", 1),
        {"type": "started"},
        text("e"),
    ]
    assert join_texts(events) == [text("ab"), *events[2:]]
