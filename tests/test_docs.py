"""The examples in the documentation, run as they stand."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).parent.parent


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def install(site: Path, module: str, code: str, entry_points: dict[str, str]) -> dict[str, str]:
    """Put a module and its entry points where Python finds them, as an installer would."""
    (site / f"{module}.py").write_text(code, encoding="utf-8")
    info = site / f"{module}-1.0.0.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0.0\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    lines = "".join(f"{name} = {value}\n" for name, value in entry_points.items())
    (info / "entry_points.txt").write_text(f"[jackfield.plugins]\n{lines}", encoding="utf-8")
    return {**os.environ, "PYTHONPATH": str(site)}


def jackfield(*arguments: str, env: dict[str, str], cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tui.cli", *arguments],
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def block(document: str, language: str, holding: str) -> str:
    """The first block that holds a text."""
    return next(text for text in blocks(document, language) if holding in text)


def entry_points(project: str) -> dict[str, str]:
    points: dict[str, str] = tomllib.loads(project)["project"]["entry-points"]["jackfield.plugins"]
    return points


class Model(BaseHTTPRequestHandler):
    """The server of the first example: it says in capitals what it was asked, to who has the key."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        good = self.headers["authorization"] == "Bearer key-of-the-guide" and self.path == "/generate"
        self.send_response(200 if good else 401)
        self.end_headers()
        self.wfile.write(f"{asked['model']}: {asked['prompt'].upper()}".encode() if good else b"no")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def model_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_the_first_provider_of_the_guide_signs_in_with_a_key_and_answers(
    tmp_path: Path, model_url: str
) -> None:
    code = block("docs/plugins.md", "python", "class MyProvider")
    assert len(code.splitlines()) < 30
    points = entry_points(block("docs/plugins.md", "toml", "my-custom-provider"))
    (tmp_path / "site").mkdir()
    env = install(tmp_path / "site", "my_custom_provider", code, points)
    home = tmp_path / "home"
    (home / "config").mkdir(parents=True)
    options = f'[plugins.my-custom-provider.options]\nurl = "{model_url}"\n'
    (home / "config" / "config.toml").write_text(options, encoding="utf-8")
    env |= {"JACKFIELD_HOME": str(home), "MY_CUSTOM_KEY": "key-of-the-guide"}
    _, enable, ask = block("docs/plugins.md", "sh", "MY_CUSTOM_KEY").splitlines()
    jackfield(*shlex.split(enable)[1:], env=env)
    assert jackfield(*shlex.split(ask)[2:], env=env) == "large: HELLO THERE\n"


def test_a_new_project_has_the_files_that_the_guide_names(tmp_path: Path) -> None:
    new, *_, check = block("docs/plugins.md", "sh", "plugins new").splitlines()
    written = jackfield(*shlex.split(new)[1:], env=dict(os.environ), cwd=tmp_path).splitlines()
    named = re.findall(r"^  (\S+)", block("docs/plugins.md", "text", "my-plugin/"), flags=re.MULTILINE)
    for name in named:
        assert any(path.startswith(f"my-plugin/{name}") for path in written), name
    assert "No problem was found." in jackfield(
        *shlex.split(check)[1:], env=dict(os.environ), cwd=tmp_path / "my-plugin"
    )


def test_the_guide_names_commands_that_there_are() -> None:
    lines = [line for text in blocks("docs/plugins.md", "sh") for line in text.splitlines()]
    for line in lines:
        words = shlex.split(line.partition("  #")[0])
        if words[:2] == ["jackfield", "plugins"]:
            assert f"jackfield plugins {words[2]}" in jackfield(
                "plugins", words[2], "--help", env=dict(os.environ)
            )


@pytest.fixture
def guide_env(tmp_path: Path) -> dict[str, str]:
    """The second plugin of the guide, installed."""
    points = entry_points(block("docs/plugins.md", "toml", "jackfield-parrot"))
    code = block("docs/plugins.md", "python", "class ParrotPlugin")
    return install(tmp_path, "jackfield_parrot", code, points)


def test_the_plugin_of_the_guide_answers_as_the_guide_says(guide_env: dict[str, str]) -> None:
    lines = block("docs/plugins.md", "sh", "enable parrot").splitlines()
    assert [line for line in lines if line.startswith("jackfield")] == [
        "jackfield plugins enable parrot",
        'jackfield ask --model parrot/polly "hello there"',
    ]
    jackfield("plugins", "enable", "parrot", env=guide_env)
    answer = jackfield("ask", "--model", "parrot/polly", "hello there", env=guide_env)
    assert answer.split() == ["HELLO", "THERE"]


def test_the_plugin_of_the_guide_is_off_until_it_is_switched_on(guide_env: dict[str, str]) -> None:
    rows = jackfield("plugins", "list", env=guide_env).splitlines()
    assert any("parrot" in row and "off" in row for row in rows)


def test_the_plugin_of_the_readme_answers(tmp_path: Path) -> None:
    env = install(tmp_path, "parrot", blocks("README.md", "python")[0], {"parrot": "parrot:ParrotPlugin"})
    jackfield("plugins", "enable", "parrot", env=env)
    assert jackfield("ask", "--model", "parrot/polly", "hello", env=env) == "hello\n"


def test_the_guide_names_nothing_that_is_not_there() -> None:
    import jackfield as api

    code = "\n".join(blocks("docs/plugins.md", "python"))
    imported = re.findall(r"from jackfield import \(?([^)]*?)\)?\n", code)
    for names in imported:
        for name in filter(None, (name.strip() for name in names.replace("\n", "").split(","))):
            assert hasattr(api, name), name
