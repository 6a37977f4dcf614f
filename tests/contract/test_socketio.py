"""The Socket.IO chat as clients know it: against the real proxy, workflow and server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from shared.contract.entry import Entry
from shared.contract.facts import ConversationClaimed, OperatorSaid
from shared.contract.subjects import conversation_of
from tests.conftest import Connections, Services, shared_services
from tests.processes import Service
from tests.replica import history
from tests.socketio_client import Balancer, SocketIoClient

HI = ["Hi!", "Which one?\n1. Rust\n2. Other"]
FLOW = {
    "hello": {"sendRequest": {"kind": "BotText", "content": "<b>Hi!</b>"}, "next": "pick"},
    "pick": {
        "sendRequest": {
            "kind": "ChoiceRequest",
            "groupId": "lang",
            "question": "Which one?",
            "choices": [{"itemId": "rust", "content": "Rust"}, {"itemId": 7, "content": "<i>Other</i>"}],
        }
    },
    "isRust": {
        "matchResponse": {"kind": "ChoiceResponse", "groupId": "lang", "itemId": "rust"},
        "next": "pick",
    },
    "isOther": {"matchResponse": {"kind": "ChoiceResponse", "groupId": "lang", "itemId": 7}, "next": "ask"},
    "ask": {"sendRequest": {"kind": "StartChatSession", "sessionId": "fav", "chatText": "Tell me."}},
    "got": {"matchResponse": {"kind": "UserText", "sessionId": "fav"}, "next": "ask"},
}
TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]]


class SocketIoStage:
    """A proxy, a workflow that leads along `FLOW`, and clients that are closed at the end."""

    def __init__(self, services: Services, flow: Path, **proxies: str) -> None:
        """``proxies``: settings of theirs."""
        flow.write_text(json.dumps(FLOW))
        self._settings = proxies
        self.services = services
        self.flow = str(flow)
        self.proxy = self.launch("proxy")
        self.workflow = self.launch("workflow")
        self._clients: list[SocketIoClient] = []

    def launch(self, name: str, **settings: str) -> Service:
        if name == "workflow":
            settings["SWITCHBOARD_FLOW"] = self.flow
        else:
            settings = {**self._settings, **settings}
        service = self.services.make(name, **settings)
        service.launch()
        return service

    def client(
        self, transports: list[str] | None = None, url: str = "", headers: dict[str, str] | None = None
    ) -> SocketIoClient:
        client = SocketIoClient(url or self.proxy.url, transports, headers)
        self._clients.append(client)
        return client

    async def close(self) -> None:
        for client in self._clients:
            await client.close()

    async def ready(self) -> SocketIoStage:
        for service in (self.proxy, self.workflow):
            await service.ready()
        return self


@contextlib.contextmanager
def running(folder: Path, **proxies: str) -> Iterator[SocketIoStage]:
    """A stage that many tests may share."""
    with shared_services(folder) as services:
        stage = SocketIoStage(services, folder / "flow.json", **proxies)
        asyncio.run(stage.ready())
        yield stage


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SocketIoStage]:
    with running(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture
async def stage(shared_stage: SocketIoStage) -> AsyncIterator[SocketIoStage]:
    """For tests that do not disturb one another: they share the services, not a conversation."""
    yield shared_stage
    await shared_stage.close()


@pytest.fixture
async def own_stage(services: Services, tmp_path: Path) -> AsyncIterator[SocketIoStage]:
    """For tests that stop something, or look at the log."""
    stage = await SocketIoStage(services, tmp_path / "flow.json").ready()
    yield stage
    await stage.close()


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
async def test_a_visitor_is_welcomed_and_answered(stage: SocketIoStage, transports: list[str]) -> None:
    visitor = await stage.client(transports).chat()
    assert uuid.UUID(visitor.session).version == 4
    welcome = await visitor.next("bot_message")
    assert welcome["message"] == "Hi!"
    assert welcome["timestamp"].endswith("Z")
    assert welcome.keys() == {"message", "timestamp"}
    assert await visitor.says() == [HI[1]]
    assert await visitor.say("2") == {"stored": True}
    assert await visitor.says() == ["Tell me."]


@pytest.mark.parametrize("answer", ["2", " 2 ", "7", "other", "OTHER"])
async def test_a_choice_is_answered_by_number_id_or_words(stage: SocketIoStage, answer: str) -> None:
    visitor = await stage.client().chat()
    await visitor.says(2)
    await visitor.say(answer)
    assert await visitor.says() == ["Tell me."]


async def test_an_answer_that_fits_nothing_is_an_error_and_the_question_stays(stage: SocketIoStage) -> None:
    visitor = await stage.client().chat()
    await visitor.says(2)
    await visitor.say("3")
    assert (await visitor.next("error")).keys() == {"message"}
    await visitor.say("1")
    assert await visitor.says() == [HI[1]]


async def test_the_session_may_be_named_and_no_other_one(stage: SocketIoStage) -> None:
    visitor, other = await stage.client().chat(), await stage.client().chat()
    for client in (visitor, other):
        await client.says(2)
    assert await visitor.say("2", session_id=visitor.session) == {"stored": True}
    assert await visitor.says() == ["Tell me."]
    assert await visitor.say("x", session_id="") == {"stored": True}
    assert await visitor.says() == ["Tell me."]
    assert await visitor.say("2", session_id=other.session) == {
        "error": "This connection has another session."
    }
    assert await visitor.next("error") == {"message": "This connection has another session."}
    await other.say("1")
    assert await other.says() == [HI[1]]  # nobody answered for it


async def test_two_visitors_never_see_each_other_and_two_sockets_of_one_both_do(stage: SocketIoStage) -> None:
    first, stranger = await stage.client().chat(), await stage.client(["polling"]).chat()
    for client in (first, stranger):
        await client.says(2)
    second = await stage.client(["polling"]).chat(session_id=first.session)
    assert second.session == first.session
    for _ in range(3):
        await first.say("1")
        assert await first.says() == await second.says() == [HI[1]]
    await second.say("2")
    assert await first.says() == await second.says() == ["Tell me."]
    await stranger.say("1")
    assert await stranger.says() == [HI[1]]
    assert (first.unheard, second.unheard, stranger.unheard) == (0, 0, 0)


async def test_a_session_is_resumed_and_nothing_is_told_again(stage: SocketIoStage) -> None:
    visitor = await stage.client().chat()
    await visitor.says(2)
    await visitor.say("2")
    await visitor.says()
    await visitor.close()
    again = await stage.client().chat(session_id=visitor.session)
    assert again.session == visitor.session
    await again.say("hello")
    assert await again.says() == ["Tell me."]  # the flow went on where it was
    assert again.unheard == 0


@pytest.mark.parametrize("known", ["7b1c9a52-40f1-4b53-9d0e-2f6f3c1f8a10", "nonsense", "", 5, None])
async def test_a_session_that_is_none_becomes_a_new_one(stage: SocketIoStage, known: Any) -> None:
    visitor = await stage.client().chat(session_id=known)
    assert visitor.session != known
    assert await visitor.says(2) == HI


async def test_a_client_that_keeps_its_cursor_gets_what_it_missed_and_no_more(stage: SocketIoStage) -> None:
    visitor = await stage.client().chat(cursor="")
    await visitor.next("bot_message")
    asked = await visitor.next("bot_message")
    await visitor.close()
    other = await stage.client().chat(session_id=visitor.session)
    await other.say("2")
    assert await other.says() == ["Tell me."]
    again = await stage.client().chat(session_id=visitor.session, cursor=asked["cursor"])
    missed = await again.next("bot_message")
    assert missed["message"] == "Tell me."
    await again.close()
    last = await stage.client().chat(session_id=visitor.session, cursor=missed["cursor"])
    await last.say("x")
    assert await last.says() == ["Tell me."]
    assert last.unheard == 0


async def test_a_message_that_is_sent_again_is_stored_and_answered_once(stage: SocketIoStage) -> None:
    visitor = await stage.client().chat()
    await visitor.says(2)
    id = str(uuid.uuid4())
    assert await visitor.say("2", id=id) == {"stored": True}
    assert await visitor.says() == ["Tell me."]
    assert await visitor.say("2", id=id) == {"stored": True}
    other = {"error": "user_message: this id was used before, with another message"}
    assert await visitor.say("3", id=id) == other
    assert await visitor.next("error") == {"message": other["error"]}
    await visitor.say("x")
    assert await visitor.says() == ["Tell me."]
    assert visitor.unheard == 0


async def test_what_an_operator_says_is_a_bot_message(
    own_stage: SocketIoStage, connections: Connections
) -> None:
    visitor = await own_stage.client().chat()
    await visitor.says(2)
    log = await connections.log("operator")
    conversation = conversation_of(visitor.session, "socketio")
    await log.append(conversation, "operator", Entry(id="1", facts=(ConversationClaimed(operator="ada"),)))
    said = OperatorSaid(operator="ada", text="1 < 2, I am <b>Ada</b>")
    await log.append(conversation, "operator", Entry(id="2", facts=(said,)))
    assert await visitor.says() == ["1 < 2, I am <b>Ada</b>"]
    assert await visitor.say("thanks") == {"stored": True}  # for the operator; the bot is silent


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("user_message", None),
        ("user_message", "text"),
        ("user_message", ["text"]),
        ("user_message", {}),
        ("user_message", {"message": None}),
        ("user_message", {"message": {"deep": [1] * 100}}),
        ("user_message", {"message": "x" * 20_000}),
        ("user_message", {"message": "x", "session_id": [1]}),
        ("user_message", ({"message": "x"}, {"message": "y"})),
        ("nothing", {"message": "x"}),
        ("session_id", {"session_id": "x"}),
    ],
)
async def test_bad_input_is_an_error_with_a_message_and_the_chat_goes_on(
    stage: SocketIoStage, event: str, payload: Any
) -> None:
    visitor = await stage.client().chat()
    await visitor.says(2)
    await visitor.io.emit(event, payload)
    error = await visitor.next("error")
    assert error.keys() == {"message"}
    assert not any(word in error["message"] for word in ("Traceback", "/", "msgspec"))
    await visitor.say("2")
    assert await visitor.says() == ["Tell me."]


async def test_binary_is_an_error_and_never_collected(stage: SocketIoStage) -> None:
    for transports in (["websocket"], ["polling"]):
        visitor = await stage.client(transports).chat()
        await visitor.says(2)
        await visitor.io.emit("user_message", {"message": b"\x00\x01"})
        assert "binary" in (await visitor.next("error"))["message"]
        assert "binary" in (await visitor.next("error"))["message"]  # the placeholder, and the attachment
        await visitor.say("2")
        assert await visitor.says() == ["Tell me."]


async def test_a_foreign_page_is_refused_at_both_transports(stage: SocketIoStage) -> None:
    address = f"{stage.proxy.url}/socket.io/?EIO=4&transport=polling"
    async with httpx.AsyncClient() as client:
        for origin in ("https://evil.example", "null", f"{stage.proxy.url}.evil.example"):
            for method in ("GET", "POST", "OPTIONS"):
                refused = await client.request(method, address, headers={"Origin": origin})
                assert refused.status_code == 403
                assert "access-control-allow-origin" not in refused.headers
                assert refused.headers["vary"] == "Origin"  # no cache may hand this to another page
        own = await client.get(address, headers={"Origin": stage.proxy.url})
        assert own.status_code == 200
        assert own.headers["access-control-allow-origin"] == stage.proxy.url
        assert own.headers["vary"] == "Origin"
        jsonp = await client.get(address + "&j=1")
        assert jsonp.status_code == 400
    socket = address.replace("http", "ws", 1).replace("polling", "websocket")
    with pytest.raises(InvalidStatus) as caught:
        await connect(socket, additional_headers={"Origin": "https://evil.example"})
    assert caught.value.response.status_code == 403


async def test_an_old_client_and_a_stranger_to_the_protocol_are_refused(stage: SocketIoStage) -> None:
    async with httpx.AsyncClient(base_url=f"{stage.proxy.url}/socket.io/") as client:
        for query in (
            "",
            "?EIO=3&transport=polling",
            "?EIO=4&transport=smoke",
            "?EIO=4&transport=polling&sid=x",
        ):
            assert (await client.get(query)).status_code == 400
            assert (await client.post(query, content="40")).status_code == 400
        assert (await client.post("?EIO=4&transport=polling", content=b"x" * 70_000)).status_code == 413


async def test_who_says_nothing_is_not_kept(services: Services) -> None:
    proxy = await services.start("proxy", SWITCHBOARD_HANDSHAKE_SECONDS="0.5")
    async with connect(f"{proxy.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket") as socket:
        assert str(await socket.recv()).startswith("0{")
        with pytest.raises(ConnectionClosed) as caught:
            await asyncio.wait_for(socket.recv(), 20)
            await asyncio.wait_for(socket.recv(), 20)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1008
    async with httpx.AsyncClient(base_url=proxy.url) as client:
        opened = await client.get("/socket.io/?EIO=4&transport=polling")
        session = json.loads(opened.text[1:])["sid"]
        poll = await client.get(f"/socket.io/?EIO=4&transport=polling&sid={session}", timeout=20)
        assert (poll.status_code, poll.text) == (200, "1")  # closed


async def test_a_session_polls_once_at_a_time(stage: SocketIoStage) -> None:
    async with httpx.AsyncClient(base_url=stage.proxy.url, timeout=20) as client:
        opened = await client.get("/socket.io/?EIO=4&transport=polling")
        address = f"/socket.io/?EIO=4&transport=polling&sid={json.loads(opened.text[1:])['sid']}"
        first = asyncio.create_task(client.get(address))
        second = asyncio.create_task(client.get(address))
        done, _ = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        assert [task.result().status_code for task in done] == [400]
        assert (await client.post(address, content="40")).status_code == 200
        answers = await asyncio.gather(first, second)
        assert sorted(answer.status_code for answer in answers) == [200, 400]


async def test_too_many_messages_are_an_error_that_says_when_to_come_back(own_stage: SocketIoStage) -> None:
    proxy = own_stage.launch("proxy", SWITCHBOARD_MESSAGE_BURST="2", SWITCHBOARD_MESSAGES_PER_MINUTE="6")
    await proxy.ready()
    visitor = await own_stage.client(url=proxy.url).chat()
    await visitor.says(2)
    assert [await visitor.say("2"), await visitor.say("x")] == [{"stored": True}] * 2
    assert await visitor.says(2) == ["Tell me."] * 2
    refused = await visitor.say("x")
    assert refused["error"].startswith("too many messages; come back in ")
    assert await visitor.next("error") == {"message": refused["error"]}


async def test_too_many_sockets_of_one_visitor_are_told_and_let_go(own_stage: SocketIoStage) -> None:
    proxy = own_stage.launch("proxy", SWITCHBOARD_MAX_SOCKETS_PER_VISITOR="2")
    await proxy.ready()
    visitor = await own_stage.client(url=proxy.url).chat()
    await visitor.says(2)
    await own_stage.client(url=proxy.url).chat(session_id=visitor.session)
    third = await own_stage.client(url=proxy.url).connect(session_id=visitor.session)
    assert (await third.next("error"))["message"].startswith(
        "too many sockets of this visitor; come back in "
    )
    async with asyncio.timeout(20):
        await third.left.wait()
    await visitor.say("2")
    assert await visitor.says() == ["Tell me."]


async def test_a_reader_that_is_too_slow_is_cut_off_and_resumes(
    own_stage: SocketIoStage, connections: Connections
) -> None:
    address = f"{own_stage.proxy.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"
    reader = await own_stage.client().chat()
    await reader.says(2)
    conversation = conversation_of(reader.session, "socketio")
    log = await connections.log("operator")
    await log.append(conversation, "operator", Entry(id="c", facts=(ConversationClaimed(operator="ada"),)))
    async with connect(address, max_queue=1, open_timeout=20) as slow:
        await slow.recv()
        await slow.send("40" + json.dumps({"session_id": reader.session, "cursor": ""}))
        await slow.recv()
        # It reads no more from here; about 20 MB follow.
        text = "x" * 100_000
        for number in range(200):
            said = OperatorSaid(operator="ada", text=f"{number} {text}")
            await log.append(conversation, "operator", Entry(id=str(number), facts=(said,)))
            assert (await reader.says())[0].startswith(f"{number} ")
        async with asyncio.timeout(30), httpx.AsyncClient(base_url=own_stage.proxy.url) as client:
            counted = 'switchboard_sockets_closed_total{code="4008",door="socketio"} 1.0'
            while counted not in (await client.get("/metrics")).text:
                await asyncio.sleep(0.05)
    again = await own_stage.client().chat(session_id=reader.session)
    assert await again.say("here again") == {"stored": True}


async def test_a_proxy_that_is_killed_loses_nothing_that_was_stored(own_stage: SocketIoStage) -> None:
    visitor = await own_stage.client().chat(cursor="")
    await visitor.next("bot_message")
    cursor = (await visitor.next("bot_message"))["cursor"]
    own_stage.workflow.freeze()
    id = str(uuid.uuid4())
    assert await visitor.say("2", id=id) == {"stored": True}
    own_stage.proxy.kill()
    async with asyncio.timeout(20):
        await visitor.left.wait()
    own_stage.workflow.thaw()
    await own_stage.proxy.start()
    again = await own_stage.client().chat(session_id=visitor.session, cursor=cursor)
    assert await again.says() == ["Tell me."]
    assert await again.say("2", id=id) == {"stored": True}  # it could not know, and asks again
    await again.say("x")
    assert await again.says() == ["Tell me."]
    assert again.unheard == 0


async def test_a_proxy_that_ends_stores_what_it_was_sent_and_sends_its_clients_away(
    own_stage: SocketIoStage,
) -> None:
    visitors = [await own_stage.client(transports).chat() for transports in TRANSPORTS]
    for visitor in visitors:
        await visitor.says(2)
    own_stage.proxy.signal(signal.SIGTERM)
    for visitor in visitors:
        async with asyncio.timeout(20):
            await visitor.left.wait()
    assert await own_stage.proxy.stop() == 0


@pytest.mark.parametrize(("transports", "sticky"), [(["websocket"], False), (["polling"], True)])
async def test_proxies_behind_a_balancer(
    own_stage: SocketIoStage, transports: list[str], sticky: bool
) -> None:
    second = own_stage.launch("proxy")
    await second.ready()
    async with Balancer(own_stage.proxy.port, second.port, sticky=sticky) as balancer:
        visitor = await own_stage.client(transports, balancer.url).chat()
        await visitor.says(2)
        other = await own_stage.client(transports, balancer.url).chat(session_id=visitor.session)
        for _ in range(3):
            await visitor.say("1")
            assert await visitor.says() == await other.says() == [HI[1]]
        await other.say("2")
        assert await visitor.says() == await other.says() == ["Tell me."]
        assert balancer.used == {own_stage.proxy.port, second.port}
        await visitor.close()
        await other.close()


async def test_while_the_log_cannot_be_reached_a_client_is_told_and_may_come_back(
    own_stage: SocketIoStage,
) -> None:
    visitor = await own_stage.client().chat()
    await visitor.says(2)
    own_stage.services.server.stop()
    await own_stage.proxy.ready(wanted=503)
    other = await own_stage.client().connect()
    assert await other.next("error") == {"message": "the log cannot be reached"}
    async with asyncio.timeout(20):
        await other.left.wait()
    own_stage.services.server.start()
    await own_stage.proxy.ready()
    again = await own_stage.client().chat(session_id=visitor.session)
    await again.say("2")
    assert await again.says() == ["Tell me."]


async def test_a_language_and_a_flow_may_be_asked_for(
    own_stage: SocketIoStage, connections: Connections
) -> None:
    visitor = await own_stage.client(["websocket"], headers={"Accept-Language": "fr;q=0.5, en"}).chat(
        lang="de", flow="../x"
    )
    await visitor.says(2)
    log = await connections.log("operator")
    (first, *_) = await history(log, conversation_of(visitor.session, "socketio"))
    (began,) = first.facts
    assert json.loads(json.dumps({"door": began.door, "language": began.language, "flow": began.flow})) == {  # type: ignore[union-attr]
        "door": "socketio",
        "language": "de, en, fr",
        "flow": "",
    }
