"""What was typed into a field, all of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.widgets import Input

_LIMIT_S = 1.0


async def typed(field: Input) -> str:
    """The text of a field once it has taken every key that came before this moment.

    A binding with priority is looked at before keys that still wait in the field's own queue. Whoever leaves
    the field with one would otherwise go on with what the field held some keys ago.
    """
    taken = asyncio.Event()
    field.call_later(taken.set)
    with suppress(TimeoutError):
        async with asyncio.timeout(_LIMIT_S):
            await taken.wait()
    return field.value
