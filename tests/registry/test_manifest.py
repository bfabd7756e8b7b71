"""Manifests: what is known of a plugin without running it, kept as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield import ApiKey, Command, CommandCall, FormField, Model, Plugin
from registry.manifest import (
    AuthMethodEntry,
    CommandEntry,
    Manifest,
    ProviderEntry,
    Runtime,
    broken,
    describe,
)
from registry.plugin import HOOKS
from tests.registry.plugins_for_tests import Sample, ScriptedProvider

TEXT = st.text(max_size=20)
COUNTS = st.none() | st.integers(0, 2**40)
MODELS = st.builds(
    Model, TEXT, TEXT, COUNTS, COUNTS, st.lists(TEXT, max_size=2).map(tuple), st.booleans(), st.booleans()
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    name = draw(TEXT)
    models = st.lists(MODELS, max_size=3).map(tuple)
    auth = st.builds(AuthMethodEntry, st.just(name), st.dictionaries(TEXT, TEXT | st.integers(), max_size=2))
    made: Manifest = draw(
        st.builds(
            Manifest,
            st.just(name),
            *[TEXT] * 3,
            st.sampled_from(Runtime),
            TEXT,
            st.booleans(),
            st.booleans(),
            st.lists(st.sampled_from(HOOKS), unique=True).map(tuple),
            st.lists(auth, max_size=2).map(tuple),
            st.lists(st.builds(ProviderEntry, TEXT, TEXT, models, st.just(name)), max_size=2).map(tuple),
            st.lists(st.builds(CommandEntry, TEXT, TEXT, TEXT, st.just(name)), max_size=2).map(tuple),
            TEXT,
        )
    )
    return made


@given(manifests())
def test_a_manifest_comes_back_from_json_as_it_was(manifest: Manifest) -> None:
    assert Manifest.from_json(json.loads(json.dumps(manifest.to_json()))) == manifest


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def test_pairs_are_no_table() -> None:
    data = Manifest("acme", "1").to_json() | {"auth_methods": [[["type", "api_key"]]]}
    with pytest.raises(TypeError, match="list instead of a table"):
        Manifest.from_json(data)


@given(manifests(), st.data())
def test_damaged_json_is_refused_or_gives_a_manifest_with_the_promised_types(
    manifest: Manifest, data: st.DataObject
) -> None:
    damaged = manifest.to_json()
    damaged[data.draw(st.sampled_from(sorted(damaged)))] = data.draw(JSON)
    try:
        read = Manifest.from_json(damaged)
    except (LookupError, TypeError, ValueError, AttributeError):
        return
    assert Manifest.from_json(json.loads(json.dumps(read.to_json()))) == read
    assert all(isinstance(text, str) for text in (read.name, read.version, read.summary, read.problem))
    assert set(read.hooks) <= set(HOOKS)


async def _run(_call: CommandCall) -> None:
    return None


def test_every_text_of_a_plugin_is_made_safe_when_it_is_described() -> None:
    hostile = "a\x1b]0;t\x07\u202eb\nc"
    plugin: Any = Sample(provider=ScriptedProvider("p"))
    plugin.provider.title = hostile
    plugin.provider.known_models = [Model("m", hostile)]
    plugin.summary = hostile
    plugin.commands = lambda: [Command("c", hostile, _run, hostile)]
    plugin.auth_methods = lambda: [ApiKey(label=hostile, fields=(FormField(name="x", help=hostile),))]
    manifest = describe(plugin)
    assert manifest.summary == "ab c"
    assert manifest.providers == (ProviderEntry("p", "ab c", (Model("m", "ab c"),), "sample"),)
    assert manifest.commands == (CommandEntry("c", "ab c", "ab c", "sample"),)
    assert manifest.auth_methods[0].data["label"] == "ab\nc"
    assert manifest.auth_methods[0].data["fields"][0]["help"] == "ab\nc"


@pytest.mark.parametrize(
    "model",
    ["m", Model("hid\u202eden"), Model(""), Model("m", context_window="8k")],  # type: ignore[arg-type]
)
def test_a_model_that_could_not_be_asked_for_is_refused(model: Any) -> None:
    provider: Any = ScriptedProvider("p")
    provider.known_models = [model]
    with pytest.raises(Exception, match="model"):
        describe(Sample(provider=provider))


def test_a_plugin_of_two_lines_has_a_manifest() -> None:
    class Small(Plugin):
        name = "small"
        version = "0.1.0"

    assert describe(Small()) == Manifest("small", "0.1.0")


def test_a_broken_manifest_always_says_something_that_is_safe_to_show() -> None:
    assert broken("x\x1b[1m", "").problem == "It could not be described."
    assert broken("x\x1b[1m", "a\x1b[1mb") == Manifest("x", "", problem="ab")
