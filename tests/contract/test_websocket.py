"""The WebSocket channel as clients know it: against the real proxy, workflow and server."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from deploy.local.embedded import EmbeddedNats
from services.proxy.transports.pages import STATIC, manifest
from shared.contract import facts
from shared.contract.entry import Entry
from shared.contract.subjects import conversation_of
from tests.conftest import Connections, Services, connected, declare
from tests.processes import Service
from tests.replica import history
from tests.visitor import V1, Visitor

FLOW = {
    "$comment": "ids may be numbers",
    "hello": {"sendRequest": {"kind": "BotText", "content": "<b>Hi!</b>"}, "next": "pick"},
    "pick": {
        "sendRequest": {
            "kind": "ChoiceRequest",
            "groupId": "lang",
            "question": "Which one?",
            "choices": [{"itemId": "rust", "content": "Rust"}, {"itemId": 2, "content": "<i>Other</i>"}],
        }
    },
    "isRust": {
        "matchResponse": {"kind": "ChoiceResponse", "groupId": "lang", "itemId": "rust"},
        "next": "bye",
    },
    "isOther": {"matchResponse": {"kind": "ChoiceResponse", "groupId": "lang", "itemId": "2"}, "next": "ask"},
    "ask": {
        "sendRequest": {
            "kind": "StartChatSession",
            "sessionId": "fav",
            "chatPrompt": "Type",
            "chatText": "Open",
        }
    },
    "got": {"matchResponse": {"kind": "UserText", "sessionId": "fav"}, "next": "close"},
    "close": {"sendRequest": {"kind": "EndChatSession", "sessionId": "fav"}, "next": "bye"},
    "bye": {"sendRequest": {"kind": "BotText", "content": "Great, thanks!"}},
}
HI = {"kind": "BotText", "content": "<b>Hi!</b>"}
PICK = FLOW["pick"]["sendRequest"]  # type: ignore[index]
ASK = FLOW["ask"]["sendRequest"]  # type: ignore[index]
CLOSE = {"kind": "EndChatSession", "sessionId": "fav"}
BYE = {"kind": "BotText", "content": "Great, thanks!"}
OTHER = {"kind": "ChoiceResponse", "groupId": "lang", "itemId": 2, "content": "Other"}
TEXT = {"kind": "UserText", "sessionId": "fav", "content": "Rust & <b>more</b>"}
#: The whole conversation as a returning bare client is told it.
WHOLE = [HI, PICK, {**OTHER, "content": "<i>Other</i>"}, ASK, TEXT, CLOSE, BYE]


class ProductStage:
    """The product without its console, for one test."""

    def __init__(self, services: Services, proxy: Service, workflow: Service) -> None:
        self.services = services
        self.proxy = proxy
        self.workflow = workflow

    def url(self, path: str = "/ws") -> str:
        return f"ws://127.0.0.1:{self.proxy.port}{path}"

    def bare(self, cookie: str = "", path: str = "/", **headers: str) -> connect:
        extra = {**({"Cookie": cookie} if cookie else {}), **headers}
        return connect(self.url(path), additional_headers=extra, max_size=None)

    def modern(self, cookie: str = "", cursor: str = "") -> connect:
        path = "/ws" + (f"?cursor={cursor}" if cursor else "")
        headers = {"Cookie": cookie} if cookie else {}
        return connect(self.url(path), additional_headers=headers, subprotocols=V1)


def prepare(services: Services, flow: Path) -> ProductStage:
    """Launch a proxy and a workflow that leads along `FLOW`."""
    flow.write_text(json.dumps(FLOW))
    proxy = services.make("proxy", SWITCHBOARD_ORIGINS="https://shop.example")
    workflow = services.make("workflow", SWITCHBOARD_FLOW=str(flow))
    for service in (proxy, workflow):
        service.launch()
    return ProductStage(services, proxy, workflow)


async def ready(stage: ProductStage) -> ProductStage:
    for service in (stage.proxy, stage.workflow):
        await service.ready()
    return stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductStage]:
    """For tests that do not disturb one another: they share the services, not a conversation."""
    folder = tmp_path_factory.mktemp("stage")
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


@pytest.fixture
async def own_stage(services: Services, tmp_path: Path) -> ProductStage:
    """For tests that stop something."""
    return await ready(prepare(services, tmp_path / "flow.json"))


def cookie_of(socket: ClientConnection) -> str:
    assert socket.response is not None
    return socket.response.headers["set-cookie"].split(";")[0]


async def told(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(10):
        return [json.loads(await socket.recv()) for _ in range(count)]


async def nothing_more(socket: ClientConnection) -> None:
    """Nothing was on its way: a ping's pong comes behind all that was sent before it."""
    await (await socket.ping())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            pytest.fail(f"told {await socket.recv()!r}")


