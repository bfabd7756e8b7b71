"""Starts the app, where there is a terminal to start it on."""

from __future__ import annotations

import os
import sys

PAINTS_PER_S = 120
"""How often the screen may be painted, per second. At Textual's 60 a key waits 16 ms behind an answer."""


def start_app(*, safe_mode: bool, linked: str | None = None) -> int:
    """Start the app on this terminal; gives its exit code, or 2 where there is no terminal.

    Args:
        safe_mode: run no plugin.
        linked: the `publisher/name` that a link led to; the marketplace opens with it.
    """
    streams = (sys.stdin, sys.stdout)
    if not all(stream is not None and stream.isatty() for stream in streams):
        print("jackfield needs a terminal; use `jackfield ask` in scripts and pipes.", file=sys.stderr)
        return 2
    paint_promptly()
    from registry.config import load_config
    from registry.paths import find_paths
    from registry.startup import plugins_are_off
    from tui.app import run_app
    from tui.crashes import hide_secrets_in_logs

    hide_secrets_in_logs()
    paths = find_paths()
    plugins_off = plugins_are_off(safe_mode=safe_mode)
    return run_app(paths, plugins_off=plugins_off, config=load_config(paths), linked=linked)


def paint_promptly() -> None:
    """Let keys be seen soon while an answer streams. Textual reads this once, when it is imported."""
    os.environ.setdefault("TEXTUAL_FPS", str(PAINTS_PER_S))
