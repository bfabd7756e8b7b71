"""Conversations in SQLite: written as they stream, so that nothing that was shown is ever lost.

`History` does the work and blocks while it does; `tui.history.writer.HistoryWriter` puts a thread of its own
and an asynchronous face before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from registry.chat import Message, ParameterValue, Part, StopReason, Usage
from registry.chat_json import parts_from_json, parts_to_json, usage_to_json
from registry.errors import JackfieldError
from tui.history import file as history_file
from tui.history.records import (
    MESSAGES,
    Chunk,
    Conversation,
    Diff,
    MessageState,
    StoredMessage,
    Summary,
    fold,
    message_of_row,
    parameters_of,
    plain,
    storable,
    summary_of_row,
    title_of,
    unreadable_message,
)
from tui.history.search import HistorySearch

INTERRUPTED = "Interrupted: the app ended before the answer did."


class History:
    """The conversations of one user.

    Every method blocks while it reads or writes and may be called from one thread at a time; every one raises
    a `JackfieldError` when the file cannot be used.

    Args:
        path: the file, made when it is missing. None keeps everything in memory, for this run only.

    Raises:
        JackfieldError: the file cannot be opened. A damaged file does not raise: see `set_aside`.
    """

    set_aside: Path | None
    """The new name of a damaged file that was found in this place; None when all was well."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        with history_file.explained(path):
            self._db, self.set_aside = history_file.connect_or_set_aside(path)
            self._owner = history_file.Owner(path) if path else None
        self._search = HistorySearch(self._db)

    def close(self) -> None:
        """Close the file. An answer that is still open counts as interrupted from now on."""
        self._db.close()
        if self._owner:
            self._owner.close()

    def create_conversation(self, *, title: str = "", model: str | None = None) -> int:
        """Begin a conversation and give its id. Without a title, the first prompt gives it one."""
        now = _now()
        with self._write():
            return self._insert(
                "INSERT INTO conversations(title, model, created_at, updated_at) VALUES (?, ?, ?, ?)",
                (storable(title), model, now, now),
            )

    def set_title(self, conversation_id: int, title: str) -> None:
        """Give a conversation another title."""
        with self._write():
            self._db.execute(
                "UPDATE conversations SET title = ? WHERE id = ?", (storable(title), conversation_id)
            )

    def set_model(self, conversation_id: int, model: str) -> None:
        """Note the `provider/model` that a conversation goes on with."""
        with self._write():
            self._db.execute("UPDATE conversations SET model = ? WHERE id = ?", (model, conversation_id))

    def set_parameters(
        self, conversation_id: int, *, system: str | None, parameters: Mapping[str, ParameterValue]
    ) -> None:
        """Keep what the user set for a conversation."""
        kept = (None if system is None else storable(system), json.dumps(dict(parameters)), conversation_id)
        with self._write():
            self._db.execute("UPDATE conversations SET system = ?, parameters = ? WHERE id = ?", kept)

    def add_message(
        self, conversation_id: int, message: Message, *, state: MessageState = "complete", note: str = ""
    ) -> int:
        """Put a message at the end of a conversation and give its id."""
        with self._write():
            if message.role == "user":
                self._db.execute(
                    "UPDATE conversations SET title = ? WHERE id = ? AND title = ''",
                    (title_of(message.text), conversation_id),
                )
            return self._append_message(conversation_id, message, state, note)

    def begin_answer(self, conversation_id: int, *, model: str | None = None) -> int:
        """Open an answer at the end of a conversation and give its id; text comes with `append`."""
        with self._write():
            return self._append_message(conversation_id, Message("assistant", (), model), "streaming", "")

    def append(self, chunks: Iterable[Chunk]) -> set[int]:
        """Write pieces of open answers, all in one commit.

        Gives the ids among them that belong to no open answer; their pieces are left out.
        """
        closed = set()
        with self._write():
            for chunk in chunks:
                written = self._db.execute(
                    """INSERT INTO chunks(message_id, seq, kind, text)
                    SELECT id, (SELECT COALESCE(MAX(seq), -1) + 1 FROM chunks WHERE message_id = messages.id),
                    ?, ?
                    FROM messages WHERE id = ? AND state = 'streaming'""",
                    (chunk.kind, storable(chunk.text), chunk.message_id),
                ).rowcount
                if not written:
                    closed.add(chunk.message_id)
        return closed

    def finish_answer(
        self,
        message_id: int,
        *,
        state: MessageState = "complete",
        parts: Sequence[Part] | None = None,
        usage: Usage | None = None,
        stop: StopReason | None = None,
        note: str = "",
        diffs: Sequence[Diff] = (),
    ) -> None:
        """Close an open answer, once.

        Args:
            message_id: what `begin_answer` gave.
            state: how it ended.
            parts: the answer as it is to be kept; None keeps what was appended.
            usage: its tokens.
            stop: why the model ended.
            note: why it stopped or failed.
            diffs: what hooks changed.

        Raises:
            JackfieldError: no answer with this id is open.
        """
        with self._write():
            if parts is None:
                parts = self._fold(message_id)
            changed = self._db.execute(
                """UPDATE messages SET state = ?, parts = ?, text = ?, usage = ?, stop = ?, note = ?,
                diffs = ?, owner = NULL WHERE id = ? AND state = 'streaming'""",
                (
                    state,
                    parts_to_json(parts),
                    plain(parts),
                    usage_to_json(usage) if usage else None,
                    stop,
                    storable(note),
                    json.dumps(list(diffs)),
                    message_id,
                ),
            ).rowcount
            if not changed:
                raise JackfieldError(
                    "The answer is not open any more",
                    hint="Load the conversation again to see it as it is kept.",
                )
            self._db.execute("DELETE FROM chunks WHERE message_id = ?", (message_id,))
            (conversation_id,) = self._db.execute(
                "SELECT conversation_id FROM messages WHERE id = ?", (message_id,)
            ).fetchone()
            self._touch(conversation_id)

    def list_conversations(self, *, limit: int = 500) -> list[Summary]:
        """The conversations, the one that was changed last first."""
        with self._read():
            return self._summaries("deleted_at IS NULL ORDER BY updated_at DESC, id DESC LIMIT ?", limit)

    def load_conversation(self, conversation_id: int) -> Conversation:
        """A conversation with all its messages. An answer that died with its process is closed first.

        Raises:
            JackfieldError: there is no such conversation.
        """
        self.settle_interrupted(conversation_id)
        with self._read():
            summaries = self._summaries("id = ? AND deleted_at IS NULL", conversation_id)
            if not summaries:
                raise JackfieldError(
                    "This conversation is not there any more", hint="Another window may have deleted it."
                )
            rows = self._db.execute(MESSAGES, (conversation_id,)).fetchall()
            (system, parameters) = self._db.execute(
                "SELECT system, parameters FROM conversations WHERE id = ?", (conversation_id,)
            ).fetchone()
            messages = tuple(self._message(row) for row in rows)
            return Conversation(summaries[0], messages, system, parameters_of(parameters))

    def discard_from(self, message_id: int) -> None:
        """Take a message and all that follow it out of their conversation, as a retry does. This is final."""
        with self._write():
            place = self._db.execute(
                "SELECT conversation_id, position FROM messages WHERE id = ?", (message_id,)
            ).fetchone()
            if place is not None:
                self._search.forget("conversation_id = ? AND position >= ?", place)
                self._db.execute("DELETE FROM messages WHERE conversation_id = ? AND position >= ?", place)

    def delete_conversation(self, conversation_id: int) -> None:
        """Delete a conversation in a way that `restore_conversation` can undo until `purge_deleted`."""
        with self._write():
            self._db.execute(
                "UPDATE conversations SET deleted_at = ? WHERE id = ?", (_now(), conversation_id)
            )

    def restore_conversation(self, conversation_id: int) -> None:
        """Undo `delete_conversation`."""
        with self._write():
            self._db.execute("UPDATE conversations SET deleted_at = NULL WHERE id = ?", (conversation_id,))

    def purge_deleted(self, *, older_than: timedelta = timedelta(hours=1)) -> int:
        """Remove for good what was deleted longer ago than this, and say how many conversations that were."""
        limit = (datetime.now(UTC) - older_than).isoformat(timespec="microseconds")
        with self._write():
            self._search.forget(
                "conversation_id IN (SELECT id FROM conversations WHERE deleted_at <= ?)", (limit,)
            )
            return self._db.execute("DELETE FROM conversations WHERE deleted_at <= ?", (limit,)).rowcount

    def interrupted(self) -> Summary | None:
        """The conversation whose answer was open when its process died; of several the newest.

        It stays so until the conversation is loaded or `settle_interrupted` is called. Answers that another
        running instance is writing do not count.
        """
        with self._read():
            for message_id in reversed(self._dead_answers()):
                for summary in self._summaries(f"deleted_at IS NULL AND {_OF_MESSAGE}", message_id):
                    return summary
        return None

    def settle_interrupted(self, conversation_id: int | None = None) -> None:
        """Close answers whose process died, with what was written of them; of one conversation or of all."""
        with self._read():
            dead = self._dead_answers(conversation_id)
        if not dead:
            return
        with self._write():
            for message_id in dead:
                parts = self._fold(message_id)
                self._db.execute(
                    """UPDATE messages SET state = 'stopped', parts = ?, text = ?, note = ?, owner = NULL
                    WHERE id = ? AND state = 'streaming'""",
                    (parts_to_json(parts), plain(parts), INTERRUPTED, message_id),
                )
                self._db.execute("DELETE FROM chunks WHERE message_id = ?", (message_id,))

    def prompts(self, *, limit: int = 200) -> list[str]:
        """The last prompts of the user, each once, the latest first."""
        found: dict[str, None] = {}
        with self._read():
            for (text,) in self._db.execute(
                """SELECT text FROM messages WHERE role = 'user' AND text <> '' AND conversation_id IN
                (SELECT id FROM conversations WHERE deleted_at IS NULL) ORDER BY id DESC"""
            ):
                found.setdefault(text)
                if len(found) == limit:
                    break
        return list(found)

    def search(self, query: str, *, limit: int = 50) -> list[tuple[Summary, int]]:
        """Messages that have all words of the query, the last one as a beginning; the latest first.

        When no message has them as words, those that have the query as it stands. Gives for each the
        conversation and the message's id.
        """
        with self._write():
            found = self._search.find(storable(query), limit)
            return [(self._summaries(_OF_MESSAGE, message_id)[0], message_id) for message_id in found]

    @contextmanager
    def _read(self) -> Iterator[None]:
        with history_file.explained(self.path):
            yield

    @contextmanager
    def _write(self) -> Iterator[None]:
        with history_file.explained(self.path), history_file.transaction(self._db):
            yield

    def _insert(self, statement: str, values: Sequence[object]) -> int:
        return self._db.execute(statement, values).lastrowid or 0

    def _append_message(self, conversation_id: int, message: Message, state: MessageState, note: str) -> int:
        message_id = self._insert(
            """INSERT INTO messages
            (conversation_id, position, role, model, state, parts, note, owner, created_at, text)
            VALUES (?, (SELECT COALESCE(MAX(position), -1) + 1 FROM messages WHERE conversation_id = ?),
            ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                conversation_id,
                conversation_id,
                message.role,
                message.model,
                state,
                parts_to_json(message.parts),
                storable(note),
                self._owner.name if self._owner and state == "streaming" else None,
                _now(),
                plain(message.parts),
            ),
        )
        self._touch(conversation_id)
        return message_id

    def _touch(self, conversation_id: int) -> None:
        self._db.execute("UPDATE conversations SET updated_at = ? WHERE id = ?", (_now(), conversation_id))

    def _fold(self, message_id: int) -> tuple[Part, ...]:
        return fold(
            self._db.execute("SELECT kind, text FROM chunks WHERE message_id = ? ORDER BY seq", (message_id,))
        )

    def _dead_answers(self, conversation_id: int | None = None) -> list[int]:
        if self.path is None or self._owner is None:
            return []
        path, own = self.path, self._owner.name
        rows = self._db.execute(
            """SELECT id, owner FROM messages
            WHERE state = 'streaming' AND (? IS NULL OR conversation_id = ?) ORDER BY id""",
            (conversation_id, conversation_id),
        ).fetchall()
        alive = {
            owner: owner == own or history_file.is_alive(path, owner) for owner in {row[1] for row in rows}
        }
        return [message_id for message_id, owner in rows if not alive[owner]]

    def _summaries(self, condition: str, value: int) -> list[Summary]:
        rows = self._db.execute(
            f"""SELECT id, title, model, created_at, updated_at,
            (SELECT COUNT(*) FROM messages WHERE conversation_id = conversations.id)
            FROM conversations WHERE {condition}""",  # noqa: S608  # conditions are written in this file
            (value,),
        )
        return [summary_of_row(row) for row in rows]

    def _message(self, row: Sequence[Any]) -> StoredMessage:
        message_id, state, parts = row[0], row[4], row[-1]
        try:
            return message_of_row(
                row, self._fold(message_id) if state == "streaming" else parts_from_json(parts)
            )
        except ValueError:
            (text,) = self._db.execute("SELECT text FROM messages WHERE id = ?", (message_id,)).fetchone()
            return unreadable_message(row, text)


_OF_MESSAGE = "id = (SELECT conversation_id FROM messages WHERE id = ?)"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
