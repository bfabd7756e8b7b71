"""Where things stand in a TOML document; the parsers do not say."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys from the root down; a number is a place in an array, counted from 0."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*+")
_KEY_PART: Final = re.compile(r"""[ \t]*([A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')[ \t]*(\.?)""")
_STRING: Final = re.compile(
    r'"""(?:[^"\\]+|\\.|"(?!""))*+"{3,5}'
    r"|'''(?:[^']+|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\\n]+|\\.)*+"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR: Final = re.compile(r"[^,\]}#\n]+")


def find_key_lines(document: str) -> Mapping[KeyPath, int]:
    """The line, counted from 1, where each key of a valid document first appears.

    Every table on the way to a key has a line too: the one where it is first named.

    Raises:
        ValueError: the document is not TOML, and the scanner lost its way.
        RecursionError: arrays are nested too deeply.
    """
    return _Scanner(document).scan()


@dataclass(frozen=True, slots=True)
class Section:
    """A header with all that stands below it, up to the next header."""

    path: KeyPath
    """The table that the header names; empty for what stands before the first one."""
    first_line: int
    """Counted from 1."""
    text: str


def split_sections(document: str) -> list[Section]:
    """Cut a valid document before each header; the texts of all sections together are the document.

    Raises:
        ValueError: the document is not TOML, and the scanner lost its way.
        RecursionError: arrays are nested too deeply.
    """
    scanner = _Scanner(document)
    scanner.scan()
    starts = [((), 0), *((path, document.rfind("\n", 0, at) + 1) for path, at in scanner.headers)]
    ends = [start for _, start in starts[1:]] + [len(document)]
    return [
        Section(path, document.count("\n", 0, start) + 1, document[start:end])
        for (path, start), end in zip(starts, ends, strict=True)
    ]


class _Scanner:
    def __init__(self, document: str) -> None:
        self._text = document
        self._at = 0
        self._newlines = [match.start() for match in re.finditer("\n", document)]
        self._lines: dict[KeyPath, int] = {}
        self._array_lengths: dict[KeyPath, int] = {}
        self.headers: list[tuple[KeyPath, int]] = []

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text.startswith("[", self._at):
                start = self._at
                table = self._header()
                self.headers.append((table, start))
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._lines

    def _header(self) -> KeyPath:
        if self._text.startswith("[[", self._at):
            return self._array_header()
        self._at += 1
        table = self._key(())
        self._expect("]")
        return table

    def _array_header(self) -> KeyPath:
        self._at += 2
        start = self._at
        array = self._key(())
        self._expect("]]")
        index = self._array_lengths.get(array, 0)
        self._array_lengths[array] = index + 1
        element = (*array, index)
        self._note(element, start)
        return element

    def _key(self, table: KeyPath) -> KeyPath:
        """Read a dotted key and note the line of each of its prefixes."""
        path = table
        start = self._at
        more = True
        while more:
            part = _KEY_PART.match(self._text, self._at)
            if part is None:
                raise ValueError(f"no key on line {self._line(self._at)}")
            self._at = part.end()
            path = (*path, _unquote(part[1]))
            more = bool(part[2])
            self._note(path, start)
            if more and path in self._array_lengths:
                path = (*path, self._array_lengths[path] - 1)  # below an array of tables: its last one
        return path

    def _pair(self, table: KeyPath) -> None:
        path = self._key(table)
        self._expect("=")
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._skip(_BLANK)
        match self._text[self._at : self._at + 1]:
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        self._at += 1
        index = 0
        while not self._closes("]"):
            self._note((*path, index), self._at)
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while not self._closes("}"):
            self._pair(path)

    def _closes(self, bracket: str) -> bool:
        """Pass blanks and a comma; say whether the bracket follows, and pass it too."""
        self._skip(_BLANK)
        if self._text.startswith(",", self._at):
            self._at += 1
            self._skip(_BLANK)
        if self._text.startswith(bracket, self._at):
            self._at += 1
            return True
        if self._at >= len(self._text):
            raise ValueError(f"no {bracket} before the end")
        return False

    def _expect(self, mark: str) -> None:
        if not self._text.startswith(mark, self._at):
            raise ValueError(f"no {mark} on line {self._line(self._at)}")
        self._at += len(mark)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"no value on line {self._line(self._at)}")
        self._at = found.end()

    def _note(self, path: KeyPath, position: int) -> None:
        if path not in self._lines:
            self._lines[path] = self._line(position)

    def _line(self, position: int) -> int:
        return bisect_right(self._newlines, position - 1) + 1


def _unquote(part: str) -> str:
    if part[0] not in "\"'":
        return part
    return str(tomllib.loads(f"key = {part}")["key"])
