"""Fetches the wheels that a plugin depends on, with uv or else pip: hashes required, nothing built or run.

Wheels come from the package index that the user's own tools are set to. Their other settings do not count:
some would have sources built, which is to run code of a publisher before the plugin is switched on.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from registry.errors import JackfieldError
from registry.marketplace.archive import ArchiveLimits
from registry.marketplace.tool_settings import tool_environment, write_uv_settings
from registry.redaction import redact
from registry.text import safe_text

LIMIT_S: Final = 900.0
"""How long fetching all dependencies of a plugin may take, in seconds."""
_LOOK_S: Final = 1.0
"""How often it is looked how much there is, in seconds."""
_TOLD_LINES: Final = 8
_WHEELS_ONLY: Final = "--only-binary :all:\n"
"""In the file of requirements too: for pip, what files say counts more than the command line."""


class DependencyError(JackfieldError):
    """The dependencies of a plugin cannot be had."""


class TooLargeError(DependencyError):
    """They are more than a plugin may have."""


async def fetch_dependencies(
    requirements: str,
    folder: Path,
    work: Path,
    *,
    cache: Path | None = None,
    env: Mapping[str, str] = os.environ,
    limits: ArchiveLimits | None = None,
) -> None:
    """Put the wheels of a closure into a folder, beside what is there. Cancelling it ends the tool.

    Args:
        requirements: exact versions with hashes, one a line.
        folder: where to unpack them.
        work: a folder for files that are needed meanwhile; they are put into new folders of their own there.
        cache: a cache of uv's for nobody else: what comes from it is linked, which takes less room and time.
            Without one, uv's own is used, and files are copied from it: whoever changes them, or their
            permissions, changes those of no other program.
        env: the environment of the app.
        limits: how much may be in the folder then, as for an archive.

    Raises:
        DependencyError: one is not there, has another hash or no wheel for this machine, they are too large,
            or the tool failed or brought something else.
        JackfieldError: the user's settings of uv cannot be read.
    """
    if not requirements.strip():
        return
    rooms = await asyncio.to_thread(_Rooms.make, work)
    await asyncio.to_thread(rooms.requirements.write_text, _WHEELS_ONLY + requirements, "utf-8")
    await asyncio.to_thread(write_uv_settings, rooms.settings, env)
    command = tool(env, cache, rooms.settings)
    before = await asyncio.to_thread(_packages, folder)
    amount = _Amount((folder, rooms.temporary), cache, limits or ArchiveLimits())
    process = await asyncio.create_subprocess_exec(
        *command,
        *("--requirement", str(rooms.requirements), "--target", str(folder)),
        cwd=rooms.empty,
        env=tool_environment(env, rooms.temporary),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said = await _last_words(process, amount)
    except TooLargeError:
        await _end(process)
        await asyncio.to_thread(amount.remove)
        raise
    finally:
        await _end(process)
    if process.returncode:
        raise _failed(_last_lines(said))
    await asyncio.to_thread(amount.check)
    agreed = before | {_plain_name(line.partition("==")[0]) for line in requirements.splitlines()}
    if more := await asyncio.to_thread(_packages, folder) - agreed:
        raise _failed(f"The tool brought what nobody agreed to: {', '.join(sorted(more))[:300]}.")


@dataclass(frozen=True, slots=True)
class _Rooms:
    """Folders for one run of a tool, each for one purpose: nothing else writes to what it reads."""

    requirements: Path
    settings: Path
    empty: Path
    """Where it runs. Both tools look there for files, and pip for modules."""
    temporary: Path

    @classmethod
    def make(cls, work: Path) -> _Rooms:
        whole = Path(tempfile.mkdtemp(prefix="dependencies-", dir=work))
        for name in ("asked", "empty", "temporary"):
            (whole / name).mkdir()
        asked = whole / "asked"
        return cls(asked / "requirements.txt", asked / "uv.toml", whole / "empty", whole / "temporary")


class _Amount:
    """How much a tool has fetched so far, wherever it puts it.

    Args:
        folders: where what is there counts.
        cache: uv unpacks below `.tmp*` in it before it links.
        limits: how much there may be.
    """

    def __init__(self, folders: Sequence[Path], cache: Path | None, limits: ArchiveLimits) -> None:
        self._folders = folders
        self._cache = cache
        self._limits = limits
        self._others = set(self._unpacked())

    def _unpacked(self) -> list[Path]:
        return list(self._cache.glob(".tmp*")) if self._cache else []

    def check(self) -> None:
        """Raise when it is too much.

        Raises:
            TooLargeError: it is.
        """
        size = 0
        for files, each in enumerate(_sizes([*self._folders, *self._mine()]), 1):
            size += each
            if files > self._limits.files or size > self._limits.bytes:
                raise _too_much(self._limits)

    def remove(self) -> None:
        """Remove what uv leaves in its cache when it is ended."""
        for path in self._mine():
            shutil.rmtree(path, ignore_errors=True)

    def _mine(self) -> list[Path]:
        return [path for path in self._unpacked() if path not in self._others]


def _sizes(folders: Sequence[Path]) -> Iterator[int]:
    """The size of each file and folder below these; what is gone meanwhile is left out."""
    for top in folders:
        for root, below, names in os.walk(top):
            yield from (0 for _ in below)
            for name in names:
                with suppress(OSError):
                    yield Path(root, name).lstat().st_size


def _packages(folder: Path) -> set[str]:
    """The names of the packages that are in a folder."""
    return {_plain_name(info.stem.rpartition("-")[0]) for info in folder.glob("*.dist-info")}


def _plain_name(name: str) -> str:
    """The one spelling of a package's name, as the packaging standards say it."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


