"""The logic of forms that screens, prompts and a JSON schema share."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.auth import ApiKey, AuthMethod, Credential, Form, NoAuth, OAuthCode, Option, When
from registry.fields import MAX_VALUE, FormField, FormValue
from registry.forms import (
    FormError,
    add_fields,
    check_form,
    check_value,
    default_values,
    fields_of,
    json_schema,
    make_credential,
    parse_text,
    title_of,
    visible_fields,
)
from registry.patterns import matches
from tests.registry.form_strategies import filled_in, forms

OPTIONS = (Option(value="eu", label="Europe"), Option(value="us", label="United States"))
CLOUD = Form(
    fields=(
        FormField(name="cloud", kind="boolean", label="In the cloud"),
        FormField(name="region", kind="select", options=OPTIONS, when=When(field="cloud", equals=True)),
        FormField(name="office", when=When(field="region", equals="eu"), pattern="[A-Z]{3}"),
        FormField(name="url", kind="url", when=When(field="cloud", equals=False)),
        FormField(name="key", kind="secret", required=False),
    )
)


def field(kind: str = "text", **given: Any) -> FormField:
    if kind in {"select", "multi_select"}:
        given = {"options": OPTIONS, **given}
    return FormField(**{"name": "it", "kind": kind, **given})


def names(fields: tuple[FormField, ...]) -> list[str]:
    return [field.name for field in fields]


# -- what is shown ------------------------------------------------------------------------------------------


def test_a_key_is_asked_first_then_the_fields_beside_it() -> None:
    fields = fields_of(ApiKey(label="API key", fields=(FormField(name="organisation", required=False),)))
    assert [(field.name, field.kind, field.title) for field in fields] == [
        ("key", "secret", "API key"),
        ("organisation", "text", "organisation"),
    ]
    assert fields_of(NoAuth()) == ()


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({}, ["cloud", "url", "key"]),
        ({"cloud": False, "region": "eu"}, ["cloud", "url", "key"]),
        ({"cloud": True}, ["cloud", "region", "key"]),
        ({"cloud": True, "region": "us"}, ["cloud", "region", "key"]),
        ({"cloud": True, "region": "eu"}, ["cloud", "region", "office", "key"]),
        ({"cloud": 1, "region": "eu"}, ["cloud", "key"]),
    ],
)
def test_a_field_is_shown_while_what_it_depends_on_is_shown_and_has_the_value(
    values: dict[str, FormValue], shown: list[str]
) -> None:
    assert names(visible_fields(CLOUD.fields, values)) == shown


def test_a_field_may_depend_on_one_of_several_choices() -> None:
    form = Form(
        fields=(
            field("multi_select", required=False),
            FormField(name="x", when=When(field="it", equals="us")),
        )
    )
    assert names(visible_fields(form.fields, {"it": ("eu", "us")})) == ["it", "x"]
    assert names(visible_fields(form.fields, {"it": ("eu",)})) == ["it"]


def test_a_form_begins_with_the_defaults_or_empty() -> None:
    fields = [
        FormField(name="a", kind="number", default=3),
        FormField(name="b", kind="number"),
        FormField(name="c", kind="boolean"),
        FormField(name="d", kind="multi_select", options=OPTIONS),
        FormField(name="e", kind="select", options=OPTIONS, default="us"),
        FormField(name="f", kind="select", options=OPTIONS),
    ]
    assert default_values(fields) == {"a": 3, "b": "", "c": False, "d": (), "e": "us", "f": ""}


def test_a_title_is_one_line_that_acts_on_no_terminal() -> None:
    assert title_of(field(label="\x1b[2Ja\nb")) == "a b"
    assert title_of(field(label="\u200b")) == "it"


# -- what is typed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("text", "  a b ", "a b"),
        ("secret", "sk-1\r\n", "sk-1"),
        ("url", " https://x.example ", "https://x.example"),
        ("number", "3", 3),
        ("number", "-2.5", -2.5),
        ("number", "1e3", 1000.0),
        ("number", " ", ""),
        ("boolean", "Yes", True),
        ("boolean", "off", False),
        ("select", "eu", "eu"),
        ("select", "united states", "us"),
        ("select", "EU", "eu"),
        ("select", "", ""),
        ("multi_select", "us, Europe,us", ("us", "eu")),
        ("multi_select", "", ()),
    ],
)
def test_what_is_typed_becomes_a_value(kind: str, text: str, value: FormValue) -> None:
    parsed = parse_text(field(kind), text)
    assert (parsed, type(parsed)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("number", "three"),
        ("number", "nan"),
        ("number", "inf"),
        ("number", "1_000"),
        ("number", "9" * 5000),
        ("number", "\u0663"),
        ("boolean", "perhaps"),
        ("boolean", ""),
        ("select", "mars"),
        ("multi_select", "eu,mars"),
    ],
)
def test_what_cannot_be_a_value_is_refused_with_a_sentence(kind: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        parse_text(field(kind), text)


# -- what is wrong ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "value", "problem"),
    [
        ({}, "", "This is needed."),
        ({}, "  ", "This is needed."),
        ({"required": False}, "", ""),
        ({"minimum": 3}, "ab", "At least 3 characters."),
        ({"maximum": 1}, "ab", "At most 1 character."),
        ({}, "a\x1bb", "It has characters that cannot be seen."),
        ({}, "a\nb", "It has characters that cannot be seen."),
        ({"kind": "secret"}, "-----BEGIN\n\tx", ""),
        ({"kind": "secret"}, "a\x00", "It has characters that cannot be seen."),
        ({}, "x" * (MAX_VALUE + 1), f"It is too long: at most {MAX_VALUE} characters."),
        ({}, 3, "It is no text."),
        ({"pattern": "[0-9]{4}"}, "1234", ""),
        ({"pattern": "[0-9]{4}"}, "12345", "It does not look like what is needed here."),
        ({"pattern": "[0-9]{4}", "pattern_help": "Four digits."}, "x", "Four digits."),
        ({"pattern": "(a|aa)+" * 20 + "b"}, "ab" * 10_000, "It does not look like what is needed here."),
        ({"kind": "url"}, "https://x.example:8080/v1", ""),
        ({"kind": "url"}, "http://192.168.1.2", ""),
        ({"kind": "url"}, "x.example", "An address begins with https:// or http://."),
        ({"kind": "url"}, "https://", "It is no address."),
        ({"kind": "url"}, "https://[x", "It is no address."),
        ({"kind": "url"}, "https://x y", "It is no address."),
        ({"kind": "url"}, "https://me:pw@x.example", "Leave the name and the password out of the address."),
        ({"kind": "number"}, "", "A number is needed here."),
        ({"kind": "number"}, "3", "It is no number."),
        ({"kind": "number"}, True, "It is no number."),
        ({"kind": "number"}, float("nan"), "It is no number."),
        ({"kind": "number"}, 10**400, "It is no number."),
        ({"kind": "number"}, 0, ""),
        ({"kind": "number", "minimum": 0.5}, 0, "At least 0.5."),
        ({"kind": "number", "maximum": 3}, 4, "At most 3."),
        ({"kind": "boolean"}, False, ""),
        ({"kind": "boolean"}, "false", "It is yes or no."),
        ({"kind": "boolean", "required": False}, "", "It is yes or no."),
        ({"kind": "multi_select", "required": False}, "", "It is none of the choices."),
        ({"required": False}, (), "It is no text."),
        ({"kind": "select"}, "", "Choose one."),
        ({"kind": "select"}, "mars", "It is none of the choices."),
        ({"kind": "select"}, ("eu",), "It is none of the choices."),
        ({"kind": "multi_select"}, (), "Choose at least one."),
        ({"kind": "multi_select"}, ("eu", "us"), ""),
        ({"kind": "multi_select"}, ("eu", "eu"), "One is chosen twice."),
        ({"kind": "multi_select"}, "eu", "It is none of the choices."),
        ({"kind": "multi_select", "minimum": 2}, ("eu",), "At least 2 choices."),
        ({"kind": "multi_select", "maximum": 1}, ("eu", "us"), "At most 1 choice."),
    ],
)
def test_what_is_wrong_with_a_value_is_said_in_one_line(
    given: dict[str, Any], value: FormValue, problem: str
) -> None:
    assert check_value(field(**given), value) == problem


def test_a_pattern_that_takes_too_long_is_a_problem_of_the_value() -> None:
    hostile = field(pattern="((a|b)*(a|c)*)*" * 10 + "x")
    assert check_value(hostile, "abc" * 10_000) in {
        "It is too long.",
        "It does not look like what is needed here.",
    }


def test_a_form_is_checked_where_it_is_shown() -> None:
    assert check_form(CLOUD.fields, {"cloud": True, "region": "eu", "office": "x", "url": "no address"}) == {
        "office": "It does not look like what is needed here."
    }
    assert check_form(CLOUD.fields, {"cloud": True, "region": "us", "office": "x"}) == {}
    assert check_form(CLOUD.fields, {}) == {"url": "This is needed."}


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "kéy", ""])
def test_a_key_that_fits_in_no_header_is_refused(key: str) -> None:
    assert check_form(fields_of(ApiKey()), {"key": key}).keys() == {"key"}


# -- what it yields -----------------------------------------------------------------------------------------


def secrets_of(credential: Credential) -> dict[str, str]:
    return {name: secret.get_secret_value() for name, secret in credential.secrets.items()}


def test_a_form_yields_its_secrets_and_its_values_and_nothing_that_is_hidden_or_empty() -> None:
    values: dict[str, FormValue] = {"cloud": True, "region": "us", "office": "ABC", "url": "x", "key": "k y"}
    credential = make_credential(CLOUD, values)
    assert secrets_of(credential) == {"key": "k y"}
    assert credential.values == {"cloud": "true", "region": "us"}
    assert credential.token == "k y"
    assert make_credential(NoAuth(), {}) == Credential()


def test_choices_and_numbers_become_text() -> None:
    form = Form(fields=(field("multi_select"), FormField(name="size", kind="number", default=2.5)))
    assert make_credential(form, {"it": ("us", "eu")}).values == {"it": "us,eu", "size": "2.5"}


def test_a_form_that_is_not_complete_yields_its_problems_and_no_secret() -> None:
    with pytest.raises(FormError) as caught:
        make_credential(ApiKey(label="Key", fields=(FormField(name="org"),)), {"key": "not a very-secret"})
    assert caught.value.problems.keys() == {"key", "org"}
    assert "Key: A key has" in caught.value.detail
    assert "very-secret" not in str(caught.value)


def test_what_was_asked_before_oauth_is_joined_to_what_it_yields() -> None:
    method = OAuthCode(issuer="https://id.example", fields=(FormField(name="tenant"),))
    given = Credential.from_json('{"secrets": {"access_token": "at-1234567"}, "scopes": ["a"]}')
    joined = add_fields(given, method, {"tenant": "acme"})
    assert joined == given.model_copy(update={"values": {"tenant": "acme"}})


# -- as JSON schema -----------------------------------------------------------------------------------------

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "string": str,
    "array": list,
    "number": (int, float),
    "boolean": bool,
}


def accepts(schema: Any, value: Any) -> bool:
    """Whether a JSON schema takes a value: the keywords that forms use, as draft 2020-12 has them."""
    return schema is True or all(_holds(keyword, schema, value) for keyword in schema)


def _holds(keyword: str, schema: dict[str, Any], value: Any) -> bool:
    wanted = schema[keyword]
    match keyword:
        case "type":
            return isinstance(value, _TYPES[wanted]) and (wanted == "boolean") == isinstance(value, bool)
        case "const":
            return isinstance(value, bool) == isinstance(wanted, bool) and value == wanted
        case "oneOf":
            return sum(accepts(one, value) for one in wanted) == 1
        case "anyOf":
            return any(accepts(one, value) for one in wanted)
        case "allOf":
            return all(accepts(one, value) for one in wanted)
        case "if":
            return not accepts(wanted, value) or accepts(schema["then"], value)
        case "properties":
            return all(accepts(inner, value[name]) for name, inner in wanted.items() if name in value)
        case "additionalProperties":
            return set(value) <= set(schema["properties"])
        case "required":
            return set(value) >= set(wanted)
        case "minimum" | "maximum":
            return bool(value >= wanted if keyword == "minimum" else value <= wanted)
        case "minLength" | "minItems":
            return len(value) >= int(wanted)
        case "maxLength" | "maxItems":
            return len(value) <= int(wanted)
        case "pattern":
            return re.search(wanted, value) is not None
        case "items":
            return all(accepts(wanted, one) for one in value)
        case "contains":
            return any(accepts(wanted, one) for one in value)
        case "uniqueItems":
            return len(set(value)) == len(value)
    assert keyword in {"$schema", "title", "description", "default", "writeOnly", "format", "then"}, keyword
    return True


def as_json(values: dict[str, FormValue]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def test_the_schema_says_what_is_secret_needed_and_dependent() -> None:
    schema = json_schema(CLOUD)
    assert schema["properties"]["key"]["writeOnly"] is True
    assert schema["required"] == []
    region, office, url = schema["allOf"]
    assert region["if"] == {"allOf": [{"properties": {"cloud": {"const": True}}, "required": ["cloud"]}]}
    assert [choice["const"] for choice in region["then"]["properties"]["region"]["oneOf"]] == ["eu", "us"]
    assert len(office["if"]["allOf"]) == 2
    assert office["then"]["properties"]["office"]["pattern"] == "^(?:[A-Z]{3})$"
    assert url["if"] == {"allOf": [{"properties": {"cloud": {"const": False}}}]}
    assert url["then"]["required"] == ["url"]


@pytest.mark.parametrize(
    ("values", "good"),
    [
        ({"url": "https://x.example"}, True),
        ({}, False),
        ({"cloud": True}, False),
        ({"cloud": True, "region": "us", "office": 3}, True),
        ({"cloud": True, "region": "eu", "office": "abc"}, False),
        ({"cloud": True, "region": "eu", "office": "ABC"}, True),
        ({"cloud": True, "region": "mars"}, False),
        ({"cloud": "yes", "url": "https://x.example"}, False),
    ],
)
def test_the_schema_takes_what_the_form_takes(values: dict[str, Any], good: bool) -> None:
    assert accepts(json_schema(CLOUD), values) is good
    assert (not check_form(CLOUD.fields, values)) is good


# -- any form -----------------------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_any_form_that_is_filled_in_yields_a_credential_that_is_kept_whole(data: st.DataObject) -> None:
    method: AuthMethod = data.draw(forms())
    values = default_values(fields_of(method)) | data.draw(filled_in(method))
    assert check_form(fields_of(method), values) == {}
    credential = make_credential(method, values)
    assert Credential.from_json(credential.to_json()) == credential
    shown = visible_fields(fields_of(method), values)
    assert {*credential.secrets, *credential.values} == {
        field.name for field in shown if values[field.name] not in ("", ())
    }
    assert set(credential.secrets) <= {field.name for field in shown if field.kind == "secret"}
    assert accepts(json_schema(method), as_json(values))


_ANYTHING: st.SearchStrategy[FormValue] = (
    st.text(max_size=6)
    | st.floats()
    | st.integers()
    | st.booleans()
    | st.lists(st.text(max_size=3)).map(tuple)
)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_the_schema_of_any_form_takes_whatever_the_form_takes(data: st.DataObject) -> None:
    method: AuthMethod = data.draw(forms())
    values = data.draw(filled_in(method))
    for name in data.draw(st.sets(st.sampled_from(sorted(values)))):
        values[name] = data.draw(_ANYTHING)
    for name in data.draw(st.sets(st.sampled_from(sorted(values)))):
        del values[name]
    if not check_form(fields_of(method), values):
        assert accepts(json_schema(method), as_json(values))


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_what_a_form_shows_of_a_value_is_read_back_as_the_value(data: st.DataObject) -> None:
    method: AuthMethod = data.draw(forms())
    values = data.draw(filled_in(method))
    for field in fields_of(method):
        value = values[field.name]
        text = ",".join(value) if isinstance(value, tuple) else str(value)
        assert parse_text(field, text) == value


def test_the_patterns_of_forms_mean_the_same_in_a_schema() -> None:
    for pattern, value in (("a|b", "xb"), ("^a|b$", "ab"), ("a|b", "b")):
        schema = json_schema(Form(fields=(field(pattern=pattern),)))["properties"]["it"]
        assert accepts(schema, value) == matches(pattern, value)
