"""What hooks cost: milliseconds that 20 hooks that do nothing add to a turn."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from jackfield import ChatRequest, Credential, Finished, Message, Plugin, Provider, StreamEvent, TextDelta
from registry.paths import Paths
from registry.registry import PluginRegistry
from registry.turn import Turn
from tests.benchmarks.children import in_turns
from tests.benchmarks.table import Row

HOOKS = 20
TURNS = 200
BUDGET_MS = 1.0


class _Answers(Provider):
    name = "answers"

    async def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        yield TextDelta("ok")
        yield Finished()


class _Answering(Plugin):
    name = "answering"
    version = "1"

    def providers(self) -> Sequence[Provider]:
        return [_Answers()]


async def _nothing(_self: object, _request: object) -> None:
    return None


async def _turn_ms(folder: Path, hooks: int, turns: int) -> float:
    registry = PluginRegistry(Paths(folder, folder, folder))
    registry.register(_Answering())
    for number in range(hooks):
        attributes = {"name": f"hook-{number}", "version": "1", "on_request": _nothing}
        registry.register(type("Hooked", (Plugin,), attributes)())
    request = ChatRequest("m", [Message.of("user", "Hi")], "answers")
    times: list[float] = []
    for _ in range(turns):
        begun = time.perf_counter()
        async for _event in Turn(registry, request).events():
            pass
        times.append((time.perf_counter() - begun) * 1000)
    await registry.aclose()
    return median(times[turns // 10 :])


def rows(quick: bool) -> Iterator[Row]:
    """What the hooks add to a turn."""
    turns = TURNS // 10 if quick else TURNS
    with tempfile.TemporaryDirectory() as folder:

        def turn(hooks: int) -> dict[str, float]:
            return {"ms": asyncio.run(_turn_ms(Path(folder), hooks, turns))}

        without, with_hooks = in_turns(1 if quick else 5, partial(turn, 0), partial(turn, HOOKS), warm=False)
    added = with_hooks["ms"] - without["ms"]
    detail = f"a turn without them takes {without['ms']:.2f} ms"
    yield Row(
        f"{HOOKS} hooks that do nothing: ms added to a turn", added, BUDGET_MS, unit="ms", detail=detail
    )
