"""What is inside a paragraph, heading or table cell: emphasis, code, links, images.

Parsed by markdown-it, a bounded piece at a time, when the piece first comes into view. The result is flat
text with marks; nothing of Textual's or Rich's markup is ever looked for in it.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

STRONG: Final = 1
EMPHASIS: Final = 2
STRIKE: Final = 4
CODE: Final = 8
LINK: Final = 16
QUIET: Final = 32
CHECKED: Final = 64

_BARE_URL: Final = re.compile(r"https?://[^\s<>\"'`|]+")
_BREAK_TAG: Final = re.compile(r"<br\s*/?>$", re.IGNORECASE)
_OPENED: Final = {"strong_open": STRONG, "em_open": EMPHASIS, "s_open": STRIKE}
_CLOSED: Final = {"strong_close": STRONG, "em_close": EMPHASIS, "s_close": STRIKE}
_UNSAFE: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb]"
)


def shown(text: str) -> str:
    """Replace, one for one, whatever must not reach a terminal.

    That is controls, direction marks, line separators and half characters. A second line of defence: the
    caller has sanitised already, but a character reference such as `&#x202E;` is decoded after that.
    """
    return text if text.isprintable() else _UNSAFE.sub("\ufffd", text)


@dataclass(frozen=True, slots=True)
class Inline:
    """Flat text and what is known of its ranges.

    Attributes:
        text: What is read; a line break within is a hard break.
        marks: (start, end, flags) in order, without overlap; what is between them is plain.
        links: (start, end, address) in order.
    """

    text: str
    marks: tuple[tuple[int, int, int], ...] = ()
    links: tuple[tuple[int, int, str], ...] = ()


_parser: "MarkdownIt | None" = None
_definitions: "MarkdownIt | None" = None


def markdown() -> "MarkdownIt":
    """Return the one inline parser; the first call imports markdown-it."""
    global _parser
    if _parser is None:
        from markdown_it import (
            MarkdownIt,  # costs as much as the first frame: only when there is something to show
        )

        _parser = MarkdownIt("commonmark").enable("strikethrough")
    return _parser


def define_links(paragraph: str, references: dict[str, object]) -> str:
    """Take link definitions off the start of a paragraph, add them to `references`, return what is left."""
    global _definitions
    if _definitions is None:
        from markdown_it import MarkdownIt  # as above

        _definitions = MarkdownIt("zero").enable("reference")
    environment: dict[str, Any] = {"references": references}
    tokens = _definitions.parse(paragraph, environment)
    if not tokens or tokens[0].map is None:
        return ""
    return "\n".join(paragraph.split("\n")[tokens[0].map[0] :])


def parse_inline(text: str, references: dict[str, object] | None = None, *, breaks: bool = False) -> Inline:
    """Parse the inside of a leaf.

    Args:
        text: Its source.
        references: The link definitions of the whole message.
        breaks: Whether a line break in the source is one on screen (a person's message), or a space
            (Markdown's rule).
    """
    if references and "[" in text:
        return _parse(text, references, breaks)
    return _parse_alone(text, breaks)


@lru_cache(maxsize=1024)
def _parse_alone(text: str, breaks: bool) -> Inline:
    return _parse(text, {}, breaks)


def _parse(text: str, references: dict[str, object], breaks: bool) -> Inline:
    tokens = markdown().parseInline(text.strip(), {"references": references})
    return _Flattener(breaks).flatten(tokens[0].children or [])


class _Flattener:
    """Collects the tokens of one inline run."""

    def __init__(self, breaks: bool) -> None:
        self._soft = "\n" if breaks else " "
        self._text: list[str] = []
        self._length = 0
        self._marks: list[tuple[int, int, int]] = []
        self._links: list[tuple[int, int, str]] = []
        self._flags = 0
        self._depth: dict[int, int] = {}
        self._link: tuple[int, str] | None = None

    def flatten(self, tokens: "list[Token]") -> Inline:
        for token in tokens:
            self._token(token)
        return Inline(shown("".join(self._text)), tuple(self._marks), tuple(self._links))

    def _token(self, token: "Token") -> None:
        kind = token.type
        if kind == "text":
            self._plain(token.content)
        elif flag := _OPENED.get(kind, 0):
            self._depth[flag] = self._depth.get(flag, 0) + 1
            self._flags |= flag
        elif flag := _CLOSED.get(kind, 0):
            self._depth[flag] -= 1
            if not self._depth[flag]:
                self._flags &= ~flag
        elif kind == "code_inline":
            self._add(token.content, self._flags | CODE)
        elif kind == "softbreak":
            self._add(self._soft, self._flags)
        elif kind == "hardbreak":
            self._add("\n", 0)
        elif kind == "link_open":
            self._link = (self._length, str(token.attrs.get("href", "")))
        elif kind == "link_close":
            self._close_link()
        elif kind == "image":
            self._image(token)
        elif _BREAK_TAG.match(token.content):
            self._add("\n", 0)
        else:
            self._add(token.content, self._flags | QUIET)

    def _plain(self, text: str) -> None:
        """Text, in which addresses are links even where nobody marked them as such."""
        if self._link is not None or "://" not in text:
            self._add(text, self._flags)
            return
        end = 0
        for match in _BARE_URL.finditer(text):
            url = _without_punctuation(match[0])
            self._add(text[end : match.start()], self._flags)
            self._link = (self._length, url)
            self._add(url, self._flags)
            self._close_link()
            end = match.start() + len(url)
        self._add(text[end:], self._flags)

    def _image(self, token: "Token") -> None:
        address = str(token.attrs.get("src", ""))
        inner = self._link is None
        if inner:
            self._link = (self._length, address)
        alt = _Flattener(breaks=False).flatten(token.children or []).text
        self._add(f"[image: {alt or address}]", self._flags)
        if inner:
            self._close_link()

    def _close_link(self) -> None:
        if self._link is not None:
            start, address = self._link
            self._link = None
            if self._length > start:
                self._links.append((start, self._length, shown(address).replace("\n", "\ufffd")))

    def _add(self, text: str, flags: int) -> None:
        if not text:
            return
        start, end = self._length, self._length + len(text)
        if self._link is not None:
            flags |= LINK
        if flags:
            last = self._marks[-1] if self._marks else (0, -1, 0)
            if last[1] == start and last[2] == flags:
                self._marks[-1] = (last[0], end, flags)
            else:
                self._marks.append((start, end, flags))
        self._text.append(text)
        self._length = end


def _without_punctuation(url: str) -> str:
    """Drop what a sentence put after an address: full stops, and a bracket that was opened before it."""
    while url and (
        url[-1] in ".,;:!?*_~"
        or (url[-1] in ")]" and url.count(url[-1]) > url.count("(" if url[-1] == ")" else "["))
    ):
        url = url[:-1]
    return url
