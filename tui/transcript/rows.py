"""From parts to rows: a row is one line of the screen, before it has colours.

A row keeps what is decoration and what is text apart, and how it joins to the row above, so that a selection
over wrapped lines gives the paragraph back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size

from tui.transcript.code import Spans
from tui.transcript.inline import CHECKED, QUIET, Inline, shown
from tui.transcript.parts import Item, Part, Quote
from tui.transcript.wrap import chop, wrap

Style = tuple[str, int]
"""Name of a base style, and the flags of [inline][tui.transcript.inline] on top of it."""
Span = tuple[str, Style]

TAB: Final = 4
_BULLETS: Final = "•◦▪"


@dataclass(slots=True)
class Row:
    """One line.

    Attributes:
        spans: Its text with styles, from the left; cells that it does not fill are blank.
        prefix: How many of its characters, from the left, are decoration.
        join: What stands between the row above and this one where text is copied: a line break, or what
            wrapping took away.
        fill: Base style of the blank rest.
        links: (first cell, cell after the last, address).
    """

    spans: list[Span]
    prefix: int = 0
    join: str = "\n"
    fill: str = "text"
    links: tuple[tuple[int, int, str], ...] = ()

    @property
    def text(self) -> str:
        """All characters, decoration included."""
        return "".join(text for text, _ in self.spans)

    @property
    def content(self) -> str:
        """The characters without decoration."""
        return self.text[self.prefix :]


def prefixes(part: Part, width: int, *, checked: bool | None = None) -> tuple[list[Span], list[Span]]:
    """Return the decoration of a part's first row and of its others: marks of items, bars of quotes.

    Args:
        part: The part.
        width: Cells of the row; decoration takes at most half of them.
        checked: The state of the box in a task list's item, None for other items.
    """
    first: list[Span] = []
    rest: list[Span] = []
    depth = 0
    for index, container in enumerate(part.path):
        if isinstance(container, Quote):
            first.append(("▎ ", ("quote", 0)))
            rest.append(first[-1])
            continue
        mark, style = _mark(container, depth, checked if index == len(part.path) - 1 else None)
        depth += container.number is None
        blank = " " * cell_len(mark)
        first.append((mark, style) if index >= part.fresh else (blank, ("text", 0)))
        rest.append((blank, ("text", 0)))
    while len(rest) > 1 and sum(cell_len(text) for text, _ in rest) > width // 2:
        del first[0], rest[0]
    return first, rest


def _mark(item: Item, depth: int, checked: bool | None) -> tuple[str, Style]:
    if checked is not None:
        return ("[x] ", ("mark", CHECKED)) if checked else ("[ ] ", ("mark", 0))
    if item.number is None:
        return _BULLETS[min(depth, len(_BULLETS) - 1)] + " ", ("mark", 0)
    return f"{item.number}{item.mark} ", ("mark", 0)


def paragraph(part: Part, inline: Inline, width: int, base: str) -> list[Row]:
    """Wrap a paragraph or heading."""
    inline, checked = _task(part, inline)
    first, rest = prefixes(part, width, checked=checked)
    if part.path and isinstance(part.path[-1], Quote) and base == "text":
        base = "quoted"
    rows: list[Row] = []
    start = 0
    for line in inline.text.split("\n"):
        join = "\n" if start or not part.chunk else " "
        end_before = 0
        for begin, end in wrap(line, width - _cells(first if not rows else rest)):
            if end_before or begin:
                join = line[end_before:begin]
            rows.append(_flow(first if not rows else rest, inline, start + begin, start + end, base))
            rows[-1].join = join
            end_before = end
        start += len(line) + 1
    return rows


def _task(part: Part, inline: Inline) -> tuple[Inline, bool | None]:
    """Take the box off the text of a task list's item."""
    item = part.path[-1] if part.fresh < len(part.path) else None
    if (
        not isinstance(item, Item)
        or item.number is not None
        or inline.text[:4] not in ("[ ] ", "[x] ", "[X] ")
    ):
        return inline, None
    marks = tuple((max(start - 4, 0), end - 4, flags) for start, end, flags in inline.marks if end > 4)
    links = tuple((max(start - 4, 0), end - 4, url) for start, end, url in inline.links if end > 4)
    return Inline(inline.text[4:], marks, links), inline.text[1] != " "


