"""A visitor whose conversation is long: told as a whole, at every door, and at nobody else's cost."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from shared.contract.subjects import conversation_of
from tests.conftest import Connections, Services
from tests.long_histories import write_long
from tests.processes import Service
from tests.visitor import V1

#: 30 MB.
TURNS, SIZE = 1_000, 15_000


def socket(proxy: Service, secret: str, modern: bool, query: str = "") -> connect:
    return connect(
        f"ws://127.0.0.1:{proxy.port}/ws{query}",
        additional_headers={"Cookie": f"switchboard={secret}"},
        subprotocols=V1 if modern else None,
        max_size=None,
        compression=None,
        open_timeout=60,
        ping_interval=None,
    )


async def told(socket: ClientConnection, turns: int) -> list[str]:
    """The numbers that the texts of a long history begin with, as they come."""
    numbers: list[str] = []
    async with asyncio.timeout(240):
        while len(numbers) < 2 * turns + 1:
            frame: dict[str, Any] = json.loads(await socket.recv())
            if frame["kind"] in ("BotText", "UserText"):
                numbers.append(frame["content"].split()[0])
    return numbers


async def write(
    connections: Connections, conversation: str, turns: int, size: int, door: str = "websocket"
) -> int:
    clients = [await connections.client(user) for user in ("proxy", "workflow")]
    return await write_long(*clients, conversation, turns, size, door)


def everything(turns: int) -> list[str]:
    return [str(number) for number in range(1, 2 * turns + 2)]


async def metric(proxy: Service, name: str) -> float:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{proxy.url}/metrics", timeout=60)).text
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


async def test_twenty_sockets_at_once_are_told_thirty_megabytes_and_nobody_is_closed(
    connections: Connections, services: Services
) -> None:
    secret = secrets.token_hex(16)
    await write(connections, conversation_of(secret, "websocket"), TURNS, SIZE)
    proxy = await services.start("proxy")

    async def one(modern: bool) -> list[str]:
        async with socket(proxy, secret, modern) as opened:
            return await told(opened, TURNS)

    everybody = await asyncio.gather(*(one(number % 2 == 0) for number in range(20)))
    assert all(numbers == everything(TURNS) for numbers in everybody)
    assert await metric(proxy, "switchboard_sockets_closed_total") == 0
    assert "feed_lost" not in proxy.output
    assert "nats_error" not in proxy.output
