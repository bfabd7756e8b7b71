"""Changes to config.toml that leave the rest of it as the user wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, TypeAlias

import tomlkit
from tomlkit.exceptions import TOMLKitError

from registry.config_check import check_config, check_table, parse_toml, show_key
from registry.errors import ConfigError
from registry.settings import TomlValue

Changes: TypeAlias = Mapping[tuple[str, ...], TomlValue | None]
"""A value by the path of its key; None removes the key."""

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
    text, wanted = _parse(old, file)
    for path, value in changes.items():
        _change(wanted, path, value, dict, file)
    new = _edit(text, changes, wanted, file)
    _refuse_wrong_values(wanted, changes, new, file)
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


def _edit(text: str, changes: Changes, wanted: Mapping[str, Any], file: Path) -> str:
    """Edit, and read the result before anyone else does.

    A table that is missing cannot always be written as `[table]`: below dotted keys and in inline tables only
    `{}` is right, and the editing library does not always know. So the first way that reads back as wanted is
    taken, whatever the document is like.
    """
    for new_table in (tomlkit.table, tomlkit.inline_table):
        try:
            document = tomlkit.parse(text)
            for path, value in changes.items():
                _change(document, path, value, new_table, file)
            new = _with_line_ends_of(text, tomlkit.dumps(document))
            if _canonical(parse_toml(new)) == _canonical(wanted):
                return new
        except (TOMLKitError, ValueError, RecursionError):
            continue
    raise ConfigError(
        "The configuration was not changed",
        detail=f"{file} is written in a way that cannot be changed without harm.",
        hint="Make the change by hand.",
    )


def _with_line_ends_of(text: str, new: str) -> str:
    lone = r"(?<!\r)\n"
    if "\r\n" in text and not re.search(lone, text):
        return re.sub(lone, "\r\n", new)
    return new


def _change(
    root: MutableMapping[str, Any],
    path: tuple[str, ...],
    value: TomlValue | None,
    new_table: Callable[[], MutableMapping[str, Any]],
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
