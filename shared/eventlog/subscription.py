"""Following: a complete, ordered feed of the log from a position. All four services use this one.

The live feed (core NATS) is fast and may lose anything, even the last message with nothing after
it. So the subscription takes it only where it is contiguous, fetches what is missing from the stream,
and compares itself with the stream's end after each disturbance and every two seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import Callable

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client import Counter, Gauge

from shared.eventlog.connection import ConnectionState
from shared.eventlog.log import Appended, Log, StoredMessage, Unreachable
from shared.eventlog.observer import Observer
from shared.eventlog.protocol_reader import LiveConnection

log = structlog.get_logger()

#: How often the subscription compares itself with the stream's end when nothing disturbs it (seconds).
CHECK_SECONDS = 2.0
#: How long `reached` waits for the live feed before it asks the stream (seconds).
PATIENCE_SECONDS = 0.05
#: Messages kept while an earlier one is missing; what does not fit is fetched.
MAX_BUFFERED = 10_000
#: How often nothing more may come though the log was longer, before its end is looked at again.
MAX_FRUITLESS = 20


class Subscription:
    """Calls ``deliver`` with every message behind the start, once, in order, without a gap.

    ``deliver`` must only take the message and return. ``reset`` is called when the stream is no
    longer the one that was followed (put back from a copy, wiped): drop what was folded; the feed
    then begins anew at its start. ``replay_as`` names the service whose replay consumer carries the
    bulk of a reading from the beginning. ``feed`` is the live one; tests put one there that loses.
    """

    def __init__(
        self,
        stream: Log,
        link: ConnectionState,
        health: Observer,
        deliver: Callable[[StoredMessage], None],
        reset: Callable[[], None],
        from_beginning: bool = False,
        replay_as: str = "",
        feed: Callable[
            [Client, Callable[[StoredMessage], None], Callable[[], None], Callable[[], None]], LiveConnection
        ] = LiveConnection,
    ) -> None:
        self._log = stream
        self._health = health
        self._deliver = deliver
        self._reset = reset
        self._from_beginning = from_beginning
        self._replay_as = replay_as
        self._buffer: dict[int, StoredMessage] = {}
        self._disturbed = asyncio.Event()
        self._waiting: list[tuple[int, float, int, asyncio.Future[None]]] = []
        self._patience: asyncio.TimerHandle | None = None
        self._numbers = itertools.count()
        self._task: asyncio.Task[None] | None = None
        self._feed = feed(stream.client, self._offer, self._feed_lost, self._feed_found)
        stream.goes_over(self._feed)
        self._started = False
        self._last_time = 0  # stored time of the entry at `position`, to know the stream again
        # While a connection was lost the store may have been put back from a copy, which uses its numbers
        # anew. So from a loss on all is in doubt, the live feed waits, and these entries (position and
        # stored time) must prove to be on the log as it stands: see `_heal`.
        self._anchors: list[tuple[int, int]] = []
        self._doubtful = False
        self._losses = 0
        # Others read and append through the same connections, and keep what they are told, which may be
        # ahead of what was delivered: the newest entry that was read since the last loss, and what was
        # appended and has not been delivered (by position).
        self._read_to = 0, 0
        self._stored: dict[int, Appended] = {}
        stream.tells(self)
        self.position = 0
        self.epoch = ""
        link.on_disturbance(self._disturbed.set)
        link.on_loss(self._lost)
        health.unready("log", "the log has not been read yet")
        self._position_gauge = Gauge(
            "switchboard_follower_position", "Position up to which the log was read", registry=health.registry
        )
        self._healed = Counter(
            "switchboard_follower_healed_total",
            "Messages that the live feed lacked and that were fetched",
            registry=health.registry,
        )
        self._position_gauge.set_function(lambda: self.position)

    async def start(self) -> None:
        """Begin to follow; returns when the feed has reached what was the stream's end."""
        await self._feed.start()
        while not self._started:
            try:
                await self._begin()
            except Unreachable as error:
                self._health.unready("log", str(error))
                await asyncio.sleep(0.5)
        self._health.ready("log")
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        while self._task is not None and not self._task.done():
            # Again where it did not help: in Python 3.11 `wait_for`, within a request, drops a
            # cancellation that comes together with the answer.
            self._task.cancel()
            await asyncio.wait([self._task], timeout=0.5)
        await self._feed.stop()

    async def join(self, subject: str, queue: str, push: Callable[[Msg], None]) -> None:
        """Have what a consumer delivers come over the live feed's connection: see `LiveConnection.join`."""
        await self._feed.join(subject, queue, push)

    async def leave(self) -> None:
        """No more of that."""
        await self._feed.leave()

    @property
    def certain(self) -> bool:
        """Whether what was delivered is the log as it stands, as far as is known here."""
        return not self._doubtful and self._started

    @property
    def losses(self) -> int:
        """How often the log may have become another one so far."""
        return self._losses

    def read(self, losses: int, position: int, time: int) -> None:
        """Somebody was told the entries up to ``position``. Raises `Unreachable`: see `Witness`."""
        if losses != self._losses:
            raise Unreachable("a connection was lost while this was read")
        self._read_to = max(self._read_to, (position, time))

    def stored(self, position: int, appended: Appended) -> None:
        """Somebody was told that this is stored at ``position``."""
        if position > self.position:
            self._stored[position] = appended

    async def reached(self, position: int, time: int = 0) -> None:
        """Wait until everything up to ``position`` has been delivered, of the log as it is now.

        Where that turns out to be another log the position means nothing, and the wait is over.
        ``time`` is when that was stored, if the caller knows: newer than all that was delivered, at a
        position that was, it is an entry of another log. Without it, and without a connection that was
        lost, a log that took the place of ours would be noticed only after a while.
        """
        if self._foreign(position, time):
            self._doubt()
        if self.position >= position and self.certain:
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, (position, loop.time(), next(self._numbers), future))
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

    def _lost(self) -> None:
        """From here on it may be another log: what was delivered so far must be proven.

        At every loss, not only at the first: what was fetched since then may be of one log, and what is
        fetched next of another.
        """
        self._losses += 1
        self._doubtful = True
        for newest in ((self.position, self._last_time), self._read_to):
            if newest not in self._anchors:
                self._anchors.append(newest)
        self._read_to = 0, 0

    def _foreign(self, position: int, time: int) -> bool:
        """Whether it must be another log's: a position that was delivered, stored after all that was."""
        return self._started and position <= self.position and 0 < self._last_time < time

    def _doubt(self) -> None:
        self._lost()
        self._disturbed.set()

    def _feed_lost(self) -> None:
        self._health.unready("feed", "the live feed is lost, connecting again")
        self._lost()

    def _feed_found(self) -> None:
        self._health.ready("feed")
        self._disturbed.set()

    async def _begin(self) -> None:
        tail = await self._log.tail()
        if self._told and (tail.epoch != self.epoch or not await self._proven()):
            self._forget()  # replaced while we were still reading it
        self.epoch = tail.epoch
        if not self._from_beginning:
            at_end = await self._log.at(tail.last) if tail.last else None
            if tail.last and at_end is None and (await self._log.tail()).last != tail.last:
                raise Unreachable("the log became another while its end was looked at")
            self.position, self._last_time = tail.last, at_end.time if at_end is not None else 0
        self._drain()
        if self._replay_as and tail.last - self.position > MAX_BUFFERED:
            with contextlib.suppress(Unreachable):  # it is only the quicker way
                await self._replay(tail.last)
        await self._deliver_to(tail.last)
        self._drain()
        self._started = True
        self._release()

    def _offer(self, message: StoredMessage) -> None:
        if message.position == self.position + 1 and self.certain:
            self._advance(message)
            if self._buffer:
                self._drain()
        elif message.position > self.position:
            if len(self._buffer) < MAX_BUFFERED:
                self._buffer[message.position] = message
            if self._started:
                self._disturbed.set()
        elif self._foreign(message.position, message.time):
            self._doubt()

    def _drain(self) -> None:
        """Deliver what came live and waits, as far as it is next."""
        if self._doubtful:  # a loss that came since may have made another log of it
            return
        while (message := self._buffer.pop(self.position + 1, None)) is not None:
            self._advance(message)
        if self._buffer and min(self._buffer) <= self.position:
            self._buffer = {p: m for p, m in self._buffer.items() if p > self.position}

    def _advance(self, message: StoredMessage) -> None:
        self.position, self._last_time = message.position, message.time
        if self._stored:
            self._confirm(message)
        try:
            self._deliver(message)
        except Exception:  # one entry that its reader cannot bear must not stop the feed
            log.exception("deliver_failed", position=message.position)
        if self._waiting:
            self._release()

    def _confirm(self, message: StoredMessage) -> None:
        """What was appended here has come by, or something else in its place."""
        stored = self._stored.get(message.position)
        if stored is None:
            return
        if stored == (message.conversation, message.author, message.data):
            del self._stored[message.position]
        else:
            self._doubt()

    def _release(self) -> None:
        """Tell who waits for what was delivered. While this may be another log, a position means nothing:
        who goes on would take the old log's entry for the one that has its number now."""
        while self._waiting and self._waiting[0][0] <= self.position and self.certain:
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
                self._health.unready("log", str(error))
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
        if not self._started:
            await self._begin()
        tail = await self._log.tail()
        if tail.epoch != self.epoch or not await self._proven():
            log.warning("log_replaced", position=self.position, last=tail.last)
            self._forget()
            await self._begin()
        await self._deliver_to(tail.last)
        if losses == self._losses:
            self._doubtful = False
            self._drain()
            self._release()
            self._health.ready("log")

    @property
    def _told(self) -> bool:
        """Whether anybody here was told anything of the log."""
        return any((self.position, self._read_to[0], self._stored, *(at for at, _ in self._anchors)))

    async def _proven(self) -> bool:
        """Whether all that anybody here was told is on the log as it stands.

        That is more than what was delivered: a fold or a history that is loaded is read ahead of the
        subscription's position, and so may reach beyond it when a connection is lost. Were only the delivered
        entries proven, a store that was put back from a copy which ends in between would pass, and such a
        fold would take the new entries at its positions for those that it has.

        **What was read.** Between two losses all is read of one log: an answer that was asked for before
        a loss and comes after it is refused in `read`. Logs only grow, and one that takes another's place
        begins as a copy of it up to some position, behind which every entry is stored later than any that
        the copy lacks. So an entry with the same position and time on both means that they are the same
        up to there, and the newest of each stretch between two losses proves the stretch: the newest that
        was delivered, and the newest that was read, which may be either side of it. That of one stretch
        proves no other: its log may have taken the place of an earlier one in the middle. The newest of
        all counts though no loss came after it: a store may be put back without one.

        **A replica that is behind** answers with less of the same log. Its entries have the positions and
        times that the leader gave them, so the newest of several answers proves them all. Proof is asked
        of the leader, and of one just elected again, since it may not have got that far itself.

        **What was appended.** An acknowledgement says no time. But what is folded of it is its content,
        behind entries that were read: so each must be at its position with its content, until it is
        delivered. One by one, since between two of them may stand what others wrote.
        """
        losses = self._losses
        newest = [(self.position, self._last_time)]
        if self._read_to[0] > self.position:
            newest.append(self._read_to)
        for position, time in dict.fromkeys([*self._anchors, *newest]):
            if not await self._same(position, time):
                return False
        if self._doubtful:
            for position, stored in list(self._stored.items()):
                found = await self._at(position)
                if found is None or stored != (found.conversation, found.author, found.data):
                    return False
        if losses == self._losses:
            # All of it is one stretch now, which its newest will prove.
            self._read_to = max([self._read_to, *self._anchors])
            self._anchors.clear()
        return True

    async def _same(self, position: int, time: int) -> bool:
        """Whether the entry at ``position`` is still the one that was told; a shorter log has none.

        ``time`` is 0 where it was never known: only of a store that is damaged at its very end.
        """
        if not position:
            return True
        found = await self._at(position)
        return found is not None and time in (0, found.time)

    async def _at(self, position: int) -> StoredMessage | None:
        """The entry there. A leader that was just elected may not have got there yet: it is asked again."""
        for _ in range(MAX_FRUITLESS if self._log.replicated else 1):
            found = await self._log.at(position)
            if found is not None:
                return found
            await asyncio.sleep(0.05 if self._log.replicated else 0)
        return None

    async def _deliver_to(self, last: int) -> None:
        """Fetch until what was the log's ``last`` entry has been delivered.

        Raises `Unreachable` also where no more comes: the log may be a shorter one by now, which must be
        found out by looking at its end again.
        """
        fruitless = 0
        while self.position < last:
            before = self.position
            await self._fetch(last)
            fruitless = 0 if self.position > before else fruitless + 1
            if fruitless == MAX_FRUITLESS:
                raise Unreachable(f"the log does not reach position {last}")
            if fruitless:
                await asyncio.sleep(0.05)  # a replica that is behind: ask again

    async def _fetch(self, last: int) -> None:
        """Fetch from the last contiguous position towards ``last``; live messages wait meanwhile."""
        async for batch in self._log.read(self.position + 1):
            for message in batch:
                if message.position <= self.position:
                    continue  # the live feed was quicker
                if message.position > self.position + 1:
                    # The stream denies deletion, so only a damaged store has holes.
                    log.error("log_has_a_hole", after=self.position, next=message.position)
                if self._started:
                    self._healed.inc()
                self._advance(message)
            self._drain()
            if last - self.position > MAX_BUFFERED:
                self._health.unready("log", f"replaying: at {self.position} of {last}")
            await asyncio.sleep(0)

    async def _replay(self, last: int) -> None:
        """The bulk of a long replay, pushed. What it leaves out is fetched."""

        def take(message: StoredMessage) -> bool:
            if message.position == self.position + 1:
                self._advance(message)
                if message.position % MAX_BUFFERED == 0:
                    self._health.unready("log", f"replaying: at {message.position} of {last}")
            return self.position < last

        await self._log.replay(self._replay_as, self.position + 1, take)

    def _forget(self) -> None:
        """The stream is another: what was delivered no longer holds."""
        self._health.unready("log", "the log was replaced, reading it anew")
        self._started = False
        self._buffer.clear()
        self.position, self._last_time = 0, 0
        self._anchors.clear()
        self._read_to = 0, 0
        self._stored.clear()
        self._reset()
        for *_, future in self._waiting:  # the positions they wait for are of the old stream
            if not future.done():
                future.set_result(None)
        self._waiting.clear()
