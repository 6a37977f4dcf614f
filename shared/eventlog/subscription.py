"""A complete feed of the log: one follower for each stream, over one connection of the live feed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from itertools import repeat
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.eventlog.checkpoint import Checkpoint
from shared.eventlog.connection import ConnectionState
from shared.eventlog.follower import Follower
from shared.eventlog.layout import Position
from shared.eventlog.live_connection import LiveConnection
from shared.eventlog.log import Log
from shared.eventlog.messages import StoredMessage
from shared.eventlog.meters import FollowMeter
from shared.eventlog.observer import Observer
from shared.eventlog.protocol_reader import TakeLive

#: Makes the live feed: the client, what takes each stream's messages, and what to call when the feed is lost
#: and when it stands again.
MakeFeed = Callable[[Client, Mapping[str, TakeLive], Callable[[], None], Callable[[], None]], LiveConnection]


class Start(Enum):
    """Where a subscription begins in each stream."""

    #: Behind the last entry.
    END = auto()
    #: With the first.
    BEGINNING = auto()


@dataclass(frozen=True, slots=True)
class After:
    """Behind what a read model has read already. Where that is no longer on the log, the subscription says
    so with ``reset``, and begins at the beginning."""

    checkpoint: Checkpoint


class Subscription:
    """Calls ``deliver`` with every message behind the start, once, without a gap, each stream's in order.

    ``deliver`` must only take the message and return. ``reset`` is called when a stream is no
    longer the one that was followed (put back from a copy, wiped): drop all that was folded; the feed of
    every stream then begins anew at its start. ``replay_as`` names the replay consumer that carries the
    bulk of a reading from the beginning. What is read in bulk waits for ``room`` in between. ``feed`` is the
    live one; tests put one there that loses.
    """

    def __init__(
        self,
        log: Log[Any],
        link: ConnectionState,
        health: Observer,
        deliver: Callable[[StoredMessage], None],
        reset: Callable[[], None],
        start: Start | After = Start.END,
        replay_as: str = "",
        feed: MakeFeed = LiveConnection,
        room: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        self._layout = log.layout
        self._room = room
        self._health = health
        self._reset = reset
        self._reasons: dict[int, str] = {}  # why a stream has not been read to its end
        self.deliver = deliver
        self.streams = log.layout.streams
        self.from_beginning = start is not Start.END
        self.replay_as = replay_as
        places = start.checkpoint.places if isinstance(start, After) else ()
        #: The checkpoint is of a log with another number of streams.
        self._foreign = bool(places) and len(places) != self.streams
        if self._foreign or not places:
            self._followers = tuple(Follower(stream, self) for stream in log.streams)
        else:
            self._followers = tuple(map(Follower, log.streams, repeat(self), places))
        lives = {log.layout.live(number): each.offer for number, each in enumerate(self._followers)}
        self._feed = feed(log.client, lives, self._feed_lost, self._feed_found)
        log.goes_over(self._feed)
        link.on_disturbance(self._disturbed)
        link.on_loss(self._lost)
        self.meter = FollowMeter(health.registry, self._followers)

    async def start(self) -> None:
        """Begin to follow; returns when the feed has reached what was the end of each stream."""
        if self._foreign:
            self._reset()
        await self._feed.start()
        await asyncio.gather(*(follower.start() for follower in self._followers))

    async def stop(self) -> None:
        for follower in self._followers:
            await follower.stop()
        await self._feed.stop()

    async def join(self, subject: str, queue: str, push: Callable[[Msg], None]) -> None:
        """Have what a consumer delivers come over the live feed's connection: see `LiveConnection.join`."""
        await self._feed.join(subject, queue, push)

    async def leave(self) -> None:
        """No more of that."""
        await self._feed.leave()

    def of(self, key: str) -> Follower:
        """What follows the key's stream: how far it is, and whether it is certain of that."""
        return self._followers[self._layout.stream_of(key)]

    async def reached(self, position: Position, time: int = 0) -> None:
        """Wait until everything in this stream up to there has been delivered: see `Follower.reached`."""
        await self._followers[position.stream].reached(position.sequence, time)

    @property
    def certain(self) -> bool:
        """Whether what was delivered is the log as it stands, as far as is known here."""
        return all(follower.certain for follower in self._followers)

    async def known(self) -> None:
        """Wait until what was delivered is known to be the log as it stands."""
        while not self.certain:
            await asyncio.gather(*(follower.known() for follower in self._followers))

    @property
    def positions(self) -> tuple[Position, ...]:
        """How far each stream was delivered."""
        return tuple(Position(number, each.sequence) for number, each in enumerate(self._followers))

    @property
    def checkpoint(self) -> Checkpoint:
        """How far that is, to go on from there one day: see `After`. Within ``deliver`` it includes the
        message."""
        return Checkpoint(tuple(follower.place for follower in self._followers))

    @property
    def count(self) -> int:
        """How many entries that makes, from the first of each stream on."""
        return sum(follower.count for follower in self._followers)

    async def room(self) -> None:
        if self._room is not None:
            await self._room()

    def replaced(self, follower: Follower) -> None:
        self.meter.replaced()
        self._reset()
        for other in self._followers:
            if other is not follower:
                other.begin_anew()

    def tell(self, stream: int, reason: str) -> None:
        if reason:
            self._reasons[stream] = reason
            self._health.unready("log", reason)
            return
        self._reasons.pop(stream, None)
        if self._reasons:
            self._health.unready("log", next(iter(self._reasons.values())))
        else:
            self._health.ready("log")

    def _disturbed(self) -> None:
        for follower in self._followers:
            follower.disturb()

    def _lost(self) -> None:
        for follower in self._followers:
            follower.lost()

    def _feed_lost(self) -> None:
        self._health.unready("feed", "the live feed is lost, connecting again")
        self._lost()

    def _feed_found(self) -> None:
        self._health.ready("feed")
        self._disturbed()
