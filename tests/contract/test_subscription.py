"""The subscription: contiguous from its start, whatever the live feed loses."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import ParseResult

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from deploy.provisioning import wipe
from shared.contract.entry import Entry
from shared.contract.subjects import WORKFLOW_DELIVERY, WORKFLOW_DURABLE, chat
from shared.eventlog.connection import ConnectionState, inbox_prefix
from shared.eventlog.follower import Follower
from shared.eventlog.live_connection import LiveConnection
from shared.eventlog.messages import StoredMessage, delivered
from shared.eventlog.protocol_reader import TakeLive
from shared.eventlog.provisioning import MAX_REPLAY_PENDING
from shared.eventlog.subscription import MakeFeed, Start, Subscription
from shared.service.chat_log import ChatLog, open_log
from shared.service.health import Health
from tests import examples
from tests.conftest import LAYOUT, Connections, declare
from tests.faults.injectors import FaultyLink, Pause, hesitant, lossy

C = examples.CONVERSATION


def said(n: int) -> Entry:
    return Entry(id=str(n), facts=(examples.TEXT_WRITTEN,))


class Followed:
    """A subscription and what it delivered."""

    def __init__(
        self,
        log: ChatLog,
        link: ConnectionState,
        from_beginning: bool = False,
        replay_as: str = "",
        feed: MakeFeed = LiveConnection,
        room: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        self.messages: list[StoredMessage] = []
        self.resets = 0
        self.slow = 0.0
        self.health = Health("test")
        self.subscription = Subscription(
            log,
            link,
            self.health,
            self._take,
            self._reset,
            Start.BEGINNING if from_beginning else Start.END,
            replay_as,
            feed,
            room,
        )

    def _take(self, message: StoredMessage) -> None:
        self.messages.append(message)
        if self.slow:
            time.sleep(self.slow)  # a reader that keeps the event loop busy

    def _reset(self) -> None:
        self.resets += 1
        self.messages.clear()

    @property
    def follower(self) -> Follower:
        """What follows the stream in which all is written here."""
        return self.subscription.of(C)

    async def reached(self, position: int, time: int = 0) -> None:
        await self.follower.reached(position, time)

    @property
    def positions(self) -> list[int]:
        return [message.sequence for message in self.messages]


@pytest.fixture
async def writer(connections: Connections) -> ChatLog:
    return await connections.log("proxy")


async def grow(writer: ChatLog, first: int, count: int) -> None:
    await asyncio.gather(*(writer.append(C, "visitor", said(n)) for n in range(first, first + count)))


@pytest.fixture
async def stop() -> AsyncIterator[list[Followed]]:
    started: list[Followed] = []
    yield started
    for followed in started:
        await followed.subscription.stop()


async def test_it_begins_at_the_end_or_at_the_beginning(
    connections: Connections, writer: ChatLog, stop: list[Followed]
) -> None:
    await grow(writer, 0, 2500)
    late = Followed(await connections.log("analytics"), ConnectionState(Health("test")))
    whole = Followed(await connections.log("analytics"), ConnectionState(Health("test")), from_beginning=True)
    stop += [late, whole]
    await late.subscription.start()
    await whole.subscription.start()
    assert late.positions == []
    assert whole.positions == list(range(1, 2501))
    await grow(writer, 2500, 10)
    for followed in stop:
        await followed.reached(2510)
    assert late.positions == list(range(2501, 2511))
    assert whole.positions == list(range(1, 2511))
    assert "log" not in whole.health.reasons


async def test_a_long_replay_is_pushed_at_the_readers_pace_and_two_at_once_are_both_complete(
    connections: Connections, stop: list[Followed]
) -> None:
    proxy = await connections.client("proxy")
    count = 25_000
    for n in range(count):
        await proxy.publish(chat(C, "visitor"), b"{}")
        if n % 1000 == 0:
            await proxy.flush()
    reader = await connections.log("reader")
    async with asyncio.timeout(60):
        while await reader.length() < count:
            await asyncio.sleep(0.05)
    for _ in range(2):
        log = await connections.log("analytics")
        stop.append(
            Followed(log, ConnectionState(Health("test")), from_beginning=True, replay_as="analytics")
        )
    await stop[0].subscription.start()
    assert stop[0].positions == list(range(1, count + 1))
    await asyncio.gather(stop[1].subscription.start(), proxy.publish(chat(C, "visitor"), b"{}"))
    again = Followed(
        await connections.log("analytics"),
        ConnectionState(Health("test")),
        from_beginning=True,
        replay_as="analytics",
    )
    third = Followed(
        await connections.log("analytics"),
        ConnectionState(Health("test")),
        from_beginning=True,
        replay_as="analytics",
    )
    stop += [again, third]
    await asyncio.gather(again.subscription.start(), third.subscription.start())
    for followed in stop:
        await followed.reached(count + 1)
        assert followed.positions == list(range(1, count + 2))
    room = asyncio.Event()
    slow = Followed(
        await connections.log("analytics"),
        ConnectionState(Health("test")),
        from_beginning=True,
        replay_as="analytics",
        room=room.wait,
    )
    stop.append(slow)
    starting = asyncio.create_task(slow.subscription.start())
    async with asyncio.timeout(30):
        while len(slow.messages) < MAX_REPLAY_PENDING:
            await asyncio.sleep(0.01)
    await asyncio.wait([starting], timeout=2.5)  # a replay that only rests would have been given up by then
    assert len(slow.messages) == MAX_REPLAY_PENDING
    room.set()
    await starting
    assert slow.positions == list(range(1, count + 2))


@pytest.mark.parametrize("lost", [{7}, {1, 2, 3}, {3, 5, 8, 9}, set(range(1, 11))])
async def test_what_the_live_feed_loses_is_fetched(
    connections: Connections, writer: ChatLog, stop: list[Followed], lost: set[int]
) -> None:
    feed = lossy(lambda message: message.sequence in lost)
    followed = Followed(await connections.log("analytics"), ConnectionState(Health("test")), feed=feed)
    stop.append(followed)
    await followed.subscription.start()
    await grow(writer, 0, 12)
    await followed.reached(12)
    assert followed.positions == list(range(1, 13))


async def test_the_last_entry_lost_with_nothing_after_it_arrives_within_five_seconds(
    connections: Connections, writer: ChatLog, stop: list[Followed]
) -> None:
    feed = lossy(lambda message: True)
    followed = Followed(await connections.log("analytics"), ConnectionState(Health("test")), feed=feed)
    stop.append(followed)
    await followed.subscription.start()
    position = await writer.append(C, "visitor", said(0))
    async with asyncio.timeout(5):
        while followed.positions != [position]:  # nobody asks for it: `reached` would
            await asyncio.sleep(0.05)


async def test_forged_live_messages_without_the_servers_marks_are_no_entries(
    connections: Connections, writer: ChatLog, stop: list[Followed]
) -> None:
    followed = Followed(await connections.log("analytics"), ConnectionState(Health("test")))
    stop.append(followed)
    await followed.subscription.start()
    forger = await connections.client("proxy")
    await forger.publish(f"live.{LAYOUT.stream_of(C)}.1.{C}.bot", b"{}")
    await grow(writer, 0, 1)
    await followed.reached(1)
    assert [message.author for message in followed.messages] == ["visitor"]


async def test_a_slow_follower_misses_nothing(
    connections: Connections, writer: ChatLog, stop: list[Followed]
) -> None:
    followed = Followed(await connections.log("analytics"), ConnectionState(Health("test")))
    stop.append(followed)
    await followed.subscription.start()
    followed.slow = 0.002
    await grow(writer, 0, 300)
    await followed.reached(300)
    assert followed.positions == list(range(1, 301))


@pytest.mark.parametrize("how", ["cut", "stalled"])
async def test_a_feed_that_is_cut_off_alone_misses_nothing(
    connections: Connections, writer: ChatLog, stop: list[Followed], how: str
) -> None:
    """The link of the feed breaks; that of the client, over which everything else goes, stands."""
    async with FaultyLink(connections.server.port) as wire:
        client = await connections.client("analytics")
        losses = 0

        def detour(
            client: Client, lives: Mapping[str, TakeLive], *told: Callable[[], None]
        ) -> LiveConnection:
            lost, found = told

            def count() -> None:
                nonlocal losses
                losses += 1
                lost()

            return LiveConnection(cast(Client, _Detour(client, wire.port)), lives, count, found)

        followed = Followed(await open_log(client), ConnectionState(Health("test")), feed=detour)
        stop.append(followed)
        await followed.subscription.start()
        await grow(writer, 0, 5)
        await followed.reached(5)
        if how == "cut":
            await wire.cut()
        else:
            wire.stall()
        await grow(writer, 5, 5)
        async with asyncio.timeout(10):
            await followed.reached(10)
            while not losses:
                await asyncio.sleep(0.05)
        await wire.mend() if how == "cut" else wire.flow()
        await grow(writer, 10, 5)
        async with asyncio.timeout(10):
            await followed.reached(15)
        assert client.is_connected
        assert followed.positions == list(range(1, 16))


async def test_an_append_whose_answer_is_lost_with_the_feed_is_stored_once(
    connections: Connections, stop: list[Followed]
) -> None:
    """The link over which it was sent is dead; the client's own stands."""
    async with FaultyLink(connections.server.port) as wire:
        client = await connections.client("proxy")

        def detour(
            client: Client, lives: Mapping[str, TakeLive], *told: Callable[[], None]
        ) -> LiveConnection:
            return LiveConnection(cast(Client, _Detour(client, wire.port)), lives, *told)

        log = await open_log(client)
        followed = Followed(log, ConnectionState(Health("test")), feed=detour)
        stop.append(followed)
        await followed.subscription.start()
        assert await log.append(C, "visitor", said(1), expect=0) == 1
        wire.stall()
        assert await log.append(C, "visitor", said(2), expect=1) == 2
        wire.flow()
        assert await log.append(C, "visitor", said(3), expect=2) == 3
        async with asyncio.timeout(10):
            await followed.reached(3)
        fetched = await log.fetch(C)
        assert [message.sequence for message in fetched] == followed.positions == [1, 2, 3]


