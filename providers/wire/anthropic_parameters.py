"""Parameters of a conversation as the fields of an Anthropic request, as far as the model accepts them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from jackfield import ChatRequest, Model, Parameter
from providers.wire.anthropic_abilities import EFFORTS, Abilities

Json: TypeAlias = dict[str, object]

_SAMPLING: Final = ("temperature", "top_p", "top_k")
_OWN: Final = frozenset({*_SAMPLING, "max_tokens", "effort", "thinking"})
_ANSWER_LIMIT: Final = 32_000
"""Tokens of an answer, unless the user or the model sets a limit: more than anybody reads at once."""
_ANSWER_LIMIT_UNKNOWN: Final = 8192
_LEAST_BUDGET: Final = 1024
_BUDGETS: Final = {"low": 2048, "medium": 8192, "high": 16_384, "xhigh": 24_576, "max": 32_768}
_OFF: Final = frozenset({"disabled", "off", "none", "false", "no"})


@dataclass(slots=True)
class Fields:
    """Fields of a request, and what the user asked for in vain."""

    body: Json = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    """Names of parameters that this model does not accept, or not with these values."""

    @property
    def samples(self) -> bool:
        """Whether it has fields that only the older version of the API knows."""
        return any(name in self.body for name in _SAMPLING)


def request_fields(request: ChatRequest, abilities: Abilities | None) -> Fields:
    """The fields beside model and messages.

    `thinking` is a choice (`true`, `false`, "adaptive", "between_tools", or a budget of tokens), `effort` one
    of "low" to "max"; unknown parameters go in under their own names.

    Args:
        request: its parameters are read.
        abilities: what the model accepts; None when that is not known, so that everything is tried.
    """
    fields = Fields({key: value for key, value in request.parameters.items() if key not in _OWN})
    limit = _answer_limit(request, abilities)
    fields.body["max_tokens"] = limit
    thinking = _thinking(request, abilities, limit)
    if thinking is not None:
        fields.body["thinking"] = thinking
    elif "thinking" in request.parameters:
        fields.left_out.append("thinking")
    kind = None if thinking is None else str(thinking["type"])
    _add_effort(fields, request, abilities, kind)
    _add_sampling(fields, request, abilities, kind)
    return fields


def accepted(model: Model, abilities: Abilities | None) -> tuple[Parameter, ...]:
    """What a user may set for a model.

    Args:
        model: the model, whose own limit counts where the abilities tell none.
        abilities: what it accepts; None when that is not known, so that everything may be tried.
    """
    limit = (abilities.output_limit if abilities else None) or model.output_limit
    efforts = EFFORTS if abilities is None else abilities.efforts
    samples = abilities is None or abilities.sampling
    return (
        *((Parameter.temperature(1),) if samples else ()),
        Parameter.max_tokens(limit),
        *((Parameter.effort(efforts),) if efforts else ()),
    )


def _answer_limit(request: ChatRequest, abilities: Abilities | None) -> int:
    most = abilities.output_limit if abilities else None
    asked = request.parameters.get("max_tokens")
    if isinstance(asked, int | float) and not isinstance(asked, bool) and asked >= 1:
        return min(int(asked), most) if most else int(asked)
    return min(_ANSWER_LIMIT, most or _ANSWER_LIMIT) if abilities else _ANSWER_LIMIT_UNKNOWN


def _thinking(request: ChatRequest, abilities: Abilities | None, limit: int) -> Json | None:
    """The field `thinking`; None to leave it to the model."""
    asked = request.parameters.get("thinking")
    types = abilities.thinking if abilities else None
    if asked is None:
        # Models that choose for themselves think when it helps, and thoughts that are shown beat a silence.
        wants_sampling = abilities is not None and abilities.sampling and _asked_sampling(request)
        return _adaptive() if types and "adaptive" in types and not wants_sampling else None
    if _is_off(asked):
        off = [kind for kind in ("disabled", "between_tools") if types is None or kind in types]
        return {"type": off[0]} if off else None
    if asked == "between_tools":
        return {"type": asked} if types is None or asked in types else None
    budget = _budget(asked, request)
    if types is None:
        types = frozenset({"enabled"}) if budget == asked else frozenset({"adaptive"})
    if "enabled" in types and (budget == asked or asked == "enabled" or "adaptive" not in types):
        room = min(budget, limit - 1)
        enabled: Json = {"type": "enabled", "budget_tokens": room}
        return enabled if room >= _LEAST_BUDGET else None
    return _adaptive() if "adaptive" in types else None


def _adaptive() -> Json:
    return {"type": "adaptive", "display": "summarized"}


def _is_off(asked: object) -> bool:
    return asked is False or asked == 0 or (isinstance(asked, str) and asked.strip().lower() in _OFF)


def _budget(asked: object, request: ChatRequest) -> int:
    """Tokens to think with: a number that the user gave, or what fits the effort."""
    if isinstance(asked, int | float) and not isinstance(asked, bool):
        return max(int(asked), _LEAST_BUDGET)
    return _BUDGETS.get(str(request.parameters.get("effort")), _BUDGETS["medium"])


def _add_effort(
    fields: Fields, request: ChatRequest, abilities: Abilities | None, thinking: str | None
) -> None:
    asked = request.parameters.get("effort")
    if asked is None:
        return
    efforts = EFFORTS if abilities is None else abilities.efforts
    if thinking in ("disabled", "between_tools"):
        efforts = tuple(effort for effort in efforts if effort not in ("xhigh", "max"))  # refused together
    if asked not in efforts:
        if not (thinking == "enabled" and asked in _BUDGETS):  # there it became the budget
            fields.left_out.append("effort")
        asked = _next_lower(str(asked), efforts)
    if asked is not None:
        fields.body["output_config"] = {"effort": asked}


def _next_lower(asked: str, efforts: tuple[str, ...]) -> str | None:
    """The most that is not more than what was asked for."""
    if asked not in EFFORTS:
        return None
    lower = [effort for effort in efforts if EFFORTS.index(effort) <= EFFORTS.index(asked)]
    return lower[-1] if lower else None


def _add_sampling(
    fields: Fields, request: ChatRequest, abilities: Abilities | None, thinking: str | None
) -> None:
    asked = _asked_sampling(request)
    thinks = thinking in ("enabled", "adaptive")  # a model that thinks chooses its own temperature
    if (abilities is not None and not abilities.sampling) or thinks:
        fields.left_out += asked
        return
    fields.body.update((name, request.parameters[name]) for name in asked)


def _asked_sampling(request: ChatRequest) -> list[str]:
    return [name for name in _SAMPLING if name in request.parameters]
