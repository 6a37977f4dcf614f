"""What fails as nobody foresaw: no client waits for ever, and no other notices. At every door."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from deploy.local.embedded import EmbeddedNats
from shared.contract.entry import Entry
from shared.contract.facts import BotSaid
from tests.conftest import Services, connected, declare, log_of
from tests.faults.faulty_proxy import POISONS
from tests.processes import Service
from tests.replica import history
from tests.rest_client import RestClient
from tests.socketio_client import SocketIoClient
from tests.visitor import V1

FAULTY = "tests.faults.faulty_proxy"
ID = "00000000-0000-4000-8000-00000000000{}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    server = EmbeddedNats(tmp_path_factory.mktemp("faulty") / "data")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def proxy(server: EmbeddedNats) -> Iterator[Service]:
    async def begin() -> Service:
        client = await connected(server, "admin")
        await declare(client, max_bytes=1024**3)
        await client.close()
        services = Services(server, server.folder.parent)
        return await services.start("proxy", FAULTY, SWITCHBOARD_SECRET="of this test")

    proxy = asyncio.run(begin())
    yield proxy
    proxy.kill()


def socket(proxy: Service, modern: bool, cookie: str = "") -> connect:
    headers = {"Cookie": cookie} if cookie else {}
    return connect(
        f"ws://127.0.0.1:{proxy.port}/ws", additional_headers=headers, subprotocols=V1 if modern else None
    )


async def say(socket: ClientConnection, words: str, number: int) -> None:
    frame = {"kind": "UserText", "sessionId": "s", "content": words, "id": ID.format(number)}
    await socket.send(json.dumps(frame))


async def acknowledged(socket: ClientConnection, number: int) -> None:
    async with asyncio.timeout(20):
        while (frame := json.loads(await socket.recv()))["kind"] != "Ack":
            pass
    assert frame["id"] == ID.format(number)


async def closing(socket: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        async with asyncio.timeout(20):
            while True:
                await socket.recv()
    return closed.value.rcvd.code if closed.value.rcvd is not None else None


@pytest.fixture
async def bystander(proxy: Service) -> AsyncIterator[None]:
    """Another visitor, who was there before, and whose messages go through afterwards."""
    async with socket(proxy, modern=True) as other:
        await say(other, "before", 1)
        await acknowledged(other, 1)
        yield
        await say(other, "after", 2)
        await acknowledged(other, 2)


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.usefixtures("bystander")
async def test_a_websocket_is_closed_and_its_client_comes_back(
    proxy: Service, poison: str, modern: bool
) -> None:
    async with socket(proxy, modern) as opened:
        assert opened.response is not None
        cookie = opened.response.headers["set-cookie"].split(";")[0]
        for number, words in enumerate(("first", f"POISON {poison}", "behind it")):
            await opened.send(
                json.dumps(
                    {"kind": "UserText", "sessionId": "s", "content": words}
                    | ({"id": ID.format(number)} if modern else {})
                )
            )
        assert await closing(opened) == 4013
    async with socket(proxy, True, cookie) as again:
        await say(again, "behind it", 3)
        await acknowledged(again, 3)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.usefixtures("bystander")
async def test_a_chat_client_is_cut_off_and_its_next_message_gets_through(
    proxy: Service, poison: str, transport: str
) -> None:
    client = await SocketIoClient(proxy.url, [transport]).chat()
    assert await client.say("first") == {"stored": True}
    await client.io.emit("user_message", {"message": f"POISON {poison}"})
    async with asyncio.timeout(20):
        await client.left.wait()
    again = await SocketIoClient(proxy.url, [transport]).chat(session_id=client.session)
    assert again.session == client.session
    assert await again.say("next") == {"stored": True}
    await again.close()


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.usefixtures("bystander")
async def test_a_platform_is_cut_off_and_its_next_request_gets_through(proxy: Service, poison: str) -> None:
    auth: dict[str, Any] = {"agent": {"name": "emoji"}, "user": {"id": f"sam {poison}", "name": "Sam"}}
    client = await SocketIoClient(proxy.url, ["websocket"]).connect(**auth)
    assert await client.ask("first") == {"stored": True}
    await client.io.emit("request", {"key": "answer", "value": f"POISON {poison}"})
    async with asyncio.timeout(20):
        await client.left.wait()
    again = await SocketIoClient(proxy.url, ["websocket"]).connect(**auth)
    assert await again.ask("next") == {"stored": True}
    await again.close()


@pytest.mark.parametrize("poison", POISONS[:2])
@pytest.mark.usefixtures("bystander")
async def test_a_rest_client_is_told_and_its_next_message_gets_through(proxy: Service, poison: str) -> None:
    client = RestClient(proxy)
    lost = await client.post(f"POISON {poison}")
    assert lost.status_code == 500
    assert lost.json() == {"error": "internal error", **{k: None for k in lost.json() if k != "error"}}
    assert (await client.post("first")).status_code == 200
    assert len((await client.look())["messages"]) == 1
    await client.http.aclose()


async def test_the_fault_is_in_the_log_and_not_at_the_client(proxy: Service, tmp_path: Path) -> None:
    async with socket(proxy, modern=False) as opened:
        await opened.send(json.dumps({"kind": "UserText", "sessionId": "s", "content": "POISON raised"}))
        told = ""
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                told += str(await opened.recv())
        assert closed.value.rcvd is not None
        assert "fault of the test" not in told + closed.value.rcvd.reason
    await proxy.wrote("a fault of the test")


@pytest.mark.usefixtures("bystander")
async def test_an_entry_that_cannot_be_read_leaves_none_of_its_readers_waiting(proxy: Service) -> None:
    async with socket(proxy, modern=True) as one:
        assert one.response is not None
        cookie = one.response.headers["set-cookie"].split(";")[0]
        await say(one, "first", 1)
        await acknowledged(one, 1)
        async with socket(proxy, False, cookie) as bare, socket(proxy, True, cookie) as modern:
            for _ in range(2):  # what is to be told comes once they are being told it live
                await asyncio.wait_for(modern.recv(), 20)
            await asyncio.wait_for(bare.recv(), 20)
            await say(one, "POISON stored", 2)
            assert [await closing(each) for each in (one, bare, modern)] == [4013] * 3
    async with socket(proxy, True, cookie) as again:  # its history cannot be told either, and it says so
        assert await closing(again) == 4013


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.usefixtures("bystander")
async def test_an_entry_that_cannot_be_read_leaves_no_chat_client_waiting(
    proxy: Service, transport: str
) -> None:
    client = await SocketIoClient(proxy.url, [transport]).chat()
    assert await client.say("first") == {"stored": True}
    await client.io.emit("user_message", {"message": "POISON stored"})
    async with asyncio.timeout(20):
        await client.left.wait()


async def answer(server: EmbeddedNats, client: RestClient, words: str) -> None:
    """The bot says so, in answer to everything."""
    nats = await connected(server, "workflow")
    log = await log_of(nats, "workflow")
    for entry in await history(log, client.conversation):
        said = Entry(id=f"to {entry.position}", cause=entry.position, facts=(BotSaid(text=words),))
        await log.append(client.conversation, "bot", said)
    await nats.close()


@pytest.mark.usefixtures("bystander")
async def test_an_entry_that_cannot_be_read_leaves_no_rest_client_waiting(
    proxy: Service, server: EmbeddedNats
) -> None:
    client = RestClient(proxy)
    assert (await client.post("first")).status_code == 200
    async with client.http.stream("GET", f"/sessions/{client.session}/stream") as stream:
        assert stream.status_code == 200
        reading = asyncio.ensure_future(stream.aread())
        await answer(server, client, "POISON stored")
        await asyncio.wait_for(reading, 20)  # it ends, well before a turn is given up
    shown = await client.http.get(f"/sessions/{client.session}")
    assert (shown.status_code, shown.json()["error"]) == (500, "internal error")
    await client.http.aclose()


@pytest.mark.usefixtures("bystander")
async def test_a_stream_that_fails_in_the_middle_ends_and_says_nothing_internal(
    proxy: Service, server: EmbeddedNats
) -> None:
    client = RestClient(proxy)
    assert (await client.post("first")).status_code == 200
    told = b""
    async with client.http.stream("GET", f"/sessions/{client.session}/stream") as stream:
        await answer(server, client, "POISON streamed")
        with pytest.raises(httpx.RemoteProtocolError):  # it is cut off: nobody takes it for the whole
            async with asyncio.timeout(20):
                async for part in stream.aiter_bytes():
                    told += part
    assert b"fault of the test" not in told
    shown = await client.look()  # and it is there for who asks again
    assert shown["messages"][-1]["content"].endswith("POISON streamed")
    await client.http.aclose()
