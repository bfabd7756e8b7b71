"""The first frame of the app waits for nothing that it does not show."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks.first_frame import HEAVY, modules_at_first_frame

JACKFIELD = str(Path(sys.executable).with_name("jackfield"))
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")


def test_nothing_heavy_is_loaded_before_the_first_frame() -> None:
    loaded = modules_at_first_frame((JACKFIELD,), {})
    assert "tui.screens.chat" in loaded
    assert loaded & HEAVY == set()
