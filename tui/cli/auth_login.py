"""`jackfield auth login`: what the connect screen does, in plain text."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.auth import KEY, ApiKey, Credential, OAuthCode, OAuthDevice
from registry.config import load_config
from registry.connections import key_variables
from registry.discovery import BUILTIN_PUBLISHER
from registry.errors import JackfieldError
from registry.fields import FormValue
from registry.forms import add_fields, make_credential
from registry.oauth import has_display
from registry.paths import find_paths
from registry.secret_store import StoreError, StoreKind
from registry.startup import fill_registry, find_manifests, plugins_are_off
from tui.cli.answers import Answers
from tui.cli.ask import only_answers_on_stdout
from tui.cli.auth_form import FormQuestions, choose
from tui.cli.output import CommandError, Exit, line, note, show_error, show_problems, warn
from tui.cli.passphrase import PassphrasePrompt
from tui.cli.plugins import no_plugin
from tui.cli.signals import StopSignals
from tui.cli.stream import Output
from tui.connecting import Attempt, Connected, is_key_alone, is_refusal
from tui.connection_text import STORE_WORDS, plugin_title
from tui.host import Host
from tui.method_choice import MethodChoice, has_sign_in, method_choices

if TYPE_CHECKING:
    from registry.auth import AuthMethod
    from registry.connections import Connection
    from registry.handle import PluginHandle


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `jackfield auth login` was told."""

    plugin: str | None = None
    """Its name; None asks for it."""
    method: str | None = None
    label: str | None = None
    verify: bool = True
    store: StoreKind | None = None
    """Where to keep secrets from now on; None leaves it as it is."""
    given: Mapping[str, str] | None = None
    """Values of fields that are no secrets."""


def log_in(wanted: Wanted, *, safe_mode: bool) -> int:
    """Sign in to a plugin, keep the account, and switch the plugin on; gives the exit code.

    Raises:
        CommandError: plugins are off.
    """
    with StopSignals() as signals, only_answers_on_stdout() as output:
        if plugins_are_off(safe_mode=safe_mode):
            raise CommandError(
                "Nothing can be signed in to: plugins are off",
                hint="Leave out --safe-mode, and unset JACKFIELD_PLUGINS.",
            )
        paths = find_paths()
        config = load_config(paths)
        show_problems(config.problems)
        host = Host(paths, config, plugins_off=False, complain=show_error)
        fill_registry(host.registry, find_manifests(paths), config.settings, plugins_off=False)
        return signals.run(_log_in(host, wanted, output))


async def _log_in(host: Host, wanted: Wanted, output: Output) -> int:
    answers = Answers()
    host.ask_passphrase = PassphrasePrompt(host.stores.file, answers).ask
    try:
        handle = await _find_plugin(host, wanted.plugin, answers)
        choice = await _find_method(handle, wanted.method, answers)
        return await _SignIn(host, wanted, answers, handle, choice).run(output)
    finally:
        await host.aclose()


async def _find_plugin(host: Host, name: str | None, answers: Answers) -> PluginHandle:
    handles = host.registry.handles()
    if name is not None:
        handle = next((handle for handle in handles if handle.name == name), None)
        if handle is None:
            raise no_plugin(name, [handle.name for handle in handles])
        if handle.manifest.problem:
            raise CommandError(f"The plugin {line(name)} cannot be used", detail=handle.manifest.problem)
        if not has_sign_in(handle):
            raise CommandError(
                f"The plugin {line(name)} has nothing to sign in to",
                hint=f"`jackfield plugins enable {line(name)}` switches it on.",
                code=Exit.USAGE,
            )
        return handle
    if not answers.from_person:
        raise CommandError(
            "Nothing says what to sign in to",
            hint="Name a plugin, as in `jackfield auth login openai`; `jackfield plugins list` shows all.",
            code=Exit.USAGE,
        )
    offered = [handle for handle in handles if not handle.problem[0] and has_sign_in(handle)]
    offered.sort(key=lambda handle: plugin_title(handle).casefold())
    return offered[await choose(answers, "Sign in to:", [plugin_title(handle) for handle in offered])]


