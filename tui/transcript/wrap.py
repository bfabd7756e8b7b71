"""Breaking text into lines that fit, measured in terminal cells.

Wide characters, combining marks and joined emoji are never split. The white space at which a line was broken
belongs to neither line, and is kept aside, so that a copied paragraph is whole again.
"""

from collections.abc import Iterator

from rich.cells import cell_len, split_graphemes

Line = tuple[int, int]
"""Start and end of a line in the text; the white space between it and the next line is shown by neither."""


def wrap(text: str, width: int) -> list[Line]:
    """Break one line of text at white space, and inside words that are wider than `width`.

    Args:
        text: The text, without line breaks.
        width: Cells available, at least 1.
    """
    width = max(width, 1)
    if text.isascii():
        return _wrap_ascii(text, width)
    if cell_len(text) <= width:
        return [(0, len(text))]
    return _wrap_cells(text, width)


def _wrap_ascii(text: str, width: int) -> list[Line]:
    lines: list[Line] = []
    start, length = 0, len(text)
    while length - start > width:
        cut = text.rfind(" ", start + 1, start + width + 1)
        if cut < 0 or not text[start:cut].strip():
            end = after = start + width
        else:
            end = cut
            after = cut + 1
            while end > start and text[end - 1] == " ":
                end -= 1
            while after < length and text[after] == " ":
                after += 1
        lines.append((start, end))
        start = after
    if start < length or not lines:
        lines.append((start, length))
    return lines


def _wrap_cells(text: str, width: int) -> list[Line]:
    """The same by graphemes; also breaks between two wide characters, as scripts without spaces need it."""
    lines: list[Line] = []
    start = end = cells = 0
    last = 0
    for begin, finish, size in _words(text, width):
        space = begin - last
        if cells + space + size > width:
            if end > start:
                lines.append((start, end))
            start, cells = begin, 0
        else:
            cells += space
        cells += size
        end = last = finish
    return [*lines, (start, end)]


def _words(text: str, width: int) -> Iterator[tuple[int, int, int]]:
    """Start, end and cells of what must stay together.

    Words, single wide characters, pieces of words wider than a line.
    """
    start = end = cells = 0
    wide = False
    for begin, finish, size in split_graphemes(text)[0]:
        space = text[begin:finish] == " "
        if end > start and (space or wide or size == 2 or cells + size > width):
            yield start, end, cells
            start = end
        if space:
            start = end = finish
            cells = 0
            wide = False
            continue
        if end == start:
            start, cells = begin, 0
        cells += size
        end, wide = finish, size == 2
    if end > start:
        yield start, end, cells


def chop(text: str, width: int) -> list[Line]:
    """Break a line of code wherever it is full."""
    width = max(width, 1)
    if text.isascii():
        return [(start, min(start + width, len(text))) for start in range(0, len(text), width)] or [(0, 0)]
    lines: list[Line] = []
    start = cells = 0
    for begin, _, size in split_graphemes(text)[0]:
        if cells + size > width and begin > start:
            lines.append((start, begin))
            start, cells = begin, 0
        cells += size
    return [*lines, (start, len(text))]
