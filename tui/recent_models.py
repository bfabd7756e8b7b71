"""The models that were used last. Losing the list costs nothing, so it is a cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from registry.paths import Paths

KEPT: Final = 8
"""How many are remembered."""
_MAX_BYTES: Final = 64_000


def recent_models(paths: Paths) -> list[str]:
    """The `provider/model` references, the latest first; empty when there are none that can be read."""
    try:
        with _file(paths).open("rb") as file:
            stored = json.loads(file.read(_MAX_BYTES))
        return [item for item in stored["models"] if isinstance(item, str)][:KEPT]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def remember_model(paths: Paths, reference: str) -> None:
    """Put a reference first; called off the event loop. What cannot be written is not remembered."""
    from registry.atomic import write_atomically

    before = recent_models(paths)
    if before[:1] == [reference]:
        return
    models = [reference, *(other for other in before if other != reference)][:KEPT]
    try:
        write_atomically(_file(paths), json.dumps({"models": models}).encode())
    except OSError:
        return


def _file(paths: Paths) -> Path:
    return paths.cache / "recent-models.json"
