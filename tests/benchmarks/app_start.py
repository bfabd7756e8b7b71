"""The app's start in a real terminal, against a bare Textual app: a key's echo, memory, modules."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from tests.benchmarks.children import JACKFIELD, in_turns, new_home
from tests.benchmarks.first_frame import HEAVY, modules_at_first_frame
from tests.benchmarks.plugin_folder import install_plugins
from tests.benchmarks.table import Row
from tests.e2e.terminal import PtySession

SIZE = (120, 40)
"""Columns and rows."""
BARE = (sys.executable, str(Path(__file__).with_name("bare_app.py")))
KEY = "\u0167".encode()
"""A letter that nothing on either screen contains."""
FIRST_FRAME_BYTES = 3000
"""More than what sets the terminal up, less than a screen full of cells."""


def rows(quick: bool) -> Iterator[Row]:
    """A key's echo, memory, modules."""
    with new_home() as environment:
        ours, bare = in_turns(
            2 if quick else 15,
            partial(first_echo, (JACKFIELD,), environment),
            partial(first_echo, BARE, environment),
        )
        yield Row(
            "typed key echoed after start: seconds to bare Textual's",
            ours["seconds"] / bare["seconds"],
            1.25,
            1.0,
            detail=f"{ours['seconds'] * 1000:.0f} / {bare['seconds'] * 1000:.0f} ms",
        )
        yield Row(
            "typed key echoed after start: CPU to bare Textual's",
            ours["cpu"] / bare["cpu"],
            1.25,
            1.0,
            detail=f"{ours['cpu'] * 1000:.0f} / {bare['cpu'] * 1000:.0f} ms",
        )
        ours, bare = in_turns(
            1 if quick else 3,
            partial(memory_after_start, (JACKFIELD,), environment),
            partial(memory_after_start, BARE, environment),
        )
        yield Row(
            "memory after start: MB (PSS) to bare Textual's",
            ours["pss"] / bare["pss"],
            1.6,
            1.3,
            detail=f"{ours['pss']:.0f} / {bare['pss']:.0f} MB; "
            f"private {ours['private']:.0f} / {bare['private']:.0f} MB",
        )
        loaded = modules_at_first_frame((JACKFIELD,), environment)
        heavy = sorted(loaded & HEAVY)
        yield Row(
            "modules loaded before the first frame: those that must not be",
            len(heavy),
            0,
            0,
            unit=" ",
            detail=", ".join(heavy) or f"none of {len(loaded)}",
        )
    yield from _plugin_rows(quick)


def _plugin_rows(quick: bool) -> Iterator[Row]:
    """What installed plugins add to the first echo."""
    with new_home() as environment:
        home = Path(environment["JACKFIELD_HOME"])
        sizes = (0, 10) if quick else (0, 10, 100, 1000)
        sides = []
        for size in sizes:
            site = install_plugins(home / f"site-{size}", size)
            its_own = {"JACKFIELD_HOME": str(home / f"home-{size}"), "PYTHONPATH": str(site)}
            fill_cache({**environment, **its_own})
            sides.append(partial(first_echo, (JACKFIELD,), {**environment, **its_own}))
        base, *others = in_turns(1 if quick else 15, *sides, pick=min)
    for size, figures in zip(sizes[1:], others, strict=True):
        added = (figures["seconds"] - base["seconds"]) * 1000
        yield Row(
            f"{size} plugins, warm cache: ms added to the first echo",
            added,
            25,
            unit="ms",
            detail=f"{figures['seconds'] * 1000:.0f} / {base['seconds'] * 1000:.0f} ms; "
            f"CPU {figures['cpu'] * 1000:.0f} / {base['cpu'] * 1000:.0f} ms",
        )


def fill_cache(environment: Mapping[str, str]) -> None:
    """Have all plugins described once, as the first start after an installation does."""
    subprocess.run(
        (JACKFIELD, "plugins", "list"), env=environment, check=True, stdout=subprocess.DEVNULL, timeout=600
    )


def first_echo(command: tuple[str, ...], environment: Mapping[str, str]) -> dict[str, float]:
    """Start an app and type as soon as it is to be seen: seconds and CPU seconds until the key is, too."""
    begun = time.perf_counter()
    with PtySession(*command, size=SIZE, env=environment) as session:
        session.wait_for(lambda output: len(output) > FIRST_FRAME_BYTES)
        session.send(KEY)
        session.wait_for(KEY)
        return {"seconds": time.perf_counter() - begun, "cpu": cpu_of(session.process)}


def memory_after_start(command: tuple[str, ...], environment: Mapping[str, str]) -> dict[str, float]:
    """Megabytes of a started app once it has come to rest: private ones, and its share of shared ones too."""
    with PtySession(*command, size=SIZE, env=environment) as session:
        session.wait_for(lambda output: len(output) > FIRST_FRAME_BYTES)
        wait_for_rest(session.process)
        return memory_of(session.process)


def wait_for_rest(process: int, *, limit_s: float = 20) -> None:
    """Wait until a process has done next to nothing for half a second."""
    deadline = time.monotonic() + limit_s
    before = cpu_of(process)
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = cpu_of(process)
        if now - before < 0.01:
            return
        before = now


def cpu_of(process: int) -> float:
    """CPU seconds that all threads of a process that runs have used."""
    tasks = Path(f"/proc/{process}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9


def memory_of(process: int) -> dict[str, float]:
    """Private megabytes of a process, and its proportional share (PSS)."""
    kilobytes = {"private": 0.0, "pss": 0.0}
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("Private_Clean", "Private_Dirty"):
            kilobytes["private"] += int(value.split()[0])
        elif name == "Pss":
            kilobytes["pss"] += int(value.split()[0])
    return {name: size / 1024 for name, size in kilobytes.items()}
