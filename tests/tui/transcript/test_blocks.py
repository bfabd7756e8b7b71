"""The block parser says what CommonMark says, however the text arrives."""

import re
from time import process_time

import pytest
from hypothesis import assume, given, settings
from markdown_it import MarkdownIt

from tests.tui.transcript.markdown import hostile, markdown, split
from tui.transcript.blocks import MAX_LINES, MAX_PIECE, BlockParser
from tui.transcript.inline import define_links
from tui.transcript.parts import Item, Part, Quote

Shape = tuple[str, str, str, int, str]


def parse(*deltas: str) -> list[Part]:
    parser = BlockParser(define_links)
    for delta in deltas:
        parser.feed(delta)
        parser.preview()
    parser.finish()
    return parser.parts


def ours(source: str) -> list[Shape]:
    shapes: list[Shape] = []
    for part in parse(source):
        path = "".join(
            ">" if isinstance(box, Quote) else "u" if box.number is None else "o" for box in part.path
        )
        text = (
            ""
            if part.kind == "table"
            else part.text.strip()
            if part.kind in ("paragraph", "heading")
            else part.text.rstrip()
        )
        shapes.append((path, part.kind, text, part.level, part.info if part.kind == "code" else ""))
    return shapes


def theirs(source: str) -> list[Shape]:
    """The same from markdown-it, which parses the whole text."""
    shapes: list[Shape] = []
    path: list[str] = []
    opened: list[int] = []
    table = False
    tokens = MarkdownIt("commonmark").enable("table").parse(source)
    for index, token in enumerate(tokens):
        where = "".join(path)
        if token.type in ("blockquote_open", "list_item_open"):
            path.append(">" if token.type == "blockquote_open" else "o" if token.markup in ".)" else "u")
            opened.append(len(shapes))
        elif token.type in ("blockquote_close", "list_item_close"):
            if opened.pop() == len(shapes) and token.type == "list_item_close":
                shapes.append((where, "empty", "", 0, ""))
            path.pop()
        elif token.type in ("table_open", "table_close"):
            table = token.type == "table_open"
            if table:
                shapes.append((where, "table", "", 0, ""))
        elif table:
            continue
        elif token.type in ("fence", "code_block"):
            shapes.append((where, "code", token.content.rstrip(), 0, "".join(token.info.split()[:1])))
        elif token.type == "html_block":
            shapes.append((where, "html", token.content.rstrip(), 0, ""))
        elif token.type == "hr":
            shapes.append((where, "rule", "", 0, ""))
        elif token.type == "inline":
            tag = tokens[index - 1]
            text = "\n".join(line.lstrip(" \t") for line in token.content.split("\n")).strip()
            heading = tag.type == "heading_open"
            shapes.append(
                (where, "heading" if heading else "paragraph", text, int(tag.tag[1]) if heading else 0, "")
            )
    return shapes


@settings(max_examples=300, deadline=None)
@given(markdown)
def test_blocks_are_those_of_commonmark(source: str) -> None:
    assume(
        "\t" not in source and "    " not in source
    )  # markdown-it's own ways with tabs and code inside containers
    assume(
        not re.search(r"^\s*([-+*>#<`~]|\d[.)]).*\|", source, re.MULTILINE)
    )  # and with a table's head after a mark
    assume(
        not re.search(r"([-+*]|\d[.)])\s*(>\s*)+$", source, re.MULTILINE)
    )  # an item that holds an empty quote
    assert ours(source) == theirs(source)


