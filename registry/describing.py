"""Describes plugins in a process of their own, so that one that raises, hangs or exits harms nobody.

The other end is this same module, run as a program: it reads `sys.path` and the entry points as lines of
JSON, and answers with a line that it is there, then one for each plugin.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import IO, Any

from registry.contract import explain
from registry.loading import load_plugin, member_entry_points
from registry.manifest import Manifest, broken, describe
from registry.text import safe_text

DESCRIBE_LIMIT_S = 20.0
"""How long one plugin may take to be imported and described, in seconds."""

_CHILD = (
    "import sys, json; sys.path[:] = json.loads(sys.stdin.readline());"
    " from registry.describing import answer; answer()"
)


@dataclass(frozen=True, slots=True)
class Described:
    """A manifest and the source files that it was made from."""

    manifest: Manifest
    sources: tuple[str, ...] = ()
    members: tuple[str, ...] | None = None
    """The entry points of its members, if it is a family; its manifest then says nothing."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plugin that was found but not yet described."""

    name: str
    """The name of its entry point; the plugin's own name is known once it is described."""
    entry_point: str
    publisher: str = ""


def describe_all(candidates: Sequence[Candidate], *, limit_s: float = DESCRIBE_LIMIT_S) -> list[Described]:
    """Describe plugins in a child process, in order.

    One that cannot be described gets a manifest that says why, and the others are described all the same,
    by a new child. What ends a child after it described others may have been left behind by one of those, so
    a plugin is blamed only when it is the first of its child or takes too long: at most two starts for each.

    Args:
        candidates: what to describe.
        limit_s: how long each may take, in seconds.
    """
    results: list[Described] = []
    while len(results) < len(candidates):
        rest = candidates[len(results) :]
        try:
            run = _describe_until_failure(rest, limit_s)
        except OSError as error:
            run = _Run([], failure=f"No process could be started: {explain(error)}")
        results += run.described
        if not run.started:
            results += [_lost(candidate, run.failure) for candidate in rest]
        elif len(results) < len(candidates) and (run.late or not run.described):
            results.append(_lost(candidates[len(results)], run.failure))
    return results


def _lost(candidate: Candidate, problem: str) -> Described:
    return Described(_broken(candidate, problem), tuple(_sources(candidate)))


@dataclass(slots=True)
class _Run:
    """What one child did."""

    described: list[Described]
    started: bool = False
    late: bool = False
    failure: str = ""


