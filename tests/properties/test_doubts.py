"""What makes a subscription doubt that it follows the log as it stands: each sign alone, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from nats.aio.client import Client

from shared.eventlog.follower import CHECK_SECONDS, Follower
from shared.eventlog.live_connection import LiveConnection
from shared.eventlog.messages import StoredMessage
from shared.eventlog.subscription import Start, Subscription
from shared.service.chat_log import ChatLog
from shared.service.health import Health
from tests import virtual_time
from tests.properties.test_following import SimulatedFeed, SimulatedLog, StoredStreams


class DoubtStage:
    """A subscription that has read a log of ten entries; its checks of every two seconds have just begun."""

    def __init__(self, replay_as: str = "", unbearable: int = 0) -> None:
        """``unbearable``: at this sequence the reader fails."""
        self._unbearable = unbearable
        self.world = StoredStreams(random.Random(7), streams=1)
        for _ in range(10):
            self.world.append()
        self.log = SimulatedLog(self.world)
        self.delivered: list[StoredMessage] = []
        self.resets = 0

        def feed(client: Client, lives: Any, lost: Any, found: Any) -> LiveConnection:
            return cast(LiveConnection, SimulatedFeed(self.world, lives, lost, found))

        self.subscription = Subscription(
            cast(ChatLog, self.log),
            self.world.link,
            Health("test"),
            self._deliver,
            self._on_reset,
            start=Start.BEGINNING,
            replay_as=replay_as,
            feed=feed,
        )

    def _deliver(self, message: StoredMessage) -> None:
        if message.sequence == self._unbearable:
            raise ValueError("this reader cannot bear it")
        self.delivered.append(message)

    def _on_reset(self) -> None:
        self.resets += 1
        self.delivered.clear()

    @property
    def stored(self) -> list[StoredMessage]:
        """The stream as it stands."""
        return self.world.logs[0]

    @property
    def follower(self) -> Follower:
        return cast(Follower, self.log.streams[0].witness)

    async def until(self, true: Callable[[], bool]) -> float:
        """How long it takes (seconds)."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while not true():
            await asyncio.sleep(0.005)
        return loop.time() - begun

    def swap(self) -> None:
        """The store is another's, as long, and later; no connection is lost."""
        world = self.world
        count = len(self.stored)
        del self.stored[4:]
        feed, world.feed_up = world.feed_up, False
        while len(self.stored) < count:
            world.append()
        world.feed_up = feed


def on_stage(test: Callable[[DoubtStage], Awaitable[None]]) -> Callable[[], None]:
    """Run ``test`` in virtual time."""

    async def run() -> None:
        stage = DoubtStage()
        await stage.subscription.start()
        assert stage.subscription.certain
        assert stage.delivered == stage.stored
        await test(stage)
        await stage.subscription.stop()

    def test_in_virtual_time() -> None:
        virtual_time.run(run())

    return test_in_virtual_time


@pytest.mark.parametrize("connection", ["the client's", "the live feed's"])
def test_either_connection_alone_that_is_lost_is_a_doubt(connection: str) -> None:
    async def test(stage: DoubtStage) -> None:
        world, losses = stage.world, stage.follower.losses
        await (world.cut_client() if connection == "the client's" else world.cut_feed())
        assert not stage.subscription.certain
        assert stage.follower.losses == losses + 1
        await world.back()
        await stage.until(lambda: stage.subscription.certain)
        assert stage.resets == 0

    on_stage(test)()


def test_who_waits_until_it_is_known_waits_as_long_as_it_is_in_doubt() -> None:
    async def test(stage: DoubtStage) -> None:
        await stage.world.down()
        waiting = asyncio.create_task(stage.subscription.known())
        await asyncio.sleep(60)
        assert not waiting.done()
        await stage.world.back()
        await waiting
        assert stage.subscription.certain

    on_stage(test)()


def test_a_gap_in_the_live_feed_is_filled_at_once_and_not_at_the_next_check() -> None:
    async def test(stage: DoubtStage) -> None:
        world = stage.world
        world.lossy = 1.0
        world.append()
        world.lossy = 0.0
        world.append()
        assert len(stage.delivered) == 10
        took = await stage.until(lambda: len(stage.delivered) == 12)
        assert took < CHECK_SECONDS / 2
        assert stage.delivered == stage.stored

    on_stage(test)()


def test_a_live_entry_that_was_stored_later_than_all_at_a_position_that_was_delivered_is_a_doubt() -> None:
    async def test(stage: DoubtStage) -> None:
        stage.swap()
        stage.world.takes[0](stage.stored[-1])  # until then nobody could know
        assert not stage.subscription.certain
        await stage.until(lambda: stage.subscription.certain)
        assert stage.resets == 1
        assert stage.delivered == stage.stored

    on_stage(test)()


def test_a_delivery_that_was_stored_later_than_all_at_a_position_that_was_delivered_is_waited_for() -> None:
    async def test(stage: DoubtStage) -> None:
        stage.swap()
        woken = stage.stored[7]
        await stage.subscription.reached(woken.position, woken.time)
        assert stage.resets == 1

    on_stage(test)()


