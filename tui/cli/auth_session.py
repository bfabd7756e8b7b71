"""What the commands of `jackfield auth` work on, and how they write."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.config import load_config
from registry.connections import Connections
from registry.paths import find_paths
from registry.startup import plugins_are_off
from tui.cli.accounts import open_stores
from tui.cli.answers import Answers
from tui.cli.ask import only_answers_on_stdout, ready_registry
from tui.cli.output import format_table, paint, show_error, show_problems
from tui.cli.signals import StopSignals
from tui.cli.stream import Output

if TYPE_CHECKING:
    from registry.registry import PluginRegistry
    from registry.secret_store import SecretStores


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works on; closed when it ends."""

    registry: PluginRegistry
    connections: Connections
    stores: SecretStores
    output: Output
    answers: Answers


def run_session(work: Callable[[Session], Coroutine[Any, Any, int]], *, safe_mode: bool) -> int:
    """Run a command on the accounts of this user; gives its exit code.

    Raises:
        JackfieldError: what the command raises.
    """
    with StopSignals() as signals, only_answers_on_stdout() as output:
        paths = find_paths()
        config = load_config(paths)
        show_problems(config.problems)
        off = plugins_are_off(safe_mode=safe_mode)
        registry = ready_registry(paths, config.settings, plugins_off=off)
        answers = Answers()
        stores = open_stores(paths, config.settings, answers)
        connections = Connections(registry, paths, stores, complain=show_error)
        return signals.run(_work(work, Session(registry, connections, stores, output, answers)))


async def _work(work: Callable[[Session], Coroutine[Any, Any, int]], session: Session) -> int:
    try:
        return await work(session)
    finally:
        await session.connections.aclose()
        await session.registry.aclose()


def json_text(value: object) -> str:
    """JSON for people and programs; ASCII only, so nothing in it acts on a terminal."""
    return json.dumps(value, indent=2) + "\n"


def coloured_table(header: Sequence[str], rows: Sequence[Sequence[str]], bad: Sequence[bool]) -> str:
    """A table of safe texts, the rows that need attention in another colour.

    Args:
        header: what the columns are called.
        rows: their cells.
        bad: which rows need attention.
    """
    heading, lines = format_table(header, rows)
    shown = [paint(row, "bad" if wrong else None) for row, wrong in zip(lines, bad, strict=True)]
    return "\n".join((paint(heading, "heading"), *shown, ""))
