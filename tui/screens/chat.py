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
from textual.screen import Screen
from textual.widgets import Footer, Input, TextArea
from textual.worker import Worker

from registry.errors import JackfieldError
from registry.text import safe_text
from tui.host import Host
from tui.states import TurnState
from tui.widgets.command_menu import CommandMenu
from tui.widgets.composer import Composer
from tui.widgets.status import StatusLine
from tui.widgets.welcome import Welcome

if TYPE_CHECKING:
    from registry.models import ModelChoice
    from tui.conversation import Conversation
    from tui.facts import Facts
    from tui.slash import Slash
    from tui.transcript import Copied, LinkClicked, SearchMoved, Transcript
    from tui.turn_view import TurnView


class ChatScreen(Screen[None]):
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
        super().__init__()
        self.host = host
        self.choice: ModelChoice | None = None
        self._turn: Worker[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None

    @cached_property
    def conversation(self) -> Conversation:
        """What was said."""
        return self._new_conversation()

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

    def _new_conversation(self) -> Conversation:
        from tui.conversation import Conversation

        return Conversation(self.host)

    @cached_property
    def _facts(self) -> Facts:
        from tui.facts import Facts

        return Facts(self.host)

    @cached_property
    def _slash(self) -> Slash:
        from tui.slash import Slash

        return Slash(self)

    def compose(self) -> ComposeResult:
        """Where the transcript will be, what is typed, and where things stand."""
        yield Welcome()
        yield CommandMenu()
        yield Input(id="search", placeholder="Find in this conversation. Enter: next, Esc: close")
        yield Composer()
        yield StatusLine()
        yield Footer()

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
        await self._choose_model()
        self._offer_commands()
        self.composer.set_prompts(await self.host.recent_prompts())
        if self.host.interrupted is not None:
            self.welcome.note = "Your last answer was interrupted. Ctrl+G goes on with it."
        elif self.host.plugins_off:
            self.welcome.note = "Safe mode: no plugin runs, so no model answers. Start without it to chat."
        self.refresh_bindings()
        await self._learn_facts()

    async def _learn_facts(self) -> None:
        """Learn what models can and cost."""
        try:
            async for _ in self._facts.load():
                if self.choice is not None:
                    self._show_choice(self.choice)
                self._settle()
        except JackfieldError as error:
            self._toast(str(error), "warning")

    def _settle(self) -> None:
        """Show what the conversation has used."""
        self.status.account = self._facts.account(self.conversation.entries, self.choice)

    async def _choose_model(self, reference: str | None = None) -> None:
        try:
            self._show_choice(await self.host.choose_model(reference))
        except JackfieldError as error:
            if reference is not None:
                raise
            self.choice = None
            self.status.state = TurnState.NO_MODEL
            self.status.model = error.hint
            self.welcome.model = ""

    def _show_choice(self, choice: ModelChoice) -> None:
        self.choice = choice = self._facts.enrich(choice)
        self.status.model = choice.model.title
        self.welcome.model = (
            f"the {choice.model.title}" if choice.provider.name == "local" else choice.model.title
        )
        if self.status.state in (TurnState.STARTING, TurnState.NO_MODEL):
            self.status.state = TurnState.READY

    def _follow_registry(self) -> None:
        """Plugins were switched: the model of the open chat may be gone, or be there again."""
        names = {entry.name for entry in self.host.registry.providers()}
        if self.choice is None or self.choice.provider.name not in names:
            self._choose_model_anew()
        self._offer_commands()

    @work(group="model", exclusive=True, exit_on_error=False)
    async def _choose_model_anew(self) -> None:
        await self._choose_model()

    async def use_model(self, choice: ModelChoice) -> None:
        """Go on with another model, and begin with it from now on."""
        self._show_choice(choice)
        self._settle()
        try:
            await self.host.keep_model(choice.reference)
        except JackfieldError as error:
            self._toast(str(error), "warning")

    @on(Composer.Sent)
    def _send(self, event: Composer.Sent) -> None:
        if self.answering:
            self._toast("An answer is on its way. Esc stops it.", "information")
            return
        self.composer.take_out(event.prompt)
        if self._slash.takes(event.prompt):
            self.run_worker(self._slash.run(event.prompt.strip()), group="command", exit_on_error=False)
        else:
            self.send(event.prompt.strip())

    def send(self, prompt: str) -> None:
        """Say something and have it answered."""
        self.composer.remember(prompt)
        self.add_class("-talking")
        self.view.show_prompt(prompt)
        self._turn = self._run_turn(prompt)

    @property
    def answering(self) -> bool:
        """Whether a turn is under way."""
        return self._turn is not None and self._turn.is_running

    @work(exclusive=True, group="turn", exit_on_error=False)
    async def _run_turn(self, prompt: str | None) -> None:
        """Run one turn; without a prompt, answer the last one again."""
        self.refresh_bindings()
        try:
            if prompt is not None:
                await self.conversation.say(prompt)
            if self.choice is None:
                await self._choose_model()
            self.view.begin(self.choice.model.title if self.choice else "")
            await self._answer()
        except asyncio.CancelledError:
            self.view.stopped()
            raise
        except JackfieldError as error:
            self.view.failed(error, hint="Ctrl+R asks again.")
        except Exception as error:  # noqa: BLE001 - a fault of the app's own must not end the chat
            self.view.failed(_unexpected(error), hint="Ctrl+R asks again.")
        finally:
            self._turn = None
            self._settle()
            self.refresh_bindings()

    async def _answer(self) -> None:
        choice = self.choice or await self.host.choose_model()
        self.run_worker(self._facts.remember(choice), group="recent", exit_on_error=False)
        async with aclosing(self.conversation.answer(choice)) as events:
            async for event in events:
                self.view.show(event)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys the footer shows now."""
        if action in ("retry", "go_on", "changes") and not self.host.ready.is_set():
            return False
        if action == "retry":
            return not self.answering and self.conversation.can_retry()
        if action == "go_on":
            return self.host.interrupted is not None and not self.conversation.entries
        if action == "changes":
            return any(entry.changes for entry in self.conversation.entries)
        if action == "stop":
            return self.answering or self.focused is not self.composer
        return True

    def action_stop(self) -> None:
        """Stop the answer; when there is none, go back to the composer."""
        if self.answering and self._turn is not None:
            self._turn.cancel()
        elif self.has_class("-searching"):
            self._close_search()
        self.composer.focus()

    @work(group="retry", exit_on_error=False)
    async def action_retry(self) -> None:
        """Ask the last prompt again."""
        if self.answering or not self.conversation.can_retry():
            return
        await self.conversation.take_back_answer()
        self.view.load(self.conversation.entries)
        self._turn = self._run_turn(None)

    def action_new(self) -> None:
        """Begin a new conversation."""
        if self._turn is not None:
            self._turn.cancel()
        self.conversation = self._new_conversation()
        self.transcript.clear()
        self.remove_class("-talking")
        self._settle()
        if self.choice is not None:
            self.status.state = TurnState.READY
        self.composer.focus()
        self.refresh_bindings()

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
        if self._turn is not None:
            self._turn.cancel()
        self.host.interrupted = None
        self.welcome.note = ""
        self.conversation = conversation
        self.add_class("-talking")
        self.view.load(conversation.entries)
        self._settle()
        self.composer.focus()
        self.refresh_bindings()

    def action_changes(self) -> None:
        """Show what plugins changed in the last turn."""
        from tui.screens.changes import ChangesScreen

        answer = self.conversation.last_answer()
        if answer is not None and answer.changes:
            self.app.push_screen(ChangesScreen(answer.changes))
        else:
            self._toast("No plugin changed the last turn.", "information")

    def action_copy_answer(self) -> None:
        """Copy the last answer."""
        answer = self.conversation.last_answer()
        if answer is None:
            self._toast("There is no answer to copy yet.", "information")
            return
        self.app.copy_to_clipboard(answer.message.text)
        self._toast("Copied the answer.", "information")

    @on(TextArea.Changed, "Composer")
    def _offer_commands(self) -> None:
        if self.host.ready.is_set():
            self.menu.offer(self.composer.text, self.host.registry.commands())

    @on(Composer.CompletionAsked)
    def _complete(self) -> None:
        if self.menu.first is not None:
            self.composer.fill(f"/{self.menu.first.name} ")

    def action_search(self) -> None:
        """Search in the conversation."""
        self.add_class("-searching")
        self.query_one("#search", Input).focus()

    @on(Input.Changed, "#search")
    def _search(self, event: Input.Changed) -> None:
        self.transcript.search(event.value)

    @on(Input.Submitted, "#search")
    def _search_on(self) -> None:
        self.transcript.search_next()

    def on_search_moved(self, event: SearchMoved) -> None:
        """The search of the transcript stands elsewhere."""
        field = self.query_one("#search", Input)
        field.border_title = f"{event.current} of {event.total}" if event.total else "nothing found"

    def _close_search(self) -> None:
        self.remove_class("-searching")
        self.transcript.clear_search()
        self.query_one("#search", Input).value = ""

    def on_copied(self, event: Copied) -> None:
        """Text of the transcript was copied."""
        self._toast(f"Copied the {event.what}.", "information")

    def on_link_clicked(self, event: LinkClicked) -> None:
        """A link of the transcript was clicked: ask first."""
        from tui.screens.link import LinkScreen

        self.app.push_screen(LinkScreen(event.url))

    def _toast(self, message: str, severity: str) -> None:
        level = severity if severity in ("warning", "error") else "information"
        self.notify(message, severity=level, markup=False)  # type: ignore[arg-type]


def _unexpected(error: Exception) -> JackfieldError:
    return JackfieldError(
        "Something in the app itself failed",
        detail=safe_text(f"{type(error).__name__}: {error}", limit=500),
        hint="What came is kept.",
    )
