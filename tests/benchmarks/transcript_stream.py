"""What streaming into the transcript costs, against Textual's own Markdown stream, and against itself.

Every case is a child process with an app of 120x40 and no terminal; both sides of a ratio get the same text.
CPU is what the process uses while the text streams, user and system.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial

from tests.benchmarks.children import ROOT, in_turns, new_home
from tests.benchmarks.table import Row

GAP_S = 0.06
"""The longest time, in seconds, that the event loop may be busy at a stretch."""
FRAME_S = 0.016
"""Where that should end."""
RATE = 1000
"""Tokens per second where a stream is compared with another: fast, but with time to draw."""


def rows(quick: bool) -> Iterator[Row]:
    """All rows about streaming."""
    with new_home() as environment:
        yield from _unlimited(environment, quick)
        yield from _at_reading_speed(environment, quick)
        yield from _with_length(environment, quick)
        if not quick:
            yield from _endless(environment)
            yield _huge(environment)


def case(
    environment: Mapping[str, str], name: str, text: str, rate: float = 0, earlier: int = 0
) -> dict[str, float]:
    """Run one case in a child process.

    Args:
        environment: of the child.
        name: one of `transcript_cases.RUNNERS`.
        text: kind and length in tokens, such as `mixed:5000`.
        rate: tokens per second; 0 is as fast as they are taken.
        earlier: messages that are there before.
    """
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.transcript_cases",
        json.dumps([name, text, rate, earlier]),
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _unlimited(environment: Mapping[str, str], quick: bool) -> Iterator[Row]:
    text = "mixed:500" if quick else "mixed:5000"
    names = ("transcript", "markdown", "terminal")
    sides = [partial(case, environment, name, text) for name in names]
    ours, theirs, floor = in_turns(1 if quick else 3, *sides, warm=False)
    what = f"{text.partition(':')[2]} tokens, no pause"
    yield _cpu(f"{what}: CPU to MarkdownStream's", ours, theirs, 1 / 20, 1 / 50)
    yield _cpu(f"{what}: CPU to the terminal's alone", ours, floor, None, 3)
    yield from _gaps(what, ours, theirs)


def _at_reading_speed(environment: Mapping[str, str], quick: bool) -> Iterator[Row]:
    text = "mixed:200" if quick else "mixed:1000"
    names = ("transcript", "markdown", "terminal")
    sides = [partial(case, environment, name, text, 100) for name in names]
    ours, theirs, floor = in_turns(1 if quick else 3, *sides, warm=False)
    what = f"{text.partition(':')[2]} tokens at 100/s"
    yield _cpu(f"{what}: CPU to MarkdownStream's", ours, theirs, 1 / 4, 1 / 5)
    yield _cpu(f"{what}: CPU to the terminal's alone", ours, floor, None, 2)
    yield from _gaps(what, ours, theirs)


def _with_length(environment: Mapping[str, str], quick: bool) -> Iterator[Row]:
    short, long = (500, 1000) if quick else (5000, 20000)
    sides = [partial(case, environment, "transcript", f"mixed:{size}", RATE) for size in (short, long)]
    few, many = in_turns(1 if quick else 3, *sides, warm=False)
    per_token = {"cpu": many["cpu"] * short / long}
    yield _cpu(f"CPU per token: {long} to {short} tokens", per_token, few, 1.2, 1.0)
    yield from _gaps(f"{long} tokens at {RATE}/s", many, None)
    yield Row(
        f"memory: MB that {long - short} more tokens take, to their text",
        (many["memory"] - few["memory"]) / ((long - short) * 3.4 / 1e6),
        detail=f"{many['memory']:.0f} / {few['memory']:.0f} MB at the most",
    )
    sides = [partial(case, environment, "transcript", "mixed:1000", 300, earlier) for earlier in (0, 500)]
    none, after = in_turns(1 if quick else 3, *sides, warm=False)
    yield _cpu("streaming CPU: after 500 messages to after none", after, none, 1.3, 1.0)


def _endless(environment: Mapping[str, str]) -> Iterator[Row]:
    kinds = ("mixed", "list", "fence", "table", "paragraph")
    sides = [partial(case, environment, "transcript", f"{kind}:3000", RATE) for kind in kinds]
    mixed, *others = in_turns(3, *sides, warm=False)
    for kind, figures in zip(kinds[1:], others, strict=True):
        yield _cpu(f"CPU per token: an endless {kind} to mixed text", figures, mixed, 2, 1.0)
        yield from _gaps(f"an endless {kind}", figures, None)


def _huge(environment: Mapping[str, str]) -> Row:
    huge = case(environment, "huge", "mixed:0")
    detail = f"{huge['gap'] * 1000:.0f} ms; {huge['cpu']:.1f} s CPU, {huge['memory']:.0f} MB at the most"
    return Row(
        "10 MB in one event: longest gap to 60 ms", huge["gap"] / GAP_S, 1, FRAME_S / GAP_S, detail=detail
    )


def _cpu(
    measure: str, ours: Mapping[str, float], other: Mapping[str, float], budget: float | None, beyond: float
) -> Row:
    detail = f"{ours['cpu']:.2f} / {other['cpu']:.2f} s"
    return Row(measure, ours["cpu"] / other["cpu"], budget, beyond, detail=detail)


def _gaps(what: str, ours: Mapping[str, float], theirs: Mapping[str, float] | None) -> Iterator[Row]:
    gap = ours["gap"]
    detail = f"{gap * 1000:.0f} ms"
    yield Row(f"{what}: longest gap to 60 ms", gap / GAP_S, 1, FRAME_S / GAP_S, detail=detail)
    if theirs is not None:
        detail = f"{gap * 1000:.0f} / {theirs['gap'] * 1000:.0f} ms"
        yield Row(f"{what}: longest gap to MarkdownStream's", gap / theirs["gap"], 0.3, detail=detail)
