"""Signing in with OAuth: the page to open or the code to type, and what is being waited for."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import ClassVar, Protocol

from textual import events, getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from registry.errors import JackfieldError
from registry.oauth import (
    ShowCode,
    ShowPage,
    SignedIn,
    SignInEvent,
    Waiting,
    has_display,
    open_browser,
    qr_lines,
)
from registry.text import safe_text
from tui.connection_text import countdown
from tui.screens.leaving import Leaving
from tui.widgets.big_letters import BigLetters
from tui.widgets.key_line import KeyLine

_WORDS_WIDTH = 40
"""Columns that the words keep beside a QR code."""
_URL_LIMIT = 4000


class SignIn(Protocol):
    """A sign-in that is shown: its events, until one is `SignedIn`."""

    def events(self) -> AsyncGenerator[SignInEvent, None]:
        """What happens."""
        ...


class PastedSignIn(SignIn, Protocol):
    """A sign-in that also takes what the user pastes."""

    def paste(self, text: str) -> str:
        """Take it; what is wrong with it, or nothing."""
        ...


class Page(Static, can_focus=True):
    """The address or the code, where Enter and c act."""


class SignInScreen(Leaving["SignedIn | JackfieldError | None"]):
    """A sign-in from its first event to its end. Gives its outcome; None when the user cancelled it.

    Args:
        title: what is signed in to.
        sign_in: the sign-in; closed with the screen.
        env: the environment, which says whether there is a browser.
        clock: seconds that only grow, for the time that is left.
    """

    CSS_PATH = "sign_in.tcss"
    AUTO_FOCUS = "#page"
    BINDING_GROUP_TITLE = "Sign in"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open page", id="sign_in.open", tooltip="Open the page in the browser"),
        Binding("c", "copy", "Copy", id="sign_in.copy", tooltip="Copy the code, or the address"),
        Binding("u", "copy_url", "Copy address", id="sign_in.copy_url", tooltip="Copy the page's address"),
        Binding("escape", "cancel", "Cancel", id="sign_in.cancel", tooltip="Stop signing in", priority=True),
    ]

    page = getters.query_one("#page", Page)
    state = getters.query_one("#state", Static)

    def __init__(
        self,
        title: str,
        sign_in: SignIn,
        *,
        env: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._title = title
        self._sign_in = sign_in
        self._env = env
        self._clock = clock
        self._url = ""
        self._code = ""
        self._waiting = "Getting ready"
        self._ends_at: float | None = None
        self._qr: list[str] = []

    def compose(self) -> ComposeResult:
        """Words on the left, a QR code on the right, the state below."""
        yield Static(Content(f"Sign in to {self._title}"), id="title")
        with Horizontal(id="columns"):
            with VerticalScroll(id="words", can_focus=False):
                yield Page(id="page")
                yield BigLetters()
                yield Static(id="note")
                yield Static(
                    Content("Browser on another machine? Paste the address that it ends on here."),
                    id="paste-note",
                    classes="-no-paste",
                )
                yield Input(id="paste", classes="-no-paste", placeholder="http://127.0.0.1:…")
                yield Static(id="paste-problem", classes="-no-paste", markup=False)
            yield Static(id="qr")
        yield Static(id="state")
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin."""
        self.query_one(BigLetters).display = False
        self._show_state()
        self.set_interval(1, self._show_state)
        self._run()

    @work(group="sign-in", exit_on_error=False)
    async def _run(self) -> None:
        outcome: SignedIn | JackfieldError | None = None
        try:
            async with aclosing(self._sign_in.events()) as sequence:
                async for event in sequence:
                    if isinstance(event, SignedIn):
                        outcome = event
                        break
                    self._show(event)
        except JackfieldError as error:
            outcome = error
        self.leave(outcome or JackfieldError("The sign-in ended without an answer", hint="Try again."))

    def _show(self, event: SignInEvent) -> None:
        match event:
            case ShowPage():
                self._show_page(event)
            case ShowCode():
                self._show_code(event)
            case Waiting(text=text):
                self._waiting = safe_text(text, single_line=True, limit=200)
            case _:
                pass
        self._show_state()
        self.refresh_bindings()

    def _show_page(self, event: ShowPage) -> None:
        self._url, self._ends_at = event.url, self._clock() + event.lasts_s
        self._waiting = (
            "Waiting for the answer of the browser" if event.listening else "Waiting for the address"
        )
        self.page.update(
            Content.assemble(
                "The page is on ",
                (safe_text(event.host, single_line=True, limit=300), "$accent bold"),
                "\n",
                (safe_text(event.url, single_line=True, limit=_URL_LIMIT), "$foreground-muted"),
            )
        )
        self.query_one("#note", Static).update(Content(f"\n{self._how_to_open()}"))
        if not event.listening:
            self.query_one("#paste-note", Static).update(
                Content("At the end, the browser may show an error. Paste its address here all the same.")
            )
        if hasattr(self._sign_in, "paste"):
            self.query(".-no-paste").remove_class("-no-paste")

    def _show_code(self, event: ShowCode) -> None:
        self._url, self._ends_at = event.verification_url, self._clock() + event.lasts_s
        self._code = safe_text(event.user_code, single_line=True, limit=60)
        self._waiting = "Waiting until the code was typed there"
        self.page.update(
            Content.assemble(
                "On any device, open\n",
                (safe_text(event.verification_url, single_line=True, limit=_URL_LIMIT), "$accent bold"),
                "\nand type this code:",
            )
        )
        letters = self.query_one(BigLetters)
        letters.text, letters.display = self._code, True
        self._qr = qr_lines(event.complete_url or event.verification_url)
        note = "Enter opens the page, " * self._can_open + "c copies the code, u the address."
        self.query_one("#note", Static).update(Content(note))
        self.query_one("#qr", Static).update(Content("\n".join(self._qr)))
        self._fit_qr()

    def _how_to_open(self) -> str:
        if self._can_open:
            return "Enter opens it in your browser, c copies it."
        return "Open it in a browser on any machine; c copies it."

    @property
    def _can_open(self) -> bool:
        return has_display(self._env)

    def on_resize(self) -> None:
        """Show the QR code where there is room for it."""
        self._fit_qr()

    def _fit_qr(self) -> None:
        width, height = self.size.width - _WORDS_WIDTH, self.size.height - 3
        fits = bool(self._qr) and len(self._qr[0]) <= width and len(self._qr) <= height
        self.set_class(fits, "-qr")

    def _show_state(self) -> None:
        left = "" if self._ends_at is None else f"  {countdown(self._ends_at - self._clock())} left"
        self.state.update(
            Content.assemble(("◐ ", "$accent"), f"{self._waiting}…", (left, "$foreground-muted"))
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what can be done now."""
        if action == "open":
            return bool(self._url) and self._can_open
        if action == "copy":
            return bool(self._url)
        if action == "copy_url":
            return bool(self._code)
        return True

    def action_open(self) -> None:
        """Open the page, whose host stands on the screen."""
        if not open_browser(self._url, self._env):
            self.notify("No browser starts. c copies the address.", severity="warning", markup=False)

    def action_copy(self) -> None:
        """Copy what has to be carried to the browser."""
        self.app.copy_to_clipboard(self._code or self._url)
        self.notify("Copied the code." if self._code else "Copied the address.", markup=False)

    def action_copy_url(self) -> None:
        """Copy the page's address."""
        self.app.copy_to_clipboard(self._url)
        self.notify("Copied the address.", markup=False)

    def on_paste(self, event: events.Paste) -> None:
        """Take a pasted address wherever the focus is."""
        field = self.query_one("#paste", Input)
        if not field.has_class("-no-paste") and self.focused is not field:
            with field.prevent(Input.Changed):  # which comes later, and would take back what is said now
                field.value = "".join(event.text.split())
            self._take(field.value)

    @on(Input.Submitted, "#paste")
    def _submit(self, event: Input.Submitted) -> None:
        self._take(event.value)

    def _take(self, text: str) -> None:
        paste: Callable[[str], str] | None = getattr(self._sign_in, "paste", None)
        problem = paste(text.strip()) if paste is not None and text.strip() else ""
        self.query_one("#paste-problem", Static).update(safe_text(problem, single_line=True, limit=200))

    @on(Input.Changed, "#paste")
    def _forget_problem(self) -> None:
        self.query_one("#paste-problem", Static).update("")

    async def action_cancel(self) -> None:
        """Stop, and close everything that the sign-in holds before going back."""
        self.workers.cancel_group(self, "sign-in")
        self.leave(None)
