"""`python -m tui.cli` is the command `jackfield`."""

import sys

from tui.cli import main

sys.exit(main())
