"""The form of an auth method as prompts, as flags, and as lines of standard input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from registry.fields import FormValue, Option
from registry.forms import FormField, check_value, parse_text, title_of, value_of, visible_fields
from registry.redaction import remember
from registry.text import SafeText
from tui.cli.answers import Answers
from tui.cli.output import CommandError, Exit, line, note

_ENDED: Final = "The input ended before all was answered"


def read_settings(given: Sequence[str]) -> dict[str, str]:
    """What `--set NAME=VALUE` gave, by name.

    Raises:
        CommandError: one is not of this form; says nothing of its value.
    """
    settings: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise CommandError("--set takes NAME=VALUE", hint="As in `--set region=eu`.", code=Exit.USAGE)
        settings[name.strip()] = value
    return settings


class FormQuestions:
    """Fills in a form: from flags, then by asking a person, or from lines of standard input.

    Without a person, each secret that is shown takes one line, in the order of the fields; what is no secret
    comes from a flag or is the default.

    Args:
        fields: the fields of the form.
        given: what flags say, by the name of the field.
        answers: where the rest comes from.
        instead: by the name of a secret, the environment variable that is used when nothing is given.
    """

    def __init__(
        self,
        fields: Sequence[FormField],
        given: Mapping[str, str],
        answers: Answers,
        instead: Mapping[str, str] | None = None,
    ) -> None:
        self._fields = fields
        self._given = given
        self._answers = answers
        self._instead = instead or {}
        self._check_flags()

    def _check_flags(self) -> None:
        fields = {field.name: field for field in self._fields}
        for name in self._given:
            if name not in fields:
                open_names = ", ".join(field.name for field in self._fields if field.kind != "secret")
                raise CommandError(
                    f"There is no field {line(name, 64)}",
                    detail=f"Fields that --set takes: {open_names or 'none'}",
                    code=Exit.USAGE,
                )
            if fields[name].kind == "secret":
                raise CommandError(
                    f"{name} is a secret, and a command line can be read by others",
                    detail="What was given is in the history of your shell now; better make a new one.",
                    hint="Leave it out: it is asked for. In a script, write it to standard input, in a line "
                    "of its own.",
                    code=Exit.USAGE,
                )

    async def fill(self) -> dict[str, FormValue]:
        """The values of all fields that are shown; a secret that a variable stands in for is not there.

        Raises:
            CommandError: something that is needed is missing or wrong.
        """
        values: dict[str, FormValue] = {}
        for field in self._fields:
            if field not in visible_fields(self._fields, values):
                if field.name in self._given:
                    raise CommandError(
                        f"{field.name} does not apply here",
                        hint="It depends on another field; leave it out.",
                        code=Exit.USAGE,
                    )
                continue
            value = await self._value(field)
            if value is not None:
                values[field.name] = value
        return values

    async def _value(self, field: FormField) -> FormValue | None:
        if field.name in self._given:
            return self._checked(field, self._given[field.name])
        if self._answers.from_person:
            return await self._ask(field)
        return await self._read(field)

    def _checked(self, field: FormField, text: str) -> FormValue:
        try:
            value = parse_text(field, text)
        except ValueError as error:
            raise CommandError(f"{title_of(field)}: {line(error)}", code=Exit.USAGE) from None
        problem = check_value(field, value)
        if problem:
            raise CommandError(f"{title_of(field)}: {line(problem)}", code=Exit.USAGE)
        return value

    async def _read(self, field: FormField) -> FormValue | None:
        if field.kind == "secret":
            text = await self._answers.line()
            if text is None or not text.strip():
                if field.name in self._instead:
                    return None
                text = ""
            remember(text)
            missing = f"{title_of(field)} is missing: standard input has no line for it"
            hint = "Write each secret in a line of its own, as in `jackfield auth login NAME < FILE`."
        else:
            text = ""
            missing = f"{title_of(field)} is missing"
            hint = f"Give it with `--set {field.name}=VALUE`."
        value = parse_text(field, text) if text else value_of(field, {})
        problem = check_value(field, value)
        if problem:
            raise CommandError(
                f"{title_of(field)} cannot be used" if text else missing,
                detail=line(problem),
                hint="" if text else hint,
                code=Exit.USAGE,
            )
        return value

    async def _ask(self, field: FormField) -> FormValue | None:
        _explain(field)
        variable = self._instead.get(field.name)
        prompt = _prompt(field, variable)
        while True:
            text = await self._answers.ask(prompt, hidden=field.kind == "secret")
            if text is None:
                raise CommandError(_ENDED)
            if field.kind == "secret":
                remember(text)
            if not text.strip() and variable is not None:
                return None
            try:
                value = _parse(field, text) if text.strip() else value_of(field, {})
            except ValueError as error:
                note(f"  {line(error)}")
                continue
            problem = check_value(field, value)
            if not problem:
                return value
            note(f"  {line(problem)}")


async def choose(answers: Answers, title: str, names: Sequence[str]) -> int:
    """Have a person choose one of several; gives its place.

    Args:
        answers: where the answer comes from.
        title: what is chosen.
        names: what there is to choose from.

    Raises:
        CommandError: the input ended.
    """
    note(title)
    for number, name in enumerate(names, start=1):
        note(f"  {number:>2}  {line(name)}")
    while True:
        text = await answers.ask(f"Number [1-{len(names)}]: ")
        if text is None:
            raise CommandError(_ENDED)
        if text.strip().isdecimal() and 1 <= int(text) <= len(names):
            return int(text) - 1
        near = [place for place, name in enumerate(names) if text.strip().casefold() in name.casefold()]
        if text.strip() and len(near) == 1:
            return near[0]
        note(f"  Type a number from 1 to {len(names)}.")


async def confirm(answers: Answers, question: str) -> bool:
    """Ask a person for a yes; anything else is a no."""
    text = await answers.ask(f"{question} [y/N]: ")
    return (text or "").strip().lower() in {"y", "yes"}


def _explain(field: FormField) -> None:
    for text in (field.help, f"Such as {field.placeholder}" if field.placeholder else ""):
        if text:
            note(f"  {line(text, 300)}")
    for number, option in enumerate(field.options, start=1):
        note(f"  {number:>2}  {_option_title(option)}")


def _option_title(option: Option) -> SafeText:
    return line(option.label or option.value)


def _prompt(field: FormField, variable: str | None) -> str:
    if variable is not None:
        about = f" [Enter uses {variable}]"
    elif field.kind == "boolean":
        about = " [Y/n]" if value_of(field, {}) else " [y/N]"
    elif field.default not in (None, "", ()):
        about = f" [{_shown_default(field)}]"
    elif not field.required:
        about = " [Enter for none]"
    else:
        about = ""
    several = ", several with commas" if field.kind == "multi_select" else ""
    unseen = " (not shown)" if field.kind == "secret" else ""
    return f"{title_of(field)}{several}{unseen}{about}: "


def _shown_default(field: FormField) -> SafeText:
    default = field.default
    chosen = default if isinstance(default, tuple) else (default,)
    if field.options:
        titles = {option.value: _option_title(option) for option in field.options}
        return line(", ".join(titles.get(str(value), str(value)) for value in chosen))
    return line(default)


def _parse(field: FormField, text: str) -> FormValue:
    """What a person typed; for a choice, the number in the list will do."""
    if not field.options:
        return parse_text(field, text)
    parts = text.split(",") if field.kind == "multi_select" else [text]
    return parse_text(field, ",".join(_option_named(field.options, part.strip()) for part in parts))


def _option_named(options: Sequence[Option], text: str) -> str:
    if text.isdecimal() and 1 <= int(text) <= len(options):
        return options[int(text) - 1].value
    return text