async def test_what_a_consumer_delivers_is_shared_and_comes_again_when_the_feed_was_cut(
    connections: Connections, writer: ChatLog, stop: list[Followed]
) -> None:
    async with FaultyLink(connections.server.port) as wire:

        def detour(
            client: Client, lives: Mapping[str, TakeLive], *told: Callable[[], None]
        ) -> LiveConnection:
            return LiveConnection(cast(Client, _Detour(client, wire.port)), lives, *told)

        members = Member(), Member()
        feeds: list[MakeFeed] = [detour, LiveConnection]
        for member, feed in zip(members, feeds, strict=True):
            followed = Followed(await connections.log("workflow"), ConnectionState(Health("test")), feed=feed)
            stop.append(followed)
            await followed.subscription.start()
            await followed.subscription.join(WORKFLOW_DELIVERY, WORKFLOW_DURABLE, member.take)
        await grow(writer, 0, 40)
        async with asyncio.timeout(10):
            while sum(len(member.positions) for member in members) < 40:
                await asyncio.sleep(0.01)
        assert all(member.positions for member in members)
        assert sorted(members[0].positions + members[1].positions) == list(range(1, 41))
        for member in members:
            await member.acknowledge()

        await stop[1].subscription.leave()
        await grow(writer, 40, 10)
        async with asyncio.timeout(10):
            while members[0].positions != list(range(41, 51)):
                await asyncio.sleep(0.01)
        assert members[1].positions == []
        await members[0].acknowledge()

        await wire.cut()
        await grow(writer, 50, 10)
        assert members[0].positions == []
        await wire.mend()
        async with asyncio.timeout(20):  # what went into the cut link comes again after the lease
            while len(set(members[0].positions)) < 10:
                await asyncio.sleep(0.01)
        assert set(members[0].positions) == set(range(51, 61))


