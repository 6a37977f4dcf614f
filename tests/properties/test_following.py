"""The subscription over a log that is lost, copied, put back and replaced, at any moment, in any order.

Real is the subscription. Simulated are the log and its two connections, in virtual time: a request takes a
while, and whatever happens meanwhile happens in its middle.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, TypeVar, cast

import pytest
from nats.aio.client import Client

from shared.eventlog.connection import ConnectionState
from shared.eventlog.log import Appended, Log, StoredMessage, Tail, Unreachable, Witness
from shared.eventlog.protocol_reader import LiveConnection
from shared.eventlog.subscription import Subscription
from shared.service.health import Health
from tests import examples, virtual_time

SEEDS = int(os.environ.get("SWITCHBOARD_SIMULATIONS", "2000")) // 4
FIRST_SEED = int(os.environ.get("SWITCHBOARD_TEST_SEED", "1"))
T = TypeVar("T")

#: Entries of one answer to a read: a long gap takes several.
BATCH = 3


class World:
    """The stored log, what was copied of it, and both connections to it."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.log: list[StoredMessage] = []
        self.epoch = "first"
        self.copies: list[list[StoredMessage]] = []
        self.up = True
        self.client_up = True
        self.feed_up = True
        self.losses = 0  # a request that was made before a loss has no answer after it
        self.lossy = 0.0  # how much the live feed loses
        self._time = 0
        self.loop = asyncio.get_running_loop()
        self.take: Callable[[StoredMessage], None] = lambda message: None
        self.lost: Callable[[], None] = lambda: None
        self.found: Callable[[], None] = lambda: None
        self.link = ConnectionState(Health("test"))

    # --- what may happen ---

    def append(self) -> None:
        if not self.up:
            return
        self._time += 1
        message = StoredMessage(len(self.log) + 1, examples.CONVERSATION, "visitor", self._time, b"")
        self.log.append(message)
        if self.feed_up and self.chance.random() >= self.lossy:
            self.take(message)

    def write(self) -> StoredMessage:
        """One more entry, acknowledged to whoever appended it; the feed brings it later, or not."""
        self._time += 1
        data = b"%d" % self._time
        message = StoredMessage(len(self.log) + 1, examples.CONVERSATION, "bot", self._time, data)
        self.log.append(message)
        if self.feed_up and self.chance.random() >= self.lossy:
            self.loop.call_later(self.chance.choice((0, 0.01, 0.2)), self._bring, message, self.losses)
        return message

    def _bring(self, message: StoredMessage, losses: int) -> None:
        if self.feed_up and losses == self.losses:
            self.take(message)

    def copy(self) -> None:
        self.copies.append(list(self.log))

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
        """The store is one of the copies now; numbers are used anew, times are not."""
        await self.down()
        if self.copies:
            self.log = list(self.chance.choice(self.copies))

    async def wipe(self) -> None:
        await self.down()
        self.log, self.copies, self.epoch = [], [], f"epoch {self._time}"

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


