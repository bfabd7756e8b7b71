"""What a letter typed in the model picker costs: 3000 models against 30, and milliseconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

from registry.catalogue.catalogue import ModelFacts
from registry.manifest import ProviderEntry
from registry.provider import Model
from tests.benchmarks.table import Row
from tui.screens.model_list import ModelList

PROVIDERS = 10
BUDGET_MS = 20.0
QUERIES = ("", "m", "mod", "model 2", "provider 7 model 29", "nothing like it")


def _filled(models: int) -> ModelList:
    listed = ModelList(None)
    entries = [ProviderEntry(f"p{number}", f"Provider {number}") for number in range(PROVIDERS)]
    listed.order([entry.name for entry in entries], favourites=["p3/vendor/model-1"], recent=[])
    for entry in entries:
        listed.put(entry, [ModelFacts(Model(f"vendor/model-{number}")) for number in range(models)])
    return listed


def _filter_ms(listed: ModelList, rounds: int) -> float:
    """The median over rounds of the slowest query."""
    times: list[float] = []
    for _ in range(rounds):
        slowest = 0.0
        for query in QUERIES:
            begun = time.perf_counter()
            listed.rows(query)
            slowest = max(slowest, time.perf_counter() - begun)
        times.append(slowest * 1000)
    return median(times)


def rows(quick: bool) -> Iterator[Row]:
    """The cost of filtering."""
    rounds = 5 if quick else 100
    few, many = _filter_ms(_filled(3), rounds), _filter_ms(_filled(300), rounds)
    detail = f"{many:.2f} ms against {few:.3f} ms"
    yield Row("filtering 3000 models", many, BUDGET_MS, BUDGET_MS / 4, unit="ms", detail=detail)
    yield Row(
        "filtering 3000 models against 30", many / few, None, 100.0, detail="no worse than as many times"
    )
