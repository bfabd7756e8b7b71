"""Links to plugins, for web pages and chats: `jackfield://plugin/publisher/name`.

A link only leads to what a marketplace that the user added says of a plugin. It adds no marketplace, and
whatever is installed from there is agreed to as always.
"""

from __future__ import annotations

import re
from typing import Final

from registry.errors import JackfieldError
from registry.text import safe_text

PREFIX: Final = "jackfield://plugin/"
_NAME: Final = "[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_LINK: Final = re.compile(f"{PREFIX}({_NAME}/{_NAME})/?")
"""One spelling, like that of names in a catalogue: nothing is decoded or made lower case."""


def link_to(plugin_id: str) -> str:
    """The link to the plugin `publisher/name`."""
    return f"{PREFIX}{plugin_id}"


def linked_plugin(text: str) -> str:
    """The `publisher/name` that a link leads to.

    Raises:
        JackfieldError: it is no such link.
    """
    found = _LINK.fullmatch(text.strip()) if len(text) <= 200 else None
    if found is None:
        raise JackfieldError(
            "This is no link to a plugin",
            detail=safe_text(text, single_line=True, limit=200),
            hint=f"Such links look like this: {PREFIX}publisher/name",
        )
    return found.group(1)
