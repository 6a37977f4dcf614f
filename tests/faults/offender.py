"""A client that misbehaves, as a process of its own: ``python -m tests.faults.offender KIND URL SECONDS``.

``deaf`` never reads while other tabs of the same visitor talk as much as they may; ``flood`` sends
1,000 messages a second, and comes back at once when it is closed; ``tabs`` opens 500 sockets a second
as one visitor; ``storm`` as many as ever new visitors; ``readers`` has 20 sockets of one visitor, whose
cookie follows, told the whole conversation at once, again and again.

Raw sockets, from an address of its own, at the lowest priority: what is measured is what the others feel
of the server, not what this process takes of the machine. At the end it prints how much it got done:
messages, connects, or bytes that its readers were told.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
import sys
import time
import uuid
from urllib.parse import urlsplit

CONNECTS_A_SECOND = 500
MESSAGES_A_SECOND = 1000
#: Where it comes from: loopback, too, but not where the others come from.
SOURCE = "127.0.0.9"
#: So many tabs may say, at once, more than the system itself buffers for the deaf one (some MiB).
TABS = 8
#: What one visitor may have open.
READERS = 20
#: The editor of the flow that the laboratory talks (`tests.processes.TOUR`): another one would be refused.
SESSION = 10

done = 0


async def main(kind: str, url: str, seconds: float, secret: str = "") -> None:
    """Misbehave for so long."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    end = time.monotonic() + seconds
    address = urlsplit(url)
    host, port = str(address.hostname), int(address.port or 80)
    match kind:
        case "deaf":
            await deaf(host, port, end)
        case "flood":
            while time.monotonic() < end:
                await flood(host, port, end)
        case "tabs":
            await storm(host, port, end, random.randbytes(16).hex())
        case "storm":
            await storm(host, port, end, "")
        case "readers":
            while time.monotonic() < end:
                await asyncio.gather(*(read(host, port, secret, end) for _ in range(READERS)))
        case _:
            raise SystemExit(f"no such kind: {kind}")
    print(done)


def upgrade(host: str, port: int, secret: str) -> bytes:
    """The request that opens a WebSocket (RFC 6455 section 4.1)."""
    cookie = f"Cookie: switchboard={secret}\r\n" if secret else ""
    return (
        f"GET /ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: switchboard.v1\r\n{cookie}\r\n"
    ).encode()


def text(content: str) -> bytes:
    """A visitor's message as a frame, with a mask of zeros. Out of turn, and stored all the same."""
    global done
    done += 1
    id = str(uuid.uuid4())
    message = {"kind": "UserText", "sessionId": SESSION, "content": content, "id": id}
    payload = json.dumps(message).encode()
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + payload


async def deaf(host: str, port: int, end: float) -> None:
    """A socket that is never read, while other tabs talk."""
    secret = random.randbytes(16).hex()
    never_read = socket.socket()
    never_read.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    never_read.bind((SOURCE, 0))
    never_read.connect((host, port))
    never_read.sendall(upgrade(host, port, secret))
    await asyncio.gather(*(_talk(host, port, secret) for _ in range(TABS)))
    await asyncio.sleep(max(0.0, end - time.monotonic()))
    never_read.close()


async def _talk(host: str, port: int, secret: str) -> None:
    """A tab that says as much as one may at once. Every other tab is told all of it."""
    reader, writer = await asyncio.open_connection(host, port, local_addr=(SOURCE, 0))
    writer.write(upgrade(host, port, secret))
    drained = asyncio.create_task(_drain(reader))
    for _ in range(50):
        writer.write(text("x" * 16_000))
        await asyncio.sleep(0.02)
    if drained.done():
        raise SystemExit("a tab that reads was closed, not the deaf one")
    drained.cancel()
    writer.transport.abort()


async def flood(host: str, port: int, end: float) -> None:
    """1,000 messages a second until it is closed."""
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection(host, port, local_addr=(SOURCE, 0))
        writer.write(upgrade(host, port, ""))
        drained = asyncio.create_task(_drain(reader))
        while time.monotonic() < end and not drained.done():
            writer.write(b"".join(text("flood") for _ in range(10)))
            await asyncio.sleep(10 / MESSAGES_A_SECOND)
        drained.cancel()
        writer.transport.abort()


async def storm(host: str, port: int, end: float, secret: str) -> None:
    """500 connects a second; each socket stays open for a second."""

    async def one() -> None:
        global done
        done += 1
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection(host, port, local_addr=(SOURCE, 0))
            writer.write(upgrade(host, port, secret))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_drain(reader), 1.0)
            writer.transport.abort()

    tasks: set[asyncio.Task[None]] = set()
    while time.monotonic() < end:
        for _ in range(CONNECTS_A_SECOND // 50):
            if len(tasks) < 2000:
                task = asyncio.create_task(one())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        await asyncio.sleep(1 / 50)
    await asyncio.gather(*tasks, return_exceptions=True)


async def read(host: str, port: int, secret: str, end: float) -> None:
    """Read a whole history: behind it stands the conversation's state."""
    global done
    reader, writer = await asyncio.open_connection(host, port, local_addr=(SOURCE, 0))
    writer.write(upgrade(host, port, secret))
    last = b""
    while time.monotonic() < end:
        with contextlib.suppress(TimeoutError):
            data = await asyncio.wait_for(reader.read(1024 * 1024), end - time.monotonic())
            if not data:
                raise SystemExit(f"a reader was closed: {last[-100:]!r}")
            done += len(data)
            last = last[-100:] + data
            if b'"kind":"State"' in last:
                break
    writer.transport.abort()


async def _drain(reader: asyncio.StreamReader) -> None:
    """Read until the other side closes."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            if data[0] == 0x88:  # a close frame
                return


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), *sys.argv[4:]))