class Member:
    """One of a queue group, and what was delivered to it that it has not acknowledged."""

    def __init__(self) -> None:
        self._messages: list[Msg] = []

    def take(self, message: Msg) -> None:
        self._messages.append(message)

    @property
    def positions(self) -> list[int]:
        return [delivered(message.reply)[0] for message in self._messages]

    async def acknowledge(self) -> None:
        for message in self._messages:
            await message.ack()
        self._messages.clear()


async def test_no_header_is_two(connections: Connections, stop: list[Followed]) -> None:
    log = await connections.log("proxy")
    followed = Followed(log, ConnectionState(Health("test")))
    stop.append(followed)
    await followed.subscription.start()
    broken = Entry(id="1\r\nNats-Rollup: all", facts=(examples.TEXT_WRITTEN,))
    with pytest.raises(ValueError, match="more than one line"):
        await log.append(C, "visitor", broken)
    assert await log.fetch(C) == []


class _Detour:
    """A client that names another port than its own, and notices a dead link soon."""

    def __init__(self, client: Client, port: int) -> None:
        self._client = client
        self._port = port
        self.options = {**client.options, "ping_interval": 0.2}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    @property
    def connected_url(self) -> ParseResult | None:
        url = self._client.connected_url
        own = f":{url.port}" if url is not None else ""
        return url._replace(netloc=url.netloc.replace(own, f":{self._port}")) if url is not None else None