async def tell(socket: ClientConnection, frame: dict[str, Any]) -> None:
    await socket.send(json.dumps(frame))


async def closed(socket: ClientConnection) -> tuple[int, str]:
    """The code and reason with which the server closes."""
    with pytest.raises(ConnectionClosed) as error:
        async with asyncio.timeout(10):
            while True:
                await socket.recv()
    assert error.value.rcvd is not None, "closed without a code"
    return error.value.rcvd.code, error.value.rcvd.reason


async def whole_visit(stage: ProductStage) -> str:
    async with stage.bare() as socket:
        assert await told(socket, 2) == [HI, PICK]
        await tell(socket, OTHER)
        assert await told(socket, 1) == [ASK]
        await tell(socket, TEXT)
        assert await told(socket, 2) == [CLOSE, BYE]
        return cookie_of(socket)


# --- the bare client ---------------------------------------------------------------------------


async def test_a_first_visit_and_a_return(stage: ProductStage) -> None:
    cookie = await whole_visit(stage)
    for path in ("/", "/ws"):
        async with stage.bare(cookie, path) as socket:
            assert socket.response is not None
            assert "set-cookie" not in socket.response.headers
            assert await told(socket, len(WHOLE)) == WHOLE
            await nothing_more(socket)


async def test_the_cookie_is_the_visitors_secret(stage: ProductStage) -> None:
    async with stage.bare() as socket:
        assert socket.response is not None
        value, *attributes = socket.response.headers["set-cookie"].split("; ")
        assert value.startswith("switchboard=")
        assert len(value.removeprefix("switchboard=")) == 32
        assert {"Path=/", "SameSite=Lax", "HttpOnly"} <= set(attributes)
        assert not any(attribute.startswith(("Domain", "Secure")) for attribute in attributes)
    for foreign in ("switchboard=guess", "switchboard=", "other=" + "0" * 32):
        async with stage.bare(foreign) as socket:
            assert cookie_of(socket).startswith("switchboard=")
    # Odd cookies of the page beside ours do not cost the visitor the conversation.
    async with stage.bare('weird="a b; {json: 1}; ' + value + "; x") as socket:
        assert socket.response is not None
        assert "set-cookie" not in socket.response.headers


async def test_the_cookie_is_as_the_settings_say(services: Services) -> None:
    behind = await services.start(
        "proxy",
        SWITCHBOARD_TRUSTED_PROXIES="127.0.0.1",
        SWITCHBOARD_COOKIE_NAME="chat",
        SWITCHBOARD_COOKIE_HTTPONLY="no",
        SWITCHBOARD_COOKIE_SAMESITE="none",
    )
    alone = await services.start("proxy")
    secure = {"X-Forwarded-Proto": "https"}
    async with ProductStage(services, behind, behind).bare(**secure) as socket:
        assert socket.response is not None
        name, *attributes = socket.response.headers["set-cookie"].split("; ")
        assert name.startswith("chat=")
        assert {"SameSite=None", "Secure"} <= set(attributes)
        assert "HttpOnly" not in attributes
    async with ProductStage(services, alone, alone).bare(**secure) as socket:  # said by anybody
        assert socket.response is not None
        assert "Secure" not in socket.response.headers["set-cookie"]


