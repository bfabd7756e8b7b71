"""`jackfield models`: the models that can answer now."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from registry.catalogue.catalogue import Catalogue
from registry.catalogue.prices import Price, Rates
from registry.config import load_config
from registry.connections import Connections
from registry.errors import JackfieldError
from registry.manifest import ProviderEntry
from registry.models import ModelChoice, available_models, merge_models
from registry.paths import find_paths
from registry.provider import Model
from registry.registry import PluginRegistry
from registry.startup import plugins_are_off
from tui.cli.accounts import open_connections
from tui.cli.ask import no_model, only_answers_on_stdout, ready_registry
from tui.cli.output import (
    CommandError,
    Exit,
    cut,
    format_table,
    line,
    paint,
    show_error,
    show_problems,
    terminal_width,
)
from tui.cli.signals import StopSignals
from tui.cli.stream import Output
from tui.model_row import count, price_of

HEADER: Final = ("MODEL", "CONTEXT", "OUTPUT", "READS", "THINKS", "$/M IN/OUT")
_LEAST_REFERENCE: Final = 12
"""Columns that a reference gets at least, however narrow the terminal is."""
LIST_LIMIT_S: Final = 5.0
"""How long one provider may take to be loaded and to list its models, in seconds."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A model that was listed, and its list price where that is known."""

    choice: ModelChoice
    price: Price | None


def list_models(
    provider: str | None, *, connection: str | None = None, as_json: bool, safe_mode: bool
) -> int:
    """Print the models of all providers that are on, or of one; gives the exit code.

    With the label of a `connection`, they are those that this account may use.

    A provider that fails is named on standard error; the models that its manifest knows are listed still.
    """
    with StopSignals() as signals, only_answers_on_stdout() as output:
        paths = find_paths()
        config = load_config(paths)
        show_problems(config.problems)
        off = plugins_are_off(safe_mode=safe_mode)
        registry = ready_registry(paths, config.settings, plugins_off=off)
        entries = _pick(registry.providers(), provider, plugins_off=off)
        catalogue = Catalogue.load(paths)
        connections = open_connections(registry, paths, config.settings)
        asking = _Asking(registry, connections, connection, catalogue)
        return signals.run(_list_models(asking, entries, output, as_json=as_json))


@dataclass(frozen=True, slots=True)
class _Asking:
    """What providers are asked with."""

    registry: PluginRegistry
    connections: Connections
    connection: str | None
    catalogue: Catalogue


async def _list_models(
    asking: _Asking, entries: Sequence[ProviderEntry], output: Output, *, as_json: bool
) -> int:
    try:
        listed = await asyncio.gather(*(_ask_provider(asking, entry) for entry in entries))
        found = [known for models, _ in listed for known in models]
        failures = [failure for _, failure in listed if failure is not None]
        await output.write(json_text(found) if as_json else table(found))
        for failure in failures:
            show_error(failure)
    finally:
        await asking.connections.aclose()
        await asking.registry.aclose()
    if found:
        return Exit.DONE
    if failures:
        return Exit.FAILED
    raise CommandError(
        "No model is there to answer",
        hint="No provider that is on has one now. `jackfield plugins list` shows what else there is.",
        code=Exit.NO_MODEL,
    )


def _pick(
    entries: Sequence[ProviderEntry], only: str | None, *, plugins_off: bool
) -> Sequence[ProviderEntry]:
    picked = [entry for entry in entries if only is None or entry.name == only]
    if picked:
        return picked
    if only is None or not entries:
        raise no_model(None, plugins_off=plugins_off)
    raise CommandError(
        f"No provider named {line(only, 64)} is on",
        detail="Providers that are on: " + (", ".join(entry.name for entry in entries)),
        hint="`jackfield plugins list` shows what is installed.",
        code=Exit.NO_MODEL,
    )


async def _ask_provider(asking: _Asking, entry: ProviderEntry) -> tuple[list[Listed], JackfieldError | None]:
    """A provider's models, and why those that only its server knows are missing.

    Where the server does not say which there are, those that the catalogue knows are listed.
    """
    listing = available_models(asking.registry, asking.connections, entry, connection=asking.connection)
    task = asyncio.create_task(listing, name=f"models of {entry.name}")
    await asyncio.wait({task}, timeout=LIST_LIMIT_S)
    live: Sequence[Model] = ()
    failure = None
    if not task.done():
        task.cancel()
        failure = JackfieldError(f"{entry.title} did not list its models within {LIST_LIMIT_S:g} s")
    else:
        try:
            live = task.result()
        except JackfieldError as error:
            failure = error
    if failure is not None:
        live = asking.catalogue.chat_models(entry.name)
    facts = [asking.catalogue.facts(entry.name, model) for model in merge_models(entry.models, live)]
    return [Listed(ModelChoice(entry, one.model), one.price) for one in facts], failure


def table(found: Sequence[Listed]) -> str:
    """A line for each model. On a terminal, a reference that is too long has a line of its own."""
    if not found:
        return ""
    facts = [_cells(known) for known in found]
    references = [line(known.choice.reference) for known in found]
    room = terminal_width(sys.__stdout__)
    longest = None if room is None else _room_for_reference(room, facts)
    fits = [longest is None or len(reference) <= longest for reference in references]
    cells = [
        (reference if fit else "", *rest)
        for reference, fit, rest in zip(references, fits, facts, strict=True)
    ]
    heading, rows = format_table(HEADER, cells)
    lines = [paint(heading, "heading")]
    for reference, fit, row in zip(references, fits, rows, strict=True):
        lines += [row] if fit else [cut(reference, room), row]
    return "\n".join(lines) + "\n"


def _room_for_reference(room: int, facts: Sequence[Sequence[str]]) -> int:
    widths = [max(map(len, column)) for column in zip(HEADER[1:], *facts, strict=True)]
    return max(room - sum(widths) - 2 * len(widths), _LEAST_REFERENCE)


def _cells(known: Listed) -> tuple[str, ...]:
    model = known.choice.model
    return (
        count(model.context_window) or "-",
        count(model.output_limit) or "-",
        " ".join(line(kind, 12) for kind in model.modalities if kind != "text") or "-",
        "yes" if model.reasoning else "-",
        price_of(known.price) or "-",
    )


def json_text(found: Sequence[Listed]) -> str:
    """An array with all that is known of each model; prices are US dollars per million tokens."""
    return json.dumps([_facts(known) for known in found], indent=2) + "\n"


def _facts(known: Listed) -> dict[str, Any]:
    choice, model = known.choice, known.choice.model
    return {
        "reference": choice.reference,
        "provider": choice.provider.name,
        "id": model.id,
        "title": model.title,
        "context_window": model.context_window,
        "output_limit": model.output_limit,
        "modalities": list(model.modalities),
        "reasoning": model.reasoning,
        "tools": model.tools,
        "price": None if known.price is None else _price(known.price),
    }


def _price(price: Price) -> dict[str, Any]:
    """US dollars per million tokens; `above` has what holds for longer prompts."""
    steps = [{"prompt_tokens": step.above, **_rates(step.rates)} for step in price.steps]
    return {**_rates(price.rates), "above": steps}


def _rates(rates: Rates) -> dict[str, float | None]:
    named = asdict(rates)
    return {key: None if rate is None else float(rate) for key, rate in named.items()}
