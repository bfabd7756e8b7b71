"""A user's machine with a marketplace, what it installs, and marketplaces that sign what they should not."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from registry.errors import JackfieldError
from registry.marketplace.consent import Request
from registry.marketplace.finding import Found, find_plugin
from registry.marketplace.install import Installer, Plan, Step
from registry.marketplace.installed import InstalledPlugin, read_installed, trees_in_use
from registry.marketplace.machine import Machine as ThisMachine
from registry.marketplace.publishing.build import DRAFT
from registry.marketplace.publishing.keys import KeyFolder
from registry.marketplace.publishing.sign import sign
from registry.marketplace.repository import CATALOGUE, Marketplace, details_path, unzipped, zipped
from registry.marketplace.rules import Rules
from registry.paths import Paths
from tests.registry.marketplace.site import Site, added


@dataclass
class Machine:
    """One user's folders, with one marketplace."""

    paths: Paths
    marketplace: Marketplace
    rules: Rules
    asked: list[Request] = field(default_factory=list)
    """What was put before the user."""
    answer: bool = True
    steps: list[Step] = field(default_factory=list)

    @property
    def installer(self) -> Installer:
        """A new one each time, as another process has."""
        return Installer(self.paths, lambda found: replace(self.rules, revocations=found.revocations))

    async def confirm(self, request: Request) -> bool:
        self.asked.append(request)
        return self.answer

    async def found(self, plugin_id: str = "acme/shout") -> Found:
        return await find_plugin(self.paths, plugin_id)

    async def plan(self, version: str | None = None, plugin_id: str = "acme/shout") -> Plan:
        return await self.installer.plan(await self.found(plugin_id), version)

    async def install(
        self, version: str | None = None, plugin_id: str = "acme/shout", **options: Any
    ) -> InstalledPlugin:
        plan = await self.plan(version, plugin_id)
        return await self.installer.install(plan, self.confirm, self.steps.append, **options)

    async def refused(self, version: str | None = None, plugin_id: str = "acme/shout", **options: Any) -> str:
        """What is said when it cannot be installed; nothing may have changed by it."""
        before = self.installed()
        with pytest.raises(JackfieldError) as error:
            await self.install(version, plugin_id, **options)
        assert self.installed() == before
        assert self.rubbish() == []
        return str(error.value)

    def installed(self) -> dict[str, InstalledPlugin]:
        return read_installed(self.paths)

    def current(self, plugin_id: str = "acme/shout") -> Path:
        """Where the code of a plugin is."""
        return self.installer.store.path(self.installed()[plugin_id].current.tree)

    def rubbish(self) -> list[str]:
        """What lies in the folders and belongs to nothing."""
        store = self.installer.store
        kept = trees_in_use(self.installed())
        found = [tree for tree in store.trees() if tree not in kept]
        incoming = store.folder / "incoming"
        found += [left.name for left in incoming.iterdir()] if incoming.is_dir() else []
        found += [
            left.name for folder in (self.paths.data, self.paths.config) for left in folder.glob(".*.tmp")
        ]
        return found


async def machine(folder: Path, site: Site, url: str | None = None, **rules: Any) -> Machine:
    """A machine to which a marketplace was added, by its folder or an address."""
    paths = Paths(folder / "config", folder / "data", folder / "cache")
    marketplace = await added(paths, url or site)
    return Machine(paths, marketplace, make_rules(**rules))


def make_rules(app_version: str = "1.0", **rules: Any) -> Rules:
    """What may be installed where nothing is forbidden but by these."""
    return Rules(ThisMachine(app_version), **rules)


def copy_of(site: Site, folder: Path) -> Site:
    """The same marketplace, to be changed by one test."""
    shutil.copytree(site.source.parent, folder)
    keys = KeyFolder(folder / site.keys.folder.name)
    return Site(folder / "source", folder / "site", keys, folder / "wheelhouse")


def forge(
    site: Site,
    plugin_id: str,
    version: str,
    *,
    file: Path | None = None,
    change: Callable[[Any, Any], None] | None = None,
) -> None:
    """Sign what `build` would refuse: another file for a version, or anything else said of it.

    Args:
        site: whose keys sign.
        plugin_id: the plugin.
        version: the version.
        file: what is served for the version.
        change: changes the version in the catalogue and in the details, as JSON data.
    """
    _change_json(
        site.out / DRAFT / CATALOGUE, lambda data: _forge_version(site, data, plugin_id, version, file)
    )
    if change is not None:
        details = site.out / DRAFT / details_path(plugin_id)
        shard = json.loads(unzipped(details.read_bytes()))
        about = next(each for each in shard if each["id"] == plugin_id)["versions"][version]

        def both(data: Any) -> None:
            change(_version_of(data, plugin_id, version), about)

        _change_json(site.out / DRAFT / CATALOGUE, both)
        details.write_bytes(zipped(json.dumps(shard).encode()))
    sign(site.out, site.keys, datetime.now(UTC))


def with_requirements(text: str) -> Callable[[Any, Any], None]:
    """A change for `forge`: other dependencies."""

    def change(version: Any, details: Any) -> None:
        version["requirements_sha256"] = hashlib.sha256(text.encode()).hexdigest()
        details["requirements"] = text

    return change


def _forge_version(site: Site, data: Any, plugin_id: str, version: str, file: Path | None) -> None:
    if file is None:
        return
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    target = site.out / "files" / digest / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    _version_of(data, plugin_id, version)["artefact"] = {
        "path": f"files/{digest}/{file.name}",
        "sha256": digest,
        "size": len(content),
    }


def _version_of(data: Any, plugin_id: str, version: str) -> Any:
    entry = next(entry for entry in data["entries"] if entry["id"] == plugin_id)
    return next(each for each in entry["versions"] if each["version"] == version)


def _change_json(file: Path, change: Callable[[Any], None]) -> None:
    data = json.loads(unzipped(file.read_bytes()))
    change(data)
    file.write_bytes(zipped(json.dumps(data).encode()))


def use_wheelhouse(environment: pytest.MonkeyPatch, site: Site, folder: Path, *, pip: bool = False) -> None:
    """Have dependencies come from the wheels that the test made, and from nowhere else.

    Args:
        environment: of the test.
        site: whose wheels.
        folder: for what the tools keep.
        pip: hide uv, so that pip is used.
    """
    for name, value in {
        "UV_FIND_LINKS": str(site.wheelhouse),
        "UV_NO_INDEX": "1",
        "UV_CACHE_DIR": str(folder / "uv-cache"),
        "PIP_FIND_LINKS": str(site.wheelhouse),
        "PIP_NO_INDEX": "1",
        "PIP_NO_CACHE_DIR": "1",
    }.items():
        environment.setenv(name, value)
    if pip:
        environment.setenv("PATH", str(folder))


def words(requests: Sequence[Request]) -> list[list[str]]:
    """What each request asks for beyond what was agreed to."""
    return [[ask.words for ask in request.more] for request in requests]