async def test_a_partitioned_cookie_is_secure_and_only_that(services: Services) -> None:
    behind = await services.start(
        "proxy",
        SWITCHBOARD_TRUSTED_PROXIES="127.0.0.1",
        SWITCHBOARD_COOKIE_SAMESITE="none",
        SWITCHBOARD_COOKIE_PARTITIONED="yes",
    )
    stage = ProductStage(services, behind, behind)
    async with stage.bare(**{"X-Forwarded-Proto": "https"}) as socket:
        assert socket.response is not None
        attributes = socket.response.headers["set-cookie"].split("; ")
        assert {"SameSite=None", "Secure", "Partitioned"} <= set(attributes)
    async with stage.bare() as socket:  # browsers would drop it without Secure
        assert socket.response is not None
        assert "Partitioned" not in socket.response.headers["set-cookie"]


@pytest.mark.parametrize("bare", [True, False])
async def test_who_only_comes_back_begins_nothing(stage: ProductStage, bare: bool) -> None:
    protocols = None if bare else V1
    for cookie in ("", "switchboard=guess", f"switchboard={uuid.uuid4().hex}"):
        headers = {"Cookie": cookie} if cookie else {}
        async with connect(
            stage.url("/ws?begin=no"), additional_headers=headers, subprotocols=protocols
        ) as socket:
            assert socket.response is not None
            assert "set-cookie" not in socket.response.headers
            code, reason = await closed(socket)
            assert code == 4001
            assert ("no cookie came" in reason) == (len(cookie) < 32)
    async with stage.bare(cookie) as socket:  # the last one is still new
        assert await told(socket, 2) == [HI, PICK]
    async with stage.bare(cookie, "/ws?begin=no") as socket:
        assert await told(socket, 2) == [HI, PICK]


async def test_a_message_goes_to_the_other_tabs_and_never_back_to_its_own(stage: ProductStage) -> None:
    async with stage.bare() as one:
        await told(one, 2)
        async with stage.bare(cookie_of(one)) as two:
            assert await told(two, 2) == [HI, PICK]
            await tell(one, OTHER)
            assert await told(one, 1) == [ASK]
            assert await told(two, 2) == [{**OTHER, "content": "<i>Other</i>"}, ASK]
            await tell(two, TEXT)
            assert await told(two, 2) == [CLOSE, BYE]
            assert await told(one, 3) == [TEXT, CLOSE, BYE]


async def test_two_tabs_opened_at_once_are_greeted_once(stage: ProductStage) -> None:
    cookie = f"switchboard={uuid.uuid4().hex}"
    async with stage.bare(cookie) as one, stage.bare(cookie) as two, stage.bare(cookie) as three:
        for socket in (one, two, three):
            assert await told(socket, 2) == [HI, PICK]
            await nothing_more(socket)


async def began(stage: ProductStage, socket: ClientConnection) -> facts.ConversationStarted:
    """The fact with which the conversation of this new socket began."""
    connections = Connections(stage.services.server)
    log = await connections.log("operator")
    conversation = conversation_of(cookie_of(socket).split("=")[1], "websocket")
    (fact,) = (await history(log, conversation))[0].facts
    await connections.close()
    assert isinstance(fact, facts.ConversationStarted)
    return fact


