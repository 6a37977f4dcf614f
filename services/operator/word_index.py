"""The words of all conversations, in the desk's file: which of them hold what is looked for.

Written with the rows of the lists, in the same transaction. FTS5 keeps an index alone (it is contentless);
the texts stand beside it, so that it can be told what to forget.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from services.operator.domain.search import FoundLine, spaced

TABLES: Final = """
CREATE TABLE lines (
    id INTEGER PRIMARY KEY, conversation TEXT NOT NULL, position INTEGER NOT NULL, time INTEGER NOT NULL,
    who TEXT NOT NULL, note TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX lines_of ON lines (conversation);
CREATE VIRTUAL TABLE words USING fts5(
    text, content='', tokenize="unicode61 remove_diacritics 2",
    prefix='1 2 3' -- without these a short beginning of a word would gather all words that begin so
);
"""
#: Lines with the words that are looked at for one answer, and how many of them it may hold.
MAX_LOOKED_AT: Final = 5_000
MAX_MATCHES: Final = 500
_ADD: Final = "INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?)"
_INDEX: Final = "INSERT INTO words (rowid, text) VALUES (?, ?)"
_UNINDEX: Final = "INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)"


class IndexMatch(NamedTuple):
    """A line in which it was found."""

    id: int
    conversation: str
    position: int
    time: int
    who: str
    text: str


class WordIndex:
    """Collects what is to be written until `write`. Errors are SQLite's own."""

    def __init__(self) -> None:
        self._added: list[tuple[str, FoundLine]] = []
        self._removed: list[tuple[str, str]] = []  # of this conversation this note, or everything

    def __len__(self) -> int:
        return len(self._added) + len(self._removed)

    def add(self, conversation: str, lines: Iterable[FoundLine]) -> None:
        self._added += [(conversation, line) for line in lines]

    def remove(self, conversation: str, note: str = "") -> None:
        """Forget a note, or all of the conversation."""
        self._added = [
            (each, line) for each, line in self._added if each != conversation or (note and line.note != note)
        ]
        self._removed.append((conversation, note))

    def write(self, file: sqlite3.Connection) -> None:
        """Bring the file up to date, within the caller's transaction. It is to be told by `written`."""
        for conversation, note in self._removed:
            which = "conversation = ? AND note = ?" if note else "conversation = ?"
            values = [conversation, note] if note else [conversation]
            gone = file.execute(f"SELECT id, text FROM lines WHERE {which}", values).fetchall()
            file.executemany(_UNINDEX, [(id, spaced(text)) for id, text in gone])
            file.execute(f"DELETE FROM lines WHERE {which}", values)
        if self._added:
            (last,) = file.execute("SELECT coalesce(max(id), 0) FROM lines").fetchone()
            rows = [
                (last + number, conversation, *_row(line))
                for number, (conversation, line) in enumerate(self._added, 1)
            ]
            file.executemany(_ADD, rows)
            file.executemany(_INDEX, [(row[0], spaced(str(row[-1]))) for row in rows])

    def written(self) -> None:
        """What `write` wrote is in the file."""
        self._added.clear()
        self._removed.clear()

    @staticmethod
    def clear(file: sqlite3.Connection) -> None:
        file.execute("DELETE FROM lines")
        file.execute("INSERT INTO words (words) VALUES ('delete-all')")

    @staticmethod
    def tidy(file: sqlite3.Connection) -> None:
        """Leave nothing in the index of what was forgotten: FTS5 itself drops it only when it merges."""
        file.execute("INSERT INTO words (words) VALUES ('optimize')")

    @staticmethod
    def find(
        file: sqlite3.Connection, question: str, where: str, values: Sequence[Any], before: int
    ) -> tuple[list[IndexMatch], int | None]:
        """Lines that match, the latest first, of conversations for which ``where`` holds.

        And behind which line to look further (None: that is all): `MAX_LOOKED_AT` are looked at, since others
        wait meanwhile.
        """
        looked_at = [
            id
            for (id,) in file.execute(
                "SELECT rowid FROM words WHERE words MATCH ? AND rowid < ? ORDER BY rowid DESC LIMIT ?",
                [question, before, MAX_LOOKED_AT],
            )
        ]
        if not looked_at:
            return [], None
        found = file.execute(
            "SELECT lines.id, conversation, position, time, who, text FROM lines"
            " JOIN conversations ON conversations.id = conversation"
            f" WHERE lines.id IN (SELECT value FROM json_each(?)) AND {where}"
            " ORDER BY lines.id DESC LIMIT ?",
            [json.dumps(looked_at), *values, MAX_MATCHES],
        ).fetchall()
        matches = [IndexMatch(*row) for row in found]
        if len(matches) == MAX_MATCHES:
            return matches, matches[-1].id
        return matches, looked_at[-1] if len(looked_at) == MAX_LOOKED_AT else None


def _row(line: FoundLine) -> tuple[int, int, str, str, str]:
    return line.position, line.time, line.who, line.note, line.text
