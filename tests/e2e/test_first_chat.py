"""A stranger starts the app for the first time and chats, in a real terminal, with the keyboard alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.homes import LIMIT_S, Home, is_restored, wait_until_gone
from tests.e2e.terminal import Size, TmuxTerminal, wait_until
from tests.processes import processes_under
from tests.tui.cli_harness import COMMAND

pytestmark = pytest.mark.xdist_group("terminal")  # it measures how soon a key is answered

HELLO = "Hello! Who are you?"
STORY = "Tell me a long story about a dragon and a knight, with many chapters."


def start(home: Home, terminal: TmuxTerminal) -> None:
    terminal.start(*COMMAND)
    screen = terminal.wait_for("● ready", LIMIT_S)
    assert "J A C K F I E L D" in screen
    assert "the offline demo model (SmolLM2 135M) answers" in screen


def send(terminal: TmuxTerminal, prompt: str) -> None:
    terminal.type(prompt)
    terminal.press("Enter")


def answer_of(screen: str) -> list[str]:
    """The lines of the last answer on the screen; a long one has pushed its label out of view."""
    lines = screen.splitlines()
    labels = [number for number, line in enumerate(lines) if line.strip().startswith("offline demo model")]
    label = max(labels, default=-1)
    below = lines[label + 1 :]
    return [
        line.strip()
        for line in below[: below.index(next(x for x in below if x.startswith("╭")))]
        if line.strip()
    ]


@pytest.mark.network
@pytest.mark.timeout(400)
def test_the_model_is_fetched_with_the_first_prompt_and_answers(tmp_path: Path, model_folder: Path) -> None:
    assert model_folder.exists()  # fetched at another time, so that the two do not share the network
    fresh = {"JACKFIELD_HOME": str(tmp_path / "home")}
    with TmuxTerminal(size=(80, 24), env=fresh) as terminal:
        terminal.start(*COMMAND)
        terminal.wait_for("● ready", LIMIT_S)
        send(terminal, HELLO)
        terminal.wait_for("◐ Fetching the offline demo model", LIMIT_S)
        screen = terminal.wait_for("━", 120)
        assert re.search(r"[1-9]\d* of \d+ ", screen)
        assert "Who are you?" in screen
        screen = terminal.wait_for("tokens", 300)
        assert answer_of(screen)
        terminal.press("C-q")
        assert terminal.wait_for_exit(LIMIT_S) == 0


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_a_stranger_chats_stops_an_answer_and_leaves(model_home: Home, size: Size) -> None:
    with model_home.terminal(size) as terminal:
        start(model_home, terminal)
        send(terminal, HELLO)
        screen = terminal.wait_for(lambda screen: "● ready" in screen and "tokens" in screen, LIMIT_S)
        hello = answer_of(screen)
        assert hello

        send(terminal, STORY)

        def answers(screen: str) -> bool:
            """The second answer is under way: until it has a line, the last one is the first."""
            found = answer_of(screen)
            return "answering" in screen and len(found) >= 2 and found[0] != hello[0]

        screen = terminal.wait_for(answers, LIMIT_S)
        shown = answer_of(screen)[0]
        terminal.press("Escape")
        screen = terminal.wait_for("■ stopped")  # the whole one takes far longer, and ends otherwise
        assert shown in screen
        wait_until(lambda: model_home.said()[3][1] == "stopped", LIMIT_S, "what came is kept")
        assert shown[:20] in model_home.said()[3][2]

        under = processes_under(terminal.process)
        assert under, "the embedded model runs in a process of its own"
        terminal.press("C-q")
        assert terminal.wait_for_exit(LIMIT_S) == 0
        wait_until_gone(under)
        assert "╭" not in terminal.screen()


def test_every_screen_is_reached_and_left_with_the_keyboard(home: Home) -> None:
    with home.terminal() as terminal:
        start(home, terminal)
        terminal.press("F1")
        terminal.wait_for("Begin a new conversation")
        terminal.press("Escape")
        terminal.wait_for(lambda screen: "Begin a new conversation" not in screen)

        terminal.press("F2")
        terminal.wait_for("anthropic")
        terminal.type("/")
        terminal.wait_for("Name, summary, provider or command")
        terminal.type("today")
        terminal.wait_for("1 shown")
        terminal.press("Enter")
        terminal.wait_for("space On/off")
        terminal.press("Space")
        terminal.wait_for(lambda screen: "● today" in screen)
        wait_until(lambda: switched(home) == [True], LIMIT_S, "config.toml follows")
        terminal.press("Space")
        terminal.wait_for(lambda screen: "○ today" in screen)
        wait_until(lambda: switched(home) == [False], LIMIT_S, "config.toml follows again")
        terminal.press("Escape", "Escape")
        terminal.wait_for("J A C K F I E L D")

        terminal.press("F3")
        terminal.wait_for("Type to filter")
        terminal.type("smol")
        terminal.press("Enter")
        terminal.wait_for(lambda screen: "Enter chooses" not in screen)
        wait_until(lambda: 'model = "local/' in home.config.read_text(), LIMIT_S, "the choice is kept")

        terminal.press("C-p")
        terminal.wait_for("Search for commands")
        terminal.type("History")
        terminal.wait_for(lambda screen: "Earlier conv" in screen and "Search in the" not in screen)
        terminal.press("Enter")
        terminal.wait_for("No earlier conversation yet")
        terminal.press("Escape")
        terminal.wait_for("J A C K F I E L D")
        terminal.press("C-q")
        assert terminal.wait_for_exit(LIMIT_S) == 0


def switched(home: Home) -> list[bool]:
    """Whether `today` is on, as config.toml says."""
    from tomllib import loads

    if not home.config.exists():
        return []
    plugins = loads(home.config.read_text(encoding="utf-8")).get("plugins", {})
    return [table["enabled"] for name, table in plugins.items() if name == "today"]


def test_leaving_gives_the_terminal_back_as_it_was(home: Home) -> None:
    with home.pty() as session:
        session.wait_for(lambda output: b"ready" in output and not session.echoes, timeout_s=LIMIT_S)
        assert not is_restored(session.output)
        session.send(b"\x11")
        assert session.wait_for_exit(LIMIT_S) == 0
        assert is_restored(session.output)
        assert session.echoes


def test_a_prompt_typed_in_one_go_is_sent_whole_and_what_follows_is_not_lost(home: Home) -> None:
    home.configure("scene", model="scene/echo")
    with home.pty() as session:
        session.wait_for(b"ready", timeout_s=LIMIT_S)
        here = len(session.output)
        session.send(b"first prompt\rand then")  # faster than anyone types
        session.wait_for(b"<first prompt>", timeout_s=LIMIT_S)
        session.wait_for(b"tokens", start=here, timeout_s=LIMIT_S)  # its end: nothing is sent before
        session.send(b" more\r")
        session.wait_for(b"<and then more>", timeout_s=LIMIT_S)
