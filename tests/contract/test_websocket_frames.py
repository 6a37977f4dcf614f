"""WebSocket frames as no library would send them, over a bare TCP socket at a real proxy.

After the cases of the Autobahn test suite; the codes are those of RFC 6455, section 7.4.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from deploy.local.embedded import EmbeddedNats
from tests.conftest import Services, connected, declare
from tests.contract.test_websocket import ASK, HI, OTHER, PICK, TEXT, ProductStage, prepare, ready, tell, told

CONT, TEXTS, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
ANSWER = json.dumps(OTHER).encode()
LONG = 64 * 1024  # the largest message


class WireFrame(NamedTuple):
    """A frame as it came."""

    opcode: int
    payload: bytes


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bool = True,
    length: int | None = None,
) -> bytes:
    """One frame; ``length`` may say something else than the payload has."""
    size = len(payload) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    if size < 126:
        head += bytes([mask << 7 | size])
    elif size < 1 << 16:
        head += bytes([mask << 7 | 126]) + struct.pack("!H", size)
    else:
        head += bytes([mask << 7 | 127]) + struct.pack("!Q", size)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def fragments(opcode: int, *parts: bytes) -> list[bytes]:
    """A message in as many frames as there are parts."""
    last = len(parts) - 1
    return [frame(CONT if at else opcode, part, fin=at == last) for at, part in enumerate(parts)]


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


class FrameWire:
    """A bare TCP connection that speaks frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def upgrade(self, extra: str = "") -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        await self.send(
            f"GET /ws HTTP/1.1\r\nHost: proxy\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n".encode()
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        assert head.startswith("HTTP/1.1 101"), head
        assert "Sec-WebSocket-Extensions" not in head

    async def send(self, *chunks: bytes) -> None:
        for chunk in chunks:
            self._writer.write(chunk)
            await self._writer.drain()

    async def receive(self) -> WireFrame:
        first, second = await self._reader.readexactly(2)
        assert first & 0b0111_0000 == 0, "a reserved bit"
        assert second & 0x80 == 0, "a server masks nothing"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await self._reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self._reader.readexactly(8))
        return WireFrame(first & 0x0F, await self._reader.readexactly(size))

    async def message(self) -> dict[str, object]:
        """The next frame, which must be a text."""
        got = await self.receive()
        assert got.opcode == TEXTS, got
        message: dict[str, object] = json.loads(got.payload)
        return message

    async def closed(self) -> tuple[int, bytes]:
        """The code and reason with which the server closes, and then hangs up."""
        async with asyncio.timeout(10):
            while (got := await self.receive()).opcode != CLOSE:
                pass
            with contextlib.suppress(ConnectionError):  # it may have hung up already
                await self.send(frame(CLOSE, got.payload))
            assert await self.gone() == b"", "more after the close frame"
        if not got.payload:
            return 1005, b""
        return struct.unpack("!H", got.payload[:2])[0], got.payload[2:]

    async def gone(self) -> bytes:
        """All that comes until the server hangs up."""
        came = bytearray()
        with contextlib.suppress(ConnectionError):
            while part := await self._reader.read(65536):
                came += part
        return bytes(came)

    async def leave(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


@contextlib.asynccontextmanager
async def wire(stage: ProductStage) -> AsyncIterator[FrameWire]:
    """Connected, nothing said."""
    connection = FrameWire(*await asyncio.open_connection("127.0.0.1", stage.proxy.port))
    try:
        yield connection
    finally:
        await connection.leave()


@contextlib.asynccontextmanager
async def greeted(stage: ProductStage) -> AsyncIterator[FrameWire]:
    """A new visitor's socket; the first question was asked."""
    async with wire(stage) as connection, asyncio.timeout(30):
        await connection.upgrade()
        assert [await connection.message(), await connection.message()] == [HI, PICK]
        yield connection


def memory(stage: ProductStage) -> int:
    """The proxy's resident memory in KiB."""
    assert stage.proxy.process is not None
    status = Path(f"/proc/{stage.proxy.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductStage]:
    """One proxy for all of this: what one case breaks, the next would see."""
    folder = tmp_path_factory.mktemp("frames")
    server = EmbeddedNats(folder / "data")
    server.start()

    async def begin() -> ProductStage:
        client = await connected(server, "admin")
        await declare(client, max_bytes=1024**3)
        await client.close()
        return await ready(prepare(Services(server, folder), folder / "flow.json"))

    stage = asyncio.run(begin())
    yield stage
    for service in stage.services.started:
        service.kill()
    server.stop()


# --- what is a message ------------------------------------------------------------------------

SPLIT = json.dumps({**OTHER, "content": "é"}, ensure_ascii=False).encode()

ANSWERS: dict[str, list[bytes]] = {
    "one frame": [frame(TEXTS, ANSWER)],
    "two fragments": fragments(TEXTS, ANSWER[:9], ANSWER[9:]),
    "a fragment for each byte": fragments(TEXTS, *(ANSWER[at : at + 1] for at in range(len(ANSWER)))),
    "empty fragments around it": fragments(TEXTS, b"", b"", ANSWER, b"", b""),
    "a character that two fragments share": fragments(
        TEXTS, SPLIT[: SPLIT.index(b"\xc3") + 1], SPLIT[SPLIT.index(b"\xc3") + 1 :]
    ),
    "byte by byte on the wire": [bytes([byte]) for byte in frame(TEXTS, ANSWER)],
    "an unasked pong before it": [frame(PONG, b"who asked?"), frame(TEXTS, ANSWER)],
    "after a message that was finished": [*fragments(TEXTS, ANSWER[:9], ANSWER[9:])],
    "the largest": [frame(TEXTS, ANSWER + b" " * (LONG - len(ANSWER)))],
    "the largest in fragments": fragments(TEXTS, ANSWER, b" " * (LONG - len(ANSWER) - 1), b" "),
}


@pytest.mark.parametrize("how", ANSWERS)
async def test_a_message_is_a_message_in_whatever_frames_it_comes(stage: ProductStage, how: str) -> None:
    async with greeted(stage) as visitor:
        await visitor.send(*ANSWERS[how])
        assert await visitor.message() == ASK


@pytest.mark.parametrize("payload", [b"", b"hello", b"\x00\xff\xfe", b"x" * 125])
async def test_a_ping_is_answered_with_its_payload(stage: ProductStage, payload: bytes) -> None:
    async with greeted(stage) as visitor:
        await visitor.send(frame(PING, payload))
        assert await visitor.receive() == WireFrame(PONG, payload)


async def test_a_ping_between_fragments_is_answered_at_once_and_disturbs_nothing(stage: ProductStage) -> None:
    first, second, third = fragments(TEXTS, ANSWER[:5], ANSWER[5:11], ANSWER[11:])
    async with greeted(stage) as visitor:
        await visitor.send(first, frame(PING, b"1"), second, frame(PING, b"2"))
        assert [await visitor.receive() for _ in range(2)] == [WireFrame(PONG, b"1"), WireFrame(PONG, b"2")]
        await visitor.send(third)
        assert await visitor.message() == ASK


async def test_what_follows_an_unfinished_message_waits_for_its_end(stage: ProductStage) -> None:
    async with greeted(stage) as visitor:
        await visitor.send(frame(TEXTS, ANSWER, fin=False), frame(PING, b"still there?"))
        assert await visitor.receive() == WireFrame(PONG, b"still there?")
        await visitor.send(frame(CONT))
        assert await visitor.message() == ASK


# --- what is none -----------------------------------------------------------------------------

REFUSED: dict[str, tuple[list[bytes], int]] = {
    "a continuation of nothing": ([frame(CONT, b"x")], 1002),
    "an unfinished continuation of nothing": ([frame(CONT, b"x", fin=False)], 1002),
    "a continuation of a finished message": (
        [*fragments(TEXTS, ANSWER[:5], ANSWER[5:]), frame(CONT, b"x")],
        1002,
    ),
    "a new message inside of another": ([frame(TEXTS, b"[", fin=False), frame(TEXTS, b"]")], 1002),
    "a binary message inside of a text": ([frame(TEXTS, b"[", fin=False), frame(BINARY, b"]")], 1002),
    **{f"the reserved opcode {code}": ([frame(code, b"x")], 1002) for code in (3, 4, 5, 6, 7)},
    **{f"the reserved control opcode {code}": ([frame(code, b"x")], 1002) for code in (11, 12, 13, 14, 15)},
    "a compressed frame that nobody agreed on": ([frame(TEXTS, b"\xaaV*\x04", rsv=4)], 1002),
    **{f"the reserved bits {bits:03b}": ([frame(TEXTS, ANSWER, rsv=bits)], 1002) for bits in (1, 2, 3, 7)},
    "a reserved bit on a ping": ([frame(PING, b"x", rsv=1)], 1002),
    "no mask": ([frame(TEXTS, ANSWER, mask=False)], 1002),
    "a ping without a mask": ([frame(PING, b"x", mask=False)], 1002),
    "a ping that is too long": ([frame(PING, b"x" * 126)], 1002),
    "a ping in fragments": ([frame(PING, b"x", fin=False), frame(CONT, b"y")], 1002),
    "a close in fragments": ([frame(CLOSE, b"\x03", fin=False), frame(CONT, b"\xe8")], 1002),
    "a close that is too long": ([close(1000, b"x" * 124)], 1002),
    "a close of one byte": ([frame(CLOSE, b"\x03")], 1002),
    "a close inside of a message": ([frame(TEXTS, b"[", fin=False), close(1000)], 1002),
    **{
        f"a close with the code {code}": ([close(code)], 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    "a close with a reason that is not UTF-8": ([close(1000, b"\xff\xfe")], 1007),
    "text that is not UTF-8": ([frame(TEXTS, b'{"kind":"\xff"}')], 1007),
    "text that ends in half a character": ([frame(TEXTS, b"\xe2\x82")], 1007),
    "half a character that the next fragment does not go on": (fragments(TEXTS, b"\xe2\x82", b'"'), 1007),
    "a character in more bytes than it needs": ([frame(TEXTS, b"\xc0\xaf")], 1007),
    "half of a surrogate pair": ([frame(TEXTS, b"\xed\xa0\x80")], 1007),
    "a character beyond the last": ([frame(TEXTS, b"\xf4\x90\x80\x80")], 1007),
    "a text with nothing in it": ([frame(TEXTS)], 1007),
    "an empty text in three fragments": (fragments(TEXTS, b"", b"", b""), 1007),
    "a binary message": ([frame(BINARY, ANSWER)], 1003),
    "an empty binary message": ([frame(BINARY)], 1003),
    "a binary message in fragments": (fragments(BINARY, ANSWER[:5], ANSWER[5:]), 1003),
    "a frame that is too large": ([frame(TEXTS, b"", length=LONG + 1)], 1009),
    "a frame that claims four gigabytes": ([frame(TEXTS, b"", length=1 << 32)], 1009),
    "a frame that claims the largest length": ([frame(TEXTS, b"", length=(1 << 63) - 1)], 1009),
    "fragments that are too large together": (
        [frame(TEXTS, b" " * LONG, fin=False), frame(CONT, b"", fin=False, length=1)],
        1009,
    ),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_breaks_the_protocol_is_closed_with_its_code(stage: ProductStage, what: str) -> None:
    chunks, code = REFUSED[what]
    async with greeted(stage) as visitor:
        await visitor.send(*chunks)
        got, reason = await visitor.closed()
    assert got == code, reason
    assert b"Traceback" not in reason
    assert b".py" not in reason


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 3000, 3999, 4000, 4999])
async def test_a_close_is_answered_with_its_own_code(stage: ProductStage, code: int) -> None:
    async with greeted(stage) as visitor:
        await visitor.send(close(code, "grüße".encode()))
        assert await visitor.closed() == (code, "grüße".encode())


async def test_a_close_without_a_code_is_answered_without_one(stage: ProductStage) -> None:
    async with greeted(stage) as visitor:
        await visitor.send(frame(CLOSE))
        assert await visitor.closed() == (1005, b"")


async def test_nothing_counts_that_follows_a_close(stage: ProductStage) -> None:
    async with greeted(stage) as visitor:
        await visitor.send(close(1000) + frame(PING, b"x") + frame(TEXTS, ANSWER) + frame(3, b"x"))
        assert await visitor.closed() == (1000, b"")


UPGRADE = (
    b"Host: proxy\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /ws HTTP/1.1\r\nHost: proxy\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", b"400"),
        (
            b"GET /ws HTTP/1.1\r\nHost: proxy\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n\r\n",
            b"400",
        ),
        (
            b"GET /ws HTTP/1.1\r\nHost: proxy\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 8\r\n\r\n",
            b"400",
        ),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),  # TLS to a port without it
        (b"GET /ws HTTP/1.1\r\nHost: proxy\r\n" + b"X: " + b"x" * 100_000, b"431"),
        # What the parser takes and websockets does not.
        (b"GET /ws?cursor=" + b"x" * 9_000 + b" HTTP/1.1\r\n" + UPGRADE + b"\r\n", b"400"),
        (b"GET /ws HTTP/1.1\r\n" + UPGRADE + b"X: " + b"x" * 9_000 + b"\r\n\r\n", b"400"),
        (b"GET /ws HTTP/1.1\r\n" + UPGRADE + b"X: x\r\n" * 200 + b"\r\n", b"400"),
    ],
    ids=[
        "no key",
        "a bad key",
        "an old version",
        "TLS",
        "an endless header",
        "a long path",
        "a long header",
        "many headers",
    ],
)
async def test_a_bad_upgrade_gets_an_http_error(stage: ProductStage, request_: bytes, status: bytes) -> None:
    async with wire(stage) as stranger, asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            await stranger.send(request_)
        answer = await stranger.gone()
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"Traceback" not in answer


