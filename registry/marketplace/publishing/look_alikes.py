"""Finds names that one may take for another: a few letters apart, or the same to the eye.

Names have lower-case letters, digits and `-` only, so what is left of the confusable characters of Unicode
Technical Standard 39 are those within ASCII.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Final

FARTHEST: Final = 2
"""Names at most so many letters apart look alike; short ones at most one."""
_SHORT: Final = 5
_SAME_TO_THE_EYE: Final = (
    ("rn", "m"),
    ("vv", "w"),
    ("cl", "d"),
    ("1", "l"),
    ("i", "l"),
    ("0", "o"),
    ("5", "s"),
    ("2", "z"),
    ("-", ""),
)


def look_alikes(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each pair of different names that look alike, once, in order."""
    known = sorted(set(names))
    near: dict[str, list[str]] = {}
    for name in known:
        for shorter in {*_shortened(name), f"={skeleton(name)}"}:
            near.setdefault(shorter, []).append(name)
    pairs = {pair for group in near.values() if len(group) > 1 for pair in combinations(group, 2)}
    for one, other in sorted(pairs):
        if skeleton(one) == skeleton(other) or distance(one, other) <= _allowed(one, other):
            yield one, other


def skeleton(name: str) -> str:
    """What the eye takes a name for."""
    for seen, meant in _SAME_TO_THE_EYE:
        name = name.replace(seen, meant)
    return name


def distance(one: str, other: str) -> int:
    """How many letters to insert, remove, replace or swap with a neighbour (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        following = [number]
        for at, its in enumerate(other, 1):
            cost = min(row[at] + 1, following[-1] + 1, row[at - 1] + (letter != its))
            swapped = number > 1 and at > 1 and letter == other[at - 2] and one[number - 2] == its
            following.append(min(cost, before[at - 2] + 1) if swapped else cost)
        before, row = row, following
    return row[-1]


def _allowed(one: str, other: str) -> int:
    return 1 if min(len(one), len(other)) < _SHORT else FARTHEST


def _shortened(name: str) -> Iterator[str]:
    """The name with up to `FARTHEST` letters left out: names that near share one of them."""
    letters = range(len(name))
    for count in range(FARTHEST + 1):
        for gone in combinations(letters, count):
            yield "".join(letter for at, letter in enumerate(name) if at not in gone)
