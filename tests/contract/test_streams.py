"""A log of several streams, against the real server: it is one log to those who read and write it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from nats.aio.client import Client

from deploy import provisioning
from deploy.local.embedded import EmbeddedNats
from shared.contract import subjects
from shared.contract.entry import Entry
from shared.eventlog.connection import ConnectionState
from shared.eventlog.errors import Conflict, Unreachable
from shared.eventlog.messages import StoredMessage
from shared.eventlog.provisioning import DeclareError, replay_settings
from shared.eventlog.subscription import Start, Subscription
from shared.service.chat_log import ChatLog
from shared.service.health import Health
from tests import examples
from tests.conftest import Connections

K = 4
#: Four for each of the streams, more or less.
NAMES = [f"{number:032x}" for number in range(16)]
WROTE = examples.TEXT_WRITTEN


@pytest.fixture
async def connections(server: EmbeddedNats) -> AsyncIterator[Connections]:
    connections = Connections(server)
    await provisioning.declare(await connections.client("admin"), max_bytes=1024**3, streams=K)
    yield connections
    await connections.close()


@pytest.fixture
async def writer(connections: Connections) -> ChatLog:
    return await connections.log("proxy")


async def write(writer: ChatLog, id: str, names: list[str] = NAMES) -> dict[str, int]:
    """One entry in each conversation; their positions."""
    entry = Entry(id=id, facts=(WROTE,))
    positions = await asyncio.gather(*(writer.append(name, "visitor", entry) for name in names))
    return dict(zip(names, positions, strict=True))


class FollowedStreams:
    """A subscription from the beginning, and all that it delivered since the last reset."""

    def __init__(self, log: ChatLog, replay_as: str = "") -> None:
        self.messages: list[StoredMessage] = []
        self.resets = 0
        self.certain = [""]
        self.health = Health("test")
        self.log = log
        self.subscription = Subscription(
            log,
            ConnectionState(self.health),
            self.health,
            lambda message: self.messages.append(message),
            self._reset,
            start=Start.BEGINNING,
            replay_as=replay_as,
        )

    def _reset(self) -> None:
        self.messages.clear()
        self.resets += 1
        asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        """Just after the reset: nothing that is folded from here on may be taken for complete."""
        self.certain = [name for name in NAMES if self.subscription.of(name).certain]

    async def complete(self, count: int) -> None:
        """Once ``count`` entries were delivered: all of each stream, in its order, without a gap."""
        async with asyncio.timeout(20):
            while len(self.messages) < count or not self.subscription.certain:
                await asyncio.sleep(0.01)
        for stream, end in enumerate(await self.log.ends()):
            told = [message.sequence for message in self.messages if message.stream == stream]
            assert told == list(range(1, end + 1))


@pytest.fixture
async def followed(connections: Connections) -> AsyncIterator[FollowedStreams]:
    followed = FollowedStreams(await connections.log("analytics"), "analytics")
    await followed.subscription.start()
    yield followed
    await followed.subscription.stop()


async def test_who_reads_and_writes_finds_the_streams_in_the_log(writer: ChatLog) -> None:
    assert writer.layout.names == ("CHAT-0", "CHAT-1", "CHAT-2", "CHAT-3")
    first = await write(writer, "1")
    second = await write(writer, "2")
    assert all(await writer.ends())  # they are in all of them
    for name in NAMES:
        assert [message.sequence for message in await writer.fetch(name)] == [first[name], second[name]]
        assert await writer.last(name) == second[name]
        with pytest.raises(Conflict):
            await writer.append(name, "visitor", Entry(id="3", facts=(WROTE,)), expect=first[name])
    assert await writer.length() == 2 * len(NAMES)


async def test_the_same_entry_again_is_stored_once_in_its_stream(writer: ChatLog) -> None:
    assert await write(writer, "1") == await write(writer, "1")
    assert await writer.length() == len(NAMES)


async def test_the_whole_log_is_read_in_the_order_in_which_it_was_stored(writer: ChatLog) -> None:
    for name in NAMES:
        await write(writer, "1", [name])
    read = [message async for batch in writer.read() for message in batch]
    assert [message.key for message in read] == NAMES
    ends = await writer.ends()
    await write(writer, "2")
    assert [message async for batch in writer.read(ends=ends) for message in batch] == read


async def test_a_subscription_is_complete_and_in_order_in_each_stream(
    writer: ChatLog, followed: FollowedStreams
) -> None:
    for number in range(20):
        await write(writer, str(number))
    await followed.complete(20 * len(NAMES))
    assert followed.subscription.count == 20 * len(NAMES)


async def test_each_stream_is_replayed_by_its_own_consumer(
    connections: Connections, writer: ChatLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.eventlog.follower.MAX_BUFFERED", 10)
    for number in range(40):
        await write(writer, str(number))
    followed = FollowedStreams(await connections.log("analytics"), "analytics")
    await followed.subscription.start()
    await followed.complete(40 * len(NAMES))
    for name in writer.layout.names:
        info = await (await connections.client("admin")).jsm().consumer_info(name, "replay-analytics")
        assert info.delivered is not None
        assert info.delivered.consumer_seq
    await followed.subscription.stop()


async def test_when_one_stream_is_another_all_are_delivered_from_their_beginning(
    connections: Connections, writer: ChatLog, followed: FollowedStreams
) -> None:
    """A reader cannot take back a part of what it counted."""
    await write(writer, "1")
    await followed.complete(len(NAMES))
    admin = await connections.client("admin")
    await admin.jetstream().delete_stream("CHAT-2")
    await provisioning.declare(admin, max_bytes=1024**3)
    async with asyncio.timeout(20):
        while not followed.resets:
            await asyncio.sleep(0.01)
    left = [name for name in NAMES if writer.layout.stream_of(name) != 2]
    await followed.complete(len(left))
    assert sorted(message.key for message in followed.messages) == left
    await write(writer, "2")
    await followed.complete(len(left) + len(NAMES))
    assert followed.resets == 1
    assert followed.certain == []


async def test_a_log_keeps_the_number_of_streams_with_which_it_was_made(
    connections: Connections, writer: ChatLog
) -> None:
    await write(writer, "1")
    admin = await connections.client("admin")
    with pytest.raises(DeclareError, match=r"has 4 stream.*`switchboard reshard --streams 8`"):
        await provisioning.declare(admin, max_bytes=1024**3, streams=8)
    await provisioning.declare(admin, max_bytes=1024**3, streams=4)
    await provisioning.declare(admin, max_bytes=1024**3)
    assert (await connections.log("proxy")).layout == writer.layout
    assert await writer.length() == len(NAMES)


async def test_a_log_that_does_not_say_how_many_streams_it_has_has_one(server: EmbeddedNats) -> None:
    """So it is of a log from before there could be several. Its durables move to where they are now."""
    connections = Connections(server)
    admin = await connections.client("admin")

    async def api(subject: str, body: object) -> None:
        answer = await admin.request(f"$JS.API.{subject}", msgspec.json.encode(body), timeout=10)
        assert "error" not in msgspec.json.decode(answer.data)

    stream = {"name": "CHAT-0", "subjects": ["chat.*.*.*"], "metadata": {"epoch": "of old"}}
    await api("STREAM.CREATE.CHAT-0", {**stream, "allow_direct": True})
    replay = {**replay_settings(0, "operator"), "deliver_subject": "deliver.replay.operator"}
    body = {"stream_name": "CHAT-0", "config": replay}
    await api("CONSUMER.DURABLE.CREATE.CHAT-0.replay-operator", body)
    with pytest.raises(DeclareError, match="has 1 stream"):
        await provisioning.declare(admin, max_bytes=1024**3, streams=2)

    await provisioning.declare(admin, max_bytes=1024**3)

    log = await connections.log("proxy")
    assert (log.layout.streams, (await log.streams[0].tail()).epoch) == (1, "of old")
    info = await admin.jsm().consumer_info("CHAT-0", "replay-operator")
    assert info.config.deliver_subject == "deliver.replay.operator.0"
    await connections.close()


async def test_a_log_with_another_number_of_streams_is_not_followed(
    connections: Connections, followed: FollowedStreams
) -> None:
    """Whoever began before must begin again: it would follow the wrong ones."""
    admin = await connections.client("admin")
    await provisioning.wipe(admin)
    await provisioning.declare(admin, max_bytes=1024**3, streams=2)
    async with asyncio.timeout(20):
        while "2 streams now" not in followed.health.reasons.get("log", ""):
            await asyncio.sleep(0.01)


async def test_a_log_that_was_not_set_up_says_what_to_do(server: EmbeddedNats) -> None:
    connections = Connections(server)
    with pytest.raises(Unreachable, match="switchboard setup"):
        await connections.log("proxy")
    await connections.close()


async def test_the_workflows_durable_is_on_every_stream(connections: Connections) -> None:
    admin: Client = await connections.client("admin")
    for number in range(K):
        info = await admin.jsm().consumer_info(f"CHAT-{number}", subjects.WORKFLOW_DURABLE)
        assert info.config.deliver_subject == "deliver.workflow"
