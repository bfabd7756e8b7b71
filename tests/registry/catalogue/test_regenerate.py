"""The snapshot is made from a folder of unpacked packages, and says nothing that they do not say."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest

from registry.catalogue.prices import Price, Rates, Step
from registry.catalogue.regenerate import main, make_contents
from registry.catalogue.schema import Source, read_contents

GENAI = """
import os
os.abort()
providers: list[Provider] = [
    Provider(
        id='deepseek',
        models=[
            ModelInfo(id='by-hour', match=ClauseEquals(equals='by-hour'), prices=[
                ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('1'), output_mtok=Decimal('2'))),
                ConditionalPrice(
                    constraint=TimeOfDateConstraint(start_time=datetime.time(1, 0, tzinfo=datetime.UTC)),
                    prices=ModelPrice(input_mtok=Decimal('3'), output_mtok=Decimal('4'))),
            ]),
        ],
    ),
    Provider(
        id='cohere',
        models=[
            ModelInfo(
                id='command', name='Command',
                match=ClauseOr(or_=[ClauseEquals(equals='command'), ClauseEquals(equals='command-2026'),
                                    ClauseStartsWith(starts_with='command-x')]),
                context_window=128000,
                prices=[
                    ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('9'), output_mtok=Decimal('9'))),
                    ConditionalPrice(
                        constraint=StartDateConstraint(start_date=datetime.date(2026, 6, 1)),
                        prices=ModelPrice(
                            input_mtok=TieredPrices(
                                base=Decimal('1'), tiers=[Tier(start=1000, price=Decimal('2'))]),
                            output_mtok=Decimal('4'))),
                    ConditionalPrice(
                        constraint=StartDateConstraint(start_date=datetime.date(2027, 1, 1)),
                        prices=ModelPrice(input_mtok=Decimal('8'), output_mtok=Decimal('8'))),
                ]),
            ModelInfo(id='gone', match=ClauseEquals(equals='gone'), deprecated=True,
                      prices=ModelPrice(input_mtok=Decimal('1'), output_mtok=Decimal('2'))),
            ModelInfo(id='per-request', match=ClauseEquals(equals='per-request'),
                      prices=ModelPrice(input_mtok=Decimal('1'), output_mtok=Decimal('2'),
                                        requests_kcount=Decimal('5'))),
            ModelInfo(id='embed', match=ClauseEquals(equals='embed'),
                      prices=ModelPrice(input_mtok=Decimal('0.1'))),
        ],
    ),
]
"""


def pi_model(model_id: str, **changes: object) -> dict[str, object]:
    cost = {"input": 2, "output": 10, "cacheRead": 0.2, "cacheWrite": 0}
    return {
        "id": model_id, "name": model_id.title(), "type": "chat", "reasoning": True,
        "input": ["text", "image"], "cost": cost, "contextWindow": 200_000, "maxTokens": 64_000, **changes,
    }  # fmt: skip


def pi_file(*models: dict[str, object]) -> str:
    return json.dumps({"some-dialect": {f"{model['type']}:{model['id']}": model for model in models}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The two packages as they look when they are unpacked."""
    data = tmp_path / "package" / "dist" / "providers" / "data"
    data.mkdir(parents=True)
    (tmp_path / "package" / "package.json").write_text('{"version": "1.5.2", "license": "MIT"}')
    (data / ".manifest.json").write_text('{"generatedAt": "2026-11-10T12:05:37.628Z"}')
    tiers = [{"inputTokensAbove": 1000, "input": 4, "output": 20, "cacheRead": 0.4, "cacheWrite": 0}]
    cost = {"input": 2, "output": 10, "cacheRead": 0.2, "cacheWrite": 2.5, "tiers": tiers}
    nothing = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}
    (data / "anthropic.json").write_text(
        pi_file(pi_model("tall", cost=cost), pi_model("painter", type="image"))
    )
    (data / "deepseek.json").write_text(pi_file(pi_model("by-hour"), pi_model("steady")))
    (data / "openrouter.json").write_text(
        pi_file(pi_model("a/b:free", cost=nothing), pi_model("a/b", cost=nothing, contextWindow=4096))
    )
    (data / "huggingface.json").write_text(pi_file(pi_model("a/b")))
    (data / "not-ours.json").write_text(pi_file(pi_model("x")))
    module = tmp_path / "wheel" / "genai_prices" / "data.py"
    module.parent.mkdir(parents=True)
    module.write_text(GENAI)
    metadata = tmp_path / "wheel" / "genai_prices-0.2.3.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Name: genai-prices\nVersion: 0.2.3\nLicense-Expression: MIT\n")
    return tmp_path


