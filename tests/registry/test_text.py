"""What outsiders send reaches the screen as plain text, however it arrives."""

from __future__ import annotations

import sys
import time
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from registry import text as text_module
from registry.text import MAX_MARKS, MAX_SEQUENCE, StreamSanitizer, safe_text

FAMILY = "👨‍👩‍👧‍👦"

pieces = st.one_of(
    st.sampled_from(
        ["\x1b[", "\x9b", "\x1b]", "\x9d", "\x1bP", "\x90", "\x1bX", "\x98", "\x1b^", "\x9e", "\x1b_", "\x9f"]
    ),
    st.sampled_from(["\x07", "\x1b\\", "\x9c", "\x1b", "\\", "m", "\x18", "31", ";", " ", "["]),
    st.sampled_from(
        ["\r", "\n", "\r\n", "\u2028", "\x85", "\u200d", "\u200c", "\u0301", "\ufe0f", "👩", "र्", "م"]
    ),
    st.sampled_from(["a" * 4089, "a" * 4090, "a" * 4091, "1" * 256, "1" * 257, "\u0301" * 7]),
    st.text(max_size=8),
)
hostile = st.lists(pieces, max_size=12).map("".join)


def stream(text: str, cuts: list[int]) -> str:
    sanitizer = StreamSanitizer()
    edges = [0, *sorted(cuts), len(text)]
    fed = [sanitizer.feed(text[start:end]) for start, end in pairwise(edges)]
    return "".join(fed) + sanitizer.finish()


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b[31m",
        "\x1b[2J",
        "\x1b[?25l",
        "\x9b31m",
        "\x1b[0 q",
        "\x1b]0;title\x07",
        "\x1b]52;c;ZXZpbA==\x1b\\",
        "\x1b]8;;https://evil.example\x9c",
        "\x9d0;title\x9c",
        "\x1bPq#0;2;0;0;0\nabc\x1b\\",
        "\x90data\x9c",
        "\x1b_Ga=d\x1b\\",
        "\x1b^private\x1b\\",
        "\x1bXstart\x1b\\",
    ],
)
def test_a_complete_control_sequence_vanishes(sequence: str) -> None:
    assert safe_text(f"before{sequence}after") == "beforeafter"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\x90a paragraph that must stay", "a paragraph that must stay"),
        ("\x1b]0;no end", "]0;no end"),
        ("\x1b[31", "[31"),
        ("\x1b]0;one\x1b[31mtwo\x1b\\", "]0;onetwo\\"),
        ("\x9dstray, then a real \x1b]0;title\x07 one", "stray, then a real  one"),
        ("\x1b", ""),
    ],
)
def test_an_introducer_without_an_end_loses_only_itself(text: str, left: str) -> None:
    assert safe_text(text) == left


def test_a_sequence_longer_than_the_limit_counts_as_not_terminated() -> None:
    body = "a" * MAX_SEQUENCE
    assert safe_text(f"\x1b]{body}\x07b") == f"]{body}b"


def test_removing_a_sequence_cannot_build_another() -> None:
    assert safe_text("\x1b\x1b[m[31mred") == "[31mred"
    assert safe_text("\x1b\x00[31mred") == "[31mred"


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_every_line_break_becomes_a_newline(line_break: str) -> None:
    assert safe_text(f"a{line_break}b") == "a\nb"


@pytest.mark.parametrize(
    "invisible",
    [
        "\u202e",
        "\u2066",
        "\u200b",
        "\ufeff",
        "\u00ad",
        "\u200e",
        "\ue000",
        "\ud800",
        "\U000e0041",
        "\ufe00",
        "\U000e0100",
        "\u034f",
        "\u115f",
        "\u1160",
        "\u17b4",
        "\u17b5",
        "\u3164",
        "\uffa0",
        "\U0001d159",
    ],
)
def test_what_reverses_or_hides_is_removed(invisible: str) -> None:
    assert safe_text(f"pay{invisible}pal") == "paypal"


def test_a_braille_cell_without_dots_is_a_space() -> None:
    assert safe_text("\u28ff\u2800\u28ff") == "\u28ff \u28ff"
    assert safe_text("\u2800\u3164\u2800", single_line=True) == ""


def test_every_single_code_point_of_a_forbidden_category_is_removed() -> None:
    forbidden = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"} and chr(code) != "\t"
    ]
    assert set(safe_text("あ".join(forbidden))) == {"あ", "\n"}


def test_the_ranges_of_the_fast_path_hold_only_what_is_kept_as_it_is() -> None:
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    plain = text_module._suspects().sub("", everything)
    assert len(plain) > 40_000
    assert [hex(ord(character)) for character in plain if text_module._kind(character) != "keep"] == []


@pytest.mark.parametrize("text", [FAMILY, "👁️‍🗨️", "👩🏽‍🚀", "❤️‍🔥", "می‌خواهم", "র‍্যাব", "क्‍ष", "ශ්‍රී"])
def test_joiners_that_spelling_needs_survive(text: str) -> None:
    assert safe_text(f"x {text} y") == f"x {text} y"


