"""What a start is compared with: a Textual app that does nothing, made of the widgets that any chat needs."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Footer, Header, TextArea


class BareApp(App[None]):
    """Header, scroll, text area, footer."""

    def compose(self) -> ComposeResult:
        """The widgets."""
        yield Header()
        yield VerticalScroll()
        yield TextArea()
        yield Footer()

    def on_mount(self) -> None:
        """Let keys go to the text area."""
        self.query_one(TextArea).focus()


if __name__ == "__main__":
    BareApp().run()
