"""The proxy's side of the log: whoever joins misses nothing."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.proxy.domain.drafts import Draft
from services.proxy.history import History
from services.proxy.hub import Hub
from services.proxy.mailbox import MOST_EARLY, Inbox
from services.proxy.settings import ProxySettings
from shared.contract.entry import Entry, Recorded
from shared.runtime.log import Log, Message, Unreachable
from shared.runtime.vitals import Vitals
from tests import examples
from tests.conftest import Connections
from tests.long_histories import write_long

C = examples.CONVERSATION


class Reader:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Recorded] = asyncio.Queue()
        self.is_stale = False

    def offer(self, recorded: Recorded) -> None:
        self.heard.put_nowait(recorded)

    def typing(self) -> None: ...

    def draft(self, draft: Draft) -> None: ...

    def stale(self) -> None:
        self.is_stale = True


@pytest.fixture
async def hub(connections: Connections) -> AsyncIterator[Hub]:
    server = connections.server
    settings = ProxySettings(nats_url=server.url(), nats_user="proxy", nats_password=server.password("proxy"))
    hub = Hub(settings, Vitals("proxy"))
    await hub.start()
    async with asyncio.timeout(30):
        while not hub.serving:
            await asyncio.sleep(0.01)
    yield hub
    await hub.stop()


def said(n: int) -> Entry:
    return Entry(id=str(n), facts=(examples.TEXT_WRITTEN,))


async def joined(hub: Hub, reader: Reader, new: bool) -> History:
    """Try until the log is known, as clients do."""
    while True:
        try:
            return await hub.join(C, reader, new)
        except Unreachable:
            await asyncio.sleep(0.05)


async def test_who_joins_while_the_store_is_put_back_hears_what_comes_then(
    hub: Hub, connections: Connections, tmp_path: Path
) -> None:
    """The newcomer is no reader of the old log: it is told of every entry, and not that it is stale."""
    server = connections.server
    bot = await connections.log("workflow")
    await asyncio.to_thread(server.stop)
    shutil.copytree(server.folder / "nats", tmp_path / "copy")
    await asyncio.to_thread(server.start)
    old, newcomer = Reader(), Reader()
    assert (await joined(hub, old, new=True)).whole == []
    for n in range(3):
        await hub.append(C, said(n), None)
        assert (await old.heard.get()).position == n + 1
    await asyncio.to_thread(server.stop)
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
    batch = Log.batch

    async def counted(
        log: Log, start: int, subject: str, most: int, most_bytes: int
    ) -> tuple[list[Message], bool]:
        nonlocal read
        messages, more = await batch(log, start, subject, most, most_bytes)
        read += len(messages)
        return messages, more

    monkeypatch.setattr(Log, "batch", counted)

    async def told() -> list[int]:
        history = await hub.join(C, Reader(), new=False)
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
        history = await hub.join(C, Reader(), new=False)
        return (await history.past()).state.position

    for _ in range(5):
        readers = [asyncio.create_task(told()) for _ in range(5)]
        await asyncio.sleep(0.02)
        for reader in readers:
            reader.cancel()
        late = asyncio.create_task(told())
        await asyncio.wait(readers)
        assert await late == count


async def test_more_than_is_kept_for_a_reader_is_read_from_the_log(
    hub: Hub, connections: Connections
) -> None:
    """It hears of more while it is told the history than an inbox holds, and while it reads on again."""
    inbox: Inbox[str] = Inbox()
    reader = Reader()
    reader.offer = inbox.offer  # type: ignore[method-assign]
    await hub.register(C, reader)
    positions: list[int] = []

    async def write(count: int, name: str) -> None:
        for n in range(count):
            await hub.append(C, Entry(id=f"{name}{n}", facts=(examples.TEXT_WRITTEN,)), None)

    await write(MOST_EARLY + 100, "before")
    assert inbox.behind
    more = asyncio.create_task(write(MOST_EARLY + 200, "meanwhile"))
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
    reader.offer = lambda recorded: positions.append(recorded.position)  # type: ignore[method-assign]
    await more
    async with asyncio.timeout(20):
        while len(positions) < 2 * MOST_EARLY + 300:
            await asyncio.sleep(0.01)
    assert positions == list(range(1, 2 * MOST_EARLY + 301))
