"""What a model of Anthropic accepts: as `GET /v1/models` tells it, or a table while that was not asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from jackfield import Model, safe_text

EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
"""From little to much."""
THINKING_TYPES: Final = ("adaptive", "enabled", "disabled", "between_tools")


@dataclass(frozen=True, slots=True)
class Abilities:
    """What one model accepts."""

    thinking: frozenset[str] = frozenset()
    """Values of `thinking.type` that it takes."""
    efforts: tuple[str, ...] = ()
    """Values of `output_config.effort`, from little to much."""
    output_limit: int | None = None

    @property
    def sampling(self) -> bool:
        """Whether it takes a temperature: those models do that still take a budget for thinking."""
        return "enabled" in self.thinking


def _row(thinking: str, efforts: str = "", output_limit: int | None = None) -> Abilities:
    return Abilities(frozenset(thinking.split()), tuple(efforts.split()), output_limit)


_ALL: Final = "low medium high xhigh max"
_BUDGET_ONLY: Final = _row("enabled disabled", output_limit=64_000)
_CHOOSES: Final = _row("adaptive enabled disabled", "low medium high max", 128_000)
_NO_BUDGET: Final = _row("adaptive disabled", _ALL)
_ALWAYS: Final = _row("adaptive", _ALL)
_TABLE: Final[Mapping[str, Abilities]] = {
    "claude-haiku-4-5": _BUDGET_ONLY,
    "claude-sonnet-4-5": _BUDGET_ONLY,
    "claude-opus-4-5": _row("enabled disabled", "low medium high", 64_000),
    "claude-sonnet-4-6": _CHOOSES,
    "claude-opus-4-6": _CHOOSES,
    "claude-opus-4-7": _NO_BUDGET,
    "claude-opus-4-8": _NO_BUDGET,
    "claude-sonnet-5": _NO_BUDGET,
    "claude-opus-5": _NO_BUDGET,
    "claude-haiku-5-5": _NO_BUDGET,
    "claude-sonnet-5-5": _row("adaptive between_tools", _ALL),
    "claude-opus-5-5": _ALWAYS,
    "claude-fable-5": _ALWAYS,
    "claude-fable-5-1": _ALWAYS,
    "claude-fable-5-2": _ALWAYS,
    "claude-mythos-5": _ALWAYS,
    "claude-mythos-5-1": _ALWAYS,
    "claude-mythos-5-2": _ALWAYS,
}
_DATE: Final = re.compile(r"-\d{8}$")


def known_abilities(model: str) -> Abilities | None:
    """What the table knows of a model, with or without the date in its id; None when it is not in it."""
    return _TABLE.get(_DATE.sub("", model))


def _known_model(model: str, name: str, context_window: int | None = None) -> Model:
    limit = _TABLE[model].output_limit
    return Model(model, name, context_window, limit, ("text", "image", "file"), reasoning=True, tools=True)


KNOWN_MODELS: Final = (
    _known_model("claude-sonnet-5-5", "Claude Sonnet 5.5"),
    _known_model("claude-opus-5-5", "Claude Opus 5.5"),
    _known_model("claude-haiku-5-5", "Claude Haiku 5.5"),
    _known_model("claude-fable-5-2", "Claude Fable 5.2"),
    _known_model("claude-mythos-5-2", "Claude Mythos 5.2"),
    _known_model("claude-fable-5-1", "Claude Fable 5.1"),
    _known_model("claude-mythos-5-1", "Claude Mythos 5.1"),
    _known_model("claude-sonnet-5", "Claude Sonnet 5"),
    _known_model("claude-opus-5", "Claude Opus 5"),
    _known_model("claude-fable-5", "Claude Fable 5"),
    _known_model("claude-mythos-5", "Claude Mythos 5"),
    _known_model("claude-opus-4-8", "Claude Opus 4.8"),
    _known_model("claude-opus-4-7", "Claude Opus 4.7"),
    _known_model("claude-opus-4-6", "Claude Opus 4.6"),
    _known_model("claude-sonnet-4-6", "Claude Sonnet 4.6"),
    _known_model("claude-haiku-4-5", "Claude Haiku 4.5", 200_000),
    _known_model("claude-opus-4-5", "Claude Opus 4.5", 200_000),
    _known_model("claude-sonnet-4-5", "Claude Sonnet 4.5", 200_000),
)
"""Models to offer before the server was asked."""


def read_model(item: Mapping[str, object]) -> tuple[Model, Abilities | None] | None:
    """A model of the listing and what it accepts, as far as that is told.

    None for a model that is retired, or whose id cannot be shown as it is.
    """
    model_id = item.get("id")
    if not isinstance(model_id, str) or not model_id or item.get("lifecycle") == "retired":
        return None
    if safe_text(model_id, single_line=True, limit=200) != model_id:  # it has to go back as it is
        return None
    name = item.get("display_name")
    told = item.get("capabilities")
    capabilities = told if isinstance(told, dict) else {}
    limit = _size(item.get("max_tokens"))
    abilities = _read_abilities(capabilities, limit) if capabilities else known_abilities(model_id)
    inputs = (("image", "image_input"), ("file", "pdf_input"))
    model = Model(
        model_id,
        safe_text(name, single_line=True, limit=200) if isinstance(name, str) else "",
        context_window=_size(item.get("max_input_tokens")),
        output_limit=limit,
        modalities=("text", *(kind for kind, key in inputs if _supported(capabilities.get(key)))),
        reasoning=_supported(capabilities.get("thinking")),
        tools=True,
    )
    return model, abilities


def _read_abilities(capabilities: Mapping[str, object], limit: int | None) -> Abilities:
    thinking = capabilities.get("thinking")
    types = thinking.get("types") if isinstance(thinking, dict) and _supported(thinking) else None
    effort = capabilities.get("effort")
    levels = effort if isinstance(effort, dict) and _supported(effort) else {}
    return Abilities(
        frozenset(kind for kind in THINKING_TYPES if isinstance(types, dict) and _supported(types.get(kind))),
        tuple(level for level in EFFORTS if _supported(levels.get(level))),
        limit,
    )


def _supported(capability: object) -> bool:
    return isinstance(capability, dict) and capability.get("supported") is True


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
