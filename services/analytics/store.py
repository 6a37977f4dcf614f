"""The measures in DuckDB: written in batches, with how far the log was read in the same transaction.

Killed at any moment, the file holds whole batches, and the log is read on from there: nothing is counted
twice, nothing is missed. Whatever is wrong with the file, the log makes it anew: what cannot be read is set
aside. There are no words of visitors in it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import duckdb
import msgspec
import structlog

from services.analytics.domain.counting import VERSION, OpenInput, TrackedConversation, count
from services.analytics.domain.measures import Matter, Measure
from services.analytics.tables import DIGEST, MATTERS, MEASURES, TABLES, TRACKED
from shared.contract.conversation import Conversation
from shared.contract.conversation.codec import UnreadableState, contracts
from shared.contract.conversation.codec import decode as read_state
from shared.contract.conversation.codec import encode as state_of
from shared.contract.entry import RecordedEntry
from shared.contract.persistent_queue import PersistentQueue
from shared.eventlog import checkpoint as checkpoints
from shared.eventlog.checkpoint import Checkpoint

log = structlog.get_logger()

#: Conversations whose state is kept in memory, those counted last; all others are read from the file.
MAX_TRACKED: Final = 5_000
#: What DuckDB may keep in memory.
MEMORY: Final = "96MB"
#: How much is written before the file is put in order: at the usual 16 MB that is half of a long reading.
CHECKPOINT: Final = "64MB"

#: The tables, what counts, and the contracts of the states: a file that was made by others is made anew.
MAKER: Final = f"tables {DIGEST}, measures {VERSION}, {', '.join(contracts())}"


class StoreError(Exception):
    """The file cannot be used now. The text says why."""


class StoreBroken(StoreError):
    """The file cannot be used before it is opened again: DuckDB gives a database up after an error of this
    kind, or the file is not whole, and is set aside when it is closed.
    """


class _Unreadable(Exception):
    """What the file holds is not what this program writes."""


class _Rest(msgspec.Struct, array_like=True):
    """A conversation's `TrackedConversation` except the state, which has a codec of its own."""

    matter: Matter
    asked: tuple[OpenInput, ...]
    since: int | None
    spoken: bool
    handed_off: bool
    noted: int
    breaches: tuple[str, ...]


