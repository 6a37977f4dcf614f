"""A visitor whose conversation is long: told as a whole, at every door, and at nobody else's cost."""

from __future__ import annotations

import asyncio
import json
import secrets
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from shared.contract.entry import Entry
from shared.contract.facts import BotSaid
from shared.contract.subjects import conversation_of
from tests.conftest import Connections, Services
from tests.long_histories import write_long
from tests.processes import Service
from tests.rest_client import RestClient
from tests.socketio_client import SocketIoClient
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
    visitor, bot = await connections.client("proxy"), await connections.client("workflow")
    return await write_long(visitor, bot, conversation, turns, size, door)


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


async def test_what_is_stored_while_a_long_history_is_told_follows_it_once_and_in_order(
    connections: Connections, services: Services
) -> None:
    """For those who come at any moment of it."""
    secret = secrets.token_hex(16)
    conversation = conversation_of(secret, "websocket")
    turns, more = 1_500, 300
    await write(connections, conversation, turns, 100)
    log = await connections.log("workflow")
    proxy = await services.start("proxy")

    async def talk() -> None:
        for number in range(2 * turns + 2, 2 * turns + 2 + more):
            entry = Entry(id=f"more{number}", facts=(BotSaid(text=f"{number} more"),))
            await log.append(conversation, "bot", entry)

    async def one(number: int) -> list[str]:
        await asyncio.sleep(0.03 * number)
        numbers: list[str] = []
        async with socket(proxy, secret, number % 2 == 0) as opened, asyncio.timeout(120):
            while not numbers or numbers[-1] != str(2 * turns + 1 + more):
                frame = json.loads(await opened.recv())
                if frame["kind"] in ("BotText", "UserText"):
                    numbers.append(frame["content"].split()[0])
        return numbers

    *everybody, _ = await asyncio.gather(*(one(number) for number in range(12)), talk())
    assert all(numbers == [str(n) for n in range(1, 2 * turns + 2 + more)] for numbers in everybody)


async def test_a_slow_reader_is_told_a_long_history_at_its_own_pace(
    connections: Connections, services: Services
) -> None:
    secret = secrets.token_hex(16)
    await write(connections, conversation_of(secret, "websocket"), 400, 15_000)
    proxy = await services.start("proxy")
    before = memory(proxy)
    async with socket(proxy, secret, False) as slow, socket(proxy, secret, False) as quick:
        slow.transport.pause_reading()
        assert await told(quick, 400) == everything(400)
        assert memory(proxy) - before < 40
        slow.transport.resume_reading()
        assert await told(slow, 400) == everything(400)


async def test_what_a_client_says_while_it_is_told_a_long_history_waits_for_its_place(
    connections: Connections, services: Services
) -> None:
    secret = secrets.token_hex(16)
    await write(connections, conversation_of(secret, "websocket"), 1_500, 100)
    proxy = await services.start("proxy")
    ids = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(5)]
    async with socket(proxy, secret, True) as opened, asyncio.timeout(60):
        for id in ids:
            await opened.send(json.dumps({"kind": "UserText", "sessionId": "s", "content": "me", "id": id}))
        assert await told(opened, 1_500) == everything(1_500)
        acks: list[str] = []
        while len(acks) < len(ids):
            frame = json.loads(await opened.recv())
            acks += [frame["id"]] if frame["kind"] == "Ack" else []
    assert acks == ids


async def test_resuming_near_the_end_of_a_long_history_tells_the_rest_alone(
    connections: Connections, services: Services
) -> None:
    secret = secrets.token_hex(16)
    await write(connections, conversation_of(secret, "websocket"), 1_500, 100)
    proxy = await services.start("proxy")
    frames: list[dict[str, Any]] = []
    async with socket(proxy, secret, True) as opened, asyncio.timeout(60):
        while len(frames) < 3_001:
            frame = json.loads(await opened.recv())
            frames += [frame] if "cursor" in frame and frame["kind"] != "Resumed" else []
    for missed in (0, 1, 7, 600, 2_999):
        cursor = frames[len(frames) - missed - 1]["cursor"]
        async with socket(proxy, secret, True, f"?cursor={cursor}") as opened, asyncio.timeout(60):
            assert json.loads(await opened.recv()) == {"kind": "Resumed", "cursor": cursor, "reset": False}
            rest = [json.loads(await opened.recv()) for _ in range(missed + 1)]
        assert rest.pop()["kind"] == "State"
        assert rest == frames[len(frames) - missed :]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_chat_client_that_asks_for_everything_gets_all_of_a_long_chat(
    connections: Connections, services: Services, transport: str
) -> None:
    session = str(uuid.uuid4())
    await write(connections, conversation_of(session, "socketio"), 300, 8_000, "socketio")
    proxy = await services.start("proxy")
    client = await SocketIoClient(proxy.url, [transport]).chat(session_id=session, cursor="")
    assert client.session == session
    said = [(await client.next("bot_message"))["message"].split()[0] for _ in range(301)]
    assert sorted(map(int, said)) == list(map(int, said))
    assert len(set(said)) == 301
    assert await client.say("and on") == {"stored": True}
    await client.close()


