"""The rows of the model picker: made once for each model, so that filtering only picks among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from textual.content import Content

from registry.catalogue.catalogue import ModelFacts
from registry.manifest import ProviderEntry
from registry.models import ModelChoice
from tui.model_row import count, marks, price_of
from tui.widgets.row_list import Row

_FACTS_WIDTH = 4 + 2 + 7 + 2 + 12
"""Columns of marks, context and price, with the gaps between them."""
_LEAST_NAME = 12


@dataclass(frozen=True, slots=True)
class _Line:
    choice: ModelChoice
    haystack: str
    """What a filter looks in, in lower case."""
    row: Row
    """The model under its provider's heading."""
    named_row: Row
    """The model with its provider's name, among models of others."""


class ModelList:
    """Models in the order of the picker: favourites, recent ones, then by provider; each once.

    Args:
        current: the reference of the model of the open chat.
    """

    def __init__(self, current: str | None) -> None:
        self._current = current
        self._names: Sequence[str] = ()
        self._favourites: list[str] = []
        self._recent: Sequence[str] = ()
        self._groups: dict[str, list[_Line]] = {}
        self._headings: dict[str, Row] = {}
        self._lines: dict[str, _Line] = {}

    def order(self, providers: Sequence[str], *, favourites: Iterable[str], recent: Sequence[str]) -> None:
        """Say in which order providers come, and which models stand before them all."""
        self._names = providers
        self._favourites = list(dict.fromkeys(favourites))
        self._recent = recent

    def put(self, entry: ProviderEntry, models: Sequence[ModelFacts]) -> None:
        """Set the models of one provider, in place of those it had."""
        for old in self._groups.get(entry.name, ()):
            del self._lines[old.choice.reference]
        unique = {facts.model.id: facts for facts in models}
        lines = [self._line(entry, facts) for facts in unique.values()]
        lines.sort(key=lambda line: line.choice.model.title.casefold())
        self._groups[entry.name] = lines
        self._headings[entry.name] = _heading(entry.name, entry.title)
        self._lines.update((line.choice.reference, line) for line in lines)

    def choice(self, reference: str) -> ModelChoice | None:
        """The model of a row's key; None when its provider has it no longer."""
        line = self._lines.get(reference)
        return line.choice if line else None

    @property
    def favourites(self) -> tuple[str, ...]:
        """The references of all favourites, also of those that no provider has now."""
        return tuple(self._favourites)

    def favour(self, reference: str) -> None:
        """Make a model a favourite, or one no longer."""
        if reference in self._favourites:
            self._favourites.remove(reference)
        else:
            self._favourites.append(reference)

    def rows(self, query: str) -> list[Row]:
        """The rows of the models that have every word of the query, under headings."""
        words = query.lower().split()
        shown: set[str] = set()
        rows: list[Row] = []
        for heading, references in ((_FAVOURITES, self._favourites), (_RECENT, self._recent)):
            there = [
                self._lines[reference]
                for reference in references
                if reference in self._lines and reference not in shown
            ]
            found = _matching(there, words)
            shown.update(line.choice.reference for line in found)
            if found:
                rows += [heading, *(line.named_row for line in found)]
        for name in self._names:
            under = [
                line.row
                for line in _matching(self._groups.get(name, ()), words)
                if line.choice.reference not in shown
            ]
            if under:
                rows += [self._headings[name], *under]
        return rows

    def _line(self, entry: ProviderEntry, facts: ModelFacts) -> _Line:
        choice = ModelChoice(entry, facts.model)
        reference = choice.reference
        return _Line(
            choice,
            f"{reference} {facts.model.title} {entry.title}".lower(),
            Row(reference, self._drawer(facts, reference, "")),
            Row(reference, self._drawer(facts, reference, entry.title)),
        )

    def _drawer(self, facts: ModelFacts, reference: str, provider: str) -> Callable[[int], Content]:
        def draw(width: int) -> Content:
            state = "● " if reference == self._current else "  "
            state += "* " if reference in self._favourites else "  "
            room = max(_LEAST_NAME, width - len(state) - _FACTS_WIDTH - 3)
            name = Content(facts.model.title)
            if provider:
                name = Content.assemble(name, (f"  {provider}", "$foreground-muted"))
            context, price = count(facts.model.context_window), price_of(facts.price)
            figures = f" {marks(facts.model)}  {context:>7}  {price:>12}"
            shown = name.truncate(room, ellipsis=True, pad=True)
            return Content.assemble(state, shown, (figures, "$foreground-muted"))

        return draw


def _matching(lines: Sequence[_Line], words: Sequence[str]) -> Sequence[_Line]:
    for word in words:
        lines = [line for line in lines if word in line.haystack]
    return lines


def _heading(name: str, title: str) -> Row:
    content = Content.styled(title, "$foreground-muted bold")
    return Row(f"#{name}", lambda _: content, heading=True)


_FAVOURITES = _heading("favourites*", "Favourites")
_RECENT = _heading("recent*", "Recent")
