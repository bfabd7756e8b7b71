"""The fields of a form as data, and what each takes as a value.

A plugin declares them; they are checked when they are made, so that whoever shows a form need not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from registry.patterns import TooCostlyError, check_pattern, matches
from registry.text import safe_text

FieldKind: TypeAlias = Literal["text", "secret", "select", "multi_select", "number", "boolean", "url"]
FormValue: TypeAlias = str | int | float | bool | tuple[str, ...]
"""What a field holds: text, a number, a truth, the chosen options. A number not given is an empty text."""

MAX_FIELDS: Final = 64
"""The most fields of a form."""
MAX_OPTIONS: Final = 500
"""The most options of a field."""
MAX_VALUE: Final = 32_768
"""The longest text that a field takes, in characters: tokens of 16 kB exist."""

Title: TypeAlias = Annotated[str, Field(max_length=200)]
"""One line that a plugin says."""
Explanation: TypeAlias = Annotated[str, Field(max_length=1000)]

_TEXTS: Final = ("text", "secret", "url")
_NUMBER = re.compile(r"[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,3})?", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SECRET_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_TRUTHS: Final = {"true": True, "yes": True, "y": True, "on": True, "1": True} | {
    "false": False,
    "no": False,
    "n": False,
    "off": False,
    "0": False,
}
_MISSING: Final[Mapping[FieldKind, str]] = {
    "select": "Choose one.",
    "multi_select": "Choose at least one.",
    "number": "A number is needed here.",
}


class Data(BaseModel):
    """Data that cannot be changed and has no more than what is declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Option(Data):
    """One choice of a select."""

    value: str = Field(min_length=1, max_length=200)
    label: Title = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_visible("value", self.value)
        return self


class When(Data):
    """Show a field only while an earlier field of the form is shown and has this value.

    For a `multi_select`, while this option is among the chosen.
    """

    field: str
    equals: str | int | float | bool


class FormField(Data):
    """One field of a form.

    Raises:
        pydantic.ValidationError: it cannot be as declared.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    kind: FieldKind = "text"
    label: Title = ""
    help: Explanation = ""
    placeholder: Title = ""
    default: str | int | float | bool | tuple[str, ...] | None = None
    required: bool = True
    pattern: str | None = None
    """What the whole text has to match: a regular expression as `registry.patterns` has them, at most 200
    characters long."""
    pattern_help: Title = ""
    """What is said to somebody whose text does not match, such as `A key begins with sk-.`"""
    minimum: float | None = None
    """The least a number may be, the fewest characters of a text, the fewest options chosen."""
    maximum: float | None = None
    options: tuple[Option, ...] = Field(default=(), max_length=MAX_OPTIONS)
    when: When | None = None

    @property
    def title(self) -> str:
        """What it is called on a screen."""
        return self.label or self.name

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_pattern()
        self._check_limits()
        self._check_options()
        self._check_default()
        return self

    def _check_pattern(self) -> None:
        if self.pattern is None:
            return
        if self.kind not in _TEXTS:
            raise ValueError(f"a {self.kind} has no pattern")
        _check_visible("pattern", self.pattern)
        try:
            check_pattern(self.pattern)
        except ValueError as error:
            raise ValueError(f"the pattern cannot be used: {error}") from error

    def _check_limits(self) -> None:
        limits = [limit for limit in (self.minimum, self.maximum) if limit is not None]
        if limits and self.kind in {"select", "boolean"}:
            raise ValueError(f"a {self.kind} has no minimum and no maximum")
        if self.kind != "number" and any(limit < 0 or limit != int(limit) for limit in limits):
            raise ValueError("minimum and maximum count something: they are whole numbers, 0 or more")
        if limits != sorted(limits):
            raise ValueError("the minimum is more than the maximum")

    def _check_options(self) -> None:
        if self.kind not in {"select", "multi_select"}:
            if self.options:
                raise ValueError(f"a {self.kind} has no options")
            return
        values = [option.value for option in self.options]
        if not values:
            raise ValueError(f"a {self.kind} needs at least one option")
        if len(set(values)) < len(values):
            raise ValueError("two options have the same value")
        if self.kind == "multi_select":
            if any("," in value for value in values):
                raise ValueError("the value of an option of a multi_select has no comma")
            if (self.minimum or 0) > len(values):
                raise ValueError("the minimum is more than there are options")

    def _check_default(self) -> None:
        if self.default is None:
            return
        if self.kind == "secret":
            raise ValueError("a secret has no default: what is written in a plugin is none")
        if isinstance(self.default, str):
            _check_visible("default", self.default)
            if len(self.default) > 1000:
                raise ValueError("the default has more than 1000 characters")
        problem = check_value(self, self.default)
        if problem and not is_empty(self, self.default):
            raise ValueError(f"the default does not fit the field: {problem}")


def check_fields(fields: Sequence[FormField]) -> None:
    """Check that fields make a form.

    Raises:
        ValueError: there are too many, two have one name, or a `when` can never be.
    """
    if len(fields) > MAX_FIELDS:
        raise ValueError(f"a form has at most {MAX_FIELDS} fields")
    earlier: dict[str, FormField] = {}
    for field in fields:
        if field.name in earlier:
            raise ValueError(f"two fields are named {field.name}")
        if field.when is not None:
            _check_when(field.name, field.when, earlier)
        earlier[field.name] = field


def _check_when(name: str, when: When, earlier: Mapping[str, FormField]) -> None:
    other = earlier.get(when.field)
    if other is None:
        raise ValueError(f"{name} depends on a field that is not before it")
    if other.kind == "secret":
        raise ValueError(f"{name} depends on a secret")
    value = (when.equals,) if other.kind == "multi_select" else when.equals
    if other.kind == "multi_select":
        possible = when.equals in {option.value for option in other.options}
    else:
        possible = not check_value(other, when.equals)
    if not possible:
        raise ValueError(f"{name} depends on a value that {other.name} never has: {value!r:.80}")


def is_met(when: When, other: FormField, value: FormValue) -> bool:
    """Whether a field that depends on another is shown, given the other's value."""
    if isinstance(value, tuple):
        return when.equals in value
    if isinstance(value, bool) != isinstance(when.equals, bool):
        return False  # for Python, 1 is True
    return value == when.equals


