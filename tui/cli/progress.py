"""Progress on standard error: one line that moves on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Final

from registry.chat import Progress
from tui.cli.output import cut, line, note, terminal_width

_INTERVAL_S: Final = 0.1
_BAR: Final = 24
_CLEAR: Final = "\r\x1b[K"
_LABELS: Final = 12
"""Labels that are told where the line cannot move; a provider that invents more is not heard out."""


class ProgressLine:
    """Shows `Progress` events. `clear` it before anything else is printed."""

    def __init__(self) -> None:
        self._moves = sys.stderr is not None and sys.stderr.isatty()
        self._shown = False
        self._label: str | None = None
        self._told: set[str] = set()
        self._next = 0.0

    def show(self, progress: Progress) -> None:
        """Show how far the work is."""
        label = line(progress.label, 60)
        if not self._moves:
            self._tell(label)
            return
        now = time.monotonic()
        if label == self._label and now < self._next and progress.done != progress.total:
            return
        self._label, self._next, self._shown = label, now + _INTERVAL_S, True
        text = cut(f"{label}  {_amount(progress)}".rstrip(), (terminal_width(sys.stderr) or 80) - 1)
        print(_CLEAR + text, end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            print(_CLEAR, end="", file=sys.stderr, flush=True)
            self._shown = False

    def _tell(self, label: str) -> None:
        if label and label not in self._told and len(self._told) < _LABELS:
            self._told.add(label)
            note(label)


def _amount(progress: Progress) -> str:
    """The bar and the figures, such as `[######..................]  25%  34 of 135 MB`."""
    if not progress.total or progress.total < 0:
        return _size(progress.done, progress.unit) if progress.done else ""
    share = min(max(progress.done / progress.total, 0.0), 1.0)
    filled = int(share * _BAR)
    bar = "#" * filled + "." * (_BAR - filled)
    if progress.unit == "bytes":
        figures = f"{progress.done / 1e6:.0f} of {_size(progress.total, 'bytes')}"
    else:
        figures = f"{progress.done} of {progress.total}"
    return f"[{bar}] {share:4.0%}  {figures}"


def _size(number: int, unit: str) -> str:
    return f"{number / 1e6:.0f} MB" if unit == "bytes" else str(number)
