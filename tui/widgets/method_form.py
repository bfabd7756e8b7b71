"""The form of one way to sign in, and the field that goes with each: what to call the account."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from registry.connection import MAX_LABEL
from registry.connections import DEFAULT_LABEL
from registry.forms import FormField
from tui.method_choice import MethodChoice
from tui.widgets.form import FormView


class MethodForm(Vertical):
    """One way to sign in: what it is, and its form.

    Args:
        choice: the way.
    """

    DEFAULT_CSS = """
    MethodForm { height: auto; }
    """

    def __init__(self, choice: MethodChoice) -> None:
        super().__init__()
        self.choice = choice

    def compose(self) -> ComposeResult:
        """A sentence where the form does not say it all, and the form."""
        if self.choice.about:
            yield Static(self.choice.about, classes="about", markup=False)
        yield FormView(self.choice.fields)

    @property
    def form(self) -> FormView:
        """The form."""
        return self.query_one(FormView)


def account_field(*, required: bool = False) -> FormField:
    """The field for what to call an account."""
    return FormField(
        name="account",
        label="Account",
        help="What you call this account, if you have several",
        required=required,
        maximum=MAX_LABEL,
    )


def free_label(taken: Sequence[str]) -> str:
    """A name for an account that none of these has yet."""
    used = {label.casefold() for label in taken}
    names = (DEFAULT_LABEL, *(f"account {number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in used)


def links_of(choice: MethodChoice) -> Content:
    """Where to get a key and to read more, whole, with the keys that lead there."""
    links = (("Get a key:", choice.key_url, "Ctrl+G"), ("Manual:", choice.help_url, "Ctrl+L"))
    lines = [
        Content.assemble((f"{words} ", "$foreground"), f"{url}  {key}") for words, url, key in links if url
    ]
    return Content("\n").join(lines)
