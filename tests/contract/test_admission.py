"""The limits at the edge, at real doors: who asks for too much is told when to come back."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import socket
import uuid
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close

from services.proxy.domain.limits import MAX_UNANSWERED
from shared.contract.entry import Entry
from shared.contract.facts import BotSaid, ConversationClaimed, ConversationStarted, OperatorSaid, TextWritten
from shared.contract.subjects import conversation_of
from shared.service.health import Receive, Scope, Send, respond
from shared.service.http_hardening import punctual
from tests.conftest import Connections, Services
from tests.contract.test_websocket import OTHER, ProductStage, closed, cookie_of, tell
from tests.contract.test_websocket_frames import CLOSE, PING, PONG, UPGRADE, FrameWire, WireFrame, frame
from tests.unit.test_event_stream import Room, stream
from tests.visitor import V1


async def proxy(services: Services, **settings: str) -> ProductStage:
    service = await services.start("proxy", **settings)
    return ProductStage(services, service, service)


async def metric(stage: ProductStage, line: str) -> float:
    """The value of one series, 0 where there is none."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{stage.proxy.url}/metrics")).text
    return next((float(row.split()[-1]) for row in text.splitlines() if row.startswith(line + " ")), 0.0)


async def is_metric(stage: ProductStage, line: str, value: float) -> None:
    async with asyncio.timeout(30):
        while await metric(stage, line) != value:
            await asyncio.sleep(0.02)


OPEN = 'switchboard_sockets_open{door="websocket"}'


# --- who is too many --------------------------------------------------------------------------


async def test_of_many_who_come_at_once_no_more_enter_than_there_are_places(services: Services) -> None:
    stage = await proxy(services, SWITCHBOARD_MAX_SOCKETS_PER_VISITOR="5")
    async with stage.modern() as first:
        cookie = cookie_of(first)
        async with contextlib.AsyncExitStack() as stack:
            sockets = await asyncio.gather(
                *(stack.enter_async_context(stage.modern(cookie)) for _ in range(40))
            )

            async def fate(one: ClientConnection) -> str:
                try:
                    async with asyncio.timeout(10):
                        await one.recv()
                except ConnectionClosed as gone:
                    return str(gone.rcvd)
                return "let in"

            fates = Counter(await asyncio.gather(*map(fate, sockets)))
        refused = str(Close(4029, "too many sockets of this visitor; come back in 10 s"))
        assert fates == {"let in": 4, refused: 36}
        await is_metric(stage, OPEN, 1)
    await is_metric(stage, OPEN, 0)


async def test_a_place_is_free_again_however_its_socket_ended(services: Services) -> None:
    stage = await proxy(services, SWITCHBOARD_MAX_SOCKETS="1", SWITCHBOARD_MAX_SOCKETS_PER_ADDRESS="1")
    for how in ("closed", "cut", "refused"):
        async with stage.modern() as socket:
            await socket.recv()
            if how == "cut":
                socket.transport.abort()
            elif how == "refused":
                await socket.send(b"binary")
                assert (await closed(socket))[0] == 1003
        await is_metric(stage, OPEN, 0)
    async with stage.modern() as socket, stage.modern() as another:
        await socket.recv()
        assert await closed(another) == (4029, "too many sockets in all; come back in 10 s")


async def test_who_comes_back_when_told_to_is_let_in(services: Services) -> None:
    stage = await proxy(services, SWITCHBOARD_CONNECT_BURST="2", SWITCHBOARD_CONNECTS_PER_MINUTE="60")
    async with stage.modern(), stage.modern(), stage.modern() as third:
        code, reason = await closed(third)
    assert (code, reason) == (4029, "too many connects; come back in 1 s")
    assert await metric(stage, 'switchboard_limited_total{door="websocket",limit="connects"}') == 1
    await asyncio.sleep(1)  # as it was told
    async with stage.modern() as again:
        assert "Resumed" in str(await again.recv())


