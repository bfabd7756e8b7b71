"""What a turn costs: exact sums over disjoint buckets, and nothing where a price is not known."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from registry.catalogue.prices import Price, Rates, Step, cost
from registry.chat import Usage

rates = st.decimals(min_value=0, max_value=1000, places=4)
counts = st.integers(min_value=0, max_value=10**7)
usages = st.builds(Usage, input=counts, cache_read=counts, cache_write=counts, output=counts)
SONNET = Price(Rates(Decimal(3), Decimal(15), Decimal("0.3"), Decimal("3.75")))


def test_each_bucket_has_its_own_rate() -> None:
    usage = Usage(input=1000, cache_read=10_000, cache_write=2000, output=500)
    assert cost(usage, SONNET) == Decimal("0.003") + Decimal("0.003") + Decimal("0.0075") + Decimal("0.0075")


def test_thinking_is_part_of_the_output_and_is_not_paid_twice() -> None:
    assert cost(Usage(output=1000, reasoning=800), SONNET) == cost(Usage(output=1000), SONNET)


def test_without_a_price_there_is_no_cost() -> None:
    assert cost(Usage(input=1), None) is None


def test_a_bucket_without_a_rate_leaves_the_cost_unknown_only_when_it_was_used() -> None:
    price = Price(Rates(Decimal(1), Decimal(2)))
    assert cost(Usage(input=1, cache_write=1), price) is None
    assert cost(Usage(input=1, cache_read=1), price) is None
    assert cost(Usage(input=1_000_000, output=1_000_000), price) == 3


def test_a_long_prompt_pays_its_own_rates_for_the_whole_request() -> None:
    steps = (
        Step(200_000, Rates(Decimal(4), Decimal(20), Decimal(1))),
        Step(500_000, Rates(Decimal(8), Decimal(40))),
    )
    price = Price(Rates(Decimal(2), Decimal(10), Decimal(1)), steps)
    assert cost(Usage(input=200_000), price) == Decimal("0.4")
    assert cost(Usage(input=200_000, cache_read=1), price) == Decimal("0.800001")
    assert cost(Usage(input=600_000, output=10), price) == Decimal("4.8004")
    assert cost(Usage(input=10, output=900_000), price) == Decimal("9.00002"), (
        "answers are no part of the prompt"
    )


@given(usages, rates, rates, rates, rates)
def test_the_cost_is_the_exact_sum_of_the_buckets(
    usage: Usage, one: Decimal, two: Decimal, three: Decimal, four: Decimal
) -> None:
    whole = cost(usage, Price(Rates(one, two, three, four)))
    parts = usage.input * one + usage.output * two + usage.cache_read * three + usage.cache_write * four
    assert whole is not None
    assert whole * 1_000_000 == parts


@given(usages, usages)
def test_two_requests_cost_what_each_of_them_costs(one: Usage, other: Usage) -> None:
    first, second, both = cost(one, SONNET), cost(other, SONNET), cost(one + other, SONNET)
    assert first is not None
    assert second is not None
    assert first + second == both
