"""The log against the real server: append, conflicts, duplicates, unknown outcomes, fetch, flows, declare."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec
import pytest

from deploy.local.embedded import EmbeddedNats
from deploy.provisioning import new_epoch, wipe
from shared.contract.codec import entry_of
from shared.contract.entry import Entry, EntryTooLarge
from shared.contract.facts import BotSaid
from shared.eventlog.connection import ConnectionState
from shared.eventlog.errors import Conflict, Full, IdReused, Unknown, Unreachable
from shared.eventlog.layout import replay_delivery
from shared.eventlog.live_connection import LiveConnection
from shared.eventlog.messages import StoredMessage
from shared.eventlog.provisioning import DeclareError
from shared.eventlog.request_multiplexer import Push, Reply
from shared.eventlog.stream import MAX_IN_FLIGHT, Stream, Tail
from shared.eventlog.subscription import Subscription
from shared.eventlog.windows import WINDOW, WINDOW_BYTES
from shared.service.chat_log import flow_store, open_log
from shared.service.health import Health
from shared.shards import shard_of
from tests import examples
from tests.conftest import Connections, connected, declare, stream_name
from tests.replica import history

C = examples.CONVERSATION
OTHER = examples.OTHER_CONVERSATION
STARTED = Entry(id="a", facts=(examples.CONVERSATION_STARTED,))
WROTE = Entry(id="b", facts=(examples.TEXT_WRITTEN,))


async def test_what_is_appended_is_fetched_in_order_and_apart_from_others(connections: Connections) -> None:
    log = await connections.log("proxy")
    positions = [await log.append(C, "visitor", entry) for entry in (STARTED, WROTE)]
    await log.append(OTHER, "visitor", STARTED)
    fetched = await log.fetch(C)
    assert [message.sequence for message in fetched] == positions == [1, 2]
    assert [entry.facts for entry in await history(log, C)] == [STARTED.facts, WROTE.facts]
    assert [message.sequence for message in await log.fetch(C, after=1)] == [2]
    assert await log.fetch("0" * 32) == []
    assert await log.last(C) == 2
    assert await log.last("0" * 32) == 0


async def test_a_repeat_of_an_id_is_stored_once_and_other_content_is_refused(
    connections: Connections,
) -> None:
    log = await connections.log("proxy")
    first = await log.append(C, "visitor", STARTED)
    assert await log.append(C, "visitor", STARTED) == first
    with pytest.raises(IdReused):
        await log.append(C, "visitor", Entry(id="a", facts=(examples.TEXT_WRITTEN,)))
    assert len(await log.fetch(C)) == 1


async def test_the_same_id_of_two_visitors_is_two_messages(connections: Connections) -> None:
    log = await connections.log("proxy")
    await log.append(C, "visitor", STARTED)
    await log.append(OTHER, "visitor", STARTED)
    assert await log.length() == 2


async def test_of_appends_with_the_same_expectation_one_wins(connections: Connections) -> None:
    log = await connections.log("proxy")
    await log.append(C, "visitor", STARTED)
    racing = [Entry(id=str(n), facts=(examples.TEXT_WRITTEN,)) for n in range(20)]
    results = await asyncio.gather(
        *(log.append(C, "visitor", entry, expect=1) for entry in racing), return_exceptions=True
    )
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 19
    # An expectation guards all authors of the conversation, and no other conversation.
    bot = await connections.log("workflow")
    with pytest.raises(Conflict):
        await bot.append(C, "bot", Entry(id="1", cause=1, facts=()), expect=1)
    await log.append(OTHER, "visitor", STARTED, expect=0)


async def test_an_entry_that_is_too_large_is_never_sent(connections: Connections) -> None:
    log = await connections.log("workflow")
    with pytest.raises(EntryTooLarge):
        await log.append(C, "bot", Entry(id="1", facts=(BotSaid(text="x" * 600_000),)))
    assert await log.length() == 0


async def test_no_answer_means_unknown_and_the_same_id_may_be_sent_again(connections: Connections) -> None:
    """A paused server may well store what timed out."""
    log = await connections.log("proxy")
    await log.append(C, "visitor", STARTED)
    server = connections.server.process
    assert server is not None
    server.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(Unknown):
            await log.append(C, "visitor", WROTE, deadline=0.3)
        with pytest.raises(Unreachable):
            await log.length(timeout=0.2)
    finally:
        server.send_signal(signal.SIGCONT)
    position = await log.append(C, "visitor", WROTE)
    assert [message.sequence for message in await log.fetch(C)] == [1, position]


async def test_a_server_that_stands_still_for_a_moment_does_not_keep_the_log_shut(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await connections.client("proxy")
    server = connections.server.process
    assert server is not None
    asked: list[str] = []
    tail = Stream.tail

    async def hurried(stream: Stream) -> Tail:
        """Waits for less time, and the server goes on once it was asked in vain."""
        asked.append(stream.name)
        if len(asked) == 2:
            server.send_signal(signal.SIGCONT)
        return await tail(stream, timeout=0.2 if len(asked) == 1 else 20)

    monkeypatch.setattr(Stream, "tail", hurried)
    server.send_signal(signal.SIGSTOP)
    try:
        while " T " not in Path(f"/proc/{server.pid}/stat").read_text():
            await asyncio.sleep(0)
        log = await open_log(client)
    finally:
        server.send_signal(signal.SIGCONT)
    assert (len(asked), len(log.streams)) == (2, log.layout.streams)


async def test_a_log_that_was_never_declared_is_said_at_once(connections: Connections) -> None:
    client = await connections.client("admin")
    await wipe(client)
    with pytest.raises(Unreachable, match="switchboard setup"):
        await open_log(client)


async def test_a_log_that_is_not_there_means_unknown(connections: Connections) -> None:
    """So it is while a cluster elects a leader. The server's answer is no PubAck, and repeats our headers."""
    log = await connections.log("proxy")
    admin = await connections.client("admin")
    await admin.jetstream().delete_stream(stream_name())
    try:
        with pytest.raises(Unknown):
            await log.append(C, "visitor", STARTED, deadline=0.3)
    finally:
        await declare(admin)
    assert await log.append(C, "visitor", STARTED) == 1


