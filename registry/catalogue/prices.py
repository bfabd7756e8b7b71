"""Prices, and what a turn costs by them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from registry.chat import Usage

MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens, by the buckets of `Usage`. None: not known."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Other rates for a whole request whose prompt is longer than so many tokens."""

    above: int
    """Tokens of the prompt, those from and to a cache included."""
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """The list price of a model: what its provider asks for a plain request, without discounts."""

    rates: Rates
    steps: tuple[Step, ...] = ()
    """By growing length of the prompt."""

    def rates_for(self, prompt_tokens: int) -> Rates:
        """The rates of a request with so long a prompt."""
        rates = self.rates
        for step in self.steps:
            if prompt_tokens > step.above:
                rates = step.rates
        return rates


def cost(usage: Usage, price: Price | None) -> Decimal | None:
    """What one request costs, in US dollars; None where that cannot be said.

    It cannot be said without a price, nor where the request used a bucket that the price leaves out.
    `Usage.reasoning` is part of the output and is not counted again.

    Args:
        usage: the tokens of one request. Of several requests, add the costs: rates may depend on the length.
        price: the price of the model that answered.
    """
    if price is None:
        return None
    rates = price.rates_for(usage.input + usage.cache_read + usage.cache_write)
    total = Decimal(0)
    for tokens, rate in (
        (usage.input, rates.input),
        (usage.cache_read, rates.cache_read),
        (usage.cache_write, rates.cache_write),
        (usage.output, rates.output),
    ):
        if not tokens:
            continue
        if rate is None:
            return None
        total += tokens * rate / MILLION
    return total
