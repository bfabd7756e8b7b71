"""However a stream is cut, and whatever it holds, reading it gives the same events or a `ProviderError`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield import Finished, ProviderError, StreamEvent
from providers.wire.chat_completions import ChunkReader
from providers.wire.decoding import decode_json
from providers.wire.gemini_reader import GenerateReader
from providers.wire.openai_responses_reader import ResponsesReader
from providers.wire.sse import EventReader
from registry.soundness import check_event
from tests.providers.normal import FIXTURES, recorded, whole_streams


class Reader(Protocol):
    def feed(self, data: str) -> Iterable[StreamEvent]: ...


def end_responses(reader: Reader) -> Sequence[StreamEvent]:
    assert isinstance(reader, ResponsesReader)
    return [reader.finish({})]


def end_generate(reader: Reader) -> Sequence[StreamEvent]:
    assert isinstance(reader, GenerateReader)
    return [reader.finish({})]


def end_chat(reader: Reader) -> Sequence[StreamEvent]:
    assert isinstance(reader, ChunkReader)
    return list(reader.finish())


DIALECTS: dict[str, tuple[Callable[[], Reader], Callable[[Reader], Sequence[StreamEvent]]]] = {
    "openai_responses": (lambda: ResponsesReader("Peer", "m"), end_responses),
    "openai_chat": (lambda: ChunkReader("Peer"), end_chat),
    "gemini": (lambda: GenerateReader("Peer", "m"), end_generate),
}


def read(dialect: str, pieces: Iterable[bytes]) -> list[StreamEvent]:
    """All events of a stream that comes in these pieces."""
    make, end = DIALECTS[dialect]
    lines, reader = EventReader(), make()
    events: list[StreamEvent] = []
    for piece in pieces:
        for event in lines.feed(piece):
            events += take(reader, event.data)
    for event in lines.finish():
        events += take(reader, event.data)
    return [*events, *end(reader)]


def take(reader: Reader, data: str) -> list[StreamEvent]:
    if isinstance(reader, ChunkReader) and data == "[DONE]":
        return []
    return [check_event(event) for event in reader.feed(data)]


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    marks = [0, *sorted({place % (len(stream) + 1) for place in places}), len(stream)]
    return [stream[start:end] for start, end in pairwise(marks)]


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=120, deadline=None)
@given(data=st.data(), places=st.lists(st.integers(0, 100_000), max_size=20))
def test_where_a_stream_is_cut_makes_no_difference(
    dialect: str, data: st.DataObject, places: list[int]
) -> None:
    stream = recorded(dialect, data.draw(st.sampled_from(whole_streams(dialect))))
    whole = read(dialect, [stream])
    assert isinstance(whole[-1], Finished)
    assert read(dialect, cut(stream, places)) == whole


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_that_comes_byte_by_byte_says_the_same(dialect: str) -> None:
    for name in whole_streams(dialect):
        stream = recorded(dialect, name)
        assert read(dialect, [bytes([byte]) for byte in stream]) == read(dialect, [stream]), name


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(st.binary(max_size=200) | st.sampled_from([b"data: ", b"\n\n", b"[", b"{}", b"\r"])))
def test_bytes_without_sense_are_at_most_an_error(dialect: str, pieces: list[bytes]) -> None:
    with pytest.raises(ProviderError):
        read(dialect, pieces)


WORDS = sorted(
    {
        word
        for path in FIXTURES.glob("[og]*/*.sse")
        for word in re.findall(r'"([\w.]+)"', path.read_text(encoding="utf-8"))
    }
)
ATOMS = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from(WORDS)
JSON = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.sampled_from(WORDS), JSON, max_size=6)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_chunk_of_another_shape_is_at_most_an_error(dialect: str, data: st.DataObject) -> None:
    stream = recorded(dialect, data.draw(st.sampled_from(whole_streams(dialect))))
    chunks = [json.loads(event.data) for event in EventReader().feed(stream) if event.data != "[DONE]"]
    for _ in range(data.draw(st.integers(1, 4))):
        chunk = data.draw(st.sampled_from(chunks))
        spot = data.draw(st.sampled_from(list(spots(chunk))))
        holder, key = spot
        holder[key] = data.draw(JSON | OBJECTS)
    error = error_of(dialect, [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks])
    assert error is None or (error.title and error.hint)


def error_of(dialect: str, pieces: Iterable[bytes]) -> ProviderError | None:
    try:
        read(dialect, pieces)
    except ProviderError as error:
        return error
    return None


def spots(value: object) -> Iterable[tuple[Any, Any]]:
    """Every place in a decoded chunk where something else could stand."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield value, key
            yield from spots(inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield value, index
            yield from spots(inner)


@given(JSON | st.text())
@settings(max_examples=100, deadline=None)
def test_events_are_decoded_as_the_standard_library_decodes_them(value: object) -> None:
    text = json.dumps(value)
    assert json.dumps(decode_json(text)) == json.dumps(json.loads(text))


def test_half_a_character_is_decoded_and_half_an_object_is_not() -> None:
    assert decode_json('["\\ud83d"]') == ["\ud83d"]
    with pytest.raises(ValueError, match="Expecting"):
        decode_json('{"a": ')
    with pytest.raises(RecursionError):
        decode_json("[" * 100_000)
