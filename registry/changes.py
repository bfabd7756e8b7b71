"""What hooks changed, as text differences that a user can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff

from registry.chat import ChatRequest, ChatResponse, Message

MAX_LINES = 300
"""How many lines after the first change are compared."""
MAX_TEXT = 200_000
"""How much of one text is compared, in characters."""
MAX_LINE = 500
"""How much of one line is shown, in characters."""


@dataclass(frozen=True, slots=True)
class HookChange:
    """One hook's change to a turn."""

    plugin: str
    hook: str
    diff: str
    """Lines as `diff -u` has them, without file names."""


def request_diff(before: ChatRequest, after: ChatRequest) -> str:
    """How two requests differ; empty when they are equal."""
    if before == after:
        return ""
    old, new = _settings(before), _settings(after)
    shared = _shared_start(before.messages, after.messages)
    return _diff(old + _messages(before.messages[shared:]), new + _messages(after.messages[shared:]))


def response_diff(before: ChatResponse, after: ChatResponse) -> str:
    """How two answers differ; empty when they are equal."""
    if before == after:
        return ""
    return _diff(
        [f"stop: {before.stop}", *_messages([before.message])],
        [f"stop: {after.stop}", *_messages([after.message])],
    )


def text_diff(before: str, after: str) -> str:
    """How two texts differ; empty when they are equal."""
    return "" if before == after else _diff(_lines(before), _lines(after))


def _settings(request: ChatRequest) -> list[str]:
    lines = [f"model: {request.provider}/{request.model}"]
    lines += [f"{name}: {value}" for name, value in sorted(request.parameters.items())]
    if request.system is not None:
        lines += ["[system]", *_lines(request.system)]
    return lines


def _shared_start(before: Sequence[Message], after: Sequence[Message]) -> int:
    """How many leading messages are the same objects: hooks replace messages, so identity tells."""
    shared = 0
    for old, new in zip(before, after, strict=False):
        if old is not new:
            break
        shared += 1
    return shared


def _messages(messages: Sequence[Message]) -> list[str]:
    lines: list[str] = []
    for message in messages:
        lines.append(f"[{message.role}]")
        for part in message.parts:
            lines += _lines(part.text) if part.type == "text" else [f"({part.type})"]
    return lines


def _diff(before: list[str], after: list[str]) -> str:
    """The difference in bounded time and size: a hook may change megabytes, and the app waits for this."""
    pairs = enumerate(zip(before, after, strict=False))
    start = next((at for at, (old, new) in pairs if old != new), min(len(before), len(after)))
    kept = max(0, start - 1)  # one line before the change shows where it is
    old_lines, left_out_old = _bounded(before[kept:])
    new_lines, left_out_new = _bounded(after[kept:])
    lines = list(unified_diff(old_lines, new_lines, lineterm="", n=1))[2:]
    if left_out_old or left_out_new:
        lines.append(f"({left_out_old + left_out_new} more lines are not shown)")
    return "\n".join(_shortened(line) for line in lines) or "(changed beyond the text that is compared)"


def _lines(text: str) -> list[str]:
    return text[:MAX_TEXT].splitlines()


def _bounded(lines: list[str]) -> tuple[list[str], int]:
    return lines[:MAX_LINES], max(0, len(lines) - MAX_LINES)


def _shortened(line: str) -> str:
    return line if len(line) <= MAX_LINE else line[:MAX_LINE] + "…"
