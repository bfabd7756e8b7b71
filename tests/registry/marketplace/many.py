"""Catalogues of any size, for tests and benchmarks of lists."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from registry.marketplace.entry import Catalogue

_WORDS: Sequence[str] = (
    *("redact", "translate", "weather", "notes", "search", "hub", "calendar", "image", "voice", "proxy"),
    *("model", "local", "server", "chat", "memory", "export", "import", "markdown", "table", "latex"),
    *("tracker", "mail", "secret", "guard", "token", "cost", "budget", "prompt", "library"),
)


def many_plugins(count: int) -> Catalogue:
    """A catalogue of so many plugins by a hundred publishers; the same every time."""
    chosen = random.Random(count)  # noqa: S311 - repeatable, and no secret
    now = datetime(2026, 1, 1, tzinfo=UTC)
    entries = []
    for number in range(count):
        words = chosen.sample(_WORDS, 10)
        digest = f"{number:064x}"
        version = {
            "version": "1.2.0",
            "artefact": {"path": f"files/{digest}/x-1.2.0.whl", "sha256": digest, "size": 20_000},
            "uploaded_at": now - timedelta(hours=number),
            "min_app": "99" if number % 50 == 0 else "0",
        }
        entries.append(
            {
                "id": f"{words[0]}-{chr(97 + number % 26)}/{words[1]}-{words[2]}-v{number}",
                "summary": f"{' '.join(words[3:9])}.".capitalize(),
                "tags": words[5:8],
                "kinds": [("provider", "auth", "command", "hook")[number % 4]],
                "contributions": [f"/{words[9]}"],
                "capabilities": [("host", "environment", "folder")[number % 3]],
                "licence": "MIT",
                "verified": number % 7 == 0,
                "versions": [version],
            }
        )
    return Catalogue.model_validate({"name": "official", "made_at": now, "entries": entries})
