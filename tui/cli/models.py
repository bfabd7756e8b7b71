"""`jackfield models`: the models that can answer now."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

from registry.config import load_config
from registry.errors import JackfieldError
from registry.manifest import ProviderEntry
from registry.models import ModelChoice, available_models, merge_models
from registry.paths import find_paths
from registry.registry import PluginRegistry
from registry.startup import plugins_are_off
from tui.cli.ask import no_model, only_answers_on_stdout, ready_registry
from tui.cli.output import CommandError, Exit, format_table, line, paint, show_error, show_problems
from tui.cli.signals import StopSignals
from tui.cli.stream import Output

LIST_LIMIT_S: Final = 5.0
"""How long one provider may take to be loaded and to list its models, in seconds."""


def list_models(provider: str | None, *, as_json: bool, safe_mode: bool) -> int:
    """Print the models of all providers that are on, or of one; gives the exit code.

    A provider that fails is named on standard error; the models that its manifest knows are listed still.
    """
    with StopSignals() as signals, only_answers_on_stdout() as output:
        paths = find_paths()
        config = load_config(paths)
        show_problems(config.problems)
        off = plugins_are_off(safe_mode=safe_mode)
        registry = ready_registry(paths, config.settings, plugins_off=off)
        entries = _pick(registry.providers(), provider, plugins_off=off)
        return signals.run(_list_models(registry, entries, output, as_json=as_json))


async def _list_models(
    registry: PluginRegistry, entries: Sequence[ProviderEntry], output: Output, *, as_json: bool
) -> int:
    try:
        listed = await asyncio.gather(*(_ask_provider(registry, entry) for entry in entries))
        choices = [choice for found, _ in listed for choice in found]
        failures = [failure for _, failure in listed if failure is not None]
        await output.write(_json(choices) if as_json else _table(choices))
        for failure in failures:
            show_error(failure)
    finally:
        await registry.aclose()
    if choices:
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


async def _ask_provider(
    registry: PluginRegistry, entry: ProviderEntry
) -> tuple[list[ModelChoice], JackfieldError | None]:
    """A provider's models, and why those that only its server knows are missing."""
    task = asyncio.create_task(available_models(registry, entry), name=f"models of {entry.name}")
    await asyncio.wait({task}, timeout=LIST_LIMIT_S)
    live, failure = [], None
    if not task.done():
        task.cancel()
        failure = JackfieldError(f"{entry.title} did not list its models within {LIST_LIMIT_S:g} s")
    else:
        try:
            live = task.result()
        except JackfieldError as error:
            failure = error
    models = merge_models(entry.models, live)
    return [ModelChoice(entry, model) for model in models], failure


def _table(choices: Sequence[ModelChoice]) -> str:
    if not choices:
        return ""
    cells = [
        (line(choice.reference), line(choice.model.title), _tokens(choice.model.context_window))
        for choice in choices
    ]
    heading, rows = format_table(("MODEL", "NAME", "CONTEXT"), cells)
    return "\n".join([paint(heading, "heading"), *rows]) + "\n"


def _tokens(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _json(choices: Sequence[ModelChoice]) -> str:
    return json.dumps([_facts(choice) for choice in choices], indent=2) + "\n"


def _facts(choice: ModelChoice) -> dict[str, Any]:
    model = choice.model
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
    }
