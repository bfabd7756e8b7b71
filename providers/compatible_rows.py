"""What a row of `compatible.toml` may say, and how it is read: strictly, so that a slip is named.

A row is a table whose name is that of the plugin and of its provider; its keys are the fields of `Row`.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

from jackfield import Model, PluginError
from providers.wire.quirks import Quirks

Table: TypeAlias = Mapping[str, object]
_T = TypeVar("_T")

_NAME: Final = r"[a-z][a-z0-9-]{0,63}"
_BLANK: Final = r"\{(\w*)\}"
_BEGINNINGS: Final = ("https://", "http://", "{url}")


# Nobody compares rows, and making the methods for it takes a good part of the import of an endpoint.
@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """Something that only the user knows and the address needs, such as where the server is."""

    label: str
    help: str = ""
    placeholder: str = ""
    env: str = ""
    """An environment variable that may say it."""


@dataclass(frozen=True, slots=True, eq=False)
class SignIn:
    """A page that gives an app a key of its own, so that nobody has to copy one."""

    page: str
    """Where the user allows it."""
    exchange: str
    """Where the code of that page is exchanged for the key."""
    callback: str
    """What the page calls the address that the browser is sent back to."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What the page is told beside it, such as a name for the key."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One endpoint."""

    title: str
    """How people call it."""
    base_url: str
    """Where it is: what `/chat/completions` is added to. `{name}` stands for what the user is asked."""
    docs: str
    """Where its API is documented."""
    summary: str = ""
    """What it is for, in one line."""
    key: Literal["required", "optional", "none"] = "required"
    """Whether it wants a key."""
    env: tuple[str, ...] = ()
    """Environment variables that may hold the key, the first that is set wins."""
    key_url: str = ""
    """Where the user gets a key."""
    sign_in: SignIn | None = None
    """How an app gets a key of its own."""
    key_header: Literal["bearer", "api-key"] = "bearer"
    """How the key is sent: as `Authorization: Bearer`, or in a header named `api-key`."""
    asks: Mapping[str, Ask] = field(default_factory=dict)
    """What the user is asked beside the key; also options of these names in config.toml."""
    models: str = "models"
    """Where the models are listed, below the address or anywhere; empty: nowhere."""
    models_need_key: bool = True
    known: tuple[Model, ...] = ()
    """Models that are known without asking: few, and such as stay for long."""
    dialect: Literal["chat", "responses"] = "chat"
    silent: bool = False
    """Whether it sends nothing while a model thinks."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of each request."""
    query: Mapping[str, str] = field(default_factory=dict)
    """The query of each request; what stays empty is left out."""
    quirks: Quirks = field(default_factory=Quirks)

    @property
    def needed(self) -> tuple[str, ...]:
        """What the user has to say before there is an address."""
        return tuple(re.findall(_BLANK, self.base_url))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that it calls, as far as the user does not say where it is."""
        addresses = (self.base_url, self.models, self.sign_in.exchange if self.sign_in else "")
        places = [urlsplit(address).netloc for address in addresses if "://" in address]
        return tuple(sorted({place for place in places if "{" not in place}))


def read_names(file: Path) -> list[str]:
    """The names of the rows; a row whose name is none that a plugin may have is called after its place.

    Raises:
        PluginError: the file cannot be read, or is no TOML.
    """
    return list(_tables(file))


def read_row(file: Path, name: str) -> Row:
    """The row of this name.

    Raises:
        PluginError: there is none, or it is wrong; the error names the row and the key.
    """
    tables = _tables(file)
    if name not in tables:
        raise PluginError(f"{file.name} has no endpoint named {name}", hint="Reload the list of plugins.")
    key, table = tables[name]
    place = f"{file.name}: {key}"
    if key != name:
        raise PluginError(
            f"{place!r} is no name for an endpoint",
            hint="A name has lower-case letters, digits and `-`, and begins with a letter.",
        )
    row = read_table(Row, table, place)
    _check(row, place)
    return row


def _tables(file: Path) -> Mapping[str, tuple[str, object]]:
    """Each row by the name of its plugin, with its own name."""
    try:
        return _parsed(file, file.stat().st_mtime_ns)
    except (OSError, ValueError) as error:  # what is no UTF-8 or no TOML is a ValueError
        raise PluginError(
            f"{file.name} cannot be read", detail=str(error), hint="Correct it, or install Jackfield again."
        ) from error


@lru_cache(maxsize=4)
def _parsed(file: Path, changed_ns: int) -> Mapping[str, tuple[str, object]]:
    """The rows of a file as it was then: each member of the family asks for all of it."""
    import tomllib

    content = tomllib.loads(file.read_text(encoding="utf-8"))
    return {
        key if re.fullmatch(_NAME, key) else f"endpoint-{place}": (key, table)
        for place, (key, table) in enumerate(content.items(), 1)
    }


def read_table(kind: type[_T], table: object, place: str) -> _T:
    """An object of a dataclass from a table whose keys are its fields.

    Args:
        kind: the dataclass.
        table: what TOML gave.
        place: where it stands, for errors.

    Raises:
        PluginError: a key is unknown or missing, or a value is of the wrong type.
    """
    values = read_fields(kind, table, place)
    for wanted in _fields(kind):
        if wanted.name not in values and wanted.default is wanted.default_factory is MISSING:
            raise PluginError(f"{place} has no {wanted.name}", hint=f"Write {wanted.name} = ... in it.")
    return kind(**values)


def read_fields(kind: type, table: object, place: str) -> dict[str, object]:
    """The fields of a dataclass that a table gives, by name.

    Raises:
        PluginError: a key is unknown, or a value is of the wrong type.
    """
    if not isinstance(table, Mapping):
        raise _wrong(place, table, "a table")
    hints = typing.get_type_hints(kind)
    names = [known.name for known in _fields(kind)]
    for key in table:
        if key not in names:
            raise PluginError(f"{place} has a key {key!r} that means nothing", hint=_near(str(key), names))
    return {key: _read(hints[key], value, f"{place}.{key}") for key, value in table.items()}


def _fields(kind: type) -> tuple[Field[object], ...]:
    return fields(kind) if is_dataclass(kind) else ()


def _read(hint: object, value: object, place: str) -> object:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _read(arguments[0], value, place)  # the other is None, which TOML cannot say
    if origin is Literal:
        if value not in arguments:
            raise _wrong(place, value, "one of " + ", ".join(map(str, arguments)))
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(place, value, "a list")
        return tuple(_read(arguments[0], item, f"{place}[{at}]") for at, item in enumerate(value))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _wrong(place, value, "a table")
        return {key: _read(arguments[1], item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return read_table(hint, value, place)
    if hint is object and not _is_json(value):
        raise _wrong(place, value, "text, a number, true, false, a list or a table")
    if hint is not object and type(value) is not hint:
        raise _wrong(place, value, _TYPES.get(hint, "something else"))
    return value


_TYPES: Final[Mapping[object, str]] = {str: "text", bool: "true or false", int: "a whole number"}


def _is_json(value: object) -> bool:
    """Whether JSON can say it, unlike the dates and the infinite numbers of TOML."""
    if isinstance(value, Mapping):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    return isinstance(value, str | int) or (isinstance(value, float) and isfinite(value))


def _wrong(place: str, value: object, wanted: str) -> PluginError:
    shown = repr(value)[:80]
    return PluginError(f"{place} is {shown}", hint=f"It has to be {wanted}.")


def _near(key: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key, names, 1)
    return f"Did you mean {near[0]}?" if near else "The keys are: " + ", ".join(names) + "."


def _check(row: Row, place: str) -> None:
    """What the types alone do not say.

    Raises:
        PluginError: the row contradicts itself.
    """
    if not row.base_url.startswith(_BEGINNINGS) or " " in row.base_url:
        raise _wrong(f"{place}.base_url", row.base_url, "an address that begins with http:// or https://")
    addresses = {"docs": row.docs, "key_url": row.key_url}
    if row.sign_in:
        addresses |= {"sign_in.page": row.sign_in.page, "sign_in.exchange": row.sign_in.exchange}
    for key, address in addresses.items():
        if address and not address.startswith("https://"):
            raise _wrong(f"{place}.{key}", address, "an address that begins with https://")
    for key, text in (("title", row.title), ("docs", row.docs)):
        if not text.strip():
            raise _wrong(f"{place}.{key}", text, "some text")
    if row.key == "required" and not (row.env and row.key_url):
        raise PluginError(
            f"{place} wants a key but does not say where it is",
            hint='Give env = ["..."] and key_url = "https://...", or set key = "optional" or "none".',
        )
    _check_blanks(row, place)
    for name, text in row.headers.items():
        if not _is_header(name, text):
            raise _wrong(f"{place}.headers.{name}", text, "one line of plain characters")
    for at, model in enumerate(row.known):
        if not model.id.strip():
            raise _wrong(f"{place}.known[{at}].id", model.id, "the id of a model")


def _check_blanks(row: Row, place: str) -> None:
    for key, texts in (("base_url", [row.base_url]), ("query", row.query.values())):
        for blank in _blanks(texts):
            if blank not in row.asks:
                raise PluginError(
                    f"{place}.{key} has a blank {{{blank}}} that nobody fills",
                    hint=f"Describe it in a table asks.{blank}, with a label.",
                )
    for name in row.asks:
        if not (name.isascii() and name.islower() and name.isidentifier()) or name == "key":
            raise PluginError(
                f"{place}.asks.{name} has no name that a field may have",
                hint="Use lower-case letters, digits and `_`, beginning with a letter, but not `key`.",
            )


def _blanks(texts: Iterable[str]) -> list[str]:
    return [blank for text in texts for blank in re.findall(_BLANK, text)]


def _is_header(name: str, text: str) -> bool:
    return name.replace("-", "").isalnum() and f"{name}{text}".isascii() and text.isprintable()
