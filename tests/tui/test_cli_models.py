"""`jackfield models` in a narrow terminal, and all that its JSON says."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from registry.catalogue.prices import Price, Rates, Step
from registry.manifest import ProviderEntry
from registry.models import ModelChoice
from registry.provider import Model
from tui.cli import models, output
from tui.cli.models import HEADER, Listed, json_text, table

ACME = ProviderEntry("acme", "Acme")
PRICE = Price(
    Rates(Decimal("0.75"), Decimal("4.5"), Decimal("0.075")), (Step(272_000, Rates(Decimal(2), Decimal(9))),)
)
BIG = Listed(
    ModelChoice(ACME, Model("big", "Big", 1_048_576, 64_000, ("text", "image", "file"), True, True)), PRICE
)
LONG = Listed(ModelChoice(ACME, Model("vendor/with-a-very-long-name/" + "x" * 30)), None)


@pytest.fixture
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (models, output):
        monkeypatch.setattr(module, "terminal_width", lambda _: 80)


@pytest.mark.usefixtures("eighty_columns")
def test_the_table_stays_aligned_in_eighty_columns_and_cuts_no_reference() -> None:
    lines = table([BIG, LONG]).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["acme/big", "1.05M", "64k", "image", "file", "yes", "0.75/4.5+"]
    assert lines[2] == LONG.choice.reference
    assert lines[3].split() == ["-"] * 5
    for name, cell in zip(HEADER[1:], ("1.05M", "64k", "image", "yes", "0.75"), strict=True):
        assert lines[1].index(cell) == lines[0].index(name)
    assert lines[3].index("-") == lines[0].index(HEADER[1])


def test_where_nothing_must_be_cut_each_model_has_one_line() -> None:
    assert len(table([BIG, LONG]).splitlines()) == 3


def test_the_json_has_every_fact() -> None:
    known, unknown = json.loads(json_text([BIG, LONG]))
    assert known == {
        "reference": "acme/big",
        "provider": "acme",
        "id": "big",
        "title": "Big",
        "context_window": 1_048_576,
        "output_limit": 64_000,
        "modalities": ["text", "image", "file"],
        "reasoning": True,
        "tools": True,
        "price": {
            "input": 0.75,
            "output": 4.5,
            "cache_read": 0.075,
            "cache_write": None,
            "above": [
                {"prompt_tokens": 272_000, "input": 2, "output": 9, "cache_read": None, "cache_write": None}
            ],
        },
    }
    assert unknown["price"] is None
