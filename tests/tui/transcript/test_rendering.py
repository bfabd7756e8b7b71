"""What Markdown looks like in lines, and that nothing hostile gets into one."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.tui.transcript.lines import loaded, rendered, show, streamed
from tests.tui.transcript.markdown import hostile, split
from tui.transcript.heights import Heights
from tui.transcript.wrap import chop, wrap

UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def test_a_document_has_its_lines() -> None:
    source = "# T\n\nsome *em* text\nand `code`\n\n- a\n  1. b\n\n- [x] c\n- [ ] d\n\n> q\n> r\n\n---\n"
    assert show(source, 24) == [
        *("T", "", "some em text and code", "", "• a", "  1. b", "", "[x] c", "[ ] d"),
        *("", "▎ q r", "", "─" * 24),
    ]


def test_nested_items_hang_under_their_text() -> None:
    assert show("10. one two three\n    - four five", 12) == [
        "10. one two",
        "    three",
        "    • four",
        "      five",
    ]


def test_a_table_has_aligned_columns() -> None:
    assert show("| a | b | c |\n|:--|:-:|--:|\n| one | two | three |\n| 1 | 2 |") == [
        "a   │  b  │     c",
        "────┼─────┼──────",
        "one │ two │ three",
        "1   │  2  │",
    ]


def test_a_wide_table_wraps_in_its_cells_and_a_hopeless_one_is_cut() -> None:
    source = "| name | what it does |\n|---|---|\n| x | a rather long explanation of it |"
    lines = show(source, 24)
    assert max(map(cell_len, lines)) <= 24
    assert lines[2:] == ["x    │ a rather long", "     │ explanation of it"]
    many = "|" + "a|" * 30 + "\n|" + "-|" * 30
    assert all(cell_len(line) <= 20 for line in show(many, 20))
    assert show(many, 20)[0].endswith("…")


def test_code_keeps_its_lines_and_says_its_language() -> None:
    assert show("```py\nif x:\n\ty = 1\n```") == [" py", " if x:", "     y = 1"]
    assert show("    plain\n") == [" plain"]
    assert show("```\n" + "x" * 20 + "\n```", 12) == [" " + "x" * 10, " " + "x" * 10]


def test_html_is_shown_as_it_was_written_and_images_by_their_text() -> None:
    assert show("<div>\n<b>x</b>\n</div>") == ["<div>", "<b>x</b>", "</div>"]
    assert show("a <b>bold</b> move<br>down ![a cat](c.png)") == ["a <b>bold</b> move", "down [image: a cat]"]


def test_hard_breaks_break_and_soft_ones_do_not() -> None:
    assert show("a  \nb\\\nc\nd") == ["a", "b", "c d"]


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("[a](https://x.y/z)", "https://x.y/z"),
        ("<https://x.y/z>", "https://x.y/z"),
        ("see https://x.y/z_(a).", "https://x.y/z_(a)"),
        ("[a]\n\n[a]: https://x.y/z", "https://x.y/z"),
        ("![a](https://x.y/z)", "https://x.y/z"),
    ],
)
def test_a_link_knows_its_address(source: str, url: str) -> None:
    assert [link[2] for row in rendered(loaded(source)) for link in row.links] == [url]


def test_a_dangerous_address_is_no_link() -> None:
    assert show("[a](javascript:alert(1))") == ["[a](javascript:alert(1))"]


def test_wide_characters_are_never_split_and_never_overflow() -> None:
    assert show("日本語のテキスト", 9) == ["日本語の", "テキスト"]
    assert show("```\n日本語\n```", 7) == [" 日本", " 語"]
    assert show("| 日本 | b |\n|---|---|\n| x | y |")[2] == "x    │ y"


@given(
    st.lists(
        st.sampled_from(["a", "b", " ", " ", "日", "é", "e\u0301", "👍", "👩\u200d👧"]), max_size=40
    ).map("".join),
    st.integers(1, 12),
)
def test_wrapping_loses_nothing_but_white_space(text: str, width: int) -> None:
    position = 0
    for start, end in wrap(text, width):
        assert not text[position:start].strip(" ")
        assert cell_len(text[start:end].strip()) <= max(width, 2)
        position = end
    assert not text[position:].strip(" ")
    assert "".join(text[start:end] for start, end in chop(text, width)) == text


@settings(max_examples=200, deadline=None)
@given(hostile, st.integers(1, 60))
def test_no_control_or_direction_mark_reaches_a_line_and_every_line_fits(source: str, width: int) -> None:
    for row in rendered(loaded(source, width)):
        assert not UNSAFE.search(row.text), ascii(row.text)
        assert all(not UNSAFE.search(url) for _, _, url in row.links)
        if width >= 8:
            assert cell_len(row.text) <= width, (source, row.text)


def test_markup_of_textual_is_only_text() -> None:
    assert show("[/x] [@click=app.quit]x[/] [bold]y[/bold]") == ["[/x] [@click=app.quit]x[/] [bold]y[/bold]"]


@settings(max_examples=150, deadline=None)
@given(split(hostile), st.integers(8, 60))
def test_a_streamed_message_ends_as_the_one_that_was_loaded(deltas: list[str], width: int) -> None:
    ours, whole = rendered(streamed(deltas, width)), rendered(loaded("".join(deltas), width))
    assert ours == whole


def test_a_long_fence_ends_the_same_whether_streamed_or_loaded() -> None:
    text = (
        "```python\n"
        + '"""doc\n' * 3
        + "".join(f"x{number} = f({number})  # c\n" for number in range(400))
        + "```\n"
    )
    assert rendered(streamed([text[n : n + 50] for n in range(0, len(text), 50)])) == rendered(loaded(text))


def test_a_string_over_many_lines_keeps_its_colour() -> None:
    text = "```python\n'''\n" + "text\n" * 100 + "'''\nx = 1\n```\n"
    styles = {style for row in rendered(loaded(text)) for span, (style, _) in row.spans if span == "text"}
    assert styles == {"string"}


def test_an_unknown_language_is_plain() -> None:
    assert {
        style for row in rendered(loaded("```nonsense\nif x: pass\n```")) for _, (style, _) in row.spans
    } == {
        "code",
        "code-label",
    }


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=40), st.integers(0, 60))
def test_heights_find_what_is_at_a_line(changes: list[tuple[int, int]], line: int) -> None:
    tree = Heights()
    plain: list[int] = []
    for kind, value in changes:
        if kind == 0 and plain:
            tree.set(value % len(plain), value)
            plain[value % len(plain)] = value
        elif kind == 1 and plain:
            tree.truncate(len(plain) - 1)
            plain.pop()
        else:
            tree.append(value)
            plain.append(value)
    assert tree.total == sum(plain)
    assert [tree.before(index) for index in range(len(plain) + 1)] == [
        sum(plain[:index]) for index in range(len(plain) + 1)
    ]
    index, row = tree.find(line)
    if line < sum(plain):
        assert sum(plain[:index]) + row == line
        assert row < plain[index]
