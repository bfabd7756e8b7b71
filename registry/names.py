"""How publishers and plugins are called: one spelling in a catalogue, any in a list that a person wrote."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from registry.text import safe_text

_MOST: Final = 64
"""Characters of a name, as `Name` of the catalogue has them."""
_NAME: Final = rf"(?=.{{1,{_MOST}}}(?:/|\Z))[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_PLUGIN_ID = re.compile(f"{_NAME}/{_NAME}")
_POSSIBLE = re.compile(rf"{_NAME}(?:/{_NAME})?")
_UNSEEN = re.compile(r"[\s\u200c\u200d\ufe0e\ufe0f]+")
"""What `safe_text` leaves, since text needs it and names do not."""


def canonical(name: str) -> str:
    """The one spelling of a name: lower case, nothing unseen, `-` for `_`, `.` or another dash."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    visible = _UNSEEN.sub("", safe_text(plain))
    return re.sub(r"[-_.\u2010-\u2015\u2212]+", "-", visible)


def is_plugin_id(text: str) -> bool:
    """Whether this is `publisher/name`, in the one spelling of a catalogue."""
    return _PLUGIN_ID.fullmatch(text) is not None


def can_be_called(name: str) -> bool:
    """Whether a publisher, or a plugin with its publisher, can be meant by this; however it is written."""
    return _POSSIBLE.fullmatch(canonical(name)) is not None
