"""Fetches one wheel with pip, in a child process: with the user's own index, proxy and certificates."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Final

from jackfield import ErrorKind, ProviderError
from providers.embedded.pins import Wheel
from providers.embedded.process import NEW_SESSION, LastLines, kill, read_lines

_PROGRESS: Final = re.compile(r"^Progress (\d+) of (\d+)$")
# -P: nothing in the folder that the app happens to stand in can pose as pip.
_PIP: Final = (
    *("-P", str(Path(__file__).with_name("pip_child.py"))),
    *("download", "--no-deps", "--only-binary=:all:", "--require-hashes"),
    # One copy on the disk is enough; a wheel is fetched once.
    *("--progress-bar=raw", "--no-cache-dir", "--no-input", "--retries=3"),
)
_CAUSES: Final = (
    (
        re.compile(r"do not match the hashes|hash mismatch", re.IGNORECASE),
        "The download is not the file that it should be",
        "It was thrown away. Press retry; if it happens again, the package index in use serves another file.",
    ),
    (
        re.compile(r"no space left|errno 28|disk full", re.IGNORECASE),
        "The disk is full",
        "Make room, then press retry.",
    ),
    (
        re.compile(
            r"retrying \(|connection|timed out|timeout|resolution|proxyerror|sslerror|unreachable|--no-index",
            re.IGNORECASE,
        ),
        "The offline demo model could not be fetched",
        "Check the network, or the index and proxy that pip is configured with, then press retry.",
    ),
    (
        re.compile(r"no matching distribution|could not find a version", re.IGNORECASE),
        "The package index has no runtime for this machine",
        "Check which index pip is configured with, or choose another provider.",
    ),
    (
        re.compile(r"no module named pip", re.IGNORECASE),
        "pip is missing",
        "Install pip into the environment of Jackfield, then press retry.",
    ),
)


async def download(wheel: Wheel, folder: Path) -> AsyncGenerator[int]:
    """Fetch a wheel into a folder of its own, giving the bytes that have come so far.

    The folder must exist. Closing the iterator ends pip at once; what it left is the caller's to remove.

    Raises:
        ProviderError: pip failed, with its last lines as the detail.
        OSError: pip could not be started.
    """
    scratch = folder / "pip"
    scratch.mkdir()
    requirements = folder / "requirements.txt"
    requirements.write_text(wheel.requirement + "\n", encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *_PIP, "--requirement", str(requirements), "--dest", str(folder)),
        stdin=asyncio.subprocess.PIPE,  # whose end is the child's end
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=scratch,
        env=pip_environment(os.environ, scratch),
        **NEW_SESSION,  # type: ignore[arg-type]
    )
    assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
    said = LastLines()
    try:
        async with aclosing(read_lines(process.stdout)) as lines:
            async for line in lines:
                progress = _PROGRESS.match(line.strip())
                if progress is None:
                    said.add(line)
                else:
                    yield int(progress.group(1))
        if await process.wait() != 0:
            raise _failure(said)
    finally:
        await kill(process)


def pip_environment(environ: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """The environment for pip: the user's own, with pip's temporary files in a folder that gets removed.

    Users of uv alone name their index to uv, so its variables stand in for pip's where those are not set.
    They are passed on in the environment since an address may hold a password, which other users could
    read among the arguments.
    """
    kept = dict(environ)
    index = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    if index and "PIP_INDEX_URL" not in environ:
        name, equals, address = index.partition("=")
        # uv allows NAME=ADDRESS; an equals sign within an address comes after its "://".
        kept["PIP_INDEX_URL"] = address if equals and "://" not in name else index
    kept |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    kept |= {"PIP_REQUIRE_VIRTUALENV": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUNBUFFERED": "1"}
    for name in ("PIP_QUIET", "PIP_VERBOSE", "PIP_LOG"):
        kept.pop(name, None)  # they would silence the progress, or write where nobody asked for it
    return kept


def _failure(said: LastLines) -> ProviderError:
    text = said.text()
    for pattern, title, hint in _CAUSES:
        if pattern.search(text):
            return ProviderError(ErrorKind.UNAVAILABLE, title, detail=said.text(6), hint=hint)
    return ProviderError(
        ErrorKind.UNAVAILABLE,
        "The offline demo model could not be fetched",
        detail=said.text(6) or "pip ended without a word.",
        hint="Check that pip can download packages on this machine, then press retry.",
    )
