"""Manifests: what is known of a plugin without running it, made by describing the plugin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from registry.errors import PluginError
from registry.plugin import HOOKS, Plugin, hooks_of
from registry.provider import Model, Provider
from registry.text import safe_text

_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_CONTRIBUTION_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION = re.compile(
    r"(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9]+([._-][a-z0-9]+)*)?", re.IGNORECASE
)


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

    def to_json(self) -> dict[str, Any]:
        """JSON data that `from_json` reads."""
        data = asdict(self)
        data["auth_methods"] = [dict(entry.data) for entry in self.auth_methods]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Manifest:
        """A manifest from what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        name = data["name"]
        return cls(
            **{
                key: data[key]
                for key in (
                    "version",
                    "summary",
                    "publisher",
                    "entry_point",
                    "guard",
                    "on_by_default",
                    "problem",
                )
            },
            name=name,
            runtime=Runtime(data["runtime"]),
            hooks=tuple(data["hooks"]),
            auth_methods=tuple(AuthMethodEntry(name, entry) for entry in data["auth_methods"]),
            providers=tuple(_provider_from_json(name, entry) for entry in data["providers"]),
            commands=tuple(CommandEntry(**{**entry, "plugin": name}) for entry in data["commands"]),
        )


def _provider_from_json(plugin: str, data: Mapping[str, Any]) -> ProviderEntry:
    models = tuple(Model(**{**model, "modalities": tuple(model["modalities"])}) for model in data["models"])
    return ProviderEntry(data["name"], data["title"], models, plugin)


def describe(plugin: Plugin, *, entry_point: str = "", publisher: str = "") -> Manifest:
    """The manifest of a plugin object. Every text of its own is made safe to show.

    Raises:
        PluginError: the plugin breaks the contract: a bad name or version, a contribution of the wrong type.
        Exception: whatever a method of the plugin raises.
    """
    name = check_name(plugin)
    return Manifest(
        name=name,
        version=_check_version(plugin),
        summary=safe_text(str(plugin.summary), single_line=True, limit=200),
        publisher=publisher,
        entry_point=entry_point,
        guard=bool(plugin.guard),
        on_by_default=bool(plugin.on_by_default),
        hooks=hooks_of(plugin),
        auth_methods=tuple(_describe_auth_methods(plugin)),
        providers=tuple(_describe_provider(name, provider) for provider in plugin.providers()),
        commands=tuple(_describe_commands(plugin)),
    )


def broken(name: str, problem: str, *, entry_point: str = "", publisher: str = "") -> Manifest:
    """The manifest of a plugin that could not be described."""
    return Manifest(
        name=safe_text(name, single_line=True, limit=64),
        version="",
        entry_point=entry_point,
        publisher=publisher,
        problem=safe_text(problem, limit=2000),
    )


def check_name(plugin: Plugin) -> str:
    """The plugin's name.

    Raises:
        PluginError: there is none, or not one that the contract allows.
    """
    name = getattr(plugin, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PluginError(
            f"The plugin's name {_show(name)} is not allowed",
            hint="A name has lower-case letters, digits and `-`, and begins with a letter.",
        )
    return name


def _check_version(plugin: Plugin) -> str:
    version = getattr(plugin, "version", None)
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise PluginError(
            f"The plugin's version {_show(version)} is not a version",
            hint="Write it as PEP 440 has it, such as 1.2.0.",
        )
    return version


def _describe_auth_methods(plugin: Plugin) -> Iterable[AuthMethodEntry]:
    from pydantic import BaseModel  # loaded by the plugin already if it has any auth method

    for method in plugin.auth_methods():
        if not isinstance(method, BaseModel):
            raise PluginError(f"auth_methods() gave a {type(method).__name__}", hint="Give an AuthMethod.")
        yield AuthMethodEntry(plugin.name, method.model_dump(mode="json"))


def _describe_provider(plugin: str, provider: Provider) -> ProviderEntry:
    if not isinstance(provider, Provider):
        raise PluginError(f"providers() gave a {type(provider).__name__}", hint="Give a Provider.")
    name = getattr(provider, "name", None)
    _check_contribution_name("provider", name)
    models = tuple(_safe_model(model) for model in provider.known_models)
    return ProviderEntry(str(name), _line(provider.title) or str(name), models, plugin)


def _safe_model(model: Model) -> Model:
    if not isinstance(model, Model):
        raise PluginError(f"known_models holds a {type(model).__name__}", hint="Give a Model.")
    return Model(
        _line(model.id),
        _line(model.name),
        model.context_window,
        model.output_limit,
        tuple(_line(modality) for modality in model.modalities),
        model.reasoning,
        model.tools,
    )


def _describe_commands(plugin: Plugin) -> Iterable[CommandEntry]:
    from registry.command import Command

    for command in plugin.commands():
        if not isinstance(command, Command):
            raise PluginError(f"commands() gave a {type(command).__name__}", hint="Give a Command.")
        _check_contribution_name("command", command.name)
        yield CommandEntry(command.name, _line(command.summary), _line(command.argument), plugin.name)


def _check_contribution_name(what: str, name: object) -> None:
    if not isinstance(name, str) or not _CONTRIBUTION_NAME.fullmatch(name):
        raise PluginError(
            f"The {what} name {_show(name)} is not allowed",
            hint="Use lower-case letters, digits, `-`, `_` and `.`.",
        )


def _line(text: str) -> str:
    return safe_text(str(text), single_line=True, limit=200)


def _show(value: object) -> str:
    return safe_text(repr(value), single_line=True, limit=80)


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
