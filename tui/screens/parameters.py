"""The form for the parameters of a conversation: what its model takes, and the system prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.events import Paste
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Select, Static, TextArea

from registry.chat import ParameterValue
from registry.errors import JackfieldError
from registry.parameters import limits_in_words, read_value, sort_out
from registry.provider import Parameter
from registry.text import safe_text

_SWITCH = ("on", "off")


@dataclass(frozen=True, slots=True)
class Settings:
    """What goes with each request of a conversation."""

    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    system: str | None = None


class ParametersScreen(ModalScreen[Settings | None]):
    """Asks for what the model takes, and nothing else. Gives what is to hold from now on; None to leave it.

    Values that the model does not take are kept for models that do, and named.

    Args:
        title: what people call the model; empty while there is none.
        accepted: what it takes.
        parameters: what holds now.
        system: the system prompt that holds now; None for none.
    """

    CSS_PATH = "parameters.tcss"
    BINDING_GROUP_TITLE = "Parameters"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+s", "save", "Save", id="parameters.save", priority=True, tooltip="Keep what stands here"
        ),
        Binding(
            "ctrl+r",
            "reset",
            "Reset",
            id="parameters.reset",
            priority=True,
            tooltip="Empty all fields, so that the model's own values hold",
        ),
        Binding("escape", "back", "Close", id="parameters.close", tooltip="Back to the chat"),
        # Before the field sees them: what is typed right after goes into the next one, however fast.
        Binding(
            "tab",
            "app.focus_next",
            "Next",
            id="parameters.next",
            show=False,
            priority=True,
            tooltip="The next field",
        ),
        Binding(
            "shift+tab",
            "app.focus_previous",
            "Before",
            id="parameters.previous",
            tooltip="The field before",
            show=False,
            priority=True,
        ),
    ]

    def __init__(
        self,
        title: str,
        accepted: Sequence[Parameter],
        parameters: Mapping[str, ParameterValue],
        system: str | None,
    ) -> None:
        super().__init__()
        self._title = title
        self._accepted = {parameter.name: parameter for parameter in accepted}
        self._settings = Settings(dict(parameters), system)
        self._others = {name: value for name, value in parameters.items() if name not in self._accepted}
        self._warned = False

    def compose(self) -> ComposeResult:
        """A row for each parameter, the system prompt, and what this model does not take."""
        with VerticalScroll(id="form", can_focus=False) as form:
            form.border_title = Content(f"Parameters  {self._title}".rstrip())
            form.border_subtitle = "Ctrl+S saves, Ctrl+R resets, Esc closes"
            for index, parameter in enumerate(self._accepted.values()):
                with Horizontal(classes="field"):
                    yield Static(Content(parameter.title), classes="name")
                    yield self._field(index, parameter)
                yield Static(id=f"limits-{index}", classes="limits")
            yield Static("System prompt: what the model is told before the first message", id="system-name")
            yield _Prompt(
                self._settings.system or "",
                id="system",
                tab_behavior="focus",
                soft_wrap=True,
                show_line_numbers=False,
                highlight_cursor_line=False,
                placeholder="Empty: none",
            )
            yield Static(id="note")

    def _field(self, index: int, parameter: Parameter) -> Widget:
        value = self._settings.parameters.get(parameter.name)
        words = _words(parameter)
        if words:
            chosen = _word(value)
            return Select(
                [(Content(word), word) for word in words],
                prompt="model's own",
                value=chosen if chosen in words else Select.NULL,
                compact=True,
                id=f"field-{index}",
            )
        return Input(
            "" if value is None else _word(value),
            placeholder="model's own",
            compact=True,
            id=f"field-{index}",
        )

    def on_mount(self) -> None:
        """Show limits, and begin with the first field."""
        self._check()
        self.query("Input, Select, TextArea").first().focus()

    @on(Input.Changed)
    @on(Select.Changed)
    @on(TextArea.Changed)
    def _follow(self) -> None:
        self._warned = False
        self._check()

    def _check(self) -> bool:
        """Show beside each field what it takes, or what is wrong with it; gives whether all is well."""
        well = True
        for index, parameter in enumerate(self._accepted.values()):
            limits = self.query_one(f"#limits-{index}", Static)
            text = limits_in_words(parameter)
            problem = self._problem(index, parameter)
            well = well and not problem
            limits.set_class(bool(problem), "-wrong")
            limits.update(Content(f"✗ {problem}" if problem else text[0].upper() + text[1:]))
        note = self.query_one("#note", Static)
        if self._others:
            kept = sort_out(self._others, ()).refused
            note.update(Content(f"Kept, but not taken by this model: {', '.join(kept)}"))
        elif not self._accepted:
            note.update(Content("This model says of no parameter that it takes it."))
        return well

    def _problem(self, index: int, parameter: Parameter) -> str:
        try:
            self._value(index, parameter)
        except JackfieldError as error:
            return error.title if "cannot" not in error.title else f"{error.title}. {error.hint}"
        return ""

    def _value(self, index: int, parameter: Parameter) -> ParameterValue | None:
        """What a field holds; None when it is empty.

        Raises:
            JackfieldError: the model does not take it.
        """
        widget = self.query_one(f"#field-{index}")
        if isinstance(widget, Select):
            return read_value(parameter, str(widget.value)) if widget.value in _words(parameter) else None
        typed = widget.value if isinstance(widget, Input) else ""
        return read_value(parameter, typed) if typed.strip() else None

    def _entered(self) -> Settings:
        parameters = dict(self._others)
        for index, parameter in enumerate(self._accepted.values()):
            value = self._value(index, parameter)
            if value is not None:
                parameters[parameter.name] = value
        system = self.query_one("#system", TextArea).text
        return Settings(parameters, system if system.strip() else None)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_save()

    def action_save(self) -> None:
        """Keep what stands here; where something is wrong, go there instead."""
        if self._check():
            self.dismiss(self._entered())
            return
        wrong = next(
            index for index, each in enumerate(self._accepted.values()) if self._problem(index, each)
        )
        self.query_one(f"#field-{wrong}").focus()
        self.app.bell()

    def action_reset(self) -> None:
        """Empty all fields; nothing is kept before it is saved."""
        self._others = {}
        for widget in self.query(Input):
            widget.value = ""
        for select in self.query(Select):
            select.clear()
        self.query_one("#system", TextArea).load_text("")
        self.query_one("#note", Static).update(
            Content("Ctrl+S saves this: the model's own values hold then.")
        )

    def action_back(self) -> None:
        """Go back; what was changed and not saved is asked about once."""
        if self._warned or not self._is_changed():
            self.dismiss(None)
            return
        self._warned = True
        note = self.query_one("#note", Static)
        note.update(Content("Not saved yet. Ctrl+S saves, Esc again leaves it."))
        self.call_after_refresh(note.scroll_visible)

    def _is_changed(self) -> bool:
        try:
            return self._entered() != self._settings
        except JackfieldError:
            return True


class _Prompt(TextArea):
    """The system prompt; what is pasted into it is from outside."""

    async def _on_paste(self, event: Paste) -> None:
        event.text = safe_text(event.text)  # Textual calls the handler of the class below next


def _words(parameter: Parameter) -> tuple[str, ...]:
    return _SWITCH if parameter.kind == "switch" else parameter.choices if parameter.kind == "choice" else ()


def _word(value: ParameterValue | None) -> str:
    """A value as it stands in its field."""
    if isinstance(value, bool):
        return _SWITCH[0 if value else 1]
    return f"{value:g}" if isinstance(value, float) else str(value)
