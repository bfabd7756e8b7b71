"""What uv does for a publisher: makes wheels from sources, and finds the closure of what they need."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.marketplace.publishing.source import PluginSource, PublishError
from registry.redaction import redact
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.marketplace.publishing.package import Package

LIMIT_S: Final = 600.0
"""How long uv may take for one plugin, in seconds."""


async def build_wheel(source: PluginSource, work: Path) -> list[Path]:
    """The wheel of the sources that lie beside `plugin.toml`; none where there are no sources.

    Raises:
        PublishError: it cannot be made.
    """
    if not (source.folder / "pyproject.toml").is_file():
        return []
    out = work / "wheels"
    said = await _run_uv("build", "--wheel", "--out-dir", str(out), str(source.folder.resolve()), cwd=work)
    made = sorted(out.glob("*.whl"))
    if not made:
        raise PublishError(f"The wheel of {source.id} could not be made", detail=said)
    return made


async def closure(package: Package, source: PluginSource, work: Path) -> str:
    """What a version depends on, all of it, with hashes for all platforms; empty when it needs nothing.

    It is `requirements/VERSION.txt` in the plugin's folder, which is written when it is missing, so that the
    same closure is published whenever this is repeated.

    Raises:
        PublishError: it cannot be worked out.
    """
    file = source.folder / "requirements" / f"{_version_in(package.file)}.txt"
    if file.is_file():
        return file.read_text("utf-8")
    if not package.requires:
        return ""
    wanted = work / f"{package.file.name}.in"
    wanted.write_text("".join(f"{line}\n" for line in package.requires), "utf-8")
    made = work / f"{package.file.name}.txt"
    plain = ("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links")
    what = ("--generate-hashes", "--universal", "--only-binary", ":all:")
    said = await _run_uv("pip", "compile", "--quiet", *plain, *what, "-o", str(made), str(wanted), cwd=work)
    if not made.is_file():
        raise PublishError(f"What {source.id} depends on cannot be worked out", detail=said)
    file.parent.mkdir(exist_ok=True)
    shutil.copyfile(made, file)
    return made.read_text("utf-8")


def _version_in(file: Path) -> str:
    """The version that a wheel's or an archive's name says."""
    stem = file.name.removesuffix(".whl").removesuffix(".zip").removesuffix(".tar.gz")
    return stem.split("-")[1] if file.suffix == ".whl" else stem.rpartition("-")[2]


def _environment() -> dict[str, str]:
    """All but Jackfield's own: making a wheel runs its publisher's code, which must see no passphrase."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("JACKFIELD_")}


async def _run_uv(*arguments: str, cwd: Path) -> str:
    """Run uv; gives what it said, for an error."""
    uv = shutil.which("uv")
    if uv is None:
        raise PublishError(
            "uv is not here", hint="Install uv, or put finished wheels and requirements into the folder."
        )
    process = await asyncio.create_subprocess_exec(
        uv,
        *arguments,
        cwd=cwd,
        env={**_environment(), "UV_NO_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            said, _ = await process.communicate()
    except TimeoutError as error:
        raise PublishError(f"uv took more than {LIMIT_S / 60:g} minutes") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = safe_text(redact(said.decode("utf-8", "replace")), limit=20_000).splitlines()
    return "\n".join(line for line in lines if line.strip())[-3000:] or f"It ended with {process.returncode}."