async def test_a_session_of_rest_is_shown_with_all_of_its_messages(
    connections: Connections, services: Services
) -> None:
    session = str(uuid.uuid4())
    await write(connections, conversation_of(session, "rest"), 1_000, 200, "rest")
    proxy = await services.start("proxy")
    client = RestClient(proxy)
    client.session = session
    shown = (await client.look())["messages"]
    numbers = {int(word) for message in shown for word in message["content"].split() if word.isdigit()}
    assert numbers >= set(range(2, 2_001))
    await client.http.aclose()


def memory(proxy: Service) -> float:
    """What the process holds (MiB)."""
    assert proxy.process is not None
    status = Path(f"/proc/{proxy.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.parametrize(("turns", "size", "window"), [(40, 50, 30), (1_200, 100, 500), (60, 15_000, 40)])
async def test_the_newest_part_comes_first_and_earlier_ones_when_they_are_asked_for(
    connections: Connections, services: Services, turns: int, size: int, window: int
) -> None:
    """Another tab talks meanwhile: its words come between, and in their own order."""
    secret = secrets.token_hex(16)
    await write(connections, conversation_of(secret, "websocket"), turns, size)
    log = await connections.log("workflow")
    proxy = await services.start("proxy")
    shown: list[str] = []
    live: list[str] = []
    async with socket(proxy, secret, True, f"?window={window}") as opened, asyncio.timeout(100):
        resumed = json.loads(await opened.recv())
        assert resumed["reset"] is True
        while (frame := json.loads(await opened.recv()))["kind"] != "State":
            shown.append(frame["content"].split()[0])
        assert len(shown) == window
        before = resumed["earlier"]
        while before is not None:
            words = BotSaid(text=f"live{len(live)}")
            await log.append(
                conversation_of(secret, "websocket"), "bot", Entry(id=words.text, facts=(words,))
            )
            await opened.send(json.dumps({"kind": "Earlier", "before": before}))
            part: list[str] = []
            while True:
                frame = json.loads(await opened.recv())
                if frame["kind"] == "BotText":
                    live.append(frame["content"])
                elif frame["kind"] == "Earlier":
                    assert frame["before"] == before
                    part += [each["content"].split()[0] for each in frame["frames"]]
                    if "earlier" in frame:
                        before = frame["earlier"]
                        break
            shown = part + shown
    assert shown == everything(turns)
    assert live == [f"live{n}" for n in range(len(live))]


@pytest.mark.parametrize("window", ["0", "-3", "1001", "many", "1e3", "٣", "99999999999"])
async def test_a_window_that_is_no_number_is_refused_with_what_it_may_be(
    stage_proxy: Service, window: str
) -> None:
    async with socket(stage_proxy, secrets.token_hex(16), True, f"?window={quote(window)}") as opened:
        with pytest.raises(ConnectionClosed) as closed:
            await opened.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert "`window` is a whole number from 1 to 1000" in closed.value.rcvd.reason
    async with socket(stage_proxy, secrets.token_hex(16), False, f"?window={quote(window)}") as bare:
        assert await bare.ping() is not None  # bare clients know no window


@pytest.fixture
async def stage_proxy(services: Services) -> Service:
    return await services.start("proxy")


async def test_who_leaves_in_the_middle_takes_nothing_with_it(
    connections: Connections, services: Services
) -> None:
    """Many come and go again and again while a long history is read for them: the next one is told it all."""
    secret = secrets.token_hex(16)
    await write(connections, conversation_of(secret, "websocket"), 300, 15_000)
    proxy = await services.start("proxy")

    async def leave(seconds: float) -> None:
        async with socket(proxy, secret, True) as opened:
            await asyncio.sleep(seconds)
            opened.transport.abort()

    for _ in range(3):
        await asyncio.gather(*(leave(0.01 * number) for number in range(15)))
    async with socket(proxy, secret, False) as opened:
        assert await told(opened, 300) == everything(300)
    assert "feed_lost" not in proxy.output
    assert "Traceback" not in proxy.output
