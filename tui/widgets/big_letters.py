"""A code in letters three lines high, to be read across a room."""

from __future__ import annotations

from textual.app import RenderResult
from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

_HEIGHT = 6
_GAP = 1
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}

# Rows from top to bottom, each a number whose bits are the dots of a row, five of them, the leftmost highest.
_FONT = {
    "A": (14, 17, 31, 17, 17),
    "B": (30, 17, 30, 17, 30),
    "C": (15, 16, 16, 16, 15),
    "D": (30, 17, 17, 17, 30),
    "E": (31, 16, 30, 16, 31),
    "F": (31, 16, 30, 16, 16),
    "G": (15, 16, 19, 17, 15),
    "H": (17, 17, 31, 17, 17),
    "I": (31, 4, 4, 4, 31),
    "J": (7, 1, 1, 17, 14),
    "K": (17, 18, 28, 18, 17),
    "L": (16, 16, 16, 16, 31),
    "M": (17, 27, 21, 17, 17),
    "N": (17, 25, 21, 19, 17),
    "O": (14, 17, 17, 17, 14),
    "P": (30, 17, 30, 16, 16),
    "Q": (14, 17, 21, 18, 13),
    "R": (30, 17, 30, 18, 17),
    "S": (15, 16, 14, 1, 30),
    "T": (31, 4, 4, 4, 4),
    "U": (17, 17, 17, 17, 14),
    "V": (17, 17, 17, 10, 4),
    "W": (17, 17, 21, 27, 17),
    "X": (17, 10, 4, 10, 17),
    "Y": (17, 10, 4, 4, 4),
    "Z": (31, 2, 4, 8, 31),
    "0": (14, 19, 21, 25, 14),
    "1": (4, 12, 4, 4, 14),
    "2": (30, 1, 14, 16, 31),
    "3": (30, 1, 14, 1, 30),
    "4": (18, 18, 31, 2, 2),
    "5": (31, 16, 30, 1, 30),
    "6": (14, 16, 30, 17, 14),
    "7": (31, 1, 2, 4, 4),
    "8": (14, 17, 14, 17, 14),
    "9": (14, 17, 15, 1, 14),
    "-": (0, 0, 14, 0, 0),
    " ": (0, 0, 0, 0, 0),
}


class BigLetters(Widget):
    """A short text, large where there is room and every character has a large form, else on a block."""

    DEFAULT_CSS = """
    BigLetters { height: auto; width: 1fr; color: $accent; }
    """

    text: reactive[str] = reactive("", layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Three lines, large or not, so that nothing below moves."""
        return _HEIGHT // 2

    def render(self) -> RenderResult:
        """The text."""
        if self._fits(self.size.width):
            return Content("\n".join(large(self.text)))
        spaced = f"  {' '.join(self.text)}  "
        above, below = "▄" * len(spaced), "▀" * len(spaced)
        return Content.assemble(f"{above}\n", (spaced, "bold reverse"), f"\n{below}")

    def _fits(self, width: int) -> bool:
        wide = len(self.text) * (5 + _GAP) <= width
        return wide and all(character in _FONT for character in self.text.upper())


def large(text: str) -> list[str]:
    """The three lines of a text in large letters, of half blocks; small letters look like capitals."""
    rows = [
        "".join(f"{row:05b}{'0' * _GAP}" for row in column)
        for column in zip(*(_FONT.get(character, _FONT["-"]) for character in text.upper()), strict=True)
    ]
    rows.append("0" * len(rows[0]) if rows else "")
    return [
        "".join(_HALVES[above == "1", below == "1"] for above, below in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]
