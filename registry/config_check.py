"""From the bytes of config.toml to settings and to what is wrong with them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from registry.names import can_be_called
from registry.settings import (
    CatalogueSettings,
    ConfigProblem,
    LoadedConfig,
    MarketplacesSettings,
    PluginSettings,
    SecretsSettings,
    Settings,
)
from registry.text import safe_text
from registry.toml_lines import KeyPath, find_key_lines

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

MAX_PROBLEMS: Final = 50
"""How many problems of one file are told."""

_SETTINGS: Final = [setting.name for setting in fields(Settings)]
_TABLES: Final = {
    "catalogue": [setting.name for setting in fields(CatalogueSettings)],
    "secrets": [setting.name for setting in fields(SecretsSettings)],
    "marketplaces": [setting.name for setting in fields(MarketplacesSettings)],
}
_PLUGIN_SETTINGS: Final = [setting.name for setting in fields(PluginSettings)]
_WANTED: Final = {
    "bool_type": "must be true or false",
    "string_type": "must be text in quotes",
    "dict_type": "must be a table",
    "tuple_type": "must be an array",
    "float_type": "must be a number",
    "greater_than_equal": "must be at least 0",
    "finite_number": "must be a number that ends",
    "mapping_type": "must be a table",
    "dataclass_type": "must be a table",
}
_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def check_config(data: bytes, file: Path) -> LoadedConfig:
    """Settings from the content of a file: defaults for what is broken, and a problem for each such thing.

    Args:
        data: the content.
        file: named in the problems; it is not read.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        message = f"is not UTF-8 text: byte 0x{byte:02x}. Its settings are not used."
        return LoadedConfig(problems=(ConfigProblem(file, message, line=line),))
    try:
        table = parse_toml(text)
    except ValueError as error:
        return LoadedConfig(problems=(_syntax_problem(str(error), text, file),))
    return check_table(table, text, file)


def parse_toml(text: str) -> dict[str, Any]:
    """The table that a TOML document holds.

    Raises:
        ValueError: it is not TOML, or is nested too deeply.
    """
    import tomllib  # a start with a valid cache does without

    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("Nested too deeply") from error


def check_table(table: Mapping[str, Any], text: str, file: Path) -> LoadedConfig:
    """Settings from a parsed file.

    Args:
        table: what the file holds.
        text: the file itself, to find lines in.
        file: named in the problems.
    """
    settings, errors = _validate(table)
    errors += _names_of_nobody(settings.marketplaces)
    unknown = list(_unknown_keys(table))
    if not errors and not unknown:
        return LoadedConfig(settings)
    lines = _lines_of(text)
    problems = [
        ConfigProblem(file, message, show_key(path), _line(lines, path))
        for path, message in errors[:MAX_PROBLEMS]
    ]
    problems += [
        ConfigProblem(file, message, show_key(path), _line(lines, path), None, suggestion, "warning")
        for path, message, suggestion in unknown[: MAX_PROBLEMS - len(problems)]
    ]
    return LoadedConfig(settings, tuple(problems))


def show_key(path: KeyPath) -> str:
    """A key as TOML writes it, safe to be shown."""
    parts = [
        str(part) if re.fullmatch(r"[A-Za-z0-9_-]+", str(part)) else json.dumps(part, ensure_ascii=False)
        for part in path
    ]
    return safe_text(".".join(parts), limit=120, single_line=True)


def _validate(table: Mapping[str, Any]) -> tuple[Settings, list[tuple[KeyPath, str]]]:
    """Settings from all that is right, and for each key that is wrong a message."""
    from pydantic import ValidationError

    wrong: list[tuple[KeyPath, str]] = []
    while True:
        try:
            settings: Settings = _adapter().validate_python(table)
            return settings, wrong
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False)
            wrong += [(detail["loc"], _complaint(detail)) for detail in details]
            for detail in reversed(details):  # the last of an array first: the others keep their places
                table = _without(table, detail["loc"])


@cache
def _adapter() -> TypeAdapter[Settings]:
    from pydantic import TypeAdapter  # heavy, and only needed for a file that changed

    return TypeAdapter(Settings)


