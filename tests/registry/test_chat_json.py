"""Parts and usage survive the way to JSON and back, whatever they hold."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from registry.chat_json import parts_from_json, parts_to_json, usage_from_json, usage_to_json

any_text = st.text(st.characters(exclude_categories=[]))
maybe_text = st.none() | any_text
text_parts = st.builds(TextPart, any_text, maybe_text)
image_parts = st.builds(ImagePart, any_text, st.none() | st.binary(), maybe_text, maybe_text)
file_parts = st.builds(FilePart, any_text, any_text, st.binary(), maybe_text)
thinking_parts = st.builds(ThinkingPart, any_text, maybe_text)
tool_calls = st.builds(ToolCallPart, any_text, any_text, any_text, maybe_text)
tool_results = st.builds(ToolResultPart, any_text, any_text, st.booleans(), maybe_text)
any_part = text_parts | image_parts | file_parts | thinking_parts | tool_calls | tool_results


@given(st.lists(any_part))
def test_every_part_comes_back_as_it_was(parts: list[Part]) -> None:
    text = parts_to_json(parts)

    assert parts_from_json(text) == tuple(parts)
    text.encode()  # what cannot be encoded cannot be stored


@pytest.mark.parametrize(
    "strategy", [text_parts, image_parts, file_parts, thinking_parts, tool_calls, tool_results]
)
def test_each_type_of_part_comes_back_as_its_own_type(strategy: st.SearchStrategy[Part]) -> None:
    @given(strategy)
    def check(part: Part) -> None:
        (back,) = parts_from_json(parts_to_json([part]))
        assert type(back) is type(part)
        assert back == part

    check()


def test_text_is_stored_readably_and_without_defaults() -> None:
    assert parts_to_json([TextPart("Grüße 你好")]) == '[{"type":"text","text":"Grüße 你好"}]'


@given(st.builds(Usage, *[st.integers(min_value=0, max_value=2**62)] * 5))
def test_usage_comes_back_as_it_was(usage: Usage) -> None:
    assert usage_from_json(usage_to_json(usage)) == usage


def test_a_bucket_of_a_later_version_is_left_out() -> None:
    assert usage_from_json('{"input": 1, "imagined": 9}') == Usage(input=1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '["text"]',
        '[{"type": "song"}]',
        '[{"type": ["text"]}]',
        '[{"type": "text"}]',
        '[{"type": "text", "text": 1}]',
        '[{"type": "text", "text": "a", "sung": "b"}]',
        '[{"type": "file", "name": "a", "media_type": "b", "data": "***"}]',
        '[{"type": "file", "name": "a", "media_type": "b", "data": null}]',
        '[{"type": "tool_result", "call_id": "a", "content": "b", "is_error": "no"}]',
        "[" * 100_000,
    ],
)
def test_what_is_no_list_of_parts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parts_from_json(text)


@pytest.mark.parametrize("text", ["", "[]", '{"input": "1"}', '{"input": 1.5}', '{"input": true}'])
def test_what_is_no_usage_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        usage_from_json(text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_any_other_json_is_refused_or_read(value: object) -> None:
    try:
        parts = parts_from_json(json.dumps(value))
    except ValueError:
        return
    assert parts == ()
