"""What a conversation has used: tokens in context, and what the turns cost where that is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from registry.catalogue.prices import cost

if TYPE_CHECKING:
    from registry.catalogue.catalogue import Catalogue
    from registry.chat import Usage
    from tui.conversation import Entry


@dataclass(frozen=True, slots=True)
class Account:
    """Figures for the status line. None is what is not known, and is not shown."""

    tokens: int = 0
    """Tokens of the last turn: what the model had before it, and its answer."""
    window: int | None = None
    """Tokens that the model can have before it."""
    turn: Decimal | None = None
    """US dollars of the last turn, at list prices."""
    total: Decimal | None = None
    """US dollars of all turns whose cost is known."""
    complete: bool = True
    """Whether the cost of every turn is known, so that the total is all there is."""

    def while_answering(self, usage: Usage) -> Account:
        """The figures with the tokens so far of a turn whose cost is not known yet."""
        return replace(self, tokens=usage.total, turn=None)


def settle(entries: Sequence[Entry], window: int | None, catalogue: Catalogue) -> Account:
    """The account of a conversation.

    Args:
        entries: its messages. Each turn is priced by the model that answered it.
        window: the context window of the model that is chosen now, in tokens.
        catalogue: who knows prices.
    """
    turns = [(entry.message.model, entry.usage) for entry in entries if entry.usage and entry.usage.total]
    if not turns:
        return Account(window=window)
    costs = [_cost(model, usage, catalogue) for model, usage in turns]
    known = [amount for amount in costs if amount is not None]
    return Account(
        turns[-1][1].total,
        window,
        costs[-1],
        sum(known, Decimal(0)) if known else None,
        complete=len(known) == len(costs),
    )


def describe(account: Account) -> Iterable[str]:
    """The parts to show, the most important first; each can be left out with all that follow it."""
    if not account.tokens:
        return
    yield f"  {short_count(account.tokens)} tokens"
    if account.window:
        yield f" ({percent(account.tokens, account.window)})"
    if account.turn is not None:
        yield f"  {dollars(account.turn)}"
    if account.total is not None:
        gap = "  " if account.turn is None else ", "
        yield f"{gap}{'' if account.complete else '≥'}{dollars(account.total)} in all"


def short_count(number: int) -> str:
    """A count of tokens in few columns: `9500`, `12.3k`, `200k`, `1.05M`."""
    if number < 10_000:
        return str(number)
    if number < 999_950:
        return f"{_trimmed(number / 1000, 1)}k"
    return f"{_trimmed(number / 1_000_000, 2)}M"


def percent(part: int, whole: int) -> str:
    """A share: `6%`; a little is more than nothing."""
    share = 100 * part / whole
    return "<1%" if 0 < share < 1 else f"{share:.0f}%"


def dollars(amount: Decimal) -> str:
    """An amount with as many digits as mean something: `$0.0004`, `$0.012`, `$3.20`."""
    if 0 < amount < Decimal("0.0001"):
        return "<$0.0001"
    digits = 2 if amount >= 1 or not amount else 3 if amount >= Decimal("0.01") else 4
    return f"${amount:.{digits}f}"


def _cost(model: str | None, usage: Usage, catalogue: Catalogue) -> Decimal | None:
    provider, _, model_id = (model or "").partition("/")
    return cost(usage, catalogue.price(provider, model_id))


def _trimmed(number: float, digits: int) -> str:
    text = f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".")
