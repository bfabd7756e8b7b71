"""A row of the budget table and how it is printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

HEADER = f"{'verdict':<12} {'measured':>9} {'budget':>8} {'beyond':>8}  measure"


@dataclass(frozen=True, slots=True)
class Row:
    """One measure against its budget; all of them are better when they are smaller.

    Args:
        measure: what was measured, and against what.
        measured: the figure: a ratio, or what `unit` says. None when it was not measured.
        budget: the most that it may be; None where there is only a wish.
        beyond: where it should end.
        unit: what follows the numbers; "x" is a ratio.
        detail: both sides of the ratio, or why there is no figure.
    """

    measure: str
    measured: float | None = None
    budget: float | None = None
    beyond: float | None = None
    unit: str = "x"
    detail: str = ""

    @property
    def verdict(self) -> str:
        """`beyond`, `held`, `NOT HELD`, `not measured`, or nothing where there is no budget to hold."""
        if self.measured is None:
            return "not measured"
        if self.beyond is not None and self.measured <= self.beyond:
            return "beyond"
        if self.budget is None:
            return "-"
        return "held" if self.measured <= self.budget else "NOT HELD"

    def __str__(self) -> str:
        numbers = [self._number(number) for number in (self.measured, self.budget, self.beyond)]
        line = f"{self.verdict:<12} {numbers[0]:>9} {numbers[1]:>8} {numbers[2]:>8}  {self.measure}"
        return f"{line}  ({self.detail})" if self.detail else line

    def _number(self, number: float | None) -> str:
        if number is None:
            return "-"
        return f"{number:.{3 if abs(number) < 0.5 else 2}f}{' ' if len(self.unit) > 1 else ''}{self.unit}"


Rows: TypeAlias = Callable[[bool], Iterator[Row]]
"""Measures a group of rows; the argument asks for a quick run, whose figures say little."""