class Swallowing:
    """A line that takes every request and brings no answer."""

    def __init__(self) -> None:
        self.on_reply: Callable[[str, Reply], None] = lambda subject, reply: None
        self.on_break: Callable[[], None] = lambda: None
        self.taken = 0

    def request(self, subject: str, name: str, data: bytes, headers: Mapping[str, str]) -> bool:
        self.taken += 1
        return True

    def hearing(self, subject: str, push: Push) -> AbstractAsyncContextManager[None]:
        return contextlib.nullcontext()


async def test_an_append_that_the_quicker_line_swallows_goes_the_clients_way(
    connections: Connections,
) -> None:
    log = await connections.log("proxy")
    await log.append(C, "visitor", STARTED)
    line = Swallowing()
    log.goes_over(line)
    assert await log.append(C, "visitor", WROTE, expect=1) == 2
    assert line.taken == 1


async def test_a_read_that_fails_in_an_unforeseen_way_lets_nobody_wait(connections: Connections) -> None:
    class Broken(Stream):
        async def at(self, sequence: int) -> StoredMessage | None:
            raise RuntimeError("the transport is closed")

    log = await connections.log("proxy", Broken)
    await log.append(C, "visitor", STARTED)
    with pytest.raises(RuntimeError, match="transport"):
        async with asyncio.timeout(10):
            await log.append(C, "visitor", STARTED)  # to compare the two takes a read


async def room() -> None:
    """There always is."""


async def test_a_replay_whose_connection_is_lost_says_so(connections: Connections) -> None:
    lost = asyncio.Event()
    log = await connections.log("operator")
    feed = LiveConnection(log.client, {}, lost.set, lambda: None)
    log.goes_over(feed)
    await feed.start()
    async with feed.hearing(replay_delivery(0, "operator"), lambda subject, answer, data: None):
        await asyncio.to_thread(connections.server.kill)
        await lost.wait()
    with pytest.raises(Unreachable, match="replay"):
        await log.streams[0].replay("operator", 1, lambda message: True, room)
    await asyncio.to_thread(connections.server.start)
    await feed.stop()


async def test_an_append_waits_for_a_server_that_restarts(connections: Connections) -> None:
    log = await connections.log("proxy")
    await log.append(C, "visitor", STARTED)
    await asyncio.to_thread(connections.server.kill)
    append = log.append(C, "visitor", WROTE)
    await asyncio.to_thread(connections.server.start)
    assert await append == 2


async def test_a_full_log_says_so(server: EmbeddedNats) -> None:
    admin = await connected(server, "admin")
    await declare(admin, max_bytes=64 * 1024)
    await admin.close()
    connections = Connections(server)
    log = await connections.log("proxy")
    text = examples.TEXT_WRITTEN.__class__(session="s", text="x" * 8000)
    with pytest.raises(Full):
        for n in range(20):
            await log.append(C, "visitor", Entry(id=str(n), facts=(text,)))
    await connections.close()


async def test_flows_are_kept_by_hash_for_ever(connections: Connections) -> None:
    log = await connections.log("workflow")
    assert await flow_store(log).get("0123") is None
    await flow_store(log).put("0123", b"{}")
    await flow_store(log).put("0123", b"{}")
    assert await flow_store(await connections.log("operator")).get("0123") == b"{}"


