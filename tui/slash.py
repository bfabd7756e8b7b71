"""Slash commands typed into the composer: finds their plugin, runs them, and does what they ask for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from registry.command import CommandCall, CommandResult, Fill, HostAction, Perform, Send, Show
from registry.errors import JackfieldError, PluginError
from registry.text import safe_text

if TYPE_CHECKING:
    from tui.screens.chat import ChatScreen

_SCREEN_ACTIONS = {
    HostAction.NEW_CONVERSATION: "screen.new",
    HostAction.CHOOSE_MODEL: "app.models",
    HostAction.SET_PARAMETERS: "screen.parameters",
    HostAction.SHOW_PLUGINS: "app.plugins",
    HostAction.SHOW_MARKETPLACE: "app.marketplace",
    HostAction.CONNECT: "app.connect",
    HostAction.SHOW_HELP: "app.help",
    HostAction.RETRY: "screen.retry",
    HostAction.COPY_ANSWER: "screen.copy_answer",
    HostAction.EXPORT: "screen.export",
    HostAction.SEARCH: "screen.search",
    HostAction.QUIT: "app.quit",
}


_SHOWN_AFTER_S: Final = 0.3
"""A command that takes longer is shown while it runs."""
_MOST_LINES: Final = 6


class Slash:
    """Runs slash commands for a chat screen."""

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen

    def takes(self, prompt: str) -> bool:
        """Whether a prompt is a command: `/word`, and not a path such as `/etc/hosts`."""
        name = prompt.partition(" ")[0]
        return name.startswith("/") and len(name) > 1 and "/" not in name[1:] and "\n" not in name

    async def run(self, prompt: str) -> None:
        """Run a command. What fails or is stopped is told, and what was typed is put back."""
        name, _, argument = prompt[1:].partition(" ")
        shown = safe_text(f"/{name}", single_line=True, limit=40)
        screen = self._screen
        soon = screen.set_timer(_SHOWN_AFTER_S, lambda: self._show_running(shown))
        try:
            result = await self._call(name, argument.strip())
        except JackfieldError as error:
            self._put_back(prompt)
            screen.notify(_brief(error), title=shown, severity="error", markup=False)
            return
        except asyncio.CancelledError:
            self._put_back(prompt)
            screen.notify("Stopped.", title=shown, markup=False)
            raise
        finally:
            soon.stop()
            self._show_running("")
        await self._do(result)

    def _show_running(self, command: str) -> None:
        self._screen.status.command = command
        self._screen.refresh_bindings()

    def _put_back(self, prompt: str) -> None:
        if not self._screen.composer.text:  # else something else is being written by now
            self._screen.composer.fill(prompt)

    def _hold(self, prompt: str) -> None:
        """Another prompt is being answered, which comes first: leave it to the user when to send this one."""
        composer, where = self._screen.composer, "in the composer"
        if composer.text:
            composer.remember(prompt)
            where = "the prompt before"
        else:
            composer.fill(prompt)
        self._screen.notify(f"An answer is on its way. What the command sends is {where}.", markup=False)

    async def _call(self, name: str, argument: str) -> CommandResult:
        await self._screen.host.ready.wait()
        registry = self._screen.host.registry
        if name not in {command.name for command in registry.commands()}:
            raise JackfieldError(
                f"There is no command /{safe_text(name, single_line=True, limit=40)}",
                hint="Type / to see the commands, or begin with a blank to send it as text.",
            )
        command = await registry.command(name)
        messages = tuple(entry.message for entry in self._screen.conversation.entries)
        try:
            result = await command.run(CommandCall(argument, messages))
        except JackfieldError:
            raise
        except Exception as error:
            raise PluginError(
                f"The command /{name} failed",
                detail=safe_text(f"{type(error).__name__}: {error}", limit=500),
                hint="Its plugin can be switched off in the plugins screen.",
            ) from error
        if not isinstance(result, Show | Send | Fill | Perform | None):
            raise PluginError(f"The command /{name} gave a {type(result).__name__}, which is no result")
        return result

    async def _do(self, result: CommandResult) -> None:
        match result:
            case Show(markdown=markdown):
                self._screen.add_class("-talking")
                self._screen.view.show_notice(safe_text(markdown))
            case Send(prompt=prompt) if self._screen.answering:
                self._hold(safe_text(prompt))
            case Send(prompt=prompt):
                self._screen.send(safe_text(prompt))
            case Fill(text=text):
                self._screen.composer.insert(safe_text(text))  # beside what was written meanwhile
            case Perform(action=action):
                await self._screen.run_action(_SCREEN_ACTIONS[action])
            case None:
                pass


def _brief(error: JackfieldError) -> str:
    """What went wrong, in so few lines that the screen below can still be used."""
    detail = error.detail.splitlines()
    if len(detail) > _MOST_LINES:
        detail = ["…", *detail[-_MOST_LINES:]]  # the last lines of a process say most
    return "\n".join(filter(None, [error.title, *detail, error.hint]))
