"""The examples in the documentation, run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

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


def jackfield(*arguments: str, env: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tui.cli", *arguments],
        env=env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def guide_env(tmp_path: Path) -> dict[str, str]:
    """The plugin of the guide, installed."""
    project = tomllib.loads(blocks("docs/plugins.md", "toml")[0])["project"]
    entry_points = project["entry-points"]["jackfield.plugins"]
    return install(tmp_path, "jackfield_parrot", blocks("docs/plugins.md", "python")[0], entry_points)


def test_the_plugin_of_the_guide_answers_as_the_guide_says(guide_env: dict[str, str]) -> None:
    lines = blocks("docs/plugins.md", "sh")[0].splitlines()
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