async def test_who_does_not_listen_is_turned_away_before_the_handshake_and_others_are_not(
    services: Services,
) -> None:
    stage = await proxy(services, SWITCHBOARD_CONNECT_BURST="2", SWITCHBOARD_CONNECTS_PER_MINUTE="1")
    upgrade = b"GET /ws HTTP/1.1\r\n" + UPGRADE + b"\r\n"
    heard = [await answers(stage.proxy.port, upgrade, until=b"\r\n\r\n") for _ in range(5)]
    assert [answer[9:12] for answer in heard] == [b"101", b"101", b"101", b"101", b"429"]
    assert b"retry-after: 60\r\n" in heard[4]
    assert await metric(stage, 'switchboard_limited_total{door="websocket",limit="storm"}') == 1
    other = await answers(stage.proxy.port, upgrade, until=b"\r\n\r\n", source="127.0.0.2")
    assert other.startswith(b"HTTP/1.1 101")


@pytest.mark.parametrize("split", [b"Upg", b"websock", b"Connection: Upg"])
async def test_an_upgrade_may_come_in_two_parts(services: Services, split: bytes) -> None:
    stage = await proxy(services)
    whole = b"GET /ws HTTP/1.1\r\n" + UPGRADE + b"\r\n"
    at = whole.index(split) + len(split)
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.proxy.port)
    async with asyncio.timeout(10):
        writer.write(whole[:at])
        async with httpx.AsyncClient() as another:
            await another.get(f"{stage.proxy.url}/healthz")  # by now the first part was read
        writer.write(whole[at:])
        assert (await reader.readline()).startswith(b"HTTP/1.1 101")
    writer.close()


async def test_of_an_upgraded_connection_nothing_of_http_is_left() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    gc.collect()  # what other tests left
    gc.disable()  # whoever leaves now must be gone by itself
    try:
        async with serving(app, 5) as port, connect(f"ws://127.0.0.1:{port}/") as socket:
            await socket.ping()
            # Not isinstance, which asks weak references, some of them to nothing any more.
            assert not [each for each in gc.get_objects() if issubclass(type(each), HttpToolsProtocol)]
    finally:
        gc.enable()


async def test_a_visitors_messages_count_over_all_of_the_visitors_sockets(services: Services) -> None:
    stage = await proxy(services, SWITCHBOARD_MESSAGE_BURST="5", SWITCHBOARD_MESSAGES_PER_MINUTE="1")
    async with stage.modern() as one, stage.modern(cookie_of(one)) as two, stage.modern() as other:
        for socket in (one, one, one, two, two):
            await tell(socket, OTHER)
        await is_metric(stage, 'switchboard_appends_total{door="websocket",outcome="stored"}', 7)  # two began
        await tell(two, OTHER)
        assert await closed(two) == (4029, "too many messages; come back in 60 s")
        await tell(other, OTHER)
        await is_metric(stage, 'switchboard_appends_total{door="websocket",outcome="stored"}', 8)
        await tell(one, OTHER)
        assert (await closed(one))[0] == 4029


async def test_behind_a_trusted_proxy_each_client_counts_and_nobody_can_pretend(services: Services) -> None:
    limits = {"SWITCHBOARD_CONNECT_BURST": "1", "SWITCHBOARD_CONNECTS_PER_MINUTE": "1"}
    behind = await proxy(services, SWITCHBOARD_TRUSTED_PROXIES="127.0.0.1", **limits)
    alone = await proxy(services, **limits)

    async def let_in(stage: ProductStage, forwarded: str) -> bool:
        headers = {"X-Forwarded-For": forwarded}
        async with connect(stage.url(), additional_headers=headers, subprotocols=V1) as socket:
            try:
                return "Resumed" in str(await socket.recv())
            except ConnectionClosed as gone:
                return "4029" not in str(gone.rcvd)

    assert await let_in(behind, "203.0.113.1")
    assert await let_in(behind, "203.0.113.2")
    assert not await let_in(behind, "203.0.113.1")
    assert not await let_in(behind, "198.51.100.77, 203.0.113.1")  # what the client wrote itself
    assert await let_in(behind, "2001:db8:1:1::1")
    assert not await let_in(behind, "2001:db8:1:1::2")  # the same customer's network
    assert await let_in(alone, "203.0.113.1")
    assert not await let_in(alone, "203.0.113.2")  # nobody asked for its word


