"""The catalogue as a file: JSON in a schema of our own, read strictly and written reproducibly.

```json
{
  "format": 1,
  "date": "2026-11-10",
  "sources": [{"name": "where the facts are from", "version": "1.0", "licence": "MIT"}],
  "notice": "where the licences stand",
  "providers": {
    "anthropic": {
      "models": {
        "claude-example": {
          "name": "Claude Example",
          "context": 1000000,
          "output": 128000,
          "input": ["text", "image"],
          "reasoning": true,
          "tools": true,
          "chat": true,
          "price": {
            "input": "2", "output": "10", "cache_read": "0.2", "cache_write": "2.5",
            "above": [{"tokens": 200000, "input": "4", "output": "15"}]
          }
        }
      },
      "aliases": {"claude-example-20260101": "claude-example"}
    }
  }
}
```

Of a model, everything may be left out, which means that it is not known. `context` and `output` are tokens,
prices are US dollars per million tokens, as text so that no digit is lost. `chat` marks a model that is known
to answer chats; the others (speech, embeddings, or unknown) are looked up and never offered. The keys of
`providers` are the names that our providers have. A reader refuses a format that it does not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from registry.catalogue.prices import Price, Rates, Step
from registry.text import safe_text

FORMAT: Final = 1
MAX_MODELS: Final = 20_000
"""How many models a catalogue may have; more are not ours."""
MODALITIES: Final = ("text", "image", "file", "audio", "video")
_HIGHEST_COUNT: Final = 10**9
_HIGHEST_RATE: Final = Decimal(100_000)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a catalogue knows of one model."""

    name: str = ""
    context: int | None = None
    """Tokens of prompt and answer together."""
    output: int | None = None
    """Tokens of one answer."""
    modalities: tuple[str, ...] = ()
    """What it reads; empty when that is not known."""
    reasoning: bool | None = None
    tools: bool | None = None
    chat: bool = False
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """The models of one provider."""

    models: Mapping[str, Entry] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other ids of the same models."""

    def find(self, model_id: str) -> Entry | None:
        """The entry with exactly this id, or with this alias."""
        found = self.models.get(model_id)
        return found if found is not None else self.models.get(self.aliases.get(model_id, ""))


@dataclass(frozen=True, slots=True)
class Source:
    """Where facts are from, and the licence that they came under."""

    name: str
    version: str
    licence: str


@dataclass(frozen=True, slots=True)
class Contents:
    """A whole catalogue."""

    date: str
    """The day to which it is true, as `2026-11-10`."""
    providers: Mapping[str, ProviderFacts] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    notice: str = ""


def read_contents(data: bytes) -> Contents:
    """A catalogue from its JSON text.

    Raises:
        ValueError: it is something else, of another format, or says what cannot be.
    """
    try:
        document = json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    table = _table(document)
    if table.get("format") != FORMAT:
        raise ValueError(f"not of format {FORMAT}")
    providers = {
        _line(name): _provider_from(_table(value)) for name, value in _table(table["providers"]).items()
    }
    if sum(len(facts.models) for facts in providers.values()) > MAX_MODELS:
        raise ValueError(f"more than {MAX_MODELS} models")
    sources = tuple(
        Source(_line(item["name"]), _line(item["version"]), _line(item["licence"]))
        for item in map(_table, _list(table.get("sources", [])))
    )
    return Contents(_day(table.get("date")), providers, sources, _line(table.get("notice", "")))


def write_contents(contents: Contents) -> bytes:
    """The JSON text that `read_contents` reads; the same for the same contents."""
    document = {
        "format": FORMAT,
        "date": contents.date,
        "sources": [
            {"name": source.name, "version": source.version, "licence": source.licence}
            for source in contents.sources
        ],
        "notice": contents.notice,
        "providers": {
            name: {
                "models": {key: _entry_to(entry) for key, entry in sorted(facts.models.items())},
                "aliases": dict(sorted(facts.aliases.items())),
            }
            for name, facts in sorted(contents.providers.items())
        },
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _provider_from(table: Mapping[str, Any]) -> ProviderFacts:
    models = {_line(key): _entry_from(_table(value)) for key, value in _table(table["models"]).items()}
    aliases = {_line(key): _line(value) for key, value in _table(table.get("aliases", {})).items()}
    for alias, target in aliases.items():
        if target not in models or alias in models:
            raise ValueError(f"the alias {alias} names no model, or is one")
    return ProviderFacts(models, aliases)


def _entry_from(table: Mapping[str, Any]) -> Entry:
    modalities = tuple(_line(word) for word in _list(table.get("input", [])))
    if not set(modalities) <= set(MODALITIES):
        raise ValueError("an unknown kind of input")
    price = table.get("price")
    return Entry(
        _line(table.get("name", "")),
        _count(table.get("context")),
        _count(table.get("output")),
        modalities,
        _flag(table.get("reasoning")),
        _flag(table.get("tools")),
        _flag(table.get("chat")) or False,
        None if price is None else _price_from(_table(price)),
    )


def _price_from(table: Mapping[str, Any]) -> Price:
    steps: list[Step] = []
    for item in map(_table, _list(table.get("above", []))):
        tokens = _count(item.get("tokens"))
        if tokens is None or (steps and tokens <= steps[-1].above):
            raise ValueError("the steps of a price do not grow")
        steps.append(Step(tokens, _rates_from(item)))
    return Price(_rates_from(table), tuple(steps))


def _rates_from(table: Mapping[str, Any]) -> Rates:
    given, written = _rate(table.get("input")), _rate(table.get("output"))
    if given is None or written is None:
        raise ValueError("a price without input or output")
    return Rates(given, written, _rate(table.get("cache_read")), _rate(table.get("cache_write")))


def _entry_to(entry: Entry) -> dict[str, Any]:
    table: dict[str, Any] = {
        "name": entry.name or None,
        "context": entry.context,
        "output": entry.output,
        "input": list(entry.modalities) or None,
        "reasoning": entry.reasoning,
        "tools": entry.tools,
        "chat": entry.chat or None,
    }
    if entry.price is not None:
        price: dict[str, Any] = _rates_to(entry.price.rates)
        if entry.price.steps:
            price["above"] = [{"tokens": step.above, **_rates_to(step.rates)} for step in entry.price.steps]
        table["price"] = price
    return {key: value for key, value in table.items() if value is not None}


def _rates_to(rates: Rates) -> dict[str, Any]:
    named = {
        "input": rates.input,
        "output": rates.output,
        "cache_read": rates.cache_read,
        "cache_write": rates.cache_write,
    }
    return {key: f"{rate.normalize():f}" for key, rate in named.items() if rate is not None}


def _table(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("something else than an object")  # noqa: TRY004  # a value of the file is at fault
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("something else than an array")  # noqa: TRY004
    return value


def _line(value: object) -> str:
    if type(value) is not str:
        raise ValueError("something else than text")
    if len(value) <= 200 and value.isascii() and value.isprintable():
        return value  # nearly all of them, ten times as fast
    if safe_text(value, single_line=True, limit=200) != value:
        raise ValueError("a text that cannot be shown as it is")
    return value


def _flag(value: object) -> bool | None:
    if value is not None and type(value) is not bool:
        raise ValueError("something else than true or false")
    return value


def _count(value: object) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 < value <= _HIGHEST_COUNT:
        raise ValueError("a count that cannot be")
    return value


def _rate(value: object) -> Decimal | None:
    if value is None:
        return None
    if type(value) is not str:
        raise ValueError("a price that is not text")
    try:
        rate = Decimal(value)
    except InvalidOperation as error:
        raise ValueError("a price that is no number") from error
    if not rate.is_finite() or not 0 <= rate <= _HIGHEST_RATE:
        raise ValueError("a price that cannot be")
    return rate


def _day(value: object) -> str:
    text = _line(value)
    if date.fromisoformat(text).isoformat() != text:
        raise ValueError("a date that is not written as 2026-11-10")
    return text
