"""A form that is generated from fields: all of them at once, those that do not apply out of sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from registry.forms import FormField, FormValue, default_values, visible_fields
from tui.widgets.form_field import FieldView


class FormView(Vertical):
    """Fields below each other. A field whose `when` does not hold is hidden, and keeps what was typed.

    Args:
        fields: the declarations.
    """

    DEFAULT_CSS = """
    FormView { height: auto; }
    """

    @dataclass
    class Changed(Message):
        """What stands in the form changed."""

    @dataclass
    class Submitted(Message):
        """Enter was pressed where nothing is left to fill in before."""

    def __init__(self, fields: Sequence[FormField]) -> None:
        super().__init__()
        self._fields = tuple(fields)
        defaults = default_values(self._fields)
        self._views = [FieldView(field, defaults.get(field.name)) for field in self._fields]

    def compose(self) -> ComposeResult:
        """The fields; those that do not apply are there but not shown, so that showing one moves no focus."""
        yield from self._views

    def on_mount(self) -> None:
        """Hide what does not apply."""
        self._show_fields()

    @property
    def views(self) -> list[FieldView]:
        """The fields that apply now, in order."""
        names = {field.name for field in visible_fields(self._fields, self._everything())}
        return [view for view in self._views if view.field.name in names]

    def view(self, name: str) -> FieldView:
        """The field of this name.

        Raises:
            KeyError: there is none.
        """
        for view in self._views:
            if view.field.name == name:
                return view
        raise KeyError(name)

    def values(self) -> dict[str, FormValue]:
        """What stands in the fields that apply and can be read."""
        names = {view.field.name for view in self.views}
        return {name: value for name, value in self._everything().items() if name in names}

    def _everything(self) -> dict[str, FormValue]:
        values: dict[str, FormValue] = {}
        for view in self._views:
            try:
                values[view.field.name] = view.read()
            except ValueError:
                continue  # said below the field; other fields cannot depend on it meanwhile
        return values

    def check(self, *, but: str = "") -> bool:
        """Whether everything is right; if not, say what is wrong and go to the first field at fault.

        Args:
            but: the name of a field that does not count.
        """
        views = [view for view in self.views if view.field.name != but]
        for view in views:
            view.show_problem()
        wrong = next((view for view in views if view.problem), None)
        if wrong is not None:
            wrong.focus_control()
        return wrong is None

    def reveal(self, *, shown: bool) -> None:
        """Show or mask all secrets."""
        for view in self._views:
            view.reveal(shown=shown)

    def focus_first(self) -> None:
        """Take the focus to the first field."""
        if views := self.views:
            views[0].focus_control()

    @on(FieldView.Changed)
    def _follow(self, event: FieldView.Changed) -> None:
        event.stop()
        self._show_fields()
        self.post_message(self.Changed())

    def _show_fields(self) -> None:
        shown = self.views
        with self.app.batch_update():
            for view in self._views:
                view.display = view in shown

    @on(FieldView.Submitted)
    def _go_on(self, event: FieldView.Submitted) -> None:
        event.stop()
        views = self.views
        after = views[views.index(event.view) + 1 :] if event.view in views else []
        empty = next((view for view in after if view.field.required and view.is_empty), None)
        if empty is not None and not event.view.problem:
            empty.focus_control()
        else:
            self.post_message(self.Submitted())
