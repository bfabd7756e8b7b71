"""Files that go with a prompt: named with `@`, checked before they are sent, shown, kept and sent."""

from __future__ import annotations

import asyncio
import os
import sys
from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from textual.events import Paste

from jackfield import (
    ChatRequest,
    Credential,
    FilePart,
    Finished,
    ImagePart,
    Message,
    Model,
    Plugin,
    Provider,
    StreamEvent,
    TextDelta,
    TextPart,
)
from screenshots.take import until
from tests.tui.apps import AppPilot, ask, chatting, says, screen_text, toasts
from tui import attachments
from tui.app import JackfieldApp
from tui.attachments import Attachment, Refused, as_references, complete, fit, in_lines, look_at_all, read

PNG = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n%%EOF\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the app was started in, with a file of each kind."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "cat.png").write_bytes(PNG)
    (folder / "my cat.png").write_bytes(PNG)
    (folder / "report.pdf").write_bytes(PDF)
    (folder / "notes.txt").write_text("one\n```\ntwo\n", encoding="utf-8")
    (folder / "Makefile").write_text("all:\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def kinds(prompt: str) -> list[tuple[str, str]]:
    """Name and kind of each file that goes with a prompt; for one that cannot, the title of its error."""
    return [
        (item.name, item.kind if isinstance(item, Attachment) else item.error.title)
        for item in look_at_all(prompt)
    ]


# -- what a prompt names ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("what is on @cat.png?", [("cat.png", "image")]),
        ("(see @report.pdf), please", [("report.pdf", "file")]),
        ('compare @"my cat.png" and @cat.png', [("my cat.png", "image"), ("cat.png", "image")]),
        ("@'my cat.png'", [("my cat.png", "image")]),
        ("@Makefile and @./notes.txt", [("Makefile", "text"), ("notes.txt", "text")]),
        ("@cat.png and again @cat.png", [("cat.png", "image")]),
    ],
)
def test_a_path_after_an_at_sign_names_a_file(prompt: str, found: list[tuple[str, str]]) -> None:
    assert kinds(prompt) == found


@pytest.mark.skipif(os.name == "nt", reason="a backslash is part of the path there")
@pytest.mark.usefixtures("folder")
def test_a_blank_may_be_escaped() -> None:
    assert kinds(r"@my\ cat.png now") == [("my cat.png", "image")]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "prompt",
    [
        "write to me@cat.png",
        "@dataclass\nclass A: ...",
        '@app.route("/")',
        "ask @someone, @scope/package or @user/repo",
        "@ cat.png",
        "a @ b",
        "@@cat.png",
    ],
)
def test_an_address_or_a_word_that_is_no_file_stays_text(prompt: str) -> None:
    assert kinds(prompt) == []


def test_what_cannot_be_sent_is_refused_in_words(folder: Path) -> None:
    (folder / "empty.txt").touch()
    (folder / "sound.wav").write_bytes(b"RIFF\0\0\0\0WAVE")
    (folder / "fake.png").write_text("no picture", encoding="utf-8")
    (folder / "big.png").write_bytes(PNG + bytes(attachments.MOST_BYTES["image"]))
    assert kinds("@gone.png @/no/such/file @../here @empty.txt @sound.wav @fake.png @big.png") == [
        ("gone.png", "gone.png is not there"),
        ("file", "file is not there"),
        ("here", "here is a folder"),
        ("empty.txt", "empty.txt is empty"),
        ("sound.wav", "sound.wav is of a kind that models do not read"),
        ("fake.png", "fake.png is of a kind that models do not read"),
        ("big.png", "big.png is too large (5.0 MB)"),
    ]


@pytest.mark.skipif(os.name == "nt", reason="there are no such pipes")
def test_a_pipe_is_refused_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.txt")
    assert kinds("@pipe.txt") == [("pipe.txt", "pipe.txt is no ordinary file")]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a file that even root cannot read")
def test_a_file_that_cannot_be_read_is_refused(folder: Path) -> None:
    (folder / "cat.png").unlink()
    (folder / "cat.png").symlink_to("/proc/self/mem")
    assert kinds("@cat.png") == [("cat.png", "cat.png cannot be read")]


@pytest.mark.usefixtures("folder")
def test_a_model_is_not_sent_what_it_surely_does_not_read() -> None:
    sees, blind, unknown = Model("a", modalities=("text", "image")), Model("b", tools=True), Model("c")
    pictures, documents = "@cat.png", "@report.pdf"
    for model, prompt, title in (
        (sees, documents, "report.pdf cannot be sent: the model reads no PDFs"),
        (blind, pictures, "cat.png cannot be sent: the model reads no images"),
    ):
        refused = look_at_all(prompt, model.reads)[0]
        assert isinstance(refused, Refused)
        assert refused.error.title == title
    for model, prompt in ((sees, pictures), (unknown, pictures), (unknown, documents), (blind, "@notes.txt")):
        assert isinstance(look_at_all(prompt, model.reads)[0], Attachment)


