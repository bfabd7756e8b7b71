"""Finding words in the history: SQLite's full-text index where there is one, a plain look otherwise."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence


class HistorySearch:
    """The index of words. Its methods are called inside a transaction of the history.

    Messages are indexed by the first search after they end, so that neither streaming nor opening pays.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def find(self, query: str, limit: int) -> list[int]:
        """Ids of messages with all words of the query, or else with all of it as it stands; latest first."""
        if not query.strip():
            return []
        words: list[str] = re.findall(r"\w+", query)
        found: list[int] = []
        if words and self._has_index():
            self._index()
            found = self._find_words(words, limit)
        return found or self._find_plainly(query.strip(), limit)

    def forget(self, condition: str, values: Sequence[object]) -> None:
        """Take messages out of the index before they are deleted."""
        if self._has_index():
            self._db.execute(
                f"""INSERT INTO words(words, rowid, text)
                SELECT 'delete', id, text FROM messages WHERE indexed = 1 AND {condition}""",  # noqa: S608  # written in history.py
                values,
            )

    def _has_index(self) -> bool:
        query = "SELECT 1 FROM pragma_module_list WHERE name = 'fts5'"
        if not self._db.execute(query).fetchone():
            return False
        self._db.execute(
            """CREATE VIRTUAL TABLE IF NOT EXISTS words
            USING fts5(text, content = 'messages', content_rowid = 'id', tokenize = 'unicode61')"""
        )
        return True

    def _index(self) -> None:
        self._db.execute(
            """INSERT INTO words(rowid, text)
            SELECT id, text FROM messages WHERE indexed = 0 AND state <> 'streaming'"""
        )
        self._db.execute("UPDATE messages SET indexed = 1 WHERE indexed = 0 AND state <> 'streaming'")

    def _find_words(self, words: Sequence[str], limit: int) -> list[int]:
        rows = self._db.execute(
            """SELECT words.rowid FROM words JOIN messages ON messages.id = words.rowid
            JOIN conversations ON conversations.id = messages.conversation_id
            WHERE words MATCH ? AND deleted_at IS NULL ORDER BY words.rowid DESC LIMIT ?""",
            (" ".join(f'"{word}"' for word in words) + "*", limit),
        )
        return [row[0] for row in rows]

    def _find_plainly(self, text: str, limit: int) -> list[int]:
        pattern = re.sub(r"([%_\\])", r"\\\1", text)
        rows = self._db.execute(
            r"""SELECT messages.id FROM messages JOIN conversations ON conversations.id = conversation_id
            WHERE messages.text LIKE ? ESCAPE '\' AND state <> 'streaming' AND deleted_at IS NULL
            ORDER BY messages.id DESC LIMIT ?""",
            (f"%{pattern}%", limit),
        )
        return [row[0] for row in rows]