async def _find_method(handle: PluginHandle, name: str | None, answers: Answers) -> MethodChoice:
    choices = method_choices(handle, display=has_display(os.environ))
    if name is not None:
        found = [choice for choice in choices if choice.name == name]
        if not found:
            raise CommandError(
                f"{plugin_title(handle)} has no way to sign in named {line(name, 64)}",
                detail="It has: " + ", ".join(line(f"{choice.name} ({choice.title})") for choice in choices),
                code=Exit.USAGE,
            )
        choice = found[0]
    elif len(choices) > 1 and answers.from_person:
        title = f"How to sign in to {plugin_title(handle)}:"
        choice = choices[await choose(answers, title, [choice.title for choice in choices])]
    else:
        # nobody can be sent to a page, but a key may be on standard input
        choice = next((choice for choice in choices if _takes_secret(choice)), choices[0])
    if choice.problem is not None:
        raise choice.problem
    return choice


class _SignIn:
    """One sign-in to a plugin in one way."""

    def __init__(
        self, host: Host, wanted: Wanted, answers: Answers, handle: PluginHandle, choice: MethodChoice
    ) -> None:
        self._host = host
        self._wanted = wanted
        self._answers = answers
        self._handle = handle
        self._choice = choice
        self._attempt = Attempt(host, handle)
        self._was_on = handle.contributes
        self._variable = _set_variable(choice.method)

    async def run(self, output: Output) -> int:
        """From the questions to the account; whatever fails leaves all as it was."""
        if self._choice.method is None:
            raise CommandError("This way to sign in cannot be used")
        try:
            connected = await self._connect(self._choice.method)
        except BaseException:
            with suppress(JackfieldError):  # the error that led here is the one to tell
                await self._attempt.leave()
            raise
        if not self._was_on:
            note(f"The plugin {line(connected.plugin)} is on now.")
            if self._handle.publisher != BUILTIN_PUBLISHER:
                note("Its code runs inside Jackfield and may do whatever you may.")
        await output.write(f"{self._told(connected)}\n")
        return Exit.DONE

    async def _connect(self, method: AuthMethod) -> Connected:
        replaces = await self._replaced(method)
        await self._choose_environment()
        instead = {KEY: self._variable} if self._variable else {}
        questions = FormQuestions(self._choice.fields, self._wanted.given or {}, self._answers, instead)
        self._announce()
        if self._wanted.store is StoreKind.ENVIRONMENT:
            values: Mapping[str, FormValue] = {}
        else:
            values = await questions.fill()
        from_variable = self._variable is not None and KEY not in values
        credential = await self._credential(method, values, from_variable=from_variable)
        if self._wanted.verify:
            await self._check(credential)
        if from_variable and is_key_alone(credential):
            return await self._attempt.settle()
        return await self._keep(method, credential, replaces)

    def _announce(self) -> None:
        if not self._answers.from_person:
            return
        note(f"Sign in to {self._attempt.title}: {line(self._choice.title)}")
        if self._choice.about:
            note(self._choice.about)
        if self._choice.key_url:
            note(f"A key is to be had at {self._choice.key_url}")

    async def _replaced(self, method: AuthMethod) -> Connection | None:
        """The account that is signed in to again: the one of this label, else the active one if it lapsed."""
        accounts = await self._host.connections.all(self._handle.name)
        label = self._wanted.label
        if label is None:
            return next(
                (one for one in accounts if one.active and one.needs_sign_in and one.method == method.name),
                None,
            )
        same = next((one for one in accounts if one.label.casefold() == label.casefold()), None)
        if same is not None and same.method != method.name:
            raise CommandError(
                f"There already is a connection {same.title}, signed in to in another way",
                hint=f"Choose another label, or `--method {line(same.method)}`.",
                code=Exit.USAGE,
            )
        return same

    async def _choose_environment(self) -> None:
        """Keep nothing from now on, if that is wanted."""
        if self._wanted.store is not StoreKind.ENVIRONMENT:
            return
        if self._variable is None:
            names = " or ".join(key_variables([entry.data for entry in self._handle.manifest.auth_methods]))
            raise CommandError(
                "There is no key in the environment",
                detail=f"Set {names}, then sign in again." if names else "This way to sign in takes none.",
            )
        await self._host.keep_store(StoreKind.ENVIRONMENT)

    async def _credential(
        self, method: AuthMethod, values: Mapping[str, FormValue], *, from_variable: bool
    ) -> Credential:
        if from_variable and self._variable is not None:
            return make_credential(method, {**values, KEY: os.environ[self._variable].strip()})
        if not isinstance(method, OAuthCode | OAuthDevice):
            return make_credential(method, values)
        from tui.cli.auth_oauth import TextSignIn

        async with await self._host.connections.client(self._handle.name) as client:
            outcome = await TextSignIn(method, client, self._answers).run()
        if outcome.warning:
            warn(outcome.warning)
        return add_fields(outcome.credential, method, values)

    async def _check(self, credential: Credential) -> None:
        note(f"Asking {self._attempt.title} whether it works…")
        try:
            await self._attempt.check(credential)
        except JackfieldError as error:
            if not is_refusal(error):
                error.hint = f"{error.hint} With --no-verify it is kept unchecked.".strip()
            show_error(error)
            raise CommandError("Nothing was stored") from error

    async def _keep(
        self, method: AuthMethod, credential: Credential, replaces: Connection | None
    ) -> Connected:
        wanted, stores = self._wanted.store, self._host.stores
        if wanted is not None:
            stores.chosen = wanted
        connected = await self._attempt.keep(
            method, credential, self._wanted.label or "", self._choose_store, replaces=replaces
        )
        if connected is None:
            raise CommandError("Nothing was stored")
        if wanted not in (None, StoreKind.SESSION, self._host.settings.secrets.store):
            await self._host.keep_store(stores.chosen)
        return connected

    async def _choose_store(self, error: StoreError) -> StoreKind | None:
        """Say why the secret cannot be stored, and where it can be."""
        names = key_variables([entry.data for entry in self._handle.manifest.auth_methods])
        variables = f"Or set {' or '.join(names)}, and nothing is stored." if names else ""
        if not self._answers.from_person:
            file = (
                "`--store file` keeps secrets in a file that the passphrase in JACKFIELD_PASSPHRASE encrypts."
            )
            hint = "\n".join(text for text in (error.hint, file, variables) if text)
            raise CommandError(error.title, detail=error.detail, hint=hint)
        show_error(error)
        note(f"Nothing is written to a disk unencrypted. {variables}".rstrip())
        places = ["An encrypted file, which only a passphrase opens", "Nowhere: forget it again"]
        chosen = await choose(self._answers, "Where to keep it:", places)
        return StoreKind.FILE if chosen == 0 else None

    def _told(self, connected: Connected) -> str:
        connection = connected.connection
        title = line(connected.title)
        if connection is None:
            return f"{title} is used with the key in {self._variable}. Nothing was stored."
        if connection.store is StoreKind.SESSION:
            return f"{title} let you in, and all is forgotten now: the session ends with this command."
        where = STORE_WORDS[connection.store]
        return f"Connected {title} as {line(connection.label)}. Kept: {where}."


def _takes_secret(choice: MethodChoice) -> bool:
    return any(field.kind == "secret" for field in choice.fields)


def _set_variable(method: AuthMethod | None) -> str | None:
    """The environment variable that holds a key for a method, if it takes one."""
    names = method.env if isinstance(method, ApiKey) else ()
    return next((name for name in names if os.environ.get(name, "").strip()), None)
