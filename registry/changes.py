"""What hooks changed, as text differences that a user can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff

from registry.chat import ChatRequest, ChatResponse, Message


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
    return "" if before == after else _diff(before.splitlines(), after.splitlines())


def _settings(request: ChatRequest) -> list[str]:
    lines = [f"model: {request.provider}/{request.model}"]
    lines += [f"{name}: {value}" for name, value in sorted(request.parameters.items())]
    if request.system is not None:
        lines += ["[system]", *request.system.splitlines()]
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
            lines += part.text.splitlines() if part.type == "text" else [f"({part.type})"]
    return lines


def _diff(before: list[str], after: list[str]) -> str:
    return "\n".join(list(unified_diff(before, after, lineterm="", n=1))[2:]) or "(changed beyond its text)"
