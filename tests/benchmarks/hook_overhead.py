"""What hooks cost: milliseconds that 20 hooks that do nothing add to a turn."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from statistics import median

from jackfield import ChatRequest, Credential, Finished, Message, Plugin, Provider, StreamEvent, TextDelta
from registry.paths import Paths
from registry.registry import PluginRegistry
from registry.turn import Turn

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


async def _turn_ms(folder: Path, hooks: int) -> float:
    registry = PluginRegistry(Paths(folder, folder, folder))
    registry.register(_Answering())
    for number in range(hooks):
        attributes = {"name": f"hook-{number}", "version": "1", "on_request": _nothing}
        registry.register(type("Hooked", (Plugin,), attributes)())
    request = ChatRequest("m", [Message.of("user", "Hi")], "answers")
    times: list[float] = []
    for _ in range(TURNS):
        begun = time.perf_counter()
        async for _event in Turn(registry, request).events():
            pass
        times.append((time.perf_counter() - begun) * 1000)
    await registry.aclose()
    return median(times[TURNS // 10 :])


def main() -> None:
    """Print the figure and its budget."""
    with tempfile.TemporaryDirectory() as folder:
        without = asyncio.run(_turn_ms(Path(folder), 0))
        with_hooks = asyncio.run(_turn_ms(Path(folder), HOOKS))
    added = with_hooks - without
    held = "held" if added < BUDGET_MS else "NOT HELD"
    print(f"{HOOKS} hooks add {added:.2f} ms to a turn of {without:.2f} ms; budget {BUDGET_MS:g} ms: {held}")


if __name__ == "__main__":
    main()
