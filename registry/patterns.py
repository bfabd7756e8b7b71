r"""Patterns that plugins declare for values, matched in a time that nobody can stretch.

Python's `re` takes exponential time for some patterns, and holds the interpreter while it does, so that no
thread and no limit helps. Here a pattern becomes an automaton whose states are followed all at once
(Thompson, "Regular Expression Search Algorithm", CACM 11:6, 1968): its time is bounded by states times
characters.

What is understood is what regular expressions of JSON schema, ECMAScript and Python have in common, and read
in the same way: characters, `.`, classes, `\d \w \s` (ASCII), groups, `|`, `* + ? {m} {m,} {m,n}`, and `^`
and `$` around the whole. There are no look-arounds, no references back and no flags.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

MAX_PATTERN: Final = 200
"""The longest pattern, in characters."""
MAX_STATES: Final = 1000
"""The largest automaton that a pattern may become."""
MAX_STEPS: Final = 100_000
"""How many parts of states are looked at before a value is given up, for all its characters together."""
_MAX_DEPTH: Final = 20

_Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Code points, from each first to each last one, in order."""

_LAST: Final = 0x10FFFF
_CLASSES: Final[dict[str, _Ranges]] = {
    "d": ((48, 57),),
    "w": ((48, 57), (65, 90), (95, 95), (97, 122)),
    "s": ((9, 13), (32, 32)),
}
_CONTROLS: Final = {"n": 10, "t": 9, "r": 13, "f": 12, "v": 11}


class TooCostlyError(ValueError):
    """The value is too long for its pattern."""


def check_pattern(pattern: str) -> None:
    """Check that a pattern is one.

    Raises:
        ValueError: it is too long, too large, or has what is not understood; says what.
    """
    _compiled(pattern)


def matches(pattern: str, value: str) -> bool:
    """Whether the whole value matches.

    Raises:
        TooCostlyError: it would take too long to find out.
        ValueError: the pattern is none.
    """
    return _compiled(pattern).matches(value)


@dataclass(frozen=True, slots=True)
class _Characters:
    ranges: _Ranges
    size: int = 1


@dataclass(frozen=True, slots=True)
class _Sequence:
    parts: tuple[_Node, ...]
    size: int


@dataclass(frozen=True, slots=True)
class _Choice:
    options: tuple[_Node, ...]
    size: int


@dataclass(frozen=True, slots=True)
class _Repeat:
    part: _Node
    least: int
    most: int | None
    size: int


_Node: TypeAlias = _Characters | _Sequence | _Choice | _Repeat


@dataclass(slots=True)
class _State:
    """Takes one of the characters and goes on to what follows; one without characters goes on at once."""

    ranges: _Ranges | None
    following: tuple[int, ...]

    @property
    def cost(self) -> int:
        return 1 + len(self.following if self.ranges is None else self.ranges)

    def takes(self, code: int) -> bool:
        return self.ranges is not None and any(first <= code <= last for first, last in self.ranges)


