"""The first frame of the app waits for nothing that it does not show."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks.first_frame import HEAVY, modules_at_first_frame
from tests.e2e.terminal import PtySession

JACKFIELD = str(Path(sys.executable).with_name("jackfield"))
OWN_SCREEN = b"\x1b[?1049h"
"""What an app writes when it takes the terminal over."""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")


def test_nothing_heavy_is_loaded_before_the_first_frame() -> None:
    loaded = modules_at_first_frame((JACKFIELD,), {})
    assert "tui.screens.chat" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.timeout(60)
def test_what_is_typed_while_the_app_starts_is_not_lost() -> None:
    typed = "".join(chr(code) for code in range(0x100, 0x140))
    with PtySession(JACKFIELD, size=(120, 40)) as session:
        for letter in typed[:20]:
            session.send(letter.encode())
        session.wait_for(OWN_SCREEN)
        for letter in typed[20:]:
            session.send(letter.encode())
        shown = session.output.index(OWN_SCREEN)  # what is before was echoed by the terminal itself
        session.wait_for(typed.encode(), start=shown)
