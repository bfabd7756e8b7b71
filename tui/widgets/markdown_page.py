"""Markdown of somebody else to read, drawn as the conversation is; links in it lead nowhere."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import BindingType

from registry.text import safe_text
from tui.transcript import LinkClicked, Transcript, TranscriptMessage


class MarkdownPage(Transcript, inherit_bindings=False):
    """One text, from its beginning."""

    BINDINGS: ClassVar[list[BindingType]] = [*Transcript.SCROLL_KEYS]
    BINDING_GROUP_TITLE = "Page"

    def show(self, markdown: str) -> None:
        """Show a text; it is made safe here, whatever its origin."""
        self.load([TranscriptMessage("page", "assistant", safe_text(markdown, limit=200_000))])
        self.following = False
        self.call_after_refresh(self.action_scroll_home)

    @on(LinkClicked)
    def _keep_link(self, event: LinkClicked) -> None:
        event.stop()
        where = safe_text(event.url, single_line=True, limit=300)
        self.notify(f"Links of plugins are not opened: {where}", markup=False)
