"""The line of a key is found however TOML lets it be written."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tomlkit import dumps

from registry.toml_lines import KeyPath, find_key_lines

DOCUMENT = '''\
# a comment = 1
theme = "dark" # [not.a.table]
a.b.c = 1
"quoted.key" = 2
'li"teral' = 3
"esc\\u0041pe" = 4
date = 1979-05-27 07:32:00Z
inline = { x = 1, "y.z" = { w = [1, { v = 2 }] } }
array = [
  "one, ]", # two ]
  { name = "first" },
  [ { deep = 1 } ],
]
text = """
[no.table]
no = "key \\""" quote
""""
raw = \'\'\'
no = 1 \\\'\'\'
last = 1

[ plugins . "my plugin" ]
enabled = true
[plugins.local.options]
url = "u"
[[servers]]
name = "a"
[[servers]]
name = "b"
[servers.limits]
rate = 1
[[servers.keys]]
id = 1
'''

EXPECTED: dict[KeyPath, int] = {
    ("theme",): 2,
    ("a",): 3,
    ("a", "b", "c"): 3,
    ("quoted.key",): 4,
    ('li"teral',): 5,
    ("escApe",): 6,
    ("date",): 7,
    ("inline", "x"): 8,
    ("inline", "y.z", "w", 1, "v"): 8,
    ("array",): 9,
    ("array", 0): 10,
    ("array", 1, "name"): 11,
    ("array", 2, 0, "deep"): 12,
    ("text",): 14,
    ("raw",): 18,
    ("last",): 20,
    ("plugins",): 22,
    ("plugins", "my plugin"): 22,
    ("plugins", "my plugin", "enabled"): 23,
    ("plugins", "local", "options"): 24,
    ("plugins", "local", "options", "url"): 25,
    ("servers",): 26,
    ("servers", 0, "name"): 27,
    ("servers", 1): 28,
    ("servers", 1, "name"): 29,
    ("servers", 1, "limits"): 30,
    ("servers", 1, "limits", "rate"): 31,
    ("servers", 1, "keys", 0, "id"): 33,
}


def paths_in(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key and place in a parsed document."""
    items: Iterator[tuple[str | int, object]] = iter(())
    if isinstance(value, dict):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    for key, item in items:
        yield (*path, key)
        yield from paths_in(item, (*path, key))


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(("path", "line"), EXPECTED.items(), ids=lambda value: str(value))
def test_the_line_of_a_key_is_the_one_where_it_first_stands(path: KeyPath, line: int, line_end: str) -> None:
    assert find_key_lines(DOCUMENT.replace("\n", line_end))[path] == line


def test_no_key_is_found_that_the_parser_does_not_see_and_none_is_missed() -> None:
    assert set(find_key_lines(DOCUMENT)) == set(paths_in(tomllib.loads(DOCUMENT)))


values = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**60), 2**60), st.text(max_size=8), st.dates(), st.datetimes()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(min_size=1, max_size=5), values, max_size=4))
def test_the_scanner_sees_the_keys_that_the_parser_sees(table: dict[str, object]) -> None:
    try:
        document = dumps(table)
        parsed = tomllib.loads(document)
    except ValueError:
        return  # the writer of this test made no TOML; what remains is the reader's part
    assert set(find_key_lines(document)) == set(paths_in(parsed))


@pytest.mark.parametrize(
    "document",
    [
        "= 1",
        "a",
        "a = [1",
        "a = {b",
        "[a",
        "[[a]",
        "a = [}",
        "a = {]",
        "a = [,,",
        'a = "x',
        "a = '''x",
        "\x00",
    ],
)
def test_what_is_not_toml_is_an_error_and_never_an_endless_loop(document: str) -> None:
    with pytest.raises(ValueError, match=r"line|end"):
        find_key_lines(document)


@given(st.text(alphabet="a.=[]{}\"'\\\n#, 1", max_size=60))
def test_any_text_is_scanned_to_its_end(document: str) -> None:
    try:
        lines = find_key_lines(document)
    except ValueError:
        return
    assert all(1 <= line <= document.count("\n") + 1 for line in lines.values())
