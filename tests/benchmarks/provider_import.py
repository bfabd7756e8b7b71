"""What importing a provider's plugin costs beside httpx, which all of them need: CPU of new interpreters."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

from tests.benchmarks.children import ROOT, new_home
from tests.benchmarks.table import Row

PLUGINS: Mapping[str, Sequence[str]] = {
    "providers.anthropic": ("anthropic_messages", "anthropic_parameters"),
    "providers.compatible": ("addresses", "chat_completions"),
    "providers.gemini": ("gemini_generate",),
    "providers.openai": ("openai_responses",),
}
"""Modules of plugins, each with those of `providers.wire` that its first request imports."""
EVERY_REQUEST = ("retry", "transport")
HAS = "import httpx"
HAS_WITH_REQUEST = "import anyio, httpx, pydantic\nfrom jackfield import *"
"""What a process that sends a request has imported before, whatever the provider."""
MEASURED = """
import importlib, json, time
{has}
before = time.process_time()
for module in {modules}:
    importlib.import_module(module)
print(json.dumps(1000 * (time.process_time() - before)))
"""


def import_cost(has: str, modules: Sequence[str], environment: Mapping[str, str]) -> float:
    """Milliseconds of CPU that importing the modules takes after that."""
    script = MEASURED.format(has=has, modules=list(modules))
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, cwd=ROOT
    )
    return float(json.loads(done.stdout))


def rows(quick: bool) -> Iterator[Row]:
    """The costs of the dearest plugin: to know what it offers, and to send its first request."""
    rounds = 2 if quick else 9
    alone = {name: (HAS, (name,)) for name in PLUGINS}
    asking = {
        name: (HAS_WITH_REQUEST, (name, *(f"providers.wire.{room}" for room in (*rooms, *EVERY_REQUEST))))
        for name, rooms in PLUGINS.items()
    }
    with new_home() as environment:
        for measure, sides, budget in (
            ("import of a provider plugin beyond httpx: CPU", alone, 15.0),
            ("the same with all that its first request imports: CPU", asking, None),
        ):
            costs: dict[str, list[float]] = {name: [] for name in sides}
            for _ in range(1 + rounds):
                for name, (has, modules) in sides.items():
                    costs[name].append(import_cost(has, modules, environment))
            # The first one writes bytecode.
            medians = {name: statistics.median(figures[1:]) for name, figures in costs.items()}
            detail = ", ".join(f"{name.partition('.')[2]} {cost:.1f}" for name, cost in medians.items())
            yield Row(measure, max(medians.values()), budget, unit="ms", detail=detail)
