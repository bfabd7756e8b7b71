"""Child processes: what they cost, measured in turns, as an installed program would run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
JACKFIELD = str(Path(sys.executable).with_name("jackfield"))


@contextmanager
def new_home(config: str = "") -> Iterator[dict[str, str]]:
    """The environment of a user who has just installed the app; it is gone afterwards.

    Bytecode is kept, as it is on every machine where the app ran once, whatever this process does.
    """
    with TemporaryDirectory(prefix="jackfield-benchmark-") as home:
        environment = {**os.environ, "JACKFIELD_HOME": home, "PYTHONPYCACHEPREFIX": bytecode_folder()}
        environment |= {"JACKFIELD_PLUGINS": "", "PYTHONDONTWRITEBYTECODE": ""}
        if config:
            (Path(home) / "config").mkdir()
            (Path(home) / "config" / "config.toml").write_text(config, encoding="utf-8")
        yield environment


_bytecode: list[TemporaryDirectory[str]] = []


def bytecode_folder() -> str:
    """Where all children of this run keep their bytecode."""
    if not _bytecode:
        _bytecode.append(TemporaryDirectory(prefix="jackfield-bytecode-"))
    return _bytecode[0].name


def cpu_seconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Run a command; gives the CPU time, of the program and the system, that its process used.

    Raises:
        subprocess.CalledProcessError: the command failed.
    """
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=ROOT
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_utime + usage.ru_stime


def in_turns(
    rounds: int,
    *sides: Callable[[], Mapping[str, float]],
    warm: bool = True,
    pick: Callable[[Iterable[float]], float] = statistics.median,
) -> list[dict[str, float]]:
    """Measure each side once a round, so that a busy machine slows all of them alike.

    Args:
        rounds: how often.
        sides: each gives its figures by name.
        warm: measure each side once beforehand and forget it: caches are filled then.
        pick: which of a side's figures counts: the median; `min` where a small difference is looked for.
    """
    if warm:
        for side in sides:
            side()
    results: list[list[Mapping[str, float]]] = [[] for _ in sides]
    for number in range(rounds):
        there_and_back = range(len(sides)) if number % 2 == 0 else reversed(range(len(sides)))
        for index in there_and_back:
            results[index].append(sides[index]())
    return [{name: pick(figures[name] for figures in of_side) for name in of_side[0]} for of_side in results]
