"""Following one stream: complete, in order, without a gap, from a position on.

The live feed (core NATS) is fast and may lose anything, even the last message with nothing after
it. So the follower takes it only where it is contiguous, fetches what is missing from the stream,
and compares itself with the stream's end after each disturbance and every two seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from time import time as now
from typing import Protocol

import structlog

from shared.eventlog.checkpoint import Place
from shared.eventlog.errors import Unreachable
from shared.eventlog.messages import StoredMessage
from shared.eventlog.meters import FollowMeter
from shared.eventlog.stream import Stream, Tail
from shared.eventlog.witness import Appended

log = structlog.get_logger()

#: How often the follower compares itself with the stream's end when nothing disturbs it (seconds).
CHECK_SECONDS = 2.0
#: How long `reached` waits for the live feed before it asks the stream (seconds).
PATIENCE_SECONDS = 0.05
#: Messages kept while an earlier one is missing; what does not fit is fetched.
MAX_BUFFERED = 10_000
#: How often nothing more may come though the log was longer, before its end is looked at again.
MAX_FRUITLESS = 20


class Reader(Protocol):
    """What a follower tells, and asks of, the subscription that it is a part of."""

    #: How many streams the log has, as far as this process knows.
    streams: int
    #: Whether to begin with the first entry of the stream, or behind the last.
    from_beginning: bool
    #: Counts what befalls its followers.
    meter: FollowMeter
    #: The name of the replay consumer that carries the bulk of a reading from the beginning; "": none.
    replay_as: str

    def deliver(self, message: StoredMessage, /) -> None:
        """The next message of the stream."""

    async def room(self) -> None:
        """Wait until the reader can bear more of what is read in bulk."""

    def replaced(self, follower: Follower) -> None:
        """The stream is no longer the one that was followed: all that was delivered is to be dropped."""

    def tell(self, stream: int, reason: str) -> None:
        """Why the stream has not been read to its end; "": it has."""


class Follower:
    """Calls the reader's ``deliver`` with every message behind the start, once, in order, without a gap.

    It is the witness of its stream: whoever reads or appends there tells it.
    """

    def __init__(self, stream: Stream, reader: Reader, place: Place | None = None) -> None:
        """``place``: how far an earlier follower had got. It must prove to be on the stream as it stands."""
        self._stream = stream
        self._reader = reader
        self._deliver = reader.deliver
        self._buffer: dict[int, StoredMessage] = {}
        self._disturbed = asyncio.Event()
        self._waiting: list[tuple[int, float, int, asyncio.Future[None]]] = []
        self._patience: asyncio.TimerHandle | None = None
        self._numbers = itertools.count()
        self._task: asyncio.Task[None] | None = None
        self._started = False
        self._stale = False  # another stream was replaced: this one is to begin anew, too
        self._before = 0  # the sequence before the first of the stream, where nothing is
        self._last_time = 0  # stored time of the entry at `sequence`, to know the stream again
        # While a connection was lost the store may have been put back from a copy, which uses its numbers
        # anew. So from a loss on all is in doubt, the live feed waits, and these entries (sequence and
        # stored time) must prove to be on the log as it stands: see `_heal`.
        self._anchors: list[tuple[int, int]] = []
        self._doubtful = False
        self._losses = 0
        # Others read and append through the same connections, and keep what they are told, which may be
        # ahead of what was delivered: the newest entry that was read since the last loss, and what was
        # appended and has not been delivered (by sequence).
        self._read_to = 0, 0
        self._stored: dict[int, Appended] = {}
        stream.witness = self
        #: The sequence of the newest entry that was delivered.
        self.sequence = 0
        self.epoch = ""
        #: When all of the stream was last known to have been delivered (seconds since 1970), 0 for never.
        self.checked = 0.0
        self._last = 0  # the stream's last sequence, when it was asked for
        if place is not None:
            self.epoch, self.sequence, self._last_time = place.epoch, place.sequence, place.time
        reader.tell(stream.number, "the log has not been read yet")

    async def start(self) -> None:
        """Begin to follow; returns when the feed has reached what was the stream's end."""
        while not self._started or self._stale:
            try:
                await self._begin()
            except Unreachable as error:
                self._tell(str(error))
                await asyncio.sleep(0.5)
        self._tell("")
        self.checked = now()
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        while self._task is not None and not self._task.done():
            # Again where it did not help: in Python 3.11 `wait_for`, within a request, drops a
            # cancellation that comes together with the answer.
            self._task.cancel()
            await asyncio.wait([self._task], timeout=0.5)

    @property
    def certain(self) -> bool:
        """Whether what was delivered is the log as it stands, as far as is known here."""
        return not self._doubtful and self._started

    @property
    def place(self) -> Place:
        """How far it is, up to the message that is being delivered."""
        return Place(self.epoch, self.sequence, self._last_time)

    @property
    def count(self) -> int:
        """How many entries the stream has up to there."""
        return max(self.sequence - self._before, 0)

    @property
    def number(self) -> int:
        """That of the stream."""
        return self._stream.number

    @property
    def lag(self) -> int:
        """How many entries the stream is known to have that were not delivered yet."""
        return max(self._last - self.sequence, len(self._buffer), 0)

    @property
    def losses(self) -> int:
        """How often the log may have become another one so far."""
        return self._losses

    def read(self, losses: int, sequence: int, time: int) -> None:
        """Somebody was told the entries up to ``sequence``. Raises `Unreachable`: see `Witness`."""
        if losses != self._losses:
            raise Unreachable("a connection was lost while this was read")
        self._read_to = max(self._read_to, (sequence, time))

    def stored(self, sequence: int, appended: Appended) -> None:
        """Somebody was told that this is stored at ``sequence``."""
        if sequence > self.sequence:
            self._stored[sequence] = appended

    def disturb(self) -> None:
        """Something may have been missed: compare with the stream's end."""
        self._disturbed.set()

    def begin_anew(self) -> None:
        """The reader dropped what it was told of all streams: this one is to be told again from its start.

        What is on its way from before this is for nobody.
        """
        if self._stale:
            return
        self._stale, self._deliver = True, _nobody
        self._clear()
        self._doubt()
        self._let_go()

    async def reached(self, sequence: int, time: int = 0) -> None:
        """Wait until everything up to ``sequence`` has been delivered, of the log as it is now.

        Where that turns out to be another log the sequence means nothing, and the wait is over.
        ``time`` is when that was stored, if the caller knows: newer than all that was delivered, at a
        sequence that was, it is an entry of another log. Without it, and without a connection that was
        lost, a log that took the place of ours would be noticed only after a while.
        """
        if self._foreign(sequence, time):
            self._doubt()
        if self.sequence >= sequence and self.certain:
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, (sequence, loop.time(), next(self._numbers), future))
        if self._patience is None:
            self._patience = loop.call_later(PATIENCE_SECONDS, self._lose_patience)
        await future

    async def known(self) -> None:
        """Wait until what was delivered is known to be the log as it stands."""
        while not self.certain:
            await self.reached(0)

    def _lose_patience(self) -> None:
        """Ask the stream for whoever has waited long enough for the live feed."""
        loop = asyncio.get_running_loop()
        waiting = [since for _, since, _, future in self._waiting if not future.done()]
        self._patience = loop.call_later(PATIENCE_SECONDS, self._lose_patience) if waiting else None
        if waiting and loop.time() - min(waiting) >= PATIENCE_SECONDS:
            self._disturbed.set()

    def lost(self) -> None:
        """From here on it may be another log: what was delivered so far must be proven.

        At every loss, not only at the first: what was fetched since then may be of one log, and what is
        fetched next of another.
        """
        self._losses += 1
        self._doubtful = True
        for newest in ((self.sequence, self._last_time), self._read_to):
            if newest not in self._anchors:
                self._anchors.append(newest)
        self._read_to = 0, 0

    def _foreign(self, sequence: int, time: int) -> bool:
        """Whether it must be another log's: a sequence that was delivered, stored after all that was."""
        return self._started and sequence <= self.sequence and 0 < self._last_time < time

    def _doubt(self) -> None:
        self.lost()
        self._disturbed.set()

    async def _begin(self) -> None:
        if self._stale:
            self._renew()
        tail = await self._tail()
        if self._told and (tail.epoch != self.epoch or not await self._proven()):
            self._forget()  # replaced while we were still reading it
        self.epoch = tail.epoch
        self.sequence = max(self.sequence, self._before)
        if not self._reader.from_beginning:
            at_end = await self._stream.at(tail.last) if tail.last else None
            if tail.last and at_end is None and (await self._tail()).last != tail.last:
                raise Unreachable("the log became another while its end was looked at")
            self.sequence, self._last_time = tail.last, at_end.time if at_end is not None else 0
        self._drain()
        if self._reader.replay_as and tail.last - self.sequence > MAX_BUFFERED:
            with contextlib.suppress(Unreachable):  # it is only the quicker way
                await self._replay(tail.last)
        await self._deliver_to(tail.last)
        self._drain()
        self._started = True
        self._release()

    def offer(self, message: StoredMessage) -> None:
        """The live feed brought this."""
        if message.sequence == self.sequence + 1 and self.certain:
            self._advance(message)
            if self._buffer:
                self._drain()
        elif message.sequence > self.sequence:
            if len(self._buffer) < MAX_BUFFERED:
                self._buffer[message.sequence] = message
            if self._started:
                self._disturbed.set()
        elif self._foreign(message.sequence, message.time):
            self._doubt()

    def _drain(self) -> None:
        """Deliver what came live and waits, as far as it is next."""
        if self._doubtful:  # a loss that came since may have made another log of it
            return
        while (message := self._buffer.pop(self.sequence + 1, None)) is not None:
            self._advance(message)
        if self._buffer and min(self._buffer) <= self.sequence:
            self._buffer = {p: m for p, m in self._buffer.items() if p > self.sequence}

    def _advance(self, message: StoredMessage) -> None:
        self.sequence, self._last_time = message.sequence, message.time
        if self._stored:
            self._confirm(message)
        try:
            self._deliver(message)
        except Exception:  # one entry that its reader cannot bear must not stop the feed
            log.exception("deliver_failed", position=message.sequence)
            self._reader.meter.failed("reader")
        if self._waiting:
            self._release()

    def _confirm(self, message: StoredMessage) -> None:
        """What was appended here has come by, or something else in its place."""
        stored = self._stored.get(message.sequence)
        if stored is None:
            return
        if stored == (message.key, message.author, message.data):
            del self._stored[message.sequence]
        else:
            self._doubt()

    def _release(self) -> None:
        """Tell who waits for what was delivered. While this may be another log, a sequence means nothing:
        who goes on would take the old log's entry for the one that has its number now."""
        while self._waiting and self._waiting[0][0] <= self.sequence and self.certain:
            future = heapq.heappop(self._waiting)[3]
            if not future.done():
                future.set_result(None)

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._disturbed.wait()
            self._disturbed.clear()
            try:
                await self._heal()
            except Unreachable as error:
                self._tell(str(error))
                await asyncio.sleep(0.2)
                self._disturbed.set()
            except Exception:
                log.exception("follower_failed")
                await asyncio.sleep(1.0)

    async def _heal(self) -> None:
        """Prove that this is the log that was followed, then fetch what is missing."""
        losses = self._losses
        if self._doubtful:
            # What came live before may be of the log that was: it would be put behind what is fetched of the
            # one that is. All of it was stored before the end that is asked for now, so nothing is missed.
            self._buffer.clear()
        if not self._started or self._stale:
            await self._begin()
        tail = await self._tail()
        if tail.epoch != self.epoch or not await self._proven():
            log.warning("log_replaced", position=self.sequence, last=tail.last)
            self._forget()
            await self._begin()
        await self._deliver_to(tail.last)
        if losses == self._losses:
            self._doubtful = False
            self._drain()
            self._release()
            self._tell("")
            self.checked = now()

    @property
    def _told(self) -> bool:
        """Whether anybody here was told anything of the log."""
        return any((self.sequence, self._read_to[0], self._stored, *(at for at, _ in self._anchors)))

    async def _proven(self) -> bool:
        """Whether all that anybody here was told is on the log as it stands.

        That is more than what was delivered: a fold or a history that is loaded is read ahead of the
        subscription's sequence, and so may reach beyond it when a connection is lost. Were only the delivered
        entries proven, a store that was put back from a copy which ends in between would pass, and such a
        fold would take the new entries at its positions for those that it has.

        **What was read.** Between two losses all is read of one log: an answer that was asked for before
        a loss and comes after it is refused in `read`. Logs only grow, and one that takes another's place
        begins as a copy of it up to some sequence, behind which every entry is stored later than any that
        the copy lacks. So an entry with the same sequence and time on both means that they are the same
        up to there, and the newest of each stretch between two losses proves the stretch: the newest that
        was delivered, and the newest that was read, which may be either side of it. That of one stretch
        proves no other: its log may have taken the place of an earlier one in the middle. The newest of
        all counts though no loss came after it: a store may be put back without one.

        **A replica that is behind** answers with less of the same log. Its entries have the positions and
        times that the leader gave them, so the newest of several answers proves them all. Proof is asked
        of the leader, and of one just elected again, since it may not have got that far itself.

        **What was appended.** An acknowledgement says no time. But what is folded of it is its content,
        behind entries that were read: so each must be at its sequence with its content, until it is
        delivered. One by one, since between two of them may stand what others wrote.
        """
        losses = self._losses
        newest = [(self.sequence, self._last_time)]
        if self._read_to[0] > self.sequence:
            newest.append(self._read_to)
        for sequence, time in dict.fromkeys([*self._anchors, *newest]):
            if not await self._same(sequence, time):
                return False
        if self._doubtful:
            for sequence, stored in list(self._stored.items()):
                found = await self._at(sequence)
                if found is None or stored != (found.key, found.author, found.data):
                    return False
        if losses == self._losses:
            # All of it is one stretch now, which its newest will prove.
            self._read_to = max([self._read_to, *self._anchors])
            self._anchors.clear()
        return True

    async def _same(self, sequence: int, time: int) -> bool:
        """Whether the entry at ``sequence`` is still the one that was told; a shorter log has none.

        ``time`` is 0 where it was never known: only of a store that is damaged at its very end.
        """
        if sequence in (0, self._before):  # nothing was told
            return True
        found = await self._at(sequence)
        return found is not None and time in (0, found.time)

    async def _at(self, sequence: int) -> StoredMessage | None:
        """The entry there. A leader that was just elected may not have got there yet: it is asked again."""
        for _ in range(MAX_FRUITLESS if self._stream.replicated else 1):
            found = await self._stream.at(sequence)
            if found is not None:
                return found
            await asyncio.sleep(0.05 if self._stream.replicated else 0)
        return None

    async def _deliver_to(self, last: int) -> None:
        """Fetch until what was the log's ``last`` entry has been delivered.

        Raises `Unreachable` also where no more comes: the log may be a shorter one by now, which must be
        found out by looking at its end again.
        """
        fruitless = 0
        while self.sequence < last and not self._stale:
            before = self.sequence
            await self._fetch(last)
            fruitless = 0 if self.sequence > before else fruitless + 1
            if fruitless == MAX_FRUITLESS:
                raise Unreachable(f"the log does not reach position {last}")
            if fruitless:
                await asyncio.sleep(0.05)  # a replica that is behind: ask again

    async def _fetch(self, last: int) -> None:
        """Fetch from the last contiguous sequence towards ``last``; live messages wait meanwhile."""
        async for batch in self._stream.read(self.sequence + 1):
            if self._stale:
                return
            for message in batch:
                if message.sequence <= self.sequence:
                    continue  # the live feed was quicker
                if message.sequence > self.sequence + 1:
                    # The stream denies deletion, so only a damaged store has holes.
                    log.error("log_has_a_hole", after=self.sequence, next=message.sequence)
                    self._reader.meter.failed("hole")
                if self._started:
                    self._reader.meter.healed(self.number)
                self._advance(message)
            self._drain()
            if last - self.sequence > MAX_BUFFERED:
                self._tell(f"replaying: at {self.sequence} of {last}")
            await asyncio.sleep(0)
            await self._reader.room()

    async def _replay(self, last: int) -> None:
        """The bulk of a long replay, pushed. What it leaves out is fetched."""

        def take(message: StoredMessage) -> bool:
            if message.sequence == self.sequence + 1:
                self._advance(message)
                if message.sequence % MAX_BUFFERED == 0:
                    self._tell(f"replaying: at {message.sequence} of {last}")
            return self.sequence < last and not self._stale

        await self._stream.replay(self._reader.replay_as, self.sequence + 1, take, self._reader.room)

    def _forget(self) -> None:
        """The stream is another: what was delivered no longer holds."""
        self._tell("the log was replaced, reading it anew")
        self._clear()
        if self._stale:  # the reader knows already
            self._renew()
        else:
            self._started = False
            self._reader.replaced(self)
        self._let_go()

    def _clear(self) -> None:
        """Nothing was delivered, and nobody was told anything."""
        self._buffer.clear()
        self.sequence, self._last_time = 0, 0
        self._anchors.clear()
        self._read_to = 0, 0
        self._stored.clear()

    def _renew(self) -> None:
        """From here on all is delivered again. What came since `begin_anew` was not."""
        self._stale, self._started, self._deliver = False, False, self._reader.deliver
        self._buffer.clear()
        self.sequence, self._last_time = 0, 0

    def _let_go(self) -> None:
        """The positions for which somebody waits are of the old stream."""
        for *_, future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def _tail(self) -> Tail:
        """The stream's end. Raises `Unreachable`."""
        tail = await self._stream.tail()
        if tail.streams != self._reader.streams:
            raise Unreachable(
                f"the log has {tail.streams} streams now, and had {self._reader.streams}: start again"
            )
        self._before, self._last = tail.first - 1, tail.last
        return tail

    def _tell(self, reason: str) -> None:
        self._reader.tell(self._stream.number, reason)


def _nobody(message: StoredMessage) -> None:
    """Is told what nobody shall be told."""
