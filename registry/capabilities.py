"""What a plugin asks for beyond its contributions: hosts, environment variables, folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from registry.errors import PluginError

Capability: TypeAlias = Literal["host", "environment", "folder"]
"""A kind of what a plugin asks for."""

MOST: Final = 100
"""How many of each kind a plugin may ask for."""

_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?(:[0-9]{1,5})?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,100}")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a plugin asks for. It is declared: nothing enforces hosts and folders.

    What hooks see and which commands there are is known from the plugin itself.
    """

    hosts: Sequence[str] = ()
    """Hosts it calls, such as `api.acme.com`, `*.acme.com` or `127.0.0.1:8080`."""
    environment: Sequence[str] = ()
    """Environment variables that its process is given."""
    folders: Sequence[str] = ()
    """Folders outside of its own that it reads or writes, such as `~/notes`."""

    @property
    def kinds(self) -> tuple[Capability, ...]:
        """Kinds of what it asks for."""
        asked: dict[Capability, Sequence[str]] = {
            "host": self.hosts,
            "environment": self.environment,
            "folder": self.folders,
        }
        return tuple(kind for kind, names in asked.items() if names)


def check_capabilities(given: object) -> Capabilities:
    """The capabilities of a plugin, sorted, each once.

    Raises:
        PluginError: they break the contract.
    """
    if not isinstance(given, Capabilities):
        raise PluginError(
            f"capabilities is a {type(given).__name__}",
            hint="Write capabilities = Capabilities(hosts=(...)).",
        )
    return Capabilities(
        _checked("host", given.hosts, _HOST),
        _checked("environment variable", given.environment, _VARIABLE),
        _checked("folder", given.folders, re.compile(r"[^\x00-\x1f\x7f]{1,300}")),
    )


def _checked(what: str, given: object, allowed: re.Pattern[str]) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) > MOST:
        raise PluginError(f"The {what}s that it asks for are no list of at most {MOST}")
    for name in given:
        if not isinstance(name, str) or not allowed.fullmatch(name):
            raise PluginError(f"It asks for the {what} {name!r:.80}, which is none")
    return tuple(sorted(set(given)))
