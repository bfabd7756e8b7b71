"""Waits for any of several pipes, one of which another thread may take over for a moment."""

from __future__ import annotations

import select
import sys
from typing import Final

from registry.errors import PluginError

CAN_PAUSE: Final = sys.platform == "linux"
"""Whether a pipe may be paused while the watcher waits: epoll allows that, poll does not."""


class Watcher:
    """The pipes that one thread waits for.

    Raises:
        PluginError: this system cannot wait for pipes.
    """

    def __init__(self) -> None:
        if not hasattr(select, "poll"):
            raise PluginError(
                "Plugins with a process of their own cannot run on this system",
                hint="They need Linux or macOS; those that are part of Jackfield run everywhere.",
            )
        self._epoll = select.epoll() if sys.platform == "linux" else None
        self._poll = None if self._epoll else select.poll()

    def add(self, descriptor: int, *, writing: bool = False) -> None:
        """Wait for this one too: until it can be read from, or written to."""
        mask = select.POLLOUT if writing else select.POLLIN  # epoll has the same values
        if self._epoll is not None:
            self._epoll.register(descriptor, mask)
        elif self._poll is not None:
            self._poll.register(descriptor, mask)

    def remove(self, descriptor: int) -> None:
        """Wait for it no longer. It has to be open still."""
        if self._epoll is not None:
            self._epoll.unregister(descriptor)
        elif self._poll is not None:
            self._poll.unregister(descriptor)

    def pause(self, descriptor: int) -> None:
        """Do not tell when it can be read from, but of its end. For any thread, if `CAN_PAUSE`."""
        if self._epoll is not None:
            self._epoll.modify(descriptor, 0)

    def resume(self, descriptor: int) -> None:
        """End its pause."""
        if self._epoll is not None:
            self._epoll.modify(descriptor, select.POLLIN)

    def wait(self, limit_s: float | None) -> list[int]:
        """Those for which there is something to do; none when the limit, in seconds, is reached."""
        if self._epoll is not None:
            return [descriptor for descriptor, _ in self._epoll.poll(limit_s)]
        if self._poll is not None:
            return [
                descriptor
                for descriptor, _ in self._poll.poll(None if limit_s is None else limit_s * 1000 + 1)
            ]
        return []

    def close(self) -> None:
        """Let go of what it holds itself."""
        if self._epoll is not None:
            self._epoll.close()
