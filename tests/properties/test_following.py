"""The subscription over a log that is lost, copied, put back and replaced, at any moment, in any order.

Real is the subscription. Simulated are the log and its two connections, in virtual time: a request takes a
while, and whatever happens meanwhile happens in its middle.
"""

from __future__ import annotations

import asyncio
import contextlib
import operator
import os
import random
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

import pytest
from nats.aio.client import Client

from shared.eventlog.connection import ConnectionState
from shared.eventlog.errors import Unreachable
from shared.eventlog.follower import Follower
from shared.eventlog.layout import Layout, Position
from shared.eventlog.live_connection import LiveConnection
from shared.eventlog.messages import StoredMessage
from shared.eventlog.protocol_reader import TakeLive
from shared.eventlog.stream import Tail
from shared.eventlog.subscription import Start, Subscription
from shared.eventlog.witness import Appended, Witness
from shared.service.chat_log import ChatLog
from shared.service.health import Health
from tests import examples, virtual_time

SEEDS = int(os.environ.get("SWITCHBOARD_SIMULATIONS", "2000")) // 4
FIRST_SEED = int(os.environ.get("SWITCHBOARD_TEST_SEED", "1"))
T = TypeVar("T")

#: Entries of one answer to a read: a long gap takes several.
BATCH = 3


class StoredStreams:
    """The stored streams, what was copied of them, and both connections to them."""

    def __init__(self, chance: random.Random, streams: int) -> None:
        self.chance = chance
        self.logs: list[list[StoredMessage]] = [[] for _ in range(streams)]
        self.epochs = ["first"] * streams
        self.copies: list[list[list[StoredMessage]]] = []
        self.up = True
        self.client_up = True
        self.feed_up = True
        self.losses = 0  # a request that was made before a loss has no answer after it
        self.lossy = 0.0  # how much the live feed loses
        self._time = 0
        self.loop = asyncio.get_running_loop()
        self.takes: list[TakeLive] = []
        self.lost: Callable[[], None] = lambda: None
        self.found: Callable[[], None] = lambda: None
        self.link = ConnectionState(Health("test"))

    # --- what may happen ---

    def append(self) -> None:
        if not self.up:
            return
        message = self._store(self.chance.randrange(len(self.logs)), "visitor", b"")
        if self.feed_up and self.takes and self.chance.random() >= self.lossy:
            self.takes[message.stream](message)

    def _store(self, stream: int, author: str, data: bytes) -> StoredMessage:
        self._time += 1
        log = self.logs[stream]
        log.append(
            StoredMessage(len(log) + 1, examples.CONVERSATION, author, self._time, data, stream=stream)
        )
        return log[-1]

    def write(self, stream: int) -> StoredMessage:
        """One more entry, acknowledged to whoever appended it; the feed brings it later, or not."""
        message = self._store(stream, "bot", b"%d" % (self._time + 1))
        if self.feed_up and self.chance.random() >= self.lossy:
            self.loop.call_later(self.chance.choice((0, 0.01, 0.2)), self._bring, message, self.losses)
        return message

    def _bring(self, message: StoredMessage, losses: int) -> None:
        if self.feed_up and losses == self.losses:
            self.takes[message.stream](message)

    def copy(self) -> None:
        self.copies.append([list(log) for log in self.logs])

    async def down(self) -> None:
        """The server goes. The two connections notice one after the other."""
        if not self.up:
            return
        self.up = False
        await self._break(self.chance.random() < 0.5)

    async def _break(self, feed_first: bool) -> None:
        for feed in (feed_first, not feed_first):
            await (self.cut_feed() if feed else self.cut_client())
            if self.chance.random() < 0.3:
                await asyncio.sleep(0)

    async def cut_client(self) -> None:
        if self.client_up:
            self.client_up = False
            self.losses += 1
            await self.link.disconnected()

    async def cut_feed(self) -> None:
        if self.feed_up:
            self.feed_up = False
            self.lost()

    async def put_back(self) -> None:
        """The store, or one stream of it, is a copy now; numbers are used anew, times are not."""
        await self.down()
        if self.copies:
            copy = self.chance.choice(self.copies)
            whole = self.chance.random() < 0.7
            for stream in range(len(self.logs)) if whole else [self.chance.randrange(len(self.logs))]:
                self.logs[stream] = list(copy[stream])

    async def wipe(self) -> None:
        await self.down()
        self.logs, self.copies = [[] for _ in self.logs], []
        self.epochs = [f"epoch {self._time}"] * len(self.logs)

    async def back(self) -> None:
        self.up = True
        for feed in self.chance.sample((True, False), 2):
            if feed and not self.feed_up:
                self.feed_up = True
                self.found()
            elif not feed and not self.client_up:
                self.client_up = True
                await self.link.connected()
            if self.chance.random() < 0.5:
                await asyncio.sleep(self.chance.random() * 0.2)

    async def something(self) -> None:
        """One of these; more often than not the log grows."""
        what = self.chance.choices(
            ("grow", "copy", "down", "cut", "put back", "wipe", "back", "lossy", "wait"),
            (12, 3, 2, 3, 3, 0.3, 6, 1, 4),
        )[0]
        if what == "grow":
            for _ in range(self.chance.randint(1, 8)):
                self.append()
        elif what == "copy":
            self.copy()
        elif what == "down":
            await self.down()
        elif what == "cut":
            await self._break(self.chance.random() < 0.5)
        elif what == "put back":
            await self.put_back()
        elif what == "wipe":
            await self.wipe()
        elif what == "back":
            await self.back()
        elif what == "lossy":
            self.lossy = self.chance.choice((0.0, 0.2, 1.0))
        else:
            await asyncio.sleep(self.chance.random() * 3)
        await asyncio.sleep(self.chance.choice((0, 0.01, 0.05, 0.3)))


