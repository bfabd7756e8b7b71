"""The line-level syntax of CommonMark: what opens, continues and closes a block.

Small pure functions and patterns for [blocks][tui.transcript.blocks]; the rules are those of the CommonMark
specification, section 4 and 5, and of GitHub's table extension.
"""

import re
from typing import Final

ATX: Final = re.compile(r"(#{1,6})(?:[ \t]+|$)")
ATX_END: Final = re.compile(r"(?:^|[ \t]+)#+[ \t]*$")
RULE: Final = re.compile(r"(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$")
SETEXT: Final = re.compile(r"(?:=+|-+)[ \t]*$")
FENCE: Final = re.compile(r"(`{3,})([^`]*)$|(~{3,})(.*)$")
BULLET: Final = re.compile(r"[*+-](?=[ \t]|$)")
NUMBER: Final = re.compile(r"(\d{1,9})([.)])(?=[ \t]|$)")
DELIMITER: Final = re.compile(r"(?:\||:|-(?![ \t]))[|: \t-]+$")
DELIMITER_CELL: Final = re.compile(r":?-+:?$")

_BLOCK_TAGS = (
    "address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details|dialog|dir|div|dl|dt|fieldset|"
    "figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|hr|html|iframe|legend|li|link|main|menu|menuitem|nav|noframes|"
    "ol|optgroup|option|p|param|search|section|summary|table|tbody|td|tfoot|th|thead|title|tr|track|ul"
)
_ATTRIBUTE = r"(?:\s+[a-zA-Z_:][a-zA-Z0-9:._-]*(?:\s*=\s*(?:[^\"'=<>`\x00-\x20]+|'[^']*'|\"[^\"]*\"))?)"
_HTML_STARTS: Final = (
    (
        re.compile(r"<(?:script|pre|style|textarea)(?=\s|>|$)", re.IGNORECASE),
        re.compile(r"</(?:script|pre|style|textarea)>", re.IGNORECASE),
    ),
    (re.compile(r"<!--"), re.compile(r"-->")),
    (re.compile(r"<\?"), re.compile(r"\?>")),
    (re.compile(r"<![A-Z]"), re.compile(r">")),
    (re.compile(r"<!\[CDATA\["), re.compile(r"\]\]>")),
    (re.compile(rf"</?(?:{_BLOCK_TAGS})(?=\s|/?>|$)", re.IGNORECASE), None),
    (re.compile(rf"(?:<[A-Za-z][A-Za-z0-9-]*{_ATTRIBUTE}*\s*/?>|</[A-Za-z][A-Za-z0-9-]*\s*>)\s*$"), None),
)
_ANY_TAG: Final = len(_HTML_STARTS) - 1


class Html:
    """An open HTML block's way to end: a pattern in one of its lines, or a blank line."""

    __slots__ = ("end",)

    def __init__(self, end: "re.Pattern[str] | None") -> None:
        self.end = end


def html_start(text: str, *, interrupting: bool) -> Html | None:
    """Return how the HTML block ends that `text` (without its indentation) opens, or None if it opens none.

    Args:
        text: A line from its first visible character.
        interrupting: Whether a paragraph is open; the most general form may not interrupt one.
    """
    for kind, (start, end) in enumerate(_HTML_STARTS):
        if start.match(text):
            return None if kind == _ANY_TAG and interrupting else Html(end)
    return None


def item_mark(text: str) -> tuple[str, int | None, int] | None:
    """Return the mark of a list item at the start of `text`: its character, its number, its length."""
    if mark := BULLET.match(text):
        return mark[0], None, mark.end()
    if mark := NUMBER.match(text):
        return mark[2], int(mark[1]), mark.end()
    return None


class LineCursor:
    """A position in a line that counts columns, so that a tab may be consumed in part (tab stops of four)."""

    __slots__ = ("_column", "_line", "_pending", "pos")

    def __init__(self, line: str) -> None:
        self._line = line
        self._column = 0
        self._pending = 0
        self.pos = 0

    def indent(self) -> int:
        """Columns of white space from here to the next visible character."""
        column = self._column + self._pending
        line = self._line
        for index in range(self.pos, len(line)):
            character = line[index]
            if character == " ":
                column += 1
            elif character == "\t":
                column += 4 - column % 4
            else:
                break
        return column - self._column

    def skip(self, columns: int) -> None:
        """Move over at most `columns` columns of white space."""
        while columns > 0:
            if self._pending:
                step = min(columns, self._pending)
                self._pending -= step
                self._column += step
                columns -= step
            elif self.pos < len(self._line) and self._line[self.pos] == "\t":
                self._pending = 4 - self._column % 4
                self.pos += 1
            elif self.pos < len(self._line) and self._line[self.pos] == " ":
                self.pos += 1
                self._column += 1
                columns -= 1
            else:
                return

    def take(self, characters: int) -> None:
        """Move over `characters` visible characters."""
        self.pos += characters
        self._column += characters

    def enter_quote(self, indent: int) -> None:
        """Move over the mark of a block quote that is indented so far, and one blank behind it."""
        self.skip(indent)
        self.take(1)
        self.skip(1)

    def rest(self) -> str:
        """What is left of the line, white space included."""
        return " " * self._pending + self._line[self.pos :]

    def text(self) -> str:
        """What is left of the line from its first visible character."""
        return self._line[self.pos :].lstrip(" \t")


def split_row(line: str) -> list[str]:
    r"""Split a table row into the source of its cells; `\|` is a literal bar."""
    cells: list[str] = []
    cell = ""
    for piece in re.split(r"((?:\\.)|\|)", line.strip()):
        if piece == "|":
            cells.append(cell.strip())
            cell = ""
        else:
            cell += "|" if piece == "\\|" else piece
    cells.append(cell.strip())
    if not cells[0]:
        del cells[0]
    if cells and not cells[-1]:
        del cells[-1]
    return cells


def alignments(header: str, delimiter: str) -> tuple[str, ...]:
    """Return "left", "right", "center" or "" per column if the two lines open a table, else nothing."""
    if "|" not in header or not DELIMITER.match(delimiter):
        return ()
    cells = delimiter.split("|")
    aligns: list[str] = []
    for index, raw in enumerate(cells):
        cell = raw.strip()
        if not cell:
            if index in (0, len(cells) - 1):
                continue
            return ()
        if not DELIMITER_CELL.match(cell):
            return ()
        if cell.endswith(":"):
            aligns.append("center" if cell.startswith(":") else "right")
        else:
            aligns.append("left" if cell.startswith(":") else "")
    return tuple(aligns) if len(split_row(header)) == len(aligns) else ()