async def test_a_page_asks_for_a_flow_and_a_language(stage: ProductStage) -> None:
    browser = {"Accept-Language": "fr;q=0.5, de-CH"}
    async with stage.bare("", "/ws?flow=support&lang=it", **browser) as socket:
        assert await told(socket, 2) == [HI, PICK]  # there is no such flow here
        asked = await began(stage, socket)
        assert (asked.door, asked.flow, asked.language) == ("websocket", "support", "it, de-CH, fr")
    async with stage.bare("", "/ws?flow=../../etc/passwd&lang=%3Cscript%3E", **browser) as socket:
        assert await told(socket, 2) == [HI, PICK]
        asked = await began(stage, socket)
        assert (asked.flow, asked.language) == ("", "de-CH, fr")
    async with stage.bare(cookie_of(socket), "/ws?flow=later&lang=en") as again:
        assert await told(again, 2) == [HI, PICK]
        assert (await began(stage, socket)).flow == ""
    await stage.proxy.wrote("flow_ignored")


async def test_a_refused_answer_is_silent_and_left_out_of_the_replay(stage: ProductStage) -> None:
    async with stage.bare() as socket:
        await told(socket, 2)
        for wrong in (TEXT, {**OTHER, "itemId": "cobol"}, {**OTHER, "groupId": "x"}):
            await tell(socket, wrong)
        await tell(socket, OTHER)
        assert await told(socket, 1) == [ASK]
        async with stage.bare(cookie_of(socket)) as again:
            assert await told(again, 4) == WHOLE[:4]


async def test_a_reset_begins_anew_and_tells_the_other_tabs(stage: ProductStage) -> None:
    async with stage.bare() as one:
        await told(one, 2)
        cookie = cookie_of(one)
        async with stage.bare(cookie) as two, stage.modern(cookie) as three:
            await told(two, 2)
            await told(three, 4)
            await tell(one, OTHER)
            await told(one, 1)
            await tell(one, {"kind": "ResetSession"})
            assert await told(one, 2) == [HI, PICK]
            assert (await closed(two))[0] == 4000
            frames = await told(three, 7)
            reset = frames.index({"kind": "Resumed", "cursor": None, "reset": True})
            assert [frame["kind"] for frame in frames[reset + 1 :]] == ["State", "BotText", "ChoiceRequest"]
        async with stage.bare(cookie) as again:
            assert await told(again, 2) == [HI, PICK]
            await nothing_more(again)


async def test_a_takeover_as_a_bare_client_sees_it(stage: ProductStage) -> None:
    connections = Connections(stage.services.server)
    operator = await connections.log("operator")
    async with stage.bare() as socket:
        await told(socket, 2)
        conversation = conversation_of(cookie_of(socket).split("=")[1], "websocket")
        claim = facts.ConversationClaimed(operator="ann", name="Ann")
        said = facts.OperatorSaid(operator="ann", name="Ann", text="1 < 2 & <script>")
        back = facts.ConversationHandedBack(operator="ann")
        await operator.append(conversation, "operator", Entry(id="1", facts=(claim,)))
        assert await told(socket, 1) == [{"kind": "StartChatSession", "sessionId": "operator"}]
        await operator.append(conversation, "operator", Entry(id="2", facts=(said,)))
        assert await told(socket, 1) == [{"kind": "BotText", "content": "1 &lt; 2 &amp; &lt;script&gt;"}]
        await tell(socket, {"kind": "UserText", "sessionId": "operator", "content": "Hello person"})
        async with asyncio.timeout(30):
            while len(await operator.fetch(conversation)) < 5:
                await asyncio.sleep(0.01)
        await operator.append(conversation, "operator", Entry(id="3", facts=(back,)))
        assert await told(socket, 2) == [{"kind": "EndChatSession", "sessionId": "operator"}, PICK]
        async with stage.modern(cookie_of(socket)) as modern:
            frames = await told(modern, 9)
            kinds = [frame["kind"] for frame in frames]
            assert kinds[3:8] == [
                "OperatorJoined",
                "OperatorText",
                "UserText",
                "OperatorLeft",
                "ChoiceRequest",
            ]
            assert frames[4]["content"] == "1 < 2 & <script>"
            assert frames[8] == {"kind": "State", "owner": "bot", "status": "open", "waiting": "choice"}
    await connections.close()