def _flow(prefix: Sequence[Span], inline: Inline, start: int, end: int, base: str) -> Row:
    """The row that shows `inline.text[start:end]`."""
    spans = list(prefix)
    text, position = inline.text, start
    for begin, finish, flags in inline.marks:
        if finish <= start:
            continue
        if begin >= end:
            break
        if begin > position:
            spans.append((text[position:begin], (base, 0)))
        spans.append((text[max(begin, start) : min(finish, end)], (base, flags)))
        position = min(finish, end)
    if position < end:
        spans.append((text[position:end], (base, 0)))
    indent = _cells(prefix)
    links = tuple(
        (
            indent + cell_len(text[start : max(begin, start)]),
            indent + cell_len(text[start : min(finish, end)]),
            url,
        )
        for begin, finish, url in inline.links
        if begin < end and finish > start
    )
    return Row(spans, sum(len(span) for span, _ in prefix), links=links)


def code(part: Part, lines: Sequence[Spans], width: int) -> list[Row]:
    """Code, with its language above it; lines that are too long go on below."""
    first, rest = prefixes(part, width)
    rows: list[Row] = []
    label = ""
    if part.info and not part.chunk:
        label = set_cell_size(" " + shown(part.info), max(width - _cells(first), 1)).rstrip()
        rows.append(
            Row(
                [*first, (label, ("code-label", 0))],
                sum(len(text) for text, _ in first) + len(label),
                fill="code",
            )
        )
        first = rest
    room = width - _cells(rest) - 2
    for line in lines or [[]]:
        spans = [(shown(text), (style, 0)) for text, style in _untabbed(line)]
        text = "".join(span for span, _ in spans)
        for index, (begin, end) in enumerate(chop(text, room)):
            prefix = [*(first if not rows else rest), (" ", ("code", 0))]
            row = Row([*prefix, *_cut(spans, begin, end)], sum(len(span) for span, _ in prefix), fill="code")
            row.join = "" if index or (label and len(rows) == 1) else "\n"
            rows.append(row)
    return rows


def _untabbed(line: Spans) -> Iterable[tuple[str, str]]:
    column = 0
    for text, style in line:
        if "\t" in text:
            pieces = text.split("\t")
            expanded = pieces[0]
            for piece in pieces[1:]:
                expanded += " " * (TAB - (column + len(expanded)) % TAB) + piece
            text = expanded
        column += len(text)
        yield text, style


def _cut(spans: Iterable[Span], start: int, end: int) -> list[Span]:
    """The characters from `start` to `end`."""
    cut: list[Span] = []
    position = 0
    for text, style in spans:
        after = position + len(text)
        if after > start and position < end:
            cut.append((text[max(start - position, 0) : end - position], style))
        position = after
    return cut


def literal(part: Part, width: int) -> list[Row]:
    """HTML, shown as it was written."""
    first, rest = prefixes(part, width)
    rows: list[Row] = []
    for line in part.text.split("\n"):
        text = shown(line.expandtabs(TAB))
        for index, (begin, end) in enumerate(chop(text, width - _cells(rest))):
            prefix = first if not rows else rest
            rows.append(
                Row([*prefix, (text[begin:end], ("text", QUIET))], sum(len(span) for span, _ in prefix))
            )
            rows[-1].join = "" if index else "\n"
    return rows


def rule(part: Part, width: int) -> list[Row]:
    """A thematic break."""
    first, _ = prefixes(part, width)
    return [
        Row([*first, ("─" * max(width - _cells(first), 0), ("rule", 0))], sum(len(text) for text, _ in first))
    ]


def empty(part: Part, width: int) -> list[Row]:
    """An item without content: only its mark."""
    first, _ = prefixes(part, width)
    return [Row(list(first), sum(len(text) for text, _ in first))]


def gap(part: Part, before: Part | None, width: int) -> Row:
    """The blank line between two parts; the bar of a quote around both runs through it."""
    shared = 0
    for mine, theirs in zip(part.path, before.path if before else (), strict=False):
        if mine != theirs:
            break
        shared += 1
    _, spans = prefixes(Part(part.kind, "", part.path[:shared], shared), width)
    return Row(spans, sum(len(text) for text, _ in spans))


