"""The official marketplace, built from its sources with test keys; its four plugins installed and used."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from tests.e2e.terminal import TmuxTerminal
from tests.tui.cli_harness import COMMAND, LIMIT_S, Shell

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="processes of plugins need POSIX"),
    pytest.mark.xdist_group("official marketplace"),  # it is built once
]

SOURCES = Path(__file__).parents[2] / "docs" / "marketplace"
PACKAGES = ["jackfield/redactor", "jackfield/translate", "acme/acme-provider"]
NAMES = ["acme/acme-provider", "jackfield/dice", "jackfield/redactor", "jackfield/translate"]
SECRET = "ghp_" + "a1B2" * 9


def _acme() -> ModuleType:
    file = SOURCES / "acme" / "acme-provider" / "tests" / "acme_server.py"
    spec = spec_from_file_location("acme_server", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def acme() -> Iterator[Any]:
    """The server that acme-provider signs in to."""
    with _acme().running() as server:
        yield server


@pytest.fixture(scope="module")
def shell(acme: Any, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A home where all four are installed, from the marketplace that the command line built and signed."""
    folder = tmp_path_factory.mktemp("official")
    sources, site, keys = folder / "sources", folder / "site", folder / "keys"
    shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    server = sources / "acme" / "acme-provider" / "acme_provider" / "server.toml"
    server.write_text(server.read_text("utf-8").replace("http://127.0.0.1:8750", acme.url), "utf-8")
    (folder / "home").mkdir()
    shell = Shell(folder / "home", folder / "none", {"JACKFIELD_PASSPHRASE": "only for these tests"})
    (folder / "home" / "config").mkdir()
    shell.config.write_text('[secrets]\nstore = "file"\n', "utf-8")

    def run(*arguments: str) -> str:
        result = shell.run(*arguments)
        assert result.code == 0, f"{arguments}: {result.out}{result.err}"
        return result.out

    run("marketplace", "keys", "create", str(keys), "--plain")
    run("marketplace", "build", str(sources), str(site))
    fingerprint = json.loads(run("marketplace", "sign", str(site), "--keys", str(keys), "--json"))[
        "fingerprint"
    ]
    run("marketplace", "add", str(site), "--name", "official", "--fingerprint", fingerprint, "--yes")
    run("plugins", "install", *NAMES, "--yes", "--now")
    for name in NAMES:
        enabled = shell.run("plugins", "enable", name)
        assert enabled.code == 0, enabled.err
        assert ("`jackfield auth login acme-provider` signs in." in enabled.err) is (name == NAMES[0])
    return shell


def test_its_sources_pass_its_own_check(shell: Shell) -> None:
    checked = shell.run("marketplace", "check", str(shell.home.parent / "site"))
    assert (checked.code, checked.out) == (0, "No problem was found.\n")


@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_pass_their_own_tests(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"],
        cwd=SOURCES / package,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_the_plugin_of_the_shell_passes_its_own_tests() -> None:
    script = SOURCES / "jackfield" / "dice" / "tests" / "run.sh"
    done = subprocess.run(["sh", str(script)], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_all_four_are_on_and_verified(shell: Shell) -> None:
    rows = {row["name"]: row for row in json.loads(shell.run("plugins", "list", "--json").out)}
    assert {name: rows[name.partition("/")[2]]["state"] for name in NAMES} == dict.fromkeys(NAMES, "enabled")
    assert shell.run("plugins", "verify").code == 0


@pytest.fixture(scope="module")
def signed_in(shell: Shell) -> Shell:
    """The same home, after its user signed in to Acme with a browser that agrees."""
    process = subprocess.Popen(
        [*COMMAND, "auth", "login", "acme-provider"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**shell.environment(), "DISPLAY": ":99", "BROWSER": "none"},
        text=True,
    )
    with process:
        try:
            assert process.stderr is not None
            said: list[str] = []
            for line in process.stderr:
                said.append(line)
                if line.startswith("http"):
                    page = httpx.get(line.strip(), trust_env=False)
                    httpx.get(page.headers["location"], trust_env=False)
                    break
            assert process.wait(LIMIT_S) == 0, "".join([*said, *process.stderr])
        finally:
            process.kill()
    return shell


def test_a_secret_stays_here_while_a_provider_that_was_signed_in_to_answers(
    signed_in: Shell, acme: Any
) -> None:
    result = signed_in.run("ask", "--model", "acme/anvil-1", f"My key {SECRET} is refused")
    assert result.code == 0, result.err
    assert result.out.split() == ["Acme", "heard:", "My", "key", SECRET, "is", "refused"]
    asked = acme.asked[-1]
    assert SECRET not in json.dumps(asked)
    assert "{{secret-" in asked["messages"][-1]["text"]


def test_the_commands_work_in_the_chat(signed_in: Shell, acme: Any) -> None:
    shell = signed_in
    text = shell.config.read_text("utf-8")
    shell.config.write_text(f'model = "acme/anvil-1"\n{text}', "utf-8")
    with TmuxTerminal(size=(100, 30), env=shell.environment()) as terminal:
        terminal.start(*COMMAND)
        terminal.wait_for("● ready", LIMIT_S)
        terminal.type("/dice 2d6")
        terminal.press("Enter")
        terminal.wait_for("(2d6: ", LIMIT_S)
        terminal.type("/translate de Good morning")
        terminal.press("Enter")
        terminal.wait_for("heard: Translate the text between the fences into German.", LIMIT_S)
        terminal.press("C-q")
        assert terminal.wait_for_exit(LIMIT_S) == 0
    assert "Good morning" in acme.asked[-1]["messages"][-1]["text"]


def test_its_accounts_go_with_a_plugin_when_the_user_wants_that(signed_in: Shell, tmp_path: Path) -> None:
    shutil.copytree(signed_in.home, tmp_path / "home", symlinks=True)
    copy = Shell(tmp_path / "home", signed_in.site, signed_in.env)
    assert len(json.loads(copy.run("auth", "list", "--json").out)) == 1
    removed = copy.run("plugins", "remove", "acme-provider", "--secrets", "--yes")
    assert (removed.code, removed.out) == (0, "Removed acme/acme-provider.\n"), removed.err
    assert json.loads(copy.run("auth", "list", "--json").out) == []
