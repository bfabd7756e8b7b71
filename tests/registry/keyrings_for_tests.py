"""Keyrings that do what a test wants, for what a real one cannot be made to do."""

from __future__ import annotations


class StoppedError(Exception):
    """The process ended here, or the keyring failed."""


class MemoryKeyring:
    """A backend in memory that fails at one of its calls, before or after it did what it was asked.

    Args:
        replaces_at_once: False: an item that is written again is first removed, as on macOS.
    """

    name = "memory"

    def __init__(self, *, replaces_at_once: bool = True) -> None:
        self.replaces_at_once = replaces_at_once
        self.items: dict[tuple[str, str], str] = {}
        self.changes = 0
        self.stop_at: int | None = None

    def get(self, service: str, name: str) -> str | None:
        return self.items.get((service, name))

    def set(self, service: str, name: str, secret: str) -> None:
        if not self.replaces_at_once:
            self.delete(service, name)
        self._change()
        self.items[service, name] = secret

    def delete(self, service: str, name: str) -> None:
        if (service, name) in self.items:
            self._change()
            del self.items[service, name]

    def _change(self) -> None:
        """Count the changes; the next one after `stop_at` is not made."""
        if self.stop_at is not None and self.changes >= self.stop_at:
            raise StoppedError
        self.changes += 1
