"""One case of the transcript's measurements, run in a process of its own by `transcript_stream`."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any

from tests.benchmarks.markdown_texts import cut, mixed, text_of

if TYPE_CHECKING:
    from tui.transcript import Transcript


PULSE_S = 0.004
"""How often the event loop is looked after, in seconds."""


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Gap:
    """The longest time that the event loop was not free, if it is watched: that costs CPU itself."""

    watched = False

    def __init__(self) -> None:
        self._longest = self._own = 0.0
        self._task = asyncio.create_task(self._watch()) if self.watched else None

    async def _watch(self) -> None:
        before, own = perf_counter(), thread_time()
        while True:
            await asyncio.sleep(PULSE_S)
            gap, before = perf_counter() - before - PULSE_S, perf_counter()
            spent, own = thread_time() - own, thread_time()
            if gap > self._longest:
                self._longest, self._own = gap, spent

    def stop(self) -> dict[str, float]:
        """Seconds of the gap, and how many of them the loop itself was at work."""
        if self._task is None:
            return {}
        self._task.cancel()
        return {"gap": self._longest, "own": self._own}


async def feed(tokens: Iterable[str], rate: float, write: Callable[[str], Awaitable[None]]) -> None:
    """Give tokens at a rate per second, or (0) as fast as they are taken."""
    start = perf_counter()
    for number, token in enumerate(tokens, 1):
        await write(token)
        wait = start + number / rate - perf_counter() if rate else 0
        await asyncio.sleep(max(wait, 0))


def history(count: int) -> list[str]:
    text = mixed(20_000)
    return [text[(start * 977) % 50_000 :][:1200] for start in range(count)]


async def drawn(transcript: Transcript) -> None:
    """Wait until all text is on screen."""
    while transcript.busy:  # noqa: ASYNC110 (a widget has no event to wait for)
        await asyncio.sleep(0.01)


async def run_transcript(text: str, rate: float, earlier: int) -> dict[str, float]:
    from textual.app import App, ComposeResult
    from textual.widgets import TextArea

    from tui.transcript import Transcript, TranscriptMessage, warm_up

    class Bench(App[None]):
        def compose(self) -> ComposeResult:
            yield Transcript()
            yield TextArea()

    async with Bench().run_test(size=(120, 40)) as pilot:
        transcript = pilot.app.query_one(Transcript)
        transcript.load(
            [TranscriptMessage(str(n), "assistant", body) for n, body in enumerate(history(earlier))]
        )
        await pilot.pause(0.3)
        await asyncio.to_thread(warm_up)
        await pilot.pause(0.2)
        gap, before, start = Gap(), cpu(), perf_counter()
        transcript.open("answer")

        async def write(token: str) -> None:
            transcript.append(token)

        await feed(cut(text), rate, write)
        transcript.close()
        await drawn(transcript)
        await pilot.pause()
        spent = cpu() - before
        return {"cpu": spent, **gap.stop(), "seconds": perf_counter() - start, "memory": memory()}


async def run_markdown(text: str, rate: float, _: int) -> dict[str, float]:
    from textual.app import App, ComposeResult
    from textual.containers import VerticalScroll
    from textual.widgets import Markdown, TextArea

    class Bench(App[None]):
        def compose(self) -> ComposeResult:
            with VerticalScroll() as scroll:
                scroll.anchor()
                yield Markdown()
            yield TextArea()

    async with Bench().run_test(size=(120, 40)) as pilot:
        await pilot.pause(0.5)
        gap, before, start = Gap(), cpu(), perf_counter()
        stream = Markdown.get_stream(pilot.app.query_one(Markdown))
        await feed(cut(text), rate, stream.write)
        await stream.stop()
        await pilot.pause()
        spent = cpu() - before
        return {"cpu": spent, **gap.stop(), "seconds": perf_counter() - start, "memory": memory()}


async def run_huge(_: str, __: float, ___: int) -> dict[str, float]:
    """Ten megabytes without a line break, in one delta."""
    return await run_deltas([("word of text " * 800_000)[:10_000_000]])


async def run_deltas(deltas: list[str]) -> dict[str, float]:
    from textual.app import App, ComposeResult

    from tui.transcript import Transcript, warm_up

    class Bench(App[None]):
        def compose(self) -> ComposeResult:
            yield Transcript()

    async with Bench().run_test(size=(120, 40)) as pilot:
        transcript = pilot.app.query_one(Transcript)
        await pilot.pause(0.3)
        await asyncio.to_thread(warm_up)
        await pilot.pause(0.2)
        gap, before = Gap(), cpu()
        transcript.open("answer")
        for delta in deltas:
            transcript.append(delta)
        transcript.close()
        await drawn(transcript)
        await pilot.pause()
        return {"cpu": cpu() - before, **gap.stop(), "memory": memory()}


async def run_terminal(text: str, rate: float, _: int) -> dict[str, float]:
    """The floor: the tokens as they come, written to a file that keeps nothing, as `cat` would."""
    gap, before = Gap(), cpu()
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:  # noqa: ASYNC230 - as `print` would

        async def write(token: str) -> None:
            nowhere.write(token)
            nowhere.flush()

        await feed(cut(text), rate, write)
    return {"cpu": cpu() - before, **gap.stop(), "memory": memory()}


def memory() -> float:
    """Peak memory in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


RUNNERS: dict[str, Callable[[str, float, int], Coroutine[Any, Any, dict[str, float]]]] = {
    "transcript": run_transcript,
    "markdown": run_markdown,
    "huge": run_huge,
    "terminal": run_terminal,
}


def main(case: str) -> None:
    """Run a case: JSON with its name, text, tokens per second, earlier messages, and whether to watch."""
    name, text, rate, count, Gap.watched = json.loads(case)
    print(json.dumps(asyncio.run(RUNNERS[name](text_of(text), rate, count))))


if __name__ == "__main__":
    main(sys.argv[1])
