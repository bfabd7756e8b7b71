"""What is asked before a plugin comes in: all of it in plain words, and No unless Yes is chosen."""

from __future__ import annotations

import pytest
from textual.app import App

from registry.marketplace.consent import Ask, Request
from tests.tui.apps import screen_text
from tui.market_text import Origin
from tui.screens.consent import ConsentScreen, consent_text

ASKS = (
    Ask("hook", "on_request"),
    Ask("guard", ""),
    Ask("host", "api.acme.example"),
    Ask("environment", "ACME_TOKEN"),
    Ask("folder", "~/notes"),
    Ask("command", "shout"),
    Ask("provider", "Acme"),
    Ask("auth", "with an API key"),
    Ask("dependency", "anvil"),
)
NEW = Request("acme/shout", "1.0.0", ASKS, ASKS, is_update=False, warnings=("It is deprecated.",))
UPDATE = Request("acme/shout", "2.0.0", ASKS, ASKS[2:3], is_update=True)
ORIGIN = Origin("official", "ab" * 32, 123_456, "1.0.0", "cd" * 32)


class Asking(App[None]):
    """Asks once, and keeps the answer."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request
        self.answers: list[bool | None] = []

    def on_mount(self) -> None:
        self.push_screen(ConsentScreen(self.request, ORIGIN), self.answers.append)


@pytest.mark.parametrize(
    ("keys", "agreed"),
    [
        (["enter"], False),
        (["escape"], False),
        (["n"], False),
        (["y", "n"], False),
        (["y", "up", "enter"], False),
        (["down", "up", "enter"], False),
        (["y", "enter"], True),
        (["down", "enter"], False),
        (["end", "enter"], False),
        (["down", "down", "j", "enter"], False),
        (["y", "down", "enter"], False),
    ],
)
async def test_only_yes_and_enter_agree(keys: list[str], agreed: bool) -> None:
    app = Asking(NEW)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        assert app.answers == [agreed]


async def test_one_key_hit_by_mistake_does_not_agree() -> None:
    app = Asking(NEW)
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press(*"yes i am typing")
        assert app.answers in ([], [False])


def test_everything_is_said_in_plain_words() -> None:
    text = consent_text(NEW, ORIGIN).plain
    for words in (
        "! It is deprecated.",
        "sees and may change all that you send, the earlier messages too",
        "stops the turn when one of its hooks fails",
        "calls api.acme.example",
        "is given the environment variable ACME_TOKEN",
        "reads and writes ~/notes",
        "adds the command /shout",
        "all that you say to it goes to this plugin",
        "asks you to sign in: with an API key",
        "brings the package anvil",
        "nothing enforces them",
        "123 kB, signed by official",
        "cdcdcdcdcdcd → abababababab",
    ):
        assert words in text, words


def test_an_update_shows_only_what_it_asks_for_beyond_what_was_agreed() -> None:
    text = consent_text(UPDATE, ORIGIN).plain
    assert "now asks for more than 1.0.0 did" in text
    assert "+ calls api.acme.example" in text
    assert "and 8 things that you agreed to before" in text
    assert "ACME_TOKEN" not in text


def test_a_late_question_names_no_version_before_and_no_size_that_is_not_known() -> None:
    text = consent_text(UPDATE, Origin("official", "ab" * 32, 0)).plain
    assert "It now asks for more than you agreed to:" in text
    assert "File abababababab, signed by official." in text


def test_who_is_signed_in_to_and_for_what_stands_under_a_heading_of_its_own() -> None:
    asks = (Ask("server", "accounts.acme.example"), Ask("scope", "admin"))
    text = consent_text(Request("acme/shout", "1.0.0", asks, asks, is_update=False), ORIGIN).plain
    assert "Where you sign in\n• has codes and tokens of the sign-in sent to accounts.acme.example" in text
    assert "asks for admin when you sign in" in text


def test_nothing_asked_for_is_said_too() -> None:
    empty = Request("acme/shout", "1.0.0", (), (), is_update=False)
    assert "It asks for nothing" in consent_text(empty, ORIGIN).plain


@pytest.mark.parametrize("size", [(80, 24), (160, 50), (40, 12)])
async def test_a_hundred_requests_leave_the_answers_in_view_and_can_be_read(size: tuple[int, int]) -> None:
    asks = tuple(Ask("host", f"host-{number}.example") for number in range(100))
    app = Asking(Request("acme/shout", "1.0.0", asks, asks, is_update=False))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert "No, do not install it" in screen_text(app)
        assert "host-99.example" not in screen_text(app)
        seen = ""
        for _ in range(60):
            await pilot.press("pagedown")
            seen += screen_text(app)
        assert "host-99.example" in seen
        assert "signed by" in screen_text(app)
        assert "Yes, install it" in screen_text(app)


@pytest.mark.parametrize("text", ["[@click=app.quit]api[/]", "[/x]", "[bold", "[red]api[/red]"])
async def test_markup_in_what_is_asked_for_is_text(text: str) -> None:
    asks = (Ask("host", text), Ask("provider", text))
    app = Asking(Request("acme/shout", "1.0.0", asks, asks, is_update=False, warnings=(text,)))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert f"calls {text}" in screen_text(app)
        assert f"! {text}" in screen_text(app)
