"""The proxy's side of the log: whoever joins misses nothing."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.proxy.door_queues import MAX_EARLY, ClientInbox
from services.proxy.history import History
from services.proxy.hub import Hub
from services.proxy.settings import ProxySettings
from shared.contract import entry, subjects
from shared.contract.drafts import DraftPiece
from shared.contract.entry import Entry, RecordedEntry
from shared.eventlog.errors import Unreachable
from shared.eventlog.messages import StoredMessage
from shared.eventlog.stream import Stream
from shared.service.health import Health
from tests import examples
from tests.conftest import Connections
from tests.long_histories import write_long
from tests.processes import MASTER_KEY

C = examples.CONVERSATION


class KeepingReader:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[RecordedEntry] = asyncio.Queue()
        self.is_stale = False
        self.is_lost = False

    def on_entry(self, recorded: RecordedEntry) -> None:
        self.heard.put_nowait(recorded)

    def typing(self) -> None: ...

    def draft(self, draft: DraftPiece) -> None: ...

    def on_reset(self) -> None:
        self.is_stale = True

    def lost(self) -> None:
        self.is_lost = True


class Faulty(KeepingReader):
    """Can bear nothing."""

    def on_entry(self, recorded: RecordedEntry) -> None:
        raise ValueError("a fault of the test")

    def typing(self) -> None:
        raise ValueError("a fault of the test")

    def on_reset(self) -> None:
        raise ValueError("a fault of the test")


@pytest.fixture
def health() -> Health:
    return Health("proxy")


@pytest.fixture
async def hub(connections: Connections, health: Health) -> AsyncIterator[Hub]:
    server = connections.server
    settings = ProxySettings(
        nats_url=server.url(),
        nats_user="proxy",
        nats_password=server.password("proxy"),
        master_key=MASTER_KEY,
    )
    hub = Hub(settings, health)
    await hub.start()
    async with asyncio.timeout(30):
        while not hub.serving:
            await asyncio.sleep(0.01)
    yield hub
    await hub.stop()


def said(n: int) -> Entry:
    return Entry(id=str(n), facts=(examples.TEXT_WRITTEN,))


async def joined(hub: Hub, reader: KeepingReader, new: bool) -> History:
    """Try until the log is known, as clients do."""
    while True:
        try:
            return await hub.join(C, reader, new)
        except Unreachable:
            await asyncio.sleep(0.05)


async def test_who_joins_while_the_store_is_put_back_hears_what_comes_then(
    hub: Hub, connections: Connections, health: Health, tmp_path: Path
) -> None:
    """The newcomer is no reader of the old log: it is told of every entry, and not that it is stale."""
    server = connections.server
    bot = await connections.log("workflow")
    await asyncio.to_thread(server.stop)
    shutil.copytree(server.folder / "nats", tmp_path / "copy")
    await asyncio.to_thread(server.start)
    old, newcomer = KeepingReader(), KeepingReader()
    assert (await joined(hub, old, new=True)).whole == []
    for n in range(3):
        await hub.append(C, said(n), None)
        assert (await old.heard.get()).position == n + 1
    await asyncio.to_thread(server.stop)
    async with asyncio.timeout(30):  # before that it would still be a reader of the old log
        while "nats" not in health.reasons:
            await asyncio.sleep(0)
    joining = asyncio.create_task(joined(hub, newcomer, new=True))
    shutil.rmtree(server.folder / "nats")
    shutil.copytree(tmp_path / "copy", server.folder / "nats")
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(30):
        await joining
        assert old.is_stale
        assert await bot.append(C, "bot", Entry(id="1", facts=(examples.BOT_SAID,))) == 1
        assert (await newcomer.heard.get()).position == 1
    assert not newcomer.is_stale


async def test_a_long_history_is_read_once_for_all_who_come_together(
    hub: Hub, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor, bot = await connections.client("proxy"), await connections.client("workflow")
    count = await write_long(visitor, bot, C, 1_000, 50)
    read = 0
    batch = Stream.batch

    async def counted(
        stream: Stream, start: int, subject: str, most: int, most_bytes: int
    ) -> tuple[list[StoredMessage], int]:
        nonlocal read
        messages, more = await batch(stream, start, subject, most, most_bytes)
        read += len(messages)
        return messages, more

    monkeypatch.setattr(Stream, "batch", counted)

    async def told() -> list[int]:
        history = await hub.join(C, KeepingReader(), new=False)
        assert history.whole is None
        positions: list[int] = []
        past = await history.past()
        async for window in history.windows():
            async for _ in hub.pace.through(window, lambda entry: positions.append(entry.position)):
                pass
        assert past.state.position == positions[-1]
        return positions

    everybody = await asyncio.gather(*(told() for _ in range(20)))
    assert all(positions == list(range(1, count + 1)) for positions in everybody)
    # Once for the fold and once to tell it; somewhat more where one falls behind the others.
    assert read < 4 * count
    assert await told() == everybody[0]


async def test_who_comes_when_all_the_others_have_given_up_is_told_all_the_same(
    hub: Hub, connections: Connections
) -> None:
    visitor, bot = await connections.client("proxy"), await connections.client("workflow")
    count = await write_long(visitor, bot, C, 1_000, 50)

    async def told() -> int:
        history = await hub.join(C, KeepingReader(), new=False)
        return (await history.past()).state.position

    for _ in range(5):
        readers = [asyncio.create_task(told()) for _ in range(5)]
        await asyncio.sleep(0.02)
        for reader in readers:
            reader.cancel()
        late = asyncio.create_task(told())
        await asyncio.wait(readers)
        assert await late == count


async def test_who_was_handed_a_reading_that_the_others_then_give_up_is_told_all_the_same(
    hub: Hub, connections: Connections
) -> None:
    """It has come, and has not asked yet, when the last one who waits goes; then others come."""
    visitor, bot = await connections.client("proxy"), await connections.client("workflow")
    count = await write_long(visitor, bot, C, 1_000, 50)
    for moments in range(4):
        others = [
            asyncio.create_task((await hub.join(C, KeepingReader(), new=False)).past()) for _ in range(3)
        ]
        handed = await hub.join(C, KeepingReader(), new=False)
        await asyncio.sleep(0)
        for other in others:
            other.cancel()
        for _ in range(moments):
            await asyncio.sleep(0)
        told = asyncio.create_task(handed.past())
        late = asyncio.create_task((await hub.join(C, KeepingReader(), new=False)).past())
        async with asyncio.timeout(30):
            assert [past.state.position for past in await asyncio.gather(told, late)] == [count, count]
            assert [len(window) > 0 async for window in handed.windows()]


async def test_more_than_is_kept_for_a_reader_is_read_from_the_log(
    hub: Hub, connections: Connections
) -> None:
    """It hears of more while it is told the history than an inbox holds, and while it reads on again."""
    inbox: ClientInbox[str] = ClientInbox()
    reader = KeepingReader()
    reader.on_entry = inbox.on_entry  # type: ignore[method-assign]
    await hub.register(C, reader)
    positions: list[int] = []

    async def write(count: int, name: str) -> None:
        for n in range(count):
            await hub.append(C, Entry(id=f"{name}{n}", facts=(examples.TEXT_WRITTEN,)), None)

    await write(MAX_EARLY + 100, "before")
    assert inbox.behind
    more = asyncio.create_task(write(MAX_EARLY + 200, "meanwhile"))
    await inbox.catch_up(
        hub,
        C,
        lambda: positions[-1] if positions else 0,
        lambda recorded: (
            positions.append(recorded.position)
            if not positions or recorded.position > positions[-1]
            else None
        ),
    )
    reader.on_entry = lambda recorded: positions.append(recorded.position)  # type: ignore[method-assign]
    await more
    async with asyncio.timeout(20):
        while len(positions) < 2 * MAX_EARLY + 300:
            await asyncio.sleep(0.01)
    assert positions == list(range(1, 2 * MAX_EARLY + 301))


async def test_a_reader_that_fails_is_told_to_begin_again_and_the_others_miss_nothing(hub: Hub) -> None:
    readers = [KeepingReader(), Faulty(), KeepingReader(), Faulty(), KeepingReader()]
    for reader in readers:
        await joined(hub, reader, new=True)
    for n in range(2):
        position = await hub.append(C, said(n), None)
        for reader in readers[::2]:
            assert (await asyncio.wait_for(reader.heard.get(), 10)).position == position
    assert [reader.is_lost for reader in readers] == [False, True, False, True, False]


async def test_an_entry_that_cannot_be_read_loses_its_readers_alone(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = KeepingReader(), KeepingReader()
    await joined(hub, mine, new=True)
    await hub.join("0" * 32, other, new=True)
    decode = entry.decode

    def unreadable(position: int, conversation: str, *rest: Any) -> RecordedEntry:
        if conversation == C:
            raise ValueError("a fault of the test")
        return decode(position, conversation, *rest)

    monkeypatch.setattr(entry, "decode", unreadable)
    await hub.append(C, said(1), None)
    await hub.append("0" * 32, said(1), None)
    await asyncio.wait_for(other.heard.get(), 10)
    assert (mine.is_lost, other.is_lost) == (True, False)


async def test_one_that_cannot_show_who_is_typing_keeps_it_from_nobody(
    hub: Hub, connections: Connections
) -> None:
    typed = asyncio.Event()

    class Shows(KeepingReader):
        def typing(self) -> None:
            typed.set()

    faulty, other = Faulty(), Shows()
    for reader in (faulty, other):
        await joined(hub, reader, new=True)
    operator = await connections.client("operator")
    await operator.publish(subjects.typing(C, "operator"), b"{}")
    await asyncio.wait_for(typed.wait(), 10)
    assert faulty.is_lost
