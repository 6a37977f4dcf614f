"""Nothing of a conversation is ever seen by anyone but its visitor: attempts at every door.

Eve knows whatever can be known without a visitor's secret: names of conversations (they are on the
log), cursors and event ids, user ids, her own secrets, and secrets that are nearly right or of another
door. Alice said a word at each door; Eve never reads it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from socketio.exceptions import ConnectionError as ConnectionRefused
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from shared.contract.subjects import conversation_of
from tests.conftest import Services, shared_services
from tests.processes import Service
from tests.rest_client import RestClient as Rest
from tests.socketio_client import SocketIoClient as SocketIo
from tests.visitor import V1

#: Alice is there for all of them; what they try leaves nothing behind.
pytestmark = pytest.mark.asyncio(loop_scope="module")

WORD = "alices-secret-word"
SETTINGS = {
    "SWITCHBOARD_SECRET": "names the rooms of the agents' users",
    "SWITCHBOARD_CONNECTS_PER_MINUTE": "1000000",  # all tests come from one address
    "SWITCHBOARD_CONNECT_BURST": "1000000",
}
FLOW = {
    "ask": {"sendRequest": {"kind": "StartChatSession", "sessionId": "s", "chatText": "What is it?"}},
    "got": {"matchResponse": {"kind": "UserText", "sessionId": "s"}, "next": "thanks"},
    "thanks": {"sendRequest": {"kind": "BotText", "content": "Thanks"}, "next": "ask"},
}


class WebSocket:
    """A visitor at the WebSocket door."""

    def __init__(self, url: str) -> None:
        self.url = url.replace("http", "ws", 1)
        self.cookie = ""
        self.cursor = ""
        self.heard: list[str] = []

    async def talk(self, text: str, modern: bool = True, asked: dict[str, str] | None = None) -> None:
        """Connect, wait until something is asked, say something, and wait for the answer."""
        query = "&".join(f"{name}={value}" for name, value in (asked or {}).items())
        headers = {"Cookie": f"switchboard={self.cookie}"} if self.cookie else {}
        protocols = V1 if modern else None
        address = f"{self.url}/ws?{query}"
        async with connect(address, subprotocols=protocols, additional_headers=headers) as socket:
            assert socket.response is not None
            if given := socket.response.headers.get("set-cookie"):
                self.cookie = given.split(";")[0].partition("=")[2]
            with contextlib.suppress(ConnectionClosed):
                await self._until(socket, "StartChatSession")
                await socket.send(json.dumps({"kind": "UserText", "sessionId": "s", "content": text}))
                await self._until(socket, "StartChatSession")

    async def _until(self, socket: ClientConnection, kind: str) -> None:
        async with asyncio.timeout(20):
            while True:
                self.heard.append(str(await socket.recv()))
                frame = json.loads(self.heard[-1])
                self.cursor = frame.get("cursor") or self.cursor
                if frame["kind"] == kind:
                    return


class TwoPeople:
    """Alice's conversation at each door, and everything that Eve knows."""

    def __init__(self, services: Services, proxy: Service) -> None:
        self.services = services
        self.proxy = proxy
        self.rest = Rest(proxy, user="alice")
        self.websocket = WebSocket(proxy.url)
        self.socketio = SocketIo(proxy.url, ["websocket"])
        self.event_ids: list[str] = []

    async def begin(self) -> TwoPeople:
        await self.rest.say(f"{WORD} rest")
        self.event_ids = [event.id for event in await self.rest.events()]
        await self.websocket.talk(f"{WORD} websocket")
        await self.socketio.chat()
        await self.socketio.says()
        await self.socketio.say(f"{WORD} socketio")
        await self.socketio.says(2)
        return self

    @property
    def secrets(self) -> dict[str, str]:
        return {
            "rest": self.rest.session,
            "websocket": self.websocket.cookie,
            "socketio": self.socketio.session,
        }

    def known(self, door: str) -> list[str]:
        """What Eve may take for Alice's secret at this door."""
        secret = self.secrets[door]
        last = "0" if secret[-1] != "0" else "1"
        names = [conversation_of(each, name) for name, each in self.secrets.items()]
        others = [each for name, each in self.secrets.items() if name != door]
        forms = [str(uuid.UUID(each)) for each in (*names, *others)] + [
            uuid.UUID(each).hex for each in others
        ]
        nearly = [
            secret[:-1] + last,
            secret[:-1],
            secret + "0",
            f" {secret}x",
            secret.upper() + "x",
            secret[::-1],
        ]
        guesses = [str(uuid.UUID(int=number)) for number in (0, 1, 2**128 - 1)] + [
            str(uuid.uuid4()) for _ in range(5)
        ]
        wild = ["*", ">", "alice", "null", "undefined", "%2e%2e", "%00", f"chat.*.{names[0]}.visitor"]
        found = [
            *names,
            *others,
            *forms,
            *nearly,
            *guesses,
            *wild,
            *self.event_ids[:2],
            self.websocket.cursor,
        ]
        return [each for each in dict.fromkeys(found) if each != secret]

    async def close(self) -> None:
        await self.rest.close()
        await self.socketio.close()


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with shared_services(tmp_path_factory.mktemp("stage")) as services:
        yield services


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(services: Services, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TwoPeople]:
    flow = tmp_path_factory.mktemp("flow") / "flow.json"
    flow.write_text(json.dumps(FLOW))
    proxy = services.make("proxy", **SETTINGS)
    workflow = services.make("workflow", SWITCHBOARD_FLOW=str(flow))
    proxy.launch()
    workflow.launch()
    await workflow.ready()
    await proxy.ready()
    stage = await TwoPeople(services, proxy).begin()
    yield stage
    await stage.close()


