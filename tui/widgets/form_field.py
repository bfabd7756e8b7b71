"""One field of a generated form: its label, what is typed or chosen, and help or what is wrong."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from registry.forms import FormField, FormValue, check_value, parse_text, title_of
from registry.text import safe_text
from tui.widgets.choices import Choices
from tui.widgets.secret_input import SecretInput
from tui.widgets.tick_box import TickBox

_LABEL_LIMIT = 80
_HELP_LIMIT = 300


class FieldView(Vertical):
    """A field as its declaration says. Every text of the declaration is shown as plain text.

    Args:
        field: the declaration.
        value: what stands in it at first.
        widget_id: as Textual's `id`.
    """

    DEFAULT_CSS = """
    FieldView { height: auto; border-left: blank; padding: 0 1; }
    FieldView:focus-within { border-left: thick $accent; }
    FieldView .field--label { height: 1; color: $text-muted; }
    FieldView:focus-within .field--label { color: $text; text-style: bold; }
    FieldView .field--note { height: auto; min-height: 1; color: $text-muted; }
    FieldView .field--note.-problem { color: $text-error; }
    FieldView Input, FieldView Input:focus { background: $panel; padding: 0 1; border: none; height: 1; }
    FieldView Input:focus { background-tint: $foreground 5%; }
    """

    @dataclass
    class Changed(Message):
        """What stands in the field changed."""

        view: FieldView

    @dataclass
    class Submitted(Message):
        """Enter was pressed in the field."""

        view: FieldView

    def __init__(
        self,
        field: FormField,
        value: FormValue | None = None,
        *,
        widget_id: str | None = None,
        taken: Collection[str] = (),
    ) -> None:
        super().__init__(id=widget_id)
        self.field = field
        self._taken = taken
        self.touched = False
        """Whether the user changed it, or tried to save: what is wrong is shown from then on."""
        self._control = _make_control(field, value)

    @property
    def label(self) -> str:
        """How people call the field."""
        return title_of(self.field)

    def compose(self) -> ComposeResult:
        """Label, control, and a line for help or a problem that is there from the beginning."""
        optional = "" if self.field.required or self.field.kind == "boolean" else "  optional"
        yield Static(
            Content.assemble(self.label, (optional, "$foreground-muted not bold")), classes="field--label"
        )
        yield self._control
        yield Static(classes="field--note", markup=False)

    def on_mount(self) -> None:
        """Show the help."""
        self._show_note()

    def read(self) -> FormValue:
        """What stands in the field.

        Raises:
            ValueError: it cannot be read, such as letters where a number is wanted; says so for people.
        """
        match self._control:
            case TickBox(ticked=ticked):
                return ticked
            case Choices(chosen=chosen):
                return chosen if self.field.kind == "multi_select" else "".join(chosen)
            case Input(value=text):
                return parse_text(self.field, text)
            case _:
                raise TypeError(f"no control of a form: {type(self._control).__name__}")

    @property
    def problem(self) -> str:
        """What is wrong with what stands in the field, in one line; empty when nothing is."""
        try:
            value = self.read()
        except ValueError as error:
            return str(error)
        if isinstance(value, str) and value in self._taken:
            return "Another one has this name already."
        return check_value(self.field, value)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed or chosen."""
        control = self._control
        return not (control.value if isinstance(control, Input) else getattr(control, "chosen", "-"))

    def fill(self, text: str) -> None:
        """Put text into a field that is typed into; others stay as they are."""
        if isinstance(self._control, Input):
            self._control.value = text

    def reveal(self, *, shown: bool) -> None:
        """Show or mask a secret."""
        if isinstance(self._control, SecretInput):
            self._control.password = not shown

    def show_problem(self) -> None:
        """From now on, say what is wrong with it as long as something is."""
        self.touched = True
        self._show_note()

    def focus_control(self) -> None:
        """Take the focus to where something can be typed or chosen."""
        self._control.focus()

    def _show_note(self) -> None:
        problem = safe_text(self.problem, single_line=True, limit=_HELP_LIMIT) if self.touched else ""
        note = self.query_one(".field--note", Static)
        note.set_class(bool(problem), "-problem")
        note.update(problem or safe_text(self.field.help, single_line=True, limit=_HELP_LIMIT))

    @on(Input.Changed)
    @on(Choices.Changed)
    @on(TickBox.Changed)
    def _change(self, event: Message) -> None:
        event.stop()
        if isinstance(event, Input.Changed) and not event.input.has_focus:
            pass  # filled by the app, not typed
        else:
            self.touched = True
        self._show_note()
        self.post_message(self.Changed(self))

    @on(Input.Submitted)
    @on(Choices.Submitted)
    @on(TickBox.Submitted)
    def _submit(self, event: Message) -> None:
        event.stop()
        self.post_message(self.Submitted(self))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Keep the label and the note in view with what has the focus."""
        self.scroll_visible(animate=False)


def _make_control(field: FormField, value: FormValue | None) -> Widget:
    placeholder = safe_text(field.placeholder, single_line=True, limit=_LABEL_LIMIT)
    match field.kind:
        case "secret":
            return SecretInput(placeholder=placeholder)
        case "boolean":
            return TickBox(ticked=value is True)
        case "select" | "multi_select":
            chosen = value if isinstance(value, tuple) else (str(value),) if value is not None else ()
            several = field.kind == "multi_select"
            options = [(option.value, _line(option.label or option.value)) for option in field.options]
            return Choices(options, chosen, several=several)
        case _:
            text = "" if value is None else safe_text(_as_text(value), single_line=True)
            return Input(text, placeholder=placeholder, select_on_focus=False)


def _line(text: str) -> str:
    return safe_text(text, single_line=True, limit=_LABEL_LIMIT)


def _as_text(value: FormValue) -> str:
    """A value as it is typed: whole numbers without a fraction."""
    return f"{value:g}" if isinstance(value, float) else str(value)
