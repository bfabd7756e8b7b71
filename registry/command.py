"""Slash commands: what a user types after `/`, and what a command may ask the app to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from registry.chat import Message


class HostAction(StrEnum):
    """Something that the app does when a command asks for it."""

    NEW_CONVERSATION = "new_conversation"
    CHOOSE_MODEL = "choose_model"
    SET_PARAMETERS = "set_parameters"
    SHOW_PLUGINS = "show_plugins"
    SHOW_MARKETPLACE = "show_marketplace"
    CONNECT = "connect"
    SHOW_HELP = "show_help"
    RETRY = "retry"
    COPY_ANSWER = "copy_answer"
    EXPORT = "export"
    SEARCH = "search"
    QUIT = "quit"


@dataclass(frozen=True, slots=True)
class Show:
    """Show Markdown in the transcript; the model does not see it."""

    markdown: str


@dataclass(frozen=True, slots=True)
class Send:
    """Send a prompt as if the user had typed it."""

    prompt: str


@dataclass(frozen=True, slots=True)
class Fill:
    """Put text into the composer and let the user go on."""

    text: str


@dataclass(frozen=True, slots=True)
class Perform:
    """Have the app do one of its own actions."""

    action: HostAction


CommandResult: TypeAlias = Show | Send | Fill | Perform | None


@dataclass(frozen=True, slots=True)
class CommandCall:
    """One use of a command."""

    argument: str
    """What follows the command's name, without the blank between."""
    messages: tuple[Message, ...] = ()
    """The conversation so far."""


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command."""

    name: str
    """Typed after `/`: lower-case letters, digits and `-`."""
    summary: str
    """What it does, in one line."""
    run: Callable[[CommandCall], Awaitable[CommandResult]] = field(compare=False)
    argument: str = ""
    """What its argument stands for, as in `/translate LANGUAGE`; empty when it takes none."""
