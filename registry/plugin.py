"""The contract: what a plugin is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from registry.capabilities import Capabilities

if TYPE_CHECKING:
    import logging

    import httpx

    from registry.auth import AuthMethod, Credential
    from registry.chat import ChatRequest, ChatResponse, StreamEvent
    from registry.command import Command
    from registry.provider import Provider


class Plugin:
    """Base class of every plugin. Only `name` and `version` are required.

    A hook is a method that a subclass overrides. It may be `async` or plain; it works on a copy, has a time
    limit, and when it raises the app goes on without it.
    """

    name: str
    """Unique among all plugins: lower-case letters, digits and `-`, beginning with a letter."""
    version: str
    """As PEP 440 has it, such as `1.2.0`."""
    summary: str = ""
    """What it is for, in one line."""
    guard: bool = False
    """A guard fails closed: when one of its hooks fails, nothing is sent and no answer is shown."""

    capabilities: Capabilities = Capabilities()
    """What it asks for: hosts, environment variables, folders."""
    data_files: Sequence[Path] = ()
    """Files beside its code that decide what it contributes; when one changes it is described anew."""
    on_by_default: bool = False
    """Whether it is on before the user chose; heeded for plugins that are part of the app only."""

    def on_init(self, ctx: PluginContext) -> None:
        """Called once after the plugin is switched on and before it is first used."""

    def auth_methods(self) -> Sequence[AuthMethod]:
        """The ways to sign in."""
        return ()

    async def verify(self, credential: Credential) -> None:
        """Find out whether a credential is good, right after the user signed in.

        A plugin that does not override it has its models listed instead.

        Raises:
            ProviderError: it is not; or that could not be found out.
        """

    def providers(self) -> Sequence[Provider]:
        """Who answers chat requests."""
        return ()

    def commands(self) -> Sequence[Command]:
        """Slash commands."""
        return ()

    async def on_request(self, request: ChatRequest) -> None:
        """Change a request in place before it is sent."""

    async def on_response(self, response: ChatResponse) -> None:
        """Change a finished answer in place before it is kept."""

    async def on_event(self, event: StreamEvent) -> StreamEvent | None:
        """Give back the event, another one in its place, or None to drop it."""
        return event


HOOKS = ("on_request", "on_response", "on_event")
"""The methods of `Plugin` that are hooks."""


def hooks_of(plugin: Plugin) -> tuple[str, ...]:
    """The hooks that a plugin overrides, in the order of `HOOKS`."""
    return tuple(name for name in HOOKS if getattr(type(plugin), name, None) is not getattr(Plugin, name))


def verifies(plugin: Plugin) -> bool:
    """Whether a plugin finds out by itself whether a credential is good."""
    return getattr(type(plugin), "verify", None) is not Plugin.verify


@dataclass(frozen=True, slots=True)
class PluginContext:
    """What a plugin is given: a corner of its own and nothing more."""

    plugin: str
    options: Mapping[str, object]
    """The table `[plugins.NAME.options]` of config.toml."""
    data_folder: Path
    """A folder of its own. It exists once `data_folder.mkdir(parents=True, exist_ok=True)` was called."""
    logger: logging.Logger
    _closers: list[Callable[[], object]] = field(default_factory=list, repr=False)

    def on_close(self, close: Callable[[], object]) -> None:
        """Have something called when the plugin is switched off; a coroutine function is awaited.

        The last one given is called first.
        """
        self._closers.append(close)

    def http_client(
        self, *, base_url: str = "", local: bool = False, reasoning: bool = False
    ) -> httpx.AsyncClient:
        """A client of this plugin's own, closed with it.

        The options `ca_bundle` (a PEM file) and `proxy` (an address) of the plugin are heeded.

        Args:
            base_url: what relative addresses are joined to.
            local: the server runs on this machine: connect within 2 s, wait up to 30 min for bytes (it may
                be loading a model), and use no proxy.
            reasoning: the server sends nothing while its model thinks: wait up to 15 min for bytes.

        Raises:
            ConfigError: one of these options cannot be used.
        """
        from registry.http import create_client  # httpx is heavy and not every plugin needs it

        client = create_client(
            base_url=base_url,
            local=local,
            reasoning=reasoning,
            ca_bundle=self._text_option("ca_bundle"),
            proxy=self._text_option("proxy"),
        )
        self.on_close(client.aclose)
        return client

    def _text_option(self, name: str) -> str | None:
        value = self.options.get(name)
        if value is None or isinstance(value, str):
            return value
        from registry.errors import ConfigError

        raise ConfigError(f"The option {name} of {self.plugin} is no text", hint=f'Write {name} = "...".')
