"""Which model answers in the open chat, what is known of it, and what it takes of what the user set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.errors import JackfieldError
from registry.parameters import accepted_parameters, in_brief, sort_out
from registry.text import safe_text
from tui.facts import Facts
from tui.states import TurnState

if TYPE_CHECKING:
    from registry.models import ModelChoice
    from registry.provider import Parameter
    from tui.screens.chat import ChatScreen
    from tui.screens.parameters import ParametersScreen


class Chooser:
    """The model of a chat screen.

    Args:
        screen: where it is shown.
    """

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen
        self._host = screen.host
        self._facts = Facts(screen.host)
        self.choice: ModelChoice | None = None
        """None while no model is there to answer."""
        self._stands_in = False
        """Whether it answers in the place of the one that the user chose, which is not there."""

    async def learn(self) -> None:
        """Learn what models can and cost.

        Raises:
            JackfieldError: the catalogue could not be refreshed.
        """
        async for _ in self._facts.load():
            if self.choice is not None:
                self.show(self.choice)
            self.settle()

    def settle(self) -> None:
        """Show what the conversation has used."""
        entries = self._screen.conversation.entries
        self._screen.status.account = self._facts.account(entries, self.choice)

    def show_conversation(self) -> None:
        """Show what is set and what was used in the conversation that is open now."""
        if self.choice is not None:
            self.show(self.choice)
        self.settle()

    async def choose(self, reference: str | None = None) -> None:
        """Choose a model by its reference, or the one that the user chose last, or the first there is.

        Raises:
            JackfieldError: a reference was given, and there is no such model.
        """
        try:
            choice = await self._host.choose_model(reference)
            self._tell_of_stand_in(choice, None if reference else self._host.settings.model)
            self.show(choice)
        except JackfieldError as error:
            if reference is not None:
                raise
            self.choice = None
            self._screen.status.state = TurnState.NO_MODEL
            self._screen.status.model = error.hint
            self._screen.welcome.model = ""

    async def choose_if_gone(self) -> None:
        """Plugins were switched: the model may be gone, or be there again."""
        names = {entry.name for entry in self._host.registry.providers()}
        if self.choice is None or self.choice.provider.name not in names or self._stands_in:
            await self.choose()

    def _tell_of_stand_in(self, choice: ModelChoice, wanted: str | None) -> None:
        """Another model than the chosen one sends prompts to somebody else: never without a word."""
        before, title = self._stands_in, choice.model.title
        self._stands_in = wanted is not None and choice.provider.name != wanted.partition("/")[0]
        if self._stands_in and (self.choice is None or self.choice.provider.name != choice.provider.name):
            text = f"{wanted} is not there: its plugin may be off. {title} answers until it is back."
            self._screen.notify(safe_text(text), severity="warning", timeout=10, markup=False)
        elif before and not self._stands_in:
            self._screen.notify(f"{title} is back, and answers again.", markup=False)

    def show(self, choice: ModelChoice) -> None:
        """Go on with a model, and show which it is and what is set."""
        self.choice = choice = self._facts.enrich(choice)
        title = choice.model.title
        status, welcome = self._screen.status, self._screen.welcome
        conversation = self._screen.conversation
        told = [in_brief(conversation.parameters), "system prompt" if conversation.system else ""]
        status.model = "  ".join([title, ", ".join(text for text in told if text)]).rstrip()
        welcome.model = f"the {title}" if choice.provider.name == "local" else title
        if status.state in (TurnState.STARTING, TurnState.NO_MODEL):
            status.state = TurnState.READY

    async def use(self, choice: ModelChoice) -> None:
        """Go on with another model, and begin with it from now on.

        Raises:
            JackfieldError: it cannot be written down; the choice holds for this run.
        """
        self._stands_in = False
        self.show(choice)
        self.settle()
        await self.tell_refused()
        await self._host.keep_model(choice.reference)

    async def accepted(self) -> tuple[Parameter, ...]:
        """What can be set for the model; nothing while there is none.

        Raises:
            JackfieldError: its provider failed to say it.
        """
        return await accepted_parameters(self._host.registry, self.choice) if self.choice else ()

    async def set_parameters(self, form: type[ParametersScreen]) -> None:
        """Let the user set what goes with each request of the conversation.

        Args:
            form: the screen that asks for it.

        Raises:
            JackfieldError: the provider failed to say what can be set, or it cannot be written down.
        """
        app, conversation = self._screen.app, self._screen.conversation
        accepted = await self.accepted()
        if isinstance(app.screen, form):
            return
        title = self.choice.model.title if self.choice else ""
        screen = form(title, accepted, conversation.parameters, conversation.system)
        settings = await app.push_screen_wait(screen)
        if settings is None:
            return
        try:
            await conversation.set_parameters(settings.parameters, settings.system)
        finally:
            self.show_conversation()

    async def tell_refused(self) -> None:
        """Say which of the values that are set the model does not take."""
        parameters = self._screen.conversation.parameters
        if not parameters or self.choice is None:
            return
        try:
            refused = sort_out(parameters, await self.accepted()).refused
        except JackfieldError:
            return  # a provider that fails says so when it is asked to answer
        if refused:
            self._screen.notify(
                f"{self.choice.model.title} does not take {', '.join(refused)}. "
                "It is kept for models that do, and not sent to this one.",
                severity="warning",
                markup=False,
            )

    async def remember(self) -> None:
        """Note that the model was used."""
        if self.choice is not None:
            await self._facts.remember(self.choice)
