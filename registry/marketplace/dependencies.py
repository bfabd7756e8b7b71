"""Fetches the wheels that a plugin depends on, with uv or else pip: hashes required, nothing built or run.

Wheels come from the package index that the user's own tools are set to.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from registry.errors import JackfieldError
from registry.redaction import redact
from registry.text import safe_text

LIMIT_S: Final = 900.0
"""How long fetching all dependencies of a plugin may take, in seconds."""
_TOLD_LINES: Final = 8


class DependencyError(JackfieldError):
    """The dependencies of a plugin cannot be had."""


async def fetch_dependencies(
    requirements: str,
    folder: Path,
    work: Path,
    *,
    cache: Path | None = None,
    env: Mapping[str, str] = os.environ,
) -> None:
    """Put the wheels of a closure into a folder, beside what is there. Cancelling it ends the process.

    Args:
        requirements: exact versions with hashes, one a line.
        folder: where to unpack them.
        work: an empty folder for files that are needed meanwhile.
        cache: a cache of uv's for nobody else: what comes from it is linked, which takes less room and time.
            Without one, uv's own is used, and files are copied from it: whoever changes them, or their
            permissions, changes those of no other program.
        env: the environment of the tool.

    Raises:
        DependencyError: one is not there, has another hash or no wheel for this machine, or the tool failed.
    """
    if not requirements.strip():
        return
    file = work / "requirements.txt"
    await asyncio.to_thread(file.write_text, requirements, "utf-8")
    without_compiling = {name: value for name, value in env.items() if name != "UV_COMPILE_BYTECODE"}
    command = [*tool(env, cache), "--requirement", str(file), "--target", str(folder)]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=work,
        env={**without_compiling, "UV_PYTHON_DOWNLOADS": "never"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            said, _ = await process.communicate()
    except TimeoutError as error:
        raise _failed(f"It took more than {LIMIT_S / 60:g} minutes.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise _failed(_last_lines(said))


def tool(env: Mapping[str, str] = os.environ, cache: Path | None = None) -> Sequence[str]:
    """The command that installs wheels: uv where it is there, else the pip that comes with the app."""
    checks = ("--require-hashes", "--no-deps", "--only-binary", ":all:")
    if uv := shutil.which("uv", path=env.get("PATH")):
        python = ("--python", sys.executable)
        files = ("--cache-dir", str(cache)) if cache else ("--link-mode", "copy")
        # whatever the user has set: bytecode is different each time, and so would be the hash of the whole
        silent = ("--quiet", "--no-progress", "--no-compile-bytecode")
        return (uv, "pip", "install", *silent, *python, *files, *checks)
    quiet = (
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-compile",
        "--no-warn-script-location",
    )
    return (sys.executable, "-m", "pip", "install", *quiet, *checks)


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
