"""The Markdown that answers are made of in the measurements: the same text every time."""

from __future__ import annotations

import random

TOKEN = 3.4
SENTENCE = (
    "the model reads a line and decides whether it opens, continues or closes a block, so that **finished** "
    "text is never parsed *again* and the cost of `one` token stays what it was [see here](https://example.org/a)"
)
WORDS = SENTENCE.split(" ")


def paragraph(generator: random.Random, words: int) -> str:
    return " ".join(generator.choice(WORDS) for _ in range(words))


def mixed(tokens: int) -> str:
    """Realistic Markdown: headings, lists, fences, tables and paragraphs."""
    generator = random.Random(7)  # noqa: S311 (the same text every time, no secret)
    pieces: list[str] = []
    length = 0
    while length < tokens * TOKEN:
        kind = generator.randrange(5)
        if kind == 0:
            piece = f"## {paragraph(generator, 4)}\n\n{paragraph(generator, 60)}\n\n"
        elif kind == 1:
            piece = (
                "".join(f"- {paragraph(generator, 12)}\n  - {paragraph(generator, 8)}\n" for _ in range(6))
                + "\n"
            )
        elif kind == 2:
            code = "".join(
                f"def f{line}(x: int) -> str:\n    return str(x + {line})  # {line}\n" for line in range(12)
            )
            piece = f"```python\n{code}```\n\n"
        elif kind == 3:
            piece = (
                "| a | b | c |\n|---|:-:|--:|\n"
                + "".join(f"| {line} | `x{line}` | {line * 7} |\n" for line in range(8))
                + "\n"
            )
        else:
            piece = f"{paragraph(generator, 70)}\n\n"
        pieces.append(piece)
        length += len(piece)
    return "".join(pieces)[: int(tokens * TOKEN)]


def endless(kind: str, tokens: int) -> str:
    """One block that never ends."""
    generator = random.Random(7)  # noqa: S311 (as above)
    size = int(tokens * TOKEN)
    if kind == "list":
        return "".join(f"- {paragraph(generator, 10)}\n" for _ in range(size // 40))[:size]
    if kind == "fence":
        return (
            "```python\n" + "".join(f"value_{n} = call({n}, 'text')  # {n}\n" for n in range(size // 25))
        )[:size]
    if kind == "table":
        return (
            "| a | b |\n|---|---|\n"
            + "".join(f"| {paragraph(generator, 4)} | {n} |\n" for n in range(size // 20))
        )[:size]
    return paragraph(generator, size // 5)[:size]


def cut(text: str) -> list[str]:
    """Tokens of 3 or 4 characters."""
    sizes = (3, 4, 3, 3, 4)
    tokens: list[str] = []
    position = 0
    while position < len(text):
        size = sizes[len(tokens) % 5]
        tokens.append(text[position : position + size])
        position += size
    return tokens


def text_of(name: str) -> str:
    kind, _, tokens = name.partition(":")
    return mixed(int(tokens)) if kind == "mixed" else endless(kind, int(tokens))
