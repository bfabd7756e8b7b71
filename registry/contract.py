"""Checks that what a plugin says of itself is what the contract allows.

A plugin is code from outside: every value that it gives may be of any type, and every attribute may raise.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from registry.errors import JackfieldError, PluginError
from registry.plugin import Plugin
from registry.provider import Model, Provider
from registry.redaction import redact
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.command import Command

MAX_CONTRIBUTIONS = 1000
"""The most things of one kind that a plugin may contribute; one that never stops giving is refused."""
MAX_TEXT = 200
"""The longest text of one line that a plugin may say of itself, in characters."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_CONTRIBUTION_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION = re.compile(
    r"(?=.{1,64}\Z)(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9]+([._-][a-z0-9]+)*)?",
    re.IGNORECASE | re.ASCII,
)

_T = TypeVar("_T")


def check_name(plugin: Plugin) -> str:
    """The plugin's name.

    Raises:
        PluginError: there is none, or not one that the contract allows.
    """
    name = getattr(plugin, "name", None)
    if not is_plugin_name(name):
        raise PluginError(
            f"The plugin's name {show(name)} is not allowed",
            hint="A name has lower-case letters, digits and `-`, and begins with a letter.",
        )
    return str(name)


def is_plugin_name(name: object) -> bool:
    """Whether the contract allows this as the name of a plugin."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def check_version(plugin: Plugin) -> str:
    """The plugin's version.

    Raises:
        PluginError: there is none, or not one as PEP 440 has it.
    """
    version = getattr(plugin, "version", None)
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise PluginError(
            f"The plugin's version {show(version)} is not a version",
            hint="Write it as PEP 440 has it, such as 1.2.0.",
        )
    return version


def list_providers(plugin: Plugin) -> list[Provider]:
    """What `providers()` gives.

    Raises:
        PluginError: it breaks the contract.
        Exception: whatever the plugin raises.
    """
    providers = _listed("providers", plugin.providers, Provider)  # type: ignore[type-abstract]
    _check_names("provider", [getattr(provider, "name", None) for provider in providers])
    return providers


def list_commands(plugin: Plugin) -> list[Command]:
    """What `commands()` gives.

    Raises:
        PluginError: it breaks the contract.
        Exception: whatever the plugin raises.
    """
    from registry.command import Command

    commands = _listed("commands", plugin.commands, Command)
    _check_names("command", [command.name for command in commands])
    for command in commands:
        if not callable(command.run):
            raise PluginError(
                f"The command {command.name} cannot be run", hint="Give `run` an async function."
            )
    return commands


def list_auth_methods(plugin: Plugin) -> list[dict[str, Any]]:
    """What `auth_methods()` gives, as JSON data with every text made safe to show.

    Raises:
        PluginError: it breaks the contract, or a method cannot be as it is declared.
        Exception: whatever the plugin raises.
    """
    given = _declared(plugin.auth_methods)
    if not given:
        return []
    from registry.auth import ApiKey, Form, NoAuth, OAuthCode, OAuthDevice, load_method  # pydantic is loaded

    methods: list[dict[str, Any]] = []
    for method in given:
        if not isinstance(method, ApiKey | Form | NoAuth | OAuthCode | OAuthDevice):
            raise _wrong("auth_methods()", method, "an AuthMethod")
        data = _safe_json(method.model_dump(mode="json", warnings=False))
        load_method(data)  # a plugin can make one without the checks of its constructor
        methods.append(data)
    _check_unique("auth method", [method["name"] for method in methods])
    return methods


def _declared(auth_methods: Callable[[], Iterable[object]]) -> list[object]:
    """What a plugin declares; what pydantic says of a wrong declaration is put into words for people."""
    try:
        return _listed("auth_methods", auth_methods, object)
    except ValueError as error:
        if "pydantic" not in sys.modules:
            raise
        from pydantic import ValidationError

        from registry.auth import wrong_method

        if isinstance(error, ValidationError):
            raise wrong_method(error) from error
        raise


def list_models(provider: Provider) -> tuple[Model, ...]:
    """The models that a provider knows, with every text made safe to show.

    Raises:
        PluginError: they break the contract.
        Exception: whatever the plugin raises.
    """
    return tuple(
        _checked_model(model) for model in _listed("known_models", lambda: provider.known_models, Model)
    )


def _listed(method: str, call: Callable[[], Iterable[object]], kind: type[_T]) -> list[_T]:
    given: object = call()
    if inspect.iscoroutine(given):
        given.close()  # it is never awaited, and Python would complain about that on the screen
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise _wrong(method, given, "a list")
    things = list(islice(given, MAX_CONTRIBUTIONS + 1))
    if len(things) > MAX_CONTRIBUTIONS:
        raise PluginError(f"{method} gave more than {MAX_CONTRIBUTIONS} things", hint="Give fewer.")
    for thing in things:
        if not isinstance(thing, kind):
            raise _wrong(method, thing, f"a {kind.__name__}")
    return things


def _checked_model(model: Model) -> Model:
    counts = (model.context_window, model.output_limit)
    if any(count is not None and type(count) is not int for count in counts):
        raise PluginError(f"The model {show(model.id)} has a size that is not a whole number")
    if not model.id or line(model.id) != model.id:
        raise PluginError(
            f"The model id {show(model.id)} is not allowed",
            hint=f"An id is text of at most {MAX_TEXT} characters, all of them visible.",
        )
    modalities = tuple(line(modality) for modality in model.modalities)
    return Model(model.id, line(model.name), *counts, modalities, bool(model.reasoning), bool(model.tools))


def _check_names(what: str, names: list[object]) -> None:
    for name in names:
        if not isinstance(name, str) or not _CONTRIBUTION_NAME.fullmatch(name):
            raise PluginError(
                f"The {what} name {show(name)} is not allowed",
                hint="Use lower-case letters, digits, `-`, `_` and `.`.",
            )
    _check_unique(what, names)


def _check_unique(what: str, names: list[object]) -> None:
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise PluginError(f"It has the {what} {show(twice)} twice", hint="Give each a name of its own.")


def _safe_json(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _safe_json(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_safe_json(value) for value in data]
    return str(safe_text(data, limit=2000)) if isinstance(data, str) else data


def explain(error: BaseException) -> str:
    """What a plugin raised, as text that is safe to show. Never raises, whatever the error does."""
    try:
        text = str(error) if isinstance(error, JackfieldError) else f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001 - an error whose own text raises is told by its type
        text = type(error).__name__
    return safe_text(redact(text), limit=2000)


def line(text: object) -> str:
    """One line of a plugin's text, safe to show and not too long."""
    return safe_text(str(text), single_line=True, limit=MAX_TEXT)


def show(value: object) -> str:
    """A value of a plugin as code would write it, safe to show."""
    return safe_text(repr(value), single_line=True, limit=80)


def _wrong(what: str, given: object, wanted: str) -> PluginError:
    return PluginError(f"{what} gave a {line(type(given).__name__)}", hint=f"Give {wanted}.")
