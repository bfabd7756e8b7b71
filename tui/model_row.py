"""How the facts of a model look in few columns; the same in the picker and on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.account import short_count

if TYPE_CHECKING:
    from decimal import Decimal

    from registry.catalogue.prices import Price
    from registry.provider import Model

MARKS: Final = (("I", "image"), ("F", "file"), ("R", "reasoning"), ("T", "tools"))
LEGEND: Final = "  ".join(f"{letter} {word}" for letter, word in MARKS) + "  $ per million tokens in/out"


def marks(model: Model) -> str:
    """One letter for each thing that a model can do, each at its own place: `I·RT`."""
    can = {
        "image": "image" in model.modalities,
        "file": "file" in model.modalities,
        "reasoning": model.reasoning,
        "tools": model.tools,
    }
    return "".join(letter if can[word] else "·" for letter, word in MARKS)


def count(number: int | None) -> str:
    """Tokens, or nothing where they are not known."""
    return "" if number is None else short_count(number)


def price_of(price: Price | None) -> str:
    """Dollars per million tokens, in and out, such as `2/10`; `+` where a long prompt costs more."""
    if price is None:
        return ""
    if not price.rates.input and not price.rates.output:
        return "free"
    more = "+" if price.steps else ""
    return f"{_amount(price.rates.input)}/{_amount(price.rates.output)}{more}"


def _amount(rate: Decimal) -> str:
    """At most three significant digits of a small amount: a column is narrow."""
    return f"{float(rate):.3g}" if rate < 1000 else f"{rate:.0f}"
