"""Forms made from fields: what is shown, what is said to be wrong, what a secret never does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from io import StringIO

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.pretty import pretty_repr
from textual.app import App, ComposeResult
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input, Static

from registry.auth import FormField, Option
from screenshots.take import until
from tests.tui.acme import WORKSHOP
from tui.widgets.choices import Choices
from tui.widgets.form import FormView
from tui.widgets.form_field import FieldView
from tui.widgets.secret_input import SecretInput, clean_paste
from tui.widgets.tick_box import TickBox

SECRET = "s3cret-anvil-password"


class FormApp(App[None]):
    """A form and nothing else."""

    def __init__(self, fields: Sequence[FormField]) -> None:
        super().__init__()
        self._fields = fields
        self.submitted = 0

    @property
    def form(self) -> FormView:
        return self.query_one(FormView)

    def compose(self) -> ComposeResult:
        yield FormView(self._fields)

    def on_form_view_submitted(self) -> None:
        self.submitted += 1


@asynccontextmanager
async def filling(fields: Sequence[FormField]) -> AsyncIterator[tuple[FormApp, Pilot[None]]]:
    app = FormApp(fields)
    app.animation_level = "none"
    async with app.run_test(size=(80, 60)) as pilot:
        app.form.focus_first()
        await pilot.pause()
        yield app, pilot


def shown(app: FormApp) -> list[str]:
    return [view.field.name for view in app.form.query(FieldView) if view.display]


def note(app: FormApp, name: str) -> str:
    return str(app.form.view(name).query_one(".field--note", Static).render())


def text_of(app: App[None]) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips(app.size))


async def test_every_kind_of_field_gives_its_value() -> None:
    async with filling(WORKSHOP.fields) as (app, pilot):
        await pilot.press("down", "tab")
        await pilot.press(*"https://a.example", "tab", *"long enough", "tab", "tab", "space", "tab", "space")
        assert app.form.values() == {
            "kind": "own",
            "address": "https://a.example",
            "password": "long enough",
            "timeout": 30,
            "tools": ("search",),
            "beta": True,
        }


async def test_a_field_appears_and_goes_with_the_choice_it_depends_on_and_keeps_what_was_typed() -> None:
    async with filling(WORKSHOP.fields) as (app, pilot):
        assert "region" in shown(app)
        assert "address" not in shown(app)
        focused = app.focused
        await pilot.press("down")
        assert "region" not in shown(app)
        assert "address" in shown(app)
        assert app.focused is focused, "the focus stays where the user is"
        await pilot.press("tab", *"https://a.example", "shift+tab", "up")
        assert "address" not in app.form.values()
        await pilot.press("down")
        assert app.form.values()["address"] == "https://a.example"


async def test_a_hidden_field_is_never_reached_with_the_keyboard() -> None:
    async with filling(WORKSHOP.fields) as (app, pilot):
        reached = set()
        for _ in range(12):
            assert app.focused is not None
            reached.add(
                next(view.field.name for view in app.focused.ancestors if isinstance(view, FieldView))
            )
            await pilot.press("tab")
        assert reached == {"kind", "region", "password", "timeout", "tools", "beta"}


async def test_nothing_is_wrong_before_a_field_was_touched() -> None:
    async with filling(WORKSHOP.fields) as (app, pilot):
        assert app.form.view("password").problem
        assert note(app, "password") == ""
        app.form.view("password").focus_control()
        await pilot.press("a")
        assert "8 characters" in note(app, "password")
        await pilot.press(*"bcdefgh")
        assert note(app, "password") == ""


async def test_trying_to_save_says_what_is_wrong_and_goes_to_the_first_field_at_fault() -> None:
    async with filling(WORKSHOP.fields) as (app, pilot):
        assert not app.form.check()
        await pilot.pause()
        assert note(app, "password")
        assert isinstance(app.focused, SecretInput)


async def test_letters_where_a_number_is_wanted_are_told_in_words() -> None:
    async with filling(WORKSHOP.fields) as (app, pilot):
        app.form.view("timeout").focus_control()
        await pilot.press("x")
        assert "number" in note(app, "timeout")
        assert "timeout" not in app.form.values()


async def test_enter_goes_to_the_next_field_that_is_needed_and_then_saves() -> None:
    async with filling(WORKSHOP.fields) as (app, pilot):
        await pilot.press("enter")
        assert isinstance(app.focused, SecretInput)
        assert app.submitted == 0
        await pilot.press(*"long enough", "enter")
        await until(pilot, lambda: app.submitted == 1)


async def test_a_secret_is_masked_until_it_is_revealed() -> None:
    async with filling(WORKSHOP.fields) as (app, pilot):
        app.form.view("password").fill(SECRET)
        await pilot.pause()
        assert SECRET not in text_of(app)
        app.form.reveal(shown=True)
        await pilot.pause()
        assert SECRET in text_of(app)


async def test_a_secret_is_in_no_representation_and_no_dump_of_the_screen() -> None:
    async with filling(WORKSHOP.fields) as (app, pilot):
        app.form.view("password").fill(SECRET)
        await pilot.pause()
        field = app.query_one(SecretInput)
        console = Console(width=200, record=True, file=StringIO())
        console.print(app.tree)
        console.print(app.screen.css_tree)
        dumps = [
            console.export_text(),
            pretty_repr(field),
            repr(field),
            repr(app.form.view("password")),
            repr(SecretInput.Changed(field, SECRET)),
            repr(SecretInput.Submitted(field, SECRET)),
            repr(SecretInput.Blurred(field, SECRET)),
            app.export_screenshot(),
        ]
        assert all(SECRET not in dump for dump in dumps)


async def test_a_masked_secret_is_not_copied() -> None:
    async with filling(WORKSHOP.fields) as (app, pilot):
        app.form.view("password").fill(SECRET)
        app.form.view("password").focus_control()
        await pilot.pause()
        field = app.query_one(SecretInput)
        field.select_all()
        await pilot.press("ctrl+c")
        assert SECRET not in app.clipboard
        await pilot.press("ctrl+x")
        assert SECRET not in app.clipboard
        assert field.value == ""


async def test_a_pasted_key_is_cleaned() -> None:
    async with filling(WORKSHOP.fields) as (app, pilot):
        app.form.view("password").focus_control()
        await pilot.pause()
        app.query_one(SecretInput).post_message(Paste("  'anvil-\n  key-1'\n"))
        await until(pilot, lambda: app.query_one(SecretInput).value == "anvil-key-1")


def test_what_comes_with_a_copied_key_is_taken_off() -> None:
    meant = "sk-abc/1+2="
    for pasted in (
        meant,
        f"  {meant}\n",
        f'"{meant}"',
        f"'{meant}'\r\n",
        f"export OPENAI_API_KEY={meant}",
        f'ACME_TOKEN="{meant}"\n',
        "sk-abc\n/1+2=",
        "\x1b" + meant,
    ):
        assert clean_paste(pasted) == meant, pasted
    assert clean_paste("two words") == "two words"


async def test_hostile_texts_of_a_declaration_are_shown_as_they_stand() -> None:
    hostile = "[@click=app.bell]x[/nope] \x1b]0;title\x07\u202eevil[/]"
    fields = [
        FormField(name="text", label=hostile[:90], help=hostile, placeholder=hostile[:90], required=False),
        FormField(name="pick", kind="select", label="[b]", options=(Option(value="a", label="[/red]a"),)),
        FormField(name="many", kind="multi_select", options=(Option(value="[/]", label="[link=x]y"),)),
        FormField(name="yes", kind="boolean", label="[/b]", help="[@click=app.quit]q"),
        FormField(name="hidden", kind="secret", label="[/]", placeholder="[/x]"),
    ]
    async with filling(fields) as (app, pilot):
        app.form.check()
        await pilot.pause()
        seen = text_of(app)
        assert "[@click=app.bell]x[/nope]" in seen
        assert "[/red]a" in seen
        assert "\x1b" not in seen
        assert "\u202e" not in seen


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
LABELS = st.text(min_size=0, max_size=30)


@st.composite
def some_fields(draw: st.DrawFn) -> list[FormField]:
    """Fields of all kinds, with texts of any kind."""
    fields: list[FormField] = []
    for name in draw(st.lists(NAMES, min_size=1, max_size=5, unique=True)):
        kind = draw(st.sampled_from(["text", "secret", "select", "multi_select", "number", "boolean", "url"]))
        chosen = kind in ("select", "multi_select")
        values = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)) if chosen else []
        options = [Option.model_construct(value=value, label=draw(LABELS)) for value in values]
        fields.append(
            FormField.model_construct(
                name=name,
                kind=kind,
                label=draw(LABELS),
                help=draw(LABELS),
                placeholder=draw(LABELS),
                default=None,
                required=draw(st.booleans()),
                pattern=None,
                minimum=None,
                maximum=None,
                options=tuple(options),
                when=None,
            )
        )
    return fields


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fields=some_fields())
async def test_any_form_is_shown_and_gives_a_value_or_a_problem_for_each_field(
    fields: list[FormField],
) -> None:
    async with filling(fields) as (app, pilot):
        for view in app.form.views:
            assert view.problem or view.field.name in app.form.values()
        await pilot.press("enter", "tab", "space", "a")
        assert text_of(app)


async def test_of_a_select_one_is_chosen_and_of_a_multi_select_any() -> None:
    options = tuple(Option(value=value) for value in "abc")
    fields = [
        FormField(name="one", kind="select", options=options),
        FormField(name="some", kind="multi_select", options=options, required=False),
    ]
    async with filling(fields) as (app, pilot):
        assert app.form.values()["one"] == ""
        await pilot.press("space")
        assert app.form.values()["one"] == "a"
        await pilot.press("down", "down")
        assert app.form.values()["one"] == "c"
        await pilot.press("tab", "space", "down", "down", "space", "up", "space", "space")
        assert app.form.values()["some"] == ("a", "c")


async def test_many_options_scroll_within_their_field() -> None:
    options = tuple(Option(value=f"region-{number}") for number in range(40))
    async with filling([FormField(name="region", kind="select", options=options)]) as (app, pilot):
        choices = app.query_one(Choices)
        assert choices.size.height == 6
        await pilot.press("end")
        assert app.form.values()["region"] == "region-39"
        assert "region-39" in text_of(app)


async def test_a_click_ticks_a_box() -> None:
    async with filling([FormField(name="yes", kind="boolean")]) as (app, pilot):
        await pilot.click(TickBox)
        assert app.form.values() == {"yes": True}


async def test_a_default_stands_in_its_field() -> None:
    async with filling([FormField(name="count", kind="number", default=2.5)]) as (app, _):
        assert app.query_one(Input).value == "2.5"
        assert app.form.values() == {"count": 2.5}