@pytest.mark.usefixtures("folder")
def test_the_attachments_of_a_conversation_have_a_limit_together() -> None:
    left = attachments.MOST_TOGETHER - len(PNG)
    fits, refused = look_at_all("@cat.png @report.pdf", before=left)
    assert isinstance(fits, Attachment)
    assert isinstance(refused, Refused)
    assert "too much for one conversation" in refused.error.title


def test_a_name_that_is_hostile_is_safe_to_show(folder: Path) -> None:
    (folder / "a\x1b[31m.txt").write_text("x", encoding="utf-8")
    assert kinds('@"a\x1b[31m.txt"') == [("a.txt", "text")]


# -- parts --------------------------------------------------------------------------------------------------


def parts(prompt: str) -> list[object]:
    return [read(item) for item in look_at_all(prompt) if isinstance(item, Attachment)]


@pytest.mark.usefixtures("folder")
def test_files_become_parts_by_what_is_in_them() -> None:
    assert parts("@cat.png @report.pdf @notes.txt") == [
        ImagePart("image/png", PNG, name="cat.png"),
        FilePart("report.pdf", "application/pdf", PDF),
        FilePart("notes.txt", "text/plain", b"one\n```\ntwo\n"),
    ]


def test_a_model_gets_text_files_as_text_and_a_word_for_what_it_cannot_see() -> None:
    message = Message(
        "user",
        (
            TextPart("see"),
            FilePart("notes.txt", "text/plain", b"one\n```\ntwo\n"),
            ImagePart("image/png", PNG, name="cat.png"),
        ),
    )
    sees = fit(message, Model("m", modalities=("text", "image")).reads)
    assert sees.parts[1] == TextPart("\n\nnotes.txt:\n\n````\none\n```\ntwo\n````\n")
    assert sees.parts[2] == message.parts[2]
    blind = fit(message, Model("m", tools=True).reads)
    assert blind.text.startswith("see\n\nnotes.txt:")
    assert "cat.png" in blind.text
    assert all(isinstance(part, TextPart) for part in blind.parts)
    assert in_lines(message) == ["notes.txt (text, 12 B)", "cat.png (image, 70 B)"]


# -- paths that a terminal pastes, and completion -----------------------------------------------------------


def test_a_pasted_path_becomes_a_reference(folder: Path) -> None:
    assert as_references(f"{folder}/cat.png") == f"@{folder}/cat.png "
    for pasted in (f"'{folder}/my cat.png' ", f"{folder}/my\\ cat.png", f"file://{folder}/my%20cat.png"):
        if os.name != "nt":
            assert as_references(pasted) == f'@"{folder}/my cat.png" '
    assert (
        as_references(f"{folder}/cat.png {folder}/report.pdf") == f"@{folder}/cat.png @{folder}/report.pdf "
    )
    for other in ("cat.png", "/no/such/file", "/etc is a folder", "a 'quote", "/", f"{folder}", ""):
        assert as_references(other) is None


@pytest.mark.usefixtures("folder")
def test_a_path_is_completed_as_far_as_it_goes() -> None:
    assert complete("see @re") == ("see @report.pdf ", ("report.pdf",))
    assert complete("see @my") == ('see @"my cat.png" ', ("my cat.png",))
    assert complete('see @"my') == ('see @"my cat.png" ', ("my cat.png",))
    assert complete("see @none") == ("see @none", ())
    assert complete("no reference") is None
    Path("deep").mkdir()
    Path("deep/notable.md").touch()
    Path("deep/notes.md").touch()
    assert complete("@de") == ("@deep/", ("deep/",))
    assert complete("@deep/n") == ("@deep/not", ("notable.md", "notes.md"))


# -- in the app ---------------------------------------------------------------------------------------------


class Viewer(Plugin):
    """A model that sees, and one that does not; they remember what they were asked."""

    name = "viewer"
    version = "1.0.0"

    def __init__(self) -> None:
        self.requests: list[ChatRequest] = []
        self._provider = _Viewing(self.requests)

    def providers(self) -> Sequence[Provider]:
        return [self._provider]


class _Viewing(Provider):
    name = "viewer"
    known_models = (Model("sees", "Sees", modalities=("text", "image", "file")), Model("blind", tools=True))

    def __init__(self, requests: list[ChatRequest]) -> None:
        self._requests = requests

    async def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        self._requests.append(request)
        yield TextDelta("I see.")
        yield Finished()


async def use(app: JackfieldApp, viewer: Viewer, model: str) -> None:
    if "viewer" not in {entry.name for entry in app.host.registry.providers()}:
        app.host.registry.register(viewer)
    await app.chat.use_model(await app.host.choose_model(f"viewer/{model}"))