# --- switchboard.v1 ----------------------------------------------------------------------------


async def test_modern_clients_get_acks_cursors_and_the_state(stage: ProductStage) -> None:
    async with stage.modern() as socket:
        frames = await told(socket, 5)
        assert frames[0] == {"kind": "Resumed", "cursor": None, "reset": True}
        assert [frame["kind"] for frame in frames[1:]] == ["State", "BotText", "ChoiceRequest", "State"]
        assert frames[2]["time"].endswith("Z")
        assert frames[2]["cursor"] != frames[3]["cursor"]
        id = str(uuid.uuid4())
        await tell(socket, {**OTHER, "id": id})
        ack, ask, state = await told(socket, 3)
        assert (ack["kind"], ack["id"]) == ("Ack", id)
        assert {key: ask[key] for key in ASK} == ASK
        assert state == {"kind": "State", "owner": "bot", "status": "open", "waiting": "text"}
        await tell(socket, {**OTHER, "id": id})  # the same again: stored once, acknowledged again
        assert (await told(socket, 1))[0]["kind"] == "Ack"
        await tell(socket, {**TEXT, "id": id})
        assert await told(socket, 1) == [{"kind": "Refused", "id": id, "reason": "id_reused"}]
        late = str(uuid.uuid4())
        await tell(socket, {**OTHER, "id": late})
        ack, refused = await told(socket, 2)
        assert ack["id"] == late
        assert refused == {"kind": "Refused", "id": late, "reason": "stale_answer"}
        await tell(
            socket, {"kind": "Rate", "score": 5, "comment": "good", "id": (rated := str(uuid.uuid4()))}
        )
        assert (await told(socket, 1))[0]["id"] == rated


async def test_the_same_id_of_two_visitors_and_on_two_tabs(stage: ProductStage) -> None:
    id = str(uuid.uuid4())
    async with stage.modern() as one, stage.modern() as other:
        await told(one, 5)
        await told(other, 5)
        async with stage.modern(cookie_of(one)) as two:
            await told(two, 4)
            await tell(one, {**OTHER, "id": id})
            await tell(other, {**OTHER, "id": id})
            await tell(two, {**TEXT, "id": id})
            assert (await told(other, 1))[0]["kind"] == "Ack"
            outcomes = set()
            for socket in (one, two):
                frame: dict[str, Any] = {}
                while frame.get("id") != id or frame["kind"] not in ("Ack", "Refused"):
                    (frame,) = await told(socket, 1)  # the other tab's message and its answer may come first
                outcomes.add((frame["kind"], frame.get("reason")))
            assert len([outcome for outcome in outcomes if outcome[1] == "id_reused"]) == 1


async def test_resuming_at_every_cursor_has_no_gap_and_no_repeat(stage: ProductStage) -> None:
    cookie = await whole_visit(stage)
    async with stage.modern(cookie) as socket:
        frames = (await told(socket, 9))[1:8]
    assert [frame["kind"] for frame in frames] == [frame["kind"] for frame in WHOLE]
    for index, frame in enumerate(frames):
        async with stage.modern(cookie, frame["cursor"]) as socket:
            resumed, *rest = await told(socket, len(frames) - index + 1)
            assert resumed == {"kind": "Resumed", "cursor": frame["cursor"], "reset": False}
            assert rest[:-1] == frames[index + 1 :]
            assert rest[-1]["kind"] == "State"
            await nothing_more(socket)


