"""Who joins while others' reading of a long history comes to its end misses nothing that was stored since."""

from __future__ import annotations

import asyncio
import json
import secrets
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest

from services.proxy.admission import Admission
from services.proxy.domain.close_codes import CloseCode
from services.proxy.domain.session import BEGIN
from services.proxy.domain.socketio_chat import Chat
from services.proxy.hub import Hub
from services.proxy.settings import ProxySettings
from services.proxy.transports.resume import ResumeDoor
from services.proxy.transports.socketio_client import Opening, SocketioClient
from services.proxy.transports.websocket import WebSocketDoor
from shared.contract.entry import Entry, RecordedEntry
from shared.contract.facts import BotSaid
from shared.contract.subjects import conversation_of
from shared.eventlog.errors import Unreachable
from shared.service.health import Health
from shared.service.pace import Pace
from tests.conftest import Connections
from tests.contract.test_hub import KeepingReader
from tests.long_histories import write_long
from tests.processes import MASTER_KEY
from tests.visitor import V1

TURNS = 400
SAID = "while the fold was ending"


class HeldReading:
    """The first who works on the last window of the history waits there: that is the shared reading."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, last: int) -> None:
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        through = Pace.through

        async def held(pace: Pace, items: Iterable[Any], work: Callable[[Any], None]) -> AsyncIterator[None]:
            each = list(items)
            newest = each[-1]  # the reading works on what is stored, a client is told what that means
            if isinstance(newest, RecordedEntry) and newest.position == last and not self.reached.is_set():
                self.reached.set()
                await self.go_on.wait()
            async for _ in through(pace, each, work):
                yield

        monkeypatch.setattr(Pace, "through", held)


class ToldClient:
    """What one client is told, whatever its door."""

    def __init__(self) -> None:
        self.said = asyncio.Event()
        self.times = 0

    def hear(self, words: str) -> None:
        if words == SAID:
            self.times += 1
            self.said.set()


class JoiningStage:
    def __init__(self, hub: Hub, settings: ProxySettings) -> None:
        self.hub = hub
        self.settings = settings
        self.health = Health("doors")
        self.edge = Admission(settings, self.health)

    async def websocket(self, secret: str, told: ToldClient, modern: bool) -> None:
        """A socket of the visitor's, until cancelled."""
        door = WebSocketDoor(
            *(self.hub, self.edge, self.settings, self.health),
            ResumeDoor(self.hub, self.edge, self.settings).granted,
        )
        events: list[dict[str, Any]] = [{"type": "websocket.connect"}]

        async def receive() -> dict[str, Any]:
            return events.pop() if events else await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            if "text" in message:
                told.hear(json.loads(message["text"]).get("content", ""))

        scope = {
            "type": "websocket",
            "scheme": "ws",
            "path": "/ws",
            "query_string": b"",
            "headers": [(b"cookie", f"{self.settings.cookie_name}={secret}".encode())],
            "subprotocols": V1 if modern else [],
            "client": ("127.0.0.1", 1),
        }
        await door(scope, receive, send)

    async def chat(self, secret: str, told: ToldClient) -> None:
        """A chat client of the visitor's, until cancelled."""

        class Line:
            async def emit(self, event: str, data: dict[str, Any]) -> None:
                told.hear(data.get("message", ""))

            async def taken(self) -> None: ...

            async def hang_up(self, closing: CloseCode) -> None: ...

        conversation = conversation_of(secret, "socketio")
        opening = Opening(conversation, Chat(secret, self.hub.epoch(conversation), BEGIN, ""), new=False)
        client = SocketioClient(self.hub, self.edge, "socketio", Line(), conversation, [opening])
        client.open()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            client.gone()


@pytest.fixture
async def stage(connections: Connections) -> AsyncIterator[JoiningStage]:
    server = connections.server
    settings = ProxySettings(
        nats_url=server.url(),
        nats_user="proxy",
        nats_password=server.password("proxy"),
        master_key=MASTER_KEY,
    )
    hub = Hub(settings, Health("proxy"))
    await hub.start()
    yield JoiningStage(hub, settings)
    await hub.stop()


@pytest.mark.parametrize("door", ["modern", "bare", "chat"])
async def test_what_was_stored_behind_the_last_window_before_a_client_joined_is_told_once(
    stage: JoiningStage, connections: Connections, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    secret = str(uuid.uuid4()) if door == "chat" else secrets.token_hex(16)
    name = "socketio" if door == "chat" else "websocket"
    conversation = conversation_of(secret, name)
    visitor, bot = await connections.client("proxy"), await connections.client("workflow")
    count = await write_long(visitor, bot, conversation, TURNS, 50, name)
    watcher = KeepingReader()
    held = HeldReading(monkeypatch, count)
    told = ToldClient()
    async with asyncio.timeout(60):
        history = await _joined(stage.hub, conversation, watcher)
        reading = asyncio.create_task(history.past())
        await held.reached.wait()
        log = await connections.log("workflow")
        await log.append(conversation, "bot", Entry(id="late", facts=(BotSaid(text=SAID),)))
        assert _words(await watcher.heard.get()) == SAID  # the live feed is past it
        client = asyncio.create_task(
            stage.chat(secret, told)
            if door == "chat"
            else stage.websocket(secret, told, modern=door == "modern")
        )
        while stage.hub.readers(conversation) < 2:
            await asyncio.sleep(0.005)
        for _ in range(20):  # let it come to share the reading
            await asyncio.sleep(0)
        held.go_on.set()
        assert (await reading).state.position == count
        await told.said.wait()
    client.cancel()
    await asyncio.gather(client, return_exceptions=True)
    assert told.times == 1


async def _joined(hub: Hub, conversation: str, reader: KeepingReader) -> Any:
    while True:
        try:
            return await hub.join(conversation, reader, new=False)
        except Unreachable:  # not connected yet
            await asyncio.sleep(0.05)


def _words(recorded: RecordedEntry) -> str:
    (fact,) = recorded.facts
    assert isinstance(fact, BotSaid)
    return fact.text
