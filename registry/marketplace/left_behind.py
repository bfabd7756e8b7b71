"""Whose data or accounts are still here after their plugin was removed.

They go by the plugin's name, and another publisher's plugin may have the same: it must not come to own them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from registry.atomic import locked, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from registry.paths import Paths

_LOCK_LIMIT_S: Final = 30.0


def left_behind(paths: Paths) -> dict[str, str]:
    """The id of the removed plugin by its name, for each that left something behind."""
    try:
        data = json.loads(_file(paths).read_bytes())
        return {str(name): str(plugin_id) for name, plugin_id in data.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def note_left_behind(paths: Paths, plugin_id: str, *, something: bool) -> None:
    """Write down whether a plugin that was removed left something behind.

    Raises:
        JackfieldError, OSError: it cannot be written.
    """
    name = plugin_id.partition("/")[2]
    if not something and name not in left_behind(paths):
        return
    with locked(_file(paths), _LOCK_LIMIT_S):
        known = left_behind(paths)
        known.pop(name, None)
        if something:
            known[name] = plugin_id
        write_atomically(_file(paths), json.dumps(known, indent=1, sort_keys=True).encode())


def _file(paths: Paths) -> Path:
    return paths.data / "left-behind.json"
