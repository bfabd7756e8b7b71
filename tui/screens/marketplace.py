"""The marketplace: every plugin there is in one list, those of the app among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, overload

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from registry.marketplace.kept import OLD_AFTER_DAYS
from registry.marketplace.link import PREFIX
from registry.text import counted
from tui.market_facets import SORT_WORDS, Facets
from tui.market_jobs import JobState
from tui.market_text import Standing, change_words, legend, note_of, standing_row
from tui.screens.marketplace_actions import MarketplaceActions
from tui.widgets.key_lines import KeyLines
from tui.widgets.plugin_pane import PluginPane
from tui.widgets.row_list import Row, RowList
from tui.widgets.typed import typed
from tui.words import age_words

if TYPE_CHECKING:
    from registry.changes import HookChange
    from registry.marketplace import rows
    from tui.marketplace import Storefront

_NO_MARKETPLACE: Final = "No marketplace yet: all of this is on this machine already. a adds one."

_FIRST: Final = ""
"""In place of a key: whatever comes first."""


class _Listed(Sequence[Row]):
    """What was found, as rows that are made when they are looked at: nobody looks at ten thousand."""

    def __init__(self, found: Sequence[rows.Row], make: Callable[[rows.Row], Row]) -> None:
        self._found = found
        self._make = make

    def __len__(self) -> int:
        return len(self._found)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self._make(row) for row in self._found[index]]
        return self._make(self._found[index])


class _Plugins(RowList):
    """The list. Its Enter is not the screen's: that would be heeded before the arrows that came first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Open", id="marketplace.open", tooltip="Read everything about the plugin")
    ]


