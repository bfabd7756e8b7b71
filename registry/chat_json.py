"""The parts of a message and the usage of a turn as JSON text.

Written by hand, so that opening a conversation loads no validator.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields

from registry.chat import (
    FilePart,
    ImagePart,
    Part,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
)

_CLASSES: dict[str, type[Part]] = {
    "text": TextPart,
    "image": ImagePart,
    "file": FilePart,
    "thinking": ThinkingPart,
    "tool_call": ToolCallPart,
    "tool_result": ToolResultPart,
}
_DEFAULTS = {
    name: {field.name: field.default for field in fields(part) if field.default is not MISSING}
    for name, part in _CLASSES.items()
}
_ANNOTATIONS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "bytes": (bytes,),
    "bytes | None": (bytes, type(None)),
    "bool": (bool,),
}
_TYPES = {
    name: {field.name: _ANNOTATIONS[str(field.type)] for field in fields(part) if field.name != "type"}
    for name, part in _CLASSES.items()
}


def parts_to_json(parts: Iterable[Part]) -> str:
    """The parts as a JSON array of objects. Bytes are base64; fields at their default are left out."""
    return _to_json([part_to_object(part) for part in parts])


def parts_from_json(text: str) -> tuple[Part, ...]:
    """The parts that `parts_to_json` wrote.

    Raises:
        ValueError: it is not JSON, or not parts that this version knows.
    """
    array = _read(text)
    if not isinstance(array, list):
        raise ValueError("parts are not an array")  # noqa: TRY004  # a value of the file is at fault
    return tuple(part_from_object(item) for item in array)


def usage_to_json(usage: Usage) -> str:
    """The usage as a JSON object."""
    return json.dumps(
        {field.name: getattr(usage, field.name) for field in fields(usage)}, separators=(",", ":")
    )


def usage_from_json(text: str) -> Usage:
    """The usage that `usage_to_json` wrote. Buckets that this version does not know are left out.

    Raises:
        ValueError: it is not a usage.
    """
    item = _read(text)
    if not isinstance(item, dict):
        raise ValueError("usage is not an object")  # noqa: TRY004
    buckets = {field.name: item[field.name] for field in fields(Usage) if field.name in item}
    if not all(type(count) is int for count in buckets.values()):
        raise ValueError("usage holds something else than counts")
    return Usage(**buckets)


def _to_json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can carry
        return json.dumps(value, separators=(",", ":"))
    return text


def part_to_object(part: Part) -> dict[str, object]:
    """A part as JSON data. Bytes are base64; fields at their default are left out."""
    item: dict[str, object] = {"type": part.type}
    defaults = _DEFAULTS[part.type]
    for name in _TYPES[part.type]:
        value = getattr(part, name)
        if name in defaults and value == defaults[name]:
            continue
        item[name] = b64encode(value).decode("ascii") if isinstance(value, bytes) else value
    return item


def part_from_object(item: object) -> Part:
    """The part that `part_to_object` gave.

    Raises:
        ValueError: it is not a part that this version knows.
    """
    name = item.get("type") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(name, str) or name not in _CLASSES:
        raise ValueError("a part is of no type that this version knows")
    make: Callable[..., Part] = _CLASSES[name]
    values = {key: _value(name, key, value) for key, value in item.items() if key != "type"}
    try:
        return make(**values)
    except TypeError as error:
        raise ValueError(f"a part of type {name} lacks a field") from error


def _value(part: str, key: str, value: object) -> object:
    types = _TYPES[part].get(key)
    if types is None:
        raise ValueError(f"a part of type {part} has no field {key}")
    if bytes in types and isinstance(value, str):
        return b64decode(value, validate=True)
    if not isinstance(value, types):
        raise ValueError(f"field {key} of a part of type {part} has the wrong type")  # noqa: TRY004
    return value


def _read(text: str) -> object:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