def _complaint(detail: ErrorDetails) -> str:
    wanted = _WANTED.get(detail["type"], detail["msg"])
    path, found = detail["loc"], detail["input"]
    if detail["type"] in ("greater_than_equal", "finite_number"):
        return f"{wanted}; its default is used."
    if detail["type"] == "enum":
        return f"{wanted.replace('Input should', 'must')}; its default is used."
    if path[0] == "keys" and len(path) > 1 and isinstance(found, Mapping):
        return "must be text in quotes; an id with a dot stands in quotes too"
    instead = "it is left out" if isinstance(path[-1], int) else "its default is used"
    return f"{wanted}, not {_kind_of(found)}; {instead}."


def _kind_of(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case Mapping():
            return "a table"
        case Sequence():
            return "an array"
        case _:
            return "a date or time"


def _without(table: Mapping[str, Any], path: KeyPath) -> dict[str, Any]:
    """A copy that lacks the key; what does not lie on the way to it is shared."""
    first, *rest = path
    copy = dict(table)
    inner = copy.get(str(first))
    if rest and isinstance(inner, Mapping):
        copy[str(first)] = _without(inner, tuple(rest))
    elif rest and isinstance(inner, list) and isinstance(place := rest[0], int):
        copy[str(first)] = inner[:place] + inner[place + 1 :]
    else:
        copy.pop(str(first), None)
    return copy


def _names_of_nobody(lists: MarketplacesSettings) -> list[tuple[KeyPath, str]]:
    """Entries that nothing can ever match: who blocks with one believes to be safe.

    They stay where they are: without them, a list of what alone is allowed could become empty and allow all.
    """
    return [
        (("marketplaces", key), f"holds {_spelled(name)}, which no publisher or plugin can be called.")
        for key, names in (("allow", lists.allow), ("block", lists.block))
        for name in names
        if not can_be_called(name)
    ]


def _spelled(name: str) -> str:
    """A name with every letter that may be taken for another, or is not seen, as an escape."""
    return safe_text(json.dumps(name), limit=100)


def _unknown_keys(table: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str, str]]:
    for key in table:
        if key not in _SETTINGS:
            yield (key,), "is not a setting; it is kept and has no effect.", _nearest(key, _SETTINGS, ())
    for name, known in _TABLES.items():
        inner = table.get(name)
        for key in inner if isinstance(inner, Mapping) else ():
            if key not in known:
                nearest = _nearest(key, known, (name,))
                yield (name, key), "is not a setting; it is kept and has no effect.", nearest
    plugins = table.get("plugins")
    if not isinstance(plugins, Mapping):
        return
    for name, plugin in plugins.items():
        for key in plugin if isinstance(plugin, Mapping) else ():
            if key not in _PLUGIN_SETTINGS:
                options = show_key(("plugins", name, "options"))
                message = f"has no effect; a plugin's own options stand in [{options}]."
                path = ("plugins", name, key)
                yield path, message, _nearest(key, _PLUGIN_SETTINGS, ("plugins", name))


def _nearest(key: str, valid: Sequence[str], table: KeyPath) -> str:
    near = get_close_matches(key.lower()[:100], valid, n=1)
    return show_key((*table, near[0])) if near else ""


def _lines_of(text: str) -> Mapping[KeyPath, int]:
    try:
        return find_key_lines(text)
    except (ValueError, RecursionError):
        return {}  # a problem without its line is better than none


def _line(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    return next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), None)


def _syntax_problem(error: str, text: str, file: Path) -> ConfigProblem:
    """Read the place from the words of `tomllib`, which has it nowhere else before Python 3.14."""
    position = _POSITION.search(error)
    line: int | None = None
    column: int | None = None
    if position and position[1]:
        line, column = int(position[1]), int(position[2])
    elif position:
        line = text.count("\n") + 1
        column = len(text) - (text.rfind("\n") + 1) + 1
    reason = safe_text(_POSITION.sub("", error), limit=200, single_line=True)
    return ConfigProblem(file, f"is not TOML: {reason}. Its settings are not used.", line=line, column=column)