class SimulatedStream:
    """What a follower asks of a `Stream`."""

    def __init__(self, world: StoredStreams, number: int) -> None:
        self._world = world
        self.number = number
        self.replicated = False
        self.witness: Witness | None = None

    async def _ask(self, answer: Callable[[], T]) -> T:
        """A request on its way: there, and back. Whoever made it may be woken later than it is answered."""
        world = self._world
        losses = world.losses
        await asyncio.sleep(world.chance.choice((0, 0.01, 0.1)))
        if not world.up or not world.client_up or world.losses != losses:
            raise Unreachable("nobody is there")
        found = answer()
        for pause in (world.chance.choice((0, 0.01, 0.1)), 0):
            if not world.up or not world.client_up or world.losses != losses:
                raise Unreachable("lost")
            await asyncio.sleep(pause)
        if world.chance.random() < 0.2:
            await asyncio.sleep(0.05)
        return found

    async def tail(self, timeout: float = 2.0) -> Tail:
        def found() -> Tail:
            world = self._world
            return Tail(len(world.logs[self.number]), world.epochs[self.number], False, len(world.logs))

        return await self._ask(found)

    async def at(self, sequence: int) -> StoredMessage | None:
        def found() -> StoredMessage | None:
            log = self._world.logs[self.number]
            return log[sequence - 1] if 0 < sequence <= len(log) else None

        return await self._ask(found)

    def _from(self, start: int) -> list[StoredMessage]:
        return self._world.logs[self.number][start - 1 : start - 1 + BATCH]

    async def read(self, start: int, subject: str = "") -> AsyncIterator[list[StoredMessage]]:
        assert self.witness is not None
        while True:
            losses = self.witness.losses
            batch = await self._ask(partial(self._from, start))
            if batch:
                self.witness.read(losses, batch[-1].sequence, batch[-1].time)
                yield batch
            start += len(batch)
            if len(batch) < BATCH:
                return


class SimulatedLog:
    """What a subscription asks of a `Log`."""

    def __init__(self, world: StoredStreams) -> None:
        self.client = None
        self.layout = Layout("LOG", "log", len(world.logs))
        self.streams = [SimulatedStream(world, number) for number in range(len(world.logs))]

    def goes_over(self, line: object) -> None:
        """There is one way."""


class ReaderAhead:
    """A reader beside the subscription: told all that it delivers, it reads and appends ahead of it."""

    def __init__(self, world: StoredStreams, log: SimulatedLog) -> None:
        self._world = world
        self._log = log
        self.known: list[list[StoredMessage]] = [[] for _ in log.streams]
        self.ahead = 0
        self.resets = 0

    def _follows(self, message: StoredMessage) -> bool:
        known = self.known[message.stream]
        return message.sequence == (known[-1].sequence if known else 0) + 1

    def deliver(self, message: StoredMessage) -> None:
        if self.known[message.stream] and self._follows(message):
            self.known[message.stream].append(message)

    def forget(self) -> None:
        self.known, self.resets = [[] for _ in self.known], self.resets + 1

    async def read(self, stream: int) -> None:
        """All that there is. What comes after a `forget` is of the log before."""
        resets = self.resets
        start = len(self.known[stream]) + 1
        with contextlib.suppress(Unreachable):
            async for batch in self._log.streams[stream].read(start):
                if self.resets != resets:
                    return
                for message in batch:
                    if self._follows(message):
                        self.known[stream].append(message)
                        self.ahead += 1

    def append(self, stream: int) -> None:
        """Stored only behind all that is known, as with an expectation."""
        world, known, witness = self._world, self.known[stream], self._log.streams[stream].witness
        if witness is None or not world.up or not world.client_up or not known:
            return
        if known[-1].sequence != len(world.logs[stream]):
            return
        message = world.write(stream)
        witness.stored(message.sequence, Appended(message.key, message.author, message.data))
        known.append(message)
        self.ahead += 1


