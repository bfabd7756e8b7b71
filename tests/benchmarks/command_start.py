"""What short commands cost: CPU of the whole process, as a ratio to `python -c "import argparse"`.

Run it with `uv run python tests/benchmarks/command_start.py`; it ends with 1 when a budget is not held.
The commands take turns, so that a busy machine slows all of them alike; each figure is a median.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROUNDS = 9
BASE = "import argparse"
JACKFIELD = str(Path(sys.executable).with_name("jackfield"))
SEVERAL_SETTINGS = """\
model = "local/demo"

[plugins.local]
enabled = true
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One command and the most that it may cost."""

    name: str
    command: tuple[str, ...]
    budget: float | None = None


ROWS = (
    Row(BASE, (sys.executable, "-c", BASE)),
    Row("--version", (JACKFIELD, "--version"), 3),
    Row("plugins list, warm cache", (JACKFIELD, "plugins", "list"), 6),
    Row("plugins list --json, warm cache", (JACKFIELD, "plugins", "list", "--json"), 6),
    Row("--help", (JACKFIELD, "--help"), 7),
    Row("ask --help", (JACKFIELD, "ask", "--help"), 7),
)


def main() -> int:
    """Measure, print the table, and give 0 if every budget is held."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "JACKFIELD_HOME": home}
        environment.pop("JACKFIELD_PLUGINS", None)
        (Path(home) / "config").mkdir()
        (Path(home) / "config" / "config.toml").write_text(SEVERAL_SETTINGS, encoding="utf-8")
        for row in ROWS:
            cpu_seconds(row, environment)  # fills the caches
        rounds = [[cpu_seconds(row, environment) for row in ROWS] for _ in range(ROUNDS)]
    costs = [statistics.median(costs) for costs in zip(*rounds, strict=True)]
    ratios = [cost / costs[0] for cost in costs]
    for row, ratio in zip(ROWS, ratios, strict=True):
        budget = "" if row.budget is None else f"budget {row.budget:g}x  {verdict(row, ratio)}"
        print(f"{row.name:<32} {ratio:5.2f}x  {budget}".rstrip())
    return int(any(verdict(row, ratio) == "NOT HELD" for row, ratio in zip(ROWS, ratios, strict=True)))


def verdict(row: Row, ratio: float) -> str:
    """Whether the row's budget is held."""
    return "held" if row.budget is None or ratio <= row.budget else "NOT HELD"


def cpu_seconds(row: Row, environment: dict[str, str]) -> float:
    """Run a command; gives the CPU time, of the program and the system, that its process used.

    Raises:
        subprocess.CalledProcessError: the command failed.
    """
    process = subprocess.Popen(
        row.command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, row.command)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
