"""The terminal changes its size, the system asks the app to end, files are not as they should be."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.e2e.homes import (
    LIMIT_S,
    Home,
    is_restored,
    wait_for_said,
    wait_until_gone,
)
from tests.e2e.terminal import PtySession, wait_until
from tests.processes import processes_under
from tests.tui.cli_harness import COMMAND

pytestmark = [
    pytest.mark.xdist_group("terminal"),  # some measure how soon a key is answered
    pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals and terminals there"),
]


def start(home: Home, *before: str) -> PtySession:
    return home.pty(before=before)


def ready(session: PtySession) -> None:
    session.wait_for(b"ready", timeout_s=LIMIT_S)


def do(session: PtySession, keys: bytes, expected: bytes, limit_s: float = LIMIT_S) -> None:
    here = len(session.output)
    session.send(keys)
    session.wait_for(expected, start=here, timeout_s=limit_s)


def streaming(home: Home) -> PtySession:
    """The app in the middle of an answer that has no end."""
    home.configure("scene", model="scene/steady")
    session = start(home)
    ready(session)
    do(session, b"go\r", b"w00005")
    return session


# -- sizes --------------------------------------------------------------------------------------------------


def test_a_terminal_made_tiny_while_an_answer_streams_loses_nothing(home: Home) -> None:
    home.configure("scene", model="scene/page")
    with home.terminal() as terminal:
        terminal.start(*COMMAND)
        terminal.wait_for("ready", LIMIT_S)
        terminal.type("go")
        terminal.press("Enter")
        terminal.wait_for("w00010", LIMIT_S)
        terminal.resize(20, 5)
        screen = terminal.wait_for(lambda screen: "w00060" in screen and "w00001" not in screen, LIMIT_S)
        assert max(map(len, screen.splitlines())) <= 20
        terminal.resize(80, 24)
        terminal.wait_for(
            lambda screen: "You" in screen and "w00001" in screen and "answering" in screen, LIMIT_S
        )
        terminal.press("Escape")
        terminal.wait_for("stopped")


def test_a_storm_of_sizes_is_weathered(home: Home) -> None:
    with streaming(home) as session:
        for number in range(300):
            session.resize(20 + number % 100, 5 + number % 36)
            session.signal(signal.SIGWINCH)
        session.resize(1, 1)
        session.resize(80, 24)
        do(session, b"still here", b"here")
        do(session, b"\x1b", b"stopped")


# -- signals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_signal_ends_the_app_in_good_order(home: Home, number: int, code: int) -> None:
    with streaming(home) as session:
        under = processes_under(session.process)
        session.signal(number)
        assert session.wait_for_exit(LIMIT_S) == code
        assert is_restored(session.output)
        assert session.echoes
    _, (_, state, text) = home.said()
    assert state == "stopped"
    assert "w00005" in text
    wait_until_gone(under)


def test_a_signal_ends_the_embedded_model_too(model_home: Home) -> None:
    with start(model_home) as session:
        ready(session)
        do(session, b"Tell me a long story about a dragon and a knight.\r", b"answering")
        under = processes_under(session.process)
        assert under
        session.signal(signal.SIGTERM)
        assert session.wait_for_exit(LIMIT_S) == 143
        wait_until_gone(under)
    assert model_home.said()[1][1] == "stopped"


def test_ctrl_c_neither_ends_the_app_nor_stops_the_answer_but_says_which_key_does(home: Home) -> None:
    with streaming(home) as session:
        do(session, b"\x03", b"quit")
        do(session, b"", b"w00150")
        do(session, b"\x1b", b"stopped")
        session.send(b"\x11")
        assert session.wait_for_exit(LIMIT_S) == 0


# -- things that hang ---------------------------------------------------------------------------------------


def test_keys_are_echoed_while_a_hook_blocks_its_thread(home: Home) -> None:
    home.configure("scene", "scene-hanging", model="scene/echo")
    with start(home) as session:
        ready(session)
        do(session, b"go\r", b"waiting")
        wait_until(lambda: "hanging" in home.notes, LIMIT_S, "the hook hangs")
        for word in (b"quick", b"brown", b"foxes"):
            do(session, word + b" ", word)
        assert b"<go>" not in session.output, "the keys waited until the hook was given up"
        session.wait_for(b"<go>", timeout_s=LIMIT_S)
        session.send(b"\x11")
        assert session.wait_for_exit(LIMIT_S) == 0


@pytest.mark.parametrize("model", ["silent", "stubborn", "stuck"])
def test_escape_frees_the_user_from_a_provider_that_never_answers(home: Home, model: str) -> None:
    home.configure("scene", model=f"scene/{model}")
    with start(home) as session:
        ready(session)
        for prompt in (b"go\r", b"and on\r"):
            do(session, prompt, b"waiting" if model == "silent" else b"answering")
            do(session, b"\x1b", b"stopped")
        assert b"on its way" not in session.output
        session.send(b"\x11")
        assert session.wait_for_exit(LIMIT_S) == 0
        assert is_restored(session.output)


def test_escape_right_after_enter_keeps_the_prompt_and_stops(home: Home) -> None:
    home.configure("scene", model="scene/silent")
    with start(home) as session:
        ready(session)
        do(session, b"go\r", b"You")
        do(session, b"\x1b", b"stopped")
        do(session, b"\x12", b"waiting")  # it can be asked again
        session.send(b"\x11")
        assert session.wait_for_exit(LIMIT_S) == 0
    assert [text for role, _, text in home.said() if role == "user"] == ["go"]
    with start(home) as session:
        ready(session)
        do(session, b"and on\r", b"waiting")
        assert b"interrupted" not in session.output


# -- files --------------------------------------------------------------------------------------------------


def break_toml(home: Home) -> None:
    home.config.write_text("theme = [\n", encoding="utf-8")


def make_folder(home: Home) -> None:
    home.config.unlink()
    home.config.mkdir()


def make_read_only(home: Home) -> None:
    home.config.chmod(0o444)
    home.config.parent.chmod(0o555)


@pytest.mark.parametrize("spoil", [break_toml, make_folder, make_read_only])
def test_a_configuration_that_cannot_be_used_is_told_and_left_alone(home: Home, spoil: object) -> None:
    home.configure("scene", model="scene/echo")
    assert callable(spoil)
    spoil(home)
    before = home.config.read_bytes() if home.config.is_file() else sorted(home.config.iterdir())
    with start(home) as session:
        ready(session)
        if spoil is make_read_only:
            do(session, b"go\r", b"<go>")
        else:
            session.wait_for(b"config.toml", timeout_s=LIMIT_S)
        do(session, b"\x1bOQ", b"Plugins")
        do(session, b"\x1b[F \x1b[B", b"cannot" if spoil is not break_toml else b"not")
        do(session, b"\x1b[27u", b"Write" if spoil is not make_read_only else b"go")
        session.send(b"\x11")
        assert session.wait_for_exit(LIMIT_S) == 0
    after = home.config.read_bytes() if home.config.is_file() else sorted(home.config.iterdir())
    assert after == before


def test_without_a_place_for_the_history_the_app_chats_and_says_so(home: Home) -> None:
    home.configure("scene", model="scene/echo")
    (home.folder / "data").write_text("a file where a folder belongs", encoding="utf-8")
    with start(home) as session:
        ready(session)
        session.wait_for(b"history", timeout_s=LIMIT_S)
        do(session, b"go\r", b"<go>")
        session.send(b"\x11")
        assert session.wait_for_exit(LIMIT_S) == 0
    assert (home.folder / "data").read_text(encoding="utf-8") == "a file where a folder belongs"


def test_a_home_that_is_a_file_costs_what_is_kept_and_not_the_chat(home: Home) -> None:
    folder = home.folder / "home"
    folder.write_text("a file", encoding="utf-8")
    with start(home, "env", f"JACKFIELD_HOME={folder}") as session:
        ready(session)
        do(session, b"hello", b"hello")
        session.send(b"\x11")
        assert session.wait_for_exit(LIMIT_S) == 0


# -- terminals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variables",
    [
        ("TERM=dumb",),
        ("TERM=linux", "COLORTERM="),
        ("NO_COLOR=1",),
        ("LC_ALL=C", "LANG=C", "PYTHONUTF8=0"),
    ],
    ids=" ".join,
)
def test_it_chats_in_poor_terminals(home: Home, variables: tuple[str, ...]) -> None:
    home.configure("scene", model="scene/echo")
    with start(home, "env", *variables) as session:
        ready(session)
        do(session, "caf\u00e9\r".encode(), b"<caf")
        if "NO_COLOR=1" in variables:
            assert b"\x1b[38;2;216;166;87" not in session.output
        session.send(b"\x11")
        assert session.wait_for_exit(LIMIT_S) == 0
        assert b"Traceback" not in session.output
    wait_for_said(home, lambda said: said[0][2] == "caf\u00e9")


def test_output_that_is_no_terminal_is_a_usage_error(home: Home) -> None:
    with start(home, "sh", "-c", '{ "$@"; echo "code $?" >&2; } | cat', "sh") as session:
        session.wait_for_exit(LIMIT_S)
        assert b"jackfield needs a terminal" in session.output
        assert b"code 2" in session.output
        assert b"\x1b" not in session.output
