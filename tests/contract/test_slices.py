"""A long conversation is shown piece by piece, at every place that shows all of it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import httpx
import pytest

from services.operator.desk import Desk
from services.operator.domain.decisions import Operator
from services.operator.handlers import Handlers
from services.operator.transports import http
from services.proxy.app import Proxy
from services.proxy.settings import ProxySettings
from shared.contract.desk_settings import NO_SETTINGS
from shared.contract.subjects import conversation_of
from shared.eventlog.connection import ConnectionState
from shared.eventlog.subscription import Start, Subscription
from shared.service.health import Health
from shared.service.live_entries import LiveEntries
from shared.service.pace import Pace
from tests.conftest import Connections
from tests.long_histories import write_long
from tests.processes import MASTER_KEY

TURNS = 600
TEXTS = 2 * TURNS + 1  # the bot's answer to the start, too


class Pieces:
    """What was done in turns with everybody else's work: so many calls of each kind."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.items: dict[str, int] = {}
        through = Pace.through

        async def counted(
            pace: Pace, items: Iterable[Any], work: Callable[[Any], Any]
        ) -> AsyncIterator[None]:
            def one(item: Any) -> None:
                work(item)
                name = type(item).__name__
                self.items[name] = self.items.get(name, 0) + 1

            async for _ in through(pace, items, one):
                yield

        monkeypatch.setattr(Pace, "through", counted)


async def test_a_session_of_rest_is_read_and_shown_in_pieces(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = str(uuid.uuid4())
    conversation = conversation_of(session, "rest")
    visitor, bot = await connections.client("proxy"), await connections.client("workflow")
    entries = await write_long(visitor, bot, conversation, TURNS, 50, "rest")
    server = connections.server
    settings = ProxySettings(
        nats_url=server.url(),
        nats_user="proxy",
        nats_password=server.password("proxy"),
        master_key=MASTER_KEY,
    )
    proxy = Proxy(settings, Health("proxy"))
    pieces = Pieces(monkeypatch)
    await proxy.start()
    try:
        transport = httpx.ASGITransport(proxy)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://proxy") as client:
            async with asyncio.timeout(60):
                while (answer := await client.get(f"/sessions/{session}")).status_code == 503:
                    await asyncio.sleep(0.02)
        shown = answer.json()["session"]["messages"]
    finally:
        await proxy.stop()
    assert pieces.items == {"RecordedEntry": entries, "TurnMessage": len(shown)}


async def test_the_console_reads_and_shows_a_conversation_in_pieces(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = conversation_of("a visitor", "websocket")
    visitor, bot = await connections.client("proxy"), await connections.client("workflow")
    entries = await write_long(visitor, bot, conversation, TURNS, 50)
    health, desk = Health("operator"), Desk()
    log = await connections.log("operator")
    feed = LiveEntries(log, lambda _, recorded: [desk.apply(recorded)].clear())
    subscription = Subscription(
        log,
        ConnectionState(health),
        health,
        feed.take,
        desk.clear,
        start=Start.BEGINNING,
    )
    await subscription.start()
    handlers = Handlers(desk, log, subscription, feed, None)  # type: ignore[arg-type]
    pieces = Pieces(monkeypatch)
    asked = 0

    async def still() -> None:
        nonlocal asked
        asked += 1

    try:
        detail = await http.conversation.fn(
            conversation, Operator("sam", "Sam"), handlers, still, NO_SETTINGS
        )
    finally:
        await subscription.stop()
    assert len(detail.messages) == TEXTS
    assert pieces.items == {"RecordedEntry": entries, "TranscriptEntry": TEXTS}
    assert asked == 1  # a right may end while it is read
