"""What installed plugins cost at the start: milliseconds to find and register them from a warm cache."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from tests.benchmarks.children import ROOT, in_turns, new_home
from tests.benchmarks.plugin_folder import install_plugins
from tests.benchmarks.table import Row

_CHILD = """
import sys, time
from registry.discovery import discover
from registry.paths import find_paths
from registry.registry import PluginRegistry
paths = find_paths()
begun = time.perf_counter()
registry = PluginRegistry(paths)
registry.register_all((manifest, True) for manifest in discover(paths))
registered = time.perf_counter()
registry.providers(), registry.commands()
print((registered - begun) * 1000, (time.perf_counter() - registered) * 1000, len(registry.handles()))
"""


def rows(quick: bool) -> Iterator[Row]:
    """What each number of plugins adds to a start without any of them."""
    sizes = (0, 10) if quick else (0, 10, 100, 1000)
    with new_home() as environment:
        sides = []
        for size in sizes:
            site = install_plugins(Path(environment["JACKFIELD_HOME"]) / f"site-{size}", size)
            its_own = {
                "JACKFIELD_HOME": str(site.with_name(f"home-{size}")),
                "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
            }
            sides.append(partial(_register, {**environment, **its_own}))
        base, *others = in_turns(1 if quick else 7, *sides)
    for size, figures in zip(sizes[1:], others, strict=True):
        yield Row(
            f"{size} plugins, warm cache: ms added until all are registered",
            figures["registered"] - base["registered"],
            25,
            unit="ms",
            detail=f"and {figures['asked'] - base['asked']:.1f} ms at the first query",
        )


def _register(environment: Mapping[str, str]) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD], env=environment, capture_output=True, text=True, check=True
    )
    registered, asked, _count = done.stdout.split()
    return {"registered": float(registered), "asked": float(asked)}
