"""Makes the project of a new plugin: one that passes the check and its own tests at once."""

from __future__ import annotations

import keyword
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from registry.errors import JackfieldError
from registry.marketplace.authoring import templates
from registry.text import safe_text

Kind: TypeAlias = Literal["provider", "command", "hook"]
_TAKEN: Final = sys.stdlib_module_names | {"jackfield", "registry", "tests", "httpx", "pydantic"}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class ProjectError(JackfieldError):
    """A project cannot be made."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is special of one kind."""

    code: str
    test: str
    summary: str
    asks: str


_KINDS: Final[dict[Kind, _Kind]] = {
    "provider": _Kind(
        templates.PROVIDER,
        templates.PROVIDER_TEST,
        "Answers through a server with the Chat Completions protocol",
        "An API key, and to call `api.example.com`.",
    ),
    "command": _Kind(
        templates.COMMAND, templates.COMMAND_TEST, "Counts words: /@name@ TEXT", "Nothing beside its command."
    ),
    "hook": _Kind(
        templates.HOOK,
        templates.HOOK_TEST,
        "Says something to the model with every request",
        "To see and change what is sent.",
    ),
}
KINDS: Final[tuple[Kind, ...]] = tuple(_KINDS)
"""What a new plugin may contribute."""


def create_project(folder: Path, name: str, kind: Kind, *, write: bool = True) -> list[Path]:
    """Write the project of a new plugin; gives its files, sorted.

    Args:
        folder: the project's folder, which is made; one that is there has to be empty.
        name: what the plugin is called.
        kind: what it contributes.
        write: whether to write them, and not only name them.

    Raises:
        ProjectError: the name cannot be used, or there is something in the folder.
        OSError: it cannot be written.
    """
    shown = safe_text(name, single_line=True, limit=64)
    if not _NAME.fullmatch(name) or len(name) > 64:
        raise ProjectError(
            f"{shown or 'An empty text'} is no name for a plugin",
            detail="A name has one spelling: lower-case letters, digits and single `-`, a letter first.",
        )
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or module in _TAKEN:
        raise ProjectError(
            f"{shown} cannot be the name of a plugin", detail="Its module would hide another one."
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ProjectError(
            f"{safe_text(str(folder), single_line=True)} is there already",
            hint="Choose another folder with --into.",
        )
    files = _files(name, module, kind)
    for path, text in files.items() if write else ():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return sorted(folder / path for path in files)


def _files(name: str, module: str, kind: Kind) -> dict[str, str]:
    about = _KINDS[kind]
    texts = {
        "pyproject.toml": templates.PYPROJECT,
        "plugin.toml": templates.PLUGIN_TOML,
        "README.md": templates.README,
        "CHANGELOG.md": templates.CHANGELOG,
        ".gitignore": templates.IGNORED,
        f"{module}.py": about.code,
        f"tests/test_{module}.py": about.test,
    }
    words = {
        "summary": about.summary,
        "asks": about.asks,
        "kind": kind,
        "name": name,
        "module": module,
        "class": "".join(word.capitalize() for word in name.split("-")),
        "title": " ".join(word.capitalize() for word in name.split("-")),
    }
    return {path: _filled(text, words) for path, text in texts.items()}


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text