async def test_foreign_pages_are_counted_by_door(services: Services) -> None:
    stage = await proxy(services)
    for _ in range(2):
        with contextlib.suppress(Exception):
            async with stage.bare(Origin="https://evil.test"):
                pytest.fail("let in")
    assert await metric(stage, 'switchboard_origin_refused_total{door="websocket"}') == 2


async def little_room(port: int) -> socket.socket:
    """A connection that takes little before it must be read."""
    bare = socket.socket()
    bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
    bare.setblocking(False)
    await asyncio.get_running_loop().sock_connect(bare, ("127.0.0.1", port))
    return bare


# --- who is too slow --------------------------------------------------------------------------

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: proxy\r\n"
HALVES = {
    "nothing": b"",
    "half a request line": b"GET /ws",
    "empty lines": b"\r\n",
    "half an upgrade": b"GET /ws HTTP/1.1\r\nHost: proxy\r\nUpgrade: websocket\r\nConnection: Up",
    "half of a second request": HEALTH + b"\r\n" + HEALTH,
    "empty lines before a second request": HEALTH + b"\r\n\r\n",
}


async def cut_off(port: int, begun: bytes) -> None:
    """Begin a request and go on with a byte now and then, until the server has had enough."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def dribble() -> None:
        writer.write(begun)
        while begun:
            writer.write(b"\r\n" if begun.endswith(b"\r\n\r\n") or begun == b"\r\n" else b"x")
            await asyncio.sleep(0.05)

    dribbling = asyncio.create_task(dribble())
    came = bytearray()
    try:
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                while part := await reader.read(65536):
                    came += part
    finally:
        dribbling.cancel()
        await asyncio.gather(dribbling, return_exceptions=True)
        writer.close()
    assert b"HTTP/1.1 408 Request Timeout" in came, begun


async def test_half_a_request_is_not_waited_for_however_slowly_it_goes_on(services: Services) -> None:
    stage = await proxy(services, SWITCHBOARD_HANDSHAKE_SECONDS="0.5")
    await asyncio.gather(*(cut_off(stage.proxy.port, half) for half in HALVES.values()))
    assert '"level":"error"' not in stage.proxy.output


@contextlib.asynccontextmanager
async def serving(app: object, seconds: float, unread_seconds: float = 30.0) -> AsyncIterator[int]:
    """An application behind the product's HTTP protocol, in this process; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=punctual(seconds, unread_seconds),
        lifespan="off",
        log_config=None,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def test_a_body_that_never_ends_is_not_waited_for() -> None:
    heard: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] == "http.request" and message["more_body"]:
            pass
        heard.append(message["type"])

    async with serving(app, 0.3) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert b"408 Request Timeout" in await reader.read()
        writer.close()
    assert heard == ["http.disconnect"]


async def test_an_answer_that_nobody_reads_is_not_held_for_ever() -> None:
    over = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.ensure_future(receive())
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        over.set()

    async with serving(app, 0.2, unread_seconds=0.3) as port, asyncio.timeout(20):
        bare = await little_room(port)
        bare.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await over.wait()
        bare.close()


