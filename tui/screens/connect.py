"""Connecting a provider: type to find it, Enter opens its form."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import ClassVar

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from registry.connections import Connection, key_variables
from registry.errors import JackfieldError
from registry.handle import PluginHandle
from tui.connecting import Connected
from tui.connection_text import plugin_title
from tui.host import Host
from tui.method_choice import has_sign_in
from tui.screens.leaving import Leaving
from tui.widgets.row_list import Row, RowList

_TITLE_WIDTH = 22


class ConnectScreen(ModalScreen[Connected | None], Leaving[Connected | None]):
    """Everything that can be signed in to: connected, with a key in the environment, the others.

    Gives what was connected. With `plugin`, the form of that one is opened at once.

    Args:
        host: whose plugins are offered.
        plugin: the name of the plugin to connect.
        env: where keys may be.
    """

    DEFAULT_CSS = """
    ConnectScreen { align: center middle; }
    ConnectScreen Vertical {
        width: 76; max-width: 96%; height: 80%; background: $surface; border: round $border; padding: 0 1;
    }
    ConnectScreen Input, ConnectScreen Input:focus {
        border: none; height: 1; margin: 1 0; padding: 0 1; background: $panel;
    }
    ConnectScreen RowList { background: $surface; }
    ConnectScreen #note { color: $text-muted; height: 2; }
    """
    AUTO_FOCUS = "Input"
    BINDING_GROUP_TITLE = "Connect"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", id="connect.close", tooltip="Back without connecting"),
        Binding(
            "down", "move(1)", "Down", id="connect.down", show=False, priority=True, tooltip="The one below"
        ),
        Binding("up", "move(-1)", "Up", id="connect.up", show=False, priority=True, tooltip="The one above"),
        Binding(
            "pagedown",
            "page(1)",
            "Page down",
            id="connect.page_down",
            show=False,
            priority=True,
            tooltip="A page down",
        ),
        Binding(
            "pageup",
            "page(-1)",
            "Page up",
            id="connect.page_up",
            show=False,
            priority=True,
            tooltip="A page up",
        ),
    ]

    rows = getters.query_one(RowList)

    def __init__(self, host: Host, plugin: str | None = None, *, env: Mapping[str, str] = os.environ) -> None:
        super().__init__()
        self._host = host
        self._plugin = plugin
        self._env = env
        self._handles: list[PluginHandle] = []
        self._accounts: dict[str, list[Connection]] = {}

    def compose(self) -> ComposeResult:
        """Filter, list, and a line about the plugin under the cursor."""
        with Vertical() as box:
            box.border_title = "Connect a provider"
            box.border_subtitle = "Enter opens its form, Esc closes"
            yield Input(placeholder="Type to filter")
            yield RowList(classes="-lit")
            yield Static("Looking for what can be connected…", id="note", markup=False)

    def on_mount(self) -> None:
        """Show the list once plugins are known."""
        self._load()

    @work(group="load", exit_on_error=False)
    async def _load(self) -> None:
        await self._host.ready.wait()
        if self._host.plugins_off:
            self._note("Safe mode: no plugin runs, so nothing can be connected. Start without it.")
            return
        self._handles = [
            handle
            for handle in self._host.registry.handles()
            if not handle.manifest.problem and has_sign_in(handle) and self._is_first_of_its_name(handle)
        ]
        try:
            connections = await self._host.connections.all()
        except JackfieldError as error:
            connections = ()
            self.notify(str(error), severity="error", markup=False)
        for connection in connections:
            self._accounts.setdefault(connection.plugin, []).append(connection)
        self._show()
        if self._plugin is not None:
            self._open_form(self._plugin)

    def _is_first_of_its_name(self, handle: PluginHandle) -> bool:
        return self._host.registry.handle(handle.name) is handle

    def _note(self, text: str) -> None:
        self.query_one("#note", Static).update(text)

    def _variable(self, handle: PluginHandle) -> str | None:
        names = key_variables([entry.data for entry in handle.manifest.auth_methods])
        return next((name for name in names if self._env.get(name, "").strip()), None)

    @on(Input.Changed)
    def _show(self) -> None:
        words = self.query_one(Input).value.lower().split()
        groups: dict[str, list[PluginHandle]] = {"Connected": [], "Key in the environment": [], "Others": []}
        for handle in self._handles:
            if not _fits(handle, words):
                continue
            group = (
                "Connected"
                if handle.name in self._accounts
                else "Key in the environment"
                if self._variable(handle)
                else "Others"
            )
            groups[group].append(handle)
        rows: list[Row] = []
        for title, handles in groups.items():
            if handles:
                handles.sort(key=lambda handle: _rank(handle, words))
                rows += [_heading(title), *(Row(handle.name, self._drawer(handle)) for handle in handles)]
        self.rows.set_rows(rows)
        if not rows:
            self._note(
                "None has all of these words." if self._handles else "No plugin has anything to sign in to."
            )

    def _drawer(self, handle: PluginHandle) -> Callable[[int], Content]:
        accounts = self._accounts.get(handle.name, ())
        if accounts:
            active = next((account.label for account in accounts if account.active), accounts[0].label)
            more = f" and {len(accounts) - 1} more" if len(accounts) > 1 else ""
            state = f"{active}{more}"
        else:
            variable = self._variable(handle)
            state = f"{variable} is set" if variable else handle.manifest.summary

        def draw(width: int) -> Content:
            glyph = ("● ", "$success") if accounts else ("○ ", "$foreground-muted")
            title = Content(plugin_title(handle)).truncate(_TITLE_WIDTH, ellipsis=True, pad=True)
            return Content.assemble(glyph, title, "  ", (state, "$foreground-muted"))

        return draw

    @on(RowList.Moved)
    def _describe(self, event: RowList.Moved) -> None:
        if event.key is None:
            return
        handle = self._host.registry.handle(event.key)
        summary = handle.manifest.summary.rstrip(".")
        about = [f"{summary}."] if summary else []
        if not handle.contributes:
            about.append("It is off now; connecting switches it on.")
        self._note(" ".join(about))

    def action_move(self, step: int) -> None:
        """Move through the list while typing."""
        self.rows.action_move(step)

    def action_page(self, direction: int) -> None:
        """Move by a page while typing."""
        self.rows.action_page(direction)

    @on(Input.Submitted)
    def _choose_current(self) -> None:
        self.rows.action_choose()

    @on(RowList.Chosen)
    def _choose(self, event: RowList.Chosen) -> None:
        self._open_form(event.key)

    def _open_form(self, plugin: str) -> None:
        from tui.screens.connect_form import ConnectFormScreen

        handle = next((handle for handle in self._handles if handle.name == plugin), None)
        if handle is None:
            self._note(f"There is nothing to sign in to at {plugin}.")
            return
        labels = tuple(account.label for account in self._accounts.get(plugin, ()))
        self.app.push_screen(
            ConnectFormScreen(self._host, handle, accounts=labels, env=self._env), self._done
        )

    def _done(self, connected: Connected | None) -> None:
        if connected is not None or self._plugin is not None:
            self.leave(connected)


def _heading(title: str) -> Row:
    content = Content.styled(title, "$foreground-muted bold")
    return Row(f"#{title}", lambda _: content, heading=True)


def _rank(handle: PluginHandle, words: list[str]) -> tuple[bool, str]:
    """Names that begin as what was typed come first, then by name."""
    title = plugin_title(handle).casefold()
    return not title.startswith(" ".join(words)), title


def _fits(handle: PluginHandle, words: list[str]) -> bool:
    manifest = handle.manifest
    text = f"{plugin_title(handle)} {manifest.name} {manifest.summary}".lower()
    return all(word in text for word in words)
