"""The form of a provider: fill in, check with the provider, save."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from registry.auth import KEY, ApiKey, OAuthCode, OAuthDevice
from registry.connections import key_variables
from registry.errors import JackfieldError
from registry.forms import add_fields, make_credential
from registry.oauth import CodeSignIn, DeviceSignIn, SignedIn, has_display
from registry.secret_store import StoreError, StoreKind
from tui.connecting import Attempt, Connected, is_key_alone, is_refusal
from tui.connection_text import KEPT_WORDS
from tui.host import Host
from tui.method_choice import method_choices
from tui.screens.leaving import Leaving
from tui.widgets.choices import Choices
from tui.widgets.form import FormView
from tui.widgets.form_field import FieldView
from tui.widgets.key_line import KeyLine
from tui.widgets.method_form import MethodForm, account_field, free_label, links_of

if TYPE_CHECKING:
    from registry.auth import AuthMethod, Credential
    from registry.connections import Connection
    from registry.handle import PluginHandle


class ConnectFormScreen(Leaving[Connected | None]):
    """Everything that a plugin asks to sign in, on one screen. Gives what was connected.

    Args:
        host: what the screen stands on.
        handle: the plugin.
        accounts: the labels that the plugin's accounts have already.
        again: the account to sign in to again, if it is not a new one.
        env: where keys may be.
    """

    CSS_PATH = "connect_form.tcss"
    AUTO_FOCUS = None
    BINDING_GROUP_TITLE = "Connect"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "Save", id="connect.save", priority=True, tooltip="Check and save"),
        Binding(
            "ctrl+y",
            "save_unchecked",
            "Save unchecked",
            id="connect.save_unchecked",
            priority=True,
            tooltip="Save what could not be checked",
        ),
        Binding(
            "escape",
            "back",
            "Back",
            id="connect.back",
            priority=True,
            tooltip="Stop the check; else back without saving",
        ),
        Binding(
            "ctrl+o",
            "reveal",
            "Reveal",
            id="connect.reveal",
            priority=True,
            tooltip="Show or mask secrets",
        ),
        Binding(
            "ctrl+t",
            "method",
            "Other way",
            id="connect.method",
            priority=True,
            tooltip="Another way to sign in to the same provider",
        ),
        Binding(
            "ctrl+g",
            "get_key",
            "Get a key",
            id="connect.get_key",
            priority=True,
            tooltip="Where to get a key",
        ),
        Binding(
            "ctrl+l",
            "manual",
            "Manual",
            id="connect.manual",
            priority=True,
            tooltip="The provider's own help",
        ),
    ]

    account = getters.query_one("#account", FieldView)
    state = getters.query_one("#state", Static)
    body = getters.query_one("#body", VerticalScroll)

    def __init__(
        self,
        host: Host,
        handle: PluginHandle,
        *,
        accounts: tuple[str, ...] = (),
        again: Connection | None = None,
        env: Mapping[str, str] = os.environ,
    ) -> None:
        super().__init__()
        self._host = host
        self._handle = handle
        self._attempt = Attempt(host, handle)
        self._accounts = accounts
        self._again = again
        self._env = env
        self._methods = method_choices(handle, display=has_display(env), only=again.method if again else None)
        self._method = self._methods[0]
        self._revealed = False
        self._uncheckable = False
        """Whether the last check failed for a reason that is not the credential."""
        self._checking = False

    def compose(self) -> ComposeResult:
        """The ways to sign in, the form of each, what to call the account, and links."""
        what = "Sign in again to" if self._again else "Connect"
        yield Static(Content(f"{what} {self._attempt.title}"), id="title")
        with VerticalScroll(id="body", can_focus=False):
            if len(self._methods) > 1:
                titles = [(choice.name, choice.title) for choice in self._methods]
                methods = Choices(titles, (self._method.name,))
                methods.id = "methods"
                yield methods
            yield Static(id="offer", markup=False)
            for choice in self._methods:
                yield MethodForm(choice)
            yield FieldView(account_field(), free_label(self._accounts), widget_id="account")
            yield Static(id="links", markup=False)
        yield Static(id="state")
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin with the first way to sign in."""
        self.account.display = self._again is None
        self._show_method()

    @property
    def _form(self) -> FormView:
        return next(box.form for box in self.query(MethodForm) if box.choice is self._method)

    @property
    def _variable(self) -> str | None:
        """The environment variable whose key is used when none is typed."""
        method = self._method.method
        if not isinstance(method, ApiKey) or self._accounts or self._again:
            return None
        names = key_variables([{"type": "api_key", "env": method.env}])
        return next((name for name in names if self._env.get(name, "").strip()), None)

    def _show_method(self) -> None:
        for box in self.query(MethodForm):
            box.display = box.choice is self._method
        variable = self._variable
        offer = self.query_one("#offer", Static)
        offer.display = variable is not None
        offer.update(f"{variable} is set: {self._what_enter_does()}. Or type another key.")
        self.query_one("#links", Static).update(links_of(self._method))
        self._uncheckable = False
        self._show_hint()
        self.refresh_bindings()
        if self._form.views:
            self._form.focus_first()
        elif self._again is None:
            self.account.focus_control()

    def _what_enter_does(self) -> str:
        if len(self._method.fields) == 1:
            return "Enter uses it, and nothing is stored"
        return "leave the key empty to use it. It is stored together with what you fill in below"

    def _show_hint(self) -> None:
        if self._method.problem is not None:
            self._show_error(self._method.problem)
            return
        title = self._attempt.title
        words = (
            f"Enter begins to sign in to {title}."
            if isinstance(self._method.method, OAuthCode | OAuthDevice)
            else f"Enter checks it with {title} and saves it. Tab goes to the next field."
        )
        self._show_state(Content.styled(words, "$foreground-muted"))

    def _show_state(self, content: Content, *, failed: bool = False) -> None:
        self.state.set_class(failed, "-failed")
        self.state.update(content)

    def _show_error(self, error: JackfieldError, *, uncheckable: bool = False) -> None:
        self._uncheckable = uncheckable
        lines = [Content.styled(f"✗ {error.title}", "$text-error bold")]
        lines += [Content(line) for line in error.detail.splitlines()[:3] if line.strip()]
        hint = error.hint
        if self._uncheckable:
            hint = f"{hint} Ctrl+Y saves it without checking.".strip()
        if hint:
            lines.append(Content.styled(hint, "$foreground-muted"))
        self._show_state(Content("\n").join(lines), failed=True)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what can be done now."""
        if action in ("save", "reveal", "method", "get_key", "manual") and self._checking:
            return False
        match action:
            case "save":
                return self._method.method is not None
            case "save_unchecked":
                return self._uncheckable and not self._checking
            case "reveal":
                return any(field.kind == "secret" for field in self._method.fields)
            case "method":
                return len(self._methods) > 1
            case "get_key":
                return bool(self._method.key_url)
            case "manual":
                return bool(self._method.help_url)
            case _:
                return True

    @on(Choices.Changed)
    def _choose_method(self, event: Choices.Changed) -> None:
        event.stop()
        chosen = self.query_one("#methods", Choices).chosen
        self._method = next(choice for choice in self._methods if choice.name in chosen)
        focused = self.focused
        self._show_method()
        if isinstance(focused, Choices):
            focused.focus()  # so that the arrows go on choosing

    @on(Choices.Submitted)
    def _enter_form(self, event: Choices.Submitted) -> None:
        event.stop()
        self._show_method()

    def action_method(self) -> None:
        """The next way to sign in."""
        methods = self.query_one("#methods", Choices)
        self.set_focus(None)
        if methods.key == self._methods[-1].name:
            methods.action_first()
        else:
            methods.action_move(1)

    def action_reveal(self) -> None:
        """Show or mask secrets."""
        self._revealed = not self._revealed
        self._form.reveal(shown=self._revealed)

    def action_get_key(self) -> None:
        """Show where a key is to be had."""
        self._show_link(self._method.key_url)

    def action_manual(self) -> None:
        """Show where the provider explains this."""
        self._show_link(self._method.help_url)

    def _show_link(self, url: str) -> None:
        from tui.screens.link import LinkScreen

        self.app.push_screen(LinkScreen(url))

    @on(FormView.Changed)
    @on(FieldView.Changed)
    def _edited(self) -> None:
        if self.state.has_class("-failed") and not self._checking:
            self._uncheckable = False
            self._show_hint()
            self.refresh_bindings()

    @on(FormView.Submitted)
    @on(FieldView.Submitted)
    def _submitted(self) -> None:
        self.action_save()

    def action_save(self) -> None:
        """Check what was filled in with the provider, and save it."""
        if not self._checking and self._method.method is not None:
            self._save(self._method.method, check=True)

    def action_save_unchecked(self) -> None:
        """Save what could not be checked."""
        if not self._checking and self._method.method is not None:
            self._save(self._method.method, check=False)

    @work(exclusive=True, group="save", exit_on_error=False)
    async def _save(self, method: AuthMethod, *, check: bool) -> None:
        variable = self._unused_variable()
        if not self._is_complete(but="" if variable is None else KEY):
            return
        self._set_checking(True)
        try:
            credential = await self._credential(method, variable)
            if credential is None:
                self._show_hint()
                return
            if check and not await self._works(credential):
                return
            self._show_state(Content("◐ Saving…"))
            connected = await self._store(method, credential, variable)
            if connected is not None:
                self.leave(connected)
        except JackfieldError as error:
            self._show_error(error)
        finally:
            self._set_checking(False)

    def _unused_variable(self) -> str | None:
        """The variable to use: nothing was typed in its place."""
        variable = self._variable
        return variable if variable and self._form.view(KEY).is_empty else None

    def _is_complete(self, *, but: str) -> bool:
        complete = self._form.check(but=but)
        self.account.show_problem()
        if complete and self.account.display and self.account.problem:
            self.account.focus_control()
            return False
        return complete

    async def _credential(self, method: AuthMethod, variable: str | None) -> Credential | None:
        values = self._form.values()
        if variable is not None:
            return make_credential(method, {**values, KEY: self._env[variable].strip()})
        if not isinstance(method, OAuthCode | OAuthDevice):
            return make_credential(method, values)
        outcome = await self._sign_in(method)
        return add_fields(outcome.credential, method, values) if outcome is not None else None

    async def _sign_in(self, method: OAuthCode | OAuthDevice) -> SignedIn | None:
        from tui.screens.sign_in import SignInScreen

        async with await self._host.connections.client(self._handle.name) as client:
            sign_in = (
                DeviceSignIn(method, client)
                if isinstance(method, OAuthDevice)
                else CodeSignIn(method, client, loopback=has_display(self._env))
            )
            screen = SignInScreen(self._attempt.title, sign_in, env=self._env)
            outcome = await self.app.push_screen_wait(screen)
        if isinstance(outcome, JackfieldError):
            raise outcome
        if outcome is not None and outcome.warning:
            self.notify(outcome.warning, severity="warning", markup=False)
        return outcome

    async def _works(self, credential: Credential) -> bool:
        self._show_state(
            Content.assemble(
                ("◐ ", "$accent"),
                f"Asking {self._attempt.title} whether it works…",
                ("  Esc cancels", "$foreground-muted"),
            )
        )
        try:
            await self._attempt.check(credential)
        except JackfieldError as error:
            self._show_error(error, uncheckable=not is_refusal(error))
            return False
        return True

    async def _store(
        self, method: AuthMethod, credential: Credential, variable: str | None
    ) -> Connected | None:
        """Keep what works; None when there is no place for it that the user wants."""
        if variable is not None and is_key_alone(credential):
            return await self._attempt.settle()
        label = str(self.account.read())
        connected = await self._attempt.keep(
            method, credential, label, self._choose_store, replaces=self._again
        )
        if connected is not None and connected.connection is not None:
            where = KEPT_WORDS[connected.connection.store]
            self.notify(f"Connected {connected.title}. Its secret is kept {where}.", markup=False)
        return connected

    async def _choose_store(self, error: StoreError) -> StoreKind | None:
        from tui.screens.secret_store import SecretStoreScreen

        names = key_variables([entry.data for entry in self._handle.manifest.auth_methods])
        chosen = await self.app.push_screen_wait(SecretStoreScreen(error, names))
        if chosen is StoreKind.ENVIRONMENT and names:
            variables = " or ".join(names)
            self._show_state(Content(f"Nothing was stored. Set {variables}, then start Jackfield again."))
        elif chosen in (None, StoreKind.ENVIRONMENT):
            self._show_state(Content("Nothing was stored. What you filled in is still here."))
        return chosen

    def _set_checking(self, checking: bool) -> None:
        self._checking = checking
        self.refresh_bindings()

    @work(exclusive=True, group="back", exit_on_error=False)
    async def action_back(self) -> None:
        """Stop the check; else leave all as it was."""
        if self._checking:
            self.workers.cancel_group(self, "save")
            self._show_hint()
            return
        await self._attempt.leave()
        self.leave(None)
