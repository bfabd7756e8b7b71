"""The embedded model is told what it can hold, newest first."""

from __future__ import annotations

from itertools import pairwise

import pytest

from jackfield import (
    ErrorKind,
    FilePart,
    ImagePart,
    Message,
    ProviderError,
    TextPart,
    ThinkingPart,
    ToolResultPart,
)
from providers.embedded.prompt import as_plain, fit


async def count_words(text: str) -> int:
    return len(text.split())


async def count_nothing(text: str) -> int:
    raise AssertionError(f"counted although it surely fits: {text!r}")


def conversation(turns: int, words: int) -> list[Message]:
    messages: list[Message] = []
    for turn in range(turns):
        messages.append(Message.of("user", f"q{turn} " + "w " * words))
        messages.append(Message.of("assistant", f"a{turn} " + "w " * words))
    return messages


async def test_a_short_conversation_stays_whole_without_counting() -> None:
    messages = conversation(2, 3)
    assert await fit(messages, "Be kind.", 3500, count_nothing) == messages


async def test_the_oldest_messages_go_first_and_the_user_begins() -> None:
    messages = [*conversation(20, 100), Message.of("user", "the last question")]
    kept = await fit(messages, "Be kind.", 1000, count_words)
    assert kept
    assert kept == messages[-len(kept) :]
    assert kept[0].role == "user"
    assert sum(len(message.text.split()) + 8 for message in kept) <= 1000
    assert len(kept) > 3, "room was left unused"


async def test_the_beginning_stays_the_same_for_several_turns() -> None:
    messages: list[Message] = []
    beginnings: list[Message] = []
    for turn in range(60):
        messages.append(Message.of("user", f"q{turn} " + "word " * 40))
        beginnings.append((await fit(messages, "Be kind.", 1000, count_words))[0])
        messages.append(Message.of("assistant", f"a{turn} " + "word " * 40))
    changes = sum(before != after for before, after in pairwise(beginnings))
    assert 0 < changes <= 15, f"the model read everything anew in {changes} of 60 turns"


@pytest.mark.parametrize("text", ["w " * 2000, "w" * 1_000_000], ids=["words", "no blanks"])
async def test_a_last_message_that_never_fits_is_an_error(text: str) -> None:
    with pytest.raises(ProviderError) as caught:
        await fit([*conversation(2, 3), Message.of("user", text)], "Be kind.", 1000, count_words)
    assert caught.value.kind is ErrorKind.CONTEXT_OVERFLOW
    assert "1000" in caught.value.detail
    assert caught.value.hint


def test_what_the_model_cannot_see_is_named() -> None:
    parts = (
        TextPart("Look:"),
        ImagePart("image/png", data=b""),
        FilePart("a.pdf", "application/pdf", b""),
        ToolResultPart("1", "42"),
        ThinkingPart("hm"),
    )
    assert as_plain(Message("user", parts)) == Message.of("user", "Look:\n[a picture]\n[the file a.pdf]\n42")
    assert as_plain(Message("assistant", (ThinkingPart("hm"),))) is None
