"""Many plugins from one entry point."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from registry.describing import Candidate, describe_all
from registry.discovery import discover
from registry.loading import load_plugin
from registry.paths import find_paths

CODE = """
from pathlib import Path
from jackfield import Plugin, PluginFamily

DATA = Path(__file__).with_name("letters.txt")

class Letter(Plugin):
    version = "1"
    data_files = (DATA,)
    def __init__(self, name):
        self.name = name
        self.summary = f"The letter {name}"

FAMILY = PluginFamily(names=lambda: DATA.read_text().split(), make=Letter)
WRONG = PluginFamily(names=lambda: ["same", "same"], make=Letter)
LIAR = PluginFamily(names=lambda: ["one"], make=lambda name: Letter("other"))
"""


@pytest.fixture
def letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed family with the members a and b."""
    (tmp_path / "letters_for_test.py").write_text(CODE, encoding="utf-8")
    data = tmp_path / "letters.txt"
    data.write_text("a b", encoding="utf-8")
    info = tmp_path / "letters_for_test-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: letters-for-test\nVersion: 1\n", encoding="utf-8"
    )
    entry = "[jackfield.plugins]\nletters = letters_for_test:FAMILY\n"
    (info / "entry_points.txt").write_text(entry, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return data


def found_names() -> list[str]:
    manifests = discover(find_paths())
    return [entry["name"] for entry in manifests if entry["entry_point"].startswith("letters_for_test")]


@pytest.mark.usefixtures("letters")
def test_each_member_is_a_plugin_of_its_own() -> None:
    assert found_names() == ["a", "b"]
    assert load_plugin("letters_for_test:FAMILY#b").summary == "The letter b"


def test_a_row_more_in_the_data_is_a_plugin_more_and_a_row_less_one_less(letters: Path) -> None:
    assert found_names() == ["a", "b"]
    letters.write_text("b c d", encoding="utf-8")
    os.utime(letters, ns=(1, 1))
    assert found_names() == ["b", "c", "d"]


@pytest.mark.usefixtures("letters")
def test_a_family_that_names_its_members_wrongly_is_one_broken_plugin() -> None:
    (wrong,) = describe_all([Candidate("wrong", "letters_for_test:WRONG")])
    assert wrong.members is None
    assert "names its plugins wrongly" in wrong.manifest.problem


@pytest.mark.usefixtures("letters")
def test_a_member_that_calls_itself_otherwise_is_broken() -> None:
    (liar,) = describe_all([Candidate("one", "letters_for_test:LIAR#one")])
    assert "something else where the plugin one belongs" in liar.manifest.problem
