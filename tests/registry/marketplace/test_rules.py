"""What may be installed here and now, and who says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from registry.discovery import BUILTIN_PUBLISHER
from registry.manifest import Manifest
from registry.marketplace.entry import (
    Artefact,
    Entry,
    PluginId,
    Revocation,
    Severity,
    Status,
    Version,
)
from registry.marketplace.finding import Found
from registry.marketplace.machine import Machine
from registry.marketplace.repository import Marketplace
from registry.marketplace.rules import Rules
from registry.marketplace.sources import Source
from registry.names import can_be_called, canonical, is_plugin_id
from registry.paths import Paths
from registry.settings import MarketplacesSettings, Settings
from registry.startup import make_installer

NOW = datetime(2026, 6, 1, tzinfo=UTC)
FILE = Artefact(path=f"files/{'0' * 64}/x.whl", sha256="0" * 64, size=1)


def version(**about: Any) -> Version:
    return Version(**{"version": "1.0", "artefact": FILE, "uploaded_at": NOW - timedelta(days=30), **about})


def entry(plugin_id: str = "acme/shout", **about: Any) -> Entry:
    return Entry(id=plugin_id, versions=(version(),), **about)


def reasons(
    of: Version, about: Entry | None = None, *, locked: bool = False, ignore_age: bool = False, **rules: Any
) -> str:
    """Why it cannot be installed; empty when it can."""
    made = Rules(Machine("1.0", "linux", "3.12.1"), **{"now": NOW, **rules})
    found = made.obstacles(about or entry(), of, locked=locked, ignore_age=ignore_age)
    return " ".join(obstacle.reason for obstacle in found)


def test_what_is_fine_may_come() -> None:
    assert reasons(version()) == ""


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"min_app": "1.1"}, "It needs Jackfield 1.1 or newer."),
        ({"protocol": 99}, "It speaks a plugin protocol that only a newer Jackfield knows."),
        ({"platforms": ("macos", "windows")}, "It runs on macos, windows only."),
        ({"python": ">=3.13"}, "It needs Python >=3.13; this is 3.12.1."),
        ({"python": "three"}, "It needs Python three; this is 3.12.1."),
        ({"yanked": "It was a mistake."}, "This version was withdrawn: It was a mistake."),
    ],
)
def test_each_obstacle_is_said_in_plain_words(about: dict[str, Any], said: str) -> None:
    assert reasons(version(**about)) == said


def test_a_lock_file_may_name_what_is_yanked_or_young_or_of_an_old_catalogue_only() -> None:
    assert reasons(version(yanked="Why", uploaded_at=NOW), locked=True, catalogue_is_old=True) == ""
    assert "not renewed for more than 30 days" in reasons(version(), catalogue_is_old=True)
    assert reasons(version(python=">=4"), locked=True) != ""


def test_a_young_version_says_from_when_on_it_can_be_installed() -> None:
    ready = (NOW + timedelta(hours=71)).astimezone()
    said = reasons(version(uploaded_at=NOW - timedelta(hours=1)))
    assert said.startswith("It is younger than 72 hours")
    assert said.endswith(f"It can be installed from {ready:%Y-%m-%d %H:%M}.")
    assert reasons(version(uploaded_at=NOW), ignore_age=True) == ""
    assert reasons(version(uploaded_at=NOW, security=True)) == ""
    assert reasons(version(uploaded_at=NOW), min_age=timedelta(0)) == ""
    assert "younger" in reasons(version(uploaded_at=NOW + timedelta(days=400))), "a date in the future"


def test_what_is_quarantined_or_revoked_stays_out_and_what_is_deprecated_is_said() -> None:
    assert "held back as unsafe: Malware." in reasons(
        version(), entry(status=Status.QUARANTINED, status_reason="Malware")
    )
    revoked = Revocation(id="acme/shout", versions=("1.0",), severity=Severity.DISABLE, reason="It leaks.")
    assert reasons(version(), revocations=[revoked], locked=True) == "It was revoked: It leaks."
    warned = revoked.model_copy(update={"severity": Severity.WARN})
    assert reasons(version(), revocations=[warned]) == ""
    warnings = Rules(Machine("1.0"), revocations=[warned]).warnings(
        entry(status=Status.DEPRECATED), version()
    )
    assert warnings == (
        "It is deprecated.",
        "The marketplace has not checked who acme is.",
        "Its marketplace warns: It leaks.",
    )


@pytest.mark.parametrize(
    "written",
    [
        "acme-corp",
        "ACME_Corp",
        "acme.corp",
        "acme\u2010corp",
        "acme\u200b-corp",
        "acme-corp\ufe0f",
        "acme\ufe0e-corp",
        "acme\U000e0100-corp",
        "ac\u034fme-corp",
        "\u3164acme-corp",
        "acme\uffa0-corp",
        "acme\u115f-corp\u1160",
        "acme\u17b4-corp",
        "\u2800acme-corp",
        "acme\U0001d159-corp",
        " acme-corp\n",
    ],
)
def test_a_name_in_a_list_is_meant_however_it_is_written(written: str) -> None:
    other = entry("acme-corp/shout")
    assert canonical(written) == "acme-corp"
    assert "blocks acme-corp/shout" in reasons(version(), other, block=[written])
    assert reasons(version(), other, allow=[f"{written}/shout"]) == ""
    assert "does not allow acme/shout" in reasons(version(), allow=[written])


@pytest.mark.parametrize(
    "written", ["acme", "Acme/Shout", "a1-b2/c", "a" * 64 + "/" + "b" * 64, "acme\ufe0f"]
)
def test_a_list_can_name_a_publisher_or_a_plugin(written: str) -> None:
    assert can_be_called(written)


@pytest.mark.parametrize(
    "written", ["", "acme/", "/shout", "acme/shout/x", "-acme", "1st", "\u0430cme", "a b/c*", "a" * 65]
)
def test_a_list_can_hold_what_names_nothing(written: str) -> None:
    assert not can_be_called(written)


@pytest.mark.parametrize(
    "text", ["acme/shout", "a/b", "a/b\n", "Acme/shout", "acme", "a/b/c", "a-/b", "a/" + "b" * 64]
)
def test_a_list_and_a_catalogue_agree_about_what_is_an_id(text: str) -> None:
    try:
        TypeAdapter(PluginId).validate_python(text)
    except ValidationError:
        assert not is_plugin_id(text)
    else:
        assert is_plugin_id(text)


def test_what_is_blocked_stays_so_though_it_is_allowed() -> None:
    assert "blocks" in reasons(version(), allow=["acme"], block=["acme/shout"])


def test_the_rules_of_the_app_come_from_its_plugins_and_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = [
        Manifest("openai", "1", publisher=BUILTIN_PUBLISHER).to_json(),
        Manifest("beside", "1", publisher="Someone").to_json(),
    ]
    monkeypatch.setattr("registry.startup.discover", lambda _: plugins)
    paths = Paths(tmp_path / "config", tmp_path / "data", tmp_path / "cache")
    wanted = MarketplacesSettings(allow=("acme",), block=("evil",), min_age_hours=1.5)
    source = Source("official", "file:///nowhere/", "0" * 64, NOW)
    found = Found(Marketplace(source, paths), entry(), (), is_old=True)
    rules = make_installer(paths, Settings(marketplaces=wanted)).rules(found)
    assert (rules.allow, rules.block, rules.min_age) == (("acme",), ("evil",), timedelta(hours=1.5))
    assert rules.catalogue_is_old
    assert rules.builtin_names == {"openai"}
    said = rules.obstacles(entry("acme/beside"), version())[0].reason
    assert "belongs to a plugin of the package by Someone" in said


def test_an_endless_minimum_age_is_a_very_long_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.startup.discover", lambda _: [])
    paths = Paths(tmp_path / "config", tmp_path / "data", tmp_path / "cache")
    settings = Settings(marketplaces=MarketplacesSettings(min_age_hours=1e300))
    found = Found(Marketplace(Source("m", "file:///x/", "0" * 64, NOW), paths), entry(), (), is_old=False)
    assert "younger" in make_installer(paths, settings).rules(found).obstacles(entry(), version())[0].reason
