"""Many plugins from one entry point, such as one for each row of a data file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from registry.plugin import Plugin


@dataclass(frozen=True, slots=True)
class PluginFamily:
    """What an entry point names instead of a plugin class when it stands for many plugins.

    Each member is a plugin like any other: it has its own name, state and options, and is switched on alone.
    """

    names: Callable[[], Sequence[str]]
    """The names of the members, in order."""
    make: Callable[[str], Plugin]
    """The member of this name; it has to call itself so."""
