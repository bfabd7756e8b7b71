"""Thoughts that a server leaves in the text, between `<think>` and `</think>` at its beginning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["text", "thinking"]

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


class ThinkTags:
    """Tells the thoughts from the answer, however the text is cut into pieces."""

    def __init__(self) -> None:
        self._state: Literal["start", "opened", "thinking", "after", "text"] = "start"
        self._held = ""

    def feed(self, text: str) -> Iterator[tuple[Kind, str]]:
        """What can be told apart so far, in order."""
        self._held += text
        if self._state == "start":
            self._begin()
        if self._state == "opened":
            self._held = self._held.lstrip("\n")
            if self._held:
                self._state = "thinking"
        if self._state == "thinking":
            yield from self._think()
        if self._state == "after":
            self._held = self._held.lstrip()
            if self._held:
                self._state = "text"
        if self._state == "text" and self._held:
            yield "text", self._held
            self._held = ""

    def finish(self) -> Iterator[tuple[Kind, str]]:
        """What was held back, since more might have followed."""
        if self._held:
            yield ("thinking" if self._state == "thinking" else "text"), self._held
        self._held = ""

    def _begin(self) -> None:
        seen = self._held.lstrip()
        if seen.startswith(_OPEN):
            self._state, self._held = "opened", seen.removeprefix(_OPEN)
        elif not _OPEN.startswith(seen):
            self._state = "text"

    def _think(self) -> Iterator[tuple[Kind, str]]:
        thought, closed, rest = self._held.partition(_CLOSE)
        if closed:
            self._state, self._held = "after", rest
        else:
            keep = next(size for size in range(len(_CLOSE) - 1, -1, -1) if thought.endswith(_CLOSE[:size]))
            thought, self._held = thought[: len(thought) - keep], thought[len(thought) - keep :]
        if thought:
            yield "thinking", thought