@pytest.mark.parametrize(
    "text", ["a\u200db", "a\u200cb", "👩\u200d b", "\u200d👩", "👩\u200d", "👩\u200c👧", "a\u200d\u0301"]
)
def test_joiners_elsewhere_are_removed(text: str) -> None:
    assert safe_text(text) == text.replace("\u200d", "").replace("\u200c", "")


def test_marks_piled_on_one_character_are_capped() -> None:
    assert safe_text("a" + "\u0301" * 500 + "b") == "a" + "\u0301" * MAX_MARKS + "b"
    assert safe_text("a" + "\u0301\u200b\u200d" * 500) == "a" + "\u0301" * MAX_MARKS
    assert safe_text("क" + "\u0941\u200d" * 500).count("\u0941") == MAX_MARKS


def test_markup_is_left_for_the_widget_to_show_as_it_is() -> None:
    assert safe_text("[/x] [@click=app.quit]x[/]") == "[/x] [@click=app.quit]x[/]"


def test_a_limit_counts_the_ellipsis() -> None:
    assert safe_text("abcdef", limit=4) == "abc…"
    assert safe_text("abcd", limit=4) == "abcd"
    assert safe_text("\x1b[31mabcd\x1b[0m", limit=4) == "abcd"
    assert safe_text(FAMILY, limit=3) == "👨…"
    with pytest.raises(ValueError, match="no room"):
        safe_text("a", limit=0)


def test_a_single_line_has_no_breaks() -> None:
    assert safe_text("\none\r\n\ttwo\u2028three\n", single_line=True) == "one two three"


@given(hostile, st.lists(st.integers(0, 400), max_size=30))
@example("\x9dabc\x1b]52;x\x07d", [5, 6])
@example("a\r\nb", [2])
@example(FAMILY, [1, 2, 3])
def test_any_way_of_cutting_a_stream_gives_the_same_text(text: str, cuts: list[int]) -> None:
    assert stream(text, [cut for cut in cuts if cut <= len(text)]) == safe_text(text)


@given(st.text(alphabet="\x1b]\\[mP\x9d\x9c\x90\x07\r\na0;\u200d\u0301👩", max_size=40))
def test_a_stream_of_single_characters_gives_the_same_text(text: str) -> None:
    assert stream(text, list(range(len(text)))) == safe_text(text)


@given(hostile)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert safe_text(safe_text(text)) == safe_text(text)


@given(hostile)
def test_no_control_is_ever_left(text: str) -> None:
    forbidden = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}
    left = {character for character in safe_text(text) if unicodedata.category(character) in forbidden}
    assert left <= {"\n", "\t", "\u200d", "\u200c"}


def test_a_sequence_without_an_end_does_not_hold_the_stream_back() -> None:
    sanitizer = StreamSanitizer()
    shown = "".join(sanitizer.feed("\x1b]" + "a" * 1000) for _ in range(1))
    shown += "".join(sanitizer.feed("a" * 100) for _ in range(40))
    assert len(shown) >= 1000 + 4000 - MAX_SEQUENCE
    assert shown.startswith("]aaa")


def test_clean_deltas_come_out_at_once() -> None:
    sanitizer = StreamSanitizer()
    assert sanitizer.feed("Hello, ") == "Hello, "
    assert sanitizer.feed("wörld") == "wörld"
    assert sanitizer.finish() == ""


def test_a_sanitizer_can_be_used_again_after_its_end() -> None:
    sanitizer = StreamSanitizer()
    assert sanitizer.feed("a\x1b") + sanitizer.finish() == "a"
    assert sanitizer.feed("[31m") + sanitizer.finish() == "[31m"


def cpu(text: str) -> float:
    """Seconds of CPU for one cleaning, the best of several."""
    best = float("inf")
    for _ in range(7):
        start = time.process_time_ns()
        for _ in range(5):
            safe_text(text)
        best = min(best, time.process_time_ns() - start)
    return best / 5e9


@pytest.mark.parametrize(
    "unit", ["\x1b[31mred", "\x9d", "\x1b]abc", "\x1b", "e\u0301", "\x90" + "a" * 4000, "\x1b[" + "1" * 255]
)
def test_the_cost_of_hostile_text_grows_no_faster_than_its_length(unit: str) -> None:
    short = (unit * 8000)[:8000]
    assert cpu(short * 8) < 8 * 3 * max(cpu(short), 1e-5)


def test_clean_text_costs_at_most_a_few_times_its_encoding_by_character() -> None:
    text = "Plain words of an answer, ünd etwas mehr.\n" * 500
    start = time.process_time_ns()
    for _ in range(5):
        [ord(character) for character in text]
    by_character = (time.process_time_ns() - start) / 5e9
    assert cpu(text) < by_character
