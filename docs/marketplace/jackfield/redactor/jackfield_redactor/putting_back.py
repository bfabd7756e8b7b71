"""Puts secrets back into a text that comes in pieces, cut anywhere."""

from __future__ import annotations

import re
from typing import Final

from .vault import LENGTH, OPENING, Vault

_DIGITS: Final = re.compile(r"[0-9a-f]{0,12}\}{0,2}")


class PuttingBack:
    """One stream of text.

    Args:
        vault: who knows the secrets.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._held = ""

    def feed(self, text: str) -> str:
        """Take a piece; gives what can be shown of it and of what was held back."""
        text = self._held + text
        begin = _open_placeholder(text)
        self._held = text[begin:]
        return self._vault.show(text[:begin])

    def flush(self) -> str:
        """What is held back: it was no placeholder."""
        held, self._held = self._held, ""
        return held


def _open_placeholder(text: str) -> int:
    """Where a placeholder begins that the text breaks off in; its length where there is none."""
    for place in range(max(0, len(text) - LENGTH + 1), len(text)):
        if text[place] == "{" and _may_become_one(text[place:]):
            return place
    return len(text)


def _may_become_one(tail: str) -> bool:
    if len(tail) <= len(OPENING):
        return OPENING.startswith(tail)
    return tail.startswith(OPENING) and _DIGITS.fullmatch(tail, len(OPENING)) is not None
