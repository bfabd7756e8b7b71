"""Counts the failures of hooks, to tell a mishap from a plugin that does not work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

FAILURES_ALLOWED = 2
"""This many failures of one hook within `FAILURE_WINDOW_S` switch its plugin off."""
FAILURE_WINDOW_S = 300.0
"""How far apart two failures of one hook may be to count together, in seconds."""


class FailureLog:
    """When which hook failed.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._times: dict[tuple[str, str], deque[float]] = {}

    def note(self, plugin: str, hook: str) -> bool:
        """Remember a failure of now. Gives whether this hook has failed too often."""
        times = self._times.setdefault((plugin, hook), deque(maxlen=FAILURES_ALLOWED))
        times.append(self._clock())
        return len(times) == FAILURES_ALLOWED and times[-1] - times[0] <= FAILURE_WINDOW_S

    def forget(self, plugin: str) -> None:
        """Forget all failures of a plugin."""
        for key in [key for key in self._times if key[0] == plugin]:
            del self._times[key]
