"""The accounts that are signed in: which one is active, where it is kept, until when it is good."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from registry.connections import Connection
from registry.errors import JackfieldError, PluginError
from registry.handle import PluginHandle
from registry.text import counted
from tui.connecting import Connected
from tui.connection_text import KEPT_WORDS, METHOD_WORDS, STORE_WORDS, account_look, expiry, plugin_title
from tui.host import Host
from tui.method_choice import has_sign_in
from tui.screens.leaving import Leaving
from tui.widgets.key_line import KeyLine
from tui.widgets.row_list import Row, RowList

if TYPE_CHECKING:
    from registry.keyring_store import KeyringReport

_LABEL_WIDTH = 18
_EMPTY = (
    "No account is connected yet.\n\n"
    "a connects a provider with a key of your own, or by signing in.\n"
    "Keys in environment variables work without that."
)


class ConnectionsScreen(Leaving[Connected | None]):
    """A list of accounts by provider. Gives what was connected from here, if anything was.

    Args:
        host: whose accounts are shown.
        clock: Unix seconds.
    """

    CSS_PATH = "connections.tcss"
    AUTO_FOCUS = "RowList"
    BINDING_GROUP_TITLE = "Connections"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "add", "Add", id="connections.add", tooltip="Connect a provider, or another account"),
        Binding(
            "enter",
            "use",
            "Use",
            id="connections.use",
            tooltip="Make this the account that its provider uses",
        ),
        Binding("r", "rename", "Rename", id="connections.rename", tooltip="Call the account something else"),
        Binding("s", "sign_in", "Sign in", id="connections.sign_in", tooltip="Sign in to this account again"),
        Binding(
            "d",
            "sign_out",
            "Sign out",
            id="connections.sign_out",
            tooltip="End the sign-in, and delete its secret; asks once",
        ),
        Binding("t", "doctor", "Keyring", id="connections.doctor", tooltip="Try the system's keyring"),
        Binding("escape", "back", "Back", id="connections.back", tooltip="Back to the chat"),
    ]

    rows = getters.query_one(RowList)
    detail = getters.query_one("#detail", Static)

    def __init__(self, host: Host, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._host = host
        self._clock = clock
        self._connections: tuple[Connection, ...] = ()
        self._asked: str | None = None
        """The account that the next d signs out of."""

    def compose(self) -> ComposeResult:
        """Title, list, and what is known of the account under the cursor."""
        yield Static(Content("Connections  looking for them…"), id="title")
        yield RowList()
        yield Static(Content(_EMPTY), id="empty")
        yield Static(id="detail")
        yield KeyLine()

    def on_mount(self) -> None:
        """Show the accounts; where there is none, offer to connect one."""
        self._load(first=True)

    @work(group="load", exclusive=True, exit_on_error=False)
    async def _load(self, *, first: bool = False, keep: str | None = None) -> None:
        await self._host.ready.wait()
        try:
            self._connections = await self._host.connections.all()
        except JackfieldError as error:
            self._title("they cannot be read")
            self._complain(error)
            return
        self._show(keep)
        if first and not self._connections and not self._host.plugins_off:
            self.action_add()

    def _show(self, keep: str | None = None) -> None:
        self.set_class(not self._connections, "-empty")
        providers = len({connection.plugin for connection in self._connections})
        count = len(self._connections)
        accounts = f"{counted(count, 'account')} at {counted(providers, 'provider')}"
        self._title(accounts if count else "none yet")
        rows: list[Row] = []
        ordered = sorted(self._connections, key=lambda one: (self._provider(one).casefold(), one.created_at))
        for title, group in groupby(ordered, key=self._provider):
            rows.append(_heading(title))
            rows += [Row(_key(one), self._drawer(one)) for one in group]
        self.rows.set_rows(rows, keep=keep)
        if self._connections:
            self.rows.focus()
        self.refresh_bindings()

    def _title(self, text: str) -> None:
        self.query_one("#title", Static).update(Content(f"Connections  {text}"))

    def _handle(self, connection: Connection) -> PluginHandle | None:
        try:
            return self._host.registry.handle(connection.plugin)
        except PluginError:
            return None  # it was uninstalled, or its package is gone

    def _provider(self, connection: Connection) -> str:
        handle = self._handle(connection)
        return plugin_title(handle) if handle is not None else connection.plugin

    def _drawer(self, connection: Connection) -> Callable[[int], Content]:
        def draw(_: int) -> Content:
            now = self._clock()
            look = account_look(connection, now)
            label = Content(connection.label).truncate(_LABEL_WIDTH, ellipsis=True, pad=True)
            word = "active" if connection.active else ""
            return Content.assemble(
                (f"{look.glyph} ", look.colour),
                label,
                f"  {word:<8}{_method(connection):<14}",
                (f"{expiry(connection, now):<18}", look.colour if connection.needs_sign_in else ""),
                (STORE_WORDS[connection.store], "$foreground-muted"),
            )

        return draw

    @property
    def _current(self) -> Connection | None:
        key = self.rows.key
        return next((one for one in self._connections if _key(one) == key), None)

    @on(RowList.Moved)
    def _describe(self) -> None:
        self._asked = None
        connection = self._current
        self._say(self._detail(connection) if connection is not None else Content(""))
        self.refresh_bindings()

    def _say(self, content: Content) -> None:
        self.detail.display = bool(content)
        self.detail.update(content)

    def _detail(self, connection: Connection) -> Content:
        now = self._clock()
        lines = [
            Content.assemble(
                (self._provider(connection), "$accent bold"), f"  {connection.label}  ", _method(connection)
            )
        ]
        if connection.needs_sign_in:
            lines += [
                Content.styled(connection.needs_sign_in, "$text-error"),
                Content.styled("s signs in again.", "$foreground-muted"),
            ]
        else:
            then = time.localtime(connection.created_at)
            since = f"{then.tm_mday} {time.strftime('%B %Y', then)}"
            facts = f"Since {since}; {expiry(connection, now)}. Kept {KEPT_WORDS[connection.store]}."
            lines.append(Content.styled(facts, "$foreground-muted"))
        if connection.scopes:
            lines.append(Content.styled(f"Allowed: {' '.join(connection.scopes)}", "$foreground-muted"))
        if self._handle(connection) is None:
            lines.append(Content.styled("Its plugin is not installed. d signs out.", "$warning"))
        return Content("\n").join(lines)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what can be done with the account under the cursor."""
        connection = self._current
        match action:
            case "use":
                return connection is not None and not connection.active
            case "rename" | "sign_out":
                return connection is not None
            case "sign_in":
                return connection is not None and self._can_sign_in(connection)
            case _:
                return True

    def _can_sign_in(self, connection: Connection) -> bool:
        handle = self._handle(connection)
        return handle is not None and not handle.manifest.problem and has_sign_in(handle)

    @on(RowList.Chosen)
    def _choose(self) -> None:
        self.action_use()

    def action_add(self) -> None:
        """Connect a provider."""
        from tui.screens.connect import ConnectScreen

        self.app.push_screen(ConnectScreen(self._host), self._connected)

    def _connected(self, connected: Connected | None) -> None:
        if connected is not None:
            self.leave(connected)

    @work(group="change", exit_on_error=False)
    async def action_use(self) -> None:
        """Make the account under the cursor the active one of its provider."""
        connection = self._current
        if connection is None or connection.active:
            return
        try:
            await self._host.connections.use(connection.plugin, connection.label)
        except JackfieldError as error:
            self._complain(error)
        self._load(keep=_key(connection))

    @work(group="change", exit_on_error=False)
    async def action_rename(self) -> None:
        """Ask for another name, and use it."""
        from tui.screens.rename import RenameScreen

        connection = self._current
        if connection is None:
            return
        taken = {
            one.label for one in self._connections if one.plugin == connection.plugin and one != connection
        }
        screen = RenameScreen(self._provider(connection), connection.label, taken)
        label = await self.app.push_screen_wait(screen)
        if label is None or label == connection.label:
            return
        try:
            renamed = await self._host.connections.rename(connection.plugin, connection.label, label)
        except JackfieldError as error:
            self._complain(error)
            return
        self._load(keep=_key(renamed))

    def action_sign_in(self) -> None:
        """Sign in to the account under the cursor again."""
        from tui.screens.connect_form import ConnectFormScreen

        connection = self._current
        handle = self._handle(connection) if connection is not None else None
        if connection is None or handle is None:
            return

        def done(connected: Connected | None) -> None:
            if connected is not None:
                self._load(keep=_key(connection))

        self.app.push_screen(ConnectFormScreen(self._host, handle, again=connection), done)

    def action_sign_out(self) -> None:
        """Sign out, at the second press."""
        connection = self._current
        if connection is None:
            return
        if self._asked != _key(connection):
            self._asked = _key(connection)
            self._say(
                Content.assemble(
                    (f"Sign out of {self._provider(connection)}, {connection.label}? ", "$text-warning bold"),
                    "Its secret is deleted here, and where it can be done at the server. d again does it.",
                )
            )
            return
        self._asked = None
        self._sign_out(connection)

    @work(group="change", exit_on_error=False)
    async def _sign_out(self, connection: Connection) -> None:
        self._say(Content.assemble(("◐ ", "$accent"), "Signing out…"))
        try:
            outcome = await self._host.connections.sign_out(connection.plugin, connection.label)
        except JackfieldError as error:
            self._complain(error)
        else:
            text = f"Signed out of {self._provider(connection)}, {connection.label}."
            if outcome.problem:
                text += f" The server could not be told: {outcome.problem}"
            if outcome.now_active:
                text += f" {outcome.now_active} is active now."
            self.notify(text, severity="warning" if outcome.problem else "information", markup=False)
        self._load()

    @work(group="doctor", exclusive=True, exit_on_error=False)
    async def action_doctor(self) -> None:
        """Write, read and remove an item of the system's keyring, and say how that went."""
        from registry.keyring_store import check_keyring

        self._say(Content.assemble(("◐ ", "$accent"), "Trying the system's keyring…"))
        report = await check_keyring()
        self._say(_report(report))

    def action_back(self) -> None:
        """Take back the question, or go back."""
        if self._asked is not None:
            self._describe()
        else:
            self.dismiss(None)

    def _complain(self, error: JackfieldError) -> None:
        self.notify(str(error), severity="error", timeout=12, markup=False)


def _report(report: KeyringReport) -> Content:
    backend = (f"\n{report.backend}" if report.backend else "", "$foreground-muted")
    if report.usable:
        works = "  An item was written, read and removed."
        return Content.assemble(("● The keyring works.", "$success"), works, backend)
    problem = (f"✗ {report.problem}", "$text-error")
    return Content.assemble(problem, f"\n{report.hint}" if report.hint else "", backend)


def _key(connection: Connection) -> str:
    return f"{connection.plugin}/{connection.label}"


def _method(connection: Connection) -> str:
    short = {"oauth_code": "browser", "oauth_device": "device code", "form": "form"}
    return short.get(connection.type) or METHOD_WORDS.get(connection.type, connection.type)


def _heading(title: str) -> Row:
    content = Content.styled(title, "$foreground-muted bold")
    return Row(f"#{title}", lambda _: content, heading=True)
