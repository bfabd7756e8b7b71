"""Plugins and providers that behave, or misbehave, as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from jackfield import (
    AuthMethod,
    ChatRequest,
    Command,
    Finished,
    Message,
    Model,
    NoAuth,
    Plugin,
    PluginContext,
    Provider,
    StreamEvent,
    TextDelta,
)
from registry.paths import Paths
from registry.registry import PluginRegistry
from registry.turn import Turn, TurnEvent

HELLO: tuple[StreamEvent, ...] = (TextDelta("Hello"), TextDelta(" there"), Finished())


class ScriptedProvider(Provider):
    """Gives the events of a script; an exception in it is raised, a callable is awaited."""

    title = "Scripted"
    known_models = (Model("one", "Model one"),)

    def __init__(self, name: str = "scripted", script: Sequence[Any] = HELLO) -> None:
        self.name = name
        self.script = script
        self.requests: list[ChatRequest] = []
        self.credentials: list[object] = []
        self.stopped = 0
        self.closed = 0

    async def stream(self, request: ChatRequest, credential: object) -> AsyncIterator[StreamEvent]:
        self.requests.append(request)
        self.credentials.append(credential)
        try:
            for step in self.script:
                if isinstance(step, BaseException):
                    raise step
                if callable(step):
                    await step()
                else:
                    yield step
        finally:
            self.stopped += 1

    async def aclose(self) -> None:
        self.closed += 1


class Sample(Plugin):
    """One of everything; a method that is given as an exception raises it."""

    def __init__(
        self,
        name: str = "sample",
        version: str = "1.0.0",
        *,
        provider: Provider | None = None,
        fail: dict[str, BaseException] | None = None,
        on_init: Callable[[PluginContext], None] | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.provider = provider or ScriptedProvider(f"{name}-provider")
        self._fail = fail or {}
        self._on_init = on_init
        self.inits = 0

    def _raise(self, method: str) -> None:
        if method in self._fail:
            raise self._fail[method]

    def on_init(self, ctx: PluginContext) -> None:
        self.inits += 1
        self._raise("on_init")
        if self._on_init:
            self._on_init(ctx)

    def providers(self) -> Sequence[Provider]:
        self._raise("providers")
        return [self.provider]

    def commands(self) -> Sequence[Command]:
        self._raise("commands")
        return [Command(f"{self.name}-command", "Does it", _nothing)]

    def auth_methods(self) -> Sequence[AuthMethod]:
        self._raise("auth_methods")
        return [NoAuth()]

    async def on_request(self, request: ChatRequest) -> None:
        self._raise("on_request")


async def _nothing(_call: object) -> None:
    return None


def hook_plugin(name: str = "hooked", *, guard: bool = False, **hooks: Any) -> Plugin:
    """A plugin with the hooks that are given as functions without `self`."""
    methods = {hook: staticmethod(function) for hook, function in hooks.items()}
    made: type[Plugin] = type(
        "Hooked", (Plugin,), {"name": name, "version": "1.0", "guard": guard, **methods}
    )
    return made()


def registry_with(
    folder: Path, *plugins: Plugin, script: Sequence[Any] = HELLO, **options: Any
) -> PluginRegistry:
    """A registry with these plugins, and `scripted` to answer."""
    registry = PluginRegistry(Paths(folder / "config", folder / "data", folder / "cache"), **options)
    _open.append(registry)
    registry.register(Sample("zz-scripted", provider=ScriptedProvider("scripted", script)))
    for plugin in plugins:
        registry.register(plugin)
    return registry


def scripted(registry: PluginRegistry) -> ScriptedProvider:
    """The provider that `registry_with` put in."""
    given = registry.handle("zz-scripted").given
    assert isinstance(given, Sample)
    assert isinstance(given.provider, ScriptedProvider)
    return given.provider


def turn_of(registry: PluginRegistry, prompt: str = "Hi", **options: Any) -> Turn:
    """A turn of one prompt with the scripted provider."""
    return Turn(registry, ChatRequest("one", [Message.of("user", prompt)], "scripted"), **options)


async def collect(turn: Turn) -> list[TurnEvent]:
    """Everything that a turn gives."""
    return [event async for event in turn.events()]


async def until(condition: Callable[[], object], limit_s: float = 20.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - what is waited for knows no event
            await asyncio.sleep(0.005)


async def close_all_registries() -> None:
    """Close what `registry_with` made, so that no thread of one test is left for the next."""
    while _open:
        await _open.pop().aclose()


_open: list[PluginRegistry] = []
