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
    new = _edited(text, changes, file)
    _refuse_damage(new, wanted, file)
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


def _edited(text: str, changes: Changes, file: Path) -> str:
    try:
        document = tomlkit.parse(text)
        for path, value in changes.items():
            _change(document, path, value, tomlkit.table, file)
        new = tomlkit.dumps(document)
    except (TOMLKitError, RecursionError) as error:
        raise _damage(file) from error
    if "\r\n" in text and not re.search(r"(?<!\r)\n", text):
        new = re.sub(r"(?<!\r)\n", "\r\n", new)
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


def _refuse_damage(new: str, wanted: Mapping[str, Any], file: Path) -> None:
    """Read what would be written and compare, whatever the document and the editing library did."""
    try:
        found = parse_toml(new)
        new.encode()
    except ValueError as error:
        raise _damage(file) from error
    if _canonical(found) != _canonical(wanted):
        raise _damage(file)


def _canonical(table: Mapping[str, Any]) -> str:
    return json.dumps(table, sort_keys=True, default=repr)


def _refuse_wrong_values(wanted: Mapping[str, Any], changes: Changes, new: str, file: Path) -> None:
    changed = tuple(f"{show_key(path)}." for path, value in changes.items() if value is not None)
    for problem in check_table(wanted, new, file).problems:
        if problem.level == "error" and f"{problem.key}.".startswith(changed):
            raise ConfigError("The configuration was not changed", detail=str(problem))


def _damage(file: Path) -> ConfigError:
    return ConfigError(
        "The configuration was not changed",
        detail=f"{file} is written in a way that cannot be changed without harm.",
        hint="Make the change by hand.",
    )