@pytest.mark.parametrize(
    "source",
    [
        "# One\ntwo\n===\nthree",
        "- a\n- b\n\n  c\n- d\n\ne",
        "1. a\n   - b\n     - c\n   - d\n2. e",
        "> a\nlazy\n> b\n\n> c",
        "- a\nlazy\n\n      code\n",
        "para\n    not code\n\n    code\n\n    more\nend",
        "```a b\n~~~\n```\n~~~\n```\n~~~",
        "  ```\n  a\n b\n  ```",
        "<div>\n*a*\n\n*b*\n<!-- x\n\ny -->\nz",
        "a | b\n- | -\nc | d\n\n| a |\n|---|\n",
        "text\n| a | b |\n|---|---|\n| 1 | 2 |\n> quote",
        "[a]: /x\n'title\nmore'\n\n[a]",
        "[a]: /x\nrest of it",
        "***\n- - -\n_ _ _",
        "-\n  foo\n-\n\n  bar",
        "- # a\n- ```\n  b\n  ```\n- > c",
        "2. not first\n\ntext\n2. no list\n1. list",
    ],
)
def test_known_documents_have_the_blocks_of_commonmark(source: str) -> None:
    assert ours(source) == theirs(source)


@settings(max_examples=300, deadline=None)
@given(split(hostile))
def test_how_a_text_is_cut_never_changes_its_parts(deltas: list[str]) -> None:
    assert parse(*deltas) == parse("".join(deltas))


def test_a_preview_is_what_finishing_would_give() -> None:
    text = "# a\n\n- b\n  - c\n\n```py\nd = 1\n"
    for end in range(len(text)):
        parser = BlockParser(define_links)
        parser.feed(text[:end])
        preview = parser.preview()
        assert [*parser.parts, *preview] == parse(text[:end])


def test_items_are_numbered_on_from_the_first() -> None:
    parts = parse("3. a\n3. b\n9. c\n\n- d")
    assert [box.number for part in parts for box in part.path if isinstance(box, Item)] == [3, 4, 5, None]


def test_blank_lines_stand_between_blocks_but_in_a_list_only_where_they_were_written() -> None:
    assert [part.gap for part in parse("# a\nb\n- c\n- d\n\n- e\n\nf\n> g")] == [0, 1, 1, 0, 1, 1, 1]


def test_code_is_kept_to_the_letter() -> None:
    code = "\tdef f():\n\n  \treturn  'a'\t\n\n"
    assert "".join(part.text for part in parse(f"```\n{code}```\n")) == code


def test_long_blocks_come_in_bounded_parts_and_lose_nothing() -> None:
    code = "".join(f"line {number}\n" for number in range(600))
    parts = parse(f"```py\n{code}```\n")
    assert "".join(part.text for part in parts) == code
    assert max(part.text.count("\n") for part in parts) <= MAX_LINES
    assert [part.chunk for part in parts] == list(range(len(parts)))
    assert {part.leaf for part in parts} == {parts[0].leaf}


def test_a_line_without_an_end_comes_in_bounded_parts_and_loses_nothing() -> None:
    text = "word " * 5000
    parts = parse(text[:777], text[777:])
    assert "".join(part.text for part in parts) == text
    assert max(len(part.text) for part in parts) <= MAX_PIECE + 1
    code = parse("```\n" + "x" * 10_000 + "\nend\n```\n")
    assert "".join(part.text for part in code) == "x" * 10_000 + "\nend\n"


@pytest.mark.parametrize(
    "line",
    [
        "- item\n",
        "  - nested\n",
        "word\n",
        "> q\n",
        "|a|b|\n",
        "[a]: /x\n",
        "    code\n",
        "\n",
        "<b>\n",
        "- " * 9 + "\n",
    ],
)
def test_the_cost_of_a_line_does_not_grow_with_the_text(line: str) -> None:
    def cost(lines: int) -> float:
        parser = BlockParser(define_links)
        start = process_time()
        for _ in range(lines):
            parser.feed(line)
            parser.preview()
        return process_time() - start

    cost(50)
    short = min(cost(300) for _ in range(3))
    long = min(cost(1200) for _ in range(3))
    assert long <= 4 * short * 2 + 0.05, f"{line!r}: {long / short:.1f} times the cost for 4 times the text"