def _describe_until_failure(candidates: Sequence[Candidate], limit_s: float) -> _Run:
    process = subprocess.Popen(  # noqa: S603 - this interpreter and a program written here
        # -P: nothing is imported from the folder that the user happens to stand in
        [sys.executable, "-P", "-c", _CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that it ends with all that its plugins started
    )
    run = _Run([])
    stdin, stdout, stderr = _pipes(process)
    try:
        last_words = _LastBytes(stderr)
        lines = _Lines(stdout)
        with contextlib.suppress(OSError), stdin:
            stdin.write(_question(candidates))
        _collect(run, lines, candidates, limit_s)
    finally:
        _end(process)
    if run.late:
        run.failure = f"It was not described within {limit_s:g} s."
    else:
        run.failure = f"Its process ended while it was described.\n{last_words.text()}".strip()
    return run


def _question(candidates: Sequence[Candidate]) -> bytes:
    # A relative entry of the path is the folder that the user happens to stand in.
    path = [folder for folder in sys.path if os.path.isabs(folder)]  # noqa: PTH117 - they are plain strings
    asked = [[candidate.name, candidate.entry_point, candidate.publisher] for candidate in candidates]
    return f"{json.dumps(path)}\n{json.dumps(asked)}\n".encode()


def _collect(run: _Run, lines: _Lines, candidates: Sequence[Candidate], limit_s: float) -> None:
    try:
        run.started = lines.next(limit_s) is not None
        while run.started and len(run.described) < len(candidates):
            line = lines.next(limit_s)
            if line is None:
                return
            run.described.append(_read_answer(line))
    except TimeoutError:
        run.late = run.started = True
    except (ValueError, TypeError, LookupError, RecursionError):
        return  # a plugin wrote over the answers: it is treated as if it had ended the process


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise ValueError("the process was started without pipes")
    return process.stdin, process.stdout, process.stderr


def _end(process: subprocess.Popen[bytes]) -> None:
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


class _Lines:
    """Lines of a stream, waited for within a limit.

    They are read by a thread, which may wait for as long as any process holds the other end open.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with self._stream:
            for line in self._stream:
                self._lines.put(line)
        self._lines.put(None)

    def next(self, limit_s: float) -> bytes | None:
        """The next line, None at the end; raises TimeoutError when there is none within the limit."""
        try:
            return self._lines.get(timeout=limit_s)
        except queue.Empty:
            raise TimeoutError from None


class _LastBytes:
    """Reads a stream to its end and keeps the last bytes."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            while chunk := os.read(self._stream.fileno(), 65536):
                self._kept = (self._kept + chunk)[-2000:]

    def text(self) -> str:
        # A grandchild may hold the pipe open; what it says no longer matters.
        self._thread.join(1.0)
        return safe_text(self._kept.decode(errors="replace"))


def _read_answer(line: bytes) -> Described:
    data = json.loads(line)
    members = data["members"]
    return Described(
        Manifest.from_json(data["manifest"]),
        tuple(str(file) for file in data["sources"]),
        None if members is None else tuple(str(member) for member in members),
    )


def answer() -> None:
    """The child's side: describe what is asked for on standard input."""
    me = os.getpid()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a plugin prints must not mix with the answers
    asked = json.loads(sys.stdin.readline())
    print("here", file=out, flush=True)
    for name, entry_point, publisher in asked:
        text = json.dumps(_describe_one(Candidate(name, entry_point, publisher)))
        if os.getpid() != me:
            os._exit(0)  # a plugin forked: only one of us may answer
        print(text, file=out, flush=True)
    os._exit(0)  # threads that a plugin left behind do not keep this process


def _describe_one(candidate: Candidate) -> dict[str, Any]:
    members: list[str] | None = None
    data_files: list[str] = []
    try:
        members = member_entry_points(candidate.entry_point)
        if members is None:
            plugin = load_plugin(candidate.entry_point)
            manifest = describe(plugin, entry_point=candidate.entry_point, publisher=candidate.publisher)
            data_files = [str(file) for file in plugin.data_files]
        else:
            manifest = _broken(candidate, "It stands for several plugins.")
    except BaseException as error:  # noqa: BLE001 - the border to a plugin's code: whatever it raises is its state
        manifest = _broken(candidate, explain(error))
    sources = sorted({*_sources(candidate), *data_files})
    return {"manifest": manifest.to_json(), "sources": sources, "members": members}


def _broken(candidate: Candidate, problem: str) -> Manifest:
    return broken(candidate.name, problem, entry_point=candidate.entry_point, publisher=candidate.publisher)


def _sources(candidate: Candidate) -> list[str]:
    """The files of the plugin's own top-level package, as far as they were loaded, and its own module."""
    module = candidate.entry_point.partition(":")[0]
    package = module.partition(".")[0]
    names = [name for name in list(sys.modules) if name == package or name.startswith(package + ".")]
    files = {getattr(sys.modules.get(name), "__file__", None) for name in names}
    files |= _files_on_the_way(module)
    return sorted(file for file in files if isinstance(file, str) and Path(file).is_absolute())


def _files_on_the_way(module: str) -> set[str | None]:
    """The files that importing a module begins with, found without importing: it may be what fails."""
    files: set[str | None] = set()
    path = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = _find_spec(name, path)
        if spec is None:
            files.update(path or ())  # the folders in which it may yet appear
            break
        files.add(spec.origin)
        path = list(spec.submodule_search_locations or ())
    return files


def _find_spec(name: str, path: list[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:  # not the path alone: editable packages bring finders of their own
        try:
            spec = finder.find_spec(name, path)
        except (ImportError, OSError, ValueError):
            continue
        if spec is not None:
            return spec
    return None