def test_a_live_entry_again_is_no_doubt() -> None:
    async def test(stage: DoubtStage) -> None:
        for message in stage.stored:
            stage.world.takes[0](message)
            await stage.subscription.reached(message.position, message.time)
        assert stage.subscription.certain
        assert stage.follower.losses == 0

    on_stage(test)()


def test_what_was_fetched_since_the_last_loss_is_proven_too() -> None:
    """The server falls silent in the middle of a gap, without a loss, and then has another store.

    It has all that was known at the loss, and lacks some of what was fetched since.
    """

    async def test(stage: DoubtStage) -> None:
        world = stage.world
        await world.cut_client()
        await world.cut_feed()
        for _ in range(6):  # two answers' worth
            world.append()
        await world.back()
        await stage.until(lambda: len(stage.delivered) > 10)
        assert len(stage.delivered) == 13
        world.up = False
        await asyncio.sleep(1)
        del stage.stored[12:]
        world.feed_up = False
        world.up = True
        while len(stage.stored) < 20:
            world.append()
        world.feed_up = True
        await stage.until(lambda: stage.subscription.certain)
        assert stage.resets == 1
        assert stage.delivered == stage.stored

    on_stage(test)()


def test_what_others_were_told_since_the_last_loss_is_proven_beside_what_was_known_before_it() -> None:
    """They read ahead while this still asks; then the store is put back, and no loss is seen."""

    async def test(stage: DoubtStage) -> None:
        world, follower = stage.world, stage.follower
        await world.cut_client()
        await world.cut_feed()
        for _ in range(3):
            world.append()
        follower.read(follower.losses, 13, stage.stored[12].time)
        del stage.stored[12:]
        while len(stage.stored) < 20:
            world.append()
        await world.back()
        await stage.until(lambda: follower.certain)
        assert stage.resets == 1

    on_stage(test)()


def test_what_was_read_in_one_stretch_hides_nothing_of_the_next() -> None:
    """Three losses: what was read behind the second is of another store, and ends before what was read of
    ours behind the first. Then ours is put back."""

    async def test(stage: DoubtStage) -> None:
        world, follower = stage.world, stage.follower

        async def lost_again() -> None:
            world.client_up = True
            await world.cut_client()

        await world.cut_client()
        await world.cut_feed()
        for _ in range(3):
            world.append()
        follower.read(follower.losses, 13, stage.stored[12].time)
        await lost_again()
        ours = list(stage.stored)
        del stage.stored[10:]
        for _ in range(2):
            world.append()
        follower.read(follower.losses, 12, stage.stored[11].time)
        await lost_again()
        stage.stored[:] = ours
        await world.back()
        await stage.until(lambda: follower.certain)
        assert stage.resets == 1

    on_stage(test)()


def test_of_another_log_nothing_that_was_read_before_is_left_to_prove() -> None:
    async def test(stage: DoubtStage) -> None:
        world, follower = stage.world, stage.follower
        for _ in range(3):
            world.append()
        follower.read(follower.losses, 13, stage.stored[12].time)
        await world.down()
        del stage.stored[4:]
        await world.back()
        await stage.until(lambda: stage.resets == 1 and follower.certain)
        await asyncio.sleep(10 * CHECK_SECONDS)
        assert stage.resets == 1
        assert stage.delivered == stage.stored

    on_stage(test)()


def test_what_was_read_before_the_beginning_is_proven_at_it() -> None:
    """Somebody reads while the server is asked for the log's end; then it has another log."""

    async def run() -> None:
        stage = DoubtStage()
        world = stage.world
        world.up = False
        starting = asyncio.create_task(stage.subscription.start())
        await asyncio.sleep(1)
        stage.follower.read(stage.follower.losses, 5, stage.stored[4].time)
        del stage.stored[2:]
        world.up = True
        for _ in range(5):
            world.append()
        await starting
        assert stage.resets == 1
        assert stage.delivered == stage.stored
        await stage.subscription.stop()

    virtual_time.run(run())


def test_what_a_replay_still_pushes_when_all_begins_anew_is_for_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another stream turns out to be another log just before the first message of this one's replay."""
    monkeypatch.setattr("shared.eventlog.follower.MAX_BUFFERED", 5)

    async def run() -> None:
        stage = DoubtStage(replay_as="reader")
        stream = stage.log.streams[0]
        replays = 0

        async def replay(name: str, start: int, take: Callable[[StoredMessage], bool], room: object) -> None:
            nonlocal replays
            replays += 1
            if replays == 1:
                stage.follower.begin_anew()
            for message in stage.stored[start - 1 :]:
                if not take(message):
                    break

        monkeypatch.setattr(stream, "replay", replay, raising=False)
        await stage.subscription.start()
        assert replays == 2
        assert stage.delivered == stage.stored
        await stage.subscription.stop()

    virtual_time.run(run())


def test_an_entry_that_its_reader_cannot_bear_does_not_stop_the_feed() -> None:
    async def run() -> None:
        stage = DoubtStage(unbearable=4)
        await stage.subscription.start()
        assert [message.sequence for message in stage.delivered] == [1, 2, 3, 5, 6, 7, 8, 9, 10]
        stage.world.append()
        await stage.follower.reached(11)
        assert stage.delivered[-1] == stage.stored[-1]
        await stage.subscription.stop()

    virtual_time.run(run())
