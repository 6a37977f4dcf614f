"""What fails as nobody foresaw: no client waits for ever, and no other notices. At every door."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from deploy.local.embedded import EmbeddedNats
from shared.runtime.declare import declare
from tests.conftest import Services, connected
from tests.faults.faulty_proxy import POISONS
from tests.processes import Service
from tests.rest_client import Client as RestClient
from tests.socketio_client import Client as SocketIoClient
from tests.visitor import V1

FAULTY = "tests.faults.faulty_proxy"
ID = "00000000-0000-4000-8000-00000000000{}"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("faulty")
    server = EmbeddedNats(folder / "data")
    server.start()

    async def begin() -> Service:
        client = await connected(server, "admin")
        await declare(client, max_bytes=1024**3)
        await client.close()
        return await Services(server, folder).start("proxy", FAULTY, SWITCHBOARD_SECRET="of this test")

    proxy = asyncio.run(begin())
    yield proxy
    proxy.kill()
    server.stop()


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


@pytest.mark.usefixtures("bystander")
async def test_an_entry_that_cannot_be_read_leaves_no_rest_client_waiting(proxy: Service) -> None:
    client = RestClient(proxy)
    assert (await client.post("first")).status_code == 200
    path = f"/sessions/{client.session}"
    async with client.http.stream("GET", f"{path}/stream", timeout=20) as stream:
        assert stream.status_code == 200
        begun = asyncio.ensure_future(stream.aread())
        conversation = conversation_of(client.session, "rest")
        log_client = await connected(proxy_server(proxy), "workflow")
        entry = Entry(id="p", facts=(BotSaid(text="POISON stored"),))
        await Log(log_client).append(conversation, "bot", entry)
        await asyncio.wait_for(begun, 20)  # it ends: the client may come back
        await log_client.close()
    answer = await client.http.get(path, timeout=20)
    assert answer.status_code == 500
    assert answer.json()["error"] == "internal error"
    await client.http.aclose()
