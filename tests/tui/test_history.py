"""Conversations are kept: in order, through every ending of the process, and in spite of a broken file."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from registry.chat import (
    FilePart,
    ImagePart,
    Message,
    StopReason,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    Usage,
)
from registry.errors import JackfieldError
from tui.history import file as history_file
from tui.history.history import INTERRUPTED, History
from tui.history.records import TITLE_LENGTH, UNREADABLE, Chunk, title_of

ROOT = Path(__file__).parents[2]
STREAMER = Path(__file__).with_name("history_streamer.py")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "history.sqlite"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    history = History(path)
    yield history
    history.close()


def asked(history: History, prompt: str = "Hello") -> int:
    conversation = history.create_conversation()
    history.add_message(conversation, Message.of("user", prompt))
    return conversation


def streamer(path: Path, pieces: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, STREAMER, path, str(pieces)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def first_line(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout
    return process.stdout.readline().split()


def test_a_conversation_comes_back_as_it_was_written(path: Path, history: History) -> None:
    conversation = history.create_conversation(model="acme/large")
    prompt = Message(
        "user",
        (
            TextPart("What is this?"),
            ImagePart("image/png", b"\x89\x00\xff"),
            FilePart("a.pdf", "application/pdf", b"%"),
        ),
    )
    history.add_message(conversation, prompt)
    answer = history.begin_answer(conversation, model="acme/large")
    history.append([Chunk(answer, "A pic")])
    parts = (
        ThinkingPart("hm", opaque='{"signature": "x"}'),
        TextPart("A picture."),
        ToolCallPart("1", "look", "{"),
    )
    history.finish_answer(
        answer,
        parts=parts,
        usage=Usage(input=3, output=5),
        stop=StopReason.TOOL,
        note="kept",
        diffs=[{"plugin": "upper", "before": "a", "after": "A"}],
    )

    with_other_eyes = History(path)
    loaded = with_other_eyes.load_conversation(conversation)
    with_other_eyes.close()

    first, second = loaded.messages
    assert loaded.summary.model == "acme/large"
    assert loaded.summary.messages == 2
    assert first.message == prompt
    assert (first.state, first.position) == ("complete", 0)
    assert second.message == Message("assistant", parts, "acme/large")
    assert (second.state, second.position, second.note) == ("complete", 1, "kept")
    assert (second.usage, second.stop) == (Usage(input=3, output=5), StopReason.TOOL)
    assert second.diffs == ({"plugin": "upper", "before": "a", "after": "A"},)
    assert second.created_at.utcoffset() == timedelta(0)


def test_an_open_answer_is_read_as_far_as_it_is_written(history: History) -> None:
    conversation = asked(history)
    answer = history.begin_answer(conversation)
    history.append([Chunk(answer, "Let me", "thinking"), Chunk(answer, " see", "thinking")])
    history.append([Chunk(answer, "One"), Chunk(answer, ", two")])

    shown = history.load_conversation(conversation).messages[-1]

    assert shown.state == "streaming"
    assert shown.message.parts == (ThinkingPart("Let me see"), TextPart("One, two"))


@pytest.mark.parametrize("state", ["complete", "stopped", "error"])
def test_an_answer_that_ends_without_parts_keeps_what_was_appended(history: History, state: str) -> None:
    conversation = asked(history)
    answer = history.begin_answer(conversation)
    history.append([Chunk(answer, "so "), Chunk(answer, "far")])
    history.finish_answer(answer, state=state, note="why")  # type: ignore[arg-type]  # the three that are not open

    kept = history.load_conversation(conversation).messages[-1]

    assert (kept.message.text, kept.state, kept.note) == ("so far", state, "why")


def test_appending_writes_the_piece_and_not_the_whole_answer(path: Path, history: History) -> None:
    answer = history.begin_answer(asked(history))
    history.append([Chunk(answer, "x" * 1_000_000)])
    log = path.with_name("history.sqlite-wal")
    before = log.stat().st_size
    for _ in range(20):
        history.append([Chunk(answer, "y")])

    assert log.stat().st_size - before < 400_000, "twenty small pieces cost more than their pages"


def test_a_finished_answer_takes_no_more_text_and_no_second_end(history: History) -> None:
    conversation = asked(history)
    answer = history.begin_answer(conversation)
    history.append([Chunk(answer, "done")])
    history.finish_answer(answer)

    assert history.append([Chunk(answer, "more"), Chunk(answer + 99, "lost")]) == {answer, answer + 99}
    with pytest.raises(JackfieldError, match="not open"):
        history.finish_answer(answer, parts=[])
    assert history.load_conversation(conversation).messages[-1].message.text == "done"


def test_the_conversation_changed_last_is_listed_first(history: History) -> None:
    older, newer = asked(history, "The first"), asked(history, "The second")
    history.add_message(older, Message.of("user", "again"))

    listed = history.list_conversations()

    assert [(one.id, one.title, one.messages) for one in listed] == [
        (older, "The first", 2),
        (newer, "The second", 1),
    ]
    assert listed[0].updated_at > listed[1].updated_at
    assert history.list_conversations(limit=1) == listed[:1]


def test_the_first_prompt_gives_the_title_until_the_user_gives_one(history: History) -> None:
    conversation = asked(history, "  Why is\n the sky blue?  ")
    history.add_message(conversation, Message.of("user", "And the sea?"))
    assert history.list_conversations()[0].title == "Why is the sky blue?"

    history.set_title(conversation, "Colours")
    assert history.list_conversations()[0].title == "Colours"


def test_a_long_title_ends_at_a_word() -> None:
    assert title_of("word " * 50) == " ".join(["word"] * 12) + "…"
    assert title_of("x" * 500) == "x" * (TITLE_LENGTH - 1) + "…"


def test_the_model_of_a_conversation_can_change(history: History) -> None:
    conversation = asked(history)
    history.set_model(conversation, "acme/small")
    assert history.load_conversation(conversation).summary.model == "acme/small"


def test_a_deleted_conversation_is_gone_from_everywhere_and_can_be_brought_back(history: History) -> None:
    conversation = asked(history, "a secret plan")
    history.delete_conversation(conversation)

    assert history.list_conversations() == []
    assert history.prompts() == []
    assert history.search("secret") == []
    with pytest.raises(JackfieldError, match="not there"):
        history.load_conversation(conversation)

    history.restore_conversation(conversation)
    assert history.load_conversation(conversation).messages[0].message.text == "a secret plan"


def test_purging_removes_only_what_was_deleted_long_enough_ago(path: Path, history: History) -> None:
    kept, deleted = asked(history, "keep this"), asked(history, "forget this")
    assert len(history.search("this")) == 2
    history.delete_conversation(deleted)

    assert history.purge_deleted() == 0
    assert history.purge_deleted(older_than=timedelta(0)) == 1
    assert [found.id for found, _ in history.search("this")] == [kept]
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT text FROM messages").fetchall() == [("keep this",)]
        assert database.execute("SELECT COUNT(*) FROM words WHERE words MATCH 'forget'").fetchone() == (0,)
    database.close()


def test_a_retry_discards_a_message_and_what_follows(history: History) -> None:
    conversation = asked(history, "first")
    failed = history.add_message(
        conversation, Message.of("assistant", "broken"), state="error", note="no network"
    )
    history.add_message(conversation, Message.of("user", "second"))
    assert history.search("broken")

    history.discard_from(failed)
    history.add_message(conversation, Message.of("assistant", "better"))

    texts = [(one.position, one.message.text) for one in history.load_conversation(conversation).messages]
    assert texts == [(0, "first"), (1, "better")]
    assert history.search("broken") == []


def test_prompts_are_each_given_once_and_the_latest_first(history: History) -> None:
    conversation = asked(history, "one")
    for prompt in ["two", "three", "one", "four"]:
        history.add_message(conversation, Message.of("user", prompt))
    history.add_message(conversation, Message.of("assistant", "not a prompt"))

    assert history.prompts() == ["four", "one", "three", "two"]
    assert history.prompts(limit=2) == ["four", "one"]


@pytest.mark.parametrize("indexed", [True, False])
def test_search_finds_words_beginnings_and_else_any_text(
    history: History, monkeypatch: pytest.MonkeyPatch, indexed: bool
) -> None:
    if not indexed:
        monkeypatch.setattr("tui.history.search.HistorySearch._has_index", lambda self: False)
    conversation = asked(history, "Der große Bär tanzt")
    answer = history.add_message(conversation, Message.of("assistant", "100% of a_b\u3000你好世界"))

    def found(query: str) -> list[int]:
        return [message for summary, message in history.search(query) if summary.id == conversation]

    prompt = answer - 1
    assert found("große B") == [prompt]
    assert found("Bär tan") == [prompt]
    assert found("ozess") == []
    assert found("roße") == [prompt]
    assert found("100%") == [answer]
    assert found("% of a_") == [answer]
    assert found("1%0%") == []
    assert found("好世") == [answer]
    assert found('" OR * NEAR(') == []
    assert found("  ") == []
    if indexed:
        assert found("tanzt große") == [prompt]


def test_search_leaves_open_answers_out_until_they_end(history: History) -> None:
    answer = history.begin_answer(asked(history))
    history.append([Chunk(answer, "elephant")])
    assert history.search("elephant") == []
    history.finish_answer(answer)
    assert [message for _, message in history.search("elephant")] == [answer]


def test_half_a_surrogate_pair_does_no_harm(history: History) -> None:
    conversation = asked(history, "broken \ud83d prompt")
    answer = history.begin_answer(conversation)
    history.append([Chunk(answer, "a\ud83d\ude00b\udfff")])
    history.finish_answer(answer, note="\ud800")

    prompt, kept = history.load_conversation(conversation).messages
    assert prompt.message.text == "broken \ud83d prompt"
    assert (kept.message.text, kept.note) == ("a😀b\ufffd", "\ufffd")
    assert [message for _, message in history.search("prompt \ud83d")] == [prompt.id]


def test_nul_characters_are_kept(history: History) -> None:
    conversation = asked(history, "a\0b")
    assert history.load_conversation(conversation).messages[0].message.text == "a\0b"


def test_a_message_that_cannot_be_read_shows_its_text_and_leaves_the_others_alone(
    path: Path, history: History
) -> None:
    conversation = asked(history, "the text")
    history.add_message(conversation, Message.of("user", "another"))
    with sqlite3.connect(path) as database:
        database.execute("""UPDATE messages SET parts = '[{"type": "hologram"}]' WHERE position = 0""")
    database.close()

    first, second = history.load_conversation(conversation).messages
    assert (first.message.text, first.note) == ("the text", UNREADABLE)
    assert (second.message.text, second.note) == ("another", "")


def test_in_memory_everything_works_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    history = History(None)
    conversation = asked(history)
    history.begin_answer(conversation)
    assert history.interrupted() is None
    assert history.load_conversation(conversation).messages[-1].state == "streaming"
    history.close()
    assert list(tmp_path.iterdir()) == []


# Endings


def test_an_answer_cut_off_by_the_end_of_its_process_is_offered_and_then_settled(path: Path) -> None:
    process = streamer(path, 3)
    conversation = int(first_line(process)[1])
    while first_line(process) != ["waiting"]:
        pass
    history = History(path)
    assert history.interrupted() is None, "the other instance is alive and still writes"
    assert history.load_conversation(conversation).messages[-1].state == "streaming"

    process.kill()
    process.wait()

    found = history.interrupted()
    assert found
    assert (found.id, found.title) == (conversation, "Count for me")
    assert history.interrupted() == found, "asking does not use the offer up"
    last = history.load_conversation(conversation).messages[-1]
    assert (last.state, last.note, last.message.text) == ("stopped", INTERRUPTED, "0 1 2 3 4 5 ")
    assert history.interrupted() is None
    history.close()


def test_an_offer_can_be_turned_down_and_the_text_stays(path: Path) -> None:
    first = History(path)
    conversation = asked(first)
    first.append([Chunk(first.begin_answer(conversation), "half")])
    first.close()

    second = History(path)
    second.settle_interrupted()
    assert second.interrupted() is None
    assert second.load_conversation(conversation).messages[-1].message.text == "half"
    second.close()


def test_the_newest_of_several_interrupted_conversations_is_offered(path: Path) -> None:
    first = History(path)
    old, new, deleted = asked(first), asked(first), asked(first)
    for conversation in (old, new, deleted):
        first.begin_answer(conversation)
    first.delete_conversation(deleted)
    first.close()

    second = History(path)
    offered = second.interrupted()
    second.close()
    assert offered
    assert offered.id == new


def test_marks_of_the_dead_are_cleared_away(path: Path) -> None:
    first = History(path)
    first.begin_answer(asked(first))
    marks = path.with_name("history.sqlite.live")
    assert len(list(marks.iterdir())) == 1
    first.close()
    assert list(marks.iterdir()) == []


def test_marks_that_a_killed_process_left_are_cleared_by_the_next_start(path: Path) -> None:
    process = streamer(path, 1)
    first_line(process)
    process.kill()
    process.communicate()
    marks = path.with_name("history.sqlite.live")
    (left,) = marks.iterdir()

    history = History(path)
    (own,) = marks.iterdir()
    assert own != left
    assert history.interrupted()
    history.close()


@pytest.mark.parametrize("round_", range(6))
def test_killed_at_any_moment_nothing_that_was_committed_is_lost(path: Path, round_: int) -> None:
    process = streamer(path, 1_000_000)
    conversation = int(first_line(process)[1])
    chance = random.Random(round_)  # noqa: S311  # the moment of death, not a secret
    lines = chance.randrange(1, 25)
    for _ in range(lines):
        first_line(process)
    for _ in range(chance.randrange(200_000)):  # anywhere between two commits
        pass
    process.kill()
    assert process.stdout
    printed = lines * 2
    for line in process.stdout.read().splitlines(keepends=True):
        if line.endswith("\n"):
            printed = int(line)
    process.wait()

    history = History(path)
    found = history.interrupted()
    kept = history.load_conversation(conversation).messages[-1].message.text.split()
    history.close()

    assert found
    assert history.set_aside is None
    assert len(kept) >= printed, "something that was said to be committed is not there"
    assert kept == [str(number) for number in range(len(kept))]


def test_two_processes_write_at_once_and_both_are_kept(path: Path) -> None:
    processes = [streamer(path, 12) for _ in range(3)]
    conversations = [int(first_line(process)[1]) for process in processes]
    for process in processes:
        process.communicate("", timeout=60)
        assert process.returncode == 0

    history = History(path)
    assert len(set(conversations)) == 3
    for conversation in conversations:
        answer = history.load_conversation(conversation).messages[-1]
        assert (answer.state, answer.message.text.split()) == (
            "complete",
            [str(number) for number in range(24)],
        )
    history.close()


# Faults


@pytest.mark.parametrize(
    "content",
    [b"this is not a database, and long enough to tell. " * 100, b"SQLite format 3\0" + b"\xff" * 5000],
)
def test_a_damaged_file_is_kept_under_another_name_and_a_new_one_begun(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)

    history = History(path)
    conversation = asked(history)

    assert history.set_aside
    assert history.set_aside.name.startswith("history.sqlite.broken-")
    assert history.set_aside.read_bytes() == content
    assert history.load_conversation(conversation).messages
    history.close()
    again = History(path)
    assert again.set_aside is None
    assert len(again.list_conversations()) == 1
    again.close()


def test_two_damaged_files_on_one_day_are_both_kept(path: Path) -> None:
    path.parent.mkdir()
    names = set()
    for content in (b"first " * 1000, b"second " * 1000):
        path.write_bytes(content)
        history = History(path)
        history.close()
        assert history.set_aside
        names.add(history.set_aside)
        path.unlink()
    assert [name.exists() for name in names] == [True, True]


def test_several_processes_that_meet_a_damaged_file_set_it_aside_once(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database " * 500)
    processes = [streamer(path, 1) for _ in range(4)]
    for process in processes:
        process.communicate("", timeout=60)
        assert process.returncode == 0

    history = History(path)
    assert len(history.list_conversations()) == 4
    assert len(list(path.parent.glob("*.broken-*"))) == 1
    history.close()


def test_damage_found_later_says_so_and_is_set_aside_by_the_next_start(path: Path) -> None:
    history = History(path)
    conversation = asked(history)
    for _ in range(50):
        history.add_message(conversation, Message.of("user", "x" * 5000))
    history.close()
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xa5" * (len(content) - 8192)
    path.write_bytes(content)

    damaged = History(path)
    with pytest.raises(JackfieldError, match="damaged") as caught:
        damaged.load_conversation(conversation)
    damaged.close()
    assert "start Jackfield again" in caught.value.hint

    healed = History(path)
    assert healed.set_aside
    assert healed.list_conversations() == []
    healed.close()


def test_a_false_alarm_leaves_the_file_where_it_is(path: Path) -> None:
    history = History(path)
    asked(history)
    history.close()
    note = path.with_name("history.sqlite.damaged")
    note.touch()

    again = History(path)
    assert again.set_aside is None
    assert len(again.list_conversations()) == 1
    assert not note.exists()
    again.close()


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    History(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()

    with pytest.raises(JackfieldError, match="newer version") as caught:
        History(path)
    assert "Update" in caught.value.hint
    assert path.exists()


@pytest.mark.parametrize("obstacle", ["the file is a folder", "the folder is a file"])
def test_a_place_that_cannot_be_used_gives_an_error_with_a_hint(path: Path, obstacle: str) -> None:
    if obstacle == "the file is a folder":
        path.mkdir(parents=True)
    else:
        path.parent.write_text("in the way")

    with pytest.raises(JackfieldError, match="cannot be used") as caught:
        History(path)
    assert "JACKFIELD_HOME" in caught.value.hint


def test_a_full_disk_says_so_and_keeps_what_was_there(history: History) -> None:
    conversation = asked(history)
    pages = history._db.execute("PRAGMA page_count").fetchone()[0]
    history._db.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(JackfieldError, match="disk is full") as caught:
        history.add_message(conversation, Message.of("user", "x" * 100_000))
    assert "room" in caught.value.hint

    history._db.execute("PRAGMA max_page_count = 1000000")
    history.add_message(conversation, Message.of("user", "there is room again"))
    assert [one.message.text for one in history.load_conversation(conversation).messages] == [
        "Hello",
        "there is room again",
    ]


def test_a_file_that_must_not_be_written_says_so(history: History) -> None:
    conversation = asked(history)
    history._db.execute("PRAGMA query_only = ON")

    with pytest.raises(JackfieldError, match="cannot be written") as caught:
        history.add_message(conversation, Message.of("user", "no"))
    assert "writable" in caught.value.hint
    assert len(history.load_conversation(conversation).messages) == 1


_USED_BY_NOBODY = """
import os, sys
from pathlib import Path
from registry.errors import JackfieldError
from tui.history.history import History
if os.geteuid() == 0:  # who may write everywhere
    os.setuid(65534)
