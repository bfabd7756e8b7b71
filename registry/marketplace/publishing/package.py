"""Reads the file of one version: what kind it is, what its metadata say, and where its code begins."""

from __future__ import annotations

import configparser
import email
import email.message
import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.launch import Launch
from registry.marketplace.publishing.source import Platform, PublishError, shown

if TYPE_CHECKING:
    from registry.marketplace.publishing.source import PluginSource

GROUP: Final = "jackfield.plugins"
PLATFORMS: Final[tuple[Platform, ...]] = ("linux", "macos", "windows")
_LARGEST_TEXT: Final = 1_000_000
_TAGS: Final[tuple[tuple[str, Platform], ...]] = (
    ("manylinux", "linux"),
    ("musllinux", "linux"),
    ("linux", "linux"),
    ("macosx", "macos"),
    ("win", "windows"),
)


@dataclass(frozen=True, slots=True)
class Package:
    """What the file of a version says of itself."""

    file: Path
    entry_point: str = ""
    commands: tuple[tuple[Platform, tuple[str, ...]], ...] = ()
    licence: str = ""
    python: str = ""
    requires: tuple[str, ...] = ()
    """What it depends on, as requirements of PEP 508; extras left out."""
    platforms: tuple[Platform, ...] = PLATFORMS

    def launch(self, folder: Path, platform: Platform) -> Launch:
        """How it is started when its content is in a folder.

        Raises:
            PublishError: it does not run on this platform.
        """
        if self.entry_point:
            return Launch(None, folder, self.entry_point)
        command = dict(self.commands).get(platform)
        if command is None:
            raise PublishError(
                f"{self.file.name} has no command for {platform}, so it cannot be described here",
                hint="Build on a machine that it runs on, or add a command.",
            )
        return Launch(command, folder)


def digest_of(file: Path) -> str:
    """The SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def read_package(file: Path, source: PluginSource) -> Package:
    """What the file of a version says of itself.

    Raises:
        PublishError: it is damaged, or no plugin.
    """
    if not file.name.endswith(".whl"):
        return _executable(file, source)
    try:
        with zipfile.ZipFile(file) as wheel:
            info = _info_folder(wheel)
            metadata = email.message_from_bytes(_member(wheel, f"{info}/METADATA"))
            entry_points = _member(wheel, f"{info}/entry_points.txt").decode("utf-8")
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise PublishError(
            f"{shown(file.name)} of {source.id} is no wheel of a plugin",
            detail=shown(error),
            hint=f"A wheel has an entry point in the group {GROUP}.",
        ) from error
    return Package(
        file,
        entry_point=_entry_point(entry_points, source, file),
        licence=source.about.licence or _licence(metadata),
        python=metadata.get("Requires-Python", ""),
        requires=_requires(metadata),
        platforms=source.about.platforms or _platforms(file.name),
    )


def same_content(one: Path, other: Path) -> bool:
    """Whether two wheels hold the same files, though they were packed at different times."""
    return _content(one) == _content(other)


def _content(file: Path) -> dict[str, str]:
    with zipfile.ZipFile(file) as wheel:
        return {name: hashlib.sha256(wheel.read(name)).hexdigest() for name in wheel.namelist()}


def _executable(file: Path, source: PluginSource) -> Package:
    commands = tuple(source.about.command.items())
    if not commands:
        raise PublishError(
            f"{source.id} is no wheel, and plugin.toml does not say how to start it",
            hint='Add [command] with a line for each platform, such as linux = ["node", "plugin.mjs"].',
        )
    have = tuple(platform for platform in PLATFORMS if platform in source.about.command)
    return Package(
        file, commands=commands, licence=source.about.licence, platforms=source.about.platforms or have
    )


def _info_folder(wheel: zipfile.ZipFile) -> str:
    folders = {name.partition("/")[0] for name in wheel.namelist()}
    found = [folder for folder in folders if folder.endswith(".dist-info")]
    if len(found) != 1:
        raise ValueError(f"it has {len(found)} folders *.dist-info")
    return found[0]


def _member(wheel: zipfile.ZipFile, name: str) -> bytes:
    if wheel.getinfo(name).file_size > _LARGEST_TEXT:
        raise ValueError(f"{name} is too large")
    return wheel.read(name)


def _entry_point(text: str, source: PluginSource, file: Path) -> str:
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise PublishError(
            f"The entry points of {shown(file.name)} cannot be read", detail=shown(error)
        ) from error
    points = dict(parser.items(GROUP)) if parser.has_section(GROUP) else {}
    if source.name in points:
        return points[source.name].partition("[")[0].strip()
    if len(points) == 1:
        return next(iter(points.values())).partition("[")[0].strip()
    raise PublishError(
        f"{shown(file.name)} has no entry point for {source.name}",
        detail=f"In the group {GROUP} there are: {shown(', '.join(points) or 'none')}.",
        hint=f'Add it to pyproject.toml: [project.entry-points."{GROUP}"], {source.name} = "MODULE:CLASS".',
    )


def _licence(metadata: email.message.Message) -> str:
    if expression := metadata.get("License-Expression"):
        return str(expression)
    stated = str(metadata.get("License", ""))
    if stated and "\n" not in stated and len(stated) <= 100:
        return stated
    classifiers = [str(value) for value in metadata.get_all("Classifier", [])]
    return next(
        (value.rpartition("::")[2].strip() for value in classifiers if value.startswith("License ::")), ""
    )


def _requires(metadata: email.message.Message) -> tuple[str, ...]:
    stated = [str(value) for value in metadata.get_all("Requires-Dist", [])]
    return tuple(value for value in stated if "extra ==" not in value and "extra==" not in value)


def _platforms(wheel: str) -> tuple[Platform, ...]:
    """Where a wheel runs, by the platform tag in its name."""
    tags = wheel.removesuffix(".whl").rpartition("-")[2].split(".")
    if "any" in tags:
        return PLATFORMS
    found = {platform for tag in tags for start, platform in _TAGS if tag.startswith(start)}
    return tuple(platform for platform in PLATFORMS if platform in found)
