"""The desk: every conversation in one line, in SQLite, with how far the log was read.

Only what was folded last is in memory. It is used in the event loop alone: what is asked for by its id takes
some microseconds, and a page of a list less than a millisecond. What was folded is written some times a
second, all of it in one transaction with the checkpoint. So wherever the process is killed the log is read on
from there. Whatever is wrong with the file, the log makes it anew: what cannot be read is thrown away, and so
is what holds rows of which it is not known how far they go.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from services.operator import word_index
from services.operator.domain.desk import LIVE, RESOLVED, VERSION, ConversationSummary, Ending, View, fold
from services.operator.domain.mails import due_since
from services.operator.domain.notes import DeskNotes
from services.operator.domain.queue_figures import RecentWaits
from services.operator.domain.search import Search, findable
from services.operator.domain.transcript import Change
from services.operator.word_index import IndexMatch, WordIndex
from shared.contract.conversation import Conversation
from shared.contract.conversation.codec import UnreadableState, contracts
from shared.contract.conversation.codec import decode as read_state
from shared.contract.conversation.codec import encode as state_of
from shared.contract.entry import RecordedEntry
from shared.contract.facts import ChoiceAsked, ConversationClaimed, ConversationTransferred, Fact
from shared.eventlog import checkpoint as checkpoints
from shared.eventlog.checkpoint import Checkpoint

log = structlog.get_logger()

#: Raise it when a table changes.
SCHEMA: Final = 8
#: The tables, the fold, and the contracts of the states: a file that was made by others is made anew.
MAKER: Final = f"schema {SCHEMA}, desk {VERSION}, {', '.join(contracts())}, {DeskNotes.__struct_config__.tag}"
#: Conversations kept in memory, those folded or asked for last; besides those not written yet.
MAX_KEPT: Final = 5_000
#: What SQLite may keep of the file in memory (KiB).
CACHE: Final = 32 * 1024
#: How often the file is written anew at most, so that nothing of what was erased is left in it (seconds). It
#: takes about a second for each 100 MB, and as much space again.
TIDY_SECONDS: Final = 600.0
#: As many conversations are told at once of those that are to be erased.
MAX_SILENT: Final = 1_000

#: So many of the lines in which it was found are shown of one conversation.
MAX_MATCHES: Final = 3
#: SQLite has no larger numbers; in nanoseconds it is in the year 2262.
MAX_INTEGER: Final = 2**63 - 1

_TABLES: Final = """
CREATE TABLE place (
    maker TEXT NOT NULL, checkpoint TEXT NOT NULL,
    ahead INTEGER NOT NULL, -- rows go farther than the checkpoint
    untidy INTEGER NOT NULL -- words were erased since the file was last written anew
);
-- When each operator got a conversation last.
CREATE TABLE gifts (operator TEXT PRIMARY KEY, time INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE conversations (
    id TEXT PRIMARY KEY, shelf INTEGER NOT NULL, begun INTEGER NOT NULL, owner TEXT NOT NULL,
    operator TEXT NOT NULL, updated INTEGER NOT NULL, waiting INTEGER NOT NULL,
    snoozed INTEGER NOT NULL, -- until then, in nanoseconds since 1970; 0: it is not
    queue TEXT NOT NULL, status TEXT NOT NULL, rating INTEGER NOT NULL,
    labels TEXT NOT NULL, -- as JSON
    visitor TEXT NOT NULL, -- whom the door names; "": it names nobody
    wanted INTEGER NOT NULL, -- since when it is for a person; 0: it is not
    mail INTEGER NOT NULL, -- since when there is something to be mailed; 0: there is nothing
    given INTEGER NOT NULL, -- since when an operator has it to whom it was given, and who did not answer
    content TEXT NOT NULL
) WITHOUT ROWID;
-- One for each shelf: one for both SQLite takes for all questions about live ones, also
-- for those that concern few of them and have an index of their own.
CREATE INDEX by_live ON conversations (updated) WHERE shelf = 1;
CREATE INDEX by_resolved ON conversations (updated) WHERE shelf = 2;
CREATE INDEX by_queue ON conversations (waiting) WHERE shelf = 1 AND owner = 'queue';
CREATE INDEX by_waiting ON conversations (waiting) WHERE shelf = 1 AND waiting > 0;
CREATE INDEX by_given ON conversations (given) WHERE given > 0;
CREATE INDEX by_mail ON conversations (mail) WHERE mail > 0;
CREATE INDEX by_wanted ON conversations (wanted) WHERE shelf = 1 AND wanted > 0;
CREATE INDEX by_operator ON conversations (operator, updated) WHERE shelf = 1 AND owner = 'operator';
CREATE INDEX by_snooze ON conversations (snoozed) WHERE shelf = 1 AND snoozed > 0;
-- Whoever looks for conversations reads this, and not their content.
CREATE INDEX by_filters ON conversations
    (updated, id, shelf, status, operator, queue, rating, labels) WHERE shelf > 0;
CREATE INDEX by_visitor ON conversations (visitor, updated) WHERE visitor > '';
CREATE INDEX by_silence ON conversations (updated) WHERE begun;
"""
#: Brings all that was written into the file, and empties the file beside it.
_TRUNCATE: Final = "PRAGMA wal_checkpoint(TRUNCATE)"
_WRITE: Final = (
    "INSERT OR REPLACE INTO conversations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


#: SQLite's own words for a file that is none, or not whole any more.
_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class DeskError(Exception):
    """The file cannot be used. The text says why."""


class Page(msgspec.Struct, frozen=True):
    """Some conversations of a view. ``next`` goes on behind them; None: there are no more.

    It is the microsecond at which the last of them comes: JavaScript has no larger whole numbers.
    """

    conversations: list[ConversationSummary]
    next: int | None


class FoundPage(msgspec.Struct, frozen=True):
    """Conversations with the lines in which it was found. ``next`` goes on behind them; None: that is all."""

    conversations: list[tuple[ConversationSummary, list[IndexMatch]]]
    next: int | None


class QueueWait(NamedTuple):
    """How many wait, and since when the first of them does (nanoseconds since 1970, UTC)."""

    waiting: int
    since: int


class _Content(msgspec.Struct, array_like=True):
    """A summary except its id and its states, which have a codec of their own."""

    started: int
    updated: int
    ending: Ending | None
    rating: int
    last: Fact | None
    last_asked: ChoiceAsked | None
    asked: ChoiceAsked | None
    wanted: int
    answered: bool
    given: int


class Desk:
    """All conversations. Made with an empty ``path`` it is a temporary file, gone when it is closed."""

    def __init__(self, path: Path | None = None) -> None:
        """Raises `DeskError`."""
        self._path = path
        self._kept: OrderedDict[str, ConversationSummary] = OrderedDict()
        self._changed: set[str] = set()
        self._gifts: dict[str, int] = {}  # what is not written yet of when each operator got one last
        #: How long visitors waited lately.
        self.recent = RecentWaits()
        self._words = WordIndex()
        self._untidy = False  # words were erased since the file was last written anew
        self._notes_removed = False  # colleagues' own words: for these the end of the service is time enough
        self._tidied = -TIDY_SECONDS
        self._place: Callable[[], Checkpoint | None] = lambda: None
        #: The file is thrown away: nothing is read or written any more, and the next to open it begins anew.
        self.thrown_away = False
        #: Up to where the log was read; None: it is to be read from its beginning.
        self.checkpoint: Checkpoint | None = None
        self._file = self._opened()

    def follow(self, place: Callable[[], Checkpoint | None]) -> None:
        """From here on `flush` asks ``place`` how far that is which was folded; None: not known right now."""
        self._place = place

    def close(self) -> None:
        if (self._untidy or self._notes_removed) and not self.thrown_away:
            self._tidy()
        with contextlib.suppress(sqlite3.Error):
            self._file.close()

    def clear(self) -> None:
        """Forget everything: the log is another one. Raises `DeskError`."""
        self._kept.clear()
        self._changed.clear()
        self._gifts.clear()
        self.recent.clear()
        self._words.written()
        try:
            with self._file:
                self._file.execute("DELETE FROM gifts")
                self._file.execute("DELETE FROM conversations")
                self._words.clear(self._file)
                self._untidy = True
                self._note(None)
        except sqlite3.Error as error:
            raise self._error(error) from error
        self.checkpoint = None
        self._tidy()

    def find(self, conversation: str) -> ConversationSummary | None:
        """The conversation, if its start is known and operators may see it. Raises `DeskError`."""
        summary = self._summary(conversation)
        return summary if summary is not None and summary.shelf else None

    def apply(self, entry: RecordedEntry) -> Change:
        """Fold one entry. Raises `DeskError`."""
        summary = self._summary(entry.conversation) or ConversationSummary(entry.conversation)
        begun = summary.state.visit.started
        notes = {note.id for note in summary.notes.notes}
        change = fold(summary, entry)
        self._kept[summary.id] = summary
        self._changed.add(summary.id)
        for fact in change.facts:
            if isinstance(fact, ConversationClaimed):
                self._gifts[fact.operator] = entry.time
                was = change.before.ownership
                if was.owner == "queue":
                    self.recent.add(was.queue, entry.time, entry.time - was.waiting)
            elif isinstance(fact, ConversationTransferred) and fact.to:
                self._gifts[fact.to] = entry.time
        if begun and not summary.state.visit.started:
            self._words.remove(summary.id)
            self._untidy = True
        after = {note.id for note in summary.notes.notes}
        for note in notes - after:
            self._words.remove(summary.id, note)
            self._notes_removed = True
        self._words.add(
            summary.id, (line for line in findable(change) if line.note in after - notes or not line.note)
        )
        return change

    def flush(self) -> None:
        """Write all that was folded, and how far that is. Raises `DeskError`."""
        self.write(self._place())

    def _flush_changes(self) -> None:
        """What is in memory alone belongs to the lists, too. Nothing is written for a place alone."""
        if self._changed or self.thrown_away:
            self.flush()

    def write(self, checkpoint: Checkpoint | None) -> None:
        """Write all that was folded. ``checkpoint``: how far that is; None: that is not known now.

        Raises `DeskError`; nothing is written then, and nothing forgotten.
        """
        if self.thrown_away:
            raise self._error("it is thrown away")
        if self._changed or checkpoint not in (None, self.checkpoint):
            try:
                with self._file:
                    self._file.executemany(_WRITE, [_row(self._kept[id]) for id in self._changed])
                    self._file.executemany("INSERT OR REPLACE INTO gifts VALUES (?, ?)", self._gifts.items())
                    self._words.write(self._file)
                    self._note(checkpoint or self.checkpoint, ahead=checkpoint is None)
            except sqlite3.Error as error:
                raise self._error(error) from error
            self._changed.clear()
            self._gifts.clear()
            self._words.written()
            self.checkpoint = checkpoint or self.checkpoint
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        if self._untidy and time.monotonic() >= self._tidied + TIDY_SECONDS:
            self._tidy()

    @property
    def waiting(self) -> int:
        """How many conversations are not written yet."""
        return len(self._changed)

    def silent_since(self, time: int) -> list[tuple[str, Conversation]]:
        """What was begun and has had no entry since ``time`` (nanoseconds since 1970), agents' too: those
        that have been silent for longest, at most `MAX_SILENT`. Raises `DeskError`.
        """
        found = self._rows(
            "begun AND updated < :time ORDER BY updated LIMIT :limit", {"time": time, "limit": MAX_SILENT}
        )
        return [(summary.id, summary.state) for summary in found]

    def owners(self) -> list[str]:
        """The operators who have conversations that are not over. Raises `DeskError`."""
        self._flush_changes()
        try:
            found = self._file.execute(
                f"SELECT DISTINCT operator FROM conversations WHERE shelf = {LIVE} AND owner = 'operator'"
            ).fetchall()
        except sqlite3.Error as error:
            raise self._error(error) from error
        return [operator for (operator,) in found]

    def loads(self) -> dict[str, int]:
        """How many conversations each operator has, except those that are snoozed. Raises `DeskError`."""
        return dict(
            self._select(
                f"SELECT operator, count(*) FROM conversations WHERE shelf = {LIVE} AND owner = 'operator' "
                "AND snoozed <= :now GROUP BY operator"
            )
        )

    def waits(self) -> dict[str, QueueWait]:
        """What waits in each queue where something does. Raises `DeskError`."""
        return {
            queue: QueueWait(count, since)
            for queue, count, since in self._select(
                f"SELECT queue, count(*), min(waiting) FROM conversations WHERE {_VIEWS['queue'].where} "
                "GROUP BY queue"
            )
        }

    def gifts(self) -> dict[str, int]:
        """When each operator got a conversation last (nanoseconds since 1970, UTC). Raises `DeskError`."""
        return dict(self._select("SELECT operator, time FROM gifts"))

    def unanswered(self, limit: int) -> list[ConversationSummary]:
        """At most ``limit`` that were given out and not answered, the longest first. Raises `DeskError`."""
        return self._rows("given > 0 ORDER BY given LIMIT :limit", {"limit": limit})

    def to_mail(self, since: int, until: int, limit: int) -> list[ConversationSummary]:
        """At most ``limit`` in which an operator said something between these times (nanoseconds since 1970,
        UTC) that may have to be mailed, the longest ago first. Raises `DeskError`.
        """
        return self._rows(
            "mail > 0 AND mail BETWEEN :since AND :until ORDER BY mail LIMIT :limit",
            {"since": since, "until": until, "limit": limit},
        )

    def for_people(self, limit: int) -> list[ConversationSummary]:
        """At most ``limit`` that wait for a person's word, and as many that are for a person, the longest
        waiting first. Raises `DeskError`.
        """
        found = {
            summary.id: summary
            for column in ("waiting", "wanted")
            for summary in self._rows(
                f"shelf = {LIVE} AND {column} > 0 ORDER BY {column} LIMIT :limit", {"limit": limit}
            )
        }
        return list(found.values())

    def _select(self, question: str) -> list[Any]:
        self._flush_changes()
        try:
            return self._file.execute(question, {"now": time.time_ns()}).fetchall()
        except sqlite3.Error as error:
            raise self._error(error) from error

    def count(self, view: View) -> int:
        """How many there are. For `mine` it is those of all operators. Raises `DeskError`."""
        self._flush_changes()
        where = _VIEWS[view].where.replace("AND operator = :operator", "")
        try:
            (count,) = self._file.execute(
                f"SELECT count(*) FROM conversations WHERE {where}", {"now": time.time_ns()}
            ).fetchone()
        except sqlite3.Error as error:
            raise self._error(error) from error
        return int(count)

    def owned(self, operator: str, limit: int) -> list[str]:
        """At most ``limit`` of what is the operator's, snoozed or not. Raises `DeskError`."""
        found = self._rows(f"{_OWNED} LIMIT :limit", {"operator": operator, "limit": limit})
        return [summary.id for summary in found]

    def others_of(self, summary: ConversationSummary, limit: int) -> list[ConversationSummary]:
        """At most ``limit`` other conversations of whom the same door calls the same user, the latest first.
        Raises `DeskError`.
        """
        if not summary.door_user:
            return []
        values = {"visitor": summary.door_user, "id": summary.id, "limit": limit}
        where = "visitor = :visitor AND visitor > '' AND shelf > 0 AND id != :id"
        return self._rows(f"{where} ORDER BY updated DESC LIMIT :limit", values)

    def page(self, view: View, operator: str, limit: int, before: int | None = None) -> Page:
        """About ``limit`` conversations of a view, behind the ``next`` of an earlier page.

        The queue begins with who waits longest, what is snoozed with what comes back first, the other views
        with what happened last. More than ``limit`` where several come at the same microsecond: the next page
        begins at another. Raises `DeskError`.
        """
        kind = _VIEWS[view]
        column, where = kind.column, kind.where
        later, order = (">=", "") if kind.upwards else ("<", "DESC")
        values = {"operator": operator, "now": time.time_ns()}
        ordered = f"ORDER BY {column} {order}, id"
        beyond = f"{where} AND {column} {later} :after {ordered} LIMIT :limit"

        def after(microsecond: int, limit: int) -> list[ConversationSummary]:
            return self._rows(
                beyond, {**values, "after": (microsecond + kind.upwards) * 1000, "limit": limit}
            )

        if before is None:
            page = self._rows(f"{where} {ordered} LIMIT :limit", {**values, "limit": limit + 1})
        else:
            page = after(before, limit + 1)
        if len(page) <= limit:
            return Page(page, None)
        last = kind.key(page[limit - 1]) // 1000
        page = [row for row in page[:limit] if kind.key(row) // 1000 != last]
        together = f"{where} AND {column} >= :first AND {column} < :end {ordered}"
        page += self._rows(together, {**values, "first": last * 1000, "end": (last + 1) * 1000})
        return Page(page, last if after(last, 1) else None)

    def search(self, wanted: Search, limit: int, after: int = 0) -> FoundPage:
        """Conversations in which it is found, the latest first, with the lines; behind the ``next`` of an
        earlier page. One with many such lines may be on several pages. Raises `DeskError`.
        """
        self._flush_changes()
        where, values = _where(wanted)
        if not wanted.question:
            return self._filtered(where, values, limit, after)
        last = after or MAX_INTEGER
        found: dict[str, list[IndexMatch]] = {}
        try:
            matches, behind = WordIndex.find(self._file, wanted.question, where, values, last)
        except sqlite3.Error as error:
            raise self._error(error) from error
        for match in matches:
            if match.conversation not in found and len(found) == limit:
                return self._found(found, last)
            last = match.id
            lines = found.setdefault(match.conversation, [])
            if len(lines) < MAX_MATCHES:
                lines.append(match)
        return self._found(found, behind)

    def _filtered(self, where: str, values: list[Any], limit: int, offset: int) -> FoundPage:
        """Those that fit, whatever was said; ``offset`` of them are known already."""
        order = "ORDER BY updated DESC, id DESC"
        ids = f"SELECT id FROM conversations WHERE {where} {order} LIMIT ? OFFSET ?"
        rows = self._rows(f"id IN ({ids}) {order}", [*values, limit + 1, offset])
        more = offset + limit if len(rows) > limit else None
        return FoundPage([(row, []) for row in rows[:limit]], more)

    def _found(self, found: dict[str, list[IndexMatch]], after: int | None) -> FoundPage:
        summaries = ((self.find(conversation), lines) for conversation, lines in found.items())
        return FoundPage([(summary, lines) for summary, lines in summaries if summary is not None], after)

    # --- the file -----------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        """The file as it is, if this program can go on with it; else a new one."""
        if self._path is not None and self._path.exists():
            try:
                file = _connect(self._path)
                maker = file.execute("SELECT maker FROM place").fetchone()
                if maker == (MAKER,):
                    kept, ahead, untidy = file.execute(
                        "SELECT checkpoint, ahead, untidy FROM place"
                    ).fetchone()
                    if not ahead:
                        self.checkpoint = checkpoints.decode(kept.encode()) if kept else None
                        self._untidy = bool(untidy)
                        return file
                    reason = "it goes farther than it says"
                else:
                    reason = "it was made by another version of this program"
                file.close()
            except sqlite3.OperationalError as error:
                if "locked" in str(error):
                    raise DeskError(
                        f"{self._path} is in use by another process: each replica needs a file of its own."
                    ) from error
                reason = str(error)
            except sqlite3.Error as error:
                reason = str(error)
            self._set_aside(reason)
        try:
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.touch(mode=0o600)
            file = _connect(self._path)
            file.executescript(_TABLES + word_index.TABLES)
            self._file = file
            with file:
                self._note(None)
        except (sqlite3.Error, OSError) as error:
            raise self._error(error) from error
        return file

    def _tidy(self) -> None:
        """Write the file anew. `secure_delete` alone leaves bytes where SQLite moves rows between pages.

        Where that fails it is tried again later, by whoever opens the file then, too.
        """
        self._tidied = time.monotonic()
        try:
            with self._file:
                self._words.tidy(self._file)
            self._file.execute("VACUUM")
            self._file.execute(_TRUNCATE)
            with self._file:
                self._file.execute("UPDATE place SET untidy = 0")
        except sqlite3.Error as error:
            log.warning(
                "desk_not_tidied",
                file=str(self._path or ""),
                error=str(error),
                hint="bytes of erased words stay in the file for now; is there as much space again?",
            )
        else:
            self._untidy = False

    def _set_aside(self, reason: str) -> None:
        """The log makes the desk anew. A file with words in it is not kept for longer than it is needed."""
        assert self._path is not None
        log.warning(
            "desk_begins_anew",
            file=str(self._path),
            reason=reason,
            hint="the log is read from its beginning",
        )
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._path}{suffix}")

    def _note(self, checkpoint: Checkpoint | None, ahead: bool = False) -> None:
        kept = checkpoints.encode(checkpoint).decode() if checkpoint is not None else ""
        self._file.execute("DELETE FROM place")
        self._file.execute("INSERT INTO place VALUES (?, ?, ?, ?)", [MAKER, kept, ahead, self._untidy])

    def _error(self, error: object) -> DeskError:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN:
            self._throw_away(str(error))
        return DeskError(f"{self._path or 'the temporary file of the desk'} cannot be used: {error}")

    def _throw_away(self, reason: str) -> None:
        """What is in the file cannot be read: it is not to be met again after the next start."""
        if not self.thrown_away:
            self.thrown_away = True
            if self._path is not None:
                self._set_aside(reason)

    # --- rows ---------------------------------------------------------------------------------

    def _summary(self, id: str) -> ConversationSummary | None:
        summary = self._kept.get(id)
        if summary is not None:
            self._kept.move_to_end(id)
            return summary
        try:
            row = self._file.execute("SELECT content FROM conversations WHERE id = ?", [id]).fetchone()
        except sqlite3.Error as error:
            raise self._error(error) from error
        if row is None:
            return None
        return self._keep(id, row[0])

    def _rows(self, where: str, values: Mapping[str, Any] | list[Any]) -> list[ConversationSummary]:
        self._flush_changes()
        try:
            rows = self._file.execute(
                f"SELECT id, content FROM conversations WHERE {where}", values
            ).fetchall()
        except sqlite3.Error as error:
            raise self._error(error) from error
        return [self._kept.get(id) or self._read(id, content) for id, content in rows]

    def _keep(self, id: str, content: str) -> ConversationSummary:
        summary = self._kept[id] = self._read(id, content)
        if len(self._kept) > MAX_KEPT:
            oldest = next(iter(self._kept))
            if oldest not in self._changed and oldest != id:
                del self._kept[oldest]
        return summary

    def _read(self, id: str, content: str) -> ConversationSummary:
        try:
            return _summary(id, content)
        except (ValueError, UnreadableState) as error:
            self._throw_away(str(error))
            raise DeskError(f"what is kept of {id} cannot be read: {error}") from error


def _where(wanted: Search) -> tuple[str, list[Any]]:
    """What must hold of a conversation, and with words of the line."""
    values: list[Any] = []
    parts = ["shelf > 0"]
    for part, value in (
        ("status = ?", wanted.status),
        ("operator = ?", wanted.operator),
        ("queue = ?", wanted.queue),
        ("instr(labels, ?)", wanted.label and _encoder.encode(wanted.label).decode()),  # as it stands there
        ("rating = ?", wanted.rating),
        ("updated >= ?", wanted.since),
        ("updated < ?", wanted.until),
        ("who = ?", wanted.who if wanted.question else None),
    ):
        if value:
            parts.append(part)
            values.append(value)
    return " AND ".join(parts), values


class _View(NamedTuple):
    """Which conversations are in a view, and by which column they come one after the other."""

    where: str
    column: str
    key: Callable[[ConversationSummary], int]
    upwards: bool = False


def _updated(summary: ConversationSummary) -> int:
    return summary.updated


_OWNED: Final = f"shelf = {LIVE} AND owner = 'operator' AND operator = :operator"
_VIEWS: Final[dict[View, _View]] = {
    "queue": _View(
        f"shelf = {LIVE} AND owner = 'queue' AND snoozed <= :now",
        "waiting",
        lambda summary: summary.waiting,
        upwards=True,
    ),
    "mine": _View(f"{_OWNED} AND snoozed <= :now", "updated", _updated),
    "live": _View(f"shelf = {LIVE}", "updated", _updated),
    "snoozed": _View(
        f"shelf = {LIVE} AND snoozed > 0 AND snoozed > :now",
        "snoozed",
        lambda summary: summary.notes.snoozed_until,
        upwards=True,
    ),
    "resolved": _View(f"shelf = {RESOLVED}", "updated", _updated),
}


def _connect(path: Path | None) -> sqlite3.Connection:
    """SQLite keeps a file without a name on disk as well, where it outgrows the cache."""
    file = sqlite3.connect(path or "", timeout=0.5)
    for setting in (
        *("journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON", "locking_mode = EXCLUSIVE"),
        *(f"cache_size = -{CACHE}", "temp_store = FILE"),
    ):
        file.execute(f"PRAGMA {setting}")
    return file


def _row(summary: ConversationSummary) -> tuple[str | int, ...]:
    ownership = summary.state.ownership
    content = _Content(
        summary.started,
        summary.updated,
        summary.ending,
        summary.rating,
        summary.last,
        summary.last_asked,
        summary.asked,
        summary.wanted,
        summary.answered,
        summary.given,
    )
    return (
        *(summary.id, summary.shelf, int(summary.state.visit.started), ownership.owner, ownership.operator),
        *(summary.updated, summary.waiting, min(summary.notes.snoozed_until, MAX_INTEGER)),
        *(ownership.queue, ownership.status, summary.rating, _encoder.encode(summary.notes.labels).decode()),
        summary.door_user,
        summary.wanted,
        due_since(summary.state),
        summary.given,
        b"\n".join((_encoder.encode(content), state_of(summary.notes), state_of(summary.state))).decode(),
    )


def _summary(id: str, text: str) -> ConversationSummary:
    """Raises `ValueError` or `UnreadableState` where this is not what `_row` makes."""
    content, notes, state = text.encode().split(b"\n")
    found = _decoder.decode(content)
    return ConversationSummary(
        id,
        read_state(Conversation, state),
        read_state(DeskNotes, notes),
        *(
            found.started,
            found.updated,
            found.ending,
            found.rating,
            found.last,
            found.last_asked,
            found.asked,
            found.wanted,
            found.answered,
            found.given,
        ),
    )


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Content)
