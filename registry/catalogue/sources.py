"""Reads what others publish about models, from packages that somebody unpacked; runs none of their code.

Two packages, both under the MIT licence (see NOTICE):

* `@earendil-works/pi-ai` (JavaScript): context, limits, modalities, reasoning and prices. Its chat catalogue
  has only models that can call tools, as its README says.
* `genai-prices` (Python): prices of more models, with those that depend on the time of the day.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from registry.catalogue.prices import Price, Rates, Step
from registry.catalogue.schema import Entry, Source
from registry.text import safe_text

PI_NAME: Final = "@earendil-works/pi-ai"
GENAI_NAME: Final = "genai-prices"
_PI_STAND_IN: Final = 4096
"""What pi-ai writes for a context or a limit that it does not know."""
_OTHER_CHARGES: Final = frozenset({"requests_kcount", "output_reasoning_mtok", "output_citation_mtok"})
"""Charges of every request that the four rates cannot tell: such a model gets no price."""


@dataclass(slots=True)
class Found:
    """What one source says, by its own names of providers."""

    source: Source
    date: str = ""
    """The day of the facts, where the source tells it."""
    models: dict[str, dict[str, Entry]] = field(default_factory=dict)
    aliases: dict[str, dict[str, str]] = field(default_factory=dict)
    unsayable: dict[str, set[str]] = field(default_factory=dict)
    """Ids whose price depends on more than tokens, such as the time of the day."""


def read_pi(folder: Path) -> Found | None:
    """What an unpacked pi-ai under the folder says; None if there is none.

    Raises:
        OSError, ValueError, KeyError: it is not as it was when this was written.
    """
    data = next((path for path in sorted(folder.rglob("dist/providers/data")) if path.is_dir()), None)
    if data is None:
        return None
    package = json.loads((data.parents[2] / "package.json").read_text(encoding="utf-8"))
    found = Found(Source(PI_NAME, str(package["version"]), str(package["license"])))
    manifest = data / ".manifest.json"
    if manifest.exists():
        found.date = str(json.loads(manifest.read_text(encoding="utf-8"))["generatedAt"])[:10]
    for path in sorted(data.glob("*.json")):
        if path.name.startswith("."):
            continue
        models: dict[str, Entry] = {}
        for dialect in json.loads(path.read_text(encoding="utf-8")).values():
            for model in dialect.values():
                if model["type"] == "chat":
                    models[model["id"]] = _pi_entry(model)
        found.models[path.stem] = models
    return found


def read_genai(folder: Path, today: date) -> Found | None:
    """What an unpacked genai-prices under the folder says; None if there is none.

    Args:
        folder: where to look.
        today: of prices with a first day, the last that has begun by then counts.

    Raises:
        OSError, ValueError, KeyError: it is not as it was when this was written.
    """
    module = next(iter(sorted(folder.rglob("genai_prices/data.py"))), None)
    if module is None:
        return None
    found = Found(Source(GENAI_NAME, *_wheel_facts(module.parents[1])))
    for provider in _literal_providers(module):
        name = str(provider["id"])
        models, aliases = found.models.setdefault(name, {}), found.aliases.setdefault(name, {})
        unsayable = found.unsayable.setdefault(name, set())
        for model in provider["models"]:
            names = [model["id"], *_equal_ids(model["match"])]
            price = _genai_price(model.get("prices", []), today)
            if price is None:
                unsayable.update(names)
            if model.get("deprecated"):
                continue
            models[model["id"]] = Entry(
                _line(model.get("name") or ""), model.get("context_window"), price=price
            )
            aliases.update({alias: model["id"] for alias in names[1:] if alias != model["id"]})
    return found


def _pi_entry(model: Mapping[str, Any]) -> Entry:
    return Entry(
        _line(model["name"]),
        _unless_stand_in(model.get("contextWindow")),
        _unless_stand_in(model.get("maxTokens")),
        tuple(model["input"]) if set(model["input"]) <= {"text", "image"} else (),
        bool(model["reasoning"]),
        tools=True,
        chat=True,
        price=_pi_price(model),
    )


def _unless_stand_in(count: object) -> int | None:
    return count if isinstance(count, int) and count > 0 and count != _PI_STAND_IN else None


def _pi_price(model: Mapping[str, Any]) -> Price | None:
    """A price; nought stands for "not known" there, but for models that are free by their name."""
    cost = model["cost"]
    if model["id"].endswith(":free") and not any(cost[key] for key in ("input", "output")):
        nothing = Decimal(0)
        return Price(Rates(nothing, nothing, nothing, nothing))
    rates = _pi_rates(cost)
    if rates is None:
        return None
    steps = [(item["inputTokensAbove"], _pi_rates(item)) for item in cost.get("tiers", ())]
    if any(step is None for _, step in steps):
        return None
    return Price(rates, tuple(Step(above, step) for above, step in sorted(steps, key=_first) if step))


def _pi_rates(cost: Mapping[str, Any]) -> Rates | None:
    given = [Decimal(str(cost[key])) for key in ("input", "output", "cacheRead", "cacheWrite")]
    if given[0] <= 0 or given[1] <= 0 or min(given) < 0:
        return None
    return Rates(given[0], given[1], given[2] or None, given[3] or None)


def _first(pair: tuple[int, Rates | None]) -> int:
    return pair[0]


def _wheel_facts(folder: Path) -> tuple[str, str]:
    metadata = next(iter(folder.glob("genai_prices-*.dist-info/METADATA"))).read_text(encoding="utf-8")
    version = re.search(r"^Version: (.+)$", metadata, re.MULTILINE)
    licence = re.search(r"^License-Expression: (.+)$", metadata, re.MULTILINE)
    if not version or not licence:
        raise ValueError("the package does not name its version and licence")
    return version[1].strip(), licence[1].strip()


def _literal_providers(module: Path) -> Iterator[Mapping[str, Any]]:
    """The module's list of providers, read as data: calls become tables, and nothing is called."""
    for statement in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == "providers":
            yield from _literal(statement.value)
            return
    raise ValueError("the module has no list of providers")


