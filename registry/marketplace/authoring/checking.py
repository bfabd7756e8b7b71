"""Checks one plugin as a marketplace would, before its author sends it to one."""

from __future__ import annotations

import configparser
import shutil
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from registry.manifest import Manifest
from registry.marketplace.consent import Ask, asks_of
from registry.marketplace.publishing.build import build, read_built
from registry.marketplace.publishing.check import NOTHING_TAKEN, Finding, Taken, check_built, hidden_texts
from registry.marketplace.publishing.package import GROUP
from registry.marketplace.publishing.packing import FOLDER
from registry.marketplace.publishing.source import (
    PLUGIN_FILE,
    SOURCE_FILE,
    PublishError,
    read_marketplace,
    shown,
)

_LEFT_OUT: Final = (".*", "__pycache__", "node_modules", "dist", "build", "tests", "*.egg-info")


@dataclass(frozen=True, slots=True)
class Checked:
    """What a marketplace would find, and what users would be asked."""

    id: str
    version: str
    asks: tuple[Ask, ...]
    findings: tuple[Finding, ...]
    """Why it would not be taken; empty when it would."""


async def check_plugin(path: Path, *, publisher: str = "you", taken: Taken = NOTHING_TAKEN) -> Checked:
    """Build a plugin as a marketplace does, which runs its code to describe it, and look through it.

    Args:
        path: the folder of its project, or a wheel.
        publisher: who is to publish it.
        taken: what the app has of its own.

    Raises:
        PublishError: it cannot be built; says why.
        OSError: it cannot be read.
    """
    name = _name_of(path)
    with TemporaryDirectory(prefix="jackfield-check-") as made:
        source, out = Path(made, "source"), Path(made, "site")
        folder = source / publisher / name
        _copy(path, folder)
        (source / SOURCE_FILE).write_text('name = "check"\n', "utf-8")
        hidden = list(hidden_texts(read_marketplace(source)))
        with _naming(path, folder):
            await build(source, out)
        findings = sorted({*hidden, *check_built(out, taken=taken)})
        catalogue, details = read_built(out)
        entry = catalogue.entries[0]
        newest = entry.versions[0].version
        about = details[entry.id].versions[newest]
        asks = asks_of(Manifest.from_json(about.manifest), about.requirements)
    return Checked(entry.id, newest, asks, tuple(findings))


@contextmanager
def _naming(path: Path, copy: Path) -> Iterator[None]:
    """Have what went wrong name what the author wrote, not the copy of it that was built."""
    project = str(path if path.is_dir() else path.parent)
    try:
        yield
    except PublishError as error:
        title, detail, hint = (
            text.replace(str(copy), project) for text in (error.title, error.detail, error.hint)
        )
        raise PublishError(title, detail=detail, hint=hint) from error


def _copy(path: Path, folder: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, folder, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    else:
        (folder / "dist").mkdir(parents=True)
        shutil.copy(path, folder / "dist")
        for name in ("README.md", "CHANGELOG.md", PLUGIN_FILE):
            if (path.parent / name).is_file():
                shutil.copy(path.parent / name, folder)
        readme = folder / "README.md"
        if not readme.exists():
            readme.write_text(_description_of(path), "utf-8")
    (folder / PLUGIN_FILE).touch()


def _description_of(wheel: Path) -> str:
    """The long description in the metadata of a wheel, which is its README as a rule; empty without one."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            message = message_from_bytes(archive.read(names[0])) if names else Message()
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return ""  # building it says what is wrong with it
    return str(message.get_payload() or "")


def _name_of(path: Path) -> str:
    """What the plugin calls itself, as far as that can be told before it runs."""
    if path.is_dir():
        project = path / "pyproject.toml"
        if project.is_file():
            return _one_name(_entry_points(project), project)
        if (path / FOLDER).is_dir():
            return path.resolve().name
        raise PublishError(
            f"{shown(path)} holds no plugin",
            hint=f"It has a pyproject.toml, or a {PLUGIN_FILE} and its files in a folder {FOLDER}.",
        )
    if path.suffix == ".whl":
        return _one_name(_wheel_entry_points(path), path)
    raise PublishError(f"{shown(path)} is no plugin", hint="Name the folder of its project, or a wheel.")


def _entry_points(project: Path) -> list[str]:
    try:
        data = tomllib.loads(project.read_text("utf-8"))
        return [str(name) for name in data["project"]["entry-points"][GROUP]]
    except (LookupError, TypeError):
        return []
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PublishError(f"{shown(project)} cannot be read", detail=shown(error)) from error


def _wheel_entry_points(wheel: Path) -> list[str]:
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False)
    try:
        with zipfile.ZipFile(wheel) as opened:
            files = [name for name in opened.namelist() if name.endswith(".dist-info/entry_points.txt")]
            parser.read_string("".join(opened.read(name).decode("utf-8") for name in files))
    except (zipfile.BadZipFile, configparser.Error, ValueError, EOFError) as error:
        raise PublishError(f"{shown(wheel.name)} is no wheel", detail=shown(error)) from error
    return parser.options(GROUP) if parser.has_section(GROUP) else []


def _one_name(names: list[str], where: Path) -> str:
    if len(names) == 1:
        return names[0]
    raise PublishError(
        f"{shown(where)} names {len(names) or 'no'} plugin{'s' if names else ''}",
        hint=f'It has one entry point in the group {GROUP}: the name of the plugin, and "MODULE:CLASS".',
    )