# --- floods -----------------------------------------------------------------------------------


async def test_ten_thousand_pings_are_answered_and_leave_nothing_behind(stage: ProductStage) -> None:
    async with greeted(stage) as visitor:
        pings = b"".join(frame(PING, b"%05d" % number) for number in range(1_000))
        before = 0
        for rounds in range(11):
            await visitor.send(pings)
            for number in range(1_000):
                assert await visitor.receive() == WireFrame(PONG, b"%05d" % number)
            if rounds == 0:
                before = memory(stage)
        assert memory(stage) - before < 4 * 1024
        await visitor.send(frame(TEXTS, ANSWER))
        assert await visitor.message() == ASK


async def test_pings_of_one_who_never_reads_the_pongs_fill_no_memory(stage: ProductStage) -> None:
    before = memory(stage)
    async with greeted(stage) as visitor, asyncio.timeout(60):
        pings = frame(PING, b"x" * 125) * 1_000
        with pytest.raises(ConnectionError):
            for _ in range(2_000):  # 260 MB, unless the proxy hangs up
                await visitor.send(pings)
            pytest.fail("the proxy took them all")
    assert memory(stage) - before < 16 * 1024


async def test_a_million_empty_fragments_are_one_message_and_leave_nothing_behind(
    stage: ProductStage,
) -> None:
    before = memory(stage)
    async with greeted(stage) as visitor:
        await visitor.send(frame(TEXTS, fin=False))
        for _ in range(1_000):
            await visitor.send(frame(CONT, fin=False) * 1_000)
        await visitor.send(frame(PING, b"all read?"))
        assert await visitor.receive() == WireFrame(PONG, b"all read?")
        assert memory(stage) - before < 4 * 1024
        await visitor.send(frame(CONT, ANSWER))
        assert await visitor.message() == ASK


# --- everybody else ---------------------------------------------------------------------------


async def test_a_visitor_beside_all_of_them_is_not_disturbed(stage: ProductStage) -> None:
    async with stage.bare() as neighbour:
        assert await told(neighbour, 2) == [HI, PICK]

        async def bad(chunks: list[bytes]) -> None:
            async with greeted(stage) as visitor:
                await visitor.send(*chunks)
                await visitor.closed()

        attacks = asyncio.gather(*(bad(chunks) for chunks, _ in REFUSED.values()))
        await tell(neighbour, OTHER)
        assert await told(neighbour, 1) == [ASK]
        await attacks
        await tell(neighbour, TEXT)
        assert [said["kind"] for said in await told(neighbour, 2)] == ["EndChatSession", "BotText"]


async def test_nothing_of_all_this_is_an_error_to_the_proxy(stage: ProductStage) -> None:
    async with greeted(stage) as visitor:
        await visitor.send(frame(TEXTS, b"\xff"))
        assert (await visitor.closed())[0] == 1007
    assert '"level":"error"' not in stage.proxy.output
    assert '"exception"' not in stage.proxy.output
    assert "Traceback" not in stage.proxy.output
