"""What lies in the repository speaks of the project, not of the machine or the service it was made with."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST = 420
"""Lines of code that one file may have; beyond that it has a second reason to change."""
MAY_PRINT = re.compile(r"tui/cli/|screenshots/|scripts/")

# put together here, so that this file may name them
REGISTRIES = [
    ".".join(words)
    for words in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "com"),
        ("npmjs", "org"),
        ("crates", "io"),
        ("rubygems", "org"),
        ("proxy", "golang", "org"),
        ("anaconda", "org"),
    ]
]
MACHINE_PATHS = [f"/{folder}/" for folder in ("work", "root")]
_PATH_START = r"(?<![\w.~/{}\-])"


def tracked() -> list[Path]:
    """Every file of the repository, those that are about to be added included."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    names = sorted({name.decode() for name in done.stdout.split(b"\0") if name})
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


FILES = tracked()
CODE = [path for path in FILES if path.suffix == ".py"]
SHIPPED = [path for path in CODE if not relative(path).startswith("tests/")]


def forbidden_words(text: str) -> list[str]:
    """Hosts of package registries and absolute paths of one machine, as far as a text has them."""
    hosts = [host for host in REGISTRIES if re.search(rf"(?<![\w]){re.escape(host)}(?![\w])", text)]
    return hosts + [path for path in MACHINE_PATHS if re.search(_PATH_START + path, text)]


def test_the_repository_is_found() -> None:
    assert "jackfield.py" in {relative(path) for path in FILES}


def test_no_file_names_a_package_registry_or_a_path_of_one_machine() -> None:
    found = {relative(path): words for path in FILES if (words := forbidden_words(text_of(path)))}
    assert not found


def test_forbidden_words_are_seen_where_they_stand_alone() -> None:
    for host in REGISTRIES:
        assert forbidden_words(f"https://files.{host}/simple") == [host]
    for path in MACHINE_PATHS:
        assert forbidden_words(f'open("{path}a")') == [path]
        assert forbidden_words(f"a home{path}a, ~{path}b and {{base}}{path}c") == []


def test_no_file_of_code_is_too_long() -> None:
    lengths = {relative(path): len(text_of(path).splitlines()) for path in SHIPPED}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def prints(tree: ast.Module) -> Iterator[int]:
    """Lines that `print` to standard output or error, not to a stream that was opened for it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            streams = [ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg == "file"]
            if not streams or streams[0] in {"None", "sys.stdout", "sys.stderr"}:
                yield node.lineno


@pytest.mark.parametrize(
    ("call", "counts"),
    [
        ("print(1)", True),
        ("print(1, file=sys.stderr)", True),
        ("print(1, file=answer)", False),
        ("table.print(1)", False),
    ],
)
def test_printing_to_a_stream_of_its_own_is_writing(call: str, counts: bool) -> None:
    assert bool(list(prints(ast.parse(call)))) is counts


def test_only_the_command_line_and_scripts_print() -> None:
    found = [
        f"{relative(path)}:{line}"
        for path in SHIPPED
        if not MAY_PRINT.match(relative(path))
        for line in prints(parsed(path))
    ]
    assert found == []


def unsafe_notices(tree: ast.Module) -> Iterator[int]:
    """Lines that call `notify` with a computed text which Textual would read as markup."""
    for node in ast.walk(tree):
        if not (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "notify"
        ):
            continue
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        texts = [*node.args[:1], *(given[name] for name in ("message", "title") if name in given)]
        markup = given.get("markup")
        literal = all(isinstance(text, ast.Constant) for text in texts)
        if texts and not literal and not (isinstance(markup, ast.Constant) and markup.value is False):
            yield node.lineno


def test_no_notice_reads_computed_text_as_markup() -> None:
    found = [f"{relative(path)}:{line}" for path in SHIPPED for line in unsafe_notices(parsed(path))]
    assert found == []


@pytest.mark.parametrize(
    ("call", "unsafe"),
    [
        ("self.notify('done')", False),
        ("self.notify(f'{name} failed')", True),
        ("app.notify(text, title='Oh')", True),
        ("app.notify(message=str(error))", True),
        ("app.notify('failed', title=name)", True),
        ("app.notify(text, markup=True)", True),
        ("app.notify(text, markup=False)", False),
        ("condition.notify()", False),
    ],
)
def test_a_notice_counts_as_unsafe_when_its_text_is_computed(call: str, unsafe: bool) -> None:
    assert bool(list(unsafe_notices(ast.parse(call)))) is unsafe