async def test_a_stream_of_events_that_nobody_reads_is_let_go_and_gives_its_place_back() -> None:
    room, left, begun = Room(), asyncio.Event(), asyncio.Event()
    room.add(room.story.visitor(ConversationStarted(door="rest", user="sam")))
    room.add(room.story.bot(BotSaid(text="Hi!"), cause=1))
    room.add(room.story.visitor(TextWritten(session="", text="Tell me all")))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await stream(room, left)(scope, receive, send)

    async with serving(app, 5, unread_seconds=0.3) as port, asyncio.timeout(30):
        bare = await little_room(port)
        bare.send(b"GET /sessions/s/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        await begun.wait()
        # More than the system itself buffers, and a turn is open behind it: only the reader ends the stream.
        room.add(room.story.bot(BotSaid(text="x" * 30_000_000), cause=3))
        room.add(room.story.visitor(TextWritten(session="", text="And then?")))
        await left.wait()
        bare.close()


async def test_an_answer_may_take_longer_than_its_request() -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await go_on.wait()
        await respond(send, 200, b"slow but sure")

    async with serving(app, 0.2) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        late, idle = await asyncio.open_connection("127.0.0.1", port)  # connected later: cut later
        assert b"408" in await late.read()
        go_on.set()
        assert b"slow but sure" in await reader.read()
        writer.close()
        idle.close()


async def answers(port: int, *parts: bytes, until: bytes = b"", source: str = "127.0.0.1") -> bytes:
    """What comes back for a request of these parts: up to its end, or until it holds ``until``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    came = bytearray()
    with contextlib.suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
        while not (until and until in came) and (more := await reader.read(65536)):
            came += more
    writer.close()
    return bytes(came)


LAST = b"Connection: close\r\n"
LONG = b"X: " + b"x" * 40_000
HEADS = {
    "none named": ((b"GET / HTTP/1.1\r\n" + LAST + b"\r\n",), b"400"),
    "two hosts": ((b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n" + LAST + b"\r\n",), b"400"),
    "none, as HTTP/1.0 may": ((b"GET / HTTP/1.0\r\n\r\n",), b"200"),
    "large": ((b"GET / HTTP/1.1\r\nHost: a\r\n" + LONG + b"\r\n\r\n",), b"431"),
    "large, and endless": ((b"GET / HTTP/1.1\r\nHost: a\r\n", LONG), b"431"),
    "two lengths": (
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0",),
        b"400",
    ),
}


@pytest.mark.parametrize("head", HEADS)
async def test_a_head_that_means_two_things_or_is_too_large_is_refused(head: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, 200, b"taken")

    parts, status = HEADS[head]
    async with serving(app, 5) as port, asyncio.timeout(10):
        assert (await answers(port, *parts)).split(b" ", 2)[1] == status


@pytest.mark.parametrize("offer", [b"h2c", b"TLS/1.2, HTTP/1.1"], ids=["Java's client", "Apache's client"])
async def test_an_offer_of_another_protocol_is_ignored_and_the_body_arrives(offer: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        await respond(send, 200, b"heard " + body)

    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: " + offer
    async with serving(app, 5) as port, asyncio.timeout(10):
        answer = await answers(port, head + b"\r\nContent-Length: 5\r\n\r\nhello")
    assert answer.endswith(b"heard hello")


async def test_who_does_not_answer_pings_is_closed_and_who_answers_stays(services: Services) -> None:
    stage = await proxy(services, SWITCHBOARD_PING_SECONDS="1")
    wires = [FrameWire(*await asyncio.open_connection("127.0.0.1", stage.proxy.port)) for _ in range(2)]
    silent, lively = wires
    for one in wires:
        await one.upgrade()

    async def next_of(one: FrameWire, opcode: int) -> WireFrame:
        while (got := await one.receive()).opcode != opcode:
            pass
        return got

    async with asyncio.timeout(20):
        ping = await next_of(lively, PING)
        await lively.send(frame(PONG, ping.payload))
        code = (await next_of(silent, CLOSE)).payload[:2]
        assert int.from_bytes(code) == 1011
        ping = await next_of(lively, PING)
        await lively.send(frame(PONG, ping.payload), frame(PING, b"still here"))
        assert await next_of(lively, PONG) == WireFrame(PONG, b"still here")
    for one in wires:
        await one.leave()


# --- who reads too slowly ---------------------------------------------------------------------

SENTENCE = "x" * 16_000
#: More than the system's buffers and the proxy's own take together.
FLOOD = 500


async def deaf(stage: ProductStage, cookie: str, cursor: str = "") -> FrameWire:
    """A socket of this visitor with little room, that does not read by itself."""
    bare = await little_room(stage.proxy.port)
    one = FrameWire(*await asyncio.open_connection(sock=bare, limit=1024))
    await one.upgrade(f"Cookie: {cookie}\r\nSec-WebSocket-Protocol: switchboard.v1\r\n")
    return one


async def flood(stage: ProductStage, cookie: str, count: int) -> None:
    """An operator writes a lot, before anybody can have read it."""
    connections = Connections(stage.services.server)
    operator = await connections.log("operator")
    conversation = conversation_of(cookie.split("=")[1], "websocket")
    claim = ConversationClaimed(operator="ann")
    await operator.append(conversation, "operator", Entry(id="claim", facts=(claim,)))
    said = OperatorSaid(operator="ann", text=SENTENCE)
    entries = (Entry(id=f"{number}", facts=(said,)) for number in range(count))
    await asyncio.gather(*(operator.append(conversation, "operator", entry) for entry in entries))
    await connections.close()


def files(stage: ProductStage) -> int:
    """How many files and sockets the proxy holds."""
    assert stage.proxy.process is not None
    return len(os.listdir(f"/proc/{stage.proxy.process.pid}/fd"))


async def test_a_slow_reader_is_closed_with_its_code_and_resumes_where_it_was(services: Services) -> None:
    stage = await proxy(services)
    cookie = f"switchboard={uuid.uuid4().hex}"
    async with asyncio.timeout(90):
        slow = await deaf(stage, cookie)
        resumed = await slow.message()
        assert resumed["kind"] == "Resumed"
        await flood(stage, cookie, FLOOD)
        await is_metric(stage, 'switchboard_sockets_closed_total{code="4008",door="websocket"}', 1)
        heard = 0
        cursor = ""
        while (got := await slow.receive()).opcode != CLOSE:
            if got.opcode == PING:  # it is slow, not dead
                await slow.send(frame(PONG, got.payload))
                continue
            message = json.loads(got.payload)
            heard += message["kind"] == "OperatorText"
            cursor = message.get("cursor", cursor)
        assert int.from_bytes(got.payload[:2]) == 4008
        assert 0 < heard < FLOOD
        await slow.leave()
        async with stage.modern(cookie, cursor) as again:
            assert json.loads(await again.recv())["reset"] is False
            for _ in range(FLOOD - heard):
                assert json.loads(await again.recv())["kind"] == "OperatorText"


async def test_who_never_reads_is_cut_off_in_the_end_and_holds_nothing(services: Services) -> None:
    stage = await proxy(services, SWITCHBOARD_PING_SECONDS="1")
    cookie = f"switchboard={uuid.uuid4().hex}"
    before = files(stage)
    slow = await deaf(stage, cookie)
    await flood(stage, cookie, FLOOD)
    await is_metric(stage, OPEN, 0)
    async with asyncio.timeout(30):
        while files(stage) > before:
            await asyncio.sleep(0.1)
    await slow.leave()
    assert '"level":"error"' not in stage.proxy.output


async def test_while_no_workflow_answers_a_conversation_may_have_so_many_messages_wait(
    services: Services,
) -> None:
    """Another visitor's are taken all the same."""
    plenty = {"SWITCHBOARD_MESSAGE_BURST": "1000", "SWITCHBOARD_MESSAGES_PER_MINUTE": "100000"}
    stage = await proxy(services, **plenty)
    async with stage.modern() as socket, stage.modern() as other, asyncio.timeout(60):
        outcomes: list[str] = []
        for _ in range(MAX_UNANSWERED + 5):  # one after the other: what is on its way is not counted yet
            await tell(socket, {**OTHER, "id": str(uuid.uuid4())})
            while True:
                told = json.loads(await socket.recv())
                if told["kind"] in ("Ack", "Refused"):
                    outcomes.append(told.get("reason", "stored"))
                    break
        # The conversation's start waits for its answer, too.
        assert outcomes == ["stored"] * (MAX_UNANSWERED - 1) + ["too_many_unanswered"] * 6
        await tell(other, {**OTHER, "id": str(uuid.uuid4())})
        while (told := json.loads(await other.recv()))["kind"] != "Ack":
            assert told["kind"] != "Refused"
