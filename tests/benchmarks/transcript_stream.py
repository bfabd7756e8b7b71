"""What the transcript costs, as ratios to Textual's own Markdown stream and to itself.

Run with `uv run python tests/benchmarks/transcript_stream.py [--quick]`. Every case is a child process with a
headless app of 120x40; both sides of a ratio get the same text. CPU is user + system seconds of the process
while the case runs.
"""

import asyncio
import json
import random
import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.transcript import Transcript

TOKEN = 3.4
SENTENCE = (
    "the model reads a line and decides whether it opens, continues or closes a block, so that **finished** "
    "text is never parsed *again* and the cost of `one` token stays what it was [see here](https://example.org/a)"
)
WORDS = SENTENCE.split(" ")


def paragraph(generator: random.Random, words: int) -> str:
    return " ".join(generator.choice(WORDS) for _ in range(words))


def mixed(tokens: int) -> str:
    """Realistic Markdown: headings, lists, fences, tables and paragraphs."""
    generator = random.Random(7)  # noqa: S311 (the same text every time, no secret)
    pieces: list[str] = []
    length = 0
    while length < tokens * TOKEN:
        kind = generator.randrange(5)
        if kind == 0:
            piece = f"## {paragraph(generator, 4)}\n\n{paragraph(generator, 60)}\n\n"
        elif kind == 1:
            piece = (
                "".join(f"- {paragraph(generator, 12)}\n  - {paragraph(generator, 8)}\n" for _ in range(6))
                + "\n"
            )
        elif kind == 2:
            code = "".join(
                f"def f{line}(x: int) -> str:\n    return str(x + {line})  # {line}\n" for line in range(12)
            )
            piece = f"```python\n{code}```\n\n"
        elif kind == 3:
            piece = (
                "| a | b | c |\n|---|:-:|--:|\n"
                + "".join(f"| {line} | `x{line}` | {line * 7} |\n" for line in range(8))
                + "\n"
            )
        else:
            piece = f"{paragraph(generator, 70)}\n\n"
        pieces.append(piece)
        length += len(piece)
    return "".join(pieces)[: int(tokens * TOKEN)]