try:
    History(Path(sys.argv[1])).create_conversation()
except JackfieldError as error:
    sys.stdout.write(f"{error.title} | {error.hint}")
"""


@pytest.mark.skipif(os.name == "nt", reason="a folder cannot be made read-only there")
def test_a_folder_that_must_not_be_written_gives_an_error_with_a_hint() -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "history.sqlite"
        History(path).close()
        Path(folder).chmod(0o555)
        path.chmod(0o444)
        done = subprocess.run(
            [sys.executable, "-c", _USED_BY_NOBODY, path],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        Path(folder).chmod(0o700)
    assert done.stdout.startswith("The history cannot be"), done.stderr
    assert "JACKFIELD_HOME" in done.stdout


def test_a_file_that_another_program_holds_says_so(
    path: Path, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = asked(history)
    history._db.execute("PRAGMA busy_timeout = 10")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(JackfieldError, match="holds the history"):
        history.add_message(conversation, Message.of("user", "no"))
    assert len(history.load_conversation(conversation).messages) == 1, "reading goes on meanwhile"

    holder.close()
    history.add_message(conversation, Message.of("user", "yes"))


def test_a_message_for_a_conversation_that_is_gone_says_so(history: History) -> None:
    with pytest.raises(JackfieldError, match="not there"):
        history.add_message(12345, Message.of("user", "anyone?"))


# Schema


def test_a_file_of_the_first_version_is_brought_to_the_newest(path: Path) -> None:
    path.parent.mkdir()
    database = sqlite3.connect(path, isolation_level=None)
    history_file.migrate(database, history_file.MIGRATIONS[:1])
    database.execute(
        "INSERT INTO conversations(title, created_at, updated_at) VALUES ('old', ?, ?)",
        ["2026-01-01T00:00:00+00:00"] * 2,
    )
    database.close()

    history = History(path)
    assert [one.title for one in history.list_conversations()] == ["old"]
    history.close()
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (len(history_file.MIGRATIONS),)
    database.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "file", isolation_level=None)
    steps = [("CREATE TABLE one(x)",), ("ALTER TABLE one ADD COLUMN y", "CREATE TABLE one(x)")]

    with pytest.raises(sqlite3.OperationalError):
        history_file.migrate(database, steps)
    assert database.execute("PRAGMA user_version").fetchone() == (1,)
    assert [row[1] for row in database.execute("PRAGMA table_info(one)")] == ["x"]

    history_file.migrate(database, [steps[0], ("ALTER TABLE one ADD COLUMN y",)])
    assert database.execute("PRAGMA user_version").fetchone() == (2,)
    database.close()


def test_the_file_and_its_folder_are_for_the_user_alone(path: Path, history: History) -> None:
    assert history.path == path
    if os.name != "nt":
        assert path.parent.stat().st_mode & 0o077 == 0
        assert path.stat().st_mode & 0o077 == 0


def test_a_conversation_keeps_its_system_prompt_and_its_parameters(history: History) -> None:
    conversation = history.create_conversation()
    assert history.load_conversation(conversation).parameters == {}
    history.set_parameters(conversation, system="Be \ud83d kind.", parameters={"temperature": 0.5, "x": True})
    loaded = history.load_conversation(conversation)
    assert loaded.system == "Be \ufffd kind."
    assert loaded.parameters == {"temperature": 0.5, "x": True}


def test_a_conversation_of_the_first_version_has_no_parameters(path: Path) -> None:
    path.parent.mkdir()
    database = sqlite3.connect(path, isolation_level=None)
    history_file.migrate(database, history_file.MIGRATIONS[:1])
    database.execute(
        "INSERT INTO conversations(title, created_at, updated_at) VALUES ('old', ?, ?)",
        ["2026-01-01T00:00:00+00:00"] * 2,
    )
    database.close()
    history = History(path)
    loaded = history.load_conversation(history.list_conversations()[0].id)
    history.close()
    assert (loaded.system, dict(loaded.parameters)) == (None, {})
