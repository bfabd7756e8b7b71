"""The terminal app."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Event, Key, Paste
from textual.screen import ModalScreen, Screen
from textual.worker import Worker, WorkerState

from registry.errors import JackfieldError
from registry.redaction import redact
from registry.text import safe_text
from tui.crashes import crash_text
from tui.ending import end_tasks, leave_stuck_threads
from tui.host import Host
from tui.keymap import check_keymap, class_sections, sections
from tui.passphrase import PassphraseQuestion
from tui.screens.chat import ChatScreen
from tui.themes import DARK, LIGHT
from tui.widgets.composer import Composer

if TYPE_CHECKING:
    from textual.notifications import SeverityLevel
    from textual.theme import Theme

    from registry.config import LoadedConfig
    from registry.marketplace.installed import InstalledPlugin
    from registry.models import ModelChoice
    from registry.paths import Paths
    from tui.connecting import Connected
    from tui.market_jobs import Job
    from tui.screens.plugins import PluginsScreen


_ScreenT = TypeVar("_ScreenT", bound=Screen[None])
_LOOK_S: Final = 1.0
"""How often it is looked whether the command line, or another Jackfield, changed something."""


def run_app(paths: Paths, *, plugins_off: bool, config: LoadedConfig, linked: str | None = None) -> int:
    """Run the app until the user ends it; gives the exit code. For the arguments see `JackfieldApp`."""
    # What a start makes stays: no later collection has to look through it while somebody types.
    app = JackfieldApp(paths, plugins_off=plugins_off, config=config, when_started=gc.freeze, linked=linked)
    loop = asyncio.new_event_loop()  # Textual's own way would wait forever for a task that refuses to end
    try:
        app.run(loop=loop)
    finally:
        loop.run_until_complete(end_tasks(loop))
        loop.close()
    code = app.return_code or 0
    leave_stuck_threads(code)
    return code


class JackfieldApp(App[None]):
    """Chat screen, plugins screen and what is shared by them.

    Args:
        paths: where files are kept.
        plugins_off: start without any plugin code.
        config: the configuration as it was read.
        when_started: called once all parts are loaded.
        linked: the `publisher/name` that a link led to; the marketplace opens with it.
    """

    TITLE = "Jackfield"
    CSS_PATH = "screens/chat.tcss"  # here, since Textual loads no style for the first screen itself
    BINDING_GROUP_TITLE = "Everywhere"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "Help", id="app.help", tooltip="All keys of this screen", priority=True),
        Binding(
            "f2", "plugins", "Plugins", id="app.plugins", tooltip="See and switch plugins", priority=True
        ),
        Binding(
            "f3", "models", "Model", id="app.models", tooltip="Choose the model that answers", priority=True
        ),
        Binding("f4", "history", "History", id="app.history", tooltip="Earlier conversations", priority=True),
        Binding(
            "f7",
            "connections",
            "Connect",
            id="app.connections",
            tooltip="Sign in to providers, and see the accounts that are connected",
            priority=True,
        ),
        Binding(
            "f8",
            "marketplace",
            "Market",
            id="app.marketplace",
            tooltip="Find, install and update plugins of others",
            priority=True,
        ),
        Binding("ctrl+q", "quit", "Quit", id="app.quit", show=False, tooltip="End the app", priority=True),
    ]

    def __init__(
        self,
        paths: Paths,
        *,
        plugins_off: bool,
        config: LoadedConfig,
        when_started: Callable[[], object] = lambda: None,
        linked: str | None = None,
    ) -> None:
        super().__init__()
        self._linked = linked
        self._when_started = when_started
        self._config = config
        self._early: list[Key | Paste] | None = []
        """What was typed before there was anything to type into; None once there is."""
        self.host = Host(paths, config, plugins_off=plugins_off, complain=self._complain)
        self.host.ask_passphrase = PassphraseQuestion(self, self.host).ask
        self.host.tell_withdrawn = self._tell_withdrawn
        self.host.tell_installed = self._tell_installed
        self.chat = ChatScreen(self.host)
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = config.settings.theme if config.settings.theme in self.available_themes else DARK.name

    def get_default_screen(self) -> Screen[None]:
        """The chat."""
        return self.chat

    def on_mount(self) -> None:
        """Read keys at once; get everything else ready behind the first frame."""
        self._use_keymap()
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        self.call_after_refresh(self._start_host)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
            try:
                loop.add_signal_handler(number, self._end_by_signal, number)
            except (NotImplementedError, RuntimeError, ValueError):
                continue  # Windows, or not the main thread: the terminal ends the app another way

    async def on_event(self, event: Event) -> None:
        """Textual's hook: what is typed before the composer has the focus waits for it, in its order."""
        if self._early is not None and isinstance(event, Key | Paste):
            self._early.append(event)
        else:
            await super().on_event(event)

    async def on_descendant_focus(self) -> None:
        """There is something to type into."""
        early, self._early = self._early or [], None
        for event in early:
            await super().on_event(event)

    def _end_by_signal(self, number: int) -> None:
        self.exit(return_code=128 + number)

    async def on_unmount(self) -> None:
        """Leave nothing behind."""
        await self.host.aclose()

    @work(group="start", exit_on_error=False)
    async def _start_host(self) -> None:
        for problem in self._config.problems:
            self.notify(str(problem), title="config.toml", severity="warning", timeout=12, markup=False)
        await self.host.start()
        if self._linked is not None:
            self.show_marketplace(self._linked)
        from tui.transcript import warm_up

        await self.run_worker(warm_up, thread=True, group="warm", exit_on_error=False).wait()
        self._when_started()
        self.set_interval(_LOOK_S, self._follow_others)
        await self._heed_news()

    @work(group="follow", exit_on_error=False)
    async def _follow_others(self) -> None:
        await self.host.follow_when_changed()

    async def _heed_news(self) -> None:
        try:
            self._tell_withdrawn(await self.host.heed_news())
        except JackfieldError as error:
            self._complain(error)

    def _tell_withdrawn(self, plugins: Iterable[InstalledPlugin]) -> None:
        for plugin in plugins:
            reason = plugin.revoked or plugin.warned
            what = safe_text(f"{plugin.id} {plugin.current.version}: {reason}", limit=500)
            title = "A marketplace warns of a plugin; it stays as it is"
            if plugin.revoked:
                title = "Its marketplace withdrew a plugin; it is off now"
            self.notify(what, title=title, severity="warning", timeout=20, markup=False)

    def _tell_installed(self, job: Job) -> None:
        """Who began an installation and went on to chat is told how it ended."""
        from tui.market_text import end_words
        from tui.screens.marketplace_actions import MarketplaceActions

        if any(isinstance(screen, MarketplaceActions) for screen in self.screen_stack):
            return  # there it is on the list
        job.told = True
        severity: SeverityLevel = "information" if job.change is not None else "error"
        self.notify(end_words(job), severity=severity, timeout=12, markup=False)

    def _use_keymap(self) -> None:
        wanted = self._config.settings.keys
        if not wanted:
            return
        from tui.transcript import Transcript  # only who has keys of their own waits for it

        parts = class_sections([type(self), ChatScreen, Composer, Transcript], {})
        known = [binding for section in parts for binding in section.bindings]
        keymap, problems = check_keymap(wanted, known)
        self.set_keymap(keymap)
        for problem in problems:
            self.notify(problem, title="keys in config.toml", severity="warning", timeout=12, markup=False)

    def _keep_theme(self, theme: Theme) -> None:
        if theme.name != self.host.settings.theme:
            self.run_worker(self._write_theme(theme.name), group="config", exit_on_error=False)

    async def _write_theme(self, name: str) -> None:
        try:
            await self.host.keep_theme(name)
        except JackfieldError as error:
            self._complain(error)

    def _fatal_error(self) -> None:
        """Textual's hook: end the app for an error that nobody expected.

        Textual's own traceback shows the values of variables, and secrets among them.
        """
        from rich.text import Text

        self.bell()
        self.panic(Text(crash_text(sys.exception() or RuntimeError("no error is known"))))

    def _complain(self, error: JackfieldError) -> None:
        if all(shown.message != str(error) for shown in self._notifications):
            self.notify(str(error), severity="error", timeout=12, markup=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A fault of the app's own in work behind the screen is told; the app goes on."""
        if event.state is WorkerState.ERROR:
            error = event.worker.error
            detail = safe_text(redact(f"{type(error).__name__}: {error}"), limit=500)
            hint = "Nothing that was said is lost. If it happens again, start with --safe-mode."
            self._complain(JackfieldError("Something in the app itself failed", detail=detail, hint=hint))

    def action_help(self) -> None:
        """Show all keys of the screen that is shown."""
        from tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            nodes = [self.screen, *self.screen.query("*"), self]
            self.push_screen(HelpScreen(sections(nodes, self._config.settings.keys)))

    def action_plugins(self) -> None:
        """Show the plugins screen."""
        from tui.screens.plugins import PluginsScreen

        if self._gone_back_to(PluginsScreen) is None:
            self.push_screen(PluginsScreen(self.host))

    def action_marketplace(self) -> None:
        """Show the marketplace."""
        self.show_marketplace()

    def show_marketplace(self, plugin: str | None = None) -> None:
        """Show the marketplace.

        Args:
            plugin: the name, or `publisher/name`, of the plugin to begin with.
        """
        from tui.screens.marketplace import MarketplaceScreen

        open_already = self._gone_back_to(MarketplaceScreen)
        if open_already is not None:
            open_already.go_to(plugin)
        else:
            entries = self.chat.conversation.entries
            changes = lambda: [change for entry in entries for change in entry.changes]  # noqa: E731
            self.push_screen(MarketplaceScreen(self.host.storefront, changes, plugin))

    def _gone_back_to(self, kind: type[_ScreenT]) -> _ScreenT | None:
        """A screen that is open already, on top again unless a dialog lies above it; None when it is not."""
        places = [place for place, screen in enumerate(self.screen_stack) if isinstance(screen, kind)]
        if not places:
            return None
        above = self.screen_stack[places[-1] + 1 :]
        if not any(isinstance(screen, ModalScreen) for screen in above):
            for _ in above:
                self.pop_screen()
        found = self.screen_stack[places[-1]]
        return found if isinstance(found, kind) else None

    def on_plugins_screen_market_asked(self, event: PluginsScreen.MarketAsked) -> None:
        """The plugins screen asks for all that is known of a plugin."""
        self.show_marketplace(event.plugin)

    def action_models(self) -> None:
        """Choose the model that answers."""
        self._choose_model()

    def _choose_model(self, providers: Sequence[str] | None = None) -> None:
        """Let the user choose a model; of these providers only, if any are named."""
        from tui.screens.models import ModelsScreen

        if isinstance(self.screen, ModelsScreen):
            return

        def use(choice: ModelChoice | None) -> None:
            if choice is not None:
                self.run_worker(self.chat.use_model(choice), group="model", exit_on_error=False)

        self.push_screen(ModelsScreen(self.host, self.chat.choice, providers), use)

    def action_connections(self) -> None:
        """Show the accounts that are connected; where there is none, what can be connected."""
        from tui.screens.connections import ConnectionsScreen

        if not any(isinstance(screen, ConnectionsScreen) for screen in self.screen_stack):
            self.push_screen(ConnectionsScreen(self.host), self._use_connected)

    def connect(self, plugin: str | None = None) -> None:
        """Sign in to a provider.

        Args:
            plugin: the name of its plugin; None lets the user choose.
        """
        from tui.screens.connect import ConnectScreen

        if not any(isinstance(screen, ConnectScreen) for screen in self.screen_stack):
            self.push_screen(ConnectScreen(self.host, plugin), self._use_connected)

    def action_connect(self) -> None:
        """Choose a provider and sign in to it."""
        self.connect()

    def on_plugins_screen_connect_asked(self, event: PluginsScreen.ConnectAsked) -> None:
        """The plugins screen asks to sign in to a plugin."""
        self.connect(event.plugin)

    def _use_connected(self, connected: Connected | None) -> None:
        """Go on to the models of what was connected, and from there to the chat."""
        if connected is None:
            return
        while len(self.screen_stack) > 1 and not isinstance(self.screen, ChatScreen):
            self.screen.dismiss(None)  # whoever waits for what it gives must not wait for ever
        names = [entry.name for entry in self.host.registry.providers() if entry.plugin == connected.plugin]
        if names:
            self._choose_model(names)

    def action_history(self) -> None:
        """Show earlier conversations."""
        from tui.screens.history import HistoryScreen

        if isinstance(self.screen, HistoryScreen):
            return

        def go_on(conversation_id: int | None) -> None:
            if conversation_id is not None:
                self.run_worker(self.chat.open(conversation_id), group="open", exit_on_error=False)

        self.push_screen(HistoryScreen(self.host, self.chat.conversation.id), go_on)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The command palette: every binding that has a description, then what Textual offers."""
        for section in sections([screen, self], {}):
            for binding in section.bindings:
                if screen.check_action(binding.action, ()) is False:
                    continue
                callback = self._runner(screen, binding.action)
                yield SystemCommand(binding.description, binding.tooltip, callback)
        for command in super().get_system_commands(screen):
            if command.title not in ("Quit", "Keys"):
                yield command

    def _runner(self, screen: Screen[object], action: str) -> Callable[[], object]:
        target = screen if hasattr(screen, f"action_{action}") else self

        async def run() -> None:
            await self.run_action(action, default_namespace=target)

        return run
