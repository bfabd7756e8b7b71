"""The status line's figures: how full the context is, and what the turns cost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from textual.app import App, ComposeResult

from jackfield import ChatRequest, Finished, Started, StreamEvent, TextDelta, Usage
from registry.catalogue.catalogue import Catalogue
from registry.catalogue.prices import Price, Rates
from registry.catalogue.schema import Contents, Entry, ProviderFacts
from registry.chat import Message
from screenshots.take import until
from tests.tui.apps import ask, chatting, screen_text
from tui.account import Account, describe, dollars, percent, settle, short_count
from tui.conversation import Entry as Said
from tui.states import TurnState
from tui.widgets.status import StatusLine

KNOWN = Entry("Big", 200_000, price=Price(Rates(Decimal(3), Decimal(15))))
CATALOGUE = Catalogue(Contents("2026-11-01", {"acme": ProviderFacts({"big": KNOWN})}))
WHOLE = Account(12_300, 200_000, Decimal("0.012"), Decimal("0.154"))


def answer(model: str, usage: Usage | None) -> Said:
    return Said(Message("assistant", (), model), usage=usage)


def text(account: Account) -> str:
    return "".join(describe(account))


def test_all_that_is_known_is_said() -> None:
    assert text(WHOLE) == "  12.3k tokens (6%)  $0.012, $0.154 in all"


def test_what_is_not_known_is_not_said() -> None:
    assert text(Account()) == ""
    assert text(Account(12_300)) == "  12.3k tokens"
    assert text(Account(12_300, 200_000)) == "  12.3k tokens (6%)"


def test_the_context_is_that_of_the_last_turn_and_the_cost_that_of_all() -> None:
    entries = [
        Said(Message.of("user", "Hi")),
        answer("acme/big", Usage(input=1000, output=1000)),
        answer("acme/big", Usage(input=3000, output=1000)),
    ]
    account = settle(entries, 200_000, CATALOGUE)
    assert account == Account(4000, 200_000, Decimal("0.024"), Decimal("0.042"), complete=True)


def test_a_turn_of_unknown_cost_makes_the_total_a_least() -> None:
    entries = [answer("acme/big", Usage(input=1000)), answer("local/small", Usage(input=10))]
    account = settle(entries, None, CATALOGUE)
    assert (account.turn, account.total, account.complete) == (None, Decimal("0.003"), False)
    assert text(account) == "  10 tokens  ≥$0.0030 in all"


def test_a_conversation_with_local_models_alone_says_nothing_of_money() -> None:
    account = settle([answer("local/small", Usage(input=10, output=5))], 2048, CATALOGUE)
    assert text(account) == "  15 tokens (<1%)"


def test_while_an_answer_comes_its_cost_is_not_known() -> None:
    assert text(WHOLE.while_answering(Usage(output=50))) == "  50 tokens (<1%)  $0.154 in all"


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0"), (9999, "9999"), (12_300, "12.3k"), (200_000, "200k"), (999_999, "1M"), (1_048_576, "1.05M")],
)
def test_counts_are_short(number: int, said: str) -> None:
    assert short_count(number) == said


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        ("0", "$0.00"),
        ("0.00001", "<$0.0001"),
        ("0.00042", "$0.0004"),
        ("0.0123", "$0.012"),
        ("3.2", "$3.20"),
    ],
)
def test_amounts_have_the_digits_that_mean_something(amount: str, said: str) -> None:
    assert dollars(Decimal(amount)) == said


def test_a_little_of_the_window_is_more_than_nothing() -> None:
    assert (percent(1, 1000), percent(0, 10), percent(12, 10)) == ("<1%", "0%", "120%")


class Line(App[None]):
    def compose(self) -> ComposeResult:
        yield StatusLine()


@pytest.mark.parametrize(
    ("width", "end"),
    [(80, "$0.154 in all"), (59, "$0.012"), (45, "(6%)"), (41, "12.3k tokens"), (30, "Sonnet 5"), (20, "…")],
)
async def test_the_line_drops_what_has_no_room_from_the_right(width: int, end: str) -> None:
    app = Line()
    async with app.run_test(size=(width, 4)) as pilot:
        status = app.query_one(StatusLine)
        status.state, status.model, status.account = TurnState.READY, "Claude Sonnet 5", WHOLE
        await pilot.pause()
        shown = app.screen._compositor.render_strips(app.size)[0].text.rstrip()
        assert shown.endswith(end)


async def test_the_chat_shows_what_a_turn_used() -> None:
    async def script(_: ChatRequest) -> AsyncIterator[StreamEvent]:
        yield Started()
        yield TextDelta("Hello")
        yield Finished(usage=Usage(input=12_000, output=300))

    async with chatting(script) as (app, pilot):
        await ask(app, pilot, "Hi")
        await until(pilot, lambda: "12.3k tokens" in screen_text(app))
        assert "%" in screen_text(app).splitlines()[-2]
        assert "$" not in screen_text(app).splitlines()[-2], "a local model costs nothing that could be said"
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "tokens" not in screen_text(app))