@pytest.mark.parametrize("how", ["cut", "stalled"])
async def test_a_follower_cut_off_is_contiguous_again(
    connections: Connections, writer: ChatLog, stop: list[Followed], how: str
) -> None:
    async with FaultyLink(connections.server.port) as wire:
        link = ConnectionState(Health("test"))
        url = connections.server.url("analytics").replace(f":{connections.server.port}", f":{wire.port}")
        client = await nats.connect(
            url,
            inbox_prefix=inbox_prefix("analytics").encode(),
            error_cb=link.error,
            disconnected_cb=link.disconnected,
            reconnected_cb=link.connected,
            reconnect_time_wait=0.1,
            max_reconnect_attempts=-1,
            ping_interval=1,
            max_outstanding_pings=1,
        )
        followed = Followed(await open_log(client), link)
        stop.append(followed)
        await followed.subscription.start()
        await grow(writer, 0, 5)
        await followed.reached(5)
        if how == "cut":
            await wire.cut()
        else:
            wire.stall()
        await grow(writer, 5, 50)
        if how == "cut":
            await wire.mend()
        else:
            wire.flow()
        async with asyncio.timeout(10):
            await followed.reached(55)
        assert followed.positions == list(range(1, 56))
        await client.close()


async def test_a_follower_goes_on_behind_a_restarted_server(
    connections: Connections, writer: ChatLog, stop: list[Followed]
) -> None:
    followed = Followed(await connections.log("analytics"), ConnectionState(Health("test")))
    stop.append(followed)
    await followed.subscription.start()
    await grow(writer, 0, 5)
    await followed.reached(5)
    await asyncio.to_thread(connections.server.kill)
    await asyncio.to_thread(connections.server.start)
    await grow(writer, 5, 5)
    async with asyncio.timeout(10):
        await followed.reached(10)
    assert followed.positions == list(range(1, 11))


