"""Whatever config.toml holds, checking it gives usable settings, and the cache gives the same again."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tomlkit import dumps

from registry.config_cache import read_cached, write_cached
from registry.config_check import MAX_PROBLEMS, check_config
from registry.secret_contract import StoreKind
from registry.settings import MarketplacesSettings, PluginSettings, Settings
from registry.text import safe_text

FILE = Path("config.toml")
check_config(b"[x]", FILE)  # makes what checks, once; that takes longer than an example may

scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**62), 2**62),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.datetimes(),
    st.dates(),
    st.times(),
)
keys = st.one_of(
    st.sampled_from(
        [
            "theme",
            "model",
            "history",
            "secrets",
            "store",
            "marketplaces",
            "allow",
            "min_age_hours",
            "plugins",
            "keys",
            "enabled",
            "options",
            "local",
            "$",
            "table",
        ]
    ),
    st.text(st.characters(codec="utf-8"), max_size=5),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=15,
)
documents = st.dictionaries(keys, values, max_size=5).map(dumps)


def assert_usable(settings: Settings) -> None:
    assert isinstance(settings.theme, str)
    assert settings.model is None or isinstance(settings.model, str)
    assert isinstance(settings.history, bool)
    assert isinstance(settings.secrets.store, StoreKind)
    assert all(isinstance(name, str) for name in settings.marketplaces.allow)
    assert settings.marketplaces.min_age_hours >= 0
    assert all(isinstance(key, str) for key in settings.keys.values())
    for plugin in settings.plugins.values():
        assert isinstance(plugin, PluginSettings)
        assert plugin.enabled is None or isinstance(plugin.enabled, bool)
        assert isinstance(plugin.options, dict)


@given(st.one_of(st.binary(max_size=60), documents.map(str.encode)))
def test_any_content_gives_usable_settings_and_readable_problems(data: bytes) -> None:
    checked = check_config(data, FILE)
    assert_usable(checked.settings)
    assert len(checked.problems) <= MAX_PROBLEMS
    assert all(safe_text(str(problem), single_line=True) == str(problem) for problem in checked.problems)


@given(documents)
def test_every_problem_of_a_toml_file_names_its_line(document: str) -> None:
    last_line = document.count("\n") + 1
    for problem in check_config(document.encode(), FILE).problems:
        assert problem.line is not None
        assert 1 <= problem.line <= last_line


@given(documents)
def test_the_cache_gives_back_what_was_put_in(document: str) -> None:
    checked = check_config(document.encode(), FILE)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "config.json"
        write_cached(cache, "digest", checked)
        assert read_cached(cache, "digest", FILE) == checked
        assert read_cached(cache, "another", FILE) is None


def test_what_may_be_installed_is_checked_key_by_key() -> None:
    text = '[marketplaces]\nallow = ["acme"]\nblock = "evil"\nmin_age_hours = -1\nblok = []\n'
    loaded = check_config(text.encode(), Path("config.toml"))
    assert loaded.settings.marketplaces == MarketplacesSettings(allow=("acme",))
    told = {problem.key: (problem.line, problem.message) for problem in loaded.problems}
    assert told["marketplaces.block"] == (3, "must be an array, not text; its default is used.")
    assert told["marketplaces.min_age_hours"] == (4, "must be at least 0; its default is used.")
    assert [problem.suggestion for problem in loaded.problems if problem.key == "marketplaces.blok"] == [
        "marketplaces.block"
    ]


def test_an_entry_of_a_list_that_can_match_nothing_is_told_and_the_others_hold() -> None:
    text = '[marketplaces]\nallow = ["acme"]\nblock = ["\u0430cme", "evil\ufe0f/Tool", "bad/*", ""]\n'
    loaded = check_config(text.encode(), FILE)
    assert loaded.settings.marketplaces.block == ("\u0430cme", "evil\ufe0f/Tool", "bad/*", "")
    assert [(problem.key, problem.line, problem.message) for problem in loaded.problems] == [
        ("marketplaces.block", 3, f"holds {name}, which no publisher or plugin can be called.")
        for name in ('"\\u0430cme"', '"bad/*"', '""')
    ]


def test_an_entry_of_a_list_that_is_no_text_costs_only_itself() -> None:
    loaded = check_config(b'[marketplaces]\nblock = [1, "evil", {}, true, "bad"]\n', FILE)
    assert loaded.settings.marketplaces.block == ("evil", "bad")
    assert [(problem.key, problem.message) for problem in loaded.problems] == [
        (f"marketplaces.block.{place}", f"must be text in quotes, not {kind}; it is left out.")
        for place, kind in ((0, "a number"), (2, "a table"), (3, "true or false"))
    ]
