"""How one server's Chat Completions differ from the usual, as data.

The defaults are what a server that nothing is known of most likely understands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Fields: TypeAlias = Mapping[str, object]
Stop: TypeAlias = Literal["end", "length", "context_full", "tool", "refused", "pause", "other", "fault"]


@dataclass(frozen=True, slots=True, eq=False)
class Quirks:
    """One server's ways, in requests and in answers."""

    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the limit of an answer is called."""
    system_role: Literal["system", "developer"] = "system"
    """Who speaks the system prompt."""
    stream_options: bool = True
    """Whether usage has to be asked for; some servers send it always and refuse the question."""
    effort_on: Fields = field(default_factory=lambda: {"reasoning_effort": "{effort}"})
    """What the parameter `effort` becomes; `{effort}` stands for its word. Empty: it is left out."""
    effort_off: Fields = field(default_factory=lambda: {"reasoning_effort": "none"})
    """What the effort "none" becomes."""
    efforts: tuple[str, ...] = ()
    """The words for an effort, from little to much; empty: all. What is asked is rounded down to one."""
    thinking_back: Literal["never", "calls", "always"] = "never"
    """Which answers go back with their thoughts: those with tool calls, or all."""
    thinking_field: Literal["reasoning_content", "reasoning", "reasoning_details"] = "reasoning_content"
    """Where the thoughts go that are sent back; `reasoning_details` go as they came."""
    think_tags: bool = False
    """Whether thoughts may stand in the text, between `<think>` and `</think>` at its beginning."""
    tool_ids: Literal["any", "short", "nine"] = "any"
    """Ids of tool calls: of any shape, of 40 characters at most, or of exactly nine letters and digits."""
    alternate: bool = False
    """Whether user and assistant have to take turns, so that messages of one in a row are joined."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Parameters that have another name here."""
    drop: tuple[str, ...] = ()
    """Parameters that are refused here."""
    extra: Fields = field(default_factory=dict)
    """Further fields of each request; a parameter with the same name wins."""
    stops: Mapping[str, Stop] = field(default_factory=dict)
    """Reasons to end that only this server gives; a `fault` is an error."""


USUAL = Quirks()
"""The ways of a server that nothing is known of."""
