"""The command `jackfield` itself: version, help, mistakes, and terminals that are none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tui.cli.plugins
from jackfield import __version__
from tests.tui.cli_harness import LIMIT_S, Shell, new_shell
from tui.cli import main


@pytest.fixture
def shell(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A home in which all plugins of the tests are installed and off."""
    return new_shell(tmp_path / "home", tmp_path_factory)


@pytest.mark.parametrize("arguments", [["--version"], ["-V"], ["--safe-mode", "--version"]])
def test_the_version_is_told(shell: Shell, arguments: list[str]) -> None:
    result = shell.run(*arguments)
    assert (result.code, result.out, result.err) == (0, f"jackfield {__version__}\n", "")


def test_the_version_loads_next_to_nothing(shell: Shell) -> None:
    script = "import sys; from tui.cli import main; main(['--version']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=LIMIT_S, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "tui.cli" in loaded
    heavy = {"textual", "httpx", "pydantic", "keyring", "argparse", "asyncio", "importlib.metadata"}
    assert loaded.isdisjoint(heavy)


def test_help_lists_commands_examples_and_exit_codes(shell: Shell) -> None:
    result = shell.run("--help")
    assert (result.code, result.err) == (0, "")
    for expected in ("ask ", "models ", "plugins ", "examples:", "exit codes:", "--safe-mode"):
        assert expected in result.out
    assert max(map(len, result.out.splitlines())) <= 80


@pytest.mark.parametrize(
    "command", [["ask"], ["models"], ["plugins"], ["plugins", "enable"], ["plugins", "install"]]
)
def test_each_command_has_help_that_fits_a_terminal(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: jackfield {' '.join(command)}")
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    "arguments", [["chat\x1b[31m"], ["--colour\x9b31m"], ["plugins"], ["plugins", "lst"]]
)
def test_a_mistake_on_the_command_line_is_told_in_a_line_without_harm(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert "--help` shows what there is" in captured.err
    assert not set("\x1b\x9b") & set(captured.err)


@pytest.mark.parametrize("arguments", [[], ["--safe-mode"]])
def test_without_a_terminal_the_app_says_what_to_use_instead(shell: Shell, arguments: list[str]) -> None:
    result = shell.run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err == "jackfield needs a terminal; use `jackfield ask` in scripts and pipes.\n"


def _break(**_: object) -> int:
    raise RuntimeError("a bug\x1b[31m")


def test_a_bug_is_a_short_message_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tui.cli.plugins, "list_plugins", _break)
    assert main(["plugins", "list"]) == 1
    shown = capsys.readouterr().err
    assert "RuntimeError: a bug\n" in shown
    assert "JACKFIELD_DEBUG=1" in shown
    assert "Traceback" not in shown


def test_a_bug_shows_where_it_is_when_asked_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tui.cli.plugins, "list_plugins", _break)
    monkeypatch.setenv("JACKFIELD_DEBUG", "1")
    assert main(["plugins", "list"]) == 1
    assert "in _break" in capsys.readouterr().err


def test_ctrl_c_anywhere_is_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(**_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(tui.cli.plugins, "list_plugins", interrupt)
    assert main(["plugins", "list"]) == 130
    assert capsys.readouterr() == ("", "")
