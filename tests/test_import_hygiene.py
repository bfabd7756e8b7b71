"""What is cheap to import stays cheap: a new process loads nothing that it does not need yet."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    "pydantic",
    "pydantic_core",
    "httpx",
    "textual",
    "rich",
    "keyring",
    "tomlkit",
    "filelock",
    "cryptography",
    "secretstorage",
    "tuf",
    "pygments",
    "markdown_it",
}


def loaded_by(statement: str) -> set[str]:
    """The heavy packages that a new interpreter has loaded after a statement."""
    script = (
        f"import sys, json\n{statement}\nprint(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


def test_this_test_can_see_a_heavy_import() -> None:
    assert loaded_by("import httpx") >= {"httpx"}


@pytest.mark.parametrize(
    "statement",
    [
        "import jackfield",
        "from jackfield import Plugin, Provider, Message, TextDelta, Finished, ProviderError, Command",
        "import registry.chat, registry.plugin, registry.provider, registry.command, registry.paths",
        "import registry.errors, registry.text, registry.chat_json",
        "import tui.history, tui.history.writer",
    ],
)
def test_it_loads_nothing_heavy(statement: str) -> None:
    assert loaded_by(statement) == set()


def test_opening_a_conversation_loads_nothing_heavy(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from registry.chat import Message
from tui.history.history import History
history = History(Path({str(tmp_path)!r}) / "history.sqlite")
conversation = history.create_conversation()
history.add_message(conversation, Message.of("user", "Hello"))
history.finish_answer(history.begin_answer(conversation))
history.interrupted(), history.load_conversation(conversation), history.prompts(), history.search("Hello")
history.close()"""
    assert loaded_by(script) == set()
