"""A client that misbehaves, as a process of its own: ``python -m tests.faults.offender KIND URL SECONDS``.

``deaf`` never reads while another tab of the same visitor talks much; ``flood`` sends 1,000 messages a
second; ``tabs`` opens 500 sockets a second as one visitor; ``storm`` as many as ever new visitors.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import sys
import time
import uuid
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.visitor import V1

CONNECTS_A_SECOND = 500
MESSAGES_A_SECOND = 1000


async def main(kind: str, url: str, seconds: float) -> None:
    """Misbehave for so long."""
    end = time.monotonic() + seconds
    address = url.replace("http", "ws", 1) + "/ws"
    match kind:
        case "deaf":
            await deaf(address, end)
        case "flood":
            await flood(address, end)
        case "tabs":
            await storm(address, end, {"Cookie": f"switchboard={random.randbytes(16).hex()}"})
        case "storm":
            await storm(address, end, {})
        case _:
            raise SystemExit(f"no such kind: {kind}")


def text(content: str) -> str:
    """A visitor's message. Out of turn, so that it is refused: it must be stored all the same."""
    return json.dumps({"kind": "UserText", "sessionId": "none", "content": content, "id": str(uuid.uuid4())})


async def deaf(address: str, end: float) -> None:
    """A socket that is never read, while another tab talks as much as it may."""
    secret = random.randbytes(16).hex()
    parts = urlsplit(address)
    deaf_end = socket.create_connection((parts.hostname, parts.port))
    deaf_end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf_end.sendall(
        f"GET /ws HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: switchboard.v1\r\nCookie: switchboard={secret}\r\n\r\n".encode()
    )
    async with connect(
        address, subprotocols=V1, additional_headers={"Cookie": f"switchboard={secret}"}
    ) as talker:
        reader = asyncio.create_task(_read(talker))
        sent = 0
        while time.monotonic() < end or sent < 700:
            await talker.send(text("x" * 16_000))
            sent += 1
            await asyncio.sleep(0.011)  # below the limit of messages
            if reader.done():
                raise SystemExit("the one who talks was closed, not the deaf one")
        reader.cancel()
    deaf_end.close()


async def flood(address: str, end: float) -> None:
    """1,000 messages a second, and again after each closing."""
    while time.monotonic() < end:
        with contextlib.suppress(ConnectionClosed, OSError, InvalidHandshake):
            async with connect(address, subprotocols=V1) as socket_:
                reader = asyncio.create_task(_read(socket_))
                while time.monotonic() < end and not reader.done():
                    for _ in range(10):
                        await socket_.send(text("flood"))
                    await asyncio.sleep(10 / MESSAGES_A_SECOND)
                reader.cancel()


async def storm(address: str, end: float, headers: dict[str, str]) -> None:
    """500 connects a second; each socket stays open for a second."""

    async def one() -> None:
        with contextlib.suppress(ConnectionClosed, OSError, InvalidHandshake, TimeoutError):
            async with connect(address, additional_headers=headers, compression=None):
                await asyncio.sleep(1.0)

    tasks: set[asyncio.Task[None]] = set()
    while time.monotonic() < end:
        for _ in range(CONNECTS_A_SECOND // 50):
            if len(tasks) < 2000:
                task = asyncio.create_task(one())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        await asyncio.sleep(1 / 50)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _read(socket_: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for _ in socket_:
            pass


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