class NumbersStore:
    """One file, of one process. `write` is for one thread at a time; `reading` for any."""

    def __init__(self, path: Path | None) -> None:
        """``path`` None: a file of its own, which is gone when the store is closed."""
        self._temporary = None if path else tempfile.TemporaryDirectory(prefix="switchboard-numbers-")
        self._path = path or Path(self._temporary.name if self._temporary else "") / "numbers.duckdb"
        self._tracked: OrderedDict[str, TrackedConversation] = OrderedDict()
        #: How many entries were counted, and the stored time of the newest (nanoseconds since 1970).
        self.counted = 0
        self.newest = 0
        #: Another one after each write.
        self.revision = 0
        #: Up to where; None: the log is to be read from its beginning.
        self.checkpoint: Checkpoint | None = None
        self._lock = threading.Lock()
        self._damage = ""  # why the file is to be set aside; "": it is not
        self._connection = self._opened()

    def __enter__(self) -> NumbersStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Once a write that is on its way has ended."""
        with self._lock, contextlib.suppress(duckdb.Error):
            self._connection.close()
        if self._damage:
            self._set_aside(self._damage)
        if self._temporary is not None:
            self._temporary.cleanup()

    def write(self, entries: Sequence[RecordedEntry], checkpoint: Checkpoint | None) -> None:
        """Count these, and keep how far they go. All or nothing; raises `StoreError`."""
        measures: list[Measure] = []
        matters: dict[tuple[str, int], dict[str, Any]] = {}
        changed: dict[str, TrackedConversation] = {}
        counted, newest = self.counted, self.newest
        try:
            with self._transaction() as connection:
                tracked = self._load(connection, {entry.conversation for entry in entries})
                for entry in entries:
                    name = entry.conversation
                    result = count(tracked[name], entry)
                    if result is None:
                        continue
                    counted, newest = counted + 1, max(newest, entry.time)
                    tracked[name] = changed[name] = result.after
                    measures += result.measures
                    for each in result.matters:
                        matters[name, each.number] = {"conversation": name, **msgspec.structs.asdict(each)}
                _add(connection, "measures", MEASURES, measures)
                _add(connection, "matters", MATTERS, matters.values(), "OR REPLACE")
                states = [{"conversation": name, "state": _text(each)} for name, each in changed.items()]
                _add(connection, "tracked", TRACKED, states, "OR REPLACE")
                self._note(connection, checkpoint, counted, newest)
        except (duckdb.Error, _Unreadable) as error:
            self._tracked.clear()
            raise self._error(error) from error
        self.counted, self.newest, self.checkpoint = counted, newest, checkpoint
        self.revision += 1
        self._keep(changed)

    def clear(self) -> None:
        """Forget everything: the log is another one. Raises `StoreError`."""
        self._tracked.clear()
        try:
            with self._transaction() as connection:
                for table in ("measures", "matters", "tracked"):
                    connection.execute(f"DELETE FROM {table}")
                self._note(connection, None, 0, 0)
        except duckdb.Error as error:
            raise self._error(error) from error
        self.counted, self.newest, self.checkpoint = 0, 0, None
        self.revision += 1

    @contextlib.contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """All of the last whole batch, in one transaction: what is written meanwhile is not seen.

        Raises `StoreError`.
        """
        try:
            with self._connection.cursor() as cursor:
                cursor.begin()
                yield cursor
                cursor.rollback()
        except duckdb.Error as error:
            raise self._error(error) from error

    # --- the file -----------------------------------------------------------------------------

    def _opened(self) -> duckdb.DuckDBPyConnection:
        """The file as it is, if this program can go on with it; else a new one."""
        if self._path.exists():
            try:
                connection = _connect(self._path)
            except duckdb.IOException as error:
                if "lock" in str(error).lower():
                    raise StoreError(
                        f"{self._path} is in use by another process: each replica needs a file of its own."
                    ) from error
                self._set_aside(str(error))
            except duckdb.Error as error:
                self._set_aside(str(error))
            else:
                try:
                    if self._resume(connection):
                        return connection
                except (duckdb.Error, msgspec.DecodeError) as error:
                    log.warning("numbers_unreadable", file=str(self._path), error=str(error))
                connection.close()
                self._set_aside("it was made by another version of this program")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = _connect(self._path)
            self._path.chmod(0o600)
            for table, columns, key in TABLES:
                listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
                connection.execute(f"CREATE TABLE {table} ({listed}{key})")
            self._note(connection, None, 0, 0)
        except (duckdb.Error, OSError) as error:
            raise StoreError(f"{self._path} cannot be made: {error}") from error
        return connection

    def _resume(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Go on where the file ends, if it was made as this program makes it."""
        row = connection.execute("SELECT maker, checkpoint, counted, newest FROM place").fetchone()
        if row is None or row[0] != MAKER:
            return False
        connection.execute("SELECT count(*) FROM measures, matters, tracked WHERE false")
        self.checkpoint = checkpoints.decode(row[1].encode()) if row[1] else None
        self.counted, self.newest = row[2:]
        return True

    def _set_aside(self, reason: str) -> None:
        """The log makes the numbers anew. The file is kept for who wants to know what was wrong."""
        aside = self._path.with_name(f"{self._path.name}.{time.strftime('%Y%m%dT%H%M%S')}")
        for suffix in ("", ".wal"):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{self._path}{suffix}", f"{aside}{suffix}")
        log.warning(
            "numbers_begin_anew",
            file=str(self._path),
            reason=reason.splitlines()[0],
            kept_as=str(aside),
            hint="the log is read from its beginning; the file that was set aside may be deleted",
        )

    def _error(self, error: Exception) -> StoreError:
        text = f"{self._path} cannot be used: {error}"
        if isinstance(error, _Unreadable) or "corrupt" in str(error).lower():  # DuckDB has no kind for it
            self._damage = str(error)
            return StoreBroken(text)
        given_up = isinstance(error, duckdb.FatalException | duckdb.InternalException)
        return StoreBroken(text) if given_up else StoreError(text)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._lock:
            self._connection.begin()
            try:
                yield self._connection
                self._connection.commit()
            except BaseException:
                with contextlib.suppress(duckdb.Error):
                    self._connection.rollback()
                raise

    def _note(
        self, connection: duckdb.DuckDBPyConnection, checkpoint: Checkpoint | None, counted: int, newest: int
    ) -> None:
        kept = checkpoints.encode(checkpoint).decode() if checkpoint is not None else ""
        connection.execute("DELETE FROM place")
        connection.execute("INSERT INTO place VALUES ($1, $2, $3, $4)", [MAKER, kept, counted, newest])

    # --- what is known of conversations -------------------------------------------------------

    def _load(self, connection: duckdb.DuckDBPyConnection, names: set[str]) -> dict[str, TrackedConversation]:
        """What is known of each of these."""
        found = {name: self._tracked[name] for name in names if name in self._tracked}
        missing = [name for name in names if name not in found]
        for start in range(0, len(missing), 1000):
            some = missing[start : start + 1000]
            rows = connection.execute(
                "SELECT conversation, state FROM tracked WHERE conversation IN (SELECT unnest($1))", [some]
            )
            found.update((name, _tracked(text)) for name, text in rows.fetchall())
        return {name: found.get(name) or TrackedConversation() for name in names}

    def _keep(self, changed: dict[str, TrackedConversation]) -> None:
        for name, tracked in changed.items():
            self._tracked[name] = tracked
            self._tracked.move_to_end(name)
        while len(self._tracked) > MAX_TRACKED:
            self._tracked.popitem(last=False)


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "wal_autocheckpoint": CHECKPOINT,
        "threads": 1,
        "autoload_known_extensions": False,
        "autoinstall_known_extensions": False,
        "temp_directory": f"{path}.tmp",
    }
    return duckdb.connect(str(path), config=settings)


