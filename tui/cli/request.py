"""What `jackfield ask` sends: the question, its files and parameters, checked against its model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from registry.chat import ChatRequest, Message, ParameterValue, TextPart
from registry.errors import JackfieldError
from registry.models import ModelChoice
from registry.parameters import accepted_parameters, limits_in_words, read_value
from registry.paths import Paths
from registry.provider import Model
from registry.registry import PluginRegistry
from tui.attachments import Attachment, Refused, fit, look_at_paths, read
from tui.cli.output import CommandError, Exit, line


async def build_request(
    registry: PluginRegistry,
    paths: Paths,
    choice: ModelChoice,
    question: str,
    *,
    system: str | None,
    settings: Mapping[str, str],
    files: Sequence[str],
) -> ChatRequest:
    """The request for one question.

    Args:
        registry: who knows what the model takes.
        paths: where the catalogue is kept.
        choice: who answers.
        question: what is asked.
        system: what the model is told before.
        settings: parameters as they were typed, by name.
        files: paths of what goes with the question.

    Raises:
        CommandError: the model does not take one of them, or a file cannot be read.
        JackfieldError: the provider failed to say what its model takes.
    """
    if settings or files:
        model = await asyncio.to_thread(_described, paths, choice)
        choice = replace(choice, model=model)
    message = await asyncio.to_thread(_message, question, files, choice.model)
    parameters = await _values(registry, choice, settings) if settings else {}
    return ChatRequest(choice.model.id, [message], choice.provider.name, system, parameters)


def _described(paths: Paths, choice: ModelChoice) -> Model:
    from registry.catalogue.catalogue import shared_catalogue  # only who sets something waits for it

    return shared_catalogue(paths).enrich(choice.provider.name, choice.model)


def _message(question: str, files: Sequence[str], model: Model) -> Message:
    items = look_at_paths(files, model.reads)
    for item in items:
        if isinstance(item, Refused):
            raise _usage(item.error)
    try:
        parts = tuple(read(item) for item in items if isinstance(item, Attachment))
    except JackfieldError as error:
        raise _usage(error) from error
    return fit(Message("user", (TextPart(question), *parts)), model.reads)


async def _values(
    registry: PluginRegistry, choice: ModelChoice, settings: Mapping[str, str]
) -> dict[str, ParameterValue]:
    accepted = {each.name: each for each in await accepted_parameters(registry, choice)}
    values: dict[str, ParameterValue] = {}
    for name, typed in settings.items():
        if name not in accepted:
            takes = ", ".join(f"{each.name} ({limits_in_words(each)})" for each in accepted.values())
            raise CommandError(
                f"{line(choice.reference)} does not take {name}",
                hint=f"It takes {takes}." if takes else "It takes no parameters.",
                code=Exit.USAGE,
            )
        try:
            values[name] = read_value(accepted[name], typed)
        except JackfieldError as error:
            raise _usage(error) from error
    return values


def _usage(error: JackfieldError) -> CommandError:
    return CommandError(error.title, detail=error.detail, hint=error.hint, code=Exit.USAGE)