async def test_a_cursor_that_does_not_hold_means_reset(stage: ProductStage) -> None:
    cookie = await whole_visit(stage)
    async with stage.modern(cookie) as socket:
        real = (await told(socket, 2))[1]["cursor"]
    epoch, position, time, fact = json.loads(base64.urlsafe_b64decode(real + "=="))
    forged = [
        [epoch, position, time + 1, fact],
        [epoch, position + 1000, time, fact],
        ["other", position, time, fact],
    ]
    cursors = [base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode() for cursor in forged]
    async with stage.modern() as socket:  # another visitor's cursor
        cursors.append((await told(socket, 3))[2]["cursor"])
    for cursor in [*cursors, "garbage", "%00"]:
        async with stage.modern(cookie, cursor) as socket:
            frames = await told(socket, 9)
            assert frames[0] == {"kind": "Resumed", "cursor": None, "reset": True}
            assert len(frames[1:8]) == len(WHOLE)


async def test_a_store_put_back_from_a_copy_resets_the_cursor(
    own_stage: ProductStage, tmp_path: Path
) -> None:
    server = own_stage.services.server
    async with Visitor(own_stage.proxy.url) as visitor:
        await visitor.question()
        await asyncio.to_thread(server.stop)
        shutil.copytree(server.folder / "nats", tmp_path / "copy")
        await asyncio.to_thread(server.start)
        await visitor.say(OTHER)
        await visitor.settled()
        await visitor.until(lambda seen: seen.kinds()[-1] == "StartChatSession")
        resets = visitor.resets
        await asyncio.to_thread(server.stop)
        shutil.rmtree(server.folder / "nats")
        shutil.copytree(tmp_path / "copy", server.folder / "nats")
        await asyncio.to_thread(server.start)
        await visitor.until(
            lambda seen: seen.resets > resets and seen.kinds() == ["BotText", "ChoiceRequest"]
        )
        await visitor.say({**OTHER, "itemId": "rust"})
        await visitor.until(lambda seen: seen.kinds()[-1] == "BotText")


# --- what is not let in ------------------------------------------------------------------------

CLOSINGS: dict[str, tuple[str | bytes, int]] = {
    "binary": (b"\x00\x01", 1003),
    "not JSON": ("hello", 1007),
    "no object": ("[1]", 1007),
    "unknown kind": ('{"kind":"Reboot"}', 1007),
    "no kind": ('{"content":"x"}', 1007),
    "missing field": ('{"kind":"UserText","sessionId":"fav"}', 1007),
    "wrong type": ('{"kind":"UserText","sessionId":"fav","content":5}', 1007),
    "a lone surrogate": ('{"kind":"UserText","sessionId":"fav","content":"\\ud800"}', 1007),
    "deeply nested": ("[" * 5000, 1007),
    "a kind of modern clients": ('{"kind":"Rate","score":5}', 1007),
    "too big": (json.dumps({**TEXT, "content": "x" * 65536}), 1009),
}


@pytest.mark.parametrize("what", CLOSINGS)
async def test_what_is_no_frame_is_closed_with_its_code_and_no_trace(stage: ProductStage, what: str) -> None:
    data, code = CLOSINGS[what]
    async with stage.bare() as socket:
        await told(socket, 2)
        await socket.send(data)
        got, reason = await closed(socket)
        assert got == code
        assert "Traceback" not in reason
        assert ".py" not in reason
    assert "Traceback" not in stage.proxy.output


async def test_an_upgrade_elsewhere_is_refused_and_nothing_is_logged_as_an_error(stage: ProductStage) -> None:
    for path, headers in (("/elsewhere", {}), ("/ws", {"Origin": "https://evil.test"})):
        with pytest.raises(InvalidStatus) as refused:
            async with stage.bare("", path, **headers):
                pass
        assert refused.value.response.status_code == 403
    assert '"level":"error"' not in stage.proxy.output


async def test_bad_utf8_is_closed_with_1007(stage: ProductStage) -> None:
    async with stage.bare() as socket:
        await told(socket, 2)
        socket.transport.write(Frame(Opcode.TEXT, b"\xff\xfe").serialize(mask=True))
        assert (await closed(socket))[0] == 1007


