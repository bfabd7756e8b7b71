"""What installed plugins cost at the start: milliseconds to find and register them from a warm cache."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

SIZES = (0, 10, 100, 1000)
RUNS = 7
BUDGET_MS = 25.0

_SOURCE = """
from jackfield import Command, Model, Plugin, Provider
async def run(call): return None
class Answers(Provider):
    name = "provider-{number}"
    title = "Provider {number}"
    known_models = [Model(f"model-{{i}}", f"Model {{i}}", 128000, 8192) for i in range(3)]
    async def stream(self, request, credential):
        yield None
class P(Plugin):
    name = "plugin-{number}"
    version = "1.2.3"
    summary = "Does something that is useful to somebody"
    def providers(self): return [Answers()]
    def commands(self): return [Command(f"command-{number}-{{i}}", "Does it", run) for i in range(2)]
"""
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


def _install(site: Path, count: int) -> None:
    site.mkdir()
    for number in range(count):
        (site / f"plugin_{number}.py").write_text(_SOURCE.format(number=number))
        information = site / f"plugin_{number}-1.2.3.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Name: plugin-{number}\nVersion: 1.2.3\nAuthor: Somebody\n")
        (information / "entry_points.txt").write_text(
            f"[jackfield.plugins]\nplugin-{number} = plugin_{number}:P\n"
        )


def _start_ms(folder: Path, count: int) -> tuple[float, float]:
    """The best of several starts: milliseconds until all are registered, and of the first query."""
    site = folder / f"site-{count}"
    _install(site, count)
    path = os.pathsep.join([str(site), str(Path(__file__).parents[2])])
    env = {**os.environ, "PYTHONPATH": path, "JACKFIELD_HOME": str(folder / f"home-{count}")}
    results: list[tuple[float, float]] = []
    for _ in range(RUNS + 1):
        done = subprocess.run(
            [sys.executable, "-c", _CHILD], env=env, capture_output=True, text=True, check=True
        )
        registered, asked, _count = done.stdout.split()
        results.append((float(registered), float(asked)))
    return min(results[1:])  # the first one filled the cache


def main() -> None:
    """Print what 10, 100 and 1000 plugins add to a start without any of them."""
    with tempfile.TemporaryDirectory() as folder:
        figures = {count: _start_ms(Path(folder), count) for count in SIZES}
    base = figures[0]
    for count in SIZES[1:]:
        added, asked = figures[count][0] - base[0], figures[count][1] - base[1]
        held = "held" if added <= BUDGET_MS else "NOT HELD"
        print(
            f"{count} plugins add {added:.1f} ms, {asked:.1f} ms at first query; budget {BUDGET_MS:g}: {held}"
        )


if __name__ == "__main__":
    main()
