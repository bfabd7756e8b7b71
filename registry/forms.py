"""The form of an auth method, apart from any screen: what is shown, what is wrong, what it yields.

A screen, prompts and flags of the command line, and a JSON schema all ask here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import SecretStr

from registry.auth import KEY, ApiKey, AuthMethod, Credential, NoAuth
from registry.errors import JackfieldError
from registry.fields import MAX_VALUE, FormField, FormValue, check_value, is_met, parse_text
from registry.text import safe_text


class FormError(JackfieldError):
    """What was filled in cannot be used.

    Args:
        problems: what is wrong, by the name of the field.
        fields: the fields of the form, for how they are called.
    """

    def __init__(self, problems: Mapping[str, str], fields: Sequence[FormField] = ()) -> None:
        titles = {field.name: title_of(field) for field in fields}
        lines = [f"{titles.get(name, name)}: {problem}" for name, problem in problems.items()]
        super().__init__("The form is not complete", detail="\n".join(lines), hint="Fill it in again.")
        self.problems = dict(problems)


def title_of(field: FormField) -> str:
    """What a field is called, in one line that is safe to show."""
    return safe_text(field.title, single_line=True, limit=200) or field.name


def fields_of(method: AuthMethod) -> tuple[FormField, ...]:
    """What a method asks, in order; of an `ApiKey` the key first. OAuth asks before it begins."""
    if isinstance(method, NoAuth):
        return ()
    return (_key_field(method), *method.fields) if isinstance(method, ApiKey) else method.fields


def _key_field(method: ApiKey) -> FormField:
    # A key goes into a header, which has room for visible ASCII only (RFC 9110, section 5.5).
    return FormField(
        name=KEY,
        kind="secret",
        label=method.label or "API key",
        pattern="[!-~]+",
        pattern_help="A key has letters, digits and signs, and no spaces.",
    )


def value_of(field: FormField, values: Mapping[str, FormValue]) -> FormValue:
    """The value that a form has for a field: what was filled in, or else its default."""
    return values[field.name] if field.name in values else _default(field)


def default_values(fields: Sequence[FormField]) -> dict[str, FormValue]:
    """What a form has before anybody fills it in. No text, number or choice: `""`; no choices: `()`."""
    return {field.name: _default(field) for field in fields}


def _default(field: FormField) -> FormValue:
    if field.default is not None:
        return field.default
    empty: dict[str, FormValue] = {"boolean": False, "multi_select": ()}
    return empty.get(field.kind, "")


def visible_fields(fields: Sequence[FormField], values: Mapping[str, FormValue]) -> tuple[FormField, ...]:
    """The fields that are shown with these values. One that depends on a hidden one is hidden."""
    shown: dict[str, FormField] = {}
    for field in fields:
        if field.when is None or _is_met(field, shown, values):
            shown[field.name] = field
    return tuple(shown.values())


def _is_met(field: FormField, shown: Mapping[str, FormField], values: Mapping[str, FormValue]) -> bool:
    other = shown.get(field.when.field) if field.when else None
    return bool(field.when and other and is_met(field.when, other, value_of(other, values)))


def check_form(fields: Sequence[FormField], values: Mapping[str, FormValue]) -> dict[str, str]:
    """What is wrong, by the name of the field; empty when the form is good. Hidden fields do not count."""
    problems = {
        field.name: check_value(field, value_of(field, values)) for field in visible_fields(fields, values)
    }
    return {name: problem for name, problem in problems.items() if problem}


def make_credential(method: AuthMethod, values: Mapping[str, FormValue]) -> Credential:
    """The credential that a filled-in form yields. What is hidden or empty is not in it.

    Of an OAuth method, it is what was asked beforehand: see `add_fields`.

    Raises:
        FormError: something is wrong with the values.
    """
    fields = fields_of(method)
    problems = check_form(fields, values)
    if problems:
        raise FormError(problems, fields)
    secrets: dict[str, SecretStr] = {}
    others: dict[str, str] = {}
    for field in visible_fields(fields, values):
        text = _as_text(value_of(field, values))
        if field.kind == "secret" and text:
            secrets[field.name] = SecretStr(text)
        elif text:
            others[field.name] = text
    return Credential(secrets=secrets, values=others)


def add_fields(credential: Credential, method: AuthMethod, values: Mapping[str, FormValue]) -> Credential:
    """A credential of OAuth, with what the form of its method asked beforehand.

    Raises:
        FormError: something is wrong with the values.
    """
    asked = make_credential(method, values)
    return credential.model_copy(
        update={
            "secrets": {**asked.secrets, **credential.secrets},
            "values": {**asked.values, **credential.values},
        }
    )


def _as_text(value: FormValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, tuple) else str(value)


_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_TYPES: Final = {"number": "number", "boolean": "boolean", "multi_select": "array"}


def json_schema(method: AuthMethod) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of the values of a method's form.

    It takes whatever `check_form` takes. A hidden field may have any value, since none counts.
    """
    fields = fields_of(method)
    always = [field for field in fields if field.when is None]
    schema: dict[str, Any] = {
        "$schema": _DRAFT,
        "title": method.label or method.name,
        "type": "object",
        "properties": {field.name: True if field.when else _field_schema(field) for field in fields},
        "additionalProperties": False,
        "required": [field.name for field in always if _has_to_be_given(field)],
    }
    by_name = {field.name: field for field in fields}
    conditions = [_condition(field, by_name) for field in fields if field.when]
    return {**schema, "allOf": conditions} if conditions else schema