async def test_sizes_at_the_limit(stage: ProductStage) -> None:
    async with stage.modern() as socket:
        await told(socket, 5)
        id = str(uuid.uuid4())
        await tell(socket, {**TEXT, "content": "é" * 8192, "id": id})
        assert (await told(socket, 1))[0]["kind"] == "Ack"  # 16 KiB exactly; refused later, out of turn
        await told(socket, 1)
        await tell(socket, {**TEXT, "content": "é" * 8193, "id": id})
        assert await told(socket, 1) == [{"kind": "Refused", "id": id, "reason": "text_too_long"}]
        frame = json.dumps({**OTHER, "id": str(uuid.uuid4())})
        await socket.send(frame + " " * (65536 - len(frame)))  # a frame of 64 KiB exactly
        assert (await told(socket, 1))[0]["kind"] == "Ack"


ORIGINS = {
    None: True,
    "https://shop.example": True,
    "http://127.0.0.1:{port}": True,  # the proxy's own pages
    "https://shop.example.evil.test": False,
    "https://evil.test": False,
    "http://shop.example": False,
    "https://shop.example:444": False,
    "https://shop.example/": False,
    "https://user@shop.example": False,
    "https://Shop.example": False,
    "null": False,
    "": False,
    "file://": False,
}


@pytest.mark.parametrize("origin", ORIGINS)
async def test_only_exact_origins_may_connect(stage: ProductStage, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin.format(port=stage.proxy.port)}
    if ORIGINS[origin]:
        async with stage.bare(**headers) as socket:
            await told(socket, 1)
    else:
        with pytest.raises(InvalidStatus) as refused:
            async with stage.bare(**headers):
                pass
        assert refused.value.response.status_code == 403


async def test_floods_and_too_many_sockets_are_closed_with_4029(services: Services) -> None:
    proxy = await services.start(
        "proxy",
        SWITCHBOARD_MESSAGE_BURST="5",
        SWITCHBOARD_MESSAGES_PER_MINUTE="1",
        SWITCHBOARD_MAX_SOCKETS_PER_VISITOR="2",
    )
    stage = ProductStage(services, proxy, proxy)
    async with stage.bare() as one, stage.bare(cookie_of(one)), stage.bare(cookie_of(one)) as three:
        code, reason = await closed(three)
        assert code == 4029
        assert reason == "too many sockets of this visitor; come back in 10 s"
        for _ in range(6):
            await tell(one, OTHER)
        assert (await closed(one))[0] == 4029


async def test_hostile_html_in_a_flow_is_cleaned_at_the_door(services: Services, tmp_path: Path) -> None:
    hostile = '<a href="javascript:x()" onclick="x()">a</a><img src=x onerror=x()><script>x()</script>'
    link = '<a href="https://a.example" target="_blank">b</a>'
    flow = tmp_path / "hostile.json"
    flow.write_text(json.dumps({"s": {"sendRequest": {"kind": "BotText", "content": hostile + link}}}))
    proxy = await services.start("proxy")
    await services.start("workflow", SWITCHBOARD_FLOW=str(flow))
    async with ProductStage(services, proxy, proxy).bare() as socket:
        (frame,) = await told(socket, 1)
    assert "script" not in frame["content"]
    assert "onerror" not in frame["content"]
    assert "onclick" not in frame["content"]
    assert '<a href="https://a.example" target="_blank" rel="noopener">b</a>' in frame["content"]


# --- coming and going --------------------------------------------------------------------------


async def test_an_orderly_end_closes_with_1012_and_exits_with_0(own_stage: ProductStage) -> None:
    async with own_stage.bare() as socket:
        await told(socket, 2)
        stopping = asyncio.create_task(own_stage.proxy.stop())
        assert (await closed(socket))[0] == 1012
        assert await stopping == 0
    assert await own_stage.workflow.stop() == 0


