"""What can be done with the plugin that a marketplace screen shows, by the same keys on each of them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input

from registry.errors import JackfieldError
from registry.states import PluginState
from tui.market_jobs import Job, JobState
from tui.market_report import report
from tui.market_text import Origin, Standing, change_words
from tui.screens.consent import ConsentScreen
from tui.screens.remove_plugin import Removal, RemoveScreen
from tui.widgets.plugin_pane import PluginPane

if TYPE_CHECKING:
    from registry.marketplace.consent import Request
    from tui.market_pages import VersionLine
    from tui.marketplace import Storefront


def _key(key: str, action: str, word: str, tooltip: str) -> Binding:
    return Binding(key, action, word, id=f"marketplace.{action}", tooltip=tooltip)


class MarketplaceActions(Screen[None]):
    """A screen with a plugin at hand.

    Args:
        storefront: what the screen stands on.
    """

    BINDING_GROUP_TITLE = "Marketplace"
    BINDINGS: ClassVar[list[BindingType]] = [
        _key("space", "switch", "On/off", "Switch the plugin on or off, at once and from now on"),
        _key("i", "install", "Install", "See what it asks for, and install it"),
        _key("u", "update", "Update", "Install the newest version"),
        _key("x", "stop", "Stop", "Stop this installation; what was there stays"),
        _key("t", "retry", "Try again", "Do again what failed"),
        _key("v", "review", "Review", "See what it asks for, and agree or not"),
        _key("w", "install_now", "Don't wait", "Install a version that is younger than the minimum age"),
        _key("s", "sign_in", "Sign in", "Sign in to what the plugin offers"),
        _key("z", "roll_back", "Roll back", "Go back to the version before"),
        _key("p", "pin", "Pin", "Have updates leave it as it is"),
        _key("p", "unpin", "Unpin", "Have updates change it again"),
        _key("d", "remove", "Remove", "Remove the plugin from this machine; asks once"),
        _key("c", "copy", "Copy report", "Copy all that is known of the plugin, for its author"),
        Binding(
            "right,l", "turn(1)", "Page", id="marketplace.next_page", priority=True, tooltip="The next page",
            key_display="←→",
        ),
        Binding(
            "left,h", "turn(-1)", "Page before", id="marketplace.page_before", show=False, priority=True,
            tooltip="The page before",
        ),
    ]  # fmt: skip

    def __init__(self, storefront: Storefront) -> None:
        super().__init__()
        self.storefront = storefront

    def standing(self) -> Standing | None:
        """The plugin at hand."""
        raise NotImplementedError

    @property
    def pane(self) -> PluginPane:
        """Its pages."""
        return self.query_one(PluginPane)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what can be done with the plugin at hand is offered; what is typed into a field is text."""
        if action == "turn":
            return not isinstance(self.focused, Input) and self.pane.display
        if action == "use_version" and self.pane.version is None:
            return False
        able = _ABLE.get(action)
        if able is None:
            return True
        standing = self.standing()
        if standing is None or self.storefront.is_busy(standing.row.id):
            return False
        if (line := self.pane.version) is not None and action in _OF_A_VERSION:
            return _idle(standing) and _OF_A_VERSION[action](standing, line)
        return able(standing)

    def action_turn(self, step: int) -> None:
        """Another page."""
        self.pane.turn(step)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        """Have the app do something: how it ends is told on whatever screen is open then."""
        self.app.run_worker(self._told(work), group="marketplace", exit_on_error=False)

    async def _told(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except JackfieldError as error:
            self._tell(error)

    def _tell(self, error: JackfieldError) -> None:
        self.app.notify(str(error), severity="error", timeout=10, markup=False)

    def changed(self) -> None:
        """Show how things stand now."""
        raise NotImplementedError

    @work(group="switch", exit_on_error=False)
    async def action_switch(self) -> None:
        """Switch the plugin at hand."""
        standing = self.standing()
        if standing is None or standing.handle is None:
            return
        handle = standing.handle
        if handle.state is PluginState.NEEDS_REVIEW:
            self.action_review()
            return
        try:
            await self.storefront.toggle(handle)
        except JackfieldError as error:
            self._tell(error)
        self.changed()

    def action_install(self) -> None:
        """Install the newest version, or the one under the cursor."""
        standing = self.standing()
        if standing is not None:
            version = self.pane.version
            self._begin(standing, version.version if version else None)

    @on(PluginPane.VersionChosen)
    def _use_version(self) -> None:
        """Have the version under the cursor: go back to it where it is kept, else install it."""
        standing, line = self.standing(), self.pane.version
        if standing is None or line is None or line.current or not _idle(standing):
            return
        if line.kept:
            self.action_roll_back()
        else:
            self._begin(standing, line.version)

    def action_update(self) -> None:
        """Install the newest version."""
        standing = self.standing()
        if standing is not None:
            self._begin(standing, None)

    def action_retry(self) -> None:
        """Begin again what failed."""
        standing = self.standing()
        if standing is not None and standing.job is not None:
            self._begin(standing, standing.job.version, ignore_age=standing.job.ignore_age)

    def action_install_now(self) -> None:
        """Install it although it is young."""
        standing = self.standing()
        if standing is not None:
            line = self.pane.version
            self._begin(standing, line.version if line else standing.row.version, ignore_age=True)

    def _begin(self, standing: Standing, version: str | None, *, ignore_age: bool = False) -> None:
        self.storefront.install(standing.row, version, ignore_age=ignore_age)
        self.changed()

    def action_stop(self) -> None:
        """Stop the installation of the plugin at hand."""
        standing = self.standing()
        if standing is not None and standing.job is not None:
            self.storefront.jobs.cancel(standing.job)

    def ask_if_asked(self) -> None:
        """Put what an installation asks for before the user, when one waits and nothing lies above.

        Not while they type: the letters are meant for the search, and must not answer.
        """
        job = self.storefront.jobs.asking()
        if job is not None and self.is_current and not isinstance(self.focused, Input):
            self._ask(job)

    def _ask(self, job: Job) -> None:
        if job.request is None or job.plan is None or job.shown:
            return
        job.shown = True

        def answer(agreed: bool | None) -> None:
            self.storefront.jobs.answer(job, agreed=agreed is True)

        self.app.push_screen(ConsentScreen(job.request, _origin(job)), answer)

    def action_review(self) -> None:
        """Show what an installed plugin, or a waiting installation, asks for."""
        standing = self.standing()
        if standing is None:
            return
        if standing.job is not None and standing.job.state is JobState.ASKING:
            self._ask(standing.job)
            return
        self._run(self.storefront.review(standing, self._confirm))

    async def _confirm(self, request: Request, origin: Origin) -> bool:
        return await self.app.push_screen_wait(ConsentScreen(request, origin)) is True

    def action_sign_in(self) -> None:
        """Sign in to what the plugin offers."""
        standing = self.standing()
        if standing is not None and standing.handle is not None:
            self.post_message(_connect_asked(standing.handle.name))

    def action_roll_back(self) -> None:
        """Go back to the version under the cursor, or the one before."""
        standing = self.standing()
        if standing is not None:
            line = self.pane.version
            to = line.version if line is not None and line.kept else None
            self._run(self._roll_back(standing.row.id, to))

    async def _roll_back(self, plugin_id: str, to: str | None) -> None:
        change = await self.storefront.roll_back(plugin_id, to)
        self.app.notify(change_words(change), markup=False)

    def action_pin(self) -> None:
        """Have updates leave the plugin as it is."""
        self._pin(pinned=True)

    def action_unpin(self) -> None:
        """Have updates change it again."""
        self._pin(pinned=False)

    def _pin(self, *, pinned: bool) -> None:
        standing = self.standing()
        if standing is not None:
            self._run(self.storefront.pin(standing.row.id, pinned=pinned))

    def action_remove(self) -> None:
        """Remove the plugin, after asking what of it."""
        standing = self.standing()
        if standing is None:
            return

        def remove(removal: Removal | None) -> None:
            if removal is not None:
                self._run(self.storefront.remove(standing.row, data=removal.data, secrets=removal.secrets))

        self.app.push_screen(RemoveScreen(standing.row.id), remove)

    def action_copy(self) -> None:
        """Copy what is known of the plugin, and why it failed."""
        standing = self.standing()
        if standing is not None:
            self.app.copy_to_clipboard(report(standing))
            self.notify(f"Copied the report on {standing.row.id}.", markup=False)


def _connect_asked(plugin: str) -> Message:
    from tui.screens.plugins import PluginsScreen

    return PluginsScreen.ConnectAsked(plugin)


def _origin(job: Job) -> Origin:
    plan = job.plan
    if plan is None:
        return Origin(job.marketplace, "", 0)
    before = plan.before
    return Origin(
        plan.found.marketplace.source.name,
        plan.version.artefact.sha256,
        plan.version.artefact.size,
        before.current.version if before else "",
        before.current.artefact if before else "",
    )


def _idle(standing: Standing) -> bool:
    return standing.job is None or not standing.job.running


def _sold(standing: Standing) -> bool:
    """Whether it is installed from a marketplace, and nothing is under way."""
    return bool(standing.installed) and _idle(standing)


def _can_install(standing: Standing) -> bool:
    offered = bool(standing.row.marketplace) and not standing.unfit
    return offered and _idle(standing) and not standing.has_update


def _is_young(standing: Standing) -> bool:
    """Whether its age alone may keep it out."""
    return standing.ready_at is not None and _idle(standing) and not standing.unfit and not standing.pinned


def _can_sign_in(standing: Standing) -> bool:
    handle = standing.handle
    if handle is None or handle.manifest.problem:
        return False
    return any(entry.data.get("type") != "no_auth" for entry in handle.manifest.auth_methods)


def _needs_answer(standing: Standing) -> bool:
    if standing.job is not None and standing.job.state is JobState.ASKING:
        return True
    return standing.handle is not None and standing.handle.state is PluginState.NEEDS_REVIEW


_ABLE: dict[str, Callable[[Standing], bool]] = {
    "switch": lambda standing: standing.handle is not None and _idle(standing),
    "install": lambda standing: _can_install(standing) and not standing.installed,
    "update": lambda standing: standing.has_update and _idle(standing) and not standing.pinned,
    "stop": lambda standing: not _idle(standing),
    "retry": lambda standing: standing.job is not None and standing.job.state is JobState.FAILED,
    "review": _needs_answer,
    "install_now": _is_young,
    "sign_in": _can_sign_in,
    "roll_back": lambda standing: standing.can_go_back and _idle(standing),
    "use_version": _idle,
    "pin": lambda standing: _sold(standing) and not standing.pinned,
    "unpin": lambda standing: _sold(standing) and standing.pinned,
    "remove": _sold,
    "copy": lambda _: True,
}
"""Whether an action can be done with a plugin."""
_OF_A_VERSION: dict[str, Callable[[Standing, VersionLine], bool]] = {
    "install": lambda _, line: not line.current and not line.kept,
    "roll_back": lambda standing, line: line.kept or standing.can_go_back,
    "use_version": lambda _, line: not line.current,
}
"""Whether it can be done with the version under the cursor, where one is."""
