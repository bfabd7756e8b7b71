"""`jackfield ask` in scripts and pipes: what goes where, how it ends, and that nothing is left running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.terminal import PtySession
from tests.tui.cli_harness import COMMAND, LIMIT_S, Shell, new_shell

posix = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are not to be had there")


@pytest.fixture
def acme(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A home where the provider of the tests is on."""
    shell = new_shell(tmp_path / "home", tmp_path_factory)
    shell.switch_on("acme")
    return shell


def events_of(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


# -- questions and answers ----------------------------------------------------------------------------------


def test_the_answer_goes_to_standard_output_with_a_newline_at_its_end(acme: Shell) -> None:
    result = acme.run("ask", "Hello", "--model", "acme/echo")
    assert (result.code, result.out, result.err) == (0, "<Hello>\n", "")


def test_standard_input_follows_the_question_after_a_blank_line(acme: Shell) -> None:
    result = acme.run("ask", "--model", "acme/echo", "Review this:", stdin=b"\xef\xbb\xbfone\ntwo\n")
    assert result.out == "<Review this:\n\none\ntwo>\n"


def test_standard_input_alone_is_the_question(acme: Shell) -> None:
    assert acme.run("ask", "--model", "acme", stdin=b"caf\xc3\xa9 \xff").out == "<café \ufffd>\n"


def test_the_system_prompt_reaches_the_model(acme: Shell) -> None:
    assert acme.run("ask", "-m", "acme/echo", "-s", "Be kind.", "Hi").out == "Be kind.<Hi>\n"


def test_the_configured_model_answers_when_none_is_named(acme: Shell) -> None:
    acme.config.write_text('model = "acme/hostile"\n' + acme.config.read_text())
    assert acme.run("ask", "Hi").out.startswith("abcd")


def test_a_question_without_words_is_a_usage_error(acme: Shell) -> None:
    result = acme.run("ask")
    assert (result.code, result.out) == (2, "")
    assert "There is nothing to ask" in result.err


@posix
def test_a_closed_standard_input_is_as_good_as_an_empty_one(acme: Shell) -> None:
    done = subprocess.run(
        [*COMMAND, "ask", "-m", "acme/echo", "Hi"],
        preexec_fn=lambda: os.close(0),
        capture_output=True,
        env=acme.environment(),
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"<Hi>\n")


@posix
@pytest.mark.parametrize("arguments", [["ask", "-m", "acme/echo", "Hi"], ["models"]])
def test_a_closed_standard_output_is_a_clear_failure(acme: Shell, arguments: list[str]) -> None:
    done = subprocess.run(
        [*COMMAND, *arguments],
        preexec_fn=lambda: os.close(1),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=acme.environment(),
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: There is no standard output")


def test_hostile_text_of_a_model_reaches_a_pipe_harmless(acme: Shell) -> None:
    assert acme.run("ask", "-m", "acme/hostile", "Hi").out == "abcd\ne\n"


def test_what_a_plugin_prints_does_not_mix_with_the_answer(acme: Shell) -> None:
    result = acme.run("ask", "-m", "acme/chatty", "Hi")
    assert result.out == "answer\n"
    assert "printed by a plugin" in result.err


def test_an_answer_cut_by_its_limit_is_told_beside_it(acme: Shell) -> None:
    result = acme.run("ask", "-m", "acme/short", "Hi")
    assert (result.code, result.out) == (0, "Once upon\n")
    assert "reached its limit" in result.err


# -- failures -----------------------------------------------------------------------------------------------


def test_a_failure_shows_title_cause_and_next_step_on_standard_error(acme: Shell) -> None:
    result = acme.run("ask", "-m", "acme/early", "Hi")
    assert (result.code, result.out) == (1, "")
    assert result.err == "error: Too many questions\n  429\n  Wait a minute.\n"


def test_what_came_before_a_failure_stands(acme: Shell) -> None:
    result = acme.run("ask", "-m", "acme/late", "Hi")
    assert (result.code, result.out) == (1, "Half an\n")


@pytest.mark.parametrize("model", ["nobody/gpt", "fails\x1b[31m/x"])
def test_an_unknown_provider_has_an_exit_code_of_its_own(acme: Shell, model: str) -> None:
    result = acme.run("ask", "-m", model, "Hi")
    assert (result.code, result.out) == (3, "")
    assert "There is no provider named" in result.err
    assert "\x1b" not in result.err


@pytest.mark.parametrize("variables", [{}, {"JACKFIELD_PLUGINS": "none"}])
def test_without_plugins_no_model_answers_and_no_code_of_theirs_runs(
    acme: Shell, variables: dict[str, str]
) -> None:
    arguments = [] if variables else ["--safe-mode"]
    result = replace(acme, env=variables).run(*arguments, "ask", "-m", "acme/echo", "Hi")
    assert (result.code, result.out, acme.notes) == (3, "", [])
    assert "plugins are off" in result.err


def test_problems_of_the_configuration_are_told_and_the_answer_comes(acme: Shell) -> None:
    acme.config.write_text('modle = "acme/echo"\n' + acme.config.read_text())
    result = acme.run("ask", "-m", "acme/echo", "Hi")
    assert (result.code, result.out) == (0, "<Hi>\n")
    assert result.err.count("modle") == 1
    assert result.err.startswith("warning: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("arguments", [["ask", "-m", "acme/echo", "Hi"], ["plugins", "list"], ["--version"]])
def test_output_that_cannot_be_written_is_a_failure(acme: Shell, arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            env=acme.environment(),
            timeout=LIMIT_S,
            check=False,
        )
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


# -- hooks --------------------------------------------------------------------------------------------------


def test_a_failed_hook_is_told_beside_the_answer(acme: Shell) -> None:
    acme.switch_on("acme-raising")
    result = acme.run("ask", "-m", "acme/echo", "Hi")
    assert (result.code, result.out) == (0, "<Hi>\n")
    assert result.err == "warning: The plugin acme-raising failed in on_request: ValueError: no such thing\n"


def test_a_plugin_that_cannot_be_loaded_is_told_beside_the_answer(acme: Shell) -> None:
    acme.switch_on("acme-unloadable")
    result = acme.run("ask", "-m", "acme/echo", "Hi")
    assert (result.code, result.out) == (0, "<Hi>\n")
    assert "acme-unloadable" in result.err
    assert "no room" in result.err


def test_a_pipe_gets_the_answer_as_hooks_left_it_and_only_that(acme: Shell) -> None:
    acme.switch_on("acme-shout")
    assert acme.run("ask", "-m", "acme/echo", "Hi").out == "<HI>\n"


def test_an_answer_that_hooks_would_have_changed_is_not_lost_when_it_fails(acme: Shell) -> None:
    acme.switch_on("acme-shout")
    result = acme.run("ask", "-m", "acme/late", "Hi")
    assert (result.code, result.out) == (1, "Half an\n")


def test_a_guard_that_fails_lets_nothing_through(acme: Shell) -> None:
    acme.switch_on("acme-guard")
    result = acme.run("ask", "-m", "acme/echo", "Hi")
    assert (result.code, result.out) == (1, "")
    assert "The guard acme-guard failed" in result.err


# -- JSON ---------------------------------------------------------------------------------------------------


def test_json_gives_an_object_a_line_and_the_whole_answer_last(acme: Shell) -> None:
    acme.switch_on("acme-shout", "acme-raising")
    result = acme.run("ask", "--json", "-m", "acme/echo", "Hi")
    events = events_of(result.out)
    assert (result.code, result.err) == (0, "")
    assert [event["type"] for event in events] == [
        "hook_failed",
        "thinking",
        "text",
        "hook_changed",
        "finished",
    ]
    assert events[0] == {
        "type": "hook_failed",
        "plugin": "acme-raising",
        "hook": "on_request",
        "reason": "ValueError: no such thing",
        "switched_off": False,
    }
    assert events[2] == {"type": "text", "text": "<Hi>"}
    assert "+" in events[3]["diff"]
    assert events[-1] == {
        "type": "finished",
        "text": "<HI>",
        "stop": "end",
        "usage": {"input": 3, "cache_read": 0, "cache_write": 0, "output": 5, "reasoning": 0},
        "model": "acme/echo",
    }


def test_json_names_plugins_that_cannot_be_loaded_before_its_last_line(acme: Shell) -> None:
    acme.switch_on("acme-unloadable")
    events = events_of(acme.run("ask", "--json", "-m", "acme/echo", "Hi").out)
    assert [event["plugin"] for event in events if event["type"] == "hook_failed"] == ["acme-unloadable"]
    assert events[-1]["type"] == "finished"


def test_json_ends_with_the_error_of_a_failed_turn(acme: Shell) -> None:
    result = acme.run("ask", "--json", "-m", "acme/late", "Hi")
    assert result.code == 1
    assert events_of(result.out) == [
        {"type": "text", "text": "Half an"},
        {
            "type": "error",
            "kind": "rate_limited",
            "title": "Too many questions",
            "detail": "429",
            "hint": "Wait a minute.",
        },
    ]


def test_json_says_when_no_model_is_there(acme: Shell) -> None:
    result = acme.run("--safe-mode", "ask", "--json", "Hi")
    assert result.code == 3
    assert [event["kind"] for event in events_of(result.out)] == ["no_model"]


def test_json_is_ascii_and_has_one_progress_line_for_a_percent(acme: Shell) -> None:
    result = acme.run("ask", "--json", "-m", "acme/download", "Hi")
    progress = [event for event in events_of(result.out) if event["type"] == "progress"]
    assert result.out.isascii()
    assert len(progress) == 102
    assert progress[0]["label"] == "Fetching it"


# -- progress -----------------------------------------------------------------------------------------------


def test_progress_is_a_few_lines_on_standard_error_where_that_is_no_terminal(acme: Shell) -> None:
    result = acme.run("ask", "-m", "acme/download", "Hi")
    assert (result.out, result.err) == ("Ready.\n", "Fetching it\nLoading\n")


def test_progress_can_be_left_out(acme: Shell) -> None:
    assert acme.run("ask", "-m", "acme/download", "--no-progress", "Hi").err == ""


@posix
def test_progress_is_a_line_that_is_gone_before_the_answer_on_a_terminal(acme: Shell) -> None:
    command = [*COMMAND, "ask", "-m", "acme/download", "Hi"]
    with PtySession(*command, env=acme.environment()) as terminal:
        code = terminal.wait_for_exit()
        output = terminal.output
    assert code == 0
    assert b"\r\x1b[KFetching it  [........................]   0%  0 of 100 MB" in output
    assert b"[########################] 100%  100 of 100 MB" in output
    assert output.endswith(b"\r\x1b[KReady.\r\n")


@posix
def test_a_terminal_sees_the_stream_and_is_told_of_a_later_change(acme: Shell) -> None:
    acme.switch_on("acme-shout")
    with PtySession(*COMMAND, "ask", "-m", "acme/echo", "Hi", env=acme.environment()) as terminal:
        assert terminal.wait_for_exit() == 0
        assert terminal.output.startswith(b"<Hi>\r\nacme-shout changed the answer")