def endless(kind: str, tokens: int) -> str:
    """One block that never ends."""
    generator = random.Random(7)  # noqa: S311 (as above)
    size = int(tokens * TOKEN)
    if kind == "list":
        return "".join(f"- {paragraph(generator, 10)}\n" for _ in range(size // 40))[:size]
    if kind == "fence":
        return (
            "```python\n" + "".join(f"value_{n} = call({n}, 'text')  # {n}\n" for n in range(size // 25))
        )[:size]
    if kind == "table":
        return (
            "| a | b |\n|---|---|\n"
            + "".join(f"| {paragraph(generator, 4)} | {n} |\n" for n in range(size // 20))
        )[:size]
    return paragraph(generator, size // 5)[:size]


def cut(text: str) -> list[str]:
    """Tokens of 3 or 4 characters."""
    sizes = (3, 4, 3, 3, 4)
    tokens: list[str] = []
    position = 0
    while position < len(text):
        size = sizes[len(tokens) % 5]
        tokens.append(text[position : position + size])
        position += size
    return tokens


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Gap:
    """The longest time that the event loop was not free."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        before = perf_counter()
        while True:
            await asyncio.sleep(0.004)
            now = perf_counter()
            self.longest = max(self.longest, now - before - 0.004)
            before = now

    def stop(self) -> float:
        self._task.cancel()
        return self.longest


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


async def drawn(transcript: "Transcript") -> None:
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
        return {"cpu": spent, "gap": gap.stop(), "seconds": perf_counter() - start, "memory": memory()}


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
        return {"cpu": spent, "gap": gap.stop(), "seconds": perf_counter() - start, "memory": memory()}


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
        return {"cpu": cpu() - before, "gap": gap.stop(), "memory": memory()}


async def run_load(_: str, __: float, count: int) -> dict[str, float]:
    """Time from load() to the frame that shows it."""
    from textual.app import App, ComposeResult

    from tui.transcript import Transcript, TranscriptMessage, warm_up

    class Bench(App[None]):
        loaded = 0.0

        def compose(self) -> ComposeResult:
            yield Transcript()

        def on_ready(self) -> None:
            self.loaded = perf_counter()

        def on_mount(self) -> None:
            self.query_one(Transcript).load(messages)

    warm_up()
    messages = [TranscriptMessage(str(n), "assistant", body) for n, body in enumerate(history(count))]
    start = perf_counter()
    app = Bench()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        return {"seconds": perf_counter() - start, "memory": memory()}


async def run_keys(_: str, __: float, count: int) -> dict[str, float]:
    """Median time from a key to the frame that shows it, in a TextArea below the conversation."""
    from textual.app import App, ComposeResult
    from textual.widgets import TextArea

    from tui.transcript import Transcript, TranscriptMessage, warm_up

    class Bench(App[None]):
        def compose(self) -> ComposeResult:
            yield Transcript()
            yield TextArea()

    warm_up()
    async with Bench().run_test(size=(120, 40)) as pilot:
        transcript = pilot.app.query_one(Transcript)
        transcript.load(
            [TranscriptMessage(str(n), "assistant", body) for n, body in enumerate(history(count))]
        )
        pilot.app.query_one(TextArea).focus()
        await pilot.pause(1)
        times = []
        for _number in range(80):
            start = cpu()
            await pilot.press("x")
            times.append(cpu() - start)
        return {"seconds": sorted(times)[len(times) // 2], "memory": memory()}


def memory() -> float:
    """Peak memory in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


RUNNERS: dict[str, Callable[[str, float, int], Awaitable[dict[str, float]]]] = {
    "transcript": run_transcript,
    "markdown": run_markdown,
    "huge": run_huge,
    "load": run_load,
    "keys": run_keys,
}


def measure(runner: str, text: str = "mixed:0", rate: float = 0, count: int = 0) -> dict[str, float]:
    """Run one case in a child process."""
    command = [sys.executable, __file__, "--case", json.dumps([runner, text, rate, count])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def text_of(name: str) -> str:
    kind, _, tokens = name.partition(":")
    return mixed(int(tokens)) if kind == "mixed" else endless(kind, int(tokens))


def row(name: str, ratio: float, budget: float, detail: str) -> None:
    state = "held" if ratio <= budget else "NOT HELD"
    print(f"{state:9} {name:58} {ratio:8.3f} (budget {budget:.3f})  {detail}", flush=True)


def median(*arguments: str | float, times: int = 3, key: str = "cpu") -> dict[str, float]:
    results = sorted((measure(*arguments) for _ in range(times)), key=lambda result: result[key])  # type: ignore[arg-type]
    return results[len(results) // 2]


def main(quick: bool) -> None:
    ours = median("transcript", "mixed:5000")
    theirs = measure("markdown", "mixed:5000")
    row(
        "5000 tokens, no pause: CPU to MarkdownStream's",
        ours["cpu"] / theirs["cpu"],
        1 / 20,
        f"{ours['cpu']:.2f} / {theirs['cpu']:.2f} s",
    )
    row(
        "  longest gap, to 60 ms",
        ours["gap"] / 0.06,
        1,
        f"{ours['gap'] * 1000:.0f} ms; theirs {theirs['gap'] * 1000:.0f} ms",
    )
    tokens = 500 if quick else 1000
    slow, slower = measure("transcript", f"mixed:{tokens}", 100), measure("markdown", f"mixed:{tokens}", 100)
    row(
        f"{tokens} tokens at 100/s: CPU to MarkdownStream's",
        slow["cpu"] / slower["cpu"],
        1 / 4,
        f"{slow['cpu']:.2f} / {slower['cpu']:.2f} s",
    )
    row(
        "  longest gap, to 60 ms",
        slow["gap"] / 0.06,
        1,
        f"{slow['gap'] * 1000:.0f} ms; theirs {slower['gap'] * 1000:.0f} ms",
    )
    rate = 1000
    short, long = median("transcript", "mixed:5000", rate), measure("transcript", "mixed:20000", rate)
    row(
        "CPU per token at 1000/s: 20000 to 5000 tokens",
        long["cpu"] / 4 / short["cpu"],
        1.2,
        f"{long['cpu'] / 4:.2f} / {short['cpu']:.2f} s",
    )
    row("  longest gap, to 60 ms", long["gap"] / 0.06, 1, f"{long['gap'] * 1000:.0f} ms")
    none, many = median("transcript", "mixed:1000", 300), median("transcript", "mixed:1000", 300, 500)
    row(
        "streaming CPU: after 500 messages to after none",
        many["cpu"] / none["cpu"],
        1.3,
        f"{many['cpu']:.2f} / {none['cpu']:.2f} s",
    )
    base = median("transcript", "mixed:3000", rate)
    for kind in ("list", "fence", "table", "paragraph"):
        result = median("transcript", f"{kind}:3000", rate)
        row(
            f"endless {kind} to mixed text",
            result["cpu"] / base["cpu"],
            2,
            f"{result['cpu']:.2f} / {base['cpu']:.2f} s",
        )
        row("  longest gap, to 60 ms", result["gap"] / 0.06, 1, f"{result['gap'] * 1000:.0f} ms")
    huge = measure("huge")
    row(
        "10 MB in one delta: longest gap, to 60 ms",
        huge["gap"] / 0.06,
        1,
        f"{huge['gap'] * 1000:.0f} ms, {huge['cpu']:.1f} s CPU, {huge['memory']:.0f} MB",
    )
    empty, loaded = (
        median("load", "mixed:0", 0, 0, key="seconds"),
        median("load", "mixed:0", 0, 500, key="seconds"),
    )
    row(
        "opening 500 messages to opening none",
        loaded["seconds"] / empty["seconds"],
        1.5,
        f"{loaded['seconds']:.2f} / {empty['seconds']:.2f} s",
    )
    few, lots = (
        median("keys", "mixed:0", 0, 5, key="seconds"),
        median("keys", "mixed:0", 0, 5000, key="seconds"),
    )
    row(
        "key to echo: 5000 messages to 5 (CPU)",
        lots["seconds"] / few["seconds"],
        1.3,
        f"{lots['seconds'] * 1000:.1f} / {few['seconds'] * 1000:.1f} ms",
    )
    text = 5000 * 1200 / 1e6
    row(
        "memory of 5000 messages over their text, MB per MB",
        (lots["memory"] - few["memory"]) / text,
        4,
        f"{lots['memory']:.0f} / {few['memory']:.0f} MB",
    )


if __name__ == "__main__":
    if "--case" in sys.argv:
        case = json.loads(sys.argv[sys.argv.index("--case") + 1])
        print(json.dumps(asyncio.run(RUNNERS[case[0]](text_of(case[1]), case[2], case[3]))))  # type: ignore[arg-type]
    else:
        main(quick="--quick" in sys.argv)
