"""What short commands cost: CPU of the whole process, against `python -c "import argparse"`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

from tests.benchmarks.children import JACKFIELD, cpu_seconds, in_turns, new_home
from tests.benchmarks.table import Row

BASE = "import argparse"
SEVERAL_SETTINGS = """\
model = "local/demo"

[plugins.local]
enabled = true
"""
COMMANDS = (
    ("--version", ("--version",), 3),
    ("plugins list, warm cache", ("plugins", "list"), 6),
    ("plugins list --json, warm cache", ("plugins", "list", "--json"), 6),
    ("completion bash, which a shell reads once", ("completion", "bash"), 3),
    ("--help", ("--help",), None),
    ("ask --help", ("ask", "--help"), None),
)


def rows(quick: bool) -> Iterator[Row]:
    """A row for each command."""
    with new_home(SEVERAL_SETTINGS) as environment:
        commands = [(sys.executable, "-c", BASE), *((JACKFIELD, *words) for _, words, _ in COMMANDS)]

        def cost(command: tuple[str, ...]) -> dict[str, float]:
            return {"cpu": cpu_seconds(command, environment)}

        base, *others = in_turns(2 if quick else 11, *(partial(cost, command) for command in commands))
    for (name, _, budget), figures in zip(COMMANDS, others, strict=True):
        detail = f"{figures['cpu'] * 1000:.0f} / {base['cpu'] * 1000:.0f} ms"
        ratio = figures["cpu"] / base["cpu"]
        yield Row(f"{name}: CPU to `{BASE}`", ratio, budget, detail=detail)
