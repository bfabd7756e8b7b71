"""Describes plugins in a process of their own, so that one that raises, hangs or exits harms nobody.

The other end is this same module, run as a program: it reads `sys.path` and the entry points as one line of
JSON, and answers with a line for each.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from registry.errors import JackfieldError
from registry.loading import load_plugin
from registry.manifest import Manifest, broken, describe
from registry.text import safe_text

DESCRIBE_LIMIT_S = 20.0
"""How long one plugin may take to be imported and described, in seconds."""


@dataclass(frozen=True, slots=True)
class Described:
    """A manifest and the source files that it was made from."""

    manifest: Manifest
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plugin that was found but not yet described."""

    name: str
    """The name of its entry point; the plugin's own name is known once it is described."""
    entry_point: str
    publisher: str = ""


def describe_all(candidates: Sequence[Candidate], *, limit_s: float = DESCRIBE_LIMIT_S) -> list[Described]:
    """Describe plugins in a child process, in order.

    One that cannot be described gets a manifest that says why, and the others are described all the same.
    """
    results: list[Described] = []
    while len(results) < len(candidates):
        rest = candidates[len(results) :]
        got, failure = _describe_until_failure(rest, limit_s)
        results += got
        if failure and len(results) < len(candidates):
            lost = candidates[len(results)]
            results.append(
                Described(broken(lost.name, failure, entry_point=lost.entry_point, publisher=lost.publisher))
            )
    return results


def _describe_until_failure(candidates: Sequence[Candidate], limit_s: float) -> tuple[list[Described], str]:
    process = subprocess.Popen(
        # -P: nothing is imported from the folder that the user happens to stand in
        [sys.executable, "-P", "-c", "from registry.describing import answer; answer()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folder for folder in sys.path if folder)},
    )
    stdin, stdout, stderr = _pipes(process)
    question = [[candidate.name, candidate.entry_point, candidate.publisher] for candidate in candidates]
    with contextlib.suppress(BrokenPipeError):
        stdin.write(json.dumps(question).encode() + b"\n")
        stdin.close()
    last_words = _LastBytes(stderr)
    results: list[Described] = []
    timed_out = False
    try:
        for line in _lines_in_time(process, stdout, limit_s):
            results.append(_read_answer(line))  # noqa: PERF401 - those before a time-out are kept
    except TimeoutError:
        timed_out = True
    finally:
        process.kill()
        process.wait()
        stdout.close()
        last_words.join()
    if timed_out:
        return results, f"It was not described within {limit_s:g} s."
    return results, f"Its process ended while it was described.\n{last_words.text()}".strip()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise ValueError("the process was started without pipes")
    return process.stdin, process.stdout, process.stderr


def _lines_in_time(process: subprocess.Popen[bytes], stdout: IO[bytes], limit_s: float) -> Iterator[bytes]:
    """The child's lines; raises TimeoutError when one takes longer than the limit."""
    while True:
        late = threading.Event()

        def end_child(late: threading.Event = late) -> None:
            late.set()
            process.kill()

        timer = threading.Timer(limit_s, end_child)
        timer.daemon = True
        timer.start()
        try:
            line = stdout.readline()
        finally:
            timer.cancel()
        if late.is_set():
            raise TimeoutError
        if not line:
            return
        yield line


class _LastBytes:
    """Reads a stream to its end and keeps the last bytes."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            while (
                chunk := self._stream.read1(65536)
                if hasattr(self._stream, "read1")
                else self._stream.read(65536)
            ):
                self._kept = (self._kept + chunk)[-2000:]

    def join(self) -> None:
        # A grandchild may hold the pipe open; what it says no longer matters.
        self._thread.join(1.0)

    def text(self) -> str:
        return safe_text(self._kept.decode(errors="replace"))


def _read_answer(line: bytes) -> Described:
    data = json.loads(line)
    return Described(Manifest.from_json(data["manifest"]), tuple(data["sources"]))


def answer() -> None:
    """The child's side: describe what is asked for on standard input."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a plugin prints must not mix with the answers
    for name, entry_point, publisher in json.loads(sys.stdin.readline()):
        answer_line = _describe_one(Candidate(name, entry_point, publisher))
        out.write(json.dumps(answer_line) + "\n")
        out.flush()
    os._exit(0)  # threads that a plugin left behind do not keep this process


def _describe_one(candidate: Candidate) -> dict[str, Any]:
    before = set(sys.modules)
    try:
        plugin = load_plugin(candidate.entry_point)
        manifest = describe(plugin, entry_point=candidate.entry_point, publisher=candidate.publisher)
    except JackfieldError as error:
        manifest = _broken(candidate, str(error))
    except BaseException as error:  # noqa: BLE001 - the border to a plugin's code: whatever it raises is its state
        manifest = _broken(candidate, f"{type(error).__name__}: {error}")
    return {"manifest": manifest.to_json(), "sources": _sources(candidate, set(sys.modules) - before)}


def _broken(candidate: Candidate, problem: str) -> Manifest:
    return broken(candidate.name, problem, entry_point=candidate.entry_point, publisher=candidate.publisher)


def _sources(candidate: Candidate, loaded: set[str]) -> list[str]:
    """The files of the plugin's own top-level package that describing it loaded."""
    module = candidate.entry_point.partition(":")[0]
    package = module.partition(".")[0]
    names = {name for name in loaded if name == package or name.startswith(package + ".")} | {module}
    files = (getattr(sys.modules.get(name), "__file__", None) for name in names)
    return sorted({str(Path(file)) for file in files if file})
