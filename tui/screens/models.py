"""The model picker: type to filter, Enter chooses, Ctrl+T marks a favourite."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from registry.catalogue.catalogue import Catalogue, shared_catalogue
from registry.errors import JackfieldError
from registry.manifest import ProviderEntry
from registry.models import ModelChoice, available_models, merge_models
from registry.provider import Model
from tui.host import Host
from tui.model_row import LEGEND
from tui.recent_models import recent_models
from tui.screens.model_list import ModelList
from tui.widgets.row_list import RowList

LIST_LIMIT_S = 5.0
"""How long a provider may take to list its models, in seconds."""


class ModelsScreen(ModalScreen[ModelChoice | None]):
    """All models of the providers that are on: favourites, recent ones, then by provider. Gives one of them.

    Args:
        host: whose providers are asked.
        current: the model of the open chat.
        providers: the names of the providers to show; None shows all.
    """

    DEFAULT_CSS = """
    ModelsScreen { align: center middle; }
    ModelsScreen Vertical {
        width: 76; max-width: 96%; height: 80%; background: $surface; border: round $border; padding: 0 1;
    }
    ModelsScreen Input, ModelsScreen Input:focus {
        border: none; height: 1; margin: 1 0; padding: 0 1; background: $panel;
    }
    ModelsScreen RowList { background: $surface; }
    ModelsScreen #note { color: $text-muted; height: auto; max-height: 3; }
    ModelsScreen #legend { color: $text-muted; height: 1; }
    """
    AUTO_FOCUS = "Input"
    BINDING_GROUP_TITLE = "Models"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", id="models.close", tooltip="Back without choosing"),
        Binding(
            "ctrl+t",
            "favour",
            "Favourite",
            id="models.favourite",
            priority=True,
            tooltip="Show this model first from now on, or no longer",
        ),
        Binding(
            "down", "move(1)", "Down", id="models.down", show=False, priority=True, tooltip="The model below"
        ),
        Binding("up", "move(-1)", "Up", id="models.up", show=False, priority=True, tooltip="The model above"),
        Binding(
            "pagedown",
            "page(1)",
            "Page down",
            id="models.page_down",
            show=False,
            priority=True,
            tooltip="A page down",
        ),
        Binding(
            "pageup",
            "page(-1)",
            "Page up",
            id="models.page_up",
            show=False,
            priority=True,
            tooltip="A page up",
        ),
    ]

    rows = getters.query_one(RowList)

    def __init__(
        self, host: Host, current: ModelChoice | None, providers: Sequence[str] | None = None
    ) -> None:
        super().__init__()
        self._host = host
        self._providers = providers
        self._current = current.reference if current else None
        self._list = ModelList(self._current)
        self._catalogue = Catalogue()
        self._writing = asyncio.Lock()
        self._listed = False
        """Whether there is something to choose from."""
        self._enter_waits = False

    def compose(self) -> ComposeResult:
        """Filter, list, what its letters mean, and a line about what could not be listed."""
        with Vertical() as box:
            box.border_title = "Model" if self._providers is None else "Choose a model"
            box.border_subtitle = "Enter chooses, Ctrl+T favourite, Esc closes"
            yield Input(placeholder="Type to filter")
            yield RowList(classes="-lit")
            yield Static(Content(LEGEND), id="legend")
            yield Static(id="note")

    def on_mount(self) -> None:
        """Show what is known at once, and ask the providers for more."""
        self._note("Asking the providers for their models…")
        self._ask_providers()

    @work(group="models", exit_on_error=False)
    async def _ask_providers(self) -> None:
        await self._host.ready.wait()
        self._catalogue = await asyncio.to_thread(shared_catalogue, self._host.paths)
        entries = [
            entry
            for entry in self._host.registry.providers()
            if self._providers is None or entry.name in self._providers
        ]
        self._list.order(
            [entry.name for entry in entries],
            favourites=self._host.settings.favourites,
            recent=await asyncio.to_thread(recent_models, self._host.paths),
        )
        for entry in entries:
            self._list.put(entry, [self._catalogue.facts(entry.name, model) for model in entry.models])
        self._listed = True
        self._show(keep=None if self._enter_waits else self._current)
        if self._enter_waits:
            self._choose_current()
        locked = await self._unlock()
        problems = [locked, *await asyncio.gather(*(self._ask(entry) for entry in entries))]
        if not entries:
            problems.append("No provider is on. F2 switches plugins.")
        self._note("  ".join(problem for problem in problems if problem))

    async def _unlock(self) -> str:
        """Have the passphrase of the encrypted file, if it is needed, before providers have to be quick.

        Returns:
            What went wrong.
        """
        from registry.secret_store import StoreKind

        try:
            connections = await self._host.connections.all()
            if any(connection.store is StoreKind.FILE for connection in connections):
                await self._host.stores.store(StoreKind.FILE)
        except JackfieldError as error:
            return f"{error.title}."
        return ""

    async def _ask(self, entry: ProviderEntry) -> str:
        """Show a provider's own list, or what the catalogue knows of it; gives what went wrong."""
        problem = ""
        models: Sequence[Model] = ()
        try:
            async with asyncio.timeout(LIST_LIMIT_S):
                models = await available_models(self._host.registry, self._host.connections, entry)
        except JackfieldError as error:
            problem = f"{entry.title}: {error.title}."
        except TimeoutError:
            problem = f"{entry.title} did not list its models within {LIST_LIMIT_S:g} s."
        except Exception as error:  # noqa: BLE001 - the border to a plugin's code: the others are listed all the same
            problem = f"{entry.title} failed: {type(error).__name__}."
        if problem:
            models = self._catalogue.chat_models(entry.name)
        merged = merge_models(entry.models, models)
        self._list.put(entry, [self._catalogue.facts(entry.name, model) for model in merged])
        self._show()
        return problem

    def _note(self, text: str) -> None:
        self.query_one("#note", Static).update(Content(text))

    @on(Input.Changed)
    def _filter(self) -> None:
        self._show()

    def _show(self, keep: str | None = None) -> None:
        self.rows.set_rows(self._list.rows(self.query_one(Input).value), keep=keep)

    def action_move(self, step: int) -> None:
        """Move through the list while typing."""
        self.rows.action_move(step)

    def action_page(self, direction: int) -> None:
        """Move by a page while typing."""
        self.rows.action_page(direction)

    @work(group="favourites", exit_on_error=False)
    async def action_favour(self) -> None:
        """Make the model under the cursor a favourite, or one no longer; at once and from now on."""
        reference = self.rows.key
        if reference is None:
            return
        self._list.favour(reference)
        self._show(keep=reference)
        try:
            async with self._writing:  # the last change is written last, whoever was first
                await self._host.keep_favourites(self._list.favourites)
        except JackfieldError as error:
            self._note(f"{error.title}. It holds until the app ends.")

    @on(Input.Submitted)
    def _choose_current(self) -> None:
        if self._listed:
            self.rows.action_choose()
        else:
            self._enter_waits = True  # typed faster than the list came

    @on(RowList.Chosen)
    def _choose(self, event: RowList.Chosen) -> None:
        choice = self._list.choice(event.key)
        if choice is not None:
            self.dismiss(choice)
