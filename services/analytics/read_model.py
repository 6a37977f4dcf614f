"""Brings the log's feed into the store, and the store's numbers to whoever asks."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, NamedTuple, TypeVar

import duckdb
import structlog

from services.analytics.numbers import LogNumbers, numbers, per_hour
from services.analytics.store import NumbersStore, StoreBroken, StoreError
from shared.contract.codec import entry_of
from shared.eventlog.checkpoint import Checkpoint
from shared.eventlog.errors import Unreachable
from shared.eventlog.messages import StoredMessage
from shared.service.chat_log import ChatLog
from shared.service.health import Health

T = TypeVar("T")

log = structlog.get_logger()

#: Entries that are written at once, at most.
BATCH: Final = 5_000
#: Batches that wait to be written before what is read in bulk waits, too.
MOST_IN_BULK: Final = 2
#: So many wait only if the store cannot be written for long. Then the service ends, to read on from what is
#: stored: memory is bounded, and no number gets lost.
MOST_BATCHES: Final = 40
#: How long entries are gathered while few come (seconds): a write costs some milliseconds, and writes the
#: whole state of each conversation that changed.
GATHER_SECONDS: Final = 1.0
#: The same before the numbers are complete, and how often it is looked whether they are (seconds).
HURRY_SECONDS: Final = 0.02
#: How long to wait before a write that failed is tried again (seconds).
PAUSE_SECONDS: Final = 1.0
#: How long a service that ends may write (seconds).
STOP_SECONDS: Final = 5.0


_NOT_COUNTED: Final = "what is on the log has not been counted yet"


class _Batch(NamedTuple):
    """Messages, and how far all those go that were taken up to the last of them."""

    messages: list[StoredMessage]
    checkpoint: Checkpoint


class ReadModel:
    """The numbers of the log. Before it is `complete` they are of a part of it, and must not be shown."""

    def __init__(self, store: NumbersStore, health: Health) -> None:
        self._store = store
        self._health = health
        self._log: ChatLog | None = None
        self._checkpoint: Callable[[], Checkpoint] | None = None
        self._full: deque[_Batch] = deque()
        self._gathered: list[StoredMessage] = []
        self._writing = False
        self._replaced = False
        self._complete = False
        self._come = asyncio.Event()
        self._wrote = asyncio.Condition()
        # One thread: each further one would have memory of its own that it never gives back.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="numbers")
        self._task: asyncio.Task[None] | None = None
        self._shown: LogNumbers | None = None
        self._shown_revision = -1

    @property
    def checkpoint(self) -> Checkpoint | None:
        """From where the log is to be read; None: from its beginning."""
        return self._store.checkpoint

    def follow(self, log: ChatLog, checkpoint: Callable[[], Checkpoint]) -> None:
        """Begin to write. ``checkpoint`` says how far the messages go that were taken so far."""
        self._log, self._checkpoint = log, checkpoint
        self._health.unready("numbers", _NOT_COUNTED)
        self._task = asyncio.create_task(self._write())

    async def stop(self) -> None:
        """Write what waits, and close the store."""
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.written(), STOP_SECONDS)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._apart(self._store.close)
        self._thread.shutdown()

    def on_message(self, message: StoredMessage) -> None:
        assert self._checkpoint is not None
        self._gathered.append(message)
        if len(self._gathered) == BATCH:
            self._full.append(_Batch(self._gathered, self._checkpoint()))
            self._gathered = []
            if len(self._full) == MOST_BATCHES:
                self._end("too much waits")
        self._come.set()

    def _end(self, error: object) -> None:
        log.critical(
            "numbers_not_stored", error=str(error), hint="the service ends, to read on from its file"
        )
        signal.raise_signal(signal.SIGTERM)

    def reset(self) -> None:
        """The log is another one: begin anew."""
        self._full.clear()
        self._gathered = []
        self._replaced, self._complete = True, False
        self._health.unready("numbers", _NOT_COUNTED)
        self._come.set()

    async def room(self) -> None:
        """Wait until not too much waits to be written."""
        async with self._wrote:
            await self._wrote.wait_for(lambda: len(self._full) < MOST_IN_BULK)

    async def written(self) -> None:
        """Wait until all that was taken is in the store."""
        async with self._wrote:
            await self._wrote.wait_for(lambda: not self._pending)

    def complete(self) -> bool:
        """Whether the log was read to its end once. Losing touch later leaves the numbers whole, if old."""
        return self._complete

    @property
    def position(self) -> int:
        """How many entries are counted."""
        return self._store.counted

    @property
    def shown(self) -> LogNumbers | None:
        """The numbers as they were when they were asked for last."""
        return self._shown

    async def numbers(self) -> LogNumbers:
        """The numbers as they are now. Raises `StoreError`."""
        return await self._asked(self._numbers)

    async def per_hour(self, now: int) -> list[tuple[int, int]]:
        """See `services.analytics.numbers.per_hour`. Raises `StoreError`."""

        def ask() -> list[tuple[int, int]]:
            with self._store.reading() as reading:
                return per_hour(reading, now)

        return await self._asked(ask)

    @property
    def log(self) -> ChatLog | None:
        """The log, once it is connected."""
        return self._log

    @property
    def revision(self) -> int:
        """Another one after each write."""
        return self._store.revision

    @property
    def newest(self) -> int:
        """When the newest entry that is counted was stored (nanoseconds since 1970); 0: none is."""
        return self._store.newest

    async def read(self, question: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """What ``question`` makes of the store. Raises `StoreError`, and what it raises."""

        def ask() -> T:
            with self._store.reading() as reading:
                return question(reading)

        return await self._asked(ask)

    async def ends(self) -> tuple[int, ...] | None:
        """The end of each of the log's streams, or None while they cannot be reached."""
        if self._log is None:
            return None
        try:
            return await self._log.ends(timeout=1.0)
        except Unreachable:
            return None

    async def last(self) -> int | None:
        """How many entries the log has, or None while it cannot be reached."""
        if self._log is None:
            return None
        try:
            return await self._log.length(timeout=1.0)
        except Unreachable:
            return None

    async def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return await self._apart(ask)
        except StoreError as error:
            log.error("numbers_not_read", error=str(error))
            if isinstance(error, StoreBroken):
                self._end(error)
            raise

    async def _apart(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    @property
    def _pending(self) -> bool:
        return bool(self._full or self._gathered or self._writing or self._replaced)

    def _numbers(self) -> LogNumbers:
        revision = self._store.revision
        if self._shown is None or self._shown_revision != revision:
            with self._store.reading() as reading:
                self._shown, self._shown_revision = numbers(reading), revision
        return self._shown

    async def _write(self) -> None:
        """One batch after the other, for as long as the service runs."""
        while True:
            with contextlib.suppress(TimeoutError):  # that the log's end was reached, nothing tells
                await asyncio.wait_for(self._come.wait(), None if self._complete else HURRY_SECONDS)
            self._come.clear()
            if not self._full:
                await asyncio.sleep(GATHER_SECONDS if self._complete else HURRY_SECONDS)
            again = True
            while again:
                self._writing = True
                try:
                    await self._write_batch()
                    self._health.ready("store")
                except StoreError as error:
                    if isinstance(error, StoreBroken):
                        self._end(error)
                    log.error("numbers_not_stored", error=str(error))
                    self._health.unready("store", str(error))
                    await asyncio.sleep(PAUSE_SECONDS)
                except Exception as error:  # a fault of ours: it shall be seen, and no number get lost
                    log.exception("numbers_not_stored")
                    self._health.unready("store", f"the numbers cannot be stored: {error!r}")
                    await asyncio.sleep(PAUSE_SECONDS)
                finally:
                    self._writing = False
                async with self._wrote:
                    self._wrote.notify_all()
                # What came meanwhile is gathered first, unless it is much, or must be tried again.
                again = bool(self._full or self._replaced)
            if not self._complete and "log" not in self._health.reasons and not self._pending:
                self._complete = True
                self._health.ready("numbers")

    async def _write_batch(self) -> None:
        """Write what waits longest. What could not be written waits again."""
        assert self._checkpoint is not None
        if self._replaced:
            self._replaced = False
            try:
                await self._apart(self._store.clear)
            except StoreError:
                self._replaced = True
                raise
        if not self._full:
            if not self._gathered:
                return
            self._full.append(_Batch(self._gathered, self._checkpoint()))
            self._gathered = []
        batch = self._full.popleft()
        try:
            await self._apart(partial(self._count, batch))
        except Exception:
            if not self._replaced:
                self._full.appendleft(batch)
            raise

    def _count(self, batch: _Batch) -> None:
        self._store.write([entry_of(message) for message in batch.messages], batch.checkpoint)
