"""A field for a secret: masked until it is asked to be shown, and never told to a log or a clipboard."""

from __future__ import annotations

import re

from textual import events
from textual.widgets import Input

_ASSIGNMENT = re.compile(r"(?:export\s+)?[A-Z][A-Z0-9_]*(?:KEY|TOKEN|SECRET)=(?P<value>.+)", re.DOTALL)
_QUOTES = ("'", '"', "`")


class SecretInput(Input):
    """A masked line. What is pasted is cleaned of what a copied key brings along."""

    class Changed(Input.Changed):
        """The secret changed; its representation is without it."""

        def __repr__(self) -> str:
            return "SecretInput.Changed()"

    class Submitted(Input.Submitted):
        """Enter was pressed; its representation is without the secret."""

        def __repr__(self) -> str:
            return "SecretInput.Submitted()"

    class Blurred(Input.Blurred):
        """The focus left; its representation is without the secret."""

        def __repr__(self) -> str:
            return "SecretInput.Blurred()"

    def __init__(self, *, placeholder: str = "") -> None:
        super().__init__(placeholder=placeholder, password=True)

    def on_paste(self, event: events.Paste) -> None:
        """Take what was pasted, without blanks, line breaks and quotation marks around it."""
        event.stop()
        event.prevent_default()  # Textual's own way keeps the first line only
        self.replace(clean_paste(event.text), *self.selection)

    def action_copy(self) -> None:
        """Copy nothing while it is masked."""
        if not self.password:
            super().action_copy()

    def action_cut(self) -> None:
        """Take out what is selected; while it is masked, without copying it."""
        if self.password:
            self.delete_selection()
        else:
            super().action_cut()


def clean_paste(text: str) -> str:
    """A secret as it was meant: `export ACME_KEY="k-1"`, in whatever lines it came, is `k-1`."""
    joined = "".join(line.strip() for line in text.strip().splitlines())
    if assignment := _ASSIGNMENT.fullmatch(joined):
        joined = assignment["value"].strip()
    if len(joined) > 1 and joined[0] in _QUOTES and joined[-1] == joined[0]:
        joined = joined[1:-1].strip()
    return "".join(character for character in joined if character.isprintable())
