"""The packaged snapshot, and what is looked up in it."""

from __future__ import annotations

import gzip
import tomllib
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import pytest

from registry.catalogue.catalogue import SNAPSHOT, Catalogue
from registry.catalogue.prices import Price, Rates, Step
from registry.catalogue.regenerate import MAX_BYTES, PROVIDERS
from registry.catalogue.schema import Contents, Entry, ProviderFacts, read_contents, write_contents
from registry.paths import Paths, find_paths
from registry.provider import Model

ROOT = Path(__file__).parents[3]
PRICE = Price(
    Rates(Decimal("1.5"), Decimal(6), Decimal("0.15")), (Step(200_000, Rates(Decimal(3), Decimal(9))),)
)
CONTENTS = Contents(
    "2026-11-01",
    {
        "acme": ProviderFacts(
            {
                "big": Entry("Big", 200_000, 64_000, ("text", "image"), True, True, chat=True, price=PRICE),
                "bare": Entry(),
            },
            {"big-20261101": "big"},
        )
    },
)
CATALOGUE = Catalogue(CONTENTS)


@pytest.fixture(scope="module")
def snapshot() -> Contents:
    return read_contents(gzip.decompress(SNAPSHOT.read_bytes()))


def test_the_snapshot_is_small_and_reads_back_as_it_was_written(snapshot: Contents) -> None:
    assert len(SNAPSHOT.read_bytes()) <= MAX_BYTES
    assert read_contents(write_contents(snapshot)) == snapshot
    assert sum(len(facts.models) for facts in snapshot.providers.values()) > 500


def test_every_provider_of_the_snapshot_is_one_of_ours(snapshot: Contents) -> None:
    assert set(snapshot.providers) <= our_providers()
    assert set(snapshot.providers) <= set(PROVIDERS)
    assert {"anthropic", "openai", "gemini"} <= set(snapshot.providers) & our_providers()


def our_providers() -> set[str]:
    names = {
        import_module(f"providers.{module}").__dict__[attribute].name
        for module, attribute in (
            ("anthropic", "AnthropicProvider"),
            ("openai", "OpenAIProvider"),
            ("gemini", "GeminiProvider"),
        )
    }
    endpoints = (ROOT / "providers" / "compatible.toml").read_text(encoding="utf-8")
    return names | {str(name) for name in tomllib.loads(endpoints)}


def test_the_licences_of_its_sources_come_with_it(snapshot: Contents) -> None:
    notice = SNAPSHOT.with_name("NOTICE").read_text(encoding="utf-8")
    assert snapshot.sources
    for source in snapshot.sources:
        assert source.licence == "MIT"
        assert source.name in notice
    assert notice.count("Permission is hereby granted") >= len(snapshot.sources)


def test_no_local_model_has_a_price(snapshot: Contents) -> None:
    catalogue = Catalogue(snapshot)
    for provider in ("local", "ollama", "llamacpp", "lmstudio", "vllm"):
        assert provider not in snapshot.providers
        assert catalogue.price(provider, "smollm2-135m") is None


def test_every_price_of_the_snapshot_is_more_than_nothing_or_free_by_name(snapshot: Contents) -> None:
    for facts in snapshot.providers.values():
        for model_id, entry in facts.models.items():
            if entry.price is not None and not model_id.endswith(":free"):
                assert entry.price.rates.input > 0, model_id
                assert entry.price.rates.output > 0, model_id


def test_the_app_loads_the_snapshot_when_nothing_was_refreshed() -> None:
    catalogue = Catalogue.load(find_paths())
    assert catalogue.price("anthropic", "claude-sonnet-4-5") is not None
    assert catalogue.chat_models("openrouter")


@pytest.mark.parametrize(
    ("provider", "model_id"),
    [("acme", "bi"), ("acme", "BIG"), ("acme", "big-2026"), ("acme", "big "), ("acm", "big"), ("acme", "")],
)
def test_what_is_not_known_by_its_exact_id_has_no_price(provider: str, model_id: str) -> None:
    assert CATALOGUE.price(provider, model_id) is None
    assert CATALOGUE.enrich(provider, Model(model_id)) == Model(model_id)


def test_an_alias_finds_its_model() -> None:
    assert CATALOGUE.price("acme", "big-20261101") == CATALOGUE.price("acme", "big") == PRICE


def test_what_the_provider_said_stands_and_the_rest_is_filled() -> None:
    said = Model("big", "The big one", context_window=1000)
    filled = CATALOGUE.enrich("acme", said)
    assert filled == Model("big", "The big one", 1000, 64_000, ("text", "image"), reasoning=True, tools=True)


def test_a_model_whose_marks_its_provider_told_gets_no_others() -> None:
    filled = CATALOGUE.enrich("acme", Model("big", tools=True))
    assert (filled.reasoning, filled.tools, filled.modalities) == (False, True, ("text",))
    assert filled.context_window == 200_000


def test_an_entry_that_knows_nothing_changes_nothing() -> None:
    assert CATALOGUE.enrich("acme", Model("bare")) == Model("bare")


def test_only_models_that_chat_are_offered_in_place_of_a_list() -> None:
    assert [model.id for model in CATALOGUE.chat_models("acme")] == ["big"]
    assert CATALOGUE.chat_models("nobody") == []


def test_a_catalogue_survives_writing_and_reading() -> None:
    assert read_contents(write_contents(CONTENTS)) == CONTENTS


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"[]",
        b"<html>",
        b"[" * 100_000,
        b'{"format":2,"date":"2026-11-01","providers":{}}',
        b'{"format":1,"date":"yesterday","providers":{}}',
        b'{"format":1,"date":"20261101","providers":{}}',
        b'{"format":1,"date":"2026-11-01","providers":[]}',
        b'{"format":1,"date":"2026-11-01","providers":{"a":{"models":{"m":{"context":-1}}}}}',
        b'{"format":1,"date":"2026-11-01","providers":{"a":{"models":{"m":{"context":true}}}}}',
        b'{"format":1,"date":"2026-11-01","providers":{"a":{"models":{"m":{"name":"\\u001b[2J"}}}}}',
        b'{"format":1,"date":"2026-11-01","providers":{"a":{"models":{"m":{"input":["smell"]}}}}}',
        b'{"format":1,"date":"2026-11-01","providers":{"a":{"models":{"m":{"price":{"input":"1"}}}}}}',
        b'{"format":1,"date":"2026-11-01","providers":{"a":{"models":{"m":{"price":{"input":1,"output":1}}}}}}',
        b'{"format":1,"date":"2026-11-01","providers":{"a":{"models":{"m":{"price":{"input":"NaN","output":"1"}}}}}}',
        b'{"format":1,"date":"2026-11-01","providers":{"a":{"models":{"m":{"price":{"input":"-1","output":"1"}}}}}}',
        b'{"format":1,"date":"2026-11-01","providers":{"a":{"models":{},"aliases":{"x":"m"}}}}',
    ],
)
def test_what_is_no_catalogue_is_refused(broken: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        read_contents(broken)


def test_a_damaged_installation_knows_nothing_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    damaged = tmp_path / "snapshot.json.gz"
    damaged.write_bytes(SNAPSHOT.read_bytes()[:1000])
    monkeypatch.setattr("registry.catalogue.catalogue.SNAPSHOT", damaged)
    catalogue = Catalogue.load(Paths(tmp_path, tmp_path, tmp_path))
    assert catalogue.providers == ()
    assert catalogue.price("anthropic", "claude-sonnet-4-5") is None
