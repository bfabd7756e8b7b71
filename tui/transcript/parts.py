"""What the block parser makes of a text: leaf blocks, each with the containers around it."""

from dataclasses import dataclass, field
from typing import Literal

from tui.transcript import syntax

Kind = Literal["paragraph", "heading", "code", "html", "table", "rule", "empty"]


@dataclass(frozen=True, slots=True)
class Quote:
    """A block quote around a part."""

    serial: int


@dataclass(frozen=True, slots=True)
class Item:
    """A list item around a part.

    `indent` is the column at which its content starts, `list` is the same for all items of one list.
    """

    serial: int
    list: int
    mark: str
    number: int | None
    indent: int


Container = Quote | Item


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf block, or a piece of a long one: the unit that is parsed, measured, drawn and cached.

    Attributes:
        kind: What it is.
        text: Its source without the marks of its containers; for code exactly the code.
        path: The containers around it, outermost first.
        fresh: `path[fresh:]` begin with this part, so it shows their marks.
        gap: Blank lines before it: 0 or 1.
        leaf: Number of the leaf block that it belongs to.
        chunk: Number of the piece within that leaf.
        info: Language of code, column alignments of a table (comma separated).
        level: Level of a heading.
    """

    kind: Kind
    text: str
    path: tuple[Container, ...] = ()
    fresh: int = 0
    gap: int = 0
    leaf: int = 0
    chunk: int = 0
    info: str = ""
    level: int = 0


@dataclass(slots=True)
class OpenLeaf:
    """The one open leaf of a parser: the part that it will become, and its lines so far.

    `undo` is what the parser knew before it, for a paragraph that turns out to hold only definitions.
    """

    part: Part
    lines: list[str] = field(default_factory=list)
    size: int = 0
    blanks: tuple[str, ...] = ()
    fence: str = ""
    fence_indent: int = 0
    html: syntax.Html | None = None
    header_ok: bool = False
    undo: tuple[int, tuple[Container, ...], bool] = (0, (), False)


def gap_between(before: tuple[Container, ...] | None, path: tuple[Container, ...], blank: bool) -> int:
    """Blank lines between two leaves: within a list as the source has it, elsewhere always one.

    Args:
        before: The containers of the leaf before, None if there is none.
        path: The containers of the new leaf.
        blank: Whether the source has a blank line between them.
    """
    if before is None:
        return 0
    for mine, theirs in zip(path, before, strict=False):
        if isinstance(mine, Item) and isinstance(theirs, Item) and mine.list == theirs.list:
            return int(blank)
        if mine != theirs:
            break
    return 1
