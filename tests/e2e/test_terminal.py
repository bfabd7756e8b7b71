"""The terminals that other tests rely on do what they say."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.e2e.homes import wait_until_gone
from tests.e2e.terminal import PtySession, TmuxTerminal
from tests.processes import is_running

PYTHON = sys.executable


def test_what_is_typed_is_on_the_screen() -> None:
    with TmuxTerminal() as terminal:
        terminal.start("cat")
        terminal.type("C-c; -l 'ü' 你;")
        terminal.press("Enter")
        screen = terminal.wait_for(lambda screen: screen.count("C-c; -l 'ü' 你;") == 2)
        assert len(screen.splitlines()) <= 24


def test_the_screen_has_the_size_that_was_asked_for_and_changes() -> None:
    with TmuxTerminal(size=(100, 30)) as terminal:
        terminal.start("sh", "-c", "trap 'stty size' WINCH; stty size; while :; do read line; done")
        terminal.wait_for("30 100")
        terminal.resize(20, 5)
        terminal.wait_for("5 20")


def test_the_environment_reaches_the_command_and_nothing_of_an_outer_tmux_does() -> None:
    with TmuxTerminal(env={"GREETING": "hello there"}) as terminal:
        terminal.start("sh", "-c", 'echo "$GREETING $COLORTERM $TERM"; cat')
        terminal.wait_for("hello there truecolor tmux-256color")


def test_the_screen_of_a_command_that_ended_can_still_be_read() -> None:
    with TmuxTerminal() as terminal:
        terminal.start("sh", "-c", "echo; echo farewell; read -r _; exit 3")
        terminal.wait_for("farewell")  # tmux may lose what is written in the very moment of the end
        terminal.press("Enter")
        assert terminal.wait_for_exit() == 3
        assert "farewell" in terminal.screen()


def test_keys_have_names() -> None:
    with TmuxTerminal() as terminal:
        terminal.start("cat", "-v")
        terminal.press("Escape", "F1", "Enter")
        terminal.wait_for(lambda screen: screen.count("^[^[OP") == 2)
        terminal.press("C-c")
        terminal.wait_for_exit()


def test_colours_can_be_seen() -> None:
    with TmuxTerminal() as terminal:
        terminal.start("sh", "-c", r"printf '\033[31mred\033[0m'; cat")
        terminal.wait_for("red")
        assert "\x1b[31m" in terminal.styled_screen()
        assert "\x1b" not in terminal.screen()


def test_pasted_text_comes_in_brackets_when_they_were_asked_for() -> None:
    with TmuxTerminal() as terminal:
        terminal.start("sh", "-c", r"stty -echo; printf '\033[?2004hready'; cat -v")
        terminal.wait_for("ready")
        terminal.paste("one\ntwo")
        terminal.press("Enter")
        terminal.wait_for("two^[[201~")


def test_waiting_in_vain_shows_the_screen() -> None:
    with TmuxTerminal() as terminal:
        terminal.start("sh", "-c", "echo something else; cat")
        terminal.wait_for("something else")
        with pytest.raises(AssertionError, match="something else"):
            terminal.wait_for("what never comes", timeout_s=0.1)
        with pytest.raises(AssertionError, match="did not end"):
            terminal.wait_for_exit(timeout_s=0.1)


def test_a_terminal_leaves_no_process_behind() -> None:
    with TmuxTerminal() as terminal:
        terminal.start("sh", "-c", "trap '' HUP TERM INT; echo stubborn; while :; do read line; done")
        terminal.wait_for("stubborn")
        process = terminal.process
        assert is_running(process)
    with PtySession("sh", "-c", "trap '' HUP TERM INT; echo stubborn; cat") as session:
        session.wait_for(b"stubborn")
        other = session.process
    assert not is_running(other)
    wait_until_gone({process})  # tmux ends a moment after it was told to, and collects its child until then


def test_every_byte_that_a_command_writes_is_kept() -> None:
    with PtySession("sh", "-c", r"stty raw; printf '\033]52;c;aGk=\007\033[31mred\200\n'") as session:
        assert session.wait_for_exit() == 0
        assert session.output == b"\x1b]52;c;aGk=\x07\x1b[31mred\x80\n"


def test_keys_reach_the_command_and_output_is_searched_from_a_place() -> None:
    with PtySession("cat") as session:
        session.send(b"one\n")
        session.wait_for(lambda output: output.count(b"one\r\n") == 2)
        here = len(session.output)
        session.send(b"\x1b\n")
        assert b"one" not in session.wait_for(b"\x1b\r\n", start=here)
        session.send(b"\x04")
        assert session.wait_for_exit() == 0


def test_a_pty_has_a_size_that_changes_and_it_is_the_controlling_terminal() -> None:
    script = "trap 'stty size </dev/tty' WINCH; stty size; while :; do read line; done"
    with PtySession("sh", "-c", script, size=(120, 40)) as session:
        session.wait_for(b"40 120")
        session.resize(20, 5)
        session.wait_for(b"5 20")


def test_signals_reach_the_command() -> None:
    with PtySession(PYTHON, "-c", "import time; print('up', flush=True); time.sleep(60)") as session:
        session.wait_for(b"up")
        session.signal(signal.SIGTERM)
        assert session.wait_for_exit() == -signal.SIGTERM


def test_waiting_for_bytes_in_vain_ends_with_the_command() -> None:
    with PtySession("sh", "-c", "echo short") as session:
        with pytest.raises(AssertionError, match="short"):
            session.wait_for(b"what never comes", timeout_s=60)
        assert session.wait_for_exit() == 0