async def paste(pilot: AppPilot, text: str) -> None:
    pilot.app.post_message(Paste(text))
    await pilot.pause()


@pytest.mark.usefixtures("folder")
async def test_an_attached_file_is_shown_sent_and_kept() -> None:
    viewer = Viewer()
    async with chatting(says("hi")) as (app, pilot):
        await use(app, viewer, "sees")
        await pilot.press(*"what is @cat.png")
        await until(pilot, lambda: "▪ cat.png  image, 70 B" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "▪ cat.png (image, 70 B)" in screen_text(app))
        await until(pilot, lambda: "I see." in screen_text(app) and not app.chat.answering)
        number = app.chat.conversation.id
        assert number is not None
        await pilot.press("ctrl+n")
        await app.chat.open(number)
        await until(pilot, lambda: "▪ cat.png (image, 70 B)" in screen_text(app))
        await ask(app, pilot, "and now?")
    picture = ImagePart("image/png", PNG, name="cat.png")
    for request in viewer.requests:
        assert request.messages[0].parts == (TextPart("what is @cat.png"), picture)


@pytest.mark.usefixtures("folder")
async def test_what_is_refused_is_told_and_nothing_typed_is_lost() -> None:
    viewer = Viewer()
    async with chatting(says("hi")) as (app, pilot):
        await use(app, viewer, "blind")
        await pilot.press(*"what is @cat.png")
        await until(pilot, lambda: "✗ cat.png cannot be sent: the model reads no images" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "cat.png cannot be sent" in toasts(app))
        assert app.chat.composer.text == "what is @cat.png"
        assert app.chat.conversation.entries == []
        await use(app, viewer, "sees")
        await pilot.press("enter")
        await until(pilot, lambda: "I see." in screen_text(app))
        assert app.chat.composer.text == ""


@pytest.mark.usefixtures("folder")
async def test_a_model_that_cannot_see_is_told_of_earlier_pictures_in_a_word() -> None:
    viewer = Viewer()
    async with chatting(says("hi")) as (app, pilot):
        await use(app, viewer, "sees")
        await ask(app, pilot, "what is @cat.png")
        await use(app, viewer, "blind")
        await ask(app, pilot, "go on")
        await until(pilot, lambda: "does not take it: cat.png" in screen_text(app))
    first = viewer.requests[1].messages[0]
    assert all(isinstance(part, TextPart) for part in first.parts)
    assert "[cat.png: attached" in first.text


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is waited for, however slow the machine is."""
    monkeypatch.setattr("tui.widgets.composer.DISK_LIMIT_S", 60.0)


@pytest.mark.usefixtures("slow_disk")
async def test_a_file_that_is_dragged_into_the_terminal_is_attached(folder: Path) -> None:
    viewer = Viewer()
    async with chatting(says("hi")) as (app, pilot):
        await use(app, viewer, "sees")
        await paste(pilot, f"'{folder}/my cat.png'")
        await until(pilot, lambda: app.chat.composer.text == f'@"{folder}/my cat.png" ')
        await until(pilot, lambda: "▪ my cat.png" in screen_text(app))
        await paste(pilot, "some /etc words")
        await until(pilot, lambda: app.chat.composer.text.endswith("some /etc words"))


@pytest.mark.usefixtures("folder", "slow_disk")
async def test_tab_completes_a_path_and_moves_on_where_there_is_none() -> None:
    async with chatting(says("hi")) as (app, pilot):
        await pilot.press(*"see @rep", "tab")
        await until(pilot, lambda: app.chat.composer.text == "see @report.pdf ")
        await pilot.press(*"@", "tab")
        await until(pilot, lambda: "cat.png  my cat.png" in screen_text(app))
        app.chat.composer.fill("me@x")
        app.chat.add_class("-talking")
        app.chat.transcript.focus()
        app.chat.composer.focus()
        await pilot.press("tab")
        await until(pilot, lambda: app.chat.focused is not app.chat.composer)


@pytest.mark.usefixtures("folder")
async def test_while_a_disk_is_slow_the_composer_stays_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = asyncio.Event()
    held = attachments.look_at
    loop = asyncio.get_running_loop()

    def slow(*arguments: object) -> object:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(20)
        return held(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(attachments, "look_at", slow)
    viewer = Viewer()
    async with chatting(says("hi")) as (app, pilot):
        await use(app, viewer, "sees")
        await pilot.press(*"@cat.png", "enter", *" and more")
        assert app.chat.composer.text == "@cat.png and more"
        gate.set()
        await until(pilot, lambda: bool(viewer.requests))
        await until(pilot, lambda: app.chat.composer.text == " and more")


async def test_other_text_is_pasted_once_and_without_its_escape_sequences() -> None:
    async with chatting(says("hi")) as (app, pilot):
        await paste(pilot, "/etc \x1b[31mwords")
        await until(pilot, lambda: app.chat.composer.text == "/etc words")
