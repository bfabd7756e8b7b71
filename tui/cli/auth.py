"""`jackfield auth` but for signing in: the accounts that are connected, and where their secrets are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from tui.cli.auth_form import confirm
from tui.cli.auth_session import Session, coloured_table, json_text, run_session
from tui.cli.output import CommandError, Exit, line, note, show_error, warn
from tui.cli.plugins import no_plugin
from tui.connection_text import STORE_WORDS, account_look, expiry

if TYPE_CHECKING:
    from registry.connections import Connection, SignOut

_LIST_HEADER: Final = ("PLUGIN", "LABEL", "METHOD", "STATE", "EXPIRES", "KEPT")
_STATUS_HEADER: Final = ("PROVIDER", "SIGNS IN WITH", "STATE")


def list_accounts(*, as_json: bool, safe_mode: bool) -> int:
    """Print all accounts that are connected; gives the exit code. No secret is read."""

    async def work(session: Session) -> int:
        accounts = await session.connections.all()
        if as_json:
            await session.output.write(json_text([_account_json(one) for one in accounts]))
        elif accounts:
            now = time.time()
            rows = [_account_cells(one, now) for one in accounts]
            bad = [bool(one.needs_sign_in or one.lapsed(now)) for one in accounts]
            await session.output.write(coloured_table(_LIST_HEADER, rows, bad))
        else:
            note("Nothing is connected. `jackfield auth login` signs in.")
        return Exit.DONE

    return run_session(work, safe_mode=safe_mode)


def _account_cells(one: Connection, now: float) -> tuple[str, ...]:
    return (
        line(one.plugin),
        line(one.label),
        line(one.method),
        account_look(one, now).word or "-",
        expiry(one, now),
        STORE_WORDS[one.store],
    )


def _account_json(one: Connection) -> dict[str, Any]:
    return {
        "plugin": one.plugin,
        "label": one.label,
        "method": one.method,
        "type": one.type,
        "active": one.active,
        "created_at": one.created_at,
        "expires_at": one.expires_at,
        "renewable": one.renewable,
        "needs_sign_in": one.needs_sign_in,
        "scopes": list(one.scopes),
        "store": str(one.store),
    }


@dataclass(frozen=True, slots=True)
class _Source:
    """What a provider would sign in with now."""

    provider: str
    plugin: str
    source: Literal["connection", "environment", "none", "not needed"]
    name: str = ""
    """The label of the connection, or the name of the variable."""
    problem: str = ""
    """Why that will not do."""


def show_status(*, as_json: bool, safe_mode: bool) -> int:
    """Print what each provider that is on would sign in with now; gives the exit code. No secret is read."""

    async def work(session: Session) -> int:
        active = {one.plugin: one for one in await session.connections.all() if one.active}
        sources = [
            _source_of(session, entry.name, entry.plugin, active.get(entry.plugin))
            for entry in session.registry.providers()
        ]
        if as_json:
            await session.output.write(json_text([asdict(source) for source in sources]))
        elif sources:
            rows = [_source_cells(source) for source in sources]
            bad = [bool(source.problem) or source.source == "none" for source in sources]
            await session.output.write(coloured_table(_STATUS_HEADER, rows, bad))
        else:
            note("No provider is on. `jackfield plugins list` shows what is installed.")
        return Exit.DONE

    return run_session(work, safe_mode=safe_mode)


def _source_of(session: Session, provider: str, plugin: str, active: Connection | None) -> _Source:
    """In the order of `Connections.resolve`."""
    if active is not None:
        return _Source(provider, plugin, "connection", active.label, active.needs_sign_in)
    variable = session.connections.environment_key(plugin)
    if variable is not None:
        return _Source(provider, plugin, "environment", variable)
    types = [entry.data.get("type") for entry in session.registry.auth_methods() if entry.plugin == plugin]
    needed = bool(types) and "no_auth" not in types
    return _Source(provider, plugin, "none" if needed else "not needed")


def _source_cells(source: _Source) -> tuple[str, ...]:
    words = {
        "connection": f"connection {line(source.name)}",
        "environment": f"variable {line(source.name)}",
        "none": "nothing",
        "not needed": "nothing",
    }
    states = {"none": f"`jackfield auth login {source.plugin}`", "not needed": "no sign-in needed"}
    return (
        line(source.provider),
        words[source.source],
        line(source.problem) or states.get(source.source, "ready"),
    )


def use_account(plugin: str, label: str, *, safe_mode: bool) -> int:
    """Make an account the one that its plugin uses; gives the exit code."""

    async def work(session: Session) -> int:
        await _existing(session, plugin, label)
        used = await session.connections.use(plugin, label)
        await session.output.write(f"{line(used.plugin)} uses {line(used.label)} from now on.\n")
        return Exit.DONE

    return run_session(work, safe_mode=safe_mode)


def rename_account(plugin: str, label: str, new: str, *, safe_mode: bool) -> int:
    """Give an account another label; gives the exit code."""

    async def work(session: Session) -> int:
        await _existing(session, plugin, label)
        renamed = await session.connections.rename(plugin, label, new)
        await session.output.write(f"{line(plugin)}: {line(label)} is called {line(renamed.label)} now.\n")
        return Exit.DONE

    return run_session(work, safe_mode=safe_mode)


def sign_out(plugin: str, label: str | None, *, every: bool, sure: bool, safe_mode: bool) -> int:
    """End accounts, at their servers too; gives the exit code, which is 1 where a server did not take part.

    Args:
        plugin: whose accounts.
        label: which one; None for the only one there is.
        every: all of the plugin's.
        sure: a person is not asked whether they are.
        safe_mode: run no plugin.
    """

    async def work(session: Session) -> int:
        leaving = await _leaving(session, plugin, label, every=every)
        titles = ", ".join(line(one.title) for one in leaving)
        if (
            not sure
            and session.answers.from_person
            and not await confirm(session.answers, f"Sign out of {titles}?")
        ):
            note("Nothing was changed.")
            return Exit.FAILED
        if not sure and not session.answers.from_person and every:
            raise CommandError("--all needs --yes where nobody can be asked", code=Exit.USAGE)
        ended = [await _sign_out(session, one) for one in leaving]
        return Exit.DONE if all(ended) else Exit.FAILED

    return run_session(work, safe_mode=safe_mode)


async def _leaving(session: Session, plugin: str, label: str | None, *, every: bool) -> Sequence[Connection]:
    if label is not None:
        return [await _existing(session, plugin, label)]
    accounts = await session.connections.all(plugin)
    if not accounts:
        raise CommandError(
            f"Nothing of {line(plugin)} is connected",
            hint="`jackfield auth list` shows what is.",
            code=Exit.USAGE,
        )
    if len(accounts) > 1 and not every:
        raise CommandError(
            f"{line(plugin)} has several accounts",
            detail="Labels: " + ", ".join(line(one.label) for one in accounts),
            hint="Name one, or all of them with --all.",
            code=Exit.USAGE,
        )
    return accounts


async def _sign_out(session: Session, one: Connection) -> bool:
    """End one account; whether its server is done with it, too."""
    outcome = await session.connections.sign_out(one.plugin, one.label)
    await session.output.write(f"Signed out of {line(one.title)}. {_at_server(outcome)}\n")
    if outcome.now_active:
        note(f"{line(one.plugin)} uses {line(outcome.now_active)} from now on.")
    if outcome.revoked is False:
        warn(f"{outcome.problem} What signed in may be good there for a while longer.")
    return outcome.revoked is not False


def _at_server(outcome: SignOut) -> str:
    if outcome.revoked:
        return "Its server has ended the sign-in, and the secret is deleted here."
    if outcome.revoked is None:
        return "The secret is deleted here; a key is good until it is deleted at the provider as well."
    return "The secret is deleted here."


async def _existing(session: Session, plugin: str, label: str) -> Connection:
    accounts = await session.connections.all(plugin)
    for one in accounts:
        if one.label.casefold() == label.casefold():
            return one
    raise CommandError(
        f"There is no connection {line(plugin)} ({line(label)})",
        detail=f"Connections of {line(plugin)}: {', '.join(line(one.label) for one in accounts) or 'none'}",
        hint="`jackfield auth list` shows all.",
        code=Exit.USAGE,
    )


def show_schema(plugin: str, *, safe_mode: bool) -> int:
    """Print the JSON schemas of the forms of a plugin's ways to sign in, by name; gives the exit code."""

    async def work(session: Session) -> int:
        from tui.method_choice import method_choices  # brings pydantic, which only this command needs

        handles = session.registry.handles()
        handle = next((handle for handle in handles if handle.name == plugin), None)
        if handle is None:
            raise no_plugin(plugin, [handle.name for handle in handles])
        from registry.forms import json_schema

        choices = method_choices(handle, display=True)
        for choice in choices:
            if choice.problem is not None:
                show_error(choice.problem)
        schemas = {choice.name: json_schema(choice.method) for choice in choices if choice.method is not None}
        await session.output.write(json_text(schemas))
        return Exit.DONE

    return run_session(work, safe_mode=safe_mode)
