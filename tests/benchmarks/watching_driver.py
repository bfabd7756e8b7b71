"""A driver of the terminal that notes what is loaded when the first frame is written.

Textual takes its driver from the environment variable `TEXTUAL_DRIVER`, so the app itself is unchanged.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Final

from textual.drivers.linux_driver import LinuxDriver

TO_FILE: Final = "JACKFIELD_TEST_MODULES"
"""The environment variable that names the file to write the modules to."""
SHOWS: Final = "rite a message"
"""What stands on the first frame, after the cursor."""


class WatchingDriver(LinuxDriver):
    """Notes at the first frame what is loaded."""

    def write(self, data: str) -> None:
        """Write, and note what is loaded if this is the first frame."""
        super().write(data)
        if SHOWS in data and (file := os.environ.pop(TO_FILE, None)):
            part = Path(file).with_suffix(".part")
            part.write_text(json.dumps(sorted(sys.modules)), encoding="utf-8")
            part.rename(file)
