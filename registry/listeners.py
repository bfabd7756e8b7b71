"""Who wants to know when something changed."""

from __future__ import annotations

from collections.abc import Callable


class Listeners:
    """Functions that are called after every change, in the order in which they came."""

    def __init__(self) -> None:
        self._functions: list[Callable[[], None]] = []

    def add(self, function: Callable[[], None]) -> Callable[[], None]:
        """Have a function called; gives a function that ends it."""
        self._functions.append(function)

        def end() -> None:
            if function in self._functions:
                self._functions.remove(function)

        return end

    def tell(self) -> None:
        """Call them all."""
        for function in tuple(self._functions):
            function()

    def forget(self) -> None:
        """Call nobody any more."""
        self._functions.clear()