async def test_services_start_while_nats_is_down_and_come_up_by_themselves(
    server: EmbeddedNats, tmp_path: Path
) -> None:
    admin = await connected(server, "admin")
    await declare(admin, max_bytes=1024**3)
    await admin.close()
    await asyncio.to_thread(server.stop)
    services = Services(server, tmp_path)
    proxy, workflow = services.make("proxy"), services.make("workflow")
    try:
        for service in (proxy, workflow):
            service.launch()
        for service in (proxy, workflow):
            body = await service.ready(503)
            assert "NATS" in str(body["reasons"])
            async with httpx.AsyncClient() as client:
                assert (await client.get(f"{service.url}/healthz")).status_code == 200
        stage = ProductStage(services, proxy, workflow)
        async with stage.bare() as socket:  # the upgrade is answered all the same
            assert (await closed(socket))[0] == 4013
        await asyncio.to_thread(server.start)
        await proxy.ready()
        await workflow.ready()
        async with stage.bare() as socket:
            await told(socket, 1)
    finally:
        for service in services.started:
            service.kill()


async def test_pages_health_and_metrics(stage: ProductStage) -> None:
    async with httpx.AsyncClient(base_url=stage.proxy.url) as client:
        page = await client.get("/")
        assert "/widget.js" in page.text
        assert "script-src 'self'" in page.headers["content-security-policy"]
        script = await client.get("/widget.js")
        assert script.headers["content-type"].startswith("text/javascript")
        assert script.headers["access-control-allow-origin"] == "*"
        again = await client.get("/widget.js", headers={"If-None-Match": script.headers["etag"]})
        assert again.status_code == 304
        assert (await client.get("/nothing")).status_code == 404
        assert (await client.post("/")).status_code == 405
        assert (await client.get("/healthz")).json()["service"] == "proxy"
        metrics = (await client.get("/metrics")).text
        assert "switchboard_build_info" in metrics
        assert 'switchboard_sockets_open{door="websocket"}' in metrics


async def test_a_build_of_the_chat_button_has_an_address_that_never_changes(stage: ProductStage) -> None:
    built = manifest()
    async with httpx.AsyncClient(base_url=stage.proxy.url) as client:
        assert (await client.get("/widget/manifest.json")).json() == {
            "version": built.version,
            "integrity": built.integrity,
        }
        moving = await client.get("/widget.js")
        fixed = await client.get(f"/widget/{built.version}/widget.js")
        assert fixed.content == moving.content
        digest = base64.b64encode(hashlib.sha256(fixed.content).digest()).decode()
        assert built.integrity == f"sha256-{digest}"
        for name in ("widget.js", "chat.js", "markdown.js", "texts-de.js"):
            file = await client.get(f"/widget/{built.version}/{name}")
            assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert file.headers["access-control-allow-origin"] == "*"  # a hash is checked with CORS alone
        assert moving.headers["cache-control"] == "no-cache"
        assert (await client.get("/widget/000000000000/chat.js")).status_code == 404
        assert "interface Switchboard" in (await client.get("/widget.d.ts")).text


async def test_pages_come_compressed_to_clients_that_take_it(stage: ProductStage) -> None:
    script = (STATIC / "widget" / manifest().version / "widget.js").read_bytes()
    async with httpx.AsyncClient(base_url=stage.proxy.url) as client:
        for accepted, packed in [
            ("gzip, deflate, br", True),
            ("br;q=1, GZIP;q=0.5", True),
            ("identity", False),
            ("gzip;q=0, deflate", False),
            ("gzip; q=0.000", False),
            ("x-gzipped", False),
        ]:
            answer = await client.get("/widget.js", headers={"Accept-Encoding": accepted})
            assert answer.content == script
            assert ("content-encoding" in answer.headers) == packed
            assert (int(answer.headers["content-length"]) < len(script) / 2) == packed
            assert answer.headers["vary"] == "accept-encoding"
            asked = {"Accept-Encoding": accepted, "If-None-Match": answer.headers["etag"]}
            assert (await client.get("/widget.js", headers=asked)).status_code == 304
