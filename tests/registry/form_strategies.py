"""Forms that plugins may declare, and values for them, as hypothesis makes them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from registry.auth import ApiKey, AuthMethod, Form
from registry.fields import FormField, FormValue, Option, When
from registry.forms import fields_of

HOSTILE = st.sampled_from(
    [
        "[red]markup[/]",
        "\x1b]0;title\x07x",
        "\u202egnp.exe",
        "$x {0} %s",
        "a\nb",
        "[/",
        "🏳️\u200d🌈",
        "漢字" * 30,
    ]
)
TEXT = st.text(st.characters(categories=("L", "N", "P", "S"), exclude_characters="\xad"), max_size=12)
LABELS = HOSTILE | TEXT
KINDS = ("text", "secret", "select", "multi_select", "number", "boolean", "url")
PATTERNS = {
    "[a-z]{2,5}": st.from_regex(r"[a-z]{2,5}", fullmatch=True),
    "[^ ]*": TEXT,
    ".+": TEXT.filter(bool),
}
_NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), min_size=1, max_size=6, unique=True)
_VALUES = st.lists(
    st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8), min_size=1, max_size=5, unique=True
)


@st.composite
def forms(draw: st.DrawFn) -> AuthMethod:
    """A form or a key with fields: every kind, limits, patterns, defaults, conditions, hostile labels."""
    fields: list[FormField] = []
    for name in draw(_NAMES):
        fields.append(_field(draw, f"f_{name}", fields))
    if draw(st.booleans()):
        return ApiKey(label=draw(LABELS), fields=tuple(fields))
    return Form(label=draw(LABELS), fields=tuple(fields))


def _field(draw: st.DrawFn, name: str, earlier: list[FormField]) -> FormField:
    """A field that may depend on one of those before it."""
    kind = draw(st.sampled_from(KINDS))
    given: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "label": draw(LABELS),
        "help": draw(LABELS),
        "placeholder": draw(LABELS),
        "required": draw(st.booleans()),
        **_limits(draw, kind),
    }
    if kind in {"select", "multi_select"}:
        given["options"] = tuple(Option(value=value, label=draw(LABELS)) for value in draw(_VALUES))
    if kind in {"text", "secret"} and draw(st.booleans()):
        given["pattern"] = draw(st.sampled_from(sorted(PATTERNS)))
        given.pop("minimum", None)
        given.pop("maximum", None)
    field = FormField(**given)
    if kind != "secret" and draw(st.booleans()):
        field = FormField(**given, default=draw(values_for(field)))
    others = [other for other in earlier if other.kind != "secret"]
    if draw(st.booleans()) and others:
        return FormField(
            **field.model_dump(exclude={"when"}), when=_condition(draw, draw(st.sampled_from(others)))
        )
    return field


def _condition(draw: st.DrawFn, other: FormField) -> When:
    if other.kind == "multi_select":
        return When(field=other.name, equals=draw(st.sampled_from(other.options)).value)
    value = draw(values_for(other))
    assert not isinstance(value, tuple)
    return When(field=other.name, equals=value)


def _limits(draw: st.DrawFn, kind: str) -> dict[str, float]:
    if kind == "number":
        least = draw(st.integers(-1000, 1000) | st.floats(-1e6, 1e6))
        return {"minimum": least, "maximum": least + draw(st.integers(0, 100))}
    if kind in {"text", "secret"} and draw(st.booleans()):
        least = draw(st.integers(0, 5))
        return {"minimum": least, "maximum": least + draw(st.integers(1, 10))}
    return {}


def values_for(field: FormField) -> st.SearchStrategy[FormValue]:
    """Values that a field takes, and that are not empty."""
    values = [option.value for option in field.options]
    strategies: dict[str, st.SearchStrategy[Any]] = {
        "number": st.floats(field.minimum or 0, field.maximum) | st.just(field.minimum),
        "boolean": st.booleans(),
        "url": st.sampled_from(["https://example.com/v1", "http://127.0.0.1:8080", "http://[::1]/x?y=1"]),
        "select": st.sampled_from(values or [""]),
        "multi_select": st.lists(st.sampled_from(values or [""]), min_size=1, unique=True).map(tuple),
    }
    if field.kind in strategies:
        return strategies[field.kind]
    if field.pattern is not None:
        return PATTERNS[field.pattern].filter(bool)
    least, most = max(int(field.minimum or 0), 1), int(field.maximum or 20)
    return st.text(
        st.characters(categories=("L", "N", "P", "S"), exclude_characters="\xad"),
        min_size=least,
        max_size=most,
    )


@st.composite
def filled_in(draw: st.DrawFn, method: AuthMethod) -> dict[str, FormValue]:
    """A value for each field of a method; some of those that may be left empty are."""
    values: dict[str, FormValue] = {}
    for field in fields_of(method):
        if not field.required and field.kind != "boolean" and draw(st.booleans()):
            values[field.name] = () if field.kind == "multi_select" else ""
        elif field.name == "key":
            values[field.name] = draw(st.text("abcXYZ09-_./+", min_size=1, max_size=40))
        else:
            values[field.name] = draw(values_for(field))
    return values
