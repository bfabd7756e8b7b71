"""Everything about one plugin, a page at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from registry.errors import JackfieldError
from registry.text import safe_text
from tui import market_pages
from tui.market_pages import TABS, Known, VersionLine
from tui.market_text import Standing
from tui.widgets.markdown_page import MarkdownPage
from tui.widgets.row_list import Row, RowList

if TYPE_CHECKING:
    from registry.changes import HookChange
    from registry.marketplace.consent import Ask
    from tui.marketplace import Storefront

_PATIENCE_S: Final = 0.2
"""A plugin that the cursor only passes over is not looked up."""


class _Versions(RowList):
    """The list of versions; which of them can be had, the screen knows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "choose", "This version", id="marketplace.use_version",
            tooltip="Have the version under the cursor: the one that is kept here, else install it",
        )
    ]  # fmt: skip

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The current version is there already."""
        return self.screen.check_action("use_version", ()) if action == "choose" else True


class PluginPane(Vertical):
    """The pages of the plugin that was shown last.

    Args:
        storefront: gives what is known of it.
        changes: what hooks changed in the open conversation.
    """

    DEFAULT_CSS = """
    PluginPane { height: 1fr; }
    PluginPane > #head { height: auto; max-height: 40%; padding: 0 1; }
    PluginPane > #tabs { height: 1; margin: 1 0; padding: 0 1; background: $surface; }
    PluginPane > MarkdownPage, PluginPane > #page-scroll, PluginPane > RowList { display: none; }
    PluginPane.-markdown > MarkdownPage { display: block; }
    PluginPane.-text > #page-scroll { display: block; }
    PluginPane.-versions > RowList { display: block; padding: 0 1; }
    PluginPane > #page-scroll { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    PluginPane > #page-scroll > Static { height: auto; }
    """

    class VersionChosen(Message):
        """The user wants to have the version under the cursor."""

    versions = getters.query_one(RowList)
    markdown = getters.query_one(MarkdownPage)

    def __init__(self, storefront: Storefront, changes: Callable[[], Sequence[HookChange]]) -> None:
        super().__init__()
        self._storefront = storefront
        self._changes = changes
        self._standing: Standing | None = None
        self._known: dict[object, Known | JackfieldError] = {}
        """What was found out, by plugin and installed version: what keeps it out depends on both."""
        self._meanwhile: Known | JackfieldError | None = None
        """What was shown of the plugin until its installed version changed, while that is looked up anew."""
        self._lines: list[VersionLine] = []
        self._shown: object = None
        self.tab = 0

    def compose(self) -> ComposeResult:
        """Head, tabs, and one of three kinds of page."""
        yield Static(id="head", markup=False)
        yield Static(id="tabs", markup=False)
        yield MarkdownPage()
        with VerticalScroll(id="page-scroll"):
            yield Static(id="page", markup=False)
        yield _Versions()

    @property
    def known(self) -> Known | None:
        """What was found out about the plugin that is shown."""
        known = self._found(self._standing) if self._standing else None
        return known if not isinstance(known, JackfieldError) else None

    def _found(self, standing: Standing) -> Known | JackfieldError | None:
        return self._known.get(_sign(standing), self._meanwhile)

    @property
    def version(self) -> VersionLine | None:
        """The version under the cursor; None but on the page of versions."""
        key = self.versions.key
        on_page = TABS[self.tab] == "Versions"
        return next((line for line in self._lines if line.version == key), None) if on_page else None

    def show(self, standing: Standing | None) -> None:
        """Show a plugin, or how it stands now."""
        before = self._standing
        moved = standing is None or before is None or standing.row.key != before.row.key
        self._meanwhile = None if moved or before is None else self._found(before)
        self._standing = standing
        if moved:
            self._shown = None
        self._draw()
        if moved:
            self.workers.cancel_group(self, "details")
        if standing is None or not standing.row.marketplace:
            return
        renewed = before is not None and standing.installed != before.installed
        if (moved or renewed) and _sign(standing) not in self._known:
            self._look_up(standing)

    def forget(self) -> None:
        """What was found out is old: look again."""
        self._known.clear()
        self._meanwhile = None
        self._shown = None
        if self._standing is not None and self._standing.row.marketplace:
            self._look_up(self._standing)
        self._draw()

    def turn(self, step: int) -> None:
        """Go to the next page, or the one before."""
        self.tab = (self.tab + step) % len(TABS)
        self._shown = None
        self._draw()

    def focus_page(self) -> None:
        """Give the keys to the page that is shown."""
        for widget in (self.markdown, self.query_one("#page-scroll"), self.versions):
            if widget.display:
                widget.focus()

    @work(group="details", exclusive=True, exit_on_error=False)
    async def _look_up(self, standing: Standing) -> None:
        await asyncio.sleep(_PATIENCE_S)
        try:
            self._known[_sign(standing)] = await self._storefront.known(standing.row)
        except JackfieldError as error:
            self._known[_sign(standing)] = error
        self._shown = None
        self._draw()
        self.screen.refresh_bindings()

    @on(RowList.Moved)
    def _another_version(self, event: RowList.Moved) -> None:
        event.stop()
        self.screen.refresh_bindings()

    @on(RowList.Chosen)
    def _choose_version(self, event: RowList.Chosen) -> None:
        event.stop()
        if self.version is not None:
            self.post_message(self.VersionChosen())

    def _draw(self) -> None:
        standing = self._standing
        self.query_one("#head", Static).update(
            market_pages.head(standing, self.known) if standing else Content("")
        )
        self.query_one("#tabs", Static).update(
            _tabs(self.tab, self.size.width - 2) if standing else Content("")
        )
        if standing is None:
            self._show_text(Content(""))
            return
        sign = (standing.row.key, self.tab, standing.installed, id(standing.handle), self.known is None)
        if TABS[self.tab] == "Cost" or not standing.row.marketplace or sign != self._shown:
            self._shown = sign
            self._draw_page(standing)

    def _draw_page(self, standing: Standing) -> None:
        known = self._found(standing)
        tab = TABS[self.tab]
        own = not standing.row.marketplace
        plugin = self._storefront.installed.get(standing.row.id) if standing.installed else None
        match tab:
            case "Versions" if not standing.in_app:
                self._show_versions(market_pages.version_lines(self.known, plugin))
            case "Versions":
                self._show_text(Content(f"{standing.row.version}. {market_pages.own_changes(standing)}"))
            case "Overview" if own:
                self._show_text(market_pages.own_overview(standing))
            case "Changelog" if own:
                self._show_text(market_pages.own_changes(standing))
            case "Cost":
                start_ms = self._storefront.start_ms(standing)
                self._show_text(market_pages.cost(standing, start_ms, self._changes()))
            case "Capabilities" if own or self.known:
                granted = plugin.granted() if plugin else None
                self._show_text(market_pages.capabilities(standing, self._asks(standing), granted))
            case _ if isinstance(known, JackfieldError):
                self._show_text(_trouble(known))
            case _ if known is None and not own:
                self._show_text(Content.styled("Looking it up…", "$foreground-muted"))
            case "Dependencies":
                names = [ask.what for ask in self._asks(standing) if ask.kind == "dependency"]
                self._show_text(market_pages.dependencies(standing, names))
            case _ if self.known is not None:
                details = self.known.details
                text = details.readme if tab == "Overview" else details.changelog
                self._show_markdown(text or f"*{standing.row.name} says nothing here.*")

    def _asks(self, standing: Standing) -> Sequence[Ask]:
        from registry.marketplace.consent import asks_of
        from registry.marketplace.grants import asked_by

        if standing.row.marketplace:
            return self.known.asks if self.known else ()
        if standing.installed:
            return asked_by(self._storefront.installed[standing.row.id].current)
        return asks_of(standing.handle.manifest) if standing.handle else ()

    def _show_text(self, content: Content) -> None:
        self._kind("-text")
        self.query_one("#page", Static).update(content)

    def _show_markdown(self, text: str) -> None:
        self._kind("-markdown")
        self.markdown.show(text)

    def _show_versions(self, lines: list[VersionLine]) -> None:
        self._kind("-versions")
        self._lines = lines
        self.versions.set_rows([Row(line.version, _drawer(line)) for line in lines])

    def _kind(self, kind: str) -> None:
        focused = self.has_focus_within
        for name in ("-text", "-markdown", "-versions"):
            self.set_class(name == kind, name)
        if focused:
            self.focus_page()


def _sign(standing: Standing) -> object:
    return standing.row.key, standing.installed


def _tabs(chosen: int, width: int) -> Content:
    """The names of the pages; where they have no room, the first ones give way to the one that is shown."""
    names = [
        Content.styled(name, "bold $accent underline" if number == chosen else "$foreground-muted")
        for number, name in enumerate(TABS)
    ]
    first = next(
        (
            start
            for start in range(chosen)
            if sum(len(name) + 2 for name in TABS[start : chosen + 1]) <= width
        ),
        chosen,
    )
    return Content("  ").join([*([Content("…")] if first else []), *names[first:]])


def _drawer(line: VersionLine) -> Callable[[int], Content]:
    return lambda _: market_pages.draw_version(line)


def _trouble(error: JackfieldError) -> Content:
    parts = [Content.styled(error.title, "$error bold")]
    parts += [Content(safe_text(text)) for text in (error.detail, error.hint) if text]
    return Content("\n").join(parts)