async def test_declare_is_idempotent_and_keeps_the_epoch(connections: Connections) -> None:
    log = await connections.log("reader")
    epoch = (await log.stream_of(C).tail()).epoch
    assert len(epoch) == 16
    admin = await connections.client("admin")
    await declare(admin, max_bytes=1024**3)
    await declare(admin, max_bytes=2 * 1024**3)
    assert (await log.stream_of(C).tail()).epoch == epoch
    await new_epoch(admin)
    assert (await log.stream_of(C).tail()).epoch != epoch
    await declare(admin, max_bytes=2 * 1024**3)
    assert (await log.stream_of(C).tail()).epoch != epoch


async def test_declare_mends_a_durable_and_says_why_a_stream_cannot_be(
    connections: Connections,
) -> None:
    admin = await connections.client("admin")
    consumer = {"durable_name": "workflow", "ack_policy": "explicit", "ack_wait": 77_000_000_000}
    config = {**consumer, "deliver_subject": "deliver.workflow.0", "deliver_group": "workflow"}
    body = msgspec.json.encode({"stream_name": "CHAT-0", "config": config})
    await admin.request("$JS.API.CONSUMER.DURABLE.CREATE.CHAT-0.workflow", body)
    await declare(admin, max_bytes=1024**3)
    info = await admin.jsm().consumer_info("CHAT-0", "workflow")
    assert info.config.ack_wait == 5
    await wipe(admin)
    foreign = {"name": "FOREIGN", "subjects": ["chat.>"]}
    await admin.request("$JS.API.STREAM.CREATE.FOREIGN", msgspec.json.encode(foreign))
    with pytest.raises(DeclareError, match=r"CHAT-0.*overlap"):
        await declare(admin, max_bytes=1024**3)


async def test_wipe_removes_everything_and_a_new_declaration_has_a_new_epoch(
    connections: Connections,
) -> None:
    log = await connections.log("proxy")
    await log.append(C, "visitor", STARTED)
    epoch = (await log.stream_of(C).tail()).epoch
    admin = await connections.client("admin")
    assert "CHAT-0" in await wipe(admin)
    assert await wipe(admin) == []
    with pytest.raises(Unreachable, match="switchboard setup"):
        await log.stream_of(C).tail()
    await declare(admin, max_bytes=1024**3)
    assert (await log.stream_of(C).tail()).epoch != epoch


def test_a_conversations_shard_never_changes() -> None:
    """Known values of FNV-1a (32 bits) modulo 256: a change would lose every conversation."""
    assert [shard_of(name) for name in ("", "a", "foobar")] == [0xC5, 0x2C, 0x68]


async def test_a_long_conversation_comes_in_windows_that_are_bounded_and_complete(
    connections: Connections,
) -> None:
    log = await connections.log("workflow")
    entries = [Entry(id=str(n), facts=(BotSaid(text="x" * 20_000),)) for n in range(60)]
    for entry in entries:
        await log.append(C, "bot", entry)
        await log.append(OTHER, "bot", entry)
    windows = [window async for window in log.windows(C)]
    assert [entry_of(message).id for window in windows for message in window] == [str(n) for n in range(60)]
    # The message with which the bound is reached is the last.
    assert all(sum(len(message.data) for message in window[:-1]) < WINDOW_BYTES for window in windows)
    assert len(windows) >= 60 * 20_000 // WINDOW_BYTES
    whole = await log.fetch(C, after=windows[0][-1].sequence)
    assert [message.sequence for message in whole] == [m.sequence for window in windows[1:] for m in window]


