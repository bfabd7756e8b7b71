"""What streaming into the transcript costs, against Textual's own Markdown stream, and against itself.

Every case is a child process with an app of 120x40 and no terminal; both sides of a ratio get the same text.
CPU is what the process uses while the text streams, user and system.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from tests.benchmarks.children import ROOT, in_turns, new_home
from tests.benchmarks.table import Row

GAP_S = 0.06
"""The longest time, in seconds, that the event loop may be busy at a stretch."""
FRAME_S = 0.016
"""Where that should end."""
READER = 100
"""Tokens per second of a usual model."""
RATE = 1000
"""Tokens per second where a stream is compared with another: fast, but with time to draw."""


def rows(quick: bool) -> Iterator[Row]:
    """All rows about streaming."""
    with new_home() as environment:
        yield from _answer(environment, quick)
        yield from _with_length(environment, quick)
        if not quick:
            yield from _endless(environment)
            yield from _gaps("10 MB in one event", partial(case, environment, "huge", "mixed:0"))


def case(
    environment: Mapping[str, str],
    name: str,
    text: str,
    rate: float = 0,
    earlier: int = 0,
    *,
    watched: bool = False,
) -> dict[str, float]:
    """Run one case in a child process.

    Args:
        environment: of the child.
        name: one of `transcript_cases.RUNNERS`.
        text: kind and length in tokens, such as `mixed:5000`.
        rate: tokens per second; 0 is as fast as they are taken.
        earlier: messages that are there before.
        watched: also measure the longest gap, which itself costs CPU.
    """
    given = json.dumps([name, text, rate, earlier, watched])
    command = [sys.executable, "-m", "tests.benchmarks.transcript_cases", given]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _answer(environment: Mapping[str, str], quick: bool) -> Iterator[Row]:
    """One answer, as fast as it comes and at the pace of a reader, against Textual's and the floor."""
    tokens = 300 if quick else 5000
    for rate, what, rounds, budgets in (
        (0, f"{tokens} tokens, no pause", 3, (1 / 20, 1 / 50, 3)),
        (READER, f"{tokens} tokens at {READER}/s", 1, (1 / 4, 1 / 5, 2)),
    ):
        sides = [
            partial(case, environment, name, f"mixed:{tokens}", rate)
            for name in ("transcript", "markdown", "terminal")
        ]
        ours, theirs, floor = in_turns(1 if quick else rounds, *sides, warm=False)
        yield _cpu(f"{what}: CPU to MarkdownStream's", ours, theirs, budgets[0], budgets[1])
        yield _cpu(f"{what}: CPU to the terminal's alone", ours, floor, None, budgets[2])
        tokens = min(tokens, 1000) if rate else tokens
        sides = [
            partial(case, environment, name, f"mixed:{tokens}", rate) for name in ("transcript", "markdown")
        ]
        yield from _gaps(f"{tokens} tokens, {f'{rate}/s' if rate else 'no pause'}", *sides, quick=quick)


def _with_length(environment: Mapping[str, str], quick: bool) -> Iterator[Row]:
    short, long = (500, 1000) if quick else (5000, 20000)
    sides = [partial(case, environment, "transcript", f"mixed:{size}", RATE) for size in (short, long)]
    few, many = in_turns(1 if quick else 3, *sides, warm=False)
    per_token = {"cpu": many["cpu"] * short / long}
    yield _cpu(f"CPU per token: {long} to {short} tokens", per_token, few, 1.2, 1.0)
    yield Row(
        f"memory: MB that {long - short} more tokens take",
        many["memory"] - few["memory"],
        unit="MB",
        detail=f"{many['memory']:.0f} / {few['memory']:.0f} MB at the most",
    )
    yield from _gaps(f"{long} tokens at {RATE}/s", sides[1], quick=quick)
    sides = [partial(case, environment, "transcript", "mixed:1000", 300, earlier) for earlier in (0, 500)]
    none, after = in_turns(1 if quick else 3, *sides, warm=False)
    yield _cpu("streaming CPU: after 500 messages to after none", after, none, 1.3, 1.0)


def _endless(environment: Mapping[str, str]) -> Iterator[Row]:
    kinds = ("mixed", "list", "fence", "table", "paragraph")
    sides = [partial(case, environment, "transcript", f"{kind}:3000", RATE) for kind in kinds]
    mixed, *others = in_turns(3, *sides, warm=False)
    for kind, side, figures in zip(kinds[1:], sides[1:], others, strict=True):
        yield _cpu(f"CPU per token: an endless {kind} to mixed text", figures, mixed, 2, 1.0)
        yield from _gaps(f"an endless {kind}", side)


def _cpu(
    measure: str, ours: Mapping[str, float], other: Mapping[str, float], budget: float | None, beyond: float
) -> Row:
    detail = f"{ours['cpu']:.2f} / {other['cpu']:.2f} s"
    return Row(measure, ours["cpu"] / other["cpu"], budget, beyond, detail=detail)


def _gaps(
    what: str,
    ours: Callable[..., dict[str, float]],
    theirs: Callable[..., dict[str, float]] | None = None,
    *,
    quick: bool = False,
) -> Iterator[Row]:
    """The longest gap of a case that is run again and watched: to the limit, and to Textual's."""
    sides = [partial(side, watched=True) for side in (ours, theirs) if side is not None]
    gap, *other = in_turns(1 if quick else 3, *sides, warm=False)
    detail = f"{gap['gap'] * 1000:.0f} ms, of which {gap['own'] * 1000:.0f} ms its own work"
    yield Row(f"{what}: longest gap to 60 ms", gap["gap"] / GAP_S, 1, FRAME_S / GAP_S, detail=detail)
    for figures in other:
        detail = f"{gap['gap'] * 1000:.0f} / {figures['gap'] * 1000:.0f} ms"
        yield Row(f"{what}: longest gap to MarkdownStream's", gap["gap"] / figures["gap"], 0.3, detail=detail)
