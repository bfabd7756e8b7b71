"""What a plugin has to fit to run here: the app, the system, the Python, the protocol."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from packaging.version import Version as Number

_SYSTEMS: Final = {"linux": "linux", "darwin": "macos", "win32": "windows"}
SYSTEM: Final = _SYSTEMS.get(sys.platform, sys.platform)
"""This machine's system, as catalogues name it; as Python names it where they have no name for it."""
PYTHON: Final = sys.version.partition(" ")[0].rstrip("+")  # a build between two versions ends with one
_UPDATE: Final = "Update Jackfield."


class Needs(Protocol):
    """What a version of a plugin needs."""

    @property
    def min_app(self) -> str:
        """The oldest app that it works with."""

    @property
    def protocol(self) -> int:
        """The plugin protocol that it speaks."""

    @property
    def platforms(self) -> Sequence[str]:
        """The systems that it runs on."""

    @property
    def python(self) -> str:
        """The Python versions that it runs on, as a specifier of PEP 440; empty for any."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is here."""

    app_version: str
    system: str = SYSTEM
    python: str = PYTHON

    def misfits(self, needs: Needs) -> Iterator[tuple[str, str]]:
        """Why something does not run here, in plain words, each with what helps, if anything does."""
        from registry.runtimes.framing import PROTOCOL

        if _number(needs.min_app) > _number(_number(self.app_version).base_version):
            yield f"It needs Jackfield {needs.min_app} or newer.", _UPDATE
        if needs.protocol > PROTOCOL:
            yield "It speaks a plugin protocol that only a newer Jackfield knows.", _UPDATE
        if self.system not in needs.platforms:
            yield f"It runs on {', '.join(needs.platforms) or 'no system'} only.", ""
        if not self._has_python(needs.python):
            yield f"It needs Python {needs.python}; this is {self.python}.", ""

    def _has_python(self, wanted: str) -> bool:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            return not wanted or SpecifierSet(wanted).contains(self.python, prereleases=True)
        except InvalidSpecifier:
            return False


def _number(text: str) -> Number:
    from packaging.version import Version as Number

    return Number(text)
