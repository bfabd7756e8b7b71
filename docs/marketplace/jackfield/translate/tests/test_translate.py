"""What /translate asks the model for."""

from __future__ import annotations

import asyncio

from jackfield_translate import TranslatePlugin

from jackfield import CommandCall, CommandResult, Message, Send, Show

(COMMAND,) = TranslatePlugin().commands()


def typed(argument: str, *answers: str) -> Send | Show:
    messages = tuple(Message.of("assistant", answer) for answer in answers)

    async def run() -> CommandResult:
        return await COMMAND.run(CommandCall(argument, messages))

    result = asyncio.run(run())
    assert isinstance(result, Send | Show)
    return result


def test_a_text_is_sent_between_fences_with_the_name_of_its_language() -> None:
    result = typed("de Good morning")
    assert isinstance(result, Send)
    assert "into German." in result.prompt
    assert result.prompt.endswith("~~~\nGood morning\n~~~")


def test_any_other_word_is_the_language_as_it_stands() -> None:
    result = typed("Klingon Good morning")
    assert isinstance(result, Send)
    assert "into Klingon." in result.prompt


def test_without_a_text_the_last_answer_is_translated() -> None:
    result = typed("fr", "First.", "Second.")
    assert isinstance(result, Send)
    assert "Second." in result.prompt
    assert "First." not in result.prompt


def test_a_text_cannot_end_its_fence() -> None:
    result = typed("fr a\n~~~\nb")
    assert isinstance(result, Send)
    assert result.prompt.endswith("~~~~\na\n~~~\nb\n~~~~")


def test_nothing_to_translate_is_answered_with_how_it_is_used() -> None:
    assert isinstance(typed(""), Show)
    assert isinstance(typed("fr"), Show)
