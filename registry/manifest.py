"""Manifests: what is known of a plugin without running it, made by describing the plugin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from registry.capabilities import Capabilities, check_capabilities
from registry.contract import (
    check_name,
    check_version,
    line,
    list_auth_methods,
    list_commands,
    list_models,
    list_providers,
)
from registry.errors import PluginError
from registry.launch import Launch
from registry.plugin import HOOKS, Plugin, hooks_of, verifies
from registry.provider import Model, Provider
from registry.text import safe_text

Kind: TypeAlias = Literal["provider", "auth", "command", "hook"]
"""A kind of what a plugin contributes."""


class Runtime(StrEnum):
    """Where a plugin's code runs."""

    BUILTIN = "builtin"
    PROCESS = "process"
    WASM = "wasm"


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A provider as a manifest has it."""

    name: str
    title: str
    models: tuple[Model, ...] = ()
    plugin: str = ""


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A slash command as a manifest has it."""

    name: str
    summary: str
    argument: str = ""
    plugin: str = ""


@dataclass(frozen=True, slots=True)
class AuthMethodEntry:
    """An auth method as a manifest has it: its JSON form, checked when it is first used."""

    plugin: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known of one plugin."""

    name: str
    version: str
    summary: str = ""
    publisher: str = ""
    runtime: Runtime = Runtime.BUILTIN
    entry_point: str = ""
    """`module:attribute`; empty for a plugin that was registered as an object."""
    guard: bool = False
    on_by_default: bool = False
    """Heeded for plugins that are part of the app only."""
    hooks: tuple[str, ...] = ()
    auth_methods: tuple[AuthMethodEntry, ...] = ()
    providers: tuple[ProviderEntry, ...] = ()
    commands: tuple[CommandEntry, ...] = ()
    problem: str = ""
    """Why it could not be described; such a plugin cannot be switched on."""
    capabilities: Capabilities = field(default_factory=Capabilities)
    """What it asks for beyond its contributions."""
    verifies: bool = False
    """Whether it finds out by itself whether a credential is good."""
    launch: Launch | None = None
    """How its process is started, if its runtime is one."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of what it contributes."""
        found: dict[Kind, Sequence[object]] = {
            "provider": self.providers,
            "auth": self.auth_methods,
            "command": self.commands,
            "hook": self.hooks,
        }
        return tuple(kind for kind, contributions in found.items() if contributions)

    def to_json(self) -> dict[str, Any]:
        """JSON data that `from_json` reads."""
        data = asdict(self)
        data["auth_methods"] = [dict(entry.data) for entry in self.auth_methods]
        data["launch"] = None if self.launch is None else self.launch.to_json()
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Manifest:
        """A manifest from what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        name = _text(data["name"])
        return cls(
            name,
            _text(data["version"]),
            _text(data["summary"]),
            _text(data["publisher"]),
            Runtime(data["runtime"]),
            _text(data["entry_point"]),
            _truth(data["guard"]),
            _truth(data["on_by_default"]),
            tuple(_hook(hook) for hook in data["hooks"]),
            tuple(AuthMethodEntry(name, _table(entry)) for entry in data["auth_methods"]),
            tuple(_provider_from_json(name, entry) for entry in data["providers"]),
            tuple(_command_from_json(name, entry) for entry in data["commands"]),
            _text(data["problem"]),
            _capabilities_from_json(data["capabilities"]),
            _truth(data["verifies"]),
            None if data["launch"] is None else Launch.from_json(data["launch"]),
        )


def _capabilities_from_json(data: Mapping[str, Any]) -> Capabilities:
    try:
        return check_capabilities(Capabilities(**data))
    except PluginError as error:
        raise ValueError(error.title) from error


def _provider_from_json(plugin: str, data: Mapping[str, Any]) -> ProviderEntry:
    models = tuple(_model_from_json(model) for model in data["models"])
    return ProviderEntry(_text(data["name"]), _text(data["title"]), models, plugin)


def _model_from_json(data: Mapping[str, Any]) -> Model:
    return Model(
        _text(data["id"]),
        _text(data["name"]),
        _count(data["context_window"]),
        _count(data["output_limit"]),
        tuple(_text(modality) for modality in data["modalities"]),
        _truth(data["reasoning"]),
        _truth(data["tools"]),
    )


def _command_from_json(plugin: str, data: Mapping[str, Any]) -> CommandEntry:
    return CommandEntry(_text(data["name"]), _text(data["summary"]), _text(data["argument"]), plugin)


def _text(value: object) -> str:
    if type(value) is not str:
        raise TypeError(f"{type(value).__name__} instead of text")
    return value


def _table(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):  # `dict` would make one of pairs, too
        raise TypeError(f"{type(value).__name__} instead of a table")
    return {_text(name): each for name, each in value.items()}


def _truth(value: object) -> bool:
    if type(value) is not bool:
        raise TypeError(f"{type(value).__name__} instead of true or false")
    return value


def _count(value: object) -> int | None:
    if value is not None and type(value) is not int:
        raise TypeError(f"{type(value).__name__} instead of a whole number")
    return value


def _hook(value: object) -> str:
    if value not in HOOKS:
        raise ValueError("no such hook")
    return str(value)


def describe(plugin: Plugin, *, entry_point: str = "", publisher: str = "") -> Manifest:
    """The manifest of a plugin object. Every text of its own is made safe to show.

    Raises:
        PluginError: the plugin breaks the contract: a bad name or version, a contribution of the wrong type.
        Exception: whatever a method of the plugin raises.
    """
    name = check_name(plugin)
    return Manifest(
        name=name,
        version=check_version(plugin),
        summary=line(plugin.summary),
        publisher=publisher,
        entry_point=entry_point,
        guard=bool(plugin.guard),
        on_by_default=bool(plugin.on_by_default),
        hooks=hooks_of(plugin),
        verifies=verifies(plugin),
        capabilities=check_capabilities(plugin.capabilities),
        auth_methods=tuple(AuthMethodEntry(name, method) for method in list_auth_methods(plugin)),
        providers=tuple(_describe_provider(name, provider) for provider in list_providers(plugin)),
        commands=tuple(
            CommandEntry(command.name, line(command.summary), line(command.argument), name)
            for command in list_commands(plugin)
        ),
    )


def _describe_provider(plugin: str, provider: Provider) -> ProviderEntry:
    return ProviderEntry(provider.name, line(provider.title) or provider.name, list_models(provider), plugin)


def broken(
    name: str,
    problem: str,
    *,
    entry_point: str = "",
    publisher: str = "",
    guard: bool = False,
    hooks: tuple[str, ...] = (),
) -> Manifest:
    """The manifest of a plugin that could not be described.

    Args:
        name: how it is called until it can say so itself.
        problem: why it could not be described.
        entry_point: as `Manifest` has it.
        publisher: as `Manifest` has it.
        guard: whether it was a guard when it was last described.
        hooks: the hooks it had then; a guard among them goes on blocking, since nobody does its work.
    """
    return Manifest(
        name=safe_text(name, single_line=True, limit=64),
        version="",
        entry_point=entry_point,
        publisher=publisher,
        guard=guard,
        hooks=hooks,
        problem=safe_text(problem, limit=2000) or "It could not be described.",
    )


__all__ = [
    "HOOKS",
    "AuthMethodEntry",
    "CommandEntry",
    "Manifest",
    "ProviderEntry",
    "Runtime",
    "broken",
    "check_name",
    "describe",
]
