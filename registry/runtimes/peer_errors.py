"""Why a call to a plugin's process has no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class PeerError(Exception):
    """A call was not answered.

    Args:
        reason: why, in words for people.
        last_lines: what the process wrote to its standard error last.
        ended: whether the process has ended, by itself or because it had to be.
        intended: whether the app stopped it: its plugin was switched off, updated or removed.
    """

    def __init__(
        self, reason: str, *, last_lines: str = "", ended: bool = False, intended: bool = False
    ) -> None:
        super().__init__(reason)
        self.intended = intended
        self.reason = reason
        self.last_lines = last_lines
        self.ended = ended

    @property
    def detail(self) -> str:
        """The reason and the last lines."""
        return "\n".join(filter(None, (self.reason, self.last_lines)))


class RemoteFault(Exception):  # noqa: N818 - it is what the plugin raised, told in its words
    """The plugin answered with an error.

    Args:
        data: the error's own data, or its message under `title`.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(str(data.get("title", "")))
        self.data = data
