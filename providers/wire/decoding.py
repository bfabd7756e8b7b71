"""Decodes the JSON of an event, which is most of what an event costs: with the fastest decoder at hand."""

from __future__ import annotations

import json

from pydantic_core import from_json


def decode_json(text: str) -> object:
    """What `json.loads` gives, in about half the time.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    try:
        return from_json(text)
    except ValueError:
        # It is stricter with escapes: some servers cut a character beyond the first 65536 in two halves.
        return json.loads(text)
