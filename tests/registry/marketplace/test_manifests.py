"""What a start knows of installed plugins: from one file, with no code run and nothing heavy loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from registry.errors import JackfieldError
from registry.handle import PluginState
from registry.manifest import Manifest, Runtime
from registry.marketplace.installed import InstalledPlugin, InstalledVersion, change_installed, installed_file
from registry.marketplace.machine import SYSTEM
from registry.marketplace.manifests import installed_manifests, stored_manifest
from registry.paths import Paths
from registry.registry import PluginRegistry
from registry.settings import PluginSettings, Settings
from registry.startup import fill_registry, find_manifests, find_plugins

ROOT = Path(__file__).parents[3]
ON = PluginSettings(enabled=True)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A machine whose only other plugin is one beside the app, named `twin`."""
    twin = Manifest("twin", "1.0", publisher="Someone").to_json()
    monkeypatch.setattr("registry.startup.discover", lambda _: [twin])
    return Paths(tmp_path / "config", tmp_path / "data", tmp_path / "cache")


def version(name: str, number: str = "1.0", launch: dict[str, Any] | None = None) -> InstalledVersion:
    manifest = Manifest(name, number, publisher="whoever", on_by_default=True).to_json()
    return InstalledVersion(
        number,
        "a" * 64,
        "b" * 64,
        "",
        "2026-01-01",
        manifest,
        launch or {"command": None, "entry_point": "a:B"},
    )


def write(paths: Paths, *plugins: InstalledPlugin) -> None:
    change_installed(paths, lambda known: known.update({plugin.id: plugin for plugin in plugins}))


def test_a_manifest_says_where_the_code_is_and_trusts_its_publisher_with_no_name(paths: Paths) -> None:
    plugin = InstalledPlugin("acme/shout", "official", version("whatever"))
    manifest = Manifest.from_json(stored_manifest(paths, plugin))
    assert (manifest.name, manifest.publisher, manifest.runtime) == ("shout", "acme", Runtime.PROCESS)
    assert manifest.launch is not None
    assert manifest.launch.folder == paths.data / "store" / ("a" * 64)
    assert not manifest.on_by_default


def test_a_program_is_the_one_for_this_system(paths: Paths) -> None:
    launch = {"command": ["x"], "commands": {SYSTEM: ["./run"], "beos": ["./other"]}}
    manifest = Manifest.from_json(
        stored_manifest(paths, InstalledPlugin("a/b", "m", version("b", launch=launch)))
    )
    assert manifest.launch is not None
    assert manifest.launch.command == ("./run",)
    other = {"command": ["x"], "commands": {"beos": ["./other"]}}
    manifest = Manifest.from_json(
        stored_manifest(paths, InstalledPlugin("a/b", "m", version("b", launch=other)))
    )
    assert manifest.problem == f"It has no program for {SYSTEM}."


async def test_a_list_and_a_registry_tell_the_same_states(paths: Paths) -> None:
    write(
        paths,
        InstalledPlugin("acme/off", "m", version("off")),
        InstalledPlugin("acme/on", "m", version("on")),
        InstalledPlugin("acme/more", "m", version("more"), reviewed=False),
        InstalledPlugin("acme/more-off", "m", version("more-off"), reviewed=False),
        InstalledPlugin("acme/leaky", "m", version("leaky"), revoked="It leaks."),
        InstalledPlugin("acme/twin", "m", version("twin")),
    )
    settings = Settings(plugins={"on": ON, "more": ON, "twin": ON})
    registry = PluginRegistry(paths)
    fill_registry(registry, find_manifests(paths), settings, plugins_off=False)
    listed = [(plugin.name, plugin.state, plugin.reason) for plugin in find_plugins(paths, settings)]
    assert listed == [(handle.name, handle.state.value, handle.reason) for handle in registry.handles()]
    assert {name: state for name, state, reason in listed if not reason} == {
        "off": "installed",
        "on": "enabled",
        "more-off": "installed",
        "twin": "enabled",
    }
    reasons = {(name, state): reason for name, state, reason in listed if reason}
    assert reasons["leaky", "revoked"] == "Version 1.0 was revoked: It leaks."
    assert "asks for more" in reasons["more", "needs_review"]
    assert reasons["twin", "failed"] == "Another plugin is already named twin."
    assert registry.handle("twin").publisher == "Someone", "what is beside the app has the name first"
    await registry.aclose()


async def test_with_plugins_off_they_are_known_and_off(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.startup.find_candidates", list)
    write(paths, InstalledPlugin("acme/on", "m", version("on")))
    settings = Settings(plugins={"on": ON})
    (plugin,) = find_plugins(paths, settings, plugins_off=True)
    assert (plugin.name, plugin.state) == ("on", "installed")


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b'{"format": 9}', b'{"format": 1, "plugins": [{}]}', b"\xff", b"[" * 100_000],
)
def test_a_damaged_list_costs_what_it_names_and_is_told(paths: Paths, content: bytes) -> None:
    file = installed_file(paths)
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    told: list[JackfieldError] = []
    assert [plugin.name for plugin in find_plugins(paths, Settings(), complain=told.append)] == ["twin"]
    (problem,) = told
    assert problem.title == "The list of installed plugins cannot be read"
    assert "plugins restore" in problem.hint
    assert file.read_bytes() == content


def test_a_folder_is_named_by_a_hash_and_nothing_else(paths: Paths) -> None:
    write(paths, InstalledPlugin("acme/on", "m", replace(version("on"), tree="../../home")))
    with pytest.raises(JackfieldError, match="a folder is named by a hash"):
        installed_manifests(paths)


def test_a_manifest_that_is_damaged_is_a_state_of_its_plugin(paths: Paths) -> None:
    broken = replace(version("on"), manifest={"version": 3})
    write(paths, InstalledPlugin("acme/on", "m", broken), InstalledPlugin("acme/off", "m", version("off")))
    states = {plugin.name: plugin.state for plugin in find_plugins(paths, Settings(plugins={"on": ON}))}
    assert states == {"off": "installed", "on": PluginState.FAILED, "twin": "installed"}


def test_finding_them_loads_nothing_heavy(paths: Paths) -> None:
    write(paths, InstalledPlugin("acme/on", "m", version("on")))
    script = f"""
import sys, json
from pathlib import Path
from registry.marketplace.manifests import installed_manifests
from registry.paths import Paths
found = installed_manifests(Paths(*map(Path, {[str(paths.config), str(paths.data), str(paths.cache)]})))
print(json.dumps([len(found), sorted(sys.modules)]))
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    count, modules = json.loads(done.stdout)
    assert count == 1
    heavy = {"pydantic", "packaging", "hashlib", "tuf", "httpx", "filelock", "asyncio", "tomllib", "tarfile"}
    assert heavy & set(modules) == set()
