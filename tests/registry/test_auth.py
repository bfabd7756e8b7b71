"""Auth methods are checked when they are made, and a credential gives no secret away."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from jackfield import (
    ApiKey,
    Credential,
    Form,
    FormField,
    NoAuth,
    OAuthCode,
    OAuthDevice,
    OAuthGrant,
    Option,
    When,
)
from registry.auth import OUT_OF_BAND, load_method
from registry.contract import list_auth_methods
from registry.errors import PluginError
from registry.handle import PluginState
from registry.manifest import Manifest, describe
from registry.plugin import verifies
from tests.registry.form_strategies import forms
from tests.registry.plugins_for_tests import Sample, registry_with

URL = "https://id.example/x"
OPTIONS = (Option(value="a", label="A"), Option(value="b"))
SELECT = FormField(name="where", kind="select", options=OPTIONS)


def code(**given: Any) -> OAuthCode:
    return OAuthCode(**{"client_id": "app", "authorization_endpoint": URL, "token_endpoint": URL, **given})


# -- what is declared wrongly -------------------------------------------------------------------------------

WRONG_FIELDS: dict[str, dict[str, Any]] = {
    "Name": {"name": "Not A Name"},
    "has no options": {"options": OPTIONS},
    "a select needs at least one option": {"kind": "select"},
    "a multi_select needs at least one option": {"kind": "multi_select"},
    "same value": {"kind": "select", "options": (*OPTIONS, OPTIONS[0])},
    "no comma": {"kind": "multi_select", "options": (Option(value="a,b"),)},
    "more than there are options": {"kind": "multi_select", "options": OPTIONS, "minimum": 3},
    "at most 500": {"kind": "select", "options": [Option(value=str(number)) for number in range(501)]},
    "at most 200": {"label": "x" * 201},
    "at most 1000": {"help": "x" * 1001},
    "secret has no default": {"kind": "secret", "default": "hunter2"},
    "does not fit the field: It is no number": {"kind": "number", "default": "three"},
    "does not fit the field: At least 5": {"kind": "number", "default": 3, "minimum": 5},
    "does not fit the field: It is none of": {"kind": "select", "options": OPTIONS, "default": "c"},
    "does not fit the field: One is": {"kind": "multi_select", "options": OPTIONS, "default": ("a", "a")},
    "does not fit the field: It is yes": {"kind": "boolean", "default": "true"},
    "does not fit the field: An address": {"kind": "url", "default": "ftp://example.com"},
    "does not fit the field: It does not look": {"pattern": "[0-9]+", "default": "x"},
    "cannot be seen": {"default": "a\u202eb"},
    "more than 1000 characters": {"default": "x" * 1001},
    "pattern cannot be used": {"pattern": "(a"},
    "more than 200": {"pattern": "a" * 201},
    "a number has no pattern": {"kind": "number", "pattern": "1"},
    "the minimum is more than the maximum": {"kind": "number", "minimum": 2, "maximum": 1},
    "whole numbers": {"minimum": 1.5},
    "finite": {"kind": "number", "maximum": float("inf")},
    "a boolean has no minimum": {"kind": "boolean", "minimum": 1},
    "Extra inputs": {"colour": "red"},
    "Input should be": {"kind": "magic"},
}


@pytest.mark.parametrize(("reason", "given"), WRONG_FIELDS.items(), ids=list(WRONG_FIELDS))
def test_a_field_that_cannot_be_is_refused(reason: str, given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="(?i)" + reason):
        FormField(**{"name": "x", **given})


def depending(field: str, equals: Any, *others: FormField) -> Callable[[], object]:
    return lambda: Form(fields=(*others, FormField(name="later", when=When(field=field, equals=equals))))


WRONG_METHODS: dict[str, list[Callable[[], object]]] = {
    "at least 1 item": [lambda: Form(fields=())],
    "at most 64 fields": [lambda: Form(fields=tuple(FormField(name=f"f{place}") for place in range(65)))],
    "two fields are named where": [lambda: Form(fields=(SELECT, SELECT))],
    "not before it": [depending("later", "x"), depending("nowhere", "x"), depending("where", "a")],
    "depends on a secret": [depending("s", "x", FormField(name="s", kind="secret"))],
    "value that where never has": [depending("where", "c", SELECT), depending("where", True, SELECT)],
    "value that flag never has": [depending("flag", 1, FormField(name="flag", kind="boolean"))],
    "value that many never has": [
        depending("many", "c", FormField(name="many", kind="multi_select", options=OPTIONS))
    ],
    "value that size never has": [
        depending("size", value, FormField(name="size", kind="number", maximum=3)) for value in (4, True, "2")
    ],
    "the field key is there already": [lambda: ApiKey(fields=(FormField(name="key"),))],
    "what signing in yields": [lambda: code(fields=(FormField(name="access_token", kind="secret"),))],
    "https://": [
        lambda: ApiKey(key_url="http://example.com"),
        lambda: ApiKey(key_url="http://127.0.0.1.example.com"),
        lambda: ApiKey(key_url="javascript:alert(1)"),
        lambda: ApiKey(key_url="file:///etc/passwd"),
        lambda: NoAuth(help_url="http://localhost.example.com"),
        lambda: code(token_endpoint="http://id.example"),
        lambda: code(redirect_uri="http://id.example"),
        lambda: code(issuer="//id.example"),
    ],
    "no address": [lambda: ApiKey(key_url="https://"), lambda: ApiKey(key_url="https://x:99999")],
    "Leave the name": [lambda: ApiKey(key_url="https://good.example@bad.example")],
    "cannot be seen": [lambda: ApiKey(key_url="https://x.example/\u202ehtap")],
    "more than 2000": [lambda: ApiKey(key_url="https://x.example/" + "y" * 2000)],
    "name an issuer, or authorization_endpoint": [
        lambda: OAuthCode(client_id="app"),
        lambda: code(token_endpoint=""),
        lambda: code(authorization_endpoint=""),
    ],
    "name an issuer, or device_authorization_endpoint": [lambda: OAuthDevice(client_id="app")],
    "name a client_id": [lambda: code(client_id="")],
    "which the app sets itself": [
        lambda: code(extra_parameters={"state": "x"}),
        lambda: code(extra_parameters={"code_challenge_method": "plain"}),
        lambda: code(extra_parameters={"callback_url": "x"}, callback_parameter="callback_url"),
    ],
    "pattern": [
        lambda: ApiKey(name="Bad Name"),
        lambda: ApiKey(env=("NOT A NAME",)),
        lambda: code(scopes=("two words",)),
        lambda: code(client_id="line\nbreak"),
    ],
}


@pytest.mark.parametrize(
    ("reason", "make"), [(reason, make) for reason, makers in WRONG_METHODS.items() for make in makers]
)
def test_a_method_that_cannot_be_is_refused(reason: str, make: Callable[[], object]) -> None:
    with pytest.raises(ValidationError, match=reason):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: OAuthCode(issuer="https://id.example"),
        lambda: OAuthDevice(issuer="http://127.0.0.1:4000"),
        lambda: ApiKey(key_url="http://[::1]:80/", help_url="http://localhost/x"),
        lambda: OAuthCode(authorization_endpoint=URL, token_endpoint=URL, exchange="key"),
        lambda: code(client_id="", registration_endpoint=URL),
        lambda: code(redirect="paste", redirect_uri=OUT_OF_BAND, extra_parameters={"prompt": "consent"}),
        depending("where", "b", SELECT),
        depending("size", 3.0, FormField(name="size", kind="number", maximum=3)),
        depending("many", "b", FormField(name="many", kind="multi_select", options=OPTIONS)),
        depending("note", "", FormField(name="note", required=False)),
    ],
)
def test_a_method_as_it_may_be_comes_back_from_its_json(make: Callable[[], Any]) -> None:
    method = make()
    assert load_method(json.loads(method.model_dump_json())) == method


@given(forms())
@settings(max_examples=50, deadline=None)
def test_any_form_comes_back_from_a_manifest_as_it_was_but_for_what_cannot_be_seen(method: Any) -> None:
    class Plugin(Sample):
        def auth_methods(self) -> Any:
            return [method]

    described = Manifest.from_json(json.loads(json.dumps(describe(Plugin()).to_json())))
    loaded = load_method(described.auth_methods[0].data)
    assert loaded.model_dump(include={"type", "name"}) == method.model_dump(include={"type", "name"})
    assert not isinstance(loaded, NoAuth)
    for field, declared in zip(loaded.fields, method.fields, strict=True):
        unsaid = {"label", "help", "placeholder", "options"}
        assert field.model_dump(exclude=unsaid) == declared.model_dump(exclude=unsaid)
        assert [option.value for option in field.options] == [option.value for option in declared.options]
        assert "\x1b" not in field.label + field.help + field.placeholder


def test_the_example_of_the_guide_is_described_as_it_stands() -> None:
    guide = Path(__file__).parents[2] / "docs" / "plugins.md"
    example = next(
        block for block in guide.read_text(encoding="utf-8").split("```python\n") if "CloudPlugin" in block
    )
    names: dict[str, Any] = {}
    exec(example.partition("```")[0], names)  # noqa: S102 - the example is ours
    plugin = names["CloudPlugin"]()
    assert [data["type"] for data in list_auth_methods(plugin)] == ["api_key", "oauth_device", "form"]
    assert verifies(plugin)
    assert not verifies(Sample())


# -- plugins that declare them wrongly ----------------------------------------------------------------------


def _never_checked() -> Any:
    return ApiKey.model_construct(name="default", key_url="javascript:alert(1)", label=3)


class _Own(ApiKey):
    colour: str = "red"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Form(fields=(FormField(name="Not A Name"),)), "FormField.name"),
        (
            lambda: code(token_endpoint="http://evil.example"),
            "OAuthCode.token_endpoint: it begins with https://",
        ),
        (lambda: ApiKey(key_url="\x1b]0;evil\x07"), "ApiKey.key_url"),
        (_never_checked, "key_url"),
        (lambda: SELECT.model_copy(), "Give an AuthMethod"),
        (lambda: _Own(), "colour"),
        (lambda: ApiKey().model_copy(update={"fields": [3]}), "fields"),
    ],
)
def test_what_a_plugin_declares_wrongly_is_the_reason_on_it_and_harms_no_other(
    tmp_path: Path, make: Callable[[], Any], reason: str
) -> None:
    class Wrong(Sample):
        def auth_methods(self) -> Any:
            return [make()]

    registry = registry_with(tmp_path)
    handle = registry.register(Wrong("wrong"))
    registry.register(Sample("good"))
    assert handle.state is PluginState.FAILED
    assert reason in handle.reason
    assert "\x1b" not in handle.reason
    assert "pydantic" not in handle.reason
    assert "good" in {entry.plugin for entry in registry.auth_methods()}
    assert "wrong" not in {entry.plugin for entry in registry.auth_methods()}


def test_a_wrong_method_among_those_that_a_plugin_yields_is_told_in_the_same_words() -> None:
    class Wrong(Sample):
        def auth_methods(self) -> Any:
            yield NoAuth()
            yield OAuthDevice(client_id="app")

    with pytest.raises(PluginError, match="name an issuer, or device_authorization_endpoint"):
        list_auth_methods(Wrong())


def test_an_error_of_the_plugin_itself_is_told_as_it_is() -> None:
    class Wrong(Sample):
        def auth_methods(self) -> Any:
            raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        list_auth_methods(Wrong())


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"type": "magic"},
        {"type": ["form"]},
        {"type": "form"},
        {"type": "form", "fields": 3},
        {"type": "form", "fields": [None]},
        {"type": "api_key", "env": "KEY"},
        {"type": "api_key", "\x1b[31m": 1},
        {"type": "no_auth", 3: 4},
        {"type": "oauth_code", "scopes": [[]]},
    ],
)
def test_damaged_data_of_a_manifest_is_a_plugin_error(data: Any) -> None:
    with pytest.raises(PluginError) as caught:
        load_method(data)
    assert caught.value.hint
    assert "\x1b" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["type", "name", "label", "fields", "env", "key_url", "issuer", "scopes", "extra_parameters"]
)
TYPES = st.sampled_from(["api_key", "form", "oauth_code", "oauth_device", "no_auth"])


@given(st.dictionaries(KEYS, JSON, max_size=4), TYPES)
@settings(max_examples=100, deadline=None)
def test_any_other_data_is_a_method_or_a_plugin_error(data: dict[str, Any], kind: str) -> None:
    with suppress(PluginError):
        assert load_method({**data, "type": kind}).type == kind


# -- credentials --------------------------------------------------------------------------------------------

GRANT = OAuthGrant(client_id="app", token_endpoint=URL)
FULL = Credential(
    secrets={"access_token": SecretStr("at-very-secret"), "refresh_token": SecretStr("rt-very-secret")},
    values={"host": "example"},
    expires_at=1_800_000_000.5,
    scopes=("a", "b"),
    grant=GRANT,
    connection="work",
)


def test_a_credential_comes_back_from_its_json() -> None:
    assert Credential.from_json(FULL.to_json()) == FULL
    assert Credential.from_json(Credential().to_json()) == Credential()


def test_the_token_is_the_key_or_else_the_access_token() -> None:
    assert FULL.token == "at-very-secret"
    assert Credential(secrets={"key": SecretStr("k"), "access_token": SecretStr("a")}).token == "k"
    assert Credential(secrets={"other": SecretStr("o")}).token == ""


def _fail_with(credential: Credential) -> None:
    raise LookupError(credential)


def test_nothing_that_shows_a_credential_shows_its_secrets() -> None:
    with pytest.raises(LookupError) as caught:
        _fail_with(FULL)
    seen = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "_fail_with" in seen
    shown = [repr(FULL), str(FULL), f"{FULL.secrets}", str(FULL.model_dump()), FULL.model_dump_json(), seen]
    assert [text for text in shown if "very-secret" in text] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"at-very-secret"',
        '{"secrets": {"key": "at-very-secret"}, "more": 1}',
        '{"secrets": ["at-very-secret"]}',
        '{"secrets": {"key": {"at-very-secret": 1}}}',
        '{"expires_at": "at-very-secret"}',
        '{"expires_at": NaN}',
        "[" * 100_000,
    ],
)
def test_a_damaged_credential_is_told_without_what_is_in_it(text: str) -> None:
    with pytest.raises(ValueError, match="damaged") as caught:
        Credential.from_json(text)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_wrong_credential_is_refused_without_what_is_in_it() -> None:
    wrong: Any = {"key": b"\xff", "other": ["at-very-secret"]}
    with pytest.raises(ValidationError) as caught:
        Credential(secrets=wrong)
    assert "very-secret" not in str(caught.value)
    with pytest.raises(ValidationError):
        FULL.model_copy(update={"scopes": 3})
