"""The options that commands which change something share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class How:
    """How something is to be done."""

    agreed: bool = False
    """`--yes`: nobody is asked."""
    ignore_age: bool = False
    """`--now`: a version may be younger than the minimum age."""
    dry_run: bool = False
    """Say what would be done, and change nothing."""
    as_json: bool = False
