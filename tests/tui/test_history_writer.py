"""The writer keeps the event loop free, loses nothing it confirmed, and says so when it cannot write."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from registry.chat import Message
from registry.errors import JackfieldError
from tui.history import writer as history_writer
from tui.history.history import History
from tui.history.records import Chunk
from tui.history.writer import HistoryWriter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


@pytest.fixture
def damaged(path: Path) -> Path:
    path.write_bytes(b"no database " * 500)
    return path


@pytest.fixture
async def writer(path: Path) -> AsyncIterator[HistoryWriter]:
    writer = HistoryWriter(path)
    await writer.open()
    yield writer
    await writer.aclose()


async def open_answer(writer: HistoryWriter) -> int:
    conversation = await writer.run(History.create_conversation)
    await writer.run(History.add_message, conversation, Message.of("user", "Hello"))
    return await writer.run(History.begin_answer, conversation)


def committed(path: Path) -> str:
    """What another process would find now."""
    database = sqlite3.connect(path)
    rows = database.execute("SELECT text FROM chunks ORDER BY message_id, seq").fetchall()
    database.close()
    return "".join(text for (text,) in rows)


def failure_of(writer: HistoryWriter) -> JackfieldError:
    assert writer.failure, "the writer says that all is well"
    return writer.failure


def wait_until(condition: Callable[[], bool], limit_s: float = 10) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"


async def test_what_append_waited_for_is_in_the_file(writer: HistoryWriter, path: Path) -> None:
    answer = await open_answer(writer)
    writer.append_soon(answer, "one ")
    await writer.append(answer, "two")
    assert committed(path) == "one two"


async def test_what_is_appended_soon_is_in_the_file_soon(writer: HistoryWriter, path: Path) -> None:
    answer = await open_answer(writer)
    writer.append_soon(answer, "unattended")
    await asyncio.to_thread(wait_until, lambda: committed(path) == "unattended")


async def test_many_pieces_make_few_commits(
    writer: HistoryWriter, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await open_answer(writer)
    commits = 0
    append = History.append

    def counted(history: History, chunks: list[Chunk]) -> set[int]:
        nonlocal commits
        commits += 1
        return append(history, chunks)

    monkeypatch.setattr(History, "append", counted)
    begun = time.monotonic()
    for number in range(5000):
        writer.append_soon(answer, f"{number} ")
        if number % 100 == 0:
            await asyncio.sleep(0)
    await writer.append(answer, "end")
    took = time.monotonic() - begun

    assert commits <= took / history_writer.COMMIT_INTERVAL_S + 2
    assert committed(path) == "".join(f"{number} " for number in range(5000)) + "end"


async def test_thinking_and_text_stay_apart_and_in_order(writer: HistoryWriter) -> None:
    answer = await open_answer(writer)
    for text, kind in [("a", "thinking"), ("b", "thinking"), ("c", "text"), ("d", "text")]:
        writer.append_soon(answer, text, kind=kind)  # type: ignore[arg-type]  # the two kinds there are
    await writer.run(History.finish_answer, answer)
    (found,) = await writer.run(History.list_conversations)
    conversation = await writer.run(History.load_conversation, found.id)
    assert [(part.type, getattr(part, "text", "")) for part in conversation.messages[-1].message.parts] == [
        ("thinking", "ab"),
        ("text", "cd"),
    ]


async def test_the_event_loop_goes_on_while_another_process_holds_the_file(
    writer: HistoryWriter, path: Path
) -> None:
    answer = await open_answer(writer)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    writing = asyncio.ensure_future(writer.append(answer, "patient"))
    for _ in range(200):
        await asyncio.sleep(0.001)
    assert not writing.done(), "the event loop waited for the disk"
    holder.execute("COMMIT")
    holder.close()
    await writing
    assert committed(path) == "patient"


async def test_text_that_cannot_be_written_is_kept_and_written_later(
    writer: HistoryWriter, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_writer, "RETRY_S", 0.01)
    answer = await open_answer(writer)
    await writer.run(lambda history: history._db.execute("PRAGMA query_only = ON").close())

    with pytest.raises(JackfieldError, match="cannot be written"):
        await writer.append(answer, "first ")
    assert failure_of(writer).hint

    await writer.run(lambda history: history._db.execute("PRAGMA query_only = OFF").close())
    await writer.append(answer, "second")
    assert writer.failure is None
    assert committed(path) == "first second"


async def test_text_for_an_answer_that_ended_is_refused_and_blocks_no_other(
    writer: HistoryWriter, path: Path
) -> None:
    ended, answer = await open_answer(writer), await open_answer(writer)
    await writer.run(History.finish_answer, ended)
    writer.append_soon(answer, "good")
    with pytest.raises(JackfieldError, match="not open"):
        await writer.append(ended, "late")
    assert committed(path) == "good"
    assert writer.failure


async def test_an_operation_is_done_even_when_its_caller_is_cancelled(writer: HistoryWriter) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait(history: History) -> None:
        begun.set()
        go_on.wait(10)

    waiting = asyncio.ensure_future(writer.run(wait))
    creating = asyncio.ensure_future(writer.run(History.create_conversation, title="kept"))
    await asyncio.to_thread(begun.wait, 10)
    creating.cancel()
    go_on.set()
    await waiting
    with pytest.raises(asyncio.CancelledError):
        await creating
    assert [one.title for one in await writer.run(History.list_conversations)] == ["kept"]


async def test_an_operation_that_fails_raises_where_it_was_asked_for(writer: HistoryWriter) -> None:
    with pytest.raises(JackfieldError, match="not there"):
        await writer.run(History.load_conversation, 404)
    assert await writer.run(History.list_conversations) == []


async def test_closing_writes_what_is_left(path: Path) -> None:
    writer = HistoryWriter(path)
    await writer.open()
    answer = await open_answer(writer)
    await writer.append(answer, "now ")
    writer.append_soon(answer, "or never")
    assert writer.close()
    assert committed(path) == "now or never"
    with pytest.raises(JackfieldError, match="closed"):
        writer.append_soon(answer, "too late")
    with pytest.raises(JackfieldError, match="closed"):
        await writer.run(History.list_conversations)


async def test_a_place_that_cannot_be_used_is_told_at_once_and_memory_still_works(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path)
    with pytest.raises(JackfieldError, match="cannot be used"):
        await writer.open()
    with pytest.raises(JackfieldError, match="closed"):
        await writer.run(History.list_conversations)
    await writer.aclose()

    instead = HistoryWriter(None)
    await instead.open()
    assert await open_answer(instead)
    await instead.aclose()


async def test_a_damaged_file_that_was_set_aside_is_named(damaged: Path) -> None:
    writer = HistoryWriter(damaged)
    aside = await writer.open()
    assert aside
    assert aside.name.startswith("history.sqlite.broken-")
    await writer.aclose()


def test_a_writer_that_was_never_opened_can_be_closed(path: Path) -> None:
    assert HistoryWriter(path).close()
    assert not path.exists()


_FORGETS_TO_CLOSE = """
import asyncio, sys
from pathlib import Path
from tui.history.history import History
from tui.history.writer import HistoryWriter
async def main():
    writer = HistoryWriter(Path(sys.argv[1]))
    await writer.open()
    await writer.run(History.create_conversation, title="kept")
asyncio.run(main())
"""


def test_a_writer_that_nobody_closes_does_not_keep_the_process(path: Path) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _FORGETS_TO_CLOSE, path],
        cwd=root,
        timeout=30,
        check=False,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    history = History(path)
    assert [one.title for one in history.list_conversations()] == ["kept"]
    history.close()