def test_the_snapshot_says_what_the_packages_say(folder: Path) -> None:
    contents = make_contents(folder)
    assert contents.date == "2026-11-10"
    assert contents.sources == (
        Source("@earendil-works/pi-ai", "1.5.2", "MIT"),
        Source("genai-prices", "0.2.3", "MIT"),
    )
    assert set(contents.providers) == {"anthropic", "deepseek", "openrouter", "huggingface", "cohere"}
    anthropic = contents.providers["anthropic"].models
    assert set(anthropic) == {"tall"}, "a model that paints answers no chats"
    tall = anthropic["tall"]
    assert (tall.name, tall.context, tall.output, tall.modalities) == (
        "Tall",
        200_000,
        64_000,
        ("text", "image"),
    )
    assert (tall.reasoning, tall.tools, tall.chat) == (True, True, True)
    dear = Rates(Decimal(4), Decimal(20), Decimal("0.4"), None)
    assert tall.price == Price(
        Rates(Decimal(2), Decimal(10), Decimal("0.2"), Decimal("2.5")), (Step(1000, dear),)
    )


def test_a_price_that_depends_on_more_than_tokens_is_left_out(folder: Path) -> None:
    providers = make_contents(folder).providers
    assert providers["deepseek"].models["by-hour"].price is None, "it depends on the time of the day"
    assert providers["deepseek"].models["steady"].price is not None
    assert providers["huggingface"].models["a/b"].price is None, "it depends on who answers"
    assert providers["cohere"].models["per-request"].price is None, "each request costs, too"
    assert providers["cohere"].models["embed"].price is None


def test_nought_is_a_price_only_of_what_is_free_by_its_name(folder: Path) -> None:
    models = make_contents(folder).providers["openrouter"].models
    nothing = Decimal(0)
    assert models["a/b:free"].price == Price(Rates(nothing, nothing, nothing, nothing))
    assert models["a/b"].price is None
    assert models["a/b"].context is None, "4096 stands for what is not known"


def test_the_price_of_the_day_counts_and_names_in_full_become_aliases(folder: Path) -> None:
    cohere = make_contents(folder).providers["cohere"]
    assert cohere.models["command"].price == Price(
        Rates(Decimal(1), Decimal(4)), (Step(1000, Rates(Decimal(2), Decimal(4))),)
    )
    assert cohere.aliases == {"command-2026": "command"}
    assert "gone" not in cohere.models
    assert (cohere.models["command"].chat, cohere.models["embed"].chat) == (True, False)


def test_the_script_writes_the_same_bytes_each_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    targets = [folder / "one.json.gz", folder / "two.json.gz"]
    for target in targets:
        assert main([str(folder), "--to", str(target)]) == 0
    assert targets[0].read_bytes() == targets[1].read_bytes()
    assert read_contents(gzip.decompress(targets[0].read_bytes())) == make_contents(folder)
    assert "anthropic: 1 models, 1 prices" in capsys.readouterr().err


def test_an_empty_folder_and_a_changed_package_change_nothing(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "kept.json.gz"
    target.write_bytes(b"as it was")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main([str(empty), "--to", str(target), "--date", "2026-11-10"]) == 1
    (folder / "package" / "dist" / "providers" / "data" / "anthropic.json").write_text('{"d": {"m": {}}}')
    assert main([str(folder), "--to", str(target)]) == 1
    assert target.read_bytes() == b"as it was"
    assert "error:" in capsys.readouterr().err
