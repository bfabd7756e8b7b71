"""Colours of code: Pygments, a bounded piece at a time.

A fence is highlighted in pieces of some forty lines; the lexer's state at the end of one is where the next
starts. A language is never guessed: an unknown one is plain.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pygments.lexer import Lexer
    from pygments.token import _TokenType

Stack = tuple[str, ...]
"""State of a lexer between two pieces."""
ROOT: Final[Stack] = ("root",)

Spans = list[tuple[str, str]]
"""A line of code as (text, style name)."""

COMMON: Final = (
    "python",
    "bash",
    "json",
    "javascript",
    "typescript",
    "html",
    "css",
    "sql",
    "rust",
    "go",
    "c",
    "java",
    "yaml",
    "diff",
)
"""Languages whose lexers are imported ahead of time, since answers are full of them."""

_STYLES: Final = {
    "Comment": "comment",
    "Keyword": "keyword",
    "Keyword.Constant": "number",
    "Literal.String": "string",
    "Literal.Number": "number",
    "Name.Function": "function",
    "Name.Class": "function",
    "Name.Decorator": "meta",
    "Name.Attribute": "meta",
    "Name.Tag": "keyword",
    "Name.Builtin": "builtin",
    "Name.Exception": "builtin",
    "Operator.Word": "keyword",
    "Operator": "operator",
    "Punctuation": "operator",
    "Generic.Deleted": "deleted",
    "Generic.Inserted": "inserted",
    "Generic.Heading": "meta",
    "Generic.Subheading": "meta",
    "Generic.Prompt": "meta",
}


@lru_cache(maxsize=64)
def lexer_for(language: str) -> "Lexer | None":
    """Return the lexer for a language's name as written after a fence, or None.

    Imports at most the one lexer's module.
    """
    from pygments.lexers import find_lexer_class  # Pygments is no part of the first frame

    name = _languages().get(language.lower())
    lexer = find_lexer_class(name) if name else None
    if lexer is None:
        return None
    return lexer(stripnl=False, ensurenl=False, startinline=True)


@lru_cache(maxsize=1)
def _languages() -> dict[str, str]:
    """Alias to name of the lexers that come with Pygments.

    Asking for an unknown one would import every plugin.
    """
    from pygments.lexers import get_all_lexers  # as above

    return {alias: name for name, aliases, _, _ in get_all_lexers(plugins=False) for alias in aliases}


@lru_cache(maxsize=512)
def _style(token: "_TokenType") -> str:
    name = str(token).removeprefix("Token").lstrip(".")
    while name:
        if name in _STYLES:
            return _STYLES[name]
        name = name.rpartition(".")[0]
    return "code"


def highlight(text: str, language: str, stack: Stack) -> tuple[list[Spans], Stack]:
    """Colour a piece of code.

    Args:
        text: The piece, tabs and all.
        language: The fence's language, maybe empty or unknown.
        stack: The state in which the piece before it ended; ROOT for the first.

    Returns:
        Its lines, and the state for the next piece. Lexers that do not tell their state start afresh.
    """
    lexer = lexer_for(language) if language else None
    if lexer is None:
        return [[(line, "code")] for line in text.removesuffix("\n").split("\n")], ROOT
    tokens, stack = _tokens(lexer, text, stack)
    return _lines(tokens), stack


def _tokens(lexer: "Lexer", text: str, stack: Stack) -> "tuple[list[tuple[_TokenType, str]], Stack]":
    from pygments.lexer import ExtendedRegexLexer, LexerContext, RegexLexer  # as above

    if type(lexer).get_tokens_unprocessed is RegexLexer.get_tokens_unprocessed:
        context = LexerContext(text, 0, list(stack))
        run: Any = ExtendedRegexLexer.get_tokens_unprocessed
        try:
            return [(token, value) for _, token, value in run(lexer, context=context)], tuple(context.stack)
        except (
            TypeError,
            KeyError,
        ):  # a callback that knows no context, or a state that the piece cannot start in
            pass
    return [(token, value) for _, token, value in lexer.get_tokens_unprocessed(text)], ROOT


def _lines(tokens: "list[tuple[_TokenType, str]]") -> list[Spans]:
    lines: list[Spans] = [[]]
    for token, value in tokens:
        style = _style(token)
        first, *more = value.split("\n")
        if first:
            lines[-1].append((first, style))
        lines.extend([(piece, style)] if piece else [] for piece in more)
    if len(lines) > 1 and not lines[-1]:
        lines.pop()
    return lines


def warm_up() -> None:
    """Import what highlighting will need. Meant for a thread, after the first frame."""
    for language in COMMON:
        lexer_for(language)
    highlight("def f(): pass\n", "python", ROOT)
