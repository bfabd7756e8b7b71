"""What a model accepts: asked of its provider, made safe, and checked against what a user typed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from jackfield import (
    ChatRequest,
    Credential,
    Finished,
    JackfieldError,
    Model,
    Parameter,
    Plugin,
    Provider,
    StreamEvent,
)
from providers.anthropic import AnthropicProvider
from providers.compatible import FAMILY
from providers.gemini import GeminiProvider
from providers.local import MODEL, LocalProvider
from providers.openai import OpenAIProvider
from registry.config import load_config
from registry.models import choose_model
from registry.parameters import (
    accepted_parameters,
    in_brief,
    limits_in_words,
    read_value,
    sort_out,
)
from registry.paths import find_paths
from registry.registry import PluginRegistry
from registry.startup import make_registry

TEMPERATURE = Parameter.temperature(1)
LENGTH = Parameter.max_tokens(64_000)
EFFORT = Parameter.effort(("low", "high"))
SWITCH = Parameter("search", "switch", title="Search")


class Told(Provider):
    """Says of its model what a test wants."""

    name = "told"
    known_models = (Model("m"),)

    def __init__(self, given: Any) -> None:
        self._given = given

    async def parameters(self, model: Model) -> Sequence[Parameter]:
        if isinstance(self._given, Exception):
            raise self._given
        return self._given  # type: ignore[no-any-return]

    async def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        yield Finished()


class Silent(Told):
    """Says nothing of parameters."""

    parameters = Provider.parameters


class ToldPlugin(Plugin):
    name = "told"
    version = "1"

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def providers(self) -> Sequence[Provider]:
        return [self._provider]


def registry_of(provider: Provider) -> PluginRegistry:
    paths = find_paths()
    registry = make_registry(paths, load_config(paths).settings)
    registry.register(ToldPlugin(provider))
    return registry


async def asked(given: Any) -> tuple[Parameter, ...]:
    registry = registry_of(Told(given))
    return await accepted_parameters(registry, choose_model(registry, "told/m"))


# -- values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "typed", "value"),
    [
        (TEMPERATURE, " 0.7 ", 0.7),
        (TEMPERATURE, "0", 0.0),
        (TEMPERATURE, "1", 1.0),
        (LENGTH, "64 000", 64_000),
        (LENGTH, "4_096", 4096),
        (EFFORT, "HIGH", "high"),
        (SWITCH, "on", True),
        (SWITCH, "No", False),
    ],
)
def test_what_was_typed_becomes_a_value(parameter: Parameter, typed: str, value: object) -> None:
    read = read_value(parameter, typed)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("parameter", "typed", "says"),
    [
        (TEMPERATURE, "1.1", "Temperature is at most 1"),
        (TEMPERATURE, "-1", "Temperature is at least 0"),
        (TEMPERATURE, "hot", "Temperature cannot be 'hot'"),
        (TEMPERATURE, "nan", "Temperature cannot be 'nan'"),
        (TEMPERATURE, "1e999", "Temperature cannot be '1e999'"),
        (LENGTH, "0", "Max tokens is at least 1"),
        (LENGTH, "1.5", "Max tokens is a whole number"),
        (LENGTH, "64001", "Max tokens is at most 64 000"),
        (EFFORT, "medium", "Effort cannot be medium"),
        (SWITCH, "maybe", "Search cannot be 'maybe'"),
    ],
)
def test_what_the_model_does_not_take_is_refused_in_words(
    parameter: Parameter, typed: str, says: str
) -> None:
    with pytest.raises(JackfieldError) as caught:
        read_value(parameter, typed)
    assert caught.value.title == says
    assert limits_in_words(parameter) in caught.value.hint


def test_limits_are_told_in_words() -> None:
    assert limits_in_words(TEMPERATURE) == "a number from 0 to 1"
    assert limits_in_words(LENGTH) == "a whole number from 1 to 64 000 tokens"
    assert limits_in_words(Parameter.max_tokens()) == "a whole number of at least 1 tokens"
    assert limits_in_words(EFFORT) == "low or high"
    assert limits_in_words(SWITCH) == "on or off"


def test_values_of_one_model_are_sorted_by_what_another_takes() -> None:
    held = sort_out({"temperature": 1.5, "max_tokens": 100, "effort": "low"}, (TEMPERATURE, LENGTH))
    assert held.taken == {"max_tokens": 100}
    assert held.refused == ("temperature 1.5 (it takes a number from 0 to 1)", "effort low")


def test_a_set_of_values_is_told_in_one_line() -> None:
    assert in_brief({"temperature": 0.7, "max_tokens": 2000, "s\x1b[1m": True}) == (
        "temperature 0.7, max tokens 2 000, s on"
    )


# -- asking -------------------------------------------------------------------------------------------------


async def test_a_provider_that_says_nothing_takes_nothing() -> None:
    registry = registry_of(Silent(None))
    assert await accepted_parameters(registry, choose_model(registry, "told/m")) == ()


async def test_what_a_provider_says_is_made_safe_and_nonsense_is_left_out() -> None:
    given = [
        Parameter("heat", title="He\x1b[31mat", unit="de\x07g"),
        Parameter("cold"),
        Parameter("empty", "choice"),
        Parameter("evil\x1b", "number"),
        Parameter("odd", "colour"),  # type: ignore[arg-type]
        Parameter("wrong", least="0"),  # type: ignore[arg-type]
        "temperature",
    ]
    heat, cold = await asked(given)
    assert (heat.title, heat.unit, cold.title) == ("Heat", "deg", "Cold")


@pytest.mark.parametrize("given", [ZeroDivisionError("by [/zero]"), None, 3])
async def test_a_provider_that_fails_to_say_it_is_an_error_to_act_on(given: Any) -> None:
    with pytest.raises(JackfieldError, match="failed to say what can be set") as caught:
        await asked(given)
    assert caught.value.hint


# -- the built-in providers ---------------------------------------------------------------------------------


async def names(provider: Provider, model: Model) -> dict[str, str]:
    return {each.name: limits_in_words(each) for each in await provider.parameters(model)}


async def test_claude_takes_a_temperature_only_where_it_still_does() -> None:
    provider = AnthropicProvider()
    assert await names(provider, Model("claude-sonnet-4-5")) == {
        "temperature": "a number from 0 to 1",
        "max_tokens": "a whole number from 1 to 64 000 tokens",
    }
    assert await names(provider, Model("claude-sonnet-5", output_limit=128_000)) == {
        "max_tokens": "a whole number from 1 to 128 000 tokens",
        "effort": "low, medium, high, xhigh or max",
    }
    assert set(await names(provider, Model("claude-of-tomorrow"))) == {"temperature", "max_tokens", "effort"}


@pytest.mark.parametrize(
    ("model", "efforts"),
    [
        ("gpt-5-mini", "minimal, low, medium or high"),
        ("gpt-5-2025-08-07", "minimal, low, medium or high"),
        ("gpt-5.1", "none, low, medium or high"),
        ("gpt-5.4-nano", "none, low, medium, high or xhigh"),
        ("o3", "low, medium or high"),
        ("gpt-6-sol", "none, minimal, low, medium, high, xhigh or max"),
    ],
)
async def test_a_thinking_gpt_takes_an_effort_and_no_temperature(model: str, efforts: str) -> None:
    taken = await names(OpenAIProvider(), Model(model, output_limit=128_000))
    assert taken == {"max_tokens": "a whole number from 16 to 128 000 tokens", "effort": efforts}


async def test_a_gpt_that_does_not_think_takes_a_temperature_and_no_effort() -> None:
    assert set(await names(OpenAIProvider(), Model("gpt-4.1"))) == {"temperature", "max_tokens"}


@pytest.mark.parametrize(
    ("model", "efforts"),
    [
        ("gemini-2.5-pro", "minimal, low, medium or high"),
        ("gemini-2.5-flash", "none, minimal, low, medium or high"),
        ("gemini-3.6-flash", "minimal, low, medium or high"),
        ("gemini-4-argon", "low, medium or high"),
        ("gemma-4", "minimal or high"),
        ("gemini-2.0-flash", None),
    ],
)
async def test_gemini_offers_the_efforts_that_make_a_difference(model: str, efforts: str | None) -> None:
    taken = await names(GeminiProvider(), Model(model))
    assert taken["temperature"] == "a number from 0 to 2"
    assert taken.get("effort") == efforts


async def test_a_compatible_endpoint_offers_what_its_row_says() -> None:
    deepseek, mistral, groq = (FAMILY.make(name).providers()[0] for name in ("deepseek", "mistral", "groq"))
    assert (await names(deepseek, Model("deepseek-flash")))["effort"] == "none, low, high or max"
    assert "effort" not in await names(mistral, Model("codestral-latest"))
    assert (await names(mistral, Model("mistral-small-latest")))["effort"] == "none or high"
    assert (await names(groq, Model("unheard-of")))["effort"].startswith("none, minimal")


async def test_the_offline_model_takes_a_temperature_and_a_length() -> None:
    assert await names(LocalProvider(), MODEL) == {
        "temperature": "a number from 0 to 2",
        "max_tokens": "a whole number from 1 to 2 048 tokens",
    }