async def test_alice_herself_is_let_in_everywhere(stage: TwoPeople) -> None:
    assert f"{WORD} rest" in json.dumps(await stage.rest.look())
    await stage.websocket.talk("again")
    assert any(f"{WORD} websocket" in frame for frame in stage.websocket.heard)
    again = SocketIo(stage.proxy.url, ["websocket"])
    await again.chat(session_id=stage.socketio.session)
    assert again.session == stage.socketio.session
    await again.close()


async def test_at_the_rest_door_nothing_lets_eve_in_but_the_session_id(stage: TwoPeople) -> None:
    eve = Rest(stage.proxy, user="eve")
    await eve.say("hello")
    own, seen = eve.session, []
    for value in [*stage.known("rest"), stage.rest.session]:
        seen.append((await eve.post("hi", session=value)).text)
        eve.session = own
        holds = value == stage.rest.session  # whoever holds it may read; the user's name she must know, too
        for path in () if holds else (f"/sessions/{value}", f"/sessions/{value}/stream"):
            answer = await eve.http.get(path)
            seen.append(answer.text)
            assert answer.status_code in (400, 404), (path, answer.text)
    for place in (*stage.event_ids, stage.websocket.cursor):
        seen += [event.data for event in await eve.events(place)]
    cookie = {"Cookie": f"switchboard={stage.websocket.cookie}"}
    seen.append((await eve.http.get(f"/sessions/{own}", headers=cookie)).text)
    seen.append((await eve.http.get("/metrics")).text)
    assert all(WORD not in text for text in seen)
    assert len((await stage.rest.look())["messages"]) == 2
    await eve.close()


async def test_at_the_websocket_nothing_lets_eve_in_but_the_cookie(stage: TwoPeople) -> None:
    for value in stage.known("websocket"):
        with contextlib.suppress(ValueError):  # no header can hold it
            eve = WebSocket(stage.proxy.url)
            eve.cookie = value
            await eve.talk("mine", modern=len(value) % 2 == 0)
            assert eve.cookie != stage.websocket.cookie
            assert all(WORD not in frame for frame in eve.heard)
    eve = WebSocket(stage.proxy.url)
    await eve.talk("mine")

    async def tries(cursor: str) -> None:
        """A position that does not come yet is waited for: in case this replica is behind."""
        named = {
            "session_id": stage.websocket.cookie,
            "conversation": conversation_of(eve.cookie, "websocket"),
        }
        for asked in ({"cursor": cursor}, {"cursor": cursor, **named}):
            again = WebSocket(stage.proxy.url)
            again.cookie = eve.cookie
            await again.talk("mine", asked=asked)
            assert all(WORD not in frame for frame in again.heard)

    near = eve.cursor[:-4] + stage.websocket.cursor[-4:]
    await asyncio.gather(*map(tries, (stage.websocket.cursor, *stage.event_ids[:1], near)))
    # Two cookies of the name: whichever counts, it is one that she holds.
    eve.cookie = f"{eve.cookie}; switchboard={conversation_of(stage.websocket.cookie, 'websocket')}"
    await eve.talk("mine")
    assert all(WORD not in frame for frame in eve.heard)


