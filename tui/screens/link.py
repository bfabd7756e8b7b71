"""Asks before a link from an answer is opened, and shows where it really goes."""

from __future__ import annotations

import os
from typing import ClassVar
from urllib.parse import urlsplit

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from registry.text import safe_text


class LinkScreen(ModalScreen[None]):
    """A link's whole address, and what can be done with it.

    Args:
        url: where it goes; only https addresses can be opened.
    """

    DEFAULT_CSS = """
    LinkScreen { align: center middle; }
    LinkScreen Vertical {
        width: 76; max-width: 96%; height: auto; background: $surface; border: round $border; padding: 1 2;
    }
    """
    BINDING_GROUP_TITLE = "Link"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "open", "Open in browser", id="link.open", tooltip="Open the address in the browser"),
        Binding("c", "copy", "Copy", id="link.copy", tooltip="Copy the address"),
        Binding("escape,q", "dismiss", "Close", id="link.close", tooltip="Back to the chat"),
    ]

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = safe_text(url, single_line=True, limit=2000)

    @property
    def _can_open(self) -> bool:
        return urlsplit(self._url).scheme == "https"

    def compose(self) -> ComposeResult:
        """The address and the keys."""
        keys = (
            "o opens it in the browser, c copies it, Esc closes"
            if self._can_open
            else "c copies it, Esc closes"
        )
        with Vertical() as box:
            box.border_title = "Link"
            yield Static(Content(self._url))
            yield Static(Content(""))
            yield Static(Content.styled(keys, "$foreground-muted"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Opening is offered for https only."""
        return self._can_open if action == "open" else True

    def action_open(self) -> None:
        """Open the address in the browser."""
        from registry.oauth import open_browser  # it brings what a sign-in needs, which takes a while

        if open_browser(self._url, os.environ):
            self.dismiss()
        else:
            self.notify("No browser starts. c copies the address.", severity="warning", markup=False)

    def action_copy(self) -> None:
        """Copy the address."""
        self.app.copy_to_clipboard(self._url)
        self.notify("Copied the address.", markup=False)
        self.dismiss()