def _literal(node: ast.expr | None) -> Any:
    match node:
        case ast.Call(func=func):
            name = ast.unparse(func).rpartition(".")[2]
            positional = [_literal(argument) for argument in node.args]
            if name == "Decimal":
                return Decimal(positional[0])
            if name == "date":
                return date(*positional)
            named = {keyword.arg: _literal(keyword.value) for keyword in node.keywords}
            return {"kind": name, "positional": positional, **named}
        case ast.List():
            return [_literal(item) for item in node.elts]
        case ast.Dict():
            pairs = zip(node.keys, node.values, strict=True)
            return {_literal(key): _literal(value) for key, value in pairs}
        case ast.Attribute():
            return ast.unparse(node)
        case ast.expr():
            return ast.literal_eval(node)
        case _:
            raise ValueError("not a literal")


def _equal_ids(match: Mapping[str, Any]) -> list[str]:
    """The ids that a rule names in full; rules by beginning or content are guesses, and left."""
    if match["kind"] == "ClauseEquals":
        return [match["equals"]]
    if match["kind"] == "ClauseOr":
        return [name for clause in match["or_"] for name in _equal_ids(clause)]
    return []


def _genai_price(prices: Mapping[str, Any] | Sequence[Mapping[str, Any]], today: date) -> Price | None:
    """The price of today; None where it depends on more than the number of tokens."""
    if isinstance(prices, Mapping):
        return _genai_rates(prices)
    current: Mapping[str, Any] | None = None
    for conditional in prices:
        constraint = conditional.get("constraint") or next(iter(conditional["positional"]), None)
        if constraint and constraint["kind"] != "StartDateConstraint":
            return None
        if constraint is None or constraint["start_date"] <= today:
            current = conditional["prices"]
    return _genai_rates(current) if current else None


def _genai_rates(prices: Mapping[str, Any]) -> Price | None:
    if _OTHER_CHARGES & prices.keys() or "input_mtok" not in prices or "output_mtok" not in prices:
        return None
    keys = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")
    tiered = [prices[key] for key in keys if isinstance(prices.get(key), Mapping)]
    starts = sorted({tier["start"] for price in tiered for tier in price["tiers"]})
    at = [tuple(_rate_at(prices.get(key), start) for key in keys) for start in (0, *starts)]
    rates = [Rates(given, written, read, kept) for given, written, read, kept in at if given and written]
    if len(rates) != len(at):
        return None  # nought: free for a time, or not known
    return Price(rates[0], tuple(Step(start, step) for start, step in zip(starts, rates[1:], strict=True)))


def _rate_at(price: Decimal | Mapping[str, Any] | None, start: int) -> Decimal | None:
    if not isinstance(price, Mapping):
        return price
    rate: Decimal = price["base"]
    for tier in sorted(price["tiers"], key=lambda tier: int(tier["start"])):
        if tier["start"] <= start:
            rate = tier["price"]
    return rate


def _line(text: str) -> str:
    return safe_text(text, single_line=True, limit=200)
