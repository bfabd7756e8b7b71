"""Patterns of plugins: read as `re` reads them, in a time that no pattern stretches."""

from __future__ import annotations

import re
import time
from contextlib import suppress

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from registry.patterns import MAX_PATTERN, TooCostlyError, check_pattern, matches

_ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "-",
        ".",
        "\\d",
        "\\W",
        "\\s",
        "[ab]",
        "[^a]",
        "[a-c-]",
        "[\\w.]",
        "\\.",
        "\\x41",
        "\\u0042",
        "\\n",
        "é",
    ]
)
_REPEATS = st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{0,2}", "{0}", "*?", "+?", "{1,2}?"])


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = st.tuples(st.sampled_from(["(", "(?:"]), inner).map(lambda parts: f"{parts[0]}{parts[1]})")
    part = st.tuples(_ATOMS | group, st.just("") | _REPEATS).map("".join)
    return st.lists(part, max_size=3).map("".join) | st.lists(inner, min_size=2, max_size=3).map("|".join)


_PATTERNS = st.recursive(_ATOMS, _larger, max_leaves=6).filter(lambda text: len(text) <= MAX_PATTERN)


def is_small_enough(pattern: str) -> bool:
    """Whether it is not one of those that are refused for their size."""
    try:
        check_pattern(pattern)
    except ValueError as error:
        if "come to more than" in str(error):
            return False
        raise
    return True


@given(_PATTERNS, st.lists(st.text("abcAB.- \n\u00e90_", max_size=8), min_size=1, max_size=8), st.booleans())
@settings(max_examples=150, deadline=None)
@example("(a|)*", ["", "aa"], True)
@example("(a*)*b|c", ["aab", "c", "b", "a"], False)
@example("[^\\d\\s]", ["a", "1", "\n"], False)
def test_a_pattern_matches_what_re_matches(pattern: str, values: list[str], anchored: bool) -> None:
    assume(is_small_enough(pattern))
    if anchored:
        pattern = f"^(?:{pattern})$"
    for value in values:
        assert matches(pattern, value) == bool(re.fullmatch(pattern, value, re.ASCII)), value


HOSTILE = [
    "(a+)+b",
    "(a|a)*b",
    "(a|aa)+b",
    "(.*)*x",
    "a?" * 60 + "a" * 60,
    ".*" * 90 + "x",
    "(((((a*)*)*)*)*)*b",
    "(a{1,30}){1,30}b",
    ".*[" + "acegikmoqsuwy" * 10 + "]{0,30}b",
]


@pytest.mark.parametrize("pattern", HOSTILE)
@pytest.mark.parametrize("length", [30, 1000, 32_768])
def test_no_pattern_takes_long(pattern: str, length: int) -> None:
    begin = time.process_time()
    if is_small_enough(pattern):
        with suppress(TooCostlyError):
            assert matches(pattern, "a" * length) == (pattern.startswith("a?") and 60 <= length <= 120)
    assert time.process_time() - begin < 2


def test_an_ordinary_pattern_is_checked_on_the_longest_value() -> None:
    assert matches("sk-[A-Za-z0-9_-]+", "sk-" + "x" * 32_000)


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("(", "something that is not complete|without"),
        (")", "without its"),
        ("(?=a)", "kind that is not understood"),
        ("(?P<n>a)", "kind that is not understood"),
        ("(a)\\1", "not understood"),
        ("\\bword", "not understood"),
        ("a**", "repetition of a repetition"),
        ("*", "no meaning"),
        ("a{", "no }"),
        ("a{x}", "count that is none"),
        ("a{,3}", "count that is none"),
        ("a{3,2}", "end is before"),
        ("[", "not complete"),
        ("[]", "without characters"),
        ("[z-a]", "end is before"),
        ("[\\d-z]", "no character"),
        ("a^b", "no meaning"),
        ("(a$)", "no meaning"),
        ("\\x4", "not complete"),
        ("a\\", "not complete"),
        ("a{900}b{900}", "come to more than"),
        ("((a{99}){99}){99}", "come to more than"),
        ("((){999}){999}", "come to more than"),
        ("(" * 50 + ")" * 50, "inside of each other"),
        ("a" * 201, "more than 200"),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_reason(pattern: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        check_pattern(pattern)
