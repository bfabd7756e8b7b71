"""`jackfield plugins` and `jackfield models`: what they show, what they change, how they fail."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.terminal import PtySession
from tests.tui.cli_harness import COMMAND, ENTRY_POINTS, LIMIT_S, Shell, new_shell
from tui.cli.plugins import STATE_WORDS
from tui.plugin_text import PLUGIN_LOOKS


@pytest.fixture
def shell(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A home in which all plugins of the tests are installed and off."""
    return new_shell(tmp_path / "home", tmp_path_factory)


def by_name(plugins: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {plugin["name"]: plugin for plugin in plugins}


# -- list and show ------------------------------------------------------------------------------------------


def test_the_list_has_a_row_for_each_plugin_with_what_is_known_of_it(shell: Shell) -> None:
    shell.switch_on("acme")
    result = shell.run("plugins", "list")
    lines = result.out.splitlines()
    assert (result.code, result.err) == (0, "")
    assert lines[0].split() == ["NAME", "VERSION", "STATE", "PUBLISHER", "CONTRIBUTES", "SUMMARY"]
    acme = next(line for line in lines if line.startswith("acme "))
    assert acme.split(maxsplit=3)[:3] == ["acme", "1.2.0", "on"]
    assert "Acme Corp" in acme
    assert "providers acme; commands /wave" in acme
    assert "Scenes for tests" in acme
    column = lines[0].index("STATE")
    assert next(line for line in lines if line.startswith("acme-shout"))[column:].startswith("off ")


def test_the_list_says_why_a_plugin_failed(shell: Shell) -> None:
    lines = shell.run("plugins", "list").out.splitlines()
    row = next(number for number, line in enumerate(lines) if line.startswith("acme-broken"))
    assert "failed" in lines[row]
    assert "NoSuchPlugin" in lines[row + 1]


def test_json_has_the_state_of_each_plugin(shell: Shell) -> None:
    shell.switch_on("acme")
    result = shell.run("plugins", "list", "--json")
    plugins = by_name(json.loads(result.out))
    assert set(ENTRY_POINTS) <= set(plugins)
    assert plugins["acme"] == {
        "name": "acme",
        "version": "1.2.0",
        "state": "enabled",
        "reason": "",
        "publisher": "Acme Corp",
        "summary": "Scenes for tests",
        "providers": ["acme"],
        "commands": ["wave"],
        "hooks": [],
        "auth_methods": ["no_auth"],
    }
    assert plugins["acme-shout"]["state"] == "installed"
    assert plugins["acme-broken"]["state"] == "failed"


def test_nothing_that_an_author_wrote_acts_on_the_terminal(shell: Shell) -> None:
    assert "\x1b" not in shell.run("plugins", "list").out


def test_states_have_the_words_of_the_plugins_screen() -> None:
    assert {look.word for state, look in PLUGIN_LOOKS.items() if state.value in STATE_WORDS} == set(
        STATE_WORDS.values()
    )


def test_show_tells_all_that_is_known(shell: Shell) -> None:
    rows = [line.split(maxsplit=1) for line in shell.run("plugins", "show", "acme").out.splitlines()]
    assert ["state", "off"] in rows
    assert ["code", "acme_plugins:ScenePlugin"] in rows
    assert ["providers", "acme  Acme (echo, hostile)"] in rows
    assert ["commands", "/wave  Waves"] in rows


def test_show_gives_the_manifest_as_json(shell: Shell) -> None:
    shown = json.loads(shell.run("plugins", "show", "acme-guard", "--json").out)
    assert (shown["state"], shown["guard"], shown["hooks"]) == ("installed", True, ["on_response"])


def test_a_list_in_safe_mode_runs_no_plugin_code(shell: Shell, tmp_path: Path) -> None:
    fresh = replace(shell, home=tmp_path / "fresh")
    fresh.home.mkdir()
    listed = by_name(json.loads(fresh.run("--safe-mode", "plugins", "list", "--json").out))
    assert listed["acme"]["state"] == "installed"
    assert listed["acme"]["version"] == ""
    assert not (fresh.home / "cache" / "manifests.json").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are not to be had there")
@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_for_terminals_that_want_them(
    shell: Shell, variables: dict[str, str], coloured: bool
) -> None:
    env = shell.environment()
    env.pop("NO_COLOR", None)
    with PtySession(*COMMAND, "plugins", "list", size=(60, 24), env={**env, **variables}) as terminal:
        assert terminal.wait_for_exit() == 0
        lines = terminal.output.decode().split("\r\n")
    assert ("\x1b[" in "".join(lines)) is coloured
    if not coloured:
        assert max(map(len, lines[:2])) <= 60


# -- enable and disable -------------------------------------------------------------------------------------


def test_switching_is_kept_in_the_configuration_beside_its_comments(shell: Shell) -> None:
    shell.config.parent.mkdir(exist_ok=True)
    shell.config.write_text("# mine\n[plugins.acme]  # theirs\nenabled = false\n", encoding="utf-8")
    enabled = shell.run("plugins", "enable", "acme")
    assert (enabled.code, enabled.out) == (0, "acme is on.\n")
    assert shell.config.read_text(encoding="utf-8") == "# mine\n[plugins.acme]  # theirs\nenabled = true\n"
    assert shell.run("ask", "-m", "acme/echo", "Hi").out == "<Hi>\n"
    assert shell.run("plugins", "disable", "acme").out == "acme is off.\n"
    assert shell.run("ask", "-m", "acme/echo", "Hi").code == 3


def test_enabling_code_of_others_says_what_that_means(shell: Shell) -> None:
    assert "may do whatever you may" in shell.run("plugins", "enable", "acme").err
    assert shell.run("plugins", "enable", "commands").err == ""


@pytest.mark.parametrize("action", ["enable", "disable", "show"])
def test_an_unknown_name_is_answered_with_the_nearest(shell: Shell, action: str) -> None:
    result = shell.run("plugins", action, "acme-shot\x1b[31m")
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[0] == "error: There is no plugin named acme-shot"
    assert "Did you mean acme-shout" in result.err
    assert not shell.config.exists()


def test_a_broken_plugin_is_not_enabled_and_says_why(shell: Shell) -> None:
    result = shell.run("plugins", "enable", "acme-broken")
    assert (result.code, result.out) == (1, "")
    assert "NoSuchPlugin" in result.err
    assert not shell.config.exists()


def test_a_broken_configuration_is_not_overwritten(shell: Shell) -> None:
    shell.config.parent.mkdir(exist_ok=True)
    shell.config.write_text("[plugins\n", encoding="utf-8")
    result = shell.run("plugins", "enable", "acme")
    assert result.code == 1
    assert "config.toml" in result.err
    assert "Traceback" not in result.err
    assert shell.config.read_text(encoding="utf-8") == "[plugins\n"


# -- models -------------------------------------------------------------------------------------------------


def test_models_are_listed_with_what_their_server_says_now(shell: Shell) -> None:
    shell.switch_on("acme")
    result = shell.run("models", "--provider", "acme")
    lines = result.out.splitlines()
    assert (result.code, result.err) == (0, "")
    assert lines[0].split() == ["MODEL", "CONTEXT", "OUTPUT", "READS", "THINKS", "$/M", "IN/OUT"]
    assert lines[1].split() == ["acme/echo", "8192", "-", "-", "-", "-"]
    assert lines[2].split() == ["acme/hostile", "-", "-", "-", "-", "-"]
    assert lines[3].split() == ["acme/live", "-", "-", "-", "-", "-"]
    assert lines[1].index("8192") == lines[0].index("CONTEXT")


def test_models_as_json(shell: Shell) -> None:
    shell.switch_on("acme")
    listed = json.loads(shell.run("models", "-p", "acme", "--json").out)
    assert listed[0] == {
        "reference": "acme/echo",
        "provider": "acme",
        "id": "echo",
        "title": "Acme Echo",
        "context_window": 8192,
        "output_limit": None,
        "modalities": ["text"],
        "reasoning": False,
        "tools": False,
        "price": None,
    }


def test_a_provider_that_fails_or_hangs_does_not_hide_the_others(shell: Shell) -> None:
    shell.switch_on("acme", "acme-lists")
    result = shell.run("models")
    references = [line.split()[0] for line in result.out.splitlines()]
    assert result.code == 0
    assert {"acme/live", "nolist/known"} <= set(references)
    assert "error: Nobody answers\n  Start the server." in result.err
    assert "did not list its models within" in result.err


def test_a_provider_that_is_not_on_is_an_error(shell: Shell) -> None:
    result = shell.run("models", "--provider", "acme")
    assert (result.code, result.out) == (3, "")


def test_no_models_without_plugins(shell: Shell) -> None:
    result = shell.run("--safe-mode", "models")
    assert (result.code, result.out) == (3, "")
    assert "plugins are off" in result.err


# -- what a list costs --------------------------------------------------------------------------------------


def test_a_list_from_a_warm_cache_loads_nothing_heavy(shell: Shell) -> None:
    shell.switch_on("acme")
    shell.run("plugins", "list")
    script = "import sys; from tui.cli import main; main(['plugins', 'list']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        capture_output=True,
        text=True,
        env=shell.environment(),
        timeout=LIMIT_S,
        check=True,
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "registry.startup" in loaded
    heavy = {"asyncio", "pydantic", "textual", "httpx", "keyring", "tomlkit", "importlib.metadata"}
    assert loaded.isdisjoint(heavy | {"acme_plugins", "registry.registry"})
