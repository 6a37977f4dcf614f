"""Writes the log as Parquet, whole days or more of them each time: killed at any moment, it is run again.

What was written counts from the manifest on, which is replaced last. A run that was cut short writes the same
files again. The numbers' store beside it holds what analytics would make of the log.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec

from deploy.data.schema import COUNTED, FACTS, VERSION, Table
from services.analytics.store import NumbersStore, StoreError
from shared.contract.codec import entry_of
from shared.contract.entry import RecordedEntry
from shared.contract.sealing import bare
from shared.eventlog.checkpoint import Checkpoint, Place
from shared.eventlog.messages import StoredMessage
from shared.service.chat_log import ChatLog

#: Entries of one file of facts, at most for each day.
CHUNK: Final = 100_000
_DAY: Final = 24 * 3600 * 10**9
_MANIFEST: Final = "manifest.json"
_STORE: Final = "numbers.duckdb"
_FORM: Final = "FORMAT parquet, COMPRESSION zstd"


class ExportError(Exception):
    """The text says what to do."""


class ExportManifest(msgspec.Struct, frozen=True):
    """What a folder holds: the version of its tables, how far the log goes, and how many chunks of facts."""

    version: int
    checkpoint: Checkpoint
    chunks: int


class Exporter:
    """Writes into one folder. ``progress`` is told how many entries of how many are done."""

    def __init__(self, folder: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        self._folder = folder
        self._progress = progress

    async def run(self, log: ChatLog) -> int:
        """Write what came since the last run; how many entries.

        Raises `ExportError`, `LogError` and `OSError`.
        """
        tails = await log.tails()
        epochs = [tail.epoch for tail in tails]
        manifest = self._manifest(epochs)
        try:
            with NumbersStore(self._folder / _STORE) as store:
                return await self._run(log, manifest, store, epochs, [tail.last for tail in tails])
        except (duckdb.Error, StoreError) as error:
            raise ExportError(f"{self._folder} cannot be written: {error}") from error

    async def _run(
        self,
        log: ChatLog,
        manifest: ExportManifest,
        store: NumbersStore,
        epochs: Sequence[str],
        ends: Sequence[int],
    ) -> int:
        written = [place.sequence for place in manifest.checkpoint.places]
        counted = (
            [place.sequence for place in store.checkpoint.places] if store.checkpoint else [0] * len(ends)
        )
        begin = [min(pair) for pair in zip(written, counted, strict=True)]  # the store may have been lost
        total, done = sum(ends) - sum(written), 0
        places = list(manifest.checkpoint.places)
        waiting: list[StoredMessage] = []

        def write(chunk: Sequence[StoredMessage]) -> None:
            nonlocal manifest, done
            fresh = [each for each in chunk if each.sequence > written[each.stream]]
            for message in fresh:
                places[message.stream] = Place(epochs[message.stream], message.sequence, message.time)
            checkpoint = Checkpoint(tuple(places))
            entries = [entry_of(message) for message in chunk]
            store.write(entries, checkpoint)
            if fresh:
                self._facts(fresh, manifest.chunks)
            self._counted(store, {entry.conversation for entry in entries})
            manifest = ExportManifest(VERSION, checkpoint, manifest.chunks + bool(fresh))
            self._replace(_MANIFEST, msgspec.json.encode(manifest))
            done += len(fresh)
            self._progress(done, total)

        async for batch in log.read([each + 1 for each in begin], ends):
            waiting += batch
            while len(waiting) >= CHUNK:
                write(waiting[:CHUNK])
                del waiting[:CHUNK]
        if waiting or not (self._folder / _MANIFEST).exists():
            write(waiting)
        return total

    def _manifest(self, epochs: Sequence[str]) -> ExportManifest:
        path = self._folder / _MANIFEST
        if not path.exists():
            if self._folder.exists() and any(self._folder.iterdir()) and not (self._folder / _STORE).exists():
                raise ExportError(f"{self._folder} holds other files: export into an empty folder")
            self._folder.mkdir(parents=True, exist_ok=True)
            return ExportManifest(VERSION, Checkpoint(tuple(Place(epoch, 0, 0) for epoch in epochs)), 0)
        try:
            manifest = msgspec.json.decode(path.read_bytes(), type=ExportManifest)
        except msgspec.DecodeError as error:
            raise ExportError(f"{path} cannot be read: {error}. Export into an empty folder") from error
        if manifest.version != VERSION:
            raise ExportError(
                f"{self._folder} has tables of version {manifest.version}, and this program writes {VERSION}:"
                " export into an empty folder"
            )
        if [place.epoch for place in manifest.checkpoint.places] != list(epochs):
            raise ExportError(
                f"{self._folder} is of another log, or of this one before it was resharded or restored:"
                " export into an empty folder"
            )
        return manifest

    def _facts(self, messages: Sequence[StoredMessage], chunk: int) -> None:
        """A file for each day."""
        with duckdb.connect(":memory:", config={"threads": 1}) as made:
            made.execute(
                f"CREATE TABLE facts ({', '.join(f'{name} {kind}' for name, kind in _FACT.items())})"
            )
            rows = [row for message in messages for row in _rows(message.stream, entry_of(message))]
            for start in range(0, len(rows), 10_000):
                made.execute(
                    "INSERT INTO facts SELECT unnest(from_json($1, $2), recursive := true)",
                    [msgspec.json.encode(rows[start : start + 10_000]).decode(), _ROW],
                )
            self._days(made, FACTS, f"{chunk:08}", None)

    def _counted(self, store: NumbersStore, changed: Iterable[str]) -> None:
        names = sorted(changed)
        with store.reading() as reading:
            for table in COUNTED:
                self._days(reading, table, "all", names)

    def _days(
        self, made: duckdb.DuckDBPyConnection, table: Table, file: str, changed: list[str] | None
    ) -> None:
        """Write a table's days, those on which these conversations have rows where some are named."""
        only = "" if changed is None else " WHERE conversation IN (SELECT unnest($1::VARCHAR[]))"
        days = made.execute(
            f"SELECT DISTINCT {table.day} // {_DAY} FROM {table.source}{only} ORDER BY 1",
            [] if changed is None else [changed],
        ).fetchall()
        columns = ", ".join(f'({column.sql})::{column.type} AS "{column.name}"' for column in table.columns)
        for (day,) in days:
            date = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date()
            path = self._folder / table.name / f"day={date}" / f"{file}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            part = str(path.with_suffix(".part")).replace("'", "''")
            made.execute(
                f"COPY (SELECT {columns} FROM {table.source} WHERE {table.day} // {_DAY} = {day}"
                f" ORDER BY ALL) TO '{part}' ({_FORM})"
            )
            os.replace(path.with_suffix(".part"), path)

    def _replace(self, name: str, data: bytes) -> None:
        path = self._folder / name
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)


#: What a row of facts is before it is written.
_FACT: Final = {
    "time": "BIGINT",
    "stream": "INTEGER",
    "position": "BIGINT",
    "number": "INTEGER",
    "conversation": "VARCHAR",
    "author": "VARCHAR",
    "kind": "VARCHAR",
    "entry": "VARCHAR",
    "cause": "BIGINT",
    "fact": "VARCHAR",
}
_ROW: Final = msgspec.json.encode([_FACT]).decode()


def _rows(stream: int, entry: RecordedEntry) -> Iterable[dict[str, Any]]:
    for number, fact in enumerate(entry.facts):
        fields = msgspec.to_builtins(bare(fact))
        kind = fields.pop("kind")
        yield {
            "time": entry.time,
            "stream": stream,
            "position": entry.position,
            "number": number,
            "conversation": entry.conversation,
            "author": entry.author,
            "kind": kind,
            "entry": entry.id,
            "cause": entry.cause,
            "fact": msgspec.json.encode(fields).decode(),
        }
