"""Random Markdown for tests."""

from hypothesis import strategies as st

PIECES = [
    *(
        "- ",
        "* ",
        "1. ",
        "2) ",
        "> ",
        "  ",
        " ",
        "\n",
        "\n",
        "\n\n",
        "a",
        "foo",
        "b c",
        "# ",
        "## ",
        "---",
        "***",
        "===",
        "```",
    ),
    *(
        "```py",
        "~~~",
        "`",
        "|",
        "\n| a | b |\n",
        "|---|---|\n",
        "a | b\n",
        "<div>",
        "</div>",
        "<!--",
        "-->",
        "<b>",
        "[a]",
    ),
    *(
        "\n\n[a]: /x\n\n",
        "-",
        "+",
        "1.",
        "#",
        "\\",
        "<?",
        "!",
        "**",
        "_",
        "日本",
        "👩‍👩‍👧",
        "é",
        "\t",
        "https://a.b/c",
        "&amp;",
    ),
]
HOSTILE = [
    *(
        "\x1b]52;c;aGk=\x07",
        "\x1b[31m",
        "\x9b31m",
        "\u202e",
        "\u2028",
        "\x85",
        "\x00",
        "\r",
        "\x0b",
        "[/x]",
        "[@click=app.quit]x[/]",
    ),
    *("&#x1b;", "&#x202e;", "&#x2028;", "\ud800", "[x](javascript:alert)", "\x7f", "\u200f"),
]

markdown = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
hostile = st.lists(st.sampled_from([*PIECES, *HOSTILE]), max_size=30).map("".join)


@st.composite
def split(draw: st.DrawFn, texts: st.SearchStrategy[str] = markdown) -> list[str]:
    """A text in pieces."""
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