def _add(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: dict[str, str],
    rows: Iterable[Any],
    how: str = "",
) -> None:
    """Insert all rows at once: as JSON, which is quicker than as lists, and much more so than one by one."""
    rows = list(rows)
    if not rows:
        return
    form = msgspec.json.encode([columns]).decode()
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(f'row."{name}"' for name in columns)
    connection.execute(
        f"INSERT {how} INTO {table} ({names}) SELECT {values}"
        f" FROM (SELECT unnest(from_json($1, '{form}')) AS row)",
        [msgspec.json.encode(rows).decode()],
    )


def _text(tracked: TrackedConversation) -> str:
    rest = _Rest(
        tracked.matter,
        tuple(tracked.asked),
        tracked.since,
        tracked.spoken,
        tracked.handed_off,
        tracked.noted,
        tracked.breaches,
    )
    return f"{msgspec.json.encode(rest).decode()}\n{state_of(tracked.state).decode()}"


def _tracked(text: str) -> TrackedConversation:
    """Raises `_Unreadable` where this is not what `_text` makes."""
    try:
        rest, state = text.split("\n", 1)
        found = _rest.decode(rest)
        whole = read_state(Conversation, state.encode())
        return TrackedConversation(
            whole,
            found.matter,
            PersistentQueue(found.asked),
            found.since,
            found.spoken,
            found.handed_off,
            found.noted,
            found.breaches,
        )
    except (ValueError, UnreadableState) as error:
        raise _Unreadable(f"a conversation's state cannot be read: {error}") from error


_rest = msgspec.json.Decoder(_Rest)
