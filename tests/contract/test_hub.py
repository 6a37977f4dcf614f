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
from services.proxy.settings import ProxySettings
from shared.contract.entry import Entry, Recorded
from shared.runtime.log import Unreachable
from shared.runtime.vitals import Vitals
from tests import examples
from tests.conftest import Connections

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
