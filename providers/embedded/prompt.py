"""What the embedded model is told: instructions, sampling, and as much conversation as it can hold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
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
_USUAL_BYTES: Final = 3
"""Bytes of a token, somewhat fewer than English has."""
_MOST_BYTES: Final = 64
"""No token is longer than this."""


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

    What does not fit is dropped by the half of the room, counted from the beginning of the conversation: so
    the messages that are kept begin with the same one for several turns, and only new ones have to be read.

    Args:
        messages: the whole conversation.
        system: the instructions, which always stay.
        room: tokens that the prompt may have.
        count: how many tokens a text has.

    Raises:
        ProviderError: not even the last message fits.
    """
    counted: dict[str, int] = {}

    async def fits(kept: Sequence[Message]) -> bool:
        texts = [system, *(message.text for message in kept)]
        sizes = [len(text.encode("utf-8", "replace")) for text in texts]
        if sum(sizes) + _FRAME * len(texts) <= room:
            return True  # a token is at least a byte, so there is no need to count
        left = room
        for text, size in zip(texts, sizes, strict=True):
            if size > _MOST_BYTES * room:
                return False
            if text not in counted:
                counted[text] = await count(text)
            left -= _FRAME + counted[text]
            if left < 0:
                return False
        return True

    for cut in _cuts(messages, room // 2):
        start = next((at for at in range(cut, len(messages)) if messages[at].role == "user"), len(messages))
        if start < len(messages) and await fits(messages[start:]):
            return list(messages[start:])
    raise ProviderError(
        ErrorKind.CONTEXT_OVERFLOW,
        "The message is too long for the offline demo model",
        detail=f"It reads at most {room} tokens, about {room * _USUAL_BYTES} characters.",
        hint="Shorten the message, or choose another model.",
    )


def _cuts(messages: Sequence[Message], page: int) -> Iterator[int]:
    """Where the conversation may begin: at its start, after each page of it, at its last message."""
    yield 0
    filled = 0
    for at, message in enumerate(messages):
        filled += _FRAME + len(message.text) // _USUAL_BYTES
        if filled >= page:
            filled = 0
            yield at + 1
    last = [at for at, message in enumerate(messages) if message.role == "user"]
    if last:
        yield last[-1]
