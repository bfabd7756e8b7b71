"""Server-sent events come out the same however their bytes are cut."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield import ErrorKind, ProviderError
from providers.wire.sse import EventReader, ServerEvent, read_events

STREAMS = st.lists(
    st.sampled_from(
        [
            *(
                b"data: one",
                b"data:two",
                b"data:  three",
                b"data",
                b"data:",
                b"event: name",
                b": comment",
                b":",
            ),
            *(
                b"id: 7",
                b"retry: 10",
                b"other: x",
                b'{"a":',
                b" 1}",
                b"[",
                "data: \u2028 é 字".encode(),
                b"data: \xff\xfe",
                b"\xef\xbb\xbf",
            ),
            *(b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"\r\r"),
        ]
    ),
    max_size=30,
).map(b"".join)


def read_all(pieces: list[bytes]) -> list[ServerEvent]:
    reader = EventReader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events + reader.finish()


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[start:end] for start, end in pairwise(ends)]


@given(STREAMS, st.lists(st.integers(min_value=0, max_value=500), max_size=20))
def test_any_cut_gives_the_same_events(stream: bytes, places: list[int]) -> None:
    assert read_all(cut(stream, places)) == read_all([stream])


@given(STREAMS)
def test_byte_by_byte_gives_the_same_events(stream: bytes) -> None:
    assert read_all([bytes([byte]) for byte in stream]) == read_all([stream])


@pytest.mark.parametrize("newline", [b"\n", b"\r", b"\r\n"])
def test_every_kind_of_line_end_ends_a_line(newline: bytes) -> None:
    lines = [b"event: greeting", b"data: hello", b"data: world", b"", b"data: next", b"", b""]
    events = read_all([newline.join(lines)])
    assert events == [ServerEvent("hello\nworld", "greeting"), ServerEvent("next")]


def test_a_mark_at_the_beginning_and_comments_are_no_data() -> None:
    assert read_all([b"\xef", b"\xbb\xbf", b": hi\n\ndata: x\n\n: more\n\n"]) == [ServerEvent("x")]


def test_an_event_name_without_data_is_no_event() -> None:
    assert read_all([b"event: ping\n\ndata: x\n\n"]) == [ServerEvent("x")]


def test_the_last_event_is_given_without_its_blank_line() -> None:
    assert read_all([b"data: a\n\ndata: b"]) == [ServerEvent("a"), ServerEvent("b")]


@pytest.mark.parametrize("after", [b"", b"\n\n", b"\n: comment\n\n", b"\ndata: two\n\n"])
def test_json_that_stands_there_bare_is_an_event(after: bytes) -> None:
    bare = b'{\n  "error": {\n    "code": 500\n  }\n}'
    events = read_all([b"data: one\n\n", bare + after])
    assert [event.data for event in events[:2]] == ["one", bare.decode()]
    assert [event.data for event in events[2:]] == (["two"] if b"two" in after else [])


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert read_all([b"data: a\xffb\n\n"]) == [ServerEvent("a\ufffdb")]


def test_a_separator_within_the_data_ends_no_line() -> None:
    assert read_all(["data: a\u2028b\x85\x0cc\n\n".encode()]) == [ServerEvent("a\u2028b\x85\x0cc")]


@pytest.mark.parametrize("newlines", [b"", b"\ndata: "], ids=["in one line", "in many lines"])
def test_an_event_beyond_the_limit_is_refused(newlines: bytes) -> None:
    reader = EventReader(limit=1000)
    for _ in range(15):
        assert reader.feed(b"data: " + b"x" * 50 + newlines) == []
    with pytest.raises(ProviderError) as caught:
        reader.feed(b"x" * 500)
    assert caught.value.kind is ErrorKind.PROTOCOL


def test_comments_without_end_are_no_large_event() -> None:
    reader = EventReader(limit=1000)
    for _ in range(100):
        assert reader.feed(b": still here, still here, still here\n") == []
    assert reader.feed(b"data: x\n\n") == [ServerEvent("x")]


def test_a_large_event_in_small_pieces_takes_time_in_proportion() -> None:
    def seconds(size: int) -> float:
        reader = EventReader()
        began = time.process_time()
        reader.feed(b"data: ")
        for _ in range(size // 1000):
            reader.feed(b"x" * 1000)
        (event,) = reader.feed(b"\n\n")
        assert len(event.data) == size
        return time.process_time() - began

    small = min(seconds(1_000_000) for _ in range(3))
    large = min(seconds(10_000_000) for _ in range(3))
    assert large < 40 * small, "reading a large event is not linear in its size"


async def test_events_are_read_from_a_stream_of_bytes() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"data: a\n"
        yield b"\ndata: b"

    assert [event.data async for event in read_events(pieces())] == ["a", "b"]