class _Automaton:
    """The states of a pattern; the first is where a match ends."""

    def __init__(self, node: _Node) -> None:
        self._states = [_State(None, ())]
        self._start = self._build(node, 0)

    def matches(self, value: str) -> bool:
        steps = 0
        current = self._reachable((self._start,))
        known: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        for character in value:
            steps += 1
            following = known.get((current, character))
            if following is None:
                steps += sum(self._states[state].cost for state in current)
                following = known[current, character] = self._following(current, ord(character))
            if steps > MAX_STEPS:
                raise TooCostlyError("it is too long to be checked")
            current = following
        return 0 in current

    def _following(self, current: frozenset[int], code: int) -> frozenset[int]:
        taken = (self._states[state] for state in current)
        return self._reachable(tuple(state.following[0] for state in taken if state.takes(code)))

    def _reachable(self, states: tuple[int, ...]) -> frozenset[int]:
        found: set[int] = set()
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            if state not in found:
                found.add(state)
                if self._states[state].ranges is None:
                    waiting += self._states[state].following
        return frozenset(found)

    def _build(self, node: _Node, after: int) -> int:
        """Add the states of a node, which leads to the state `after`; where it begins."""
        match node:
            case _Characters(ranges):
                return self._add(ranges, after)
            case _Sequence(parts):
                for part in reversed(parts):
                    after = self._build(part, after)
                return after
            case _Choice(options):
                return self._add(None, *(self._build(option, after) for option in options))
            case _Repeat(part, least, most):
                return self._build_repeat(part, least, most, after)

    def _build_repeat(self, part: _Node, least: int, most: int | None, after: int) -> int:
        start = after
        if most is None:
            start = self._add(None, after)
            self._states[start].following = (self._build(part, start), after)
        else:
            for _ in range(most - least):
                start = self._add(None, self._build(part, start), after)
        for _ in range(least):
            start = self._build(part, start)
        return start

    def _add(self, ranges: _Ranges | None, *following: int) -> int:
        self._states.append(_State(ranges, following))
        return len(self._states) - 1


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> _Automaton:
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"it has more than {MAX_PATTERN} characters")
    return _Automaton(_Parser(pattern).parse())


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._depth = 0

    def parse(self) -> _Node:
        node = self._choice()
        if self._place < len(self._text):
            raise self._wrong("a ) without its (")
        return node

    def _choice(self) -> _Node:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        size = sum(option.size for option in options) + 1
        return options[0] if len(options) == 1 else self._sized(_Choice(tuple(options), size))

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        if not self._depth:
            self._take("^")
        while self._place < len(self._text) and self._text[self._place] not in "|)":
            if self._ends_here():
                break
            parts.append(self._repeated(self._atom()))
        return self._sized(_Sequence(tuple(parts), sum(part.size for part in parts)))

    def _ends_here(self) -> bool:
        """Whether there is a `$` that ends the whole, which adds nothing and is passed over."""
        rest = self._text[self._place : self._place + 2]
        if self._depth or rest[:1] != "$" or rest[1:] not in {"", "|"}:
            return False
        self._place += 1
        return True

    def _repeated(self, node: _Node) -> _Node:
        least, most = self._count()
        if (least, most) == (1, 1):
            return node
        self._take("?")  # how little is taken makes no difference to the whole
        if self._peek() in {"*", "+", "?", "{"}:
            raise self._wrong("a repetition of a repetition")
        size = (max(1, node.size) + 1) * (least + 1 if most is None else max(most, 1))
        return self._sized(_Repeat(node, least, most, size))

    def _count(self) -> tuple[int, int | None]:
        sign = self._peek()
        if sign in {"*", "+", "?"}:
            self._place += 1
            return (1 if sign == "+" else 0), (1 if sign == "?" else None)
        if sign != "{":
            return 1, 1
        first, comma, second = self._until("}").partition(",")
        counts = [first, second] if second else [first]
        if not all(count.isascii() and count.isdigit() and len(count) < 5 for count in counts):
            raise self._wrong("a count that is none; write \\{ for the character")
        least = int(first)
        most = int(second) if second else None if comma else least
        if most is not None and most < least:
            raise self._wrong("a count whose end is before its beginning")
        return least, most

    def _until(self, closing: str) -> str:
        end = self._text.find(closing, self._place)
        if end < 0:
            raise self._wrong(f"no {closing}")
        inner = self._text[self._place + 1 : end]
        self._place = end + 1
        return inner

    def _atom(self) -> _Node:
        character = self._next()
        match character:
            case "(":
                return self._group()
            case "[":
                return _Characters(self._class())
            case ".":
                return _Characters(_complement(((10, 10),)))
            case "\\":
                return _Characters(self._escape())
            case "*" | "+" | "?" | "{" | "}" | "]" | "^" | "$":
                raise self._wrong(f"a {character} that has no meaning there")
        return _Characters(_one(ord(character)))

    def _group(self) -> _Node:
        if self._take("?") and not self._take(":"):
            raise self._wrong("a group of a kind that is not understood")
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._wrong("too many groups inside of each other")
        node = self._choice()
        self._depth -= 1
        if not self._take(")"):
            raise self._wrong("a ( without its )")
        return node

    def _class(self) -> _Ranges:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        while not self._take("]"):
            ranges += self._class_part()
        if not ranges:
            raise self._wrong("a class without characters")
        return _complement(tuple(ranges)) if negated else tuple(ranges)

    def _class_part(self) -> _Ranges:
        first = self._class_character()
        if self._text[self._place : self._place + 1] != "-" or self._text[self._place + 1 :][:1] in {"]", ""}:
            return first
        self._place += 1
        last = self._class_character()
        if len(first) > 1 or len(last) > 1 or first[0][0] != first[0][1] or last[0][0] != last[0][1]:
            raise self._wrong("a range between what is no character")
        if first[0][0] > last[0][0]:
            raise self._wrong("a range whose end is before its beginning")
        return ((first[0][0], last[0][0]),)

    def _class_character(self) -> _Ranges:
        character = self._next()
        return self._escape() if character == "\\" else _one(ord(character))

    def _escape(self) -> _Ranges:
        character = self._next()
        if character.lower() in _CLASSES:
            ranges = _CLASSES[character.lower()]
            return ranges if character.islower() else _complement(ranges)
        if character in _CONTROLS:
            return _one(_CONTROLS[character])
        if character in {"x", "u"}:
            return _one(self._code(2 if character == "x" else 4))
        if character.isalnum() or character == "_" or not character.isascii():
            raise self._wrong(f"\\{character}, which is not understood")
        return _one(ord(character))

    def _code(self, length: int) -> int:
        digits = self._text[self._place : self._place + length]
        self._place += length
        if len(digits) < length or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
            raise self._wrong("an escape that is not complete")
        return int(digits, 16)

    def _next(self) -> str:
        if self._place >= len(self._text):
            raise self._wrong("something that is not complete")
        self._place += 1
        return self._text[self._place - 1]

    def _peek(self) -> str:
        return self._text[self._place : self._place + 1]

    def _take(self, character: str) -> bool:
        taken = self._peek() == character
        self._place += taken
        return taken

    def _sized(self, node: _Node) -> _Node:
        if node.size > MAX_STATES:
            raise self._wrong(f"repetitions that come to more than {MAX_STATES} characters")
        return node

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"it has {what} (at character {min(self._place, len(self._text))})")


def _one(code: int) -> _Ranges:
    return ((code, code),)


def _complement(ranges: _Ranges) -> _Ranges:
    rest: list[tuple[int, int]] = []
    begin = 0
    for first, last in sorted(ranges):
        if first > begin:
            rest.append((begin, first - 1))
        begin = max(begin, last + 1)
    return (*rest, (begin, _LAST)) if begin <= _LAST else tuple(rest)
