"""A plugin whose code runs: its object, what it gave, and all that has to end with it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from registry.contract import explain, list_commands, list_providers
from registry.errors import JackfieldError, PluginError
from registry.plugin import Plugin, PluginContext
from registry.text import safe_text
from registry.threads import LimitReachedError, call_with_limit

if TYPE_CHECKING:
    from registry.command import Command
    from registry.provider import Provider

LOAD_LIMIT_S = 20.0
"""How long importing and initialising a plugin may take, in seconds."""
CLOSE_LIMIT_S = 3.0
"""How long each thing that a plugin asked to close may take, in seconds."""


@dataclass(frozen=True, slots=True)
class Corner:
    """What a plugin is given when it is loaded."""

    plugin: str
    options: Mapping[str, object]
    data_folder: Path


@dataclass(slots=True)
class Running:
    """A loaded plugin."""

    plugin: Plugin
    providers: Mapping[str, Provider]
    commands: Mapping[str, Command]
    closers: list[Callable[[], object]] = field(default_factory=list)

    @property
    def given_up(self) -> str:
        """Why it is not to be used any more: a plugin with a process of its own may crash too often."""
        return str(getattr(self.plugin, "given_up", ""))

    async def close(self) -> str:
        """End everything; why something did not end well, or nothing."""
        closers = [*self.closers, *(provider.aclose for provider in reversed(list(self.providers.values())))]
        self.closers.clear()
        return await close_all(closers, self.plugin.name)


async def start(make: Callable[[], Plugin], corner: Corner) -> Running:
    """Make a plugin, initialise it and ask what it contributes, all in a thread.

    Whatever the plugin asked to close is closed if this fails, is cancelled or takes too long, also when
    the plugin only asks for it after that.

    Raises:
        PluginError: the plugin raised, broke the contract or took more than `LOAD_LIMIT_S` seconds.
    """
    closers: list[Callable[[], object]] = []

    def run() -> Running:
        plugin = make()
        _initialise(plugin, corner, closers)
        providers = {provider.name: provider for provider in list_providers(plugin)}
        commands = {command.name: command for command in list_commands(plugin)}
        return Running(plugin, providers, commands, closers)

    def close_late() -> asyncio.Future[str]:
        closing = asyncio.ensure_future(close_all(closers, corner.plugin))
        keep_until_done(closing)
        return closing

    try:
        return await call_with_limit(
            run, limit_s=LOAD_LIMIT_S, name=f"load {corner.plugin}", when_late=close_late
        )
    except asyncio.CancelledError:
        await asyncio.wait({close_late()})
        raise
    except Exception as error:
        await close_all(closers, corner.plugin)
        raise _plugin_error(corner.plugin, error) from error


def _initialise(plugin: Plugin, corner: Corner, closers: list[Callable[[], object]]) -> None:
    context = PluginContext(
        corner.plugin,
        MappingProxyType(dict(corner.options)),
        corner.data_folder,
        logging.getLogger(f"jackfield.{corner.plugin}"),
        closers,
    )
    returned: object = plugin.on_init(context)  # type: ignore[func-returns-value]
    if inspect.isawaitable(returned):
        if inspect.iscoroutine(returned):
            returned.close()  # it is never awaited, and Python would complain about that on the screen
        raise PluginError("on_init() is async", hint="Write it as a plain function; it runs in a thread.")


def _plugin_error(name: str, error: Exception) -> PluginError:
    title = f"The plugin {name} could not be loaded"
    hint = "Switch it on again to retry, or tell its author."
    detail = explain(error)
    if isinstance(error, LimitReachedError):
        return PluginError(f"The plugin {name} did not start within {LOAD_LIMIT_S:g} s", hint=hint)
    if isinstance(error, JackfieldError):
        hint = safe_text(error.hint or hint, limit=500)
        plain = JackfieldError(error.title, detail=error.detail)  # the hint stands below
        detail = explain(plain)
        if error.title == title:  # a process of its own said so already
            detail = safe_text(error.detail, limit=2000)
    return PluginError(title, detail=detail, hint=hint)


async def close_all(closers: list[Callable[[], object]], plugin: str) -> str:
    """Call everything that a plugin asked to close, the last first; why one of them failed, or nothing."""
    reason = ""
    while closers:
        reason = await _close_one(closers.pop(), plugin) or reason
    return reason


async def _close_one(close: Callable[[], object], plugin: str) -> str:
    """Run one of them as a task, so that one that ignores its cancellation is left behind at the limit."""
    task = asyncio.ensure_future(_call(close, plugin))
    keep_until_done(task)
    done, _ = await asyncio.wait({task}, timeout=CLOSE_LIMIT_S)
    if not done:
        task.cancel()
        return f"It did not close within {CLOSE_LIMIT_S:g} s."
    return task.result()


async def _call(close: Callable[[], object], plugin: str) -> str:
    try:
        if inspect.iscoroutinefunction(close):
            await close()
        else:
            returned = await call_with_limit(close, limit_s=CLOSE_LIMIT_S, name=f"close {plugin}")
            if inspect.isawaitable(returned):
                await _as_coroutine(returned)
    except LimitReachedError:
        return f"It did not close within {CLOSE_LIMIT_S:g} s."
    except BaseException as error:  # noqa: BLE001 - the border to a plugin's code: the rest is closed all the same
        return f"It did not close well: {explain(error)}"
    return ""


async def _as_coroutine(awaitable: Awaitable[object]) -> object:
    return await awaitable


_unfinished: set[asyncio.Future[str]] = set()


def keep_until_done(task: asyncio.Future[str]) -> None:
    """Hold on to a task that nobody else does: the event loop itself would let it be collected."""
    _unfinished.add(task)
    task.add_done_callback(_unfinished.discard)