async def _last_words(process: asyncio.subprocess.Process, amount: _Amount) -> bytes:
    """What a tool said when it has ended.

    Raises:
        DependencyError: it takes too long, or fetches too much.
    """
    ended = asyncio.ensure_future(process.communicate())
    try:
        async with asyncio.timeout(LIMIT_S):
            while not (await asyncio.wait({ended}, timeout=_LOOK_S))[0]:
                await asyncio.to_thread(amount.check)
            return (await ended)[0]
    except TimeoutError as error:
        raise _failed(f"It took more than {LIMIT_S / 60:g} minutes.") from error
    finally:
        ended.cancel()


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a tool and whatever it started, such as the helper of a keyring."""
    if os.name == "posix":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def tool(
    env: Mapping[str, str] = os.environ, cache: Path | None = None, settings: Path | None = None
) -> Sequence[str]:
    """The command that installs wheels: uv where it is there, else the pip that comes with the app.

    Args:
        env: where to look for uv.
        cache: of uv's, for nobody else.
        settings: the only file of settings that uv reads; none when None.
    """
    checks = ("--require-hashes", "--no-deps", "--only-binary", ":all:")
    if uv := shutil.which("uv", path=env.get("PATH")):
        read = ("--config-file", str(settings)) if settings else ("--no-config",)
        python = ("--python", sys.executable)
        files = ("--cache-dir", str(cache)) if cache else ("--link-mode", "copy")
        # bytecode is different each time, and so would be the hash of the whole
        silent = ("--quiet", "--no-progress", "--no-compile-bytecode")
        return (uv, "pip", "install", *read, *silent, *python, *files, *checks)
    quiet = (
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-compile",
        "--no-warn-script-location",
    )
    return (sys.executable, "-P", "-m", "pip", "install", *quiet, *checks)


def _last_lines(said: bytes) -> str:
    text = redact(said.decode("utf-8", "replace"))
    lines = [line for line in safe_text(text, limit=20_000).splitlines() if line.strip()]
    return "\n".join(lines[-_TOLD_LINES:]) or "It said nothing."


def _failed(detail: str) -> DependencyError:
    return DependencyError(
        "What the plugin depends on cannot be installed",
        detail=detail,
        hint="Nothing was changed. Check the network, then try again; if it stays so, tell the publisher.",
    )


def _too_much(limits: ArchiveLimits) -> TooLargeError:
    return TooLargeError(
        "What the plugin depends on is too large",
        detail=f"Unpacked it is more than {limits.bytes / 1e6:g} MB, or {limits.files} files and folders.",
        hint="Nothing was changed. Tell the publisher.",
    )