class AskedStream:
    """What a stream is asked for: how many entries at most, and how many came."""

    def __init__(self, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[tuple[int, int]] = []
        self.lasts = 0
        batch, last = stream.batch, stream.last

        async def counted_batch(
            start: int, subject: str, most: int, most_bytes: int
        ) -> tuple[list[StoredMessage], int]:
            messages, left = await batch(start, subject, most, most_bytes)
            self.batches.append((most, len(messages)))
            return messages, left

        async def counted_last(subject: str) -> int:
            self.lasts += 1
            return await last(subject)

        monkeypatch.setattr(stream, "batch", counted_batch)
        monkeypatch.setattr(stream, "last", counted_last)


async def test_an_old_conversation_is_read_without_a_look_at_what_came_after_it(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for one entry more than there is, the server looks through all that others stored since."""
    log = await connections.log("workflow")
    for n in range(WINDOW + 50):
        await log.append(C, "bot", Entry(id=str(n), facts=(examples.BOT_SAID,)))
    await log.append(OTHER, "bot", Entry(id="since", facts=(examples.BOT_SAID,)))
    asked = AskedStream(log.stream_of(C), monkeypatch)

    whole = await log.fetch(C)
    assert len(whole) == WINDOW + 50
    assert asked.batches == [(1, 1), (WINDOW - 1, WINDOW - 1), (50, 50)]

    asked.batches.clear()
    assert await log.fetch(C, after=whole[-1].sequence) == []
    assert (asked.batches, asked.lasts) == ([], 1)
    assert await log.fetch(C, after=whole[-4].sequence) == whole[-3:]
    assert (asked.batches, asked.lasts) == ([(1, 1), (2, 2)], 2)


async def test_what_is_stored_while_a_conversation_is_read_is_read_too(connections: Connections) -> None:
    log = await connections.log("workflow")
    for n in range(WINDOW + 1):
        await log.append(C, "bot", Entry(id=str(n), facts=(examples.BOT_SAID,)))
    windows = log.windows(C)
    read = await windows.next()
    await log.append(C, "bot", Entry(id="meanwhile", facts=(examples.BOT_SAID,)))
    while not windows.over:
        read += await windows.next()
    assert entry_of(read[-1]).id == "meanwhile"
    assert len(read) == WINDOW + 2


async def test_near_the_end_of_the_stream_one_question_is_enough(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await connections.log("workflow")
    health = Health("test")
    subscription = Subscription(log, ConnectionState(health), health, lambda message: None, lambda: None)
    await subscription.start()
    first = await log.append(C, "bot", Entry(id="1", facts=(examples.BOT_SAID,)))
    last = await log.append(C, "bot", Entry(id="2", facts=(examples.BOT_SAID,)))
    await subscription.of(C).reached(last)
    asked = AskedStream(log.stream_of(C), monkeypatch)
    assert [message.sequence for message in await log.fetch(C, after=first)] == [last]
    assert (asked.batches, asked.lasts) == ([(WINDOW, 1)], 0)
    monkeypatch.setattr("shared.eventlog.windows.NEAR", 1)
    assert [message.sequence for message in await log.fetch(C, after=first)] == [last]
    assert (asked.batches[1:], asked.lasts) == ([(1, 1)], 1)
    await subscription.stop()


async def test_a_message_larger_than_a_window_comes_alone(connections: Connections) -> None:
    log = await connections.log("workflow")
    for n in range(3):
        await log.append(C, "bot", Entry(id=str(n), facts=(BotSaid(text="x" * 400_000),)))
    assert [len(window) async for window in log.windows(C)] == [1, 1, 1]


async def test_never_more_is_on_its_way_than_is_allowed_and_nothing_stays_taken(
    connections: Connections,
) -> None:
    """However many read at once, and whoever of them gives up in the middle."""
    log = await connections.log("workflow")
    for n in range(40):
        await log.append(C, "bot", Entry(id=str(n), facts=(BotSaid(text="x" * 20_000),)))
    least = MAX_IN_FLIGHT
    stream = log.stream_of(C)
    reading = stream.batch

    async def watched(
        start: int, subject: str, most: int, most_bytes: int
    ) -> tuple[list[StoredMessage], int]:
        nonlocal least
        try:
            return await reading(start, subject, most, most_bytes)
        finally:
            least = min(least, log.unused)

    stream.batch = watched  # type: ignore[method-assign,assignment]
    readers = [asyncio.create_task(log.fetch(C)) for _ in range(100)]
    await asyncio.sleep(0.02)
    for reader in readers[::3]:
        reader.cancel()
    read = await asyncio.gather(*readers, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) or len(each) == 40 for each in read)  # type: ignore[arg-type]
    assert sum(not isinstance(each, BaseException) for each in read) == 66
    assert 0 <= least < MAX_IN_FLIGHT  # they did wait for one another
    async with asyncio.timeout(10):
        while log.unused < MAX_IN_FLIGHT:  # what was given up is on its way still
            await asyncio.sleep(0.01)


async def test_what_was_given_up_counts_until_it_is_here(connections: Connections) -> None:
    """Else one that asks and gives up, again and again, has any amount on its way."""
    log = await connections.log("workflow")
    await log.append(C, "bot", Entry(id="1", facts=(BotSaid(text="x"),)))
    assert len(await log.fetch(C)) == 1
    server = connections.server.process
    assert server is not None
    server.send_signal(signal.SIGSTOP)
    try:
        readers = [asyncio.create_task(log.fetch(C)) for _ in range(5)]
        async with asyncio.timeout(10):
            while log.unused > MAX_IN_FLIGHT - 5 * WINDOW_BYTES:
                await asyncio.sleep(0)
        for _ in range(10):  # now they have asked, too
            await asyncio.sleep(0)
        for reader in readers:
            reader.cancel()
        await asyncio.wait(readers)
        assert log.unused == MAX_IN_FLIGHT - 5 * WINDOW_BYTES
    finally:
        server.send_signal(signal.SIGCONT)
    async with asyncio.timeout(10):
        while log.unused < MAX_IN_FLIGHT:
            await asyncio.sleep(0.01)
