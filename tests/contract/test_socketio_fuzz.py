"""Whatever strangers send to the Socket.IO doors: an error with a message, no trace, memory flat."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.conftest import Services
from tests.contract.test_socketio import SocketIoStage, running

#: No packet of these ends the session in good faith: that is the client's right.
FAREWELLS = ("1", "41")
AGENT = {"agent": {"name": "emoji"}, "user": {"id": 1}}

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just("x" * 20_000),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=10,
)
EVENTS = st.sampled_from(
    ["user_message", "request", "end", "error", "connect", "disconnect", "*", "", "ping"]
)
FIELDS = st.sampled_from(
    ["message", "session_id", "id", "key", "value", "annotations", "agent", "user", "chat"]
)
OBJECTS = st.dictionaries(FIELDS, JSON)
KINDS = st.sampled_from(["40", "43", "44", "45", "451-", "46"])
DEPTHS = st.sampled_from([10, 1_000, 20_000])
PACKETS = st.one_of(
    st.builds(lambda event, payload: "42" + json.dumps([event, payload]), EVENTS, JSON | OBJECTS),
    st.builds(lambda number, rest: f"42{number}{json.dumps(rest)}", st.integers(), st.lists(JSON)),
    st.builds(lambda kind, rest: f"{kind}{json.dumps(rest)}", KINDS, JSON),
    st.builds(lambda depth: '42["user_message",' + "[" * depth + "]" * depth + "]", DEPTHS),
    st.text(alphabet='0123456789-/,[]{}":_placeholderb', max_size=60),
    TEXT,
)
GARBAGE = st.lists(
    PACKETS.filter(lambda text: text not in FAREWELLS and not text.startswith("41") and len(text) < 60_000)
    | st.binary(max_size=60),
    max_size=15,
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SocketIoStage]:
    limits = {
        "SWITCHBOARD_MESSAGE_BURST": "100000",
        "SWITCHBOARD_MESSAGES_PER_MINUTE": "1000000",
        "SWITCHBOARD_SECRET": "of this test",
    }
    with running(tmp_path_factory.mktemp("stage"), **limits) as stage:
        yield stage
        assert "Traceback" not in stage.proxy.output
        assert "Traceback" not in stage.workflow.output


def memory(stage: SocketIoStage) -> int:
    """The proxy's resident memory in MiB."""
    assert stage.proxy.process is not None
    status = Path(f"/proc/{stage.proxy.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) // 1024


def judge(packet: str) -> tuple[str, Any]:
    """An event that the server sent: of a known name, an error with words of ours alone."""
    name, data = json.loads(packet.removeprefix("42"))
    assert name in ("session_id", "bot_message", "error", "interjection", "response")
    if name == "error":
        assert data.keys() == {"message"}
        assert len(data["message"]) < 400
        assert not any(word in data["message"] for word in ("Traceback", "site-packages", "services", "File"))
    return name, data


async def until(socket: ClientConnection, wanted: str, text: str) -> None:
    """Read until an event of this name that holds this text."""
    async with asyncio.timeout(20):
        while True:
            packet = str(await socket.recv())
            if packet == "2":
                await socket.send("3")
            elif packet.startswith("42"):
                name, data = judge(packet)
                if name == wanted and text in json.dumps(data):
                    return
            else:
                assert packet.startswith(("0{", "40", "43", "44")), packet


async def by_websocket(stage: SocketIoStage, garbage: list[str | bytes], auth: dict[str, Any]) -> None:
    address = f"{stage.proxy.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"
    async with connect(address, max_size=None) as socket:
        await socket.recv()
        await socket.send("40" + json.dumps(auth))
        for packet in garbage:
            await socket.send(packet)
        await socket.send('42["request",{"key":"the last one"}]' if auth else '42["the last one"]')
        await until(socket, "response" if auth else "error", "the last one")


async def by_polling(stage: SocketIoStage, garbage: list[str | bytes]) -> None:
    async with httpx.AsyncClient(base_url=stage.proxy.url, timeout=20) as client:
        opened = await client.get("/socket.io/?EIO=4&transport=polling")
        address = f"/socket.io/?EIO=4&transport=polling&sid={json.loads(opened.text[1:])['sid']}"
        assert (await client.post(address, content="40")).status_code == 200
        for packet in garbage:
            body = packet.encode() if isinstance(packet, str) else packet
            if "1" in body.decode(errors="replace").split("\x1e"):
                continue
            answer = await client.post(address, content=body)
            assert answer.status_code in (200, 400), answer.text
            if answer.status_code == 400 and b"not UTF-8" not in answer.content:
                return  # what is no packet for polling ends the session
        assert (await client.post(address, content='42["the last one"]')).status_code == 200
        heard = ""
        while "the last one" not in heard:
            heard = (await client.get(address)).text
            for packet in heard.split("\x1e"):
                if packet.startswith("42"):
                    judge(packet)


relaxed = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@relaxed
@given(GARBAGE)
def test_any_packets_by_websocket_are_survived_and_errors_have_words(
    stage: SocketIoStage, garbage: list[str | bytes]
) -> None:
    asyncio.run(by_websocket(stage, garbage, {}))


@relaxed
@given(GARBAGE)
def test_any_packets_of_a_platform_are_survived(stage: SocketIoStage, garbage: list[str | bytes]) -> None:
    # Its own farewell is not garbage: after it nothing is answered.
    kept = [packet for packet in garbage if not (isinstance(packet, str) and '"end"' in packet)]
    asyncio.run(by_websocket(stage, kept, AGENT))


@relaxed
@given(GARBAGE)
def test_any_packets_by_polling_are_survived(stage: SocketIoStage, garbage: list[str | bytes]) -> None:
    asyncio.run(by_polling(stage, garbage))


async def test_attachments_that_never_come_and_sessions_that_never_begin_take_no_memory(
    stage: SocketIoStage,
) -> None:
    address = f"{stage.proxy.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"

    async def flood() -> None:
        async with connect(address, max_size=None) as socket:
            await socket.recv()
            await socket.send("40")
            await until(socket, "bot_message", "Which one?")
            for _ in range(100):
                await socket.send('4599999-["user_message",{"_placeholder":true,"num":0}]')
                await socket.send(b"x" * 60_000)
            await socket.send('42["the last one"]')
            await until(socket, "error", "the last one")
        async with httpx.AsyncClient(base_url=stage.proxy.url) as client:
            for _ in range(100):
                assert (await client.get("/socket.io/?EIO=4&transport=polling")).status_code == 200

    await flood()  # what is loaded and pooled at first
    before = memory(stage)
    for _ in range(5):
        await flood()
    assert memory(stage) - before < 20  # 30 MB of attachments were sent


@pytest.mark.parametrize("packet", ["2", "3", "5", "6"])
async def test_packets_of_the_transport_that_nobody_asked_for_are_not_answered(
    stage: SocketIoStage, packet: str
) -> None:
    address = f"{stage.proxy.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"
    async with connect(address) as socket:
        await socket.recv()
        await socket.send("40")
        await until(socket, "bot_message", "Which one?")
        for _ in range(1000):
            await socket.send(packet)
        await socket.send('42["the last one"]')
        assert "the last one" in str(await socket.recv())  # nothing else in between
    async with httpx.AsyncClient(base_url=stage.proxy.url, timeout=10) as client:
        opened = await client.get("/socket.io/?EIO=4&transport=polling")
        polled = f"/socket.io/?EIO=4&transport=polling&sid={json.loads(opened.text[1:])['sid']}"
        packets = "\x1e".join(["40", *[packet] * 50])
        assert (await client.post(polled, content=packets)).status_code == 200
        assert packet not in (await client.get(polled)).text.split("\x1e")


async def test_who_is_introduced_is_not_introduced_again(stage: SocketIoStage) -> None:
    address = f"{stage.proxy.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"
    async with connect(address) as socket:
        await socket.recv()
        await socket.send("40")
        await until(socket, "session_id", "")
        await socket.send("40{}")
        await until(socket, "error", "introduced already")


async def test_goodbye_and_hello_on_one_socket_count_as_connects(services: Services) -> None:
    limits = {"SWITCHBOARD_CONNECT_BURST": "3", "SWITCHBOARD_CONNECTS_PER_MINUTE": "1"}
    proxy = await services.start("proxy", **limits)
    address = f"{proxy.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"
    async with connect(address) as socket:
        await socket.recv()
        begun = set()
        with pytest.raises(ConnectionClosed) as caught:
            async with asyncio.timeout(20):
                for _ in range(10):
                    await socket.send("40")
                    while not (packet := str(await socket.recv())).startswith('42["session_id"'):
                        pass
                    begun.add(packet)
                    await socket.send("41")
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4029
    assert len(begun) == 3


async def test_a_post_to_a_session_that_has_ended_is_refused(stage: SocketIoStage) -> None:
    async with httpx.AsyncClient(base_url=stage.proxy.url, timeout=20) as client:
        opened = await client.get("/socket.io/?EIO=4&transport=polling")
        polled = f"/socket.io/?EIO=4&transport=polling&sid={json.loads(opened.text[1:])['sid']}"
        assert (await client.post(polled, content="40")).status_code == 200
        assert (await client.post(polled, content="1")).status_code == 200
        answer = await client.post(polled, content="40")
        assert (answer.status_code, answer.json()) == (
            400,
            {"error": "there is no such session, or it has ended"},
        )
