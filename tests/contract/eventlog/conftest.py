"""A log that knows nothing of chat: tills and what is paid into them, on a server without users."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TypeAlias

import msgspec
import nats
import pytest
from nats.aio.client import Client

from deploy.local.embedded import EmbeddedNats, binary
from shared.eventlog.layout import Layout
from shared.eventlog.log import Log, open_log
from shared.eventlog.messages import StoredMessage
from shared.eventlog.provisioning import declare_log

LAYOUT = Layout("TALLY", "tally", 3)


class Paid(msgspec.Struct, frozen=True):
    """An amount that was paid into a till."""

    id: str
    amount: int


class PaidCodec:
    def encode(self, key: str, author: str, entry: Paid, /) -> bytes:
        return msgspec.json.encode(entry)

    def id(self, entry: Paid, /) -> str:
        return entry.id

    async def same(self, stored: StoredMessage, data: bytes, /) -> bool:
        return False

    @staticmethod
    def decode(data: bytes) -> Paid:
        return msgspec.json.decode(data, type=Paid)


Tally: TypeAlias = Log[Paid]


class OpenNats(EmbeddedNats):
    """A nats-server to which everybody may do everything."""

    @property
    def command(self) -> list[str]:
        return [
            binary(),
            "--jetstream",
            *("--addr", self.host),
            *("--port", str(self.port or -1)),
            *("--store_dir", str(self.folder / "nats")),
            *("--ports_file_dir", str(self.folder)),
        ]


@pytest.fixture
def open_server(tmp_path: Path) -> Iterator[OpenNats]:
    server = OpenNats(tmp_path / "data")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def client(open_server: OpenNats) -> AsyncIterator[Client]:
    client = await nats.connect(open_server.url())
    yield client
    await client.close()


@pytest.fixture
async def tally(client: Client) -> Tally:
    await declare_log(client, LAYOUT, max_bytes=1024**2, max_message=1024, readers=["auditor"])
    return await open_log(client, LAYOUT.name, LAYOUT.prefix, PaidCodec())
