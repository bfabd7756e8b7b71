"""Where secrets are kept when the system's keyring does not take them, and the passphrase of the file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Final

from textual import getters, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from registry.secret_store import StoreError, StoreFault, StoreKind
from tui.screens.leaving import Leaving
from tui.widgets.row_list import Row, RowList
from tui.widgets.secret_input import SecretInput

_BOX_CSS: Final = """
    NAME { align: center middle; }
    NAME VerticalScroll {
        width: 76; max-width: 96%; height: auto; max-height: 96%;
        background: $surface; border: round $border; padding: 0 1; scrollbar-size-vertical: 1;
    }
    NAME Static { height: auto; }
"""
_CHOICES: Final = {
    StoreKind.KEYRING: (
        "The system's keyring",
        "The keyring of your desktop, which opens when you log in.",
    ),
    StoreKind.FILE: (
        "Encrypted file",
        "A file that only your passphrase opens. You are asked for it once after each start.",
    ),
    StoreKind.SESSION: (
        "This session only",
        "Nothing is written down: sign in again after the next start. Asked again then.",
    ),
    StoreKind.ENVIRONMENT: (
        "Environment variables only",
        "Jackfield stores nothing and reads keys from the environment. {variables}",
    ),
}
LEAST_PASSPHRASE: Final = 8
"""The shortest new passphrase that is taken, in characters."""


class SecretStoreScreen(ModalScreen[StoreKind | None]):
    """Says why the keyring does not take a secret, and has the user choose. Gives the choice.

    Args:
        error: what is wrong with the store that was chosen.
        variables: the environment variables that may hold the key in question.
    """

    DEFAULT_CSS = (
        _BOX_CSS.replace("NAME", "SecretStoreScreen")
        + """
    SecretStoreScreen RowList { height: 3; background: $surface; margin: 1 0; }
    SecretStoreScreen #why { color: $text-warning; }
    SecretStoreScreen #about { color: $text-muted; height: 3; }
    """
    )
    AUTO_FOCUS = "RowList"
    BINDING_GROUP_TITLE = "Where to keep secrets"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Back", id="store.back", tooltip="Back without saving"),
    ]

    rows = getters.query_one(RowList)

    def __init__(self, error: StoreError, variables: Sequence[str] = ()) -> None:
        super().__init__()
        self._error = error
        self._variables = tuple(variables)

    def compose(self) -> ComposeResult:
        """The reason, the choices, and what the one under the cursor means."""
        with VerticalScroll(can_focus=False) as box:
            box.border_title = "Where to keep the secret"
            box.border_subtitle = "Enter chooses, Esc goes back"
            yield Static(Content(self._error.title), id="why")
            yield Static(Content.styled(self._reason(), "$foreground-muted"))
            yield RowList()
            yield Static(id="about", markup=False)

    def _reason(self) -> str:
        lines = [self._error.detail]
        if self._error.fault is not StoreFault.NO_BACKEND:
            lines.append(self._error.hint)  # how to mend it; where there is no keyring, the choice is below
        lines.append("Nothing is written to a disk unencrypted. Choose where to keep it instead:")
        return "\n".join(line for line in lines if line)

    def on_mount(self) -> None:
        """Show the choices."""
        kinds = [kind for kind in _CHOICES if kind is not StoreKind.KEYRING or self._keyring]
        self.rows.styles.height = len(kinds)
        self.rows.set_rows([Row(kind, _drawer(_CHOICES[kind][0])) for kind in kinds])

    @property
    def _keyring(self) -> bool:
        """Whether it may be offered: it is not what just failed."""
        return self._error.fault is StoreFault.READ_ONLY

    @on(RowList.Moved)
    def _explain(self, event: RowList.Moved) -> None:
        if event.key is None:
            return
        names = " or ".join(self._variables)
        variables = f"Set {names}." if names else "This sign-in cannot be kept there."
        about = _CHOICES[StoreKind(event.key)][1].format(variables=variables)
        self.query_one("#about", Static).update(about)

    @on(RowList.Chosen)
    def _choose(self, event: RowList.Chosen) -> None:
        self.dismiss(StoreKind(event.key))


class PassphraseScreen(ModalScreen[str | None], Leaving[str | None]):
    """Asks for the passphrase of the encrypted file; for a new one twice. Gives None when the user gave none.

    Args:
        new: whether there is no file yet.
        check: says what is wrong with what was given; the user is asked again then.
    """

    DEFAULT_CSS = (
        _BOX_CSS.replace("NAME", "PassphraseScreen")
        + """
    PassphraseScreen Input, PassphraseScreen Input:focus {
        background: $panel; padding: 0 1; border: none; height: 1; margin-top: 1;
    }
    PassphraseScreen #note { color: $text-muted; min-height: 1; margin: 1 0 0 0; }
    PassphraseScreen #note.-problem { color: $text-error; }
    """
    )
    AUTO_FOCUS = "Input"
    BINDING_GROUP_TITLE = "Passphrase"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Back", id="passphrase.back", tooltip="Back without a passphrase"),
        Binding(
            "ctrl+o",
            "reveal",
            "Reveal",
            id="passphrase.reveal",
            priority=True,
            tooltip="Show or mask the passphrase",
        ),
    ]

    def __init__(self, *, new: bool, check: Callable[[str], Awaitable[str]] | None = None) -> None:
        super().__init__()
        self._new = new
        self._check = check

    def compose(self) -> ComposeResult:
        """One field, or two for a new passphrase, and a line for what is wrong."""
        with VerticalScroll(can_focus=False) as box:
            box.border_title = "New passphrase" if self._new else "Passphrase"
            box.border_subtitle = "Enter goes on, Ctrl+O reveals, Esc goes back"
            yield Static(Content(_NEW_WORDS if self._new else _OLD_WORDS))
            first = SecretInput(placeholder="Passphrase")
            first.id = "first"
            yield first
            if self._new:
                second = SecretInput(placeholder="The same again")
                second.id = "second"
                yield second
            yield Static(id="note", markup=False)

    @on(Input.Changed)
    def _rate(self, event: Input.Changed) -> None:
        text = self.query_one("#first", Input).value
        if self._new or event.value:
            self._say(strength(text) if self._new and text else "")

    @on(Input.Submitted, "#first")
    def _go_on(self, event: Input.Submitted) -> None:
        if not self._new:
            self._try(event.value)
        elif len(event.value) < LEAST_PASSPHRASE:
            self._say(f"At least {LEAST_PASSPHRASE} characters.", problem=True)
        else:
            self.query_one("#second", Input).focus()

    @on(Input.Submitted, "#second")
    def _compare(self, event: Input.Submitted) -> None:
        first = self.query_one("#first", Input)
        if len(first.value) < LEAST_PASSPHRASE:
            self._say(f"At least {LEAST_PASSPHRASE} characters.", problem=True)
            first.focus()
        elif first.value != event.value:
            self._say("The two are not the same.", problem=True)
        else:
            self.dismiss(event.value)

    @work(exclusive=True, group="check", exit_on_error=False)
    async def _try(self, passphrase: str) -> None:
        if not passphrase:
            return
        self._say("◐ Opening the file…")
        problem = await self._check(passphrase) if self._check is not None else ""
        if problem:
            self._say(problem, problem=True)
            self.query_one("#first", SecretInput).clear()
        else:
            self.leave(passphrase)

    def _say(self, text: str, *, problem: bool = False) -> None:
        note = self.query_one("#note", Static)
        note.set_class(problem, "-problem")
        note.update(text)

    def action_reveal(self) -> None:
        """Show or mask what is typed."""
        for field in self.query(SecretInput):
            field.password = not field.password


def _drawer(title: str) -> Callable[[int], Content]:
    return lambda _: Content(title)


def strength(passphrase: str) -> str:
    """How hard a passphrase is to guess, in words. A hint: it knows no dictionary."""
    different = len(set(passphrase))
    if len(passphrase) < LEAST_PASSPHRASE:
        return f"Too short: at least {LEAST_PASSPHRASE} characters."
    if different < 6 or len(passphrase) < 12:
        return "Weak: add a few words. Length counts more than odd characters."
    if len(passphrase) < 20 or (len(passphrase.split()) < 3 and different < 12):
        return "Fair: another word makes it strong."
    return "Strong."


_NEW_WORDS = (
    "Secrets will be kept in a file that this passphrase encrypts. Nobody can read them without it:"
    " who forgets it signs in again."
)
_OLD_WORDS = "Secrets are in an encrypted file. Its passphrase opens it until the app ends."