def table(part: Part, cells: Sequence[Sequence[Inline]], widths: Sequence[int], width: int) -> list[Row]:
    """Rows of a table; the first of its first part is the head.

    Args:
        part: The table, or a later piece of a long one.
        cells: Its rows of cells.
        widths: Cells of each column.
        width: Cells of the screen's row; what does not fit is cut off.
    """
    prefix, rest = prefixes(part, width)
    aligns = part.info.split(",")
    rows: list[Row] = []
    for number, line in enumerate(cells):
        head = number == 0 and part.chunk == 0
        rows.extend(
            _table_row(prefix if not rows else rest, line, widths, aligns, "table-head" if head else "text")
        )
        if head:
            bar = "─┼─".join("─" * size for size in widths)
            rows.append(Row([*rest, (bar, ("rule", 0))], sum(len(text) for text, _ in rest) + len(bar)))
    for row in rows:
        _crop(row, width)
    return rows


def _table_row(
    prefix: list[Span], line: Sequence[Inline], widths: Sequence[int], aligns: Sequence[str], base: str
) -> list[Row]:
    columns: list[list[Row]] = []
    for inline, size in zip(line, widths, strict=False):
        flat = Inline(inline.text.replace("\n", " "), inline.marks, inline.links)
        columns.append([_flow([], flat, begin, end, base) for begin, end in wrap(flat.text, size)])
    rows: list[Row] = []
    for index in range(max((len(column) for column in columns), default=0)):
        row = Row(list(prefix), sum(len(text) for text, _ in prefix))
        links: list[tuple[int, int, str]] = []
        for number, size in enumerate(widths):
            cell = (
                columns[number][index] if number < len(columns) and index < len(columns[number]) else Row([])
            )
            if number:
                row.spans.append((" │ ", ("rule", 0)))
            blank = size - _cells(cell.spans)
            left = blank if aligns[number] == "right" else blank // 2 if aligns[number] == "center" else 0
            start = _cells(row.spans) + left
            links += [(start + begin, start + end, url) for begin, end, url in cell.links]
            row.spans += [(" " * left, (base, 0)), *cell.spans, (" " * (blank - left), (base, 0))]
        row.links = tuple(links)
        rows.append(row)
    return rows


def _crop(row: Row, width: int) -> None:
    """Cut a row that is wider than the screen, and say so at its end."""
    if _cells(row.spans) <= width:
        return
    room = max(width - 1, 0)
    kept: list[Span] = []
    for text, style in row.spans:
        size = cell_len(text)
        if size > room:
            kept.append((set_cell_size(text, room), style))
            break
        kept.append((text, style))
        room -= size
    row.spans = [*kept, ("…", ("rule", 0))]


def column_widths(cells: Sequence[Sequence[Inline]], columns: int, room: int) -> list[int]:
    """Share the width among the columns: what each needs, the widest give first.

    Args:
        cells: The rows that decide, head included.
        columns: How many columns there are.
        room: Cells for all of them and the bars between.
    """
    room = max(room - 3 * (columns - 1), columns)
    needs = [
        max((cell_len(line[index].text) for line in cells if index < len(line)), default=1)
        for index in range(columns)
    ]
    widths = [max(need, 1) for need in needs]
    if sum(widths) <= room:
        return widths
    limit = max(widths)
    while limit > 1 and sum(min(width, limit) for width in widths) > room:
        excess = sum(min(width, limit) for width in widths) - room
        widest = sum(width >= limit for width in widths)
        limit -= max(excess // max(widest, 1), 1)
    limit = max(limit, 1)
    spare = room - sum(min(width, limit) for width in widths)
    shared: list[int] = []
    for width in widths:
        extra = 1 if width > limit and spare > 0 else 0
        spare -= extra
        shared.append(min(width, limit) + extra)
    return shared


def _cells(spans: Iterable[Span]) -> int:
    return sum(cell_len(text) for text, _ in spans)


def plain(text: str, width: int, style: Style, fill: str = "text") -> list[Row]:
    """Text without any markup: labels and notes."""
    text = shown(text.replace("\n", " "))
    return [
        Row([(text[begin:end], style)], join=" " if begin else "\n", fill=fill)
        for begin, end in wrap(text, width)
    ]