class SimulatedFeed:
    def __init__(
        self,
        world: StoredStreams,
        lives: Mapping[str, TakeLive],
        lost: Callable[[], None],
        found: Callable[[], None],
    ) -> None:
        world.takes, world.lost, world.found = [*lives.values()], lost, found

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


async def _follow(seed: int, from_beginning: bool, streams: int, steps: int) -> int:
    world = StoredStreams(random.Random(seed), streams)
    delivered: list[list[StoredMessage]] = [[] for _ in range(streams)]

    def deliver(message: StoredMessage) -> None:
        delivered[message.stream].append(message)
        fold.deliver(message)

    def reset() -> None:
        for messages in delivered:
            messages.clear()
        fold.forget()

    def feed(client: Client, lives: Any, lost: Any, found: Any) -> LiveConnection:
        return cast(LiveConnection, SimulatedFeed(world, lives, lost, found))

    for _ in range(world.chance.randint(0, 12)):
        world.append()
    log = SimulatedLog(world)
    fold = ReaderAhead(world, log)
    subscription = Subscription(
        cast(ChatLog, log),
        world.link,
        Health("test"),
        deliver,
        reset,
        start=Start.BEGINNING if from_beginning else Start.END,
        feed=feed,
    )

    def right(stream: int) -> None:
        """What counts as certain is the stream as it stands, without a gap, from where it was begun."""
        sequence, told, stored = (
            subscription.positions[stream].sequence,
            delivered[stream],
            world.logs[stream],
        )
        if told:
            start = told[0].sequence
            assert told[-1].sequence == sequence
            assert told == stored[start - 1 : start - 1 + len(told)]
        assert fold.known[stream] == stored[: len(fold.known[stream])]
        if from_beginning:
            assert len(told) == sequence
            assert not told or told[0].sequence == 1

    followers = [cast(Follower, each.witness) for each in log.streams]
    starting = asyncio.create_task(subscription.start())
    reading: list[asyncio.Task[None]] = []
    for _ in range(steps):
        stream = world.chance.randrange(streams)
        if world.chance.random() < 0.3:
            reading.append(asyncio.create_task(fold.read(stream)))
        if followers[stream].certain and world.chance.random() < 0.3:
            fold.append(stream)
        await world.something()
        for number, follower in enumerate(followers):
            if follower.certain:
                right(number)
            # However often the connection is lost, a handful of proofs is enough: each costs a request.
            assert len(follower._anchors) <= 6
    world.lossy = 0.0
    await world.back()
    await starting
    await asyncio.gather(*reading)

    def behind() -> bool:
        ends = [Position(number, len(stored)) for number, stored in enumerate(world.logs)]
        return not subscription.certain or any(map(operator.lt, subscription.positions, ends))

    async with asyncio.timeout(60):
        await subscription.known()
        for number, stored in enumerate(world.logs):
            await subscription.reached(Position(number, len(stored)))
        while behind():
            await asyncio.sleep(0.1)
    for number in range(streams):
        right(number)
    before = fold.resets
    await asyncio.sleep(10)
    assert fold.resets == before  # it is the same log now
    assert not behind()
    assert [follower.epoch for follower in followers] == world.epochs
    await subscription.stop()
    return fold.ahead


@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("from_beginning", [True, False])
def test_whatever_happens_to_the_store_what_counts_is_the_log_as_it_stands(
    from_beginning: bool, streams: int
) -> None:
    ahead = 0
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
        try:
            ahead += virtual_time.run(_follow(seed, from_beginning, streams, steps=40))
        except BaseException:
            print(f"seed {seed}: SWITCHBOARD_TEST_SEED={seed} SWITCHBOARD_SIMULATIONS=4")
            raise
    assert ahead > 5 * SEEDS  # it is about these, too
