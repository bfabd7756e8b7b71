"""Everything about one plugin on a screen of its own, where there is no room beside the list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from tui.market_text import Standing, note_of
from tui.screens.marketplace_actions import MarketplaceActions
from tui.widgets.key_lines import KeyLines
from tui.widgets.plugin_pane import PluginPane

if TYPE_CHECKING:
    from registry.changes import HookChange
    from registry.marketplace.rows import Row
    from tui.marketplace import Storefront


class MarketplaceDetailScreen(MarketplaceActions):
    """The pages of one plugin.

    Args:
        storefront: what the screen stands on.
        row: which plugin.
        changes: what hooks changed in the open conversation.
    """

    CSS_PATH = "marketplace.tcss"
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Back", id="marketplace.close", tooltip="Back to the list"),
    ]

    def __init__(self, storefront: Storefront, row: Row, changes: Callable[[], Sequence[HookChange]]) -> None:
        super().__init__(storefront)
        self._row = row
        self._changes = changes
        self._end: Callable[[], None] | None = None

    def compose(self) -> ComposeResult:
        """The pages, and what there is to say."""
        yield PluginPane(self.storefront, self._changes)
        yield Static(id="note", markup=False)
        yield KeyLines()

    def on_mount(self) -> None:
        """Show the plugin, and follow every change of it."""
        self._end = self.storefront.subscribe(self.changed)
        self.changed()
        self.pane.focus_page()

    def on_unmount(self) -> None:
        """Stop following."""
        if self._end is not None:
            self._end()

    def on_screen_resume(self) -> None:
        """Back from above: something may wait for an answer."""
        self.ask_if_asked()

    def standing(self) -> Standing | None:
        """The plugin, as it stands now."""
        return self.storefront.standing(self._row)

    def changed(self) -> None:
        """Show how it stands now."""
        standing = self.storefront.standing(self._row)
        self.pane.show(standing)
        self.query_one("#note", Static).update(note_of(standing))
        self.refresh_bindings()
        self.call_after_refresh(self.ask_if_asked)

    def action_turn(self, step: int) -> None:
        """Another page, which takes the keys."""
        super().action_turn(step)
        self.pane.focus_page()
