"""Parameters of a conversation: what the chosen model takes, and whether a value is one of that."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.chat import ParameterValue
from registry.contract import explain, line
from registry.errors import JackfieldError, PluginError
from registry.models import ModelChoice
from registry.provider import Parameter
from registry.registry import PluginRegistry

ASKING_LIMIT_S = 5.0
"""How long a provider may take to say what its model accepts, in seconds."""
_MOST_PARAMETERS = 50
_MOST_CHOICES = 50
_KINDS = ("number", "whole", "choice", "switch")
_WORDS_TRUE = frozenset({"true", "yes", "on"})
_WORDS_FALSE = frozenset({"false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Sorted:
    """The parameters of a conversation, by whether a model takes them."""

    taken: Mapping[str, ParameterValue]
    refused: tuple[str, ...] = ()
    """Each with its value and the reason, for people to read."""


async def accepted_parameters(registry: PluginRegistry, choice: ModelChoice) -> tuple[Parameter, ...]:
    """What a user may set for this model, as its provider says; its code is loaded for it.

    Texts are made safe to show; what makes no sense is left out.

    Raises:
        JackfieldError: the provider's plugin cannot be loaded, or failed to say it in time.
    """
    provider = await registry.provider(choice.provider.name)
    try:
        async with asyncio.timeout(ASKING_LIMIT_S):
            given: Iterable[object] = await provider.parameters(choice.model)
        return tuple(
            _made_safe(parameter)
            for parameter in list(given)[:_MOST_PARAMETERS]
            if isinstance(parameter, Parameter) and _is_sound(parameter)
        )
    except Exception as error:
        raise PluginError(
            f"{choice.provider.title} failed to say what can be set",
            detail=explain(error),
            hint="Switch its plugin off, or tell its author.",
        ) from error


def read_value(parameter: Parameter, text: str) -> ParameterValue:
    """What a user typed, as a value that the model takes.

    Raises:
        JackfieldError: it is none; the title says what is wrong, and what would be right.
    """
    typed = text.strip()
    value = _parse(parameter, typed)
    wrong = f"{parameter.title or parameter.name} cannot be {line(typed[:40])!r}" if value is None else ""
    if value is not None:
        wrong = problem_with(parameter, value)
    if value is None or wrong:
        raise JackfieldError(wrong, hint=f"Give {limits_in_words(parameter)}.")
    return value


def problem_with(parameter: Parameter, value: ParameterValue) -> str:
    """Why the model does not take this value; empty when it does."""
    name = parameter.title or parameter.name
    match parameter.kind:
        case "choice":
            return "" if value in parameter.choices else f"{name} cannot be {line(value)}"
        case "switch":
            return "" if isinstance(value, bool) else f"{name} is on or off"
        case kind:
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                return f"{name} is a number"
            if kind == "whole" and value != int(value):
                return f"{name} is a whole number"
            if parameter.least is not None and value < parameter.least:
                return f"{name} is at least {in_words(parameter.least)}"
            if parameter.most is not None and value > parameter.most:
                return f"{name} is at most {in_words(parameter.most)}"
            return ""


def sort_out(parameters: Mapping[str, ParameterValue], accepted: Sequence[Parameter]) -> Sorted:
    """Which of the values a model takes, and why not the others."""
    known = {parameter.name: parameter for parameter in accepted}
    taken: dict[str, ParameterValue] = {}
    refused: list[str] = []
    for name, value in parameters.items():
        if name not in known:
            refused.append(in_brief({name: value}))
        elif problem_with(known[name], value):
            refused.append(f"{in_brief({name: value})} (it takes {limits_in_words(known[name])})")
        else:
            taken[name] = value
    return Sorted(taken, tuple(refused))


def limits_in_words(parameter: Parameter) -> str:
    """What a parameter takes: `a number from 0 to 2`, `low, medium or high`."""
    match parameter.kind:
        case "choice":
            *most, last = parameter.choices
            return f"{', '.join(most)} or {last}" if most else last
        case "switch":
            return "on or off"
        case kind:
            what = "a whole number" if kind == "whole" else "a number"
            unit = f" {parameter.unit}" if parameter.unit else ""
            least, most_ = parameter.least, parameter.most
            if least is not None and most_ is not None:
                return f"{what} from {in_words(least)} to {in_words(most_)}{unit}"
            if least is not None:
                return f"{what} of at least {in_words(least)}{unit}"
            return f"{what} of at most {in_words(most_)}{unit}" if most_ is not None else what


def in_words(value: ParameterValue) -> str:
    """A value for people: `0.7`, `128 000`, `high`, `on`."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float):
        return f"{int(value):,}".replace(",", " ") if value == int(value) else f"{value:g}"
    return line(value)


def in_brief(parameters: Mapping[str, ParameterValue]) -> str:
    """Parameters on one line: `temperature 0.7, effort high`."""
    return ", ".join(
        f"{line(name).replace('_', ' ')} {in_words(value)}" for name, value in parameters.items()
    )


def _parse(parameter: Parameter, typed: str) -> ParameterValue | None:
    match parameter.kind:
        case "choice":
            return typed.lower() if typed.lower() in parameter.choices else typed or None
        case "switch":
            word = typed.lower()
            return True if word in _WORDS_TRUE else False if word in _WORDS_FALSE else None
        case kind:
            plain = typed.replace(" ", "").replace("_", "")
            try:
                number = float(plain)
            except ValueError:
                return None
            if not math.isfinite(number):
                return None
            return int(number) if kind == "whole" and number == int(number) else number


def _is_sound(parameter: Any) -> bool:
    limits = (parameter.least, parameter.most)
    numbers = all(
        limit is None or (isinstance(limit, int | float) and not isinstance(limit, bool)) for limit in limits
    )
    choices = isinstance(parameter.choices, tuple) and all(
        isinstance(choice, str) and choice and line(choice) == choice for choice in parameter.choices
    )
    named = isinstance(parameter.name, str) and parameter.name and line(parameter.name) == parameter.name
    offers = parameter.kind != "choice" or bool(parameter.choices)
    return bool(named and parameter.kind in _KINDS and numbers and choices and offers)


def _made_safe(parameter: Parameter) -> Parameter:
    return Parameter(
        parameter.name,
        parameter.kind,
        line(parameter.title) or parameter.name.replace("_", " ").capitalize(),
        parameter.least,
        parameter.most,
        parameter.choices[:_MOST_CHOICES],
        line(parameter.unit),
    )