@pytest.mark.parametrize("grown", [0, 12], ids=["shorter", "longer than before"])
async def test_a_store_put_back_from_a_copy_is_noticed(
    connections: Connections, writer: ChatLog, stop: list[Followed], tmp_path: Path, grown: int
) -> None:
    server = connections.server
    link = ConnectionState(Health("test"))
    client = await nats.connect(
        server.url("analytics"),
        inbox_prefix=inbox_prefix("analytics").encode(),
        error_cb=link.error,
        disconnected_cb=link.disconnected,
        reconnected_cb=link.connected,
        reconnect_time_wait=0.05,
        max_reconnect_attempts=-1,
    )
    followed = Followed(await open_log(client), link, from_beginning=True)
    stop.append(followed)
    await followed.subscription.start()
    await grow(writer, 0, 5)
    await asyncio.to_thread(server.stop)
    shutil.copytree(server.folder / "nats", tmp_path / "copy")
    await asyncio.to_thread(server.start)
    await grow(writer, 5, 5)
    await followed.reached(10)
    await asyncio.to_thread(server.stop)
    shutil.rmtree(server.folder / "nats")
    shutil.copytree(tmp_path / "copy", server.folder / "nats")
    await asyncio.to_thread(server.start)
    if grown:
        await grow(writer, 100, grown)
    async with asyncio.timeout(10):
        while followed.resets == 0 or followed.follower.sequence < 5 + grown:
            await asyncio.sleep(0.05)
    assert followed.positions == list(range(1, 6 + grown))
    await client.close()


async def test_a_position_of_the_old_log_does_not_count_in_the_one_that_took_its_place(
    connections: Connections, writer: ChatLog, stop: list[Followed], tmp_path: Path
) -> None:
    """Whoever waits is not let go before it is known which log this is, nor kept waiting then."""
    server, pause = connections.server, Pause()
    client = await connections.client("analytics")
    followed = Followed(await open_log(client, make_stream=hesitant(pause)), ConnectionState(Health("test")))
    stop.append(followed)
    await followed.subscription.start()
    await grow(writer, 0, 5)
    await followed.reached(5)
    await asyncio.to_thread(server.stop)
    shutil.copytree(server.folder / "nats", tmp_path / "copy")
    await asyncio.to_thread(server.start)
    await grow(writer, 5, 5)
    await followed.reached(10)
    pause.begin()
    await pause.felt.wait()
    await asyncio.to_thread(server.stop)
    shutil.rmtree(server.folder / "nats")
    shutil.copytree(tmp_path / "copy", server.folder / "nats")
    await asyncio.to_thread(server.start)
    assert await writer.append(C, "visitor", said(100)) == 6
    waiting = asyncio.create_task(followed.reached(6))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert not followed.subscription.certain
    pause.end()
    async with asyncio.timeout(10):
        await waiting
        assert followed.resets == 1
        await followed.reached(6)  # nothing more comes
    assert followed.subscription.certain


async def test_an_entry_that_is_newer_than_all_at_a_position_of_old_is_another_logs(
    connections: Connections, writer: ChatLog, stop: list[Followed]
) -> None:
    """The stream was removed and made anew while the connection stood."""
    pause = Pause()
    followed = Followed(await connections.log("analytics", hesitant(pause)), ConnectionState(Health("test")))
    stop.append(followed)
    await followed.subscription.start()
    await grow(writer, 0, 5)
    await followed.reached(5)
    known = await writer.stream_of(C).at(5)
    assert known is not None
    await followed.reached(5, known.time)
    assert followed.subscription.certain
    pause.begin()
    await pause.felt.wait()
    admin = await connections.client("admin")
    await wipe(admin)
    await declare(admin, max_bytes=1024**3)
    assert await writer.append(C, "visitor", said(100)) == 1
    found = await writer.stream_of(C).at(1)
    assert found is not None
    waiting = asyncio.create_task(followed.reached(1, found.time))
    await asyncio.sleep(0)
    assert not waiting.done()
    pause.end()
    async with asyncio.timeout(10):
        await waiting
        assert followed.resets == 1
        await followed.reached(1)
    assert followed.follower.epoch != ""
