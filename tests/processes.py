"""What Linux tells of running processes, for all tests that start some."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

_ENDED = "ZX"
"""The states of a process that has ended, and only waits to be collected."""


def is_running(process: int) -> bool:
    """Whether a process is there and has not ended."""
    if sys.platform != "linux":
        return _answers(process)
    fields = _fields(Path(f"/proc/{process}/stat"))
    return bool(fields) and fields[0] not in _ENDED


def processes_under(process: int) -> set[int]:
    """The ids of the running processes that a process has started, and of those that they have started."""
    parents = dict(_parents())
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process}


def children() -> set[int]:
    """All running processes below this one."""
    return processes_under(os.getpid())


def working_in(folder: Path) -> set[int]:
    """The running processes whose working directory this is."""
    found = set()
    for link in _entries("cwd"):
        try:
            if link.readlink() == folder:
                found.add(int(link.parent.name))
        except OSError:  # it has ended, or is somebody else's
            continue
    return set(filter(is_running, found))


def _answers(process: int) -> bool:
    """Elsewhere than on Linux, one that has ended but was not collected answers too."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def command_lines() -> set[bytes]:
    """The arguments of all processes, as the system keeps them."""
    found = set()
    for file in _entries("cmdline"):
        with suppress(OSError):  # it has ended
            found.add(file.read_bytes())
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for status in _entries("stat"):
        fields = _fields(status)
        if fields and fields[0] not in _ENDED:
            yield int(status.parent.name), int(fields[1])


def _entries(name: str) -> Iterator[Path]:
    if sys.platform != "linux":
        pytest.skip("only Linux tells which processes run without another program")
    # not `glob`: it looks whether each is there, which is an error for one that ends in that moment
    return (process / name for process in Path("/proc").iterdir() if process.name.isdigit())


def _fields(status: Path) -> list[str]:
    """What follows the name: the state, the parent and more; nothing of a process that has ended.

    One that ends between the opening and the reading of the file is not "not found" but "no such process".
    """
    try:
        return status.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