class MarketplaceScreen(MarketplaceActions):
    """Search as one types, choose, install, switch; with room, the details are beside the list.

    Args:
        storefront: what the screen stands on.
        changes: what hooks changed in the open conversation.
        wanted: the name of the plugin to begin with.
    """

    CSS_PATH = "marketplace.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (140, "-wide")]  # noqa: RUF012 - as Textual declares it
    AUTO_FOCUS = ".plugins"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash", "search", "Search", id="marketplace.search", priority=True, key_display="/",
            tooltip="Type to search in names, summaries, tags and contributions",
        ),
        Binding("f", "facets", "Filter", id="marketplace.facets", tooltip="Show only some kinds of plugins"),
        Binding("o", "sort", "Order", id="marketplace.sort", tooltip="Best match, name, newest"),
        Binding(
            "enter,down", "to_list", "To the list", id="marketplace.to_list", priority=True,
            tooltip="From the search to the list",
        ),
        Binding("a", "add", "Add marketplace", id="marketplace.add", tooltip="Add a marketplace"),
        Binding("r", "refresh", "Refresh", id="marketplace.refresh", tooltip="Ask the marketplaces anew"),
        Binding("escape", "back", "Back", id="marketplace.back", tooltip="Clear the search, or leave"),
    ]  # fmt: skip

    plugins = getters.query_one(".plugins", RowList)

    def __init__(
        self,
        storefront: Storefront,
        changes: Callable[[], Sequence[HookChange]] = lambda: (),
        wanted: str | None = None,
    ) -> None:
        super().__init__(storefront)
        self._changes = changes
        self._wanted = wanted
        self._facets = Facets()
        self._rows: dict[str, tuple[rows.Row, Row]] = {}
        """What was looked at once, with its row."""
        self._index: object = None
        self._count = 0
        self._said = ""
        """What was done last, in few words."""
        self._end: Callable[[], None] | None = None

    def compose(self) -> ComposeResult:
        """Title, search, list beside the details, and what there is to say."""
        yield Static(id="title", markup=False)
        yield Input(id="search", placeholder="/ searches names, summaries, tags, commands, providers")
        with Horizontal(id="body"):
            yield _Plugins(classes="plugins -lit")
            yield PluginPane(self.storefront, self._changes)
        yield Static(id="note", markup=False)
        yield KeyLines()

    def on_mount(self) -> None:
        """Show what is on this machine at once, and ask the marketplaces when that is old."""
        self._end = self.storefront.subscribe(self.changed)
        self._title()
        self._load()

    def on_unmount(self) -> None:
        """Stop following."""
        if self._end is not None:
            self._end()

    @work(group="load", exclusive=True, exit_on_error=False)
    async def _load(self) -> None:
        if not self.storefront.loaded:
            await self.storefront.load()
        await self.storefront.follow_others()
        if self._index is not self.storefront.index:
            self._list()
        self.call_after_refresh(self._go_to_wanted)  # only then is it known where to scroll to
        days = self.storefront.oldest_days()
        missing = self._wanted is not None and self._wanted_key() is None
        if self.storefront.sources and (days is None or days >= 1 or missing):
            await self._refresh()

    def _go_to_wanted(self) -> None:
        """To what was asked for, by a link perhaps; until then it is waited for."""
        key = self._wanted_key()
        if key is not None:
            self._wanted = None
            self._list(key)

    async def _refresh(self) -> None:
        await self.storefront.refresh()
        self.pane.forget()

    def go_to(self, wanted: str | None) -> None:
        """To another plugin than the one that it was opened with, if one is named."""
        if wanted is not None:
            self._wanted = wanted
            self.query_one("#search", Input).value = ""
            self._load()

    def _wanted_key(self) -> str | None:
        if self._wanted is None:
            return None
        known = [row for row in self.storefront.index.rows if self._wanted in (row.name, row.id)]
        here = [row for row in known if not row.marketplace or self.storefront.index.is_installed(row)]
        return _key((here or known)[0]) if known else None

    def on_screen_resume(self) -> None:
        """Back from above: something may wait for an answer."""
        self.ask_if_asked()

    def standing(self) -> Standing | None:
        """The plugin under the cursor."""
        key = self.plugins.key
        listed = self._rows.get(key) if key is not None else None
        return self.storefront.standing(listed[0]) if listed else None

    def changed(self) -> None:
        """Something is installed, switched, loaded: list anew if the list itself is new, else only redraw."""
        if self.storefront.index is not self._index or self._facets.only & {"installed", "updates"}:
            self._list()
        else:
            self.plugins.redraw()
            self._show()
        self._go_to_wanted()
        self._title()
        self._tell_of_unlisted()
        self.call_after_refresh(self.ask_if_asked)

    def _tell_of_unlisted(self) -> None:
        """What is up to date is gone from a list of updates: say what became of it."""
        for job in self.storefront.jobs.all():
            if job.state is not JobState.DONE or job.told or job.change is None:
                continue
            job.told = True
            found = self._facets.search(self.storefront.index, self._searched())
            if all(row.key != job.key for row in found):
                self.notify(change_words(job.change), markup=False)

    def _list(self, keep: str | None = None, *, only_found: bool = False) -> None:
        """List what fits; the cursor goes to the row of this key, else stays on its plugin."""
        index = self.storefront.index
        wanted = self.plugins.key if keep is None else keep  # asked for first: it makes the row anew
        if index is not self._index:
            self._rows.clear()
            self._index = index
        found = self._facets.search(index, self._searched())
        self._count = len(found)
        listed = _Listed(found, self._row)
        first = listed[0].key if found else None
        place = first if wanted in (None, _FIRST) else wanted
        self.plugins.set_rows(listed, keep=place, only_found=only_found)
        self._title()

    def _searched(self) -> str:
        text = self.query_one("#search", Input).value
        return text.strip().removeprefix(PREFIX)

    def _row(self, row: rows.Row) -> Row:
        key = _key(row)
        if key not in self._rows:
            self._rows[key] = (row, Row(key, self._drawer(row)))
        return self._rows[key][1]

    def _drawer(self, row: rows.Row) -> Callable[[int], Content]:
        return lambda width: standing_row(self.storefront.standing(row), width)

    @on(RowList.Moved)
    def _show(self) -> None:
        standing = self.standing()
        if self.pane.display:
            self.pane.show(standing)
        self.query_one("#note", Static).update(note_of(standing) if standing else self._nothing())
        self.refresh_bindings()

    def _nothing(self) -> Content:
        if not self.storefront.loaded:
            return Content("")
        return Content.styled(
            "No plugin fits. Esc clears the search, f then c the filter.", "$foreground-muted"
        )

    def on_descendant_blur(self) -> None:
        """What came while one typed may be asked now."""
        self.call_after_refresh(self.ask_if_asked)

    def on_resize(self) -> None:
        """The details appear or go."""
        self.call_after_refresh(self._show)

    def _title(self) -> None:
        shop = self.storefront
        parts: list[Content | str | tuple[str, str]] = [("Marketplace", "bold")]
        if not shop.loaded:
            parts.append("  looking for plugins…")
        else:
            total = len(shop.index)
            shown = f"{self._count} of " if self._count != total else ""
            parts.append(f"  {shown}{counted(total, 'plugin')}")
        if self._facets.words:
            parts.append((f"  only {self._facets.words}", "$accent"))
        parts.append(f"  by {SORT_WORDS[self._facets.sort]}")
        running = sum(job.running for job in shop.jobs.all())
        failed = sum(job.state == "failed" for job in shop.jobs.all())
        parts += [(f"  ◐ {running} under way", "$accent")] if running else []
        parts += [(f"  ✗ {failed} failed", "$error")] if failed else []
        parts += [(f"  {self._said}", "$success")] if self._said else []
        meant = ", ".join(shop.index.guesses.values())
        parts += [(f"  for {meant}", "$warning")] if meant else []
        self.query_one("#title", Static).update(Content.assemble(*parts, *self._freshness()))

    def _freshness(self) -> list[Content | str | tuple[str, str]]:
        shop = self.storefront
        if shop.trouble is not None:
            return [(f"\n{shop.trouble.title}. {shop.trouble.hint}", "$error")]
        if shop.refreshing:
            return [("\nAsking the marketplaces…", "$accent")]
        if shop.loaded and self._wanted is not None:
            return [(f"\nNo marketplace that you added has {self._wanted}. a adds one.", "$warning")]
        if shop.loaded and not shop.sources:
            return [(f"\n{_NO_MARKETPLACE}", "$warning")]
        days = shop.oldest_days()
        if shop.problems:
            error = next(iter(shop.problems.values()))
            age = f"What came {age_words(days)} is shown" if days is not None else "Nothing of it is here"
            return [(f"\n{error.title}. {age}. r tries again.", "$warning")]
        if days is not None and days > OLD_AFTER_DAYS:
            return [(f"\nFetched {age_words(days)}: too old to install from. r refreshes.", "$warning")]
        return ["\n", legend().stylize("$foreground-muted")]

    @on(Input.Changed, "#search")
    def _search(self) -> None:
        """The best match is what one wants while typing, and no longer what a link led to."""
        self._wanted = None
        self._list(keep=_FIRST, only_found=True)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In the search `/` and letters are text, and Enter leaves it."""
        searching = isinstance(self.focused, Input)
        if action in ("search", "to_list"):
            return searching is (action == "to_list")
        return super().check_action(action, parameters)

    def action_search(self) -> None:
        """Type what to look for; the next key is already a part of it."""
        self.set_focus(self.query_one("#search", Input))

    async def action_to_list(self) -> None:
        """From the search to what it found, before the next key is looked at."""
        await typed(self.query_one("#search", Input))
        self._list(keep=_FIRST)
        self.set_focus(self.plugins)

    def action_facets(self) -> None:
        """Show fewer plugins."""
        from tui.screens.facets import FacetsScreen

        self.app.push_screen(FacetsScreen(self._facets, self._use_facets))

    def _use_facets(self, facets: Facets) -> None:
        self._facets = facets
        self._list()

    def action_sort(self) -> None:
        """The next order."""
        orders = list(SORT_WORDS)
        following = orders[(orders.index(self._facets.sort) + 1) % len(orders)]
        self._use_facets(self._facets.toggled(following.value))

    @on(RowList.Chosen)
    def _open(self) -> None:
        """Read everything: in the pages beside the list, or on a screen of their own."""
        from tui.screens.marketplace_detail import MarketplaceDetailScreen

        standing = self.standing()
        if standing is None:
            return
        if self.pane.display:
            self.pane.focus_page()
        else:
            self.app.push_screen(MarketplaceDetailScreen(self.storefront, standing.row, self._changes))

    def action_add(self) -> None:
        """Add a marketplace."""
        from tui.screens.add_marketplace import AddMarketplaceScreen

        self.app.push_screen(AddMarketplaceScreen(self.storefront), self._added)

    def _added(self, name: str | None) -> None:
        if name is not None:
            self._said = f"added {name}"
            self._title()

    @work(group="load", exclusive=True, exit_on_error=False)
    async def action_refresh(self) -> None:
        """Ask the marketplaces for what is new."""
        await self._refresh()

    def action_back(self) -> None:
        """From the pages to the list, from a search to everything, then to the chat."""
        search = self.query_one("#search", Input)
        if self.pane.has_focus_within:
            self.set_focus(self.plugins)
        elif search.has_focus or search.value:
            search.value = ""
            self.set_focus(self.plugins)
        else:
            self.dismiss()


def _key(row: rows.Row) -> str:
    return f"{row.marketplace}:{row.id}"
