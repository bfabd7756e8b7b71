"""A long conversation in the whole app, in a real terminal: opening it, typing below it, its memory."""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from registry.chat import Message
from tests.benchmarks.app_start import SIZE, cpu_of, memory_of, wait_for_rest
from tests.benchmarks.children import ROOT, in_turns, new_home
from tests.benchmarks.markdown_texts import mixed
from tests.benchmarks.table import Row
from tests.e2e.terminal import PtySession
from tui.history.history import History

APP = (sys.executable, "-m", "tests.benchmarks.scripted_app")
LAST = "zyxwvuts"
"""The last word of every conversation: when it is on the screen, the conversation is."""
LETTERS = [chr(code) for code in range(0x100, 0x180)] + [chr(code) for code in range(0x1CD, 0x220)]
"""Letters that nothing else contains, each typed once, so that its first sight is its echo."""
SAMPLES = 90


def rows(quick: bool) -> Iterator[Row]:
    """Opening, typing, memory."""
    few, some, many = (5, 20, 50) if quick else (5, 500, 5000)
    with new_home() as environment:
        environment["PYTHONPATH"] = str(ROOT)
        made = {size: write_conversation(environment, size) for size in (1, few, some, many)}
        start = [partial(opened, environment, made[size][0]) for size in (some, 1)]
        full, empty = in_turns(1 if quick else 7, *start)
        what = f"start that opens a conversation of {some} messages, to one of 1"
        yield _ratio(f"{what}: time", full, empty, "seconds")
        yield _ratio(f"{what}: CPU", full, empty, "cpu")
        typing = [partial(typed, environment, made[size][0], quick) for size in (many, few)]
        lots, little = in_turns(1 if quick else 3, *typing, warm=False)
        yield Row(
            f"key to echo, median: {many} messages to {few}",
            lots["idle"] / little["idle"],
            1.3,
            1.0,
            detail=f"{lots['idle'] * 1000:.1f} / {little['idle'] * 1000:.1f} ms",
        )
        yield from _memory(environment, made, lots, quick)
        for size, figures in ((few, little), (many, lots)):
            yield Row(
                f"key echo, p95, while an answer streams to idle, {size} messages before",
                figures["streaming_p95"] / figures["idle_p95"],
                5,
                2,
                detail=f"{figures['streaming_p95'] * 1000:.1f} / {figures['idle_p95'] * 1000:.1f} ms",
            )


def _memory(
    environment: Mapping[str, str],
    made: Mapping[int, tuple[int, float]],
    lots: Mapping[str, float],
    quick: bool,
) -> Iterator[Row]:
    """What a megabyte of text takes in a long conversation, to what it takes in one of a tenth."""
    few, _, some, many = sorted(made)
    if quick:
        return  # so little text is lost in the noise

    def rest(size: int) -> dict[str, float]:
        with PtySession(*APP, str(made[size][0]), size=SIZE, env=environment) as session:
            session.wait_for(LAST.encode(), timeout_s=60)
            wait_for_rest(session.process)
            return memory_of(session.process)

    empty, part = in_turns(3, partial(rest, few), partial(rest, some), warm=False)
    of_part = (part["private"] - empty["private"]) / (made[some][1] - made[few][1])
    of_all = (lots["private"] - empty["private"]) / (made[many][1] - made[few][1])
    yield Row(
        f"memory for each MB of text: {many} messages to {some}",
        of_all / of_part,
        1.2,
        1.0,
        detail=f"{of_all:.1f} / {of_part:.1f} MB",
    )


def _ratio(measure: str, ours: Mapping[str, float], other: Mapping[str, float], name: str) -> Row:
    detail = f"{ours[name]:.2f} / {other[name]:.2f} s"
    return Row(measure, ours[name] / other[name], 1.5, 1.1, detail=detail)


def write_conversation(environment: Mapping[str, str], size: int) -> tuple[int, float]:
    """Put a conversation of so many messages into the history; gives its id, and its megabytes of text."""
    text = mixed(20_000)
    history = History(Path(environment["JACKFIELD_HOME"]) / "data" / "history.sqlite")
    written = 0
    try:
        conversation = history.create_conversation(title=f"{size} messages")
        for number in range(size):
            body = text[(number * 977) % 50_000 :][:1200]
            if number == size - 1:
                body = f"{body}\n```\n\n{LAST}"
            history.add_message(conversation, Message.of("assistant" if number % 2 else "user", body))
            written += len(body)
    finally:
        history.close()
    return conversation, written / 1e6


def opened(environment: Mapping[str, str], conversation: int) -> dict[str, float]:
    """Start the app with a conversation: seconds, and CPU seconds, until its end is on the screen."""
    begun = time.perf_counter()
    with PtySession(*APP, str(conversation), size=SIZE, env=environment) as session:
        session.wait_for(LAST.encode(), timeout_s=60)
        return {"seconds": time.perf_counter() - begun, "cpu": cpu_of(session.process)}


def typed(environment: Mapping[str, str], conversation: int, quick: bool) -> dict[str, float]:
    """Type below a conversation, first while nothing happens, then while an answer streams.

    Gives the median echo while idle and both 95th percentiles, in seconds, and the megabytes before.
    """
    samples = 20 if quick else SAMPLES
    with (
        _copied(environment) as copy,
        PtySession(*APP, str(conversation), size=SIZE, env=copy) as session,
    ):
        session.wait_for(LAST.encode(), timeout_s=60)
        wait_for_rest(session.process)
        letters = iter(LETTERS)
        memory = memory_of(session.process)["private"]
        idle = [_echo_s(session, next(letters)) for _ in range(samples)]
        here = len(session.output)
        session.send(b"\r")
        session.wait_for(b"answering", start=here, timeout_s=60)
        streaming = [_echo_s(session, next(letters)) for _ in range(samples)]
    return {
        "idle": statistics.median(idle),
        "idle_p95": _p95(idle),
        "streaming_p95": _p95(streaming),
        "private": memory,
    }


@contextmanager
def _copied(environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The same home again, so that what is said in it is not there the next time."""
    with TemporaryDirectory(prefix="jackfield-benchmark-") as folder:
        home = shutil.copytree(environment["JACKFIELD_HOME"], Path(folder) / "home")
        yield {**environment, "JACKFIELD_HOME": str(home)}


def _echo_s(session: PtySession, letter: str) -> float:
    here = len(session.output)
    begun = time.perf_counter()
    session.send(letter.encode())
    session.wait_for(letter.encode(), start=here)
    taken = time.perf_counter() - begun
    time.sleep(0.037)  # the next key meets the stream at another moment
    return taken


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]
