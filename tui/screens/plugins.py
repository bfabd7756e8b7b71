"""The plugins screen: every plugin with its state, what it contributes and why it failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, Static

from registry.errors import JackfieldError
from registry.handle import PluginHandle, PluginState
from tui.host import Host
from tui.plugin_text import plugin_detail, plugin_row
from tui.widgets.key_line import KeyLine
from tui.widgets.row_list import Row, RowList
from tui.widgets.typed import typed


class PluginsScreen(Screen[None]):
    """A list on the left, details of the chosen plugin on the right.

    Args:
        host: whose plugins are shown.
    """

    CSS_PATH = "plugins.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - as Textual declares it
    AUTO_FOCUS = "RowList"
    BINDING_GROUP_TITLE = "Plugins"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "space",
            "switch",
            "On/off",
            id="plugins.toggle",
            tooltip="Switch the plugin on or off, at once and from now on",
        ),
        Binding("r", "reload", "Reload", id="plugins.reload", tooltip="Read the plugin's code again"),
        Binding(
            "slash",
            "filter",
            "Filter",
            id="plugins.filter",
            tooltip="Show only plugins that fit what you type",
            key_display="/",
            priority=True,
        ),
        Binding(
            "enter",
            "leave_filter",
            "To the list",
            id="plugins.leave_filter",
            show=False,
            priority=True,
            tooltip="From the filter to the list",
        ),
        Binding("s", "connect", "Sign in", id="plugins.connect", tooltip="Sign in to what the plugin offers"),
        Binding(
            "m",
            "market",
            "Market",
            id="plugins.market",
            tooltip="All about the plugin in the marketplace: what it asks for, its versions",
        ),
        Binding("c", "copy", "Copy report", id="plugins.copy", tooltip="Copy what is shown of this plugin"),
        Binding(
            "escape", "back", "Back", id="plugins.back", tooltip="Close the filter, or go back to the chat"
        ),
    ]

    @dataclass
    class ConnectAsked(Message):
        """The user wants to sign in to what a plugin offers."""

        plugin: str

    @dataclass
    class MarketAsked(Message):
        """The user wants to see a plugin in the marketplace."""

        plugin: str

    rows = getters.query_one(RowList)
    detail = getters.query_one("#detail", Static)

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host
        self._unsubscribe: Callable[[], None] | None = None
        self._busy: set[str] = set()

    def compose(self) -> ComposeResult:
        """Title, filter, list and details."""
        yield Static(id="title")
        yield Input(id="filter", placeholder="Name, summary, provider or command")
        with Horizontal(id="body"):
            yield RowList()
            with VerticalScroll(id="detail-scroll"):
                yield Static(id="detail")
        yield KeyLine()

    def on_mount(self) -> None:
        """Show plugins as soon as they are known, and follow every change."""
        self.query_one("#title", Static).update(Content("Plugins  looking for them…"))
        self._unsubscribe = self._host.registry.subscribe(self._show)
        self._show_when_ready()

    def on_unmount(self) -> None:
        """Stop following."""
        if self._unsubscribe:
            self._unsubscribe()

    @work(group="ready", exit_on_error=False)
    async def _show_when_ready(self) -> None:
        await self._host.ready.wait()
        self._show()
        await self._host.follow_others()
        self._show()

    def _shown(self) -> list[PluginHandle]:
        words = self.query_one("#filter", Input).value.lower().split()
        return [handle for handle in self._host.registry.handles() if _fits(handle, words)]

    def _show(self) -> None:
        handles = self._shown()
        self.rows.set_rows([Row(_key(handle), _drawer(handle, self._busy)) for handle in handles])
        every = self._host.registry.handles()
        on = sum(handle.contributes for handle in every)
        text = f"Plugins  {on} of {len(every)} on"
        if len(handles) != len(every):
            text += f"  ·  {len(handles)} shown"
        if self._host.plugins_off:
            text += "  ·  safe mode: switches take effect at the next start"
        self.query_one("#title", Static).update(Content(text))
        self._show_detail()

    @on(RowList.Moved)
    def _show_detail(self) -> None:
        handle = self._handle()
        if handle is not None:
            self.detail.update(plugin_detail(handle, self._host.registry.outranked(handle)))
        else:
            self.detail.update(Content.styled("No plugin fits. Esc clears the filter.", "$foreground-muted"))
        self.refresh_bindings()

    def _handle(self) -> PluginHandle | None:
        key = self.rows.key
        return next((handle for handle in self._host.registry.handles() if _key(handle) == key), None)

    def action_switch(self) -> None:
        """Switch the plugin under the cursor."""
        handle = self._handle()
        if handle is not None and handle.state is PluginState.NEEDS_REVIEW:
            self.action_market()
        elif handle is not None:
            self._switch(handle)

    @work(group="switch", exit_on_error=False)
    async def _switch(self, handle: PluginHandle) -> None:
        self._busy.add(handle.name)
        self.rows.redraw()
        try:
            await self._host.toggle_plugin(handle)
        except JackfieldError as error:
            self.notify(str(error), severity="error", markup=False)
        finally:
            self._busy.discard(handle.name)
            self._show()

    @on(RowList.Chosen)
    def _toggle_chosen(self) -> None:
        self.action_switch()

    @work(group="switch", exit_on_error=False)
    async def action_reload(self) -> None:
        """Read the code of the plugin under the cursor again."""
        handle = self._handle()
        if handle is None or handle.name in self._busy:
            return
        self._busy.add(handle.name)
        self.rows.redraw()
        try:
            await self._host.registry.reload(handle.name)
            self.notify(f"Reloaded {handle.name}.", markup=False)
        except (JackfieldError, TimeoutError) as error:
            self.notify(str(error) or "It took too long.", severity="error", markup=False)
        finally:
            self._busy.discard(handle.name)
            self._show()

    def action_filter(self) -> None:
        """Type to show fewer plugins; the next key is already a part of it."""
        self.add_class("-filtering")
        self.set_focus(self.query_one("#filter", Input))

    @on(Input.Changed, "#filter")
    def _filter(self) -> None:
        self._show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In the filter `/` is text, and Enter leaves it; not everything can be signed in to."""
        if action == "connect":
            handle = self._handle()
            return handle is not None and _can_connect(handle)
        filtering = isinstance(self.focused, Input)
        return {"filter": not filtering, "leave_filter": filtering}.get(action, True)

    async def action_leave_filter(self) -> None:
        """Go from the filter to the list, before the next key is looked at."""
        await typed(self.query_one("#filter", Input))
        self._show()
        self.set_focus(self.rows)

    def action_connect(self) -> None:
        """Sign in to what the plugin under the cursor offers."""
        handle = self._handle()
        if handle is not None and _can_connect(handle):
            self.post_message(self.ConnectAsked(handle.name))

    def action_market(self) -> None:
        """Show the plugin under the cursor in the marketplace."""
        handle = self._handle()
        if handle is not None:
            self.post_message(self.MarketAsked(handle.name))

    def action_copy(self) -> None:
        """Copy the details, for a report to the plugin's author."""
        handle = self._handle()
        if handle is not None:
            self.app.copy_to_clipboard(plugin_detail(handle).plain)
            self.notify(f"Copied the report on {handle.name}.", markup=False)

    def action_back(self) -> None:
        """Close the filter, or go back."""
        field = self.query_one("#filter", Input)
        if self.has_class("-filtering"):
            self.remove_class("-filtering")
            field.value = ""
            self.set_focus(self.rows)
        else:
            self.dismiss()


def _key(handle: PluginHandle) -> str:
    return f"{handle.order}:{handle.name}"


def _can_connect(handle: PluginHandle) -> bool:
    methods = handle.manifest.auth_methods
    return not handle.manifest.problem and any(entry.data.get("type") != "no_auth" for entry in methods)


def _drawer(handle: PluginHandle, busy: set[str]) -> Callable[[int], Content]:
    return lambda width: plugin_row(handle, width, busy=handle.name in busy)


def _fits(handle: PluginHandle, words: list[str]) -> bool:
    if not words:
        return True
    manifest = handle.manifest
    names = [entry.name for entry in manifest.providers] + [entry.name for entry in manifest.commands]
    text = " ".join([manifest.name, manifest.summary, manifest.publisher, *names]).lower()
    return all(word in text for word in words)
