"""`jackfield ask`: one turn from the command line, through the same loop as the app's."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace

from registry.config import load_config
from registry.connections import Connections
from registry.errors import JackfieldError
from registry.models import ModelChoice, choose_model, first_model
from registry.paths import Paths, find_paths
from registry.registry import PluginRegistry
from registry.settings import Settings
from registry.startup import fill_registry, find_manifests, make_registry, plugins_are_off
from registry.turn import Turn
from tui.cli.accounts import open_connections
from tui.cli.answer import AnswerWriter, JsonAnswer, PlainAnswer, error_kind
from tui.cli.output import CommandError, Exit, show_error, show_problems
from tui.cli.progress import ProgressLine
from tui.cli.request import build_request
from tui.cli.signals import StopSignals
from tui.cli.stream import Output
from tui.crashes import hide_secrets_in_logs

_LAST_WORD_LIMIT_S = 1.0
"""How long the end of a stopped answer may take to be written; its reader may have stalled."""


@dataclass(frozen=True, slots=True)
class Question:
    """What `jackfield ask` was asked."""

    text: str
    model: str | None = None
    """A `provider/model`; None leaves it to the configuration."""
    connection: str | None = None
    """The label of the connection to use; None leaves it to the order of resolution."""
    system: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    """Parameters as they were typed, by name."""
    files: tuple[str, ...] = ()
    """Paths of what goes with the question."""
    as_json: bool = False
    show_progress: bool = True


def ask(question: Question, *, safe_mode: bool) -> int:
    """Ask, write the answer, and give the exit code.

    Raises:
        CommandError: there is nothing to ask.
    """
    with StopSignals() as signals, only_answers_on_stdout() as output:
        prompt = _read_prompt(question.text)
        paths = find_paths()
        config = load_config(paths)
        show_problems(config.problems)
        off = plugins_are_off(safe_mode=safe_mode)
        registry = ready_registry(paths, config.settings, plugins_off=off)
        connections = open_connections(registry, paths, config.settings)
        question = replace(question, text=prompt, model=question.model or config.settings.model)
        return signals.run(_ask(registry, paths, connections, question, output, plugins_off=off))


@contextmanager
def only_answers_on_stdout() -> Iterator[Output]:
    """Standard output for answers alone: what a plugin prints or logs must not mix with them.

    Raises:
        CommandError: this process was started without a standard output.
    """
    if sys.stdout is None:
        raise CommandError("There is no standard output to write to", hint="Leave out `>&-`.")
    if os.environ.get("JACKFIELD_DEBUG") == "1":
        logging.basicConfig(level=logging.INFO)
    else:
        logging.getLogger().addHandler(logging.NullHandler())
    hide_secrets_in_logs()
    output = Output(sys.stdout)
    with redirect_stdout(sys.stderr):
        yield output


def ready_registry(paths: Paths, settings: Settings, *, plugins_off: bool) -> PluginRegistry:
    """A registry of all installed plugins; with `plugins_off`, of none, and none is even described."""
    registry = make_registry(paths, settings)
    if not plugins_off:
        fill_registry(registry, find_manifests(paths, complain=show_error), settings, plugins_off=False)
    return registry


def no_model(cause: JackfieldError | None, *, plugins_off: bool) -> CommandError:
    """Why nothing can answer: plugins are off, or the cause that is given."""
    if plugins_off:
        return CommandError(
            "No model is there to answer: plugins are off",
            hint="Leave out --safe-mode, and unset JACKFIELD_PLUGINS.",
            code=Exit.NO_MODEL,
        )
    if cause is None:
        return CommandError(
            "No provider is on",
            hint="`jackfield plugins list` shows what is installed.",
            code=Exit.NO_MODEL,
        )
    return CommandError(cause.title, detail=cause.detail, hint=cause.hint, code=Exit.NO_MODEL)


def _read_prompt(text: str) -> str:
    """The question and what comes in on standard input, with a blank line between."""
    parts = [part for part in (text.strip(), _read_stdin().strip()) if part]
    if not parts:
        raise CommandError(
            "There is nothing to ask",
            hint='Write the question, as in `jackfield ask "Why is the sky blue?"`, or pipe it in.',
            code=Exit.USAGE,
        )
    return "\n\n".join(parts)


def _read_stdin() -> str:
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    return sys.stdin.buffer.read().decode("utf-8-sig", "replace")


async def _ask(
    registry: PluginRegistry,
    paths: Paths,
    connections: Connections,
    question: Question,
    output: Output,
    *,
    plugins_off: bool,
) -> int:
    try:
        try:
            choice = (
                choose_model(registry, question.model)
                if question.model
                else await first_model(registry, lambda: connections)
            )
        except JackfieldError as error:
            writer = _make_writer(registry, question, None, output)
            await writer.fail(no_model(error, plugins_off=plugins_off), "no_model", "")
            return Exit.NO_MODEL
        writer = _make_writer(registry, question, choice, output)
        try:
            request = await build_request(
                registry,
                paths,
                choice,
                question.text,
                system=question.system,
                settings=question.settings,
                files=question.files,
            )
        except JackfieldError as error:
            await writer.fail(error, error_kind(error), "")
            return error.code if isinstance(error, CommandError) else Exit.FAILED
        turn = Turn(registry, request, renew=connections.renew)
        try:
            turn.credential = await connections.resolve(request.provider, connection=question.connection)
        except JackfieldError as error:
            await writer.fail(error, error_kind(error), "")
            return Exit.FAILED
        return await _write_turn(registry, turn, writer)
    finally:
        await connections.aclose()
        await registry.aclose()


def _make_writer(
    registry: PluginRegistry, question: Question, choice: ModelChoice | None, output: Output
) -> AnswerWriter:
    if question.as_json:
        return JsonAnswer(output, model=choice.reference if choice else "")
    # In a pipe or a file, what was written cannot be taken back when a plugin changes the answer at its end.
    hold = not output.is_terminal and bool(registry.hooks("on_response"))
    return PlainAnswer(output, progress=ProgressLine() if question.show_progress else None, hold=hold)


async def _write_turn(registry: PluginRegistry, turn: Turn, writer: AnswerWriter) -> int:
    try:
        async with aclosing(turn.events()) as events:
            async for event in events:
                await writer.take(event)
        return Exit.DONE
    except JackfieldError as error:
        await writer.fail(error, error_kind(error), _partial(registry, turn))
        return Exit.FAILED
    except asyncio.CancelledError:
        async with asyncio.timeout(_LAST_WORD_LIMIT_S):
            await writer.stop(_partial(registry, turn))
        raise


def _partial(registry: PluginRegistry, turn: Turn) -> str:
    """What came of an answer; nothing where a guard did not get to see it."""
    guarded = any(handle.manifest.guard for handle in registry.hooks("on_response"))
    return "" if guarded else turn.partial.message.text