def is_empty(field: FormField, value: FormValue) -> bool:
    """Whether nothing was filled in; of a required field, blanks are nothing. A boolean is never empty."""
    match field.kind:
        case "boolean":
            return False
        case "multi_select":
            return value == ()
        case _:
            return isinstance(value, str) and not (value.strip() if field.required else value)


def check_value(field: FormField, value: FormValue) -> str:
    """What is wrong with a value, in one line for people; nothing when it fits.

    Takes little time whatever the pattern and the value are.
    """
    if is_empty(field, value):
        return _MISSING.get(field.kind, "This is needed.") if field.required else ""
    match field.kind:
        case "number":
            return _check_number(field, value)
        case "boolean":
            return "" if isinstance(value, bool) else "It is yes or no."
        case "select" | "multi_select":
            return _check_choice(field, value)
        case _:
            return _check_text(field, value)


def _check_number(field: FormField, value: FormValue) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        return "It is no number."
    if field.minimum is not None and value < field.minimum:
        return f"At least {field.minimum:g}."
    if field.maximum is not None and value > field.maximum:
        return f"At most {field.maximum:g}."
    return ""


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _check_choice(field: FormField, value: FormValue) -> str:
    chosen = (value,) if field.kind == "select" else value
    values = {option.value for option in field.options}
    if not isinstance(chosen, tuple) or not all(isinstance(one, str) and one in values for one in chosen):
        return "It is none of the choices."
    if len(set(chosen)) < len(chosen):
        return "One is chosen twice."
    return _check_count(field, len(chosen), "choice") if field.kind == "multi_select" else ""


def _check_text(field: FormField, value: FormValue) -> str:
    if not isinstance(value, str):
        return "It is no text."
    if len(value) > MAX_VALUE:
        return f"It is too long: at most {MAX_VALUE} characters."
    if (_SECRET_CONTROL if field.kind == "secret" else _CONTROL).search(value):
        return "It has characters that cannot be seen."
    problem = _check_count(field, len(value), "character")
    if not problem and field.kind == "url":
        problem = check_address(value)
    if problem or field.pattern is None:
        return problem
    try:
        fits = matches(field.pattern, value)
    except TooCostlyError:
        return "It is too long."
    return "" if fits else field.pattern_help or "It does not look like what is needed here."


def _check_count(field: FormField, count: int, what: str) -> str:
    for limit, words, wrong in (
        (field.minimum, "At least", count < (field.minimum or 0)),
        (field.maximum, "At most", count > (field.maximum or 0)),
    ):
        if limit is not None and wrong:
            return f"{words} {limit:.0f} {what}{'' if limit == 1 else 's'}."
    return ""


def check_address(address: str) -> str:
    """What is wrong with the address of a server, in one line for people; nothing when it is one."""
    try:
        parts = urlsplit(address)
        host, user, _ = parts.hostname, parts.username, parts.port
    except ValueError:
        return "It is no address."
    if parts.scheme not in {"http", "https"}:
        return "An address begins with https:// or http://."
    if not host or re.search(r"\s", address):
        return "It is no address."
    return "" if user is None else "Leave the name and the password out of the address."


def parse_text(field: FormField, text: str) -> FormValue:
    """What somebody typed, as a value of the field. An empty text is nothing typed yet.

    Args:
        field: what it was typed for.
        text: a number, yes or no, the value or the label of an option; several of these with commas.

    Raises:
        ValueError: it cannot be one; the message is for people. What can be is still to be checked.
    """
    text = text.strip()
    match field.kind:
        case "number":
            return _parse_number(text) if text else ""
        case "boolean":
            if text.lower() not in _TRUTHS:
                raise ValueError("Say yes or no.")
            return _TRUTHS[text.lower()]
        case "select":
            return _option_value(field, text) if text else ""
        case "multi_select":
            names = [name.strip() for name in text.split(",")]
            return tuple(dict.fromkeys(_option_value(field, name) for name in names if name))
        case _:
            return text


def _parse_number(text: str) -> int | float:
    if not _NUMBER.fullmatch(text):
        raise ValueError("It is no number.")
    try:
        return int(text)
    except ValueError:
        return float(text)


def _option_value(field: FormField, text: str) -> str:
    for option in field.options:
        if text == option.value:
            return text
    for option in field.options:
        if text.lower() in {option.value.lower(), option.label.lower()}:
            return option.value
    raise ValueError("It is none of the choices.")


def _check_visible(what: str, text: str) -> None:
    if safe_text(text, single_line=True) != text:
        raise ValueError(f"the {what} has characters that cannot be seen, or a space at an end")
