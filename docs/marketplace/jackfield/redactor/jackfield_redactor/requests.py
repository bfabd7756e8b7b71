"""Hides the secrets of a message: in its text, its text files, and what tools were given and gave."""

from __future__ import annotations

from dataclasses import replace

from jackfield import FilePart, Message, Part, TextPart, ThinkingPart, ToolCallPart, ToolResultPart

from .vault import Vault


def redacted_message(message: Message, vault: Vault) -> Message:
    """The message without secrets; the same one when it has none."""
    parts = tuple(_redacted(part, vault) for part in message.parts)
    return message if parts == message.parts else replace(message, parts=parts)


def _redacted(part: Part, vault: Vault) -> Part:
    match part:
        case TextPart() | ThinkingPart():
            return replace(part, text=vault.hide(part.text))
        case ToolResultPart():
            return replace(part, content=vault.hide(part.content))
        case ToolCallPart():
            return replace(part, arguments=vault.hide(part.arguments))
        case FilePart():
            return _redacted_file(part, vault)
        case _:
            return part


def _redacted_file(part: FilePart, vault: Vault) -> FilePart:
    try:
        text = part.data.decode("utf-8")
    except UnicodeDecodeError:
        return part  # a picture or a PDF: see the readme
    return replace(part, data=vault.hide(text).encode("utf-8"))
