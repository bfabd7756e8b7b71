"""The protocol: what is written by hand is what the models and the documentation say."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from contextlib import aclosing
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, TypeAdapter

from jackfield import (
    ChatRequest,
    ChatResponse,
    CommandCall,
    Credential,
    Fill,
    Finished,
    HostAction,
    Message,
    Model,
    Parameter,
    Perform,
    Send,
    Show,
    TextDelta,
)
from registry.chat import STREAM_EVENTS, Part, Role, StreamEvent
from registry.launch import Launch, Limits
from registry.provider import Model as ProviderModel
from registry.runtimes import codec, protocol
from registry.runtimes.child import Child
from registry.runtimes.framing import (
    MAX_MESSAGE,
    PROTOCOL,
    Lines,
    MessageError,
    decode,
    encode,
    has_more_parts,
)
from registry.runtimes.last_lines import LINES_KEPT, LastLines
from registry.runtimes.reference import DOCS, schema_text, with_methods
from tests.processes import children
from tests.registry.runtimes.folders import request, started

TEXT = st.text(max_size=30)
PARTS: st.SearchStrategy[Any] = st.one_of(*(st.from_type(part) for part in get_args(Part)))
MESSAGES = st.builds(
    Message,
    st.sampled_from(get_args(Role)),
    st.lists(PARTS, max_size=3).map(tuple),
    st.none() | TEXT,
)
EVENTS: st.SearchStrategy[StreamEvent] = st.one_of(*(st.from_type(event) for event in STREAM_EVENTS))
REQUESTS = st.builds(
    ChatRequest,
    TEXT,
    st.lists(MESSAGES, max_size=4),
    TEXT,
    st.none() | TEXT,
    st.dictionaries(
        TEXT, TEXT | st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
    ),
)
RESPONSES = st.builds(ChatResponse, MESSAGES)


def through_pipe(data: Any) -> Any:
    return decode(encode({"data": data}))["data"]


@settings(max_examples=50, deadline=None)
@given(EVENTS)
def test_an_event_crosses_the_pipe_as_its_model_has_it(event: StreamEvent) -> None:
    data = through_pipe(codec.event_to_json(event))
    assert codec.event_from_json(data) == event
    TypeAdapter(protocol.Event).validate_python(data)


@settings(max_examples=50, deadline=None)
@given(REQUESTS)
def test_a_request_crosses_the_pipe_as_its_model_has_it(request: ChatRequest) -> None:
    data = through_pipe(codec.request_to_json(request))
    assert codec.request_from_json(data) == request
    protocol.RequestData.model_validate(data)


@settings(max_examples=50, deadline=None)
@given(REQUESTS, REQUESTS)
def test_changes_turn_one_request_into_the_other(before: ChatRequest, after: ChatRequest) -> None:
    after.messages += before.messages[::-1]
    changes = through_pipe(codec.request_changes(before, after))
    changed = before.copy()
    if changes is not None:
        protocol.RequestChanges.model_validate(changes)
        codec.change_request(changed, changes)
    assert changed == after
    assert codec.request_changes(before, before.copy()) is None


@settings(max_examples=50, deadline=None)
@given(RESPONSES, RESPONSES)
def test_changes_turn_one_answer_into_the_other(before: ChatResponse, after: ChatResponse) -> None:
    whole = through_pipe(codec.response_to_json(before))
    protocol.ResponseData.model_validate(whole)
    assert codec.response_from_json(whole) == before
    changes = through_pipe(codec.response_changes(before, after))
    changed = before.copy()
    if changes is not None:
        protocol.ResponseChanges.model_validate(changes)
        codec.change_response(changed, changes)
    assert changed == after


@pytest.mark.parametrize("result", [None, Show("a"), Send("b"), Fill("c"), Perform(HostAction.QUIT)])
def test_what_a_command_gives_crosses_the_pipe(result: Any) -> None:
    data = through_pipe(codec.result_to_json(result))
    assert codec.result_from_json(data) == result
    protocol.CommandRan.model_validate({"result": data})


def test_a_credential_crosses_the_pipe_without_what_only_the_app_needs() -> None:
    secrets = {"access_token": SecretStr("token-of-access"), "refresh_token": SecretStr("token-to-refresh")}
    credential = Credential(secrets=secrets, values={"region": "north"}, scopes=("chat",), expires_at=1.5)
    data = through_pipe(codec.credential_to_json(credential))
    protocol.CredentialData.model_validate(data)
    read = codec.credential_from_json(data)
    assert read is not None
    assert (read.token, read.values, read.scopes, read.expires_at) == (
        "token-of-access",
        {"region": "north"},
        ("chat",),
        1.5,
    )
    assert set(read.secrets) == {"access_token"}
    assert codec.credential_to_json(None) is None
    assert codec.credential_from_json(None) is None


def test_models_and_parameters_cross_the_pipe() -> None:
    models = (Model("a", context_window=5, modalities=("text", "image")), ProviderModel("b"))
    assert codec.models_from_json(through_pipe([codec.model_to_json(model) for model in models])) == models
    parameters = (Parameter.temperature(), Parameter.effort(("low", "high")))
    data = through_pipe([dataclasses.asdict(parameter) for parameter in parameters])
    assert codec.parameters_from_json(data) == parameters


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        1,
        [],
        "x",
        {},
        {"type": "nope"},
        {"type": "text_delta"},
        {"type": "text_delta", "text": "a", "x": 1, "y": 2},
        {"type": ["a"]},
    ],
)
def test_what_is_no_event_is_refused(wrong: Any) -> None:
    if isinstance(wrong, dict) and "x" in wrong:
        assert codec.event_from_json(wrong) == TextDelta("a")  # fields of later versions are left out
        return
    with pytest.raises(ValueError, match="not an event"):
        codec.event_from_json(wrong)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line and line.strip()), max_size=8),
    st.data(),
)
def test_lines_are_the_same_however_the_stream_is_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    reader = Lines()
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [bytes(line) for piece in pieces for line in reader.feed(piece)] == lines


def test_only_signs_outside_of_texts_are_values() -> None:
    line = json.dumps({"text": '[{,"\\' * 100, "list": [1, [], {}]}).encode()
    assert not has_more_parts(line, 10)
    assert has_more_parts(line, 9)
    assert has_more_parts(b"[" * 11, 10)
    assert not has_more_parts(b'"' + b"[" * 100, 10), "a text that does not end"


def test_messages_that_are_too_long_are_refused_on_both_sides() -> None:
    with pytest.raises(MessageError, match="too long"):
        encode({"text": "x" * MAX_MESSAGE})
    lines = Lines()
    assert lines.feed(b"x" * (MAX_MESSAGE - 1)) == []
    with pytest.raises(MessageError, match="more than"):
        lines.feed(b"x")


def test_half_a_surrogate_pair_crosses_the_pipe() -> None:
    assert through_pipe("a\ud800b") == "a\ud800b"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_not_json_are_refused(number: str) -> None:
    with pytest.raises(MessageError):
        decode(f'{{"a": {number}}}'.encode())


def test_the_last_lines_are_bounded_and_safe() -> None:
    last = LastLines()
    for number in range(1000):
        last.feed(f"line {number}\n".encode() * 3)
    last.feed(b"x" * 1_000_000 + b"\nopen \x1b[31mline")
    shown = last.text(2)
    assert shown.splitlines()[-1] == "open line"
    assert len(shown) <= 2000
    assert len(last._lines) == LINES_KEPT


def test_the_documentation_has_every_method_and_schema_as_the_code_does() -> None:
    page = (DOCS / "plugin-protocol.md").read_text(encoding="utf-8")
    stale = "run python -m registry.runtimes.reference"
    assert with_methods(page) == page, stale
    assert (DOCS / "plugin-protocol.schema.json").read_text(encoding="utf-8") == schema_text(), stale
    assert f"This is version {PROTOCOL}." in page
    for line in re.findall(r"^\{.*\}$", page, re.MULTILINE):
        assert json.loads(line)["jsonrpc"] == "2.0"


def test_the_documentation_names_the_limits_that_there_are() -> None:
    page = (DOCS / "plugin-protocol.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", page, re.MULTILINE))
    limits = Limits()
    assert rows["to describe itself, and to start"] == f"{limits.start_s:g} s each"
    assert rows["a hook on a request or an answer"] == f"{limits.hook_s:g} s"
    assert rows["a hook on an event"] == f"{limits.event_s:g} s"
    assert rows["a command, a list of models, `verify`"] == f"{limits.call_s:g} s"
    assert rows["silence of a stream"] == f"{limits.silence_s / 60:g} min"
    assert rows["to stop what was cancelled"].startswith(f"{limits.cancel_s:g} s")
    assert rows["to exit after `stop`"].startswith(f"{limits.stop_s:g} s")
    assert rows["memory (address space) of a process"] == f"{limits.memory_bytes >> 30} GB"
    assert rows["processor time of a process"].startswith(f"{limits.cpu_s / 60:g} min")
    assert rows["open files"] == str(limits.open_files)


def test_a_python_plugin_answers_every_call_that_the_protocol_has() -> None:
    calls = {method.name for method in protocol.METHODS if method.kind == "call"}
    assert set(Child("", 0, 1)._methods) == calls


async def test_the_plugin_for_node_works_like_any_other(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("there is no Node here")
    before = children()
    launch = Launch(
        ("node", "plugin.mjs"), DOCS / "examples" / "node-plugin", limits=Limits(memory_bytes=2**36)
    )
    async with started(launch, tmp_path) as plugin:
        asked = request("from node")
        await plugin.on_request(asked)
        assert asked.system == "Be brief."
        provider = plugin.providers()[0]
        events = [event async for event in provider.stream(asked, None)]
        assert events == [TextDelta("FROM "), TextDelta("NODE "), Finished()]
        assert list(await provider.models(None)) == [Model("loud")]
        result = await plugin.commands()[0].run(CommandCall(""))
        assert isinstance(result, Show)
        assert result.markdown.startswith("Node v")
        async with aclosing(provider.stream(request("word " * 2000), None)) as stream:  # type: ignore[type-var]
            assert await anext(stream) == TextDelta("WORD ")
        await plugin.on_request(asked)
    assert children() == before


def test_the_plugin_for_node_is_short() -> None:
    code = (DOCS / "examples" / "node-plugin" / "plugin.mjs").read_text(encoding="utf-8")
    assert len(code.splitlines()) < 70