def _condition(field: FormField, fields: Mapping[str, FormField]) -> dict[str, Any]:
    then: dict[str, Any] = {"properties": {field.name: _field_schema(field)}}
    if _has_to_be_given(field):
        then["required"] = [field.name]
    return {"if": {"allOf": list(_conditions(field, fields))}, "then": then}


def _conditions(field: FormField, fields: Mapping[str, FormField]) -> Iterator[dict[str, Any]]:
    """What has to hold for a field to be shown: its own condition, and that of the field it depends on."""
    while field.when is not None:
        when, other = field.when, fields[field.when.field]
        const = {"const": when.equals}
        wanted: dict[str, Any] = {
            "properties": {other.name: {"contains": const} if other.kind == "multi_select" else const}
        }
        if not is_met(when, other, _default(other)):
            wanted["required"] = [other.name]  # a property that is not there would be taken for met
        yield wanted
        field = other


def _has_to_be_given(field: FormField) -> bool:
    return bool(check_value(field, _default(field)))


def _field_schema(field: FormField) -> dict[str, Any]:
    about: dict[str, Any] = {"title": title_of(field)}
    if field.help:
        about["description"] = field.help
    if field.default is not None:
        about["default"] = list(field.default) if isinstance(field.default, tuple) else field.default
    if field.kind == "secret":
        about["writeOnly"] = True
    values = _value_schema(field)
    if field.required or field.kind == "boolean":
        return about | values
    empty: object = [] if field.kind == "multi_select" else ""
    return about | {"anyOf": [{"const": empty}, values]}  # a field that may be left empty


def _value_schema(field: FormField) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _TYPES.get(field.kind, "string")}
    least, most = field.minimum, field.maximum
    match field.kind:
        case "number":
            schema |= _limits("minimum", least, "maximum", most)
        case "select":
            schema["oneOf"] = _choices(field)
        case "multi_select":
            schema |= {"items": {"oneOf": _choices(field)}, "uniqueItems": True}
            schema |= _limits("minItems", _count(least, 1), "maxItems", _count(most))
        case "text" | "secret" | "url":
            schema |= _limits("minLength", _count(least, 1), "maxLength", _count(most) or MAX_VALUE)
            schema |= {"format": "uri"} if field.kind == "url" else {}
            schema |= {"pattern": f"^(?:{field.pattern})$"} if field.pattern is not None else {}
    return schema


def _choices(field: FormField) -> list[dict[str, str]]:
    return [{"const": option.value, "title": option.label or option.value} for option in field.options]


def _count(limit: float | None, least: int = 0) -> int | None:
    return max(int(limit or 0), least) if limit is not None or least else None


def _limits(least_name: str, least: float | None, most_name: str, most: float | None) -> dict[str, float]:
    limits = {least_name: least, most_name: most}
    return {name: limit for name, limit in limits.items() if limit is not None}


__all__ = [
    "FormError",
    "FormField",
    "FormValue",
    "add_fields",
    "check_form",
    "check_value",
    "default_values",
    "fields_of",
    "json_schema",
    "make_credential",
    "parse_text",
    "title_of",
    "value_of",
    "visible_fields",
]
