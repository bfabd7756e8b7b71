"""The benchmarks can be run and print what the budgets ask for. No figure is judged here: machines differ."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.table import HEADER, Row

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row("a", 0.9, 1.25, 1.0), "beyond"),
        (Row("a", 1.1, 1.25, 1.0), "held"),
        (Row("a", 1.3, 1.25, 1.0), "NOT HELD"),
        (Row("a", 1.3, None, 1.0), "-"),
        (Row("a", None, 1.25, 1.0), "not measured"),
    ],
)
def test_a_row_says_whether_its_budget_is_held(row: Row, verdict: str) -> None:
    assert row.verdict == verdict
    assert str(row).startswith(verdict)


def test_a_quick_run_of_the_cheap_rows_prints_the_table() -> None:
    groups = ["--only", "commands", "--only", "hooks", "--only", "toggle"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "--quick", *groups],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    header, *rows = done.stdout.splitlines()
    assert header == HEADER, done.stderr
    assert [row for row in rows if "--version: CPU to `import argparse`" in row]
    assert [row for row in rows if "20 hooks" in row]
    assert [row for row in rows if "switching a built-in plugin" in row]
    assert done.returncode == any(row.startswith("NOT HELD") for row in rows)
