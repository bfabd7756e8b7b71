"""The registry: plugins switched on and off, live and in any order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import registry.running
from jackfield import Command, NoAuth, Plugin, PluginContext, PluginError, Provider
from registry.handle import PluginState
from registry.manifest import Manifest, broken, describe
from registry.paths import Paths
from registry.registry import PluginRegistry
from tests.registry.plugins_for_tests import (
    Sample,
    ScriptedProvider,
    close_all_registries,
    hook_plugin,
    registry_with,
    until,
)

METHODS = ["providers", "commands", "auth_methods"]
ERRORS = [ValueError("boom"), SystemExit(3), KeyboardInterrupt("stop"), GeneratorExit()]


@pytest.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:
    yield
    await close_all_registries()


@pytest.fixture
def made(tmp_path: Path) -> PluginRegistry:
    return registry_with(tmp_path)


def names(entries: Any) -> list[str]:
    return [entry.name for entry in entries]


# -- what is wrong with a plugin is the state of its handle ---


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("method", METHODS)
async def test_a_plugin_that_raises_when_it_is_described_is_failed_and_says_why(
    made: PluginRegistry, method: str, error: BaseException
) -> None:
    handle = made.register(Sample(fail={method: error}))
    assert handle.state is PluginState.FAILED
    assert type(error).__name__ in handle.reason
    assert not handle.contributes
    with pytest.raises(PluginError, match="cannot be switched on"):
        await made.enable("sample")


class _BadProperty(Plugin):
    version = "1.0"

    @property
    def name(self) -> str:  # type: ignore[override]
        raise SystemExit(4)


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (_BadProperty(), "SystemExit: 4"),
        (Sample("Bad Name"), "name 'Bad Name' is not allowed"),
        (Sample("../up"), "not allowed"),
        (Sample(version="one"), "version 'one' is not a version"),
        (Sample(version="\u0661.\u0662"), "is not a version"),
        (Sample(version="1." + "0" * 100), "is not a version"),
        (object(), "is not allowed"),
        (Plugin(), "name None is not allowed"),
    ],
)
def test_a_bad_name_or_version_is_the_reason_on_the_handle(
    made: PluginRegistry, plugin: Any, reason: str
) -> None:
    handle = made.register(plugin)
    assert handle.state is PluginState.FAILED
    assert reason in handle.reason
    assert names(made.providers()) == ["scripted"]


def _endless() -> Iterator[Provider]:
    while True:
        yield ScriptedProvider()


async def _async_providers() -> list[Provider]:
    return []


def _with(method: str, value: Any) -> Plugin:
    plugin = Sample("wrong")
    setattr(plugin, method, lambda: value() if callable(value) else value)
    return plugin


@pytest.mark.parametrize(
    "plugin",
    [
        _with("providers", None),
        _with("providers", "text"),
        _with("providers", ["text"]),
        _with("providers", _endless),
        _with("providers", _async_providers),
        _with("providers", [ScriptedProvider("same"), ScriptedProvider("same")]),
        _with("providers", [ScriptedProvider("Bad Name")]),
        _with("commands", [3]),
        _with("commands", [Command("x", "X", 3)]),  # type: ignore[arg-type]
        _with("auth_methods", ["api_key"]),
        _with("auth_methods", [NoAuth(), NoAuth()]),
    ],
)
def test_contributions_of_a_wrong_type_are_the_reason_on_the_handle(
    made: PluginRegistry, plugin: Plugin
) -> None:
    handle = made.register(plugin)
    assert handle.state is PluginState.FAILED
    assert handle.reason


def test_a_second_plugin_of_a_name_is_failed_and_the_first_goes_on(made: PluginRegistry) -> None:
    first, second = made.register(Sample()), made.register(Sample(version="2.0"))
    assert first.state is PluginState.ENABLED
    assert (second.state, second.reason) == (PluginState.FAILED, "Another plugin is already named sample.")
    assert made.handle("sample") is first


async def test_a_name_that_becomes_free_goes_to_the_one_that_waited_but_switched_off(
    made: PluginRegistry,
) -> None:
    made.register(Sample())
    second = made.register(Sample(version="2.0"))
    await made.unregister("sample")
    assert made.handle("sample") is second
    assert second.state is PluginState.INSTALLED


def test_reasons_are_safe_to_show(made: PluginRegistry) -> None:
    handle = made.register(Sample(fail={"providers": ValueError("\x1b]0;x\x07[b]\u202e")}))
    assert handle.reason == "ValueError: [b]"


@pytest.mark.parametrize(
    "manifest", [{}, {"name": 3}, {"name": "x", "publisher": "", "problem": None}, [], None]
)
def test_a_manifest_that_is_none_is_a_failed_plugin(made: PluginRegistry, manifest: Any) -> None:
    assert made.register_manifest(manifest, enabled=True).state is PluginState.FAILED
    assert names(made.providers()) == ["scripted"]


@pytest.mark.parametrize(
    "damage", [{"providers": 3}, {"hooks": ["rm"]}, {"version": None}, {"commands": [{}]}, {"guard": "yes"}]
)
def test_a_damaged_manifest_shows_when_it_is_first_decoded_and_breaks_no_query(
    made: PluginRegistry, damage: dict[str, Any]
) -> None:
    handle = made.register_manifest({**describe(Sample()).to_json(), **damage}, enabled=True)
    assert names(made.providers()) == ["scripted"]
    assert handle.state is PluginState.FAILED
    assert "damaged" in handle.reason


# -- switching ---


async def test_queries_follow_the_switch_at_once_and_listeners_are_told(made: PluginRegistry) -> None:
    told: list[list[str]] = []
    made.register(Sample())
    end = made.subscribe(lambda: told.append(names(made.commands())))
    await made.disable("sample")
    await made.enable("sample")
    end()
    await made.disable("sample")
    assert told[0] == told[1] == ["zz-scripted-command"]
    assert told[-1] == ["sample-command", "zz-scripted-command"]


async def test_queries_between_changes_give_the_same_object(made: PluginRegistry) -> None:
    assert made.commands() is made.commands()
    assert made.hooks("on_request") is made.hooks("on_request")


def _closing_plugin(closed: list[str], created: list[Any]) -> Sample:
    async def close_client() -> None:
        closed.append("async")

    def on_init(ctx: PluginContext) -> None:
        created.append(ctx.http_client())
        ctx.on_close(close_client)
        ctx.on_close(lambda: closed.append("plain"))
        ctx.on_close(lambda: [][1])

    return Sample(on_init=on_init)


async def test_what_a_plugin_asked_to_close_is_closed_the_last_first_when_it_is_switched_off(
    made: PluginRegistry,
) -> None:
    closed: list[str] = []
    clients: list[Any] = []
    plugin = _closing_plugin(closed, clients)
    handle = made.register(plugin)
    provider = await made.provider("sample-provider")
    assert handle.state is PluginState.ACTIVE
    await made.disable("sample")
    assert closed == ["plain", "async"]
    assert clients[0].is_closed
    assert isinstance(provider, ScriptedProvider)
    assert provider.closed == 1
    assert "IndexError" in handle.reason
    assert handle.plugin is None


async def test_what_a_plugin_asked_to_close_is_closed_when_it_fails_to_start(made: PluginRegistry) -> None:
    closed: list[str] = []

    def on_init(ctx: PluginContext) -> None:
        ctx.on_close(lambda: closed.append("closed"))
        raise PluginError("no \x1b[31mstart")

    handle = made.register(Sample(on_init=on_init))
    with pytest.raises(PluginError, match="could not be loaded"):
        await made.plugin(handle)
    assert closed == ["closed"]
    assert handle.state is PluginState.AUTO_DISABLED
    assert "\x1b" not in handle.reason


async def test_an_async_on_init_is_refused_since_nobody_would_wait_for_it(made: PluginRegistry) -> None:
    async def on_init(ctx: PluginContext) -> None: ...

    handle = made.register(Sample(on_init=lambda ctx: None))
    handle.given.on_init = on_init  # type: ignore[union-attr, method-assign]
    with pytest.raises(PluginError, match="on_init"):
        await made.plugin(handle)


async def test_a_plugin_that_does_not_start_in_time_is_switched_off_and_closed_once_it_does(
    made: PluginRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry.running, "LOAD_LIMIT_S", 0.05)
    release, closed = threading.Event(), threading.Event()

    def on_init(ctx: PluginContext) -> None:
        release.wait(30)
        ctx.on_close(closed.set)

    handle = made.register(Sample(on_init=on_init))
    with pytest.raises(PluginError, match=r"within 0.05 s"):
        await made.plugin(handle)
    assert handle.state is PluginState.AUTO_DISABLED
    release.set()
    await until(closed.is_set)


async def test_switching_off_during_the_start_does_not_leave_it_loaded(made: PluginRegistry) -> None:
    started, release, closed = threading.Event(), threading.Event(), threading.Event()

    def on_init(ctx: PluginContext) -> None:
        started.set()
        release.wait(30)
        ctx.on_close(closed.set)

    handle = made.register(Sample(on_init=on_init))
    loading = asyncio.create_task(made.plugin(handle))
    await until(started.is_set)
    await made.disable("sample")
    release.set()
    with pytest.raises(PluginError, match="is off"):
        await loading
    await until(closed.is_set)
    assert handle.plugin is None
    assert (handle.state, handle.reason) == (PluginState.INSTALLED, "")


async def test_many_who_ask_at_once_load_a_plugin_once(made: PluginRegistry) -> None:
    plugin = Sample()
    handle = made.register(plugin)
    await asyncio.gather(*(made.plugin(handle) for _ in range(20)))
    assert plugin.inits == 1


async def test_the_last_of_many_switches_counts(made: PluginRegistry) -> None:
    handle = made.register(Sample())
    for last in (made.disable, made.enable, made.disable):
        ways = [made.enable, made.disable, made.reload, made.enable, made.disable, last]
        await asyncio.gather(*(way("sample") for way in ways), made.plugin(handle), return_exceptions=True)
        assert handle.contributes is (last == made.enable)
        assert (handle.plugin is None) or handle.contributes


async def test_a_hundred_switches_leave_no_task_and_no_thread(made: PluginRegistry) -> None:
    handle = made.register(Sample())
    await made.disable("sample")
    tasks, threads = len(asyncio.all_tasks()), threading.active_count()
    for _ in range(100):
        await made.enable("sample")
        await made.plugin(handle)
        await made.disable("sample")
    await until(lambda: threading.active_count() <= threads)
    assert len(asyncio.all_tasks()) == tasks


async def test_a_removed_plugin_is_gone_and_never_runs_again(made: PluginRegistry) -> None:
    handle = made.register(Sample())
    enabling = asyncio.gather(made.unregister("sample"), made.enable("sample"), return_exceptions=True)
    await enabling
    assert names(handle_.manifest for handle_ in made.handles()) == ["zz-scripted"]
    with pytest.raises(PluginError):
        await handle.load()
    with pytest.raises(PluginError, match="no plugin named"):
        made.handle("sample")


async def test_reload_makes_a_fresh_object_and_keeps_it_on_or_off(made: PluginRegistry) -> None:
    handle = made.register(hook_plugin("fresh", on_request=lambda _: None))
    first = await made.plugin(handle)
    await made.reload("fresh")
    assert (await made.plugin(handle)) is not first
    await made.disable("fresh")
    assert (await made.reload("fresh")).state is PluginState.INSTALLED


async def test_a_guard_that_can_no_longer_be_described_goes_on_blocking(made: PluginRegistry) -> None:
    manifest = broken("censor", "SyntaxError", guard=True, hooks=("on_request",))
    made.register_manifest(manifest, enabled=True)
    assert names(made.hooks("on_request")) == ["censor", "zz-scripted"]
    await made.disable("censor")
    assert names(made.hooks("on_request")) == ["zz-scripted"]
    assert made.handle("censor").reason == "SyntaxError"


async def test_plugins_of_the_app_come_first_then_the_others_by_name(made: PluginRegistry) -> None:
    for name, publisher in (("b", "Someone"), ("z", "Jackfield"), ("a", "Someone"), ("y", "Jackfield")):
        made.register_manifest(Manifest(name, "1.0", publisher=publisher), enabled=True)
    assert names(made.handles()) == ["y", "z", "a", "b", "zz-scripted"]
    assert [handle.order for handle in made.handles()] == [1, 2, 3, 4, 5]


async def test_a_plugin_is_given_its_options_and_a_folder_of_its_own(tmp_path: Path) -> None:
    given: list[PluginContext] = []
    made = registry_with(tmp_path, Sample(on_init=given.append), options={"sample": {"depth": 3}})
    await made.plugin(made.handle("sample"))
    assert given[0].options == {"depth": 3}
    assert given[0].data_folder == tmp_path / "data" / "plugins" / "sample"
    assert given[0].logger.name == "jackfield.sample"
    with pytest.raises(TypeError):
        given[0].options["depth"] = 4  # type: ignore[index]


# -- any order ---

NAMES = ["alpha", "beta", "gamma", "delta"]


class SwitchingInAnyOrder(RuleBasedStateMachine):
    """Whatever the order of operations, queries are those of a set of names that are on."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        home = Path("never-written")
        self.registry = PluginRegistry(Paths(home, home, home))
        self.known: dict[str, bool] = {}

    def run(self, operation: Any) -> None:
        self.loop.run_until_complete(operation)

    @rule(name=st.sampled_from(NAMES), on=st.booleans())
    def register(self, name: str, on: bool) -> None:
        if name not in self.known:
            self.registry.register(Sample(name), enabled=on)
            self.known[name] = on

    @rule(name=st.sampled_from(NAMES), what=st.sampled_from(["enable", "disable", "unregister", "load"]))
    def switch(self, name: str, what: str) -> None:
        if name not in self.known:
            with pytest.raises(PluginError):
                self.registry.handle(name)
            return
        if what == "load":
            if self.known[name]:
                self.run(self.registry.plugin(self.registry.handle(name)))
            return
        self.run(getattr(self.registry, what)(name))
        if what == "unregister":
            del self.known[name]
        else:
            self.known[name] = what == "enable"

    @invariant()
    def queries_are_those_of_the_model(self) -> None:
        on = sorted(name for name, is_on in self.known.items() if is_on)
        assert names(self.registry.handles()) == sorted(self.known)
        assert names(self.registry.providers()) == [f"{name}-provider" for name in on]
        assert names(self.registry.commands()) == [f"{name}-command" for name in on]
        assert names(self.registry.hooks("on_request")) == on
        assert [entry.plugin for entry in self.registry.auth_methods()] == on
        for handle in self.registry.handles():
            assert handle.plugin is None or handle.name in on

    @invariant()
    def no_task_is_left(self) -> None:
        assert not asyncio.all_tasks(self.loop)

    def teardown(self) -> None:
        self.run(self.registry.aclose())
        self.loop.close()


TestSwitchingInAnyOrder = SwitchingInAnyOrder.TestCase
TestSwitchingInAnyOrder.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
