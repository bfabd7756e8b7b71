"""Changes to config.toml that leave the rest of it as the user wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeAlias

import tomlkit
from tomlkit.exceptions import TOMLKitError

from registry.config_check import check_config, check_table, parse_toml, show_key
from registry.errors import ConfigError
from registry.settings import TomlValue
from registry.toml_lines import KeyPath, Section, find_key_lines, split_sections

Changes: TypeAlias = Mapping[tuple[str, ...], TomlValue | None]
"""A value by the path of its key; None removes the key."""

_NewTable: TypeAlias = Callable[[], MutableMapping[str, Any]]
_BOM = "\ufeff"


def edit_config(old: bytes, changes: Changes, file: Path) -> bytes:
    """The content with the changes made, and nothing else changed.

    Args:
        old: the content as it is.
        changes: what to change.
        file: named in errors; it is neither read nor written.

    Raises:
        ConfigError: the content is no TOML, or a change does not fit into it.
    """
    text, table = _parse(old, file)
    new = text
    try:
        for path, value in changes.items():
            _change(table, path, value, dict, file)
            new = _edit(new, path, value, table, file)
    except RecursionError as error:
        raise ConfigError(
            "The configuration was not changed",
            detail=f"{file} is nested too deeply.",
            hint="Make the change by hand.",
        ) from error
    _refuse_wrong_values(table, changes, new, file)
    return (_BOM + new if old.startswith(_BOM.encode()) else new).encode()


def _parse(old: bytes, file: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = old.decode("utf-8-sig")
        return text, parse_toml(text)
    except ValueError as error:
        problem = check_config(old, file).problems[0]
        raise ConfigError(
            "The configuration was not changed",
            detail=str(problem),
            hint="Correct the file by hand, or move it away; it is never overwritten.",
        ) from error


def _edit(
    text: str, path: tuple[str, ...], value: TomlValue | None, wanted: Mapping[str, Any], file: Path
) -> str:
    """Edit, and read the result before anyone else does.

    The editing library moves or breaks some documents (arrays of tables between tables, dotted keys), so it
    is shown as little of the document as will do, and the first result that reads back as wanted is taken.
    """
    if _canonical(parse_toml(text)) == _canonical(wanted):
        return text
    for attempt in _attempts(text, path, value, file):
        try:
            new = _with_line_ends_of(text, attempt())
            new.encode()
            if _canonical(parse_toml(new)) == _canonical(wanted):
                return new
        except (TOMLKitError, ValueError, RecursionError):
            continue
    raise ConfigError(
        "The configuration was not changed",
        detail=f"`{show_key(path)}` cannot be changed in {file} without harm.",
        hint="Make the change by hand.",
    )


def _attempts(
    text: str, path: tuple[str, ...], value: TomlValue | None, file: Path
) -> Iterator[Callable[[], str]]:
    """Ways to make one change, the one that people would choose first."""
    with suppress(ValueError, RecursionError):  # sections that cannot be told apart are edited as one
        yield from _attempts_in_sections(text, path, value, file)
    whole = [Section((), 1, text)]
    for new_table in (tomlkit.table, tomlkit.inline_table):
        yield partial(_edit_section, whole, 0, path, value, new_table, file)


def _attempts_in_sections(
    text: str, path: tuple[str, ...], value: TomlValue | None, file: Path
) -> Iterator[Callable[[], str]]:
    sections = split_sections(text)
    line = find_key_lines(text).get(path)
    if line is not None:
        home = max(index for index, section in enumerate(sections) if section.first_line <= line)
        yield partial(_edit_section, sections, home, path, value, tomlkit.table, file)
        return
    holders = [index for index, section in enumerate(sections) if section.path == path[: len(section.path)]]
    for index in holders:
        if len(sections[index].path) == len(path) - 1:
            yield partial(_edit_section, sections, index, path, value, tomlkit.table, file)
    yield partial(_add_section, sections, path, value, file)
    for index in sorted(holders, key=lambda index: -len(sections[index].path)):
        yield partial(_edit_section, sections, index, path, value, tomlkit.inline_table, file)


def _edit_section(
    sections: Sequence[Section],
    index: int,
    path: tuple[str, ...],
    value: TomlValue | None,
    new_table: _NewTable,
    file: Path,
) -> str:
    texts = [section.text for section in sections]
    own, trailing = _split_trailing(texts[index], is_last=index == len(texts) - 1)
    document = tomlkit.parse(own)
    _change(document, path, value, new_table, file)
    edited = tomlkit.dumps(document)
    if not own and not trailing and index < len(texts) - 1:
        trailing = "\n"  # the first key stands apart from the first header
    texts[index] = edited + trailing
    return "".join(texts)


def _add_section(
    sections: Sequence[Section], path: tuple[str, ...], value: TomlValue | None, file: Path
) -> str:
    """Put a new table after the last one that shares the most of its path, or at the end."""
    document = tomlkit.document()
    _change(document, path, value, tomlkit.table, file)
    shared = [_shared_length(section.path, path) for section in sections]
    most = max(shared)
    index = max(index for index, length in enumerate(shared) if length == most or most == 0)
    texts = [section.text for section in sections]
    own, trailing = _split_trailing(texts[index], is_last=index == len(texts) - 1)
    before = "".join(texts[:index]) + own
    gap = "" if not before else "\n" if before.endswith("\n") else "\n\n"
    texts[index] = f"{own}{gap}{tomlkit.dumps(document)}{trailing}"
    return "".join(texts)


def _shared_length(one: KeyPath, other: KeyPath) -> int:
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _split_trailing(section: str, *, is_last: bool) -> tuple[str, str]:
    """Set aside the blank lines at the end of a section, and a comment that belongs to the next header."""
    lines = section.splitlines(keepends=True)
    end = len(lines)
    while not is_last and end and lines[end - 1].lstrip().startswith("#"):
        end -= 1
    while end and not lines[end - 1].strip():
        end -= 1
    return "".join(lines[:end]), "".join(lines[end:])


def _with_line_ends_of(text: str, new: str) -> str:
    lone = r"(?<!\r)\n"
    if "\r\n" in text and not re.search(lone, text):
        return re.sub(lone, "\r\n", new)
    return new


def _change(
    root: MutableMapping[str, Any],
    path: tuple[str, ...],
    value: TomlValue | None,
    new_table: _NewTable,
    file: Path,
) -> None:
    """Set or remove one key, making the tables on the way to it."""
    *way, last = path
    table = root
    for depth, key in enumerate(way, start=1):
        if key not in table:
            if value is None:
                return
            table[key] = new_table()
        table = table[key]
        if not isinstance(table, MutableMapping):
            raise ConfigError(
                "The configuration was not changed",
                detail=f"{file}: `{show_key(path[:depth])}` is not a table.",
                hint="Make it one, or remove it.",
            )
    if value is not None:
        table[last] = value
    elif last in table:
        del table[last]


def _canonical(value: object) -> str:
    return json.dumps(_without_empty_tables(value), sort_keys=True, default=repr)


def _without_empty_tables(value: object) -> object:
    """Whether a table is there and empty, or not there, makes no difference to any setting."""
    if not isinstance(value, Mapping):
        return value
    items = {key: _without_empty_tables(item) for key, item in value.items()}
    return {key: item for key, item in items.items() if item != {}}


def _refuse_wrong_values(wanted: Mapping[str, Any], changes: Changes, new: str, file: Path) -> None:
    changed = tuple(f"{show_key(path)}." for path, value in changes.items() if value is not None)
    for problem in check_table(wanted, new, file).problems:
        if problem.level == "error" and f"{problem.key}.".startswith(changed):
            raise ConfigError("The configuration was not changed", detail=str(problem))
