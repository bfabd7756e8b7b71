"""The model picker: type to filter, Enter chooses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from registry.errors import JackfieldError
from registry.manifest import ProviderEntry
from registry.models import ModelChoice, available_models
from registry.provider import Model
from tui.host import Host
from tui.widgets.row_list import Row, RowList

LIST_LIMIT_S = 5.0
"""How long a provider may take to list its models, in seconds."""


class ModelsScreen(ModalScreen[ModelChoice | None]):
    """All models of the providers that are on, by provider. Gives the chosen one.

    Args:
        host: whose providers are asked.
        current: the model of the open chat.
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
    """
    AUTO_FOCUS = "Input"
    BINDING_GROUP_TITLE = "Models"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", id="models.close", tooltip="Back without choosing"),
        Binding(
            "down", "move(1)", "Down", id="models.down", show=False, priority=True, tooltip="The model below"
        ),
        Binding("up", "move(-1)", "Up", id="models.up", show=False, priority=True, tooltip="The model above"),
    ]

    rows = getters.query_one(RowList)

    def __init__(self, host: Host, current: ModelChoice | None) -> None:
        super().__init__()
        self._host = host
        self._current = current
        self._choices: dict[str, ModelChoice] = {}

    def compose(self) -> ComposeResult:
        """Filter, list, and a line about what could not be listed."""
        with Vertical() as box:
            box.border_title = "Model"
            box.border_subtitle = "Enter chooses, Esc closes"
            yield Input(placeholder="Type to filter")
            yield RowList(classes="-lit")
            yield Static(id="note")

    def on_mount(self) -> None:
        """Show what is known at once, and ask the providers for more."""
        self._ask_providers()

    @work(group="models", exit_on_error=False)
    async def _ask_providers(self) -> None:
        await self._host.ready.wait()
        entries = self._host.registry.providers()
        for entry in entries:
            self._add(entry, entry.models)
        self._show(keep=self._current.reference if self._current else None)
        self._note(
            "Asking the providers for their models…" if entries else "No provider is on. F2 switches plugins."
        )
        problems = await asyncio.gather(*(self._ask(entry) for entry in entries))
        self._note("  ".join(problem for problem in problems if problem))

    async def _ask(self, entry: ProviderEntry) -> str:
        try:
            async with asyncio.timeout(LIST_LIMIT_S):
                models = await available_models(self._host.registry, entry)
        except JackfieldError as error:
            return f"{entry.title}: {error.title}."
        except TimeoutError:
            return f"{entry.title} did not list its models within {LIST_LIMIT_S:g} s."
        except Exception as error:  # noqa: BLE001 - the border to a plugin's code: the others are listed all the same
            return f"{entry.title} failed: {type(error).__name__}."
        self._add(entry, models)
        self._show()
        return ""

    def _add(self, entry: ProviderEntry, models: list[Model] | tuple[Model, ...]) -> None:
        for model in models:
            choice = ModelChoice(entry, model)
            self._choices[choice.reference] = choice

    def _note(self, text: str) -> None:
        self.query_one("#note", Static).update(Content(text))

    @on(Input.Changed)
    def _filter(self) -> None:
        self._show()

    def _show(self, keep: str | None = None) -> None:
        words = self.query_one(Input).value.lower().split()
        rows: list[Row] = []
        provider = ""
        for reference, choice in sorted(self._choices.items(), key=lambda item: self._order(item[1])):
            if not all(
                word in f"{reference} {choice.model.title} {choice.provider.title}".lower() for word in words
            ):
                continue
            if choice.provider.name != provider:
                provider = choice.provider.name
                rows.append(Row(f"#{provider}", _heading(choice.provider.title), heading=True))
            rows.append(Row(reference, self._drawer(choice)))
        self.rows.set_rows(rows, keep=keep)

    def _order(self, choice: ModelChoice) -> int:
        names = [entry.name for entry in self._host.registry.providers()]
        return names.index(choice.provider.name) if choice.provider.name in names else len(names)

    def _drawer(self, choice: ModelChoice) -> Callable[[int], Content]:
        chosen = self._current is not None and choice.reference == self._current.reference

        def draw(width: int) -> Content:
            context = f"{choice.model.context_window // 1000}k" if choice.model.context_window else ""
            name_width = max(10, width - 12)
            return Content.assemble(
                "● " if chosen else "  ", f"{choice.model.title[:name_width]:<{name_width}}", f"{context:>8}"
            )

        return draw

    def action_move(self, step: int) -> None:
        """Move through the list while typing."""
        self.rows.action_move(step)

    @on(Input.Submitted)
    def _choose_current(self) -> None:
        self.rows.action_choose()

    @on(RowList.Chosen)
    def _choose(self, event: RowList.Chosen) -> None:
        self.dismiss(self._choices[event.key])


def _heading(title: str) -> Callable[[int], Content]:
    return lambda _: Content.styled(title, "$foreground-muted bold")
