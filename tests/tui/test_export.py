"""A conversation as a file: what is in it, what is not, and where it goes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from registry.auth import Credential
from registry.chat import FilePart, Message, TextPart, ThinkingPart
from registry.errors import JackfieldError
from screenshots.take import until
from tests.tui.apps import ask, chatting, says, screen_text
from tui.conversation import Entry
from tui.export import export_text, write_export

SECRET = "key-of-an-account/0123+456"


def said(prompt: str, answer: str) -> list[Entry]:
    return [
        Entry(Message.of("user", prompt)),
        Entry(Message("assistant", (ThinkingPart("Hm."), TextPart(answer)), "acme/anvil")),
    ]


def test_what_was_said_is_there_and_what_a_model_thought_is_not() -> None:
    text = export_text(said("How heavy?", "# Heavy\n\n    code\n"))
    assert text == "# How heavy?\n\n## You\n\nHow heavy?\n\n## acme/anvil\n\n# Heavy\n\n    code\n"


def test_what_went_along_and_what_became_of_an_answer_is_named() -> None:
    prompt = Message("user", (TextPart("Read this"), FilePart("plan.pdf", "application/pdf", b"%PDF")))
    answer = Entry(Message.of("assistant", "It"), state="stopped", note="Stopped.")
    assert "*With plan.pdf*\n\nRead this\n\n## Answer\n\nIt\n\n*Stopped.*\n" in export_text(
        [Entry(prompt), answer]
    )


def test_no_secret_is_in_the_file_or_its_name(tmp_path: Path) -> None:
    Credential.model_validate({"secrets": {"key": SECRET}})
    file = write_export(tmp_path, said(f"Is {SECRET} good?", f"`{SECRET}` is."))
    assert SECRET not in file.read_text(encoding="utf-8")
    assert file.read_text(encoding="utf-8").count("[secret]") == 3
    assert file.name.endswith("-is-secret-good.md")


def test_nothing_of_it_acts_on_a_terminal() -> None:
    text = export_text(said("\x1b]0;title\x07Hello \ud800", "\x1b[2Jred"))
    assert "\x1b" not in text
    assert text.encode()


def test_no_file_is_written_over(tmp_path: Path) -> None:
    files = [write_export(tmp_path, said("Hello?", "Yes.")) for _ in range(3)]
    assert len(set(files)) == 3
    assert {file.read_bytes() for file in files} == {files[0].read_bytes()}


@pytest.mark.skipif(sys.platform == "win32", reason="a folder's name that cannot be one, as POSIX has it")
def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    with pytest.raises(JackfieldError, match="cannot be exported"):
        write_export(tmp_path / "gone", said("Hello", "Yes."))


async def test_the_command_writes_where_the_app_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with chatting(says("Hello")) as (app, pilot):
        await pilot.press("slash", *"export", "enter")
        await until(pilot, lambda: "There is nothing to export yet" in screen_text(app))
        await ask(app, pilot, "Are you there?")
        await until(pilot, lambda: "Hello" in screen_text(app))
        await pilot.press("slash", *"export", "enter")
        await until(pilot, lambda: list(tmp_path.glob("*-are-you-there.md")) != [])
        await until(pilot, lambda: "Exported to" in screen_text(app))
