"""What is on when the app starts, and that a list without a registry tells the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry import startup
from registry.describing import Candidate
from registry.discovery import BUILTIN_PUBLISHER
from registry.handle import PluginState
from registry.manifest import Manifest, broken
from registry.paths import Paths
from registry.settings import PluginSettings, Settings
from registry.startup import (
    fill_registry,
    find_manifests,
    find_plugins,
    is_on,
    make_registry,
    plugins_are_off,
)

PATHS = Paths(Path("config"), Path("data"), Path("cache"))
ON, OFF = PluginSettings(enabled=True), PluginSettings(enabled=False)


def manifest(name: str, *, publisher: str = "Acme", on_by_default: bool = False) -> dict[str, Any]:
    return Manifest(name, "1.0", publisher=publisher, on_by_default=on_by_default).to_json()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What discovery finds."""
    manifests = [
        manifest("zebra"),
        manifest("app", publisher=BUILTIN_PUBLISHER, on_by_default=True),
        manifest("twin"),
        manifest("twin", publisher="Another"),
        broken("rotten", "It raised.").to_json(),
        manifest("eager", on_by_default=True),
    ]
    monkeypatch.setattr(startup, "discover", lambda _: manifests)
    return manifests


@pytest.mark.parametrize(
    ("safe_mode", "variables", "off"),
    [
        (False, {}, False),
        (True, {}, True),
        (False, {"JACKFIELD_PLUGINS": " None "}, True),
        (False, {"JACKFIELD_PLUGINS": "all"}, False),
    ],
)
def test_plugins_are_off_by_flag_or_variable(safe_mode: bool, variables: dict[str, str], off: bool) -> None:
    assert plugins_are_off(safe_mode=safe_mode, env=variables) is off


def test_only_a_plugin_of_the_app_is_on_before_the_user_chose() -> None:
    assert is_on(manifest("a", publisher=BUILTIN_PUBLISHER, on_by_default=True), Settings())
    assert not is_on(manifest("a", publisher=BUILTIN_PUBLISHER), Settings())
    assert not is_on(manifest("a", on_by_default=True), Settings())


def test_the_users_choice_counts_more_than_the_default() -> None:
    chosen = Settings(plugins={"a": OFF, "b": ON})
    assert not is_on(manifest("a", publisher=BUILTIN_PUBLISHER, on_by_default=True), chosen)
    assert is_on(manifest("b"), chosen)


def test_options_alone_leave_the_default_as_it_is() -> None:
    chosen = Settings(plugins={"a": PluginSettings(options={"size": 3})})
    assert is_on(manifest("a", publisher=BUILTIN_PUBLISHER, on_by_default=True), chosen)


@pytest.mark.usefixtures("installed")
def test_plugins_of_the_app_come_first_and_each_group_goes_by_name() -> None:
    assert [found["name"] for found in find_manifests(PATHS)] == [
        "app",
        "eager",
        "rotten",
        "twin",
        "twin",
        "zebra",
    ]


@pytest.mark.usefixtures("installed")
async def test_a_list_without_a_registry_tells_the_states_that_a_registry_gives() -> None:
    settings = Settings(plugins={"zebra": ON, "rotten": ON, "twin": ON})
    registry = make_registry(PATHS, settings)
    fill_registry(registry, find_manifests(PATHS), settings, plugins_off=False)
    listed = [(plugin.name, plugin.state, plugin.reason) for plugin in find_plugins(PATHS, settings)]
    assert listed == [(handle.name, handle.state.value, handle.reason) for handle in registry.handles()]
    assert ("zebra", "enabled", "") in listed
    assert ("rotten", "failed", "It raised.") in listed
    await registry.aclose()


@pytest.mark.usefixtures("installed")
async def test_a_registry_with_plugins_off_knows_all_and_has_none_on() -> None:
    settings = Settings(plugins={"zebra": ON})
    registry = make_registry(PATHS, settings)
    fill_registry(registry, find_manifests(PATHS), settings, plugins_off=True)
    assert {handle.state for handle in registry.handles()} == {PluginState.INSTALLED, PluginState.FAILED}
    await registry.aclose()


def test_with_plugins_off_none_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    def describe(_: Paths) -> list[dict[str, Any]]:
        raise AssertionError("a plugin's code was run")

    monkeypatch.setattr(startup, "discover", describe)
    monkeypatch.setattr(startup, "find_candidates", lambda: [Candidate("acme", "acme:Plugin", "Acme")])
    (plugin,) = find_plugins(PATHS, Settings(plugins={"acme": ON}), plugins_off=True)
    assert (plugin.name, plugin.state, plugin.manifest["publisher"]) == ("acme", "installed", "Acme")
