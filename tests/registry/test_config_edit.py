"""Whatever style the user writes in, a change leaves the other lines as they are."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from registry.config_edit import Changes, edit_config
from registry.errors import ConfigError
from registry.toml_lines import find_key_lines

ROOT_PARTS = [
    'theme = "dark" # mine\n',
    'model="a/b"\n',
    "history = true\n\n",
    "unknown = [\n  1, # one\n  2,\n]\n",
    'keys.one = "a" # dotted\n',
    'keys."x.y" = "b"\n',
    "plugins.local.enabled = false # dotted\n",
    'plugins.acme.options.url = "u"\n',
    "plugins = { local = { enabled = true } } # inline\n",
    'keys = { one = "a" }\n',
    "text = '''\n# no comment\n[x]\n'''\n",
    "# alone\n\n\n",
]
TABLE_PARTS = [
    "[plugins.local]\n# about local\nenabled = false # why\n\n",
    '[plugins.local.options]\nurl = "u" # c\n\n',
    "[plugins.acme]\nenabled = true\n",
    "[plugins]\n# all\n",
    '[keys]\n# keys\none = "a"\n',
    "[[other]]\na = 1\n[[other]]\na = 2 # two\n",
    "[other.sub]\nx = 1\n",
    "  [plugins.acme.options] # indented\n  x = { a = 1, b = [1,2] }\n",
    "[zed]\nq = 1\n",
    "[plugins.zzz]\noptions = { a = 1 } # opt\n",
    "[plugins.zzz.options.deep]\nv=1\n# the end\n",
]
documents = st.builds(
    lambda *parts: "".join(part for group in parts for part in group),
    st.lists(st.sampled_from(["", "# my settings\n", "\n\n# a\n\n"]), max_size=1),
    st.lists(st.sampled_from(ROOT_PARTS), max_size=4, unique=True),
    st.lists(st.sampled_from(TABLE_PARTS), max_size=5, unique=True),
)
texts = st.one_of(st.none(), st.text(max_size=6))
flags = st.sampled_from([True, False, None])
changes = st.fixed_dictionaries(
    {},
    optional={
        ("theme",): texts,
        ("model",): texts,
        ("history",): flags,
        ("plugins", "local", "enabled"): flags,
        ("plugins", "acme", "enabled"): flags,
        ("plugins", "new", "enabled"): flags,
        ("plugins", "local", "options", "url"): texts,
        ("plugins", "zzz", "options", "a"): texts,
        ("keys", "one"): texts,
        ("keys", "x.y"): texts,
        ("keys", "new"): texts,
    },
)


def is_toml(document: str) -> bool:
    try:
        tomllib.loads(document)
    except tomllib.TOMLDecodeError:
        return False
    return True


def lookup(table: dict[str, Any], path: tuple[str, ...]) -> object:
    value: Any = table
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def untouched_lines(document: str, change: Changes) -> Iterator[str]:
    """The lines with text that no changed key stands on."""
    lines = find_key_lines(document)
    touched = {lines[path] for path in change if path in lines}
    for number, line in enumerate(document.splitlines(), start=1):
        if number not in touched and line.strip() and not is_emptied_header(line):
            yield line


def is_emptied_header(line: str) -> bool:
    """An inline table that gains a key changes its own line."""
    return line.startswith(("plugins = {", "keys = {", "options = {"))


@given(documents, changes)
def test_a_change_is_made_and_every_other_line_stays_in_its_order(document: str, change: Changes) -> None:
    assume(is_toml(document))
    new = edit_config(document.encode(), change, Path("config.toml")).decode()
    parsed = tomllib.loads(new)
    assert {path: lookup(parsed, path) for path in change} == dict(change)
    remaining = iter(new.splitlines())
    for line in untouched_lines(document, change):
        assert line in remaining, f"{line!r} is lost or moved in\n{new}"


@given(documents, changes)
def test_making_the_same_change_again_changes_nothing(document: str, change: Changes) -> None:
    assume(is_toml(document))
    file = Path("config.toml")
    once = edit_config(document.encode(), change, file)
    assert edit_config(once, change, file) == once


@given(documents)
def test_no_change_leaves_every_byte(document: str) -> None:
    assume(is_toml(document))
    assert edit_config(document.encode(), {}, Path("config.toml")) == document.encode()


def test_a_broken_document_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigError, match="line 2"):
        edit_config(b"a = 1\nb = \n", {("theme",): "x"}, Path("config.toml"))
