"""Adds a marketplace: its address, then the root of trust that it offers, and an explicit yes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from registry.errors import JackfieldError
from registry.text import safe_text
from tui.screens.leaving import Leaving

if TYPE_CHECKING:
    from registry.marketplace.trust import RootOffer
    from tui.marketplace import Storefront

_EXPLAINED: Final = (
    "The https address of a marketplace, or a folder on this machine.\n"
    "Before anything is added you see the fingerprint of its root of trust."
)

_MOST_KEYS: Final = 8


class AddMarketplaceScreen(ModalScreen[str | None], Leaving[str | None]):
    """Gives the name of what was added; None when nothing was.

    Args:
        storefront: where it is added.
    """

    DEFAULT_CSS = """
    AddMarketplaceScreen { align: center middle; }
    AddMarketplaceScreen > Vertical {
        width: 76; max-width: 98%; height: auto; max-height: 96%;
        background: $surface; border: round $border; padding: 1 2;
    }
    AddMarketplaceScreen Input, AddMarketplaceScreen Input:focus {
        border: none; height: 1; padding: 0 1; margin: 0 0 1 0; background: $panel;
    }
    AddMarketplaceScreen VerticalScroll { height: auto; max-height: 100%; scrollbar-size-vertical: 1; }
    AddMarketplaceScreen #said { height: auto; }
    """
    AUTO_FOCUS = "Input"
    BINDING_GROUP_TITLE = "Add a marketplace"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "back", "Back", id="add_marketplace.back", tooltip="Back; nothing is added"),
        Binding("y", "agree", "Agree", id="add_marketplace.agree", tooltip="Trust this root, and add it"),
    ]

    def __init__(self, storefront: Storefront) -> None:
        super().__init__()
        self._storefront = storefront
        self._answer: asyncio.Future[bool] | None = None
        """Waits while an offer is shown."""

    def compose(self) -> ComposeResult:
        """The address, and below it what came of it."""
        with Vertical() as box:
            box.border_title = "Add a marketplace"
            yield Input(placeholder="https://plugins.example.org/")
            with VerticalScroll(can_focus=False):
                yield Static(id="said")

    def on_mount(self) -> None:
        """Say what is asked for."""
        self._say(Content.styled(_EXPLAINED, "$foreground-muted"), "Enter looks at it, Esc goes back")

    def on_resize(self) -> None:
        """Scroll what is too long for the screen."""
        self.query_one(VerticalScroll).styles.max_height = max(3, self.size.height - 8)

    def on_unmount(self) -> None:
        """Nobody answers any more."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(False)

    def _say(self, content: Content, keys: str) -> None:
        self.query_one("#said", Static).update(content)
        self.query_one(Vertical).border_subtitle = keys

    @on(Input.Submitted)
    def _look(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self._add(event.value.strip())

    @work(group="add", exclusive=True, exit_on_error=False)
    async def _add(self, where: str) -> None:
        from registry.marketplace.sources import add_source  # brings what reads signed metadata

        field = self.query_one(Input)
        field.disabled = True
        self._say(Content("Asking for its root of trust…"), "Esc goes back")
        try:
            source = await add_source(self._storefront.paths, where, confirm=self._confirm)
            if source is None:
                self.leave(None)
                return
            self._say(Content("Added. Fetching its catalogue…"), "Esc goes back; it is added")
            await self._storefront.refresh()
        except JackfieldError as error:
            self._fail(error)
        else:
            self.leave(source.name)

    def _fail(self, error: JackfieldError) -> None:
        parts = [Content.styled(error.title, "$error bold")]
        parts += [Content(safe_text(text)) for text in (error.detail, error.hint) if text]
        self._say(Content("\n").join(parts), "Enter tries again, Esc goes back")
        field = self.query_one(Input)
        field.disabled = False
        field.focus()

    async def _confirm(self, offer: RootOffer) -> bool:
        self._answer = asyncio.get_running_loop().create_future()
        self._say(offer_text(offer), "y agrees and adds it, Esc or n does not")
        self.refresh_bindings()
        try:
            return await self._answer
        finally:
            self._answer = None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what is seen can be agreed to."""
        return self._answer is not None if action == "agree" else True

    def action_agree(self) -> None:
        """Trust what is shown."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(True)

    def action_back(self) -> None:
        """Add nothing."""
        self.dismiss(None)


def offer_text(offer: RootOffer) -> Content:
    """What the user agrees to when adding a marketplace."""
    digits = [offer.fingerprint[start : start + 4] for start in range(0, len(offer.fingerprint), 4)]
    rows = [" ".join(digits[start : start + 8]) for start in range(0, len(digits), 8)]
    keys = len(offer.keys)
    lines = [
        Content.assemble(("Address      ", "$foreground-muted"), safe_text(offer.url, single_line=True)),
        *(
            Content.assemble(
                ("Fingerprint  " if not number else "             ", "$foreground-muted"),
                (row, "bold $accent"),
            )
            for number, row in enumerate(rows)
        ),
        Content.assemble(
            ("Keys         ", "$foreground-muted"),
            f"{keys}; {offer.threshold} of {keys} must sign a change of keys",
        ),
        *(
            Content.assemble("             ", (safe_text(key[:16], single_line=True), "$foreground-muted"))
            for key in offer.keys[:_MOST_KEYS]
        ),
        Content.assemble(("Valid until  ", "$foreground-muted"), f"{offer.expires:%Y-%m-%d}"),
        Content(""),
        Content("Compare the fingerprint with the one that its owner publishes elsewhere."),
        Content.styled(
            "Whoever holds these keys decides what this marketplace offers you. Every plugin asks you again.",
            "$foreground-muted",
        ),
    ]
    return Content("\n").join(lines)