async def test_at_socket_io_nothing_lets_eve_in_but_the_session_id(stage: TwoPeople) -> None:
    for value in [*stage.known("socketio"), {"$ne": ""}, [stage.socketio.session], 7, True]:
        eve = SocketIo(stage.proxy.url, ["websocket"])
        with contextlib.suppress(ConnectionRefused):
            await eve.connect(session_id=value)
            name, data = await eve.event()
            if name == "session_id":
                assert data["session_id"] != stage.socketio.session
                heard = [await eve.event()]
                for session in (stage.socketio.session, stage.rest.session):
                    await eve.io.emit("user_message", {"session_id": session, "message": "hi"})
                    heard.append(await eve.event())
                    assert heard[-1][0] == "error"
                await eve.say("mine")
                heard += [await eve.event(), await eve.event()]
                assert WORD not in str(heard)
            else:
                assert name == "error"
                assert WORD not in str(data)
        await eve.close()
    assert stage.socketio.unheard == 0


async def test_rooms_of_agents_do_not_meet(stage: TwoPeople) -> None:
    def auth(user: Any, chat: Any = None, agent: Any = "emoji") -> dict[str, Any]:
        return {"agent": {"name": agent}, "user": {"id": user}, **({"chat": {"id": chat}} if chat else {})}

    alice = await SocketIo(stage.proxy.url, ["websocket"]).connect(**auth(17, 4))
    await alice.next("interjection")
    eves = []
    for user, chat in [
        *((17, None), ("17", 40), (1, 74), ("174", None), ("17:4", None), ("17.4", None), ("17/4", None)),
        *(('17","chat":"4', None), ("17\x00", "4"), ("17 ", "4"), (" 17", "4"), ("017", 4), ("17", " 4")),
        (conversation_of("17", "agents"), None),
    ]:
        eve = SocketIo(stage.proxy.url, ["websocket"])
        with contextlib.suppress(ConnectionRefused):
            await eve.connect(**auth(user, chat))
            await eve.next("interjection")
            eves.append(eve)
    assert len(eves) >= 8
    await alice.ask(WORD)
    assert (await alice.next("response"))["value"] == WORD
    for number, eve in enumerate(eves):
        await eve.ask(f"own {number}")
        assert (await eve.next("response"))["value"] == f"own {number}"  # and nothing before it
        assert eve.unheard == 0
    await eves[0].io.emit("end", {"agent": {"name": "emoji"}, "user": {"id": 17}, "chat": {"id": 4}})
    await alice.ask("still here")
    assert (await alice.next("response"))["value"] == "still here"
    for client in (alice, *eves):
        await client.close()


async def test_visitors_who_talk_at_the_same_time_hear_their_own_words_only(stage: TwoPeople) -> None:
    async def rest(number: int) -> str:
        client = Rest(stage.proxy, user="same user")
        heard = ""
        for turn in range(3):
            await client.say(f"rest-{number}-{turn}")
            heard += "".join(event.data for event in await client.events())
        heard += json.dumps(await client.look())
        await client.close()
        return heard

    async def websocket(number: int) -> str:
        visitor = WebSocket(stage.proxy.url)
        for turn in range(3):
            await visitor.talk(f"websocket-{number}-{turn}")
        return "".join(visitor.heard)

    count = 6
    heard = await asyncio.gather(*(talk(number) for talk in (rest, websocket) for number in range(count)))
    for place, text in enumerate(heard):
        own = f"{'rest' if place < count else 'websocket'}-{place % count}-"
        assert own in text
        for other in range(count):
            for door in ("rest", "websocket"):
                name = f"{door}-{other}-"
                assert (name in text) == (name == own)
        assert WORD not in text


async def test_the_operators_door_opens_for_no_visitor(stage: TwoPeople) -> None:
    operator = await stage.services.start("operator")
    names = [conversation_of(secret, door) for door, secret in stage.secrets.items()]
    secrets = [*stage.secrets.values(), "x" * 43]
    async with httpx.AsyncClient(base_url=operator.url) as client:
        for value in (*names, *secrets):
            headers = [
                {"Cookie": f"switchboard_operator={value}"},
                {"Cookie": f"switchboard={value}"},
                {"Authorization": f"Bearer {value}"},
            ]
            for header in headers:
                for name in names:
                    answer = await client.get(f"/api/conversations/{name}", headers=header)
                    assert answer.status_code == 401
                    assert WORD not in answer.text
                assert (await client.get("/api/conversations?view=live", headers=header)).status_code == 401
                assert (await client.get("/api/events", headers=header)).status_code == 401


async def test_no_secret_is_written_down(stage: TwoPeople, services: Services) -> None:
    await stage.websocket.talk("again")
    await stage.proxy.stop()
    for service in services.started:
        for secret in stage.secrets.values():
            assert secret not in service.output
    log = b"".join(path.read_bytes() for path in services.server.folder.rglob("*") if path.is_file())
    assert WORD.encode() not in log
    for door, secret in stage.secrets.items():
        assert conversation_of(secret, door).encode() in log
        assert secret.encode() not in log
