"""From the names that rows carry to colours: component classes, so that a theme decides them all."""

from collections.abc import Callable
from typing import Final

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.strip import Strip

from tui.transcript import inline
from tui.transcript.rows import Row, Style

_PROSE: Final = (
    *("text", "label", "note", "thinking", "thinking-head", "h1", "h2", "h3", "h4"),
    *("mark", "quote", "quoted", "rule", "table-head"),
)
_CODE: Final = (
    *("code", "code-label", "keyword", "string", "number", "comment", "function"),
    *("builtin", "meta", "operator", "deleted", "inserted"),
)
_GROUNDS: Final = ("user", "assistant", "notice", "error")
_FLAGS: Final = (
    (inline.LINK, "link"),
    (inline.CODE, "inline-code"),
    (inline.QUIET, "quiet"),
    (inline.CHECKED, "checked"),
)
_EXTRA: Final = ("cursor", "match", "match-current", "hint")

GUTTER: Final = 2
"""Cells left of every row: a bar for who speaks or where the cursor is, and a blank."""

COMPONENTS: Final = frozenset(
    f"transcript--{name}"
    for name in (
        *_PROSE,
        *_CODE,
        *_GROUNDS,
        *(f"{role}-bar" for role in _GROUNDS),
        *(flag for _, flag in _FLAGS),
        *_EXTRA,
    )
)

StyleOf = Callable[..., RichStyle]


class Palette:
    """Looks styles up once per theme."""

    def __init__(self, style_of: StyleOf) -> None:
        """Create a palette.

        Args:
            style_of: Gives the style of a combination of component classes, later ones over earlier ones.
        """
        self._style_of = style_of
        self._cache: dict[tuple[str, str, int], RichStyle] = {}

    def clear(self) -> None:
        """Forget all colours: the theme has changed."""
        self._cache.clear()

    def named(self, name: str) -> RichStyle:
        """The style of something that is not text of a message, such as the cursor."""
        return self.style("", (name, 0))

    def style(self, ground: str, style: Style) -> RichStyle:
        """The style of a span in a message of that role."""
        base, flags = style
        key = (ground, base, flags)
        found = self._cache.get(key)
        if found is None:
            names = [ground] if ground else []
            if base in _CODE and base != "code":
                names.append("code")
            if base:
                names.append(base)
            names += [name for flag, name in _FLAGS if flags & flag]
            found = self._style_of(*(f"transcript--{name}" for name in names))
            if flags & (inline.STRONG | inline.EMPHASIS | inline.STRIKE):
                found += RichStyle(
                    bold=True if flags & inline.STRONG else None,
                    italic=True if flags & inline.EMPHASIS else None,
                    strike=True if flags & inline.STRIKE else None,
                )
            self._cache[key] = found
        return found

    def strip(self, row: Row, role: str, width: int, bar: RichStyle | None = None) -> Strip:
        """Give a row its colours.

        Args:
            row: The row.
            role: Who speaks.
            width: Cells of the result, gutter included.
            bar: Style of the bar beside it, if not the role's own.
        """
        ground = self.style(role, ("", 0))
        if bar is None and role != "assistant":
            bar = self.style(role, (f"{role}-bar", 0))
        segments = [Segment("  ", ground) if bar is None else Segment("▌ ", bar)]
        style = self.style
        for text, name in row.spans:
            if text:
                segments.append(Segment(text, style(role, name)))
        strip = Strip(segments)
        return strip.adjust_cell_length(width, style(role, (row.fill, 0)))


def overlay(strip: Strip, start: int, end: int, style: RichStyle) -> Strip:
    """Lay a style over the characters from `start` to `end` (-1: to the end of the line)."""
    segments: list[Segment] = []
    position = 0
    for text, before, control in strip:
        size = len(text)
        first, last = max(start - position, 0), size if end < 0 else min(end - position, size)
        position += size
        if first >= size or last <= first:
            segments.append(Segment(text, before, control))
            continue
        over = before + style if before is not None else style
        pieces = ((text[:first], before), (text[first:last], over), (text[last:], before))
        segments.extend(Segment(piece, look, control) for piece, look in pieces if piece)
    return Strip(segments, strip.cell_length)
