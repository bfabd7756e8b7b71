"""What the embedded model is told: instructions, sampling, and as much conversation as it can hold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from jackfield import ErrorKind, FilePart, ImagePart, Message, ProviderError, TextPart, ToolResultPart

CONTEXT: Final = 4096
"""Tokens of prompt and answer together. The model was trained for 8192; half of that saves 90 MB of memory,
and reading more than this takes so small a model half a minute, after which it has lost the thread."""
ANSWER: Final = 512
"""Tokens of one answer. What it has not said by then it repeats."""
INSTRUCTIONS: Final = (
    "You are a helpful AI assistant. You answer questions with short, correct facts. "
    "Your name is SmolLM2, you are a small offline demo model trained by Hugging Face."
)
"""Chosen by trial: most other wordings cost it even the capital of France."""
SAMPLING: Final = {
    "temperature": 0.2,
    "top_p": 0.9,
    # It falls into loops. The usual penalty on single tokens stops them but turns right answers into wrong
    # ones; DRY acts only on sequences that come again.
    "dry_multiplier": 0.8,
    "dry_allowed_length": 3,
    "dry_penalty_last_n": 256,
}
_FRAME: Final = 8
"""Tokens that the chat template puts around a message, and a few to spare."""


def as_plain(message: Message) -> Message | None:
    """A message as this model can read it: text only, with a word in place of what it cannot see."""
    words: list[str] = []
    for part in message.parts:
        match part:
            case TextPart():
                words.append(part.text)
            case ImagePart():
                words.append("[a picture]")
            case FilePart():
                words.append(f"[the file {part.name}]")
            case ToolResultPart():
                words.append(part.content)
            case _:
                pass
    text = "\n".join(words).strip()
    return Message.of(message.role, text) if text else None


async def fit(
    messages: Sequence[Message], system: str, room: int, count: Callable[[str], Awaitable[int]]
) -> list[Message]:
    """The newest messages that fit into the context, beginning with one of the user.

    Args:
        messages: the whole conversation.
        system: the instructions, which always stay.
        room: tokens that the prompt may have.
        count: how many tokens a text has.

    Raises:
        ProviderError: not even the last message fits.
    """
    texts = [system, *(message.text for message in messages)]
    if sum(len(text.encode("utf-8", "replace")) + _FRAME for text in texts) <= room:
        return list(messages)  # a token is at least a byte, so there is no need to count
    left = room - _FRAME - await count(system)
    kept: list[Message] = []
    for message in reversed(messages):
        if len(message.text) > 64 * room:
            break  # no token is that long
        left -= _FRAME + await count(message.text)
        if left < 0:
            break
        kept.append(message)
    kept.reverse()
    while kept and kept[0].role != "user":
        kept.pop(0)
    if not kept:
        raise ProviderError(
            ErrorKind.CONTEXT_OVERFLOW,
            "The message is too long for the offline demo model",
            detail=f"It reads at most {room} tokens, about {room * 3} characters.",
            hint="Shorten the message, or choose another model.",
        )
    return kept
