"""The quicker way to and from a WebSocket keeps the order and the bounds of the usual one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from shared.service.websocket_hardening import DIRECT, BoundedWebSocket, Direct

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def framed(text: str) -> bytes:
    """A client's frame, with a masking key of zeros."""
    data = text.encode()
    return bytes((0x81, 0x80 | len(data), 0, 0, 0, 0)) + data


class KeepingTransport(asyncio.Transport):
    """What the server wrote, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(data))

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def get_write_buffer_size(self) -> int:
        return 0


class Served:
    """One accepted socket, and the application's side of it."""

    def __init__(self) -> None:
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
        )
        config.load()
        self.received: list[str] = []
        self.listening = asyncio.Event()
        self.over = asyncio.Event()
        self.wire = KeepingTransport()
        self.socket = BoundedWebSocket(config, ServerState(), {})
        self.socket.connection_made(self.wire)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.direct: Direct = scope["extensions"][DIRECT]
        self.scope = scope
        await receive()
        await send({"type": "websocket.accept"})
        await self.listening.wait()
        while (message := await receive())["type"] == "websocket.receive":
            self.received.append(message["text"])
        self.over.set()

    async def accepted(self) -> Served:
        self.socket.data_received(UPGRADE)
        async with asyncio.timeout(10):
            while not self.wire.pieces:
                await asyncio.sleep(0)
        self.wire.pieces.clear()
        return self


async def test_what_came_before_is_received_before_anything_is_heard() -> None:
    served = await Served().accepted()
    heard: list[str] = []
    served.socket.data_received(framed("a") + framed("b"))
    served.direct.hear = lambda text: heard.append("".join((*served.received, text)))
    served.socket.data_received(framed("c"))
    assert heard == []
    served.listening.set()
    while len(served.received) < 3:
        await asyncio.sleep(0)
    served.socket.data_received(framed("d") + framed("é"))
    assert (served.received, heard) == (["a", "b", "c"], ["abcd", "abcé"])


async def test_texts_written_together_leave_in_one_piece() -> None:
    served = await Served().accepted()
    assert served.direct.write(["one", "two"])
    assert served.wire.pieces == [b"\x81\x03one\x81\x03two"]


async def test_nothing_is_written_to_who_does_not_read_or_is_going() -> None:
    served = await Served().accepted()
    served.socket.pause_writing()
    assert not served.direct.write(["one"])
    served.socket.resume_writing()
    assert served.direct.write(["two"])
    served.socket.data_received(b"\x88\x82\0\0\0\0\x03\xe8")
    assert not served.direct.write(["three"])
    assert served.wire.pieces == [b"\x81\x03two", b"\x88\x02\x03\xe8"]
    served.socket.connection_lost(None)
    assert not served.direct.write(["four"])
    assert (served.scope["extensions"], served.direct.hear) == ({}, None)


async def test_who_cannot_bear_a_text_is_closed_with_1011(caplog: pytest.LogCaptureFixture) -> None:
    served = await Served().accepted()

    def fail(text: str) -> None:
        raise ZeroDivisionError

    served.direct.hear = fail
    served.listening.set()
    served.socket.data_received(framed("a") + framed("b"))
    async with asyncio.timeout(10):
        await served.over.wait()
    assert served.wire.pieces[0].startswith(b"\x88\x10\x03\xf3internal error")
    assert served.wire.closing
    assert served.received == []
    assert len(caplog.records) == 1
