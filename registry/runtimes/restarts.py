"""When a process that crashes may be started again, and when it is given up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

CRASHES_ALLOWED: Final = 4
"""After this many crashes with no good call between them a plugin is given up."""
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 30.0


class Restarts:
    """Counts crashes. After the first the process is started again at once, after each other one later.

    Args:
        clock: seconds that only grow; for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._crashes = 0
        self._not_before = 0.0

    def note_crash(self) -> None:
        """It ended while it was needed."""
        self._crashes += 1
        if self._crashes > 1:
            wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (self._crashes - 2))
            self._not_before = self._clock() + wait_s

    def note_success(self) -> None:
        """It answered a call."""
        self._crashes = 0

    @property
    def wait_s(self) -> float:
        """How long to wait before it is started again, in seconds."""
        return max(0.0, self._not_before - self._clock()) if self._crashes else 0.0

    @property
    def given_up(self) -> bool:
        """Whether it crashed so often that it is not worth another start."""
        return self._crashes >= CRASHES_ALLOWED
