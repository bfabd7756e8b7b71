"""The app's own slash commands."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from jackfield import Command, CommandCall, HostAction, Perform, Plugin, __version__

_COMMANDS = {
    "new": ("Begin a new conversation", HostAction.NEW_CONVERSATION),
    "model": ("Choose the model that answers", HostAction.CHOOSE_MODEL),
    "parameters": ("Set temperature, length, effort, system prompt", HostAction.SET_PARAMETERS),
    "plugins": ("See and switch plugins", HostAction.SHOW_PLUGINS),
    "marketplace": ("Find and install plugins of others", HostAction.SHOW_MARKETPLACE),
    "connect": ("Sign in to a provider", HostAction.CONNECT),
    "retry": ("Ask the last prompt again", HostAction.RETRY),
    "copy": ("Copy the last answer", HostAction.COPY_ANSWER),
    "export": ("Write the conversation to a Markdown file", HostAction.EXPORT),
    "find": ("Search in the conversation", HostAction.SEARCH),
    "help": ("Show all keys", HostAction.SHOW_HELP),
    "quit": ("End the app", HostAction.QUIT),
}


class CommandsPlugin(Plugin):
    """Commands that do what keys do, for those who would rather type."""

    name = "commands"
    version = __version__
    summary = "Slash commands for what the app itself can do"
    on_by_default = True

    def commands(self) -> Sequence[Command]:
        """One for each action."""
        return [
            Command(name, summary, partial(_perform, action)) for name, (summary, action) in _COMMANDS.items()
        ]


async def _perform(action: HostAction, _call: CommandCall) -> Perform:
    return Perform(action)
