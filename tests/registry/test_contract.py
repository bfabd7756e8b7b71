"""The contract: what a plugin may be, and what authors may import."""

from __future__ import annotations

import ast
import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, TypeAdapter, ValidationError

import jackfield
from jackfield import ApiKey, Credential, Form, FormField, NoAuth, Plugin, PluginContext
from registry.auth import AuthMethod
from registry.chat import Finished, TextDelta
from registry.contract import explain
from registry.plugin import hooks_of
from tests.registry.plugins_for_tests import Sample, hook_plugin


@pytest.mark.parametrize("name", jackfield.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(jackfield, name) is not None
    assert name in dir(jackfield)


def test_type_checkers_see_the_names_that_can_be_imported() -> None:
    tree = ast.parse(Path(str(jackfield.__file__)).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(jackfield.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="PluginRegistry"):
        _ = jackfield.PluginRegistry


async def test_every_method_of_a_plugin_is_optional() -> None:
    plugin = Plugin()
    assert (*plugin.auth_methods(), *plugin.providers(), *plugin.commands()) == ()
    assert await plugin.on_event(TextDelta("x")) == TextDelta("x")
    assert hooks_of(plugin) == ()


def test_hooks_are_the_methods_that_a_plugin_overrides_in_a_fixed_order() -> None:
    plugin = hook_plugin(on_event=lambda event: event, on_request=lambda request: None)
    assert hooks_of(plugin) == ("on_request", "on_event")


async def test_a_context_keeps_what_is_to_be_closed(tmp_path: Path) -> None:
    closers: list[Any] = []
    context = PluginContext("x", {}, tmp_path, logging.getLogger("x"), closers)
    client = context.http_client(base_url="http://localhost:1")
    assert closers == [client.aclose]
    await closers[0]()
    assert client.is_closed


class _Mute(Exception):  # noqa: N818 - it is none that anyone handles
    def __str__(self) -> str:
        raise SystemExit(1)


def test_an_error_that_cannot_say_what_it_is_is_told_by_its_type() -> None:
    assert explain(_Mute()) == "_Mute"


# -- auth methods ---

METHODS: TypeAdapter[Any] = TypeAdapter(AuthMethod)


@pytest.mark.parametrize(
    "method", [NoAuth(), ApiKey(env=("KEY",)), Form(fields=(FormField(name="host", kind="url"),))]
)
def test_an_auth_method_comes_back_from_json_as_it_was(method: Any) -> None:
    assert METHODS.validate_python(method.model_dump(mode="json")) == method


def test_the_union_of_auth_methods_has_a_json_schema() -> None:
    schema = METHODS.json_schema()
    assert set(schema["discriminator"]["mapping"]) == {
        "api_key",
        "oauth_code",
        "oauth_device",
        "form",
        "no_auth",
    }


@pytest.mark.parametrize("data", [{"type": "magic"}, {"type": "form"}, {"type": "no_auth", "more": 1}])
def test_data_that_is_no_auth_method_is_refused(data: Any) -> None:
    with pytest.raises(ValidationError):
        METHODS.validate_python(data)


def test_an_auth_method_that_is_not_valid_is_reported_on_its_plugin(tmp_path: Path) -> None:
    from registry.handle import PluginState
    from tests.registry.plugins_for_tests import registry_with

    class Wrong(Sample):
        def auth_methods(self) -> Any:
            return [Form(fields=(FormField(name="Not A Name"),))]

    handle = registry_with(tmp_path).register(Wrong())
    assert handle.state is PluginState.FAILED
    assert "FormField.name" in handle.reason


def test_a_credential_never_shows_its_secrets() -> None:
    credential = Credential(secrets={"key": SecretStr("hunter2")}, values={"host": "example"})
    for shown in (repr(credential), str(credential), credential.model_dump_json()):
        assert "hunter2" not in shown
    assert credential.secrets["key"].get_secret_value() == "hunter2"


def test_finished_events_of_one_kind_are_equal() -> None:
    assert Finished() == Finished()