class SimulatedLog:
    """What a subscription asks of a `Log`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.client = None
        self.replicated = False
        self.witness: Witness | None = None

    def goes_over(self, line: object) -> None:
        """There is one way."""

    def tells(self, witness: Witness) -> None:
        self.witness = witness

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
        return await self._ask(lambda: Tail(len(self._world.log), self._world.epoch, False))

    async def at(self, position: int) -> StoredMessage | None:
        def found() -> StoredMessage | None:
            log = self._world.log
            return log[position - 1] if 0 < position <= len(log) else None

        return await self._ask(found)

    def _from(self, start: int) -> list[StoredMessage]:
        return self._world.log[start - 1 : start - 1 + BATCH]

    async def read(self, start: int, subject: str = "") -> AsyncIterator[list[StoredMessage]]:
        assert self.witness is not None
        while True:
            losses = self.witness.losses
            batch = await self._ask(partial(self._from, start))
            if batch:
                self.witness.read(losses, batch[-1].position, batch[-1].time)
                yield batch
            start += len(batch)
            if len(batch) < BATCH:
                return


class Fold:
    """A reader beside the subscription: told all that it delivers, it reads and appends ahead of it."""

    def __init__(self, world: World, log: SimulatedLog) -> None:
        self._world = world
        self._log = log
        self.known: list[StoredMessage] = []
        self.ahead = 0
        self.resets = 0

    def deliver(self, message: StoredMessage) -> None:
        if self.known and message.position == self.known[-1].position + 1:
            self.known.append(message)

    def forget(self) -> None:
        self.known, self.resets = [], self.resets + 1

    async def read(self) -> None:
        """All that there is. What comes after a `forget` is of the log before."""
        resets = self.resets
        start = self.known[-1].position + 1 if self.known else 1
        with contextlib.suppress(Unreachable):
            async for batch in self._log.read(start):
                if self.resets != resets:
                    return
                for message in batch:
                    if not self.known or message.position == self.known[-1].position + 1:
                        self.known.append(message)
                        self.ahead += 1

    def append(self) -> None:
        """Stored only behind all that is known, as with an expectation."""
        world, witness = self._world, self._log.witness
        if witness is None or not world.up or not world.client_up or not self.known:
            return
        if self.known[-1].position != len(world.log):
            return
        message = world.write()
        witness.stored(message.position, Appended(message.conversation, message.author, message.data))
        self.known.append(message)
        self.ahead += 1


class SimulatedFeed:
    def __init__(
        self,
        world: World,
        take: Callable[[StoredMessage], None],
        lost: Callable[[], None],
        found: Callable[[], None],
    ) -> None:
        world.take, world.lost, world.found = take, lost, found

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


async def _follow(seed: int, from_beginning: bool, steps: int) -> int:
    world = World(random.Random(seed))
    delivered: list[StoredMessage] = []
    start = 0

    def deliver(message: StoredMessage) -> None:
        nonlocal start
        if not delivered:
            start = message.position
        delivered.append(message)
        fold.deliver(message)

    def reset() -> None:
        delivered.clear()
        fold.forget()

    def feed(client: Client, take: Any, lost: Any, found: Any) -> LiveConnection:
        return cast(LiveConnection, SimulatedFeed(world, take, lost, found))

    for _ in range(world.chance.randint(0, 12)):
        world.append()
    log = SimulatedLog(world)
    fold = Fold(world, log)
    subscription = Subscription(
        cast(Log, log),
        world.link,
        Health("test"),
        deliver,
        reset,
        from_beginning=from_beginning,
        feed=feed,
    )

    def right() -> None:
        """What counts as certain is the log as it stands, without a gap, from where it was begun."""
        assert subscription.position == (delivered[-1].position if delivered else subscription.position)
        assert delivered == world.log[start - 1 : start - 1 + len(delivered)] if delivered else True
        assert fold.known == world.log[: len(fold.known)]
        if from_beginning:
            assert len(delivered) == subscription.position
            assert not delivered or start == 1

    starting = asyncio.create_task(subscription.start())
    reading: list[asyncio.Task[None]] = []
    for _ in range(steps):
        if world.chance.random() < 0.3:
            reading.append(asyncio.create_task(fold.read()))
        if subscription.certain and world.chance.random() < 0.3:
            fold.append()
        await world.something()
        if subscription.certain:
            right()
        # However often the connection is lost, a handful of proofs is enough: each costs a request.
        assert len(subscription._anchors) <= 6
    world.lossy = 0.0
    await world.back()
    await starting
    await asyncio.gather(*reading)
    async with asyncio.timeout(60):
        await subscription.known()
        await subscription.reached(len(world.log))
        while not subscription.certain or subscription.position < len(world.log):
            await asyncio.sleep(0.1)
    right()
    before = fold.resets
    await asyncio.sleep(10)
    assert fold.resets == before  # it is the same log now
    assert subscription.position == len(world.log)
    assert subscription.epoch == world.epoch
    await subscription.stop()
    return fold.ahead


@pytest.mark.parametrize("from_beginning", [True, False])
def test_whatever_happens_to_the_store_what_counts_is_the_log_as_it_stands(from_beginning: bool) -> None:
    ahead = 0
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
        try:
            ahead += virtual_time.run(_follow(seed, from_beginning, steps=40))
        except BaseException:
            print(f"seed {seed}: SWITCHBOARD_TEST_SEED={seed} SWITCHBOARD_SIMULATIONS=4")
            raise
    assert ahead > 5 * SEEDS  # it is about these, too
