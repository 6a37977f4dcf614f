"""Fixtures: a real nats-server for each test that asks for one (it starts in about 20 ms)."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from nats.aio.client import Client

from deploy import provisioning
from deploy.local.embedded import EmbeddedNats
from shared.eventlog.connection import ConnectionState, inbox_prefix
from shared.eventlog.log import MakeStream
from shared.eventlog.master_keys import MasterKeys
from shared.eventlog.stream import Stream
from shared.service import logging
from shared.service.chat_log import ChatLog, chat_layout, open_log
from shared.service.conversation_keys import keys_of
from shared.service.health import Health
from tests import examples
from tests.llm_server import LlmServer
from tests.processes import MASTER_KEY, Service

#: Of how many streams the log consists in these tests.
STREAMS = int(os.environ.get("SWITCHBOARD_TEST_STREAMS", "4"))
LAYOUT = chat_layout(STREAMS)
MASTERS = MasterKeys.parse(MASTER_KEY)
#: The users that may read keys of sealed words.
HAVE_KEYS = frozenset({"proxy", "workflow", "operator"})


@pytest.fixture(autouse=True)
def logs_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command run in the tests' own process leaves their logging alone: it would hold on to the output
    that pytest captures for one test, and closes."""
    monkeypatch.setattr(logging, "configure", lambda *_: None)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedNats]:
    """A nats-server with the product's users; nothing declared."""
    server = EmbeddedNats(tmp_path / "data")
    server.start()
    yield server
    server.stop()


async def declare(client: Client, max_bytes: int = 1024**3, replicas: int = 1) -> None:
    """Declare all that Switchboard needs, with the log's streams as these tests are to have them."""
    await provisioning.declare(client, max_bytes, replicas, STREAMS)


def stream_name(conversation: str = examples.CONVERSATION) -> str:
    """The stream of the log in which the conversation is."""
    return LAYOUT.names[LAYOUT.stream_of(conversation)]


async def connected(server: EmbeddedNats, user: str) -> Client:
    """A plain client as one of the users."""
    client = Client()

    async def heard(_: Exception) -> None:
        """Errors of the connection are what many tests provoke.

        A client that was closed while its server is away may go on connecting for ever, and hold up the
        end of the event loop: in Python 3.11 `wait_for`, in nats-py 2.16.0's connecting, drops a
        cancellation that comes together with the refusal.
        """
        if client.is_closed:
            raise asyncio.CancelledError

    options: dict[str, Any] = {
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": 0.1,
        "connect_timeout": 10,
    }
    await client.connect(
        server.url(user).split(","), error_cb=heard, inbox_prefix=inbox_prefix(user).encode(), **options
    )
    return client


async def flushed(client: Client) -> None:
    """Once the server has dealt with all that was published or subscribed to.

    Twice, since nats-py (2.16.0) writes the ping of a flush ahead of the commands that it holds back: the
    first pong proves only that these have been written, too.
    """
    await client.flush()
    await client.flush()


@pytest.fixture
async def declared(server: EmbeddedNats) -> EmbeddedNats:
    """A nats-server with streams and durables."""
    await _declare(server)
    return server


async def _declare(server: EmbeddedNats) -> None:
    client = await connected(server, "admin")
    await declare(client, max_bytes=1024**3)
    await client.close()


async def log_of(client: Client, user: str, make_stream: MakeStream = Stream) -> ChatLog:
    """The log as this user's service has it: those that may read keys seal and open words."""
    health = Health(user)
    masters = MASTERS if user in HAVE_KEYS else None
    return await open_log(client, keys_of(client, masters, ConnectionState(health), health), make_stream)


class UserSettings(NamedTuple):
    """What a service of this user has in its settings to connect with."""

    nats_url: str
    nats_user: str
    nats_password: str
    nats_ca: str = ""
    drain_seconds: float = 1.0


class Connections:
    """Clients and logs as any user, closed at the end of the test."""

    def __init__(self, server: EmbeddedNats) -> None:
        self.server = server
        self._clients: list[Client] = []

    async def client(self, user: str) -> Client:
        client = await connected(self.server, user)
        self._clients.append(client)
        return client

    def settings(self, user: str) -> UserSettings:
        return UserSettings(self.server.url(), user, self.server.password(user))

    async def log(self, user: str, make_stream: MakeStream = Stream) -> ChatLog:
        return await log_of(await self.client(user), user, make_stream)

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


@pytest.fixture
async def connections(declared: EmbeddedNats) -> AsyncIterator[Connections]:
    connections = Connections(declared)
    yield connections
    await connections.close()


class Services:
    """Starts services of this checkout against the test's server; kills what is left at the end."""

    def __init__(self, server: EmbeddedNats, folder: Path) -> None:
        self.server = server
        self._folder = folder
        self.started: list[Service] = []

    def make(self, name: str, module: str = "", **settings: str) -> Service:
        service = Service(name, self.server, self._folder, module, **settings)
        self.started.append(service)
        return service

    async def start(self, name: str, module: str = "", **settings: str) -> Service:
        return await self.make(name, module, **settings).start()


@pytest.fixture
def services(declared: EmbeddedNats, tmp_path: Path) -> Iterator[Services]:
    services = Services(declared, tmp_path)
    yield services
    for service in services.started:
        service.kill()


@contextlib.contextmanager
def shared_services(folder: Path) -> Iterator[Services]:
    """Services on a server of their own, for a file of tests that do not disturb one another."""
    server = EmbeddedNats(folder / "data")
    server.start()
    services = Services(server, folder)
    try:
        asyncio.run(_declare(server))
        yield services
    finally:
        for service in services.started:
            service.kill()
        server.stop()


@pytest.fixture
def health() -> Health:
    return Health("test")


@pytest.fixture
def link(health: Health) -> ConnectionState:
    return ConnectionState(health)


@pytest.fixture
async def llm() -> AsyncIterator[LlmServer]:
    """A provider of the assistant, which plays what the test tells it (see `tests.llm_server`)."""
    async with LlmServer() as server:
        yield server
