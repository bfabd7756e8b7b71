"""Describes one version for the catalogue: it is unpacked as an installation would, started, and asked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from registry.errors import JackfieldError
from registry.launch import Launch
from registry.marketplace.archive import unpack
from registry.marketplace.dependencies import fetch_dependencies
from registry.marketplace.entry import VersionDetails
from registry.marketplace.lock import requirement_lines
from registry.marketplace.machine import SYSTEM
from registry.marketplace.publishing.package import Package, digest_of, read_package
from registry.marketplace.publishing.source import Platform, PluginSource, PublishError, shown
from registry.marketplace.publishing.wheels import closure

if TYPE_CHECKING:
    from registry.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Described:
    """What the catalogue is to say of one version."""

    package: Package
    manifest: Manifest
    details: VersionDetails
    protocol: int

    @property
    def requirements_sha256(self) -> str | None:
        """The hash of its closure; None without dependencies."""
        text = self.details.requirements
        return hashlib.sha256(text.encode()).hexdigest() if text else None


class Describing:
    """Describes the versions of one plugin.

    Args:
        source: the plugin's folder.
        work: a folder for what is unpacked.
    """

    def __init__(self, source: PluginSource, work: Path) -> None:
        self._source = source
        self._work = work

    async def describe(self, file: Path) -> Described:
        """Describe the version that a file holds.

        Raises:
            PublishError: it is no plugin, cannot be started, or is not what its folder says.
        """
        from registry.runtimes.framing import PROTOCOL
        from registry.runtimes.process import describe_process

        package = read_package(file, self._source)
        folder = self._work / digest_of(file)
        folder.mkdir()
        try:
            unpack(file, folder)
            requirements = await closure(package, self._source, self._work)
            if requirements:
                lines = "".join(f"{line}\n" for line in requirement_lines(requirements))
                await fetch_dependencies(lines, folder, self._work)
            launch = package.launch(folder, cast("Platform", SYSTEM))
            publisher = self._source.id.partition("/")[0]
            manifest = await describe_process(launch, publisher=publisher)
        except PublishError:
            raise
        except ValueError as error:
            raise PublishError(
                f"requirements of {shown(file.name)} of {self._source.id} cannot be used",
                detail=shown(error),
                hint="Each line has an exact version and its hashes; remove the file to have it made anew.",
            ) from error
        except JackfieldError as error:
            raise PublishError(
                f"{shown(file.name)} of {self._source.id} cannot be described",
                detail=f"{error.title}\n{error.detail}".strip(),
                hint=error.hint,
            ) from error
        if manifest.name != self._source.name:
            raise PublishError(
                f"{shown(file.name)} in the folder of {self._source.id} is the plugin {manifest.name}",
                hint="The folder has to be named as the plugin names itself.",
            )
        details = VersionDetails(
            manifest=replace(manifest, launch=None).to_json(),
            launch=_launch_data(package, manifest, launch),
            requirements=requirements,
        )
        return Described(package, manifest, details, PROTOCOL)


def _launch_data(package: Package, manifest: Manifest, launch: Launch) -> dict[str, Any]:
    """How it is started, without the folder; `commands` has those of the other platforms too."""
    declared = replace(launch, environment=tuple(manifest.capabilities.environment))
    data = {key: value for key, value in declared.to_json().items() if key not in ("folder", "limits")}
    if package.commands:
        data["commands"] = {platform: list(command) for platform, command in package.commands}
    return data
