"""The chat: transcript, composer, status line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from functools import cached_property, partial
from typing import TYPE_CHECKING, ClassVar

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import TextArea
from textual.worker import Worker, get_current_worker

from registry.errors import JackfieldError
from registry.text import safe_text
from tui.host import Host
from tui.screens.chat_actions import ChatActions
from tui.states import TurnState
from tui.widgets.attachment_line import AttachmentLine
from tui.widgets.command_menu import CommandMenu
from tui.widgets.composer import Composer
from tui.widgets.key_line import KeyLine
from tui.widgets.search_bar import SearchBar
from tui.widgets.status import StatusLine
from tui.widgets.welcome import Welcome

if TYPE_CHECKING:
    from registry.chat import Message, Part
    from registry.models import ModelChoice
    from tui.chooser import Chooser
    from tui.outbox import Outbox
    from tui.slash import Slash
    from tui.transcript import Transcript
    from tui.turn_view import TurnView


class ChatScreen(ChatActions):
    """One open conversation.

    Args:
        host: what the screen stands on.
    """

    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (10, "-roomy")]  # noqa: RUF012 - as Textual declares it
    AUTO_FOCUS = "Composer"
    BINDING_GROUP_TITLE = "Chat"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape",
            "stop",
            "Stop",
            id="chat.stop",
            tooltip="Stop the answer and keep what came; else go back to the composer",
        ),
        Binding("ctrl+r", "retry", "Retry", id="chat.retry", tooltip="Ask the last prompt again"),
        Binding("ctrl+n", "new", "New", id="chat.new", tooltip="Begin a new conversation", priority=True),
        Binding(
            "ctrl+f",
            "search",
            "Find",
            id="chat.search",
            show=False,
            tooltip="Search in the conversation",
            priority=True,
        ),
        Binding(
            "f6",
            "parameters",
            "Set",
            id="chat.parameters",
            tooltip="Set temperature, length, effort and system prompt of this conversation",
            priority=True,
        ),
        Binding(
            "ctrl+g", "go_on", "Go on", id="chat.go_on", tooltip="Open the conversation that was interrupted"
        ),
        Binding(
            "f5",
            "changes",
            "Changes",
            id="chat.changes",
            show=False,
            tooltip="What plugins changed in the last turn",
        ),
    ]

    composer = getters.query_one(Composer)
    status = getters.query_one(StatusLine)
    welcome = getters.query_one(Welcome)
    menu = getters.query_one(CommandMenu)

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._turn: Worker[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None

    @cached_property
    def transcript(self) -> Transcript:
        """What is seen of the conversation."""
        from tui.transcript import Transcript

        transcript = Transcript()
        self.mount(transcript, before=self.welcome)
        return transcript

    @cached_property
    def view(self) -> TurnView:
        """What shows a turn."""
        from registry.models import title_of
        from tui.turn_view import TurnView

        return TurnView(self.transcript, self.status, self._toast, partial(title_of, self.host.registry))

    @cached_property
    def chooser(self) -> Chooser:
        """Which model answers."""
        from tui.chooser import Chooser

        return Chooser(self)

    @property
    def choice(self) -> ModelChoice | None:
        """The model that answers; None while there is none."""
        return self.chooser.choice

    @cached_property
    def _outbox(self) -> Outbox:
        from tui.outbox import Outbox

        return Outbox(self)

    @cached_property
    def _slash(self) -> Slash:
        from tui.slash import Slash

        return Slash(self)

    def compose(self) -> ComposeResult:
        """Where the transcript will be, what is typed, and where things stand."""
        yield Welcome()
        yield CommandMenu()
        yield SearchBar(lambda: self.transcript)
        yield AttachmentLine()
        yield Composer()
        yield StatusLine()
        yield KeyLine(spared=("new", "parameters", "history"))

    def on_mount(self) -> None:
        """Get ready behind the first frame."""
        self.call_after_refresh(self._become_ready)

    def on_unmount(self) -> None:
        """Stop listening."""
        if self._unsubscribe:
            self._unsubscribe()

    @work(group="ready", exit_on_error=False)
    async def _become_ready(self) -> None:
        await self.host.ready.wait()
        self._unsubscribe = self.host.registry.subscribe(self._follow_registry)
        self.view  # noqa: B018 - made now rather than with the first prompt
        await self.chooser.choose()
        self._follow_composer()
        self.composer.set_prompts(await self.host.recent_prompts())
        if self.host.interrupted is not None:
            self.welcome.note = "Your last answer was interrupted. Ctrl+G goes on with it."
        elif self.host.plugins_off:
            self.welcome.note = "Safe mode: no plugin runs, so no model answers. Start without it to chat."
        self.refresh_bindings()
        try:
            await self.chooser.learn()
        except JackfieldError as error:
            self._toast(str(error), "warning")

    def _follow_registry(self) -> None:
        """Plugins were switched."""
        self._choose_if_gone()
        self._follow_composer()

    @work(group="model", exclusive=True, exit_on_error=False)
    async def _choose_if_gone(self) -> None:
        await self.chooser.choose_if_gone()

    async def use_model(self, choice: ModelChoice) -> None:
        """Go on with another model, and begin with it from now on."""
        try:
            await self.chooser.use(choice)
        except JackfieldError as error:
            self._toast(str(error), "warning")

    @on(Composer.Sent)
    def _send(self, event: Composer.Sent) -> None:
        if self.answering:
            self._toast("An answer is on its way. Esc stops it.", "information")
            return
        if self._slash.takes(event.prompt):
            self.composer.take_out(event.prompt)
            self.run_worker(self._slash.run(event.prompt.strip()), group="command", exit_on_error=False)
        elif "@" in event.prompt:
            self._send_with_files(event.prompt)
        else:
            self.composer.take_out(event.prompt)
            self.send(event.prompt.strip())

    @work(group="files", exclusive=True, exit_on_error=False)
    async def _send_with_files(self, prompt: str) -> None:
        """Send a prompt with the files that it names; when one cannot be sent, it stays where it is."""
        try:
            attached = await self._outbox.load(prompt)
        except JackfieldError as error:
            self._toast(str(error), "error")
            return
        if not self.answering:
            self.composer.take_out(prompt)
            self.send(prompt.strip(), attached)

    def send(self, prompt: str, attached: tuple[Part, ...] = ()) -> None:
        """Say something and have it answered."""
        from registry.chat import Message, TextPart

        self.composer.remember(prompt)
        self.add_class("-talking")
        message = Message("user", (TextPart(prompt), *attached))
        self.view.show_prompt(message)
        self._turn = self._run_turn(message)

    @property
    def answering(self) -> bool:
        """Whether a turn is under way."""
        return self._turn is not None and self._turn.is_running

    @work(exclusive=True, group="turn", exit_on_error=False)
    async def _run_turn(self, prompt: Message | None) -> None:
        """Run one turn; without a prompt, answer the last one again."""
        self.refresh_bindings()
        me = get_current_worker()
        try:
            if prompt is not None:
                await self.conversation.say(prompt)
            if self.choice is None:
                await self.chooser.choose()
            self.view.begin(self.choice.model.title if self.choice else "")
            await self._answer()
        except asyncio.CancelledError:
            if self._turn is me:  # else another conversation, or another turn, is on the screen
                self.view.stopped()
            raise
        except JackfieldError as error:
            self.view.failed(error, hint="Ctrl+R asks again.")
        except Exception as error:  # noqa: BLE001 - a fault of the app's own must not end the chat
            self.view.failed(_unexpected(error), hint="Ctrl+R asks again.")
        finally:
            if self._turn is me:
                self._end_turn()

    def _end_turn(self) -> None:
        """The next prompt can be sent."""
        self._turn = None
        self.chooser.settle()
        self.refresh_bindings()

    async def _answer(self) -> None:
        from registry.turn import TurnFinished

        choice = self.choice or await self.host.choose_model()
        self.run_worker(self.chooser.remember(), group="recent", exit_on_error=False)
        async with aclosing(self.conversation.answer(choice)) as events:
            async for event in events:
                self.view.show(event)
                if isinstance(event, TurnFinished):  # seen to be complete, it is
                    self._end_turn()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys the footer shows now."""
        if action in ("retry", "go_on", "changes") and not self.host.ready.is_set():
            return False
        if action == "retry":
            return self._may_retry()
        if action == "go_on":
            return self.host.interrupted is not None and not self.conversation.entries
        if action == "changes":
            return any(entry.changes for entry in self.conversation.entries)
        if action == "stop":
            return self.answering or bool(self.status.command) or self.focused is not self.composer
        return True

    def action_stop(self) -> None:
        """Stop the answer, or the command that runs; when there is none, go back to the composer."""
        if self.answering and self._turn is not None:
            self._turn.cancel()
        elif self.status.command:
            self.workers.cancel_group(self, "command")
        elif self.has_class("-searching"):
            self.search_bar.close()
        self.composer.focus()

    def _may_retry(self) -> bool:
        return not self.answering and self.conversation.can_retry()

    @work(group="retry", exit_on_error=False)
    async def action_retry(self) -> None:
        """Ask the last prompt again."""
        if not self._may_retry():
            return
        await self.conversation.take_back_answer()
        if not self._may_retry():
            return  # it was asked for twice
        self.view.load(self.conversation.entries)
        self._turn = self._run_turn(None)

    def action_new(self) -> None:
        """Begin a new conversation."""
        self._leave_turn()
        self.conversation = self._new_conversation()
        self.transcript.clear()
        self.remove_class("-talking")
        self.chooser.show_conversation()
        if self.choice is not None:
            self.status.state = TurnState.READY
        self.composer.focus()
        self.refresh_bindings()

    def _leave_turn(self) -> None:
        """Stop what is being answered; it ends with its own conversation, not with the one that comes."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    async def action_go_on(self) -> None:
        """Open the conversation that was interrupted."""
        if self.host.interrupted is not None:
            await self.open(self.host.interrupted.id)

    async def open(self, conversation_id: int) -> None:
        """Show a conversation of the history and go on with it."""
        conversation = self._new_conversation()
        try:
            await conversation.open(conversation_id)
        except JackfieldError as error:
            self._toast(str(error), "error")
            return
        self._leave_turn()
        self.host.interrupted = None
        self.welcome.note = ""
        self.conversation = conversation
        self.add_class("-talking")
        self.view.load(conversation.entries)
        self.chooser.show_conversation()
        self.composer.focus()
        self.refresh_bindings()
        await self.chooser.tell_refused()

    @work(group="parameters", exclusive=True, exit_on_error=False)
    async def action_parameters(self) -> None:
        """Set what goes with each request of this conversation."""
        from tui.screens.parameters import ParametersScreen

        await self.host.ready.wait()
        try:
            await self.chooser.set_parameters(ParametersScreen)
        except JackfieldError as error:
            self._toast(str(error), "error")

    @on(TextArea.Changed, "Composer")
    def _follow_composer(self) -> None:
        if self.host.ready.is_set():
            self.menu.offer(self.composer.text, self.host.registry.commands())
            self._outbox.follow(self.composer.text)

    @on(Composer.PathsFound)
    def _show_paths(self, event: Composer.PathsFound) -> None:
        self.query_one(AttachmentLine).names = event.names if len(event.names) > 1 else ()

    @on(Composer.CompletionAsked)
    def _complete(self) -> None:
        if self.menu.first is not None:
            self.composer.fill(f"/{self.menu.first.name} ")


def _unexpected(error: Exception) -> JackfieldError:
    return JackfieldError(
        "Something in the app itself failed",
        detail=safe_text(f"{type(error).__name__}: {error}", limit=500),
        hint="What came is kept.",
    )
