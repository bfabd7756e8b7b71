"""`jackfield plugins new | check` and `completion`: what an author and a shell get."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tui.cli_harness import LIMIT_S, Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """An empty home."""
    (tmp_path / "home").mkdir()
    return Shell(tmp_path / "home", tmp_path / "none")


@pytest.mark.parametrize(
    ("kind", "asks"),
    [
        ("provider", "calls api.example.com"),
        ("command", "adds the command /my-plugin"),
        ("hook", "sees and may change all that you send, the earlier messages too"),
    ],
)
def test_a_new_project_passes_the_check_and_its_own_tests_at_once(
    shell: Shell, tmp_path: Path, kind: str, asks: str
) -> None:
    folder = tmp_path / "my-plugin"
    made = shell.run("plugins", "new", "my-plugin", "--kind", kind, "--into", str(folder))
    assert made.code == 0, made.err
    assert str(folder / "my_plugin.py") in made.out.splitlines()
    checked = shell.run("plugins", "check", str(folder), "--publisher", "acme", "--json")
    assert checked.code == 0, checked.out + checked.err
    found = json.loads(checked.out)
    assert (found["id"], found["version"], found["findings"]) == ("acme/my-plugin", "0.1.0", [])
    assert asks in found["asks"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout


def test_a_check_says_what_to_mend_and_where(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "spy"
    shell.run("plugins", "new", "spy", "--kind", "command", "--into", str(folder))
    code = folder / "spy.py"
    code.write_text(code.read_text("utf-8") + '\nHOME = "https://tracker.acme-ads.com/x"\n', "utf-8")
    project = folder / "pyproject.toml"
    project.write_text(project.read_text("utf-8").replace('license = "MIT"\n', ""), "utf-8")
    checked = shell.run("plugins", "check", str(folder))
    assert checked.code == 1
    assert "It names the host tracker.acme-ads.com, which is not declared." in checked.out
    assert "It has no licence." in checked.out
    assert checked.out.splitlines()[-1] == "2 findings."


def test_a_wheel_says_what_it_is_in_its_own_metadata(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "suitcase"
    shell.run("plugins", "new", "suitcase", "--kind", "command", "--into", str(folder))
    subprocess.run(
        ["uv", "build", "--wheel", "--out-dir", str(tmp_path / "out"), str(folder)],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = (tmp_path / "out").glob("*.whl")
    checked = shell.run("plugins", "check", str(wheel))
    assert (checked.code, checked.out.splitlines()[-1]) == (0, "No problem was found."), checked.out


def test_a_plugin_that_cannot_start_fails_the_check_with_its_reason(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shell.run("plugins", "new", "broken", "--kind", "hook", "--into", str(folder))
    (folder / "broken.py").write_text('__version__ = "0.1.0"\nimport no_such_module\n', "utf-8")
    checked = shell.run("plugins", "check", str(folder))
    assert (checked.code, checked.out) == (1, "")
    assert "no_such_module" in checked.err
    assert "Traceback" not in checked.err.splitlines()[0]


def test_a_project_that_cannot_be_built_is_named_where_its_author_has_it(
    shell: Shell, tmp_path: Path
) -> None:
    folder = tmp_path / "broken"
    shell.run("plugins", "new", "broken", "--kind", "hook", "--into", str(folder))
    project = folder / "pyproject.toml"
    project.write_text(project.read_text("utf-8").replace('name = "broken"', 'name = "broken one"'), "utf-8")
    checked = shell.run("plugins", "check", str(folder))
    assert (checked.code, checked.out) == (1, "")
    assert str(folder) in checked.err
    assert "jackfield-check" not in checked.err


@pytest.mark.parametrize("name", ["My-Plugin", "my_plugin", "json", "a--b", "../up", "class"])
def test_a_name_that_cannot_be_is_refused(shell: Shell, tmp_path: Path, name: str) -> None:
    made = shell.run("plugins", "new", name, "--kind", "command", "--into", str(tmp_path / "new"))
    assert made.code == 2
    assert not (tmp_path / "new").exists()


def test_the_name_of_what_is_part_of_the_app_is_refused(shell: Shell, tmp_path: Path) -> None:
    result = shell.run("plugins", "new", "anthropic", "--kind", "provider", "--into", str(tmp_path / "new"))
    assert (result.code, "anthropic is part of Jackfield" in result.err) == (2, True)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made_is_named_in_words(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    result = shell.run("plugins", "new", "fine", "--kind", "hook", "--into", str(tmp_path / "file" / "new"))
    assert result.code == 1
    assert result.err.startswith(f"error: {tmp_path / 'file'}")
    assert "Errno" not in result.err


def test_a_folder_with_something_in_it_is_left_alone(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine", "utf-8")
    assert shell.run("plugins", "new", "x", "--kind", "hook", "--into", str(tmp_path / "mine")).code == 2
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes"]


# -- completion ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="there is no bash to ask")
def test_bash_completes_commands_options_and_their_values(shell: Shell, tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(shell.run("completion", "bash").out, "utf-8")
    cases = {
        "jackfield plu": "plugins",
        "jackfield plugins unp": "unpin",
        "jackfield plugins install acme --lo": "--locked",
        "jackfield plugins new x --kind pro": "provider",
        "jackfield marketplace keys rot": "rotate",
        "jackfield completion f": "fish",
    }
    lines = [
        f"COMP_WORDS=({words}); COMP_CWORD={len(words.split()) - 1}; _jackfield; echo ${{COMPREPLY[@]}}"
        for words in cases
    ]
    done = subprocess.run(
        ["bash", "-c", "\n".join([f"source {script}", *lines])],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    assert done.stdout.splitlines() == list(cases.values())


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("zsh", "'rollback:go back to an earlier version'"),
        ("fish", "-n '__jackfield_at plugins' -a 'rollback' -d 'go back to an earlier version'"),
        ("zsh", "\"plugins new:--kind\") found=('provider' 'command' 'hook')"),
        ("fish", "-n '__jackfield_at plugins new' -l kind -x -a 'provider command hook'"),
    ],
)
def test_other_shells_get_every_command_with_its_help(shell: Shell, name: str, line: str) -> None:
    assert line in shell.run("completion", name).out
