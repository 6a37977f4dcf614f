"""The operators' API: a real service on a real log."""

from __future__ import annotations

import asyncio
import json
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from nats.aio.client import Client

from deploy.cli import accounts
from deploy.local.embedded import EmbeddedNats
from services.operator.transports import events
from services.operator.transports.events import MAX_WAITING, EventHub
from services.operator.transports.schemas import TypingEvent
from shared.contract.entry import LEVEL, Entry, RecordedEntry
from shared.contract.facts import (
    BotSaid,
    ConversationClaimed,
    ConversationHandedBack,
    ConversationReset,
    ConversationResolved,
    ConversationStarted,
    ConversationTransferred,
    FlowAdvanced,
    FlowStarted,
    HandoffRequested,
    OperatorSaid,
    RatingAsked,
    TextWritten,
)
from shared.contract.subjects import PRESENCE, conversation_of, typing
from shared.service.chat_log import ChatLog, flow_store
from tests.conftest import Connections, Services, connected, declare, flushed, stream_name
from tests.examples import FLOW
from tests.processes import Service
from tests.replica import history

PASSWORDS = {"ada": "a long password", "bob": "another password"}
VERSION = "0123456789abcdef0123456789abcdef"
#: With a place to which operators may hand back.
OFFERED = FLOW.replace(b"{", b'{"$settings": {"handback": {"pick": "Pick once more"}}, ', 1)


class WrittenChats:
    """Writes the visitors' and the bot's part of the log."""

    def __init__(self, visitor: ChatLog, bot: ChatLog) -> None:
        self.visitor = visitor
        self.bot = bot

    async def waiting(self, name: str) -> str:
        """A new conversation whose visitor waits for a person."""
        id = conversation_of(name, "web")
        begun = await self.visitor.append(
            id, "visitor", Entry(id="1", facts=(ConversationStarted(door="web"),))
        )
        await self.bot.append(
            id,
            "bot",
            Entry(
                id=str(begun),
                cause=begun,
                facts=(
                    FlowStarted(flow="default", version=VERSION),
                    FlowAdvanced(path=("hello", "pick")),
                    BotSaid(text="<b>Hi</b>"),
                ),
            ),
        )
        asked = await self.says(id, "I need help")
        await self.bot.append(
            id, "bot", Entry(id=str(asked), cause=asked, facts=(HandoffRequested(queue="sales"),))
        )
        return id

    async def says(self, id: str, text: str) -> int:
        fact = TextWritten(session="s", text=text)
        return await self.visitor.append(id, "visitor", Entry(id=str(uuid.uuid4()), facts=(fact,)))

    async def history(self, id: str) -> list[RecordedEntry]:
        return await history(self.visitor, id)


@pytest.fixture
async def chat(connections: Connections) -> WrittenChats:
    admin = await connections.client("admin")
    for name, password in PASSWORDS.items():
        await accounts.add(admin, name, name.capitalize(), password)
    chat = WrittenChats(await connections.log("proxy"), await connections.log("workflow"))
    await flow_store(chat.bot).put(VERSION, OFFERED)
    return chat


@pytest.fixture
async def clients() -> AsyncIterator[list[httpx.AsyncClient]]:
    opened: list[httpx.AsyncClient] = []
    yield opened
    for client in opened:
        await client.aclose()


class Api:
    """A client of one service; logged in on demand."""

    def __init__(self, service: Service, clients: list[httpx.AsyncClient]) -> None:
        self.http = httpx.AsyncClient(base_url=service.url, timeout=15)
        clients.append(self.http)

    async def enter(self, name: str) -> Api:
        answer = await self.http.post("/api/login", json={"name": name, "password": PASSWORDS[name]})
        assert answer.status_code == 200, answer.text
        return self

    async def do(self, conversation: str, command: str, **body: Any) -> httpx.Response:
        return await self.http.post(f"/api/conversations/{conversation}/{command}", json=body or None)

    async def view(self, view: str) -> list[dict[str, Any]]:
        answer = await self.http.get("/api/conversations", params={"view": view})
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["conversations"]
        return rows

    async def shows(self, view: str, id: str) -> dict[str, Any]:
        """The row, once it is in the view."""
        async with asyncio.timeout(30):
            while True:
                for row in await self.view(view):
                    if row["id"] == id:
                        return row
                await asyncio.sleep(0.02)

    async def read(self, id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/api/conversations/{id}")
        assert answer.status_code == 200, answer.text
        detail: dict[str, Any] = answer.json()
        return detail


async def test_login_and_logout(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient], connections: Connections
) -> None:
    one, two = await services.start("operator"), await services.start("operator")
    api = Api(one, clients)
    assert (await api.http.get("/api/me")).status_code == 401
    answer = await api.http.post("/api/login", json={"name": "ada", "password": PASSWORDS["ada"]})
    me: dict[str, Any] = {"name": "ada", "display": "Ada", "role": "operator", "availability": "online"}
    me |= {"enrol": False, "password": True}
    assert answer.json() == me
    cookie = answer.headers["set-cookie"]
    for part in ("switchboard_operator=", "HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"):
        assert part.lower() in cookie.lower()
    assert "secure" not in cookie.lower()
    assert (await api.http.get("/api/me")).json() == me
    # Every replica knows the session, and none after the logout.
    other = Api(two, clients)
    other.http.cookies.update(api.http.cookies)
    assert (await other.http.get("/api/me")).status_code == 200
    assert (await api.http.post("/api/logout")).status_code == 200
    assert (await other.http.get("/api/me")).status_code == 401
    # A changed password ends the sessions made before.
    await other.enter("ada")
    await accounts.change(await connections.client("admin"), "ada", "a new password")
    assert (await other.http.get("/api/me")).status_code == 401
    # The log of the service holds neither passwords nor tokens.
    token = answer.cookies["switchboard_operator"]
    assert token not in one.output + two.output
    assert PASSWORDS["ada"] not in one.output + two.output


async def test_wrong_logins(chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient]) -> None:
    api = Api(await services.start("operator"), clients)

    async def attempt(name: str, password: str) -> httpx.Response:
        return await api.http.post("/api/login", json={"name": name, "password": password})

    wrong, unknown = await attempt("ada", "wrong"), await attempt("nobody", "wrong")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert (await attempt("../x", "wrong")).status_code == 401
    assert (await attempt("ada", PASSWORDS["ada"])).status_code == 200  # does not count
    # Several at once do not slip through together.
    answers = await asyncio.gather(*(attempt("ada", "wrong") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [401] * 4 + [429] * 6
    limited = await attempt("ada", PASSWORDS["ada"])
    assert limited.status_code == 429
    assert 0 < int(limited.headers["retry-after"]) <= 60
    assert (await attempt("bob", PASSWORDS["bob"])).status_code == 200  # a colleague behind the same address
    assert (await api.http.post("/api/login", content=b"{")).status_code == 400
    assert (await api.http.post("/api/login", json={"name": "ada"})).status_code == 400


async def test_a_conversation_from_queue_to_resolved(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient]
) -> None:
    id = await chat.waiting("visitor 1")
    api = await Api(await services.start("operator"), clients).enter("ada")
    row = await api.shows("queue", id)
    assert (row["owner"], row["queue"], row["place"], row["last_line"]) == (
        "queue",
        "sales",
        "pick",
        "I need help",
    )
    assert row["waiting_since"] is not None
    claimed = await api.do(id, "claim")
    assert claimed.status_code == 200
    assert (claimed.json()["owner"], claimed.json()["operator_name"]) == ("operator", "Ada")
    assert (await api.do(id, "claim")).status_code == 200  # hers already: nothing is appended
    assert [row["id"] for row in await api.view("mine")] == [id]
    assert await api.view("queue") == []
    said = str(uuid.uuid4())
    for _ in range(2):  # sent twice, said once
        assert (await api.do(id, "say", text="Hello <b>you</b>", id=said)).status_code == 200
    reused = await api.do(id, "say", text="something else", id=said)
    assert reused.status_code == 409
    for body in ({"state": "pick"}, {}):  # without a state, and without any body, it is where it was
        assert (await api.do(id, "handback", **body)).status_code == 200
        assert (await api.do(id, "claim")).status_code == 200
    assert (await api.do(id, "resolve")).status_code == 200
    assert [row["id"] for row in await api.view("resolved")] == [id]
    assert await api.view("live") == []
    facts = [fact for entry in await chat.history(id) if entry.author == "operator" for fact in entry.facts]
    claim = ConversationClaimed(operator="ada", name="Ada")
    assert facts == [
        claim,
        OperatorSaid(operator="ada", text="Hello <b>you</b>", name="Ada"),
        ConversationHandedBack(operator="ada", state="pick"),
        claim,
        ConversationHandedBack(operator="ada"),
        claim,
        ConversationResolved(operator="ada"),
    ]
    detail = await api.read(id)
    assert detail["states"][:2] == ["hello", "pick"]
    assert detail["entry_points"] == [{"state": "pick", "title": "Pick once more"}]
    assert [(line["from"], line["text"]) for line in detail["messages"]][:5] == [
        ("bot", "Hi"),
        ("visitor", "I need help"),
        ("system", "Waiting for a person in “sales”"),
        ("system", "Ada took over"),
        ("operator", "Hello <b>you</b>"),
    ]
    assert detail["messages"][4]["name"] == "Ada"


async def test_a_conversation_is_passed_on_and_put_back(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient]
) -> None:
    id = await chat.waiting("visitor 1")
    service = await services.start("operator")
    ada, bob = await Api(service, clients).enter("ada"), await Api(service, clients).enter("bob")
    await ada.shows("queue", id)
    assert (await ada.do(id, "transfer", operator="bob")).status_code == 409  # nobody has it
    assert (await ada.do(id, "claim")).status_code == 200
    for body, why in (
        ({"operator": "carol"}, "no operator 'carol'"),
        ({"operator": "bob", "queue": "sales"}, "not both"),
    ):
        wrong = await ada.do(id, "transfer", **body)
        assert (wrong.status_code, why in wrong.json()["error"]) == (422, True)
    assert (await ada.do(id, "transfer", name="bob")).status_code == 400
    passed = await ada.do(id, "transfer", operator="bob")
    assert (passed.status_code, passed.json()["operator_name"]) == (200, "Bob")
    assert (await ada.do(id, "transfer", operator="bob")).status_code == 200  # his already
    assert (await ada.do(id, "say", text="one thing more")).status_code == 409
    assert [row["id"] for row in await bob.view("mine")] == [id]
    back = await bob.http.post(f"/api/conversations/{id}/transfer", json={})
    assert (back.json()["owner"], back.json()["queue"]) == ("queue", "sales")
    assert (await ada.do(id, "claim")).status_code == 200
    assert (await ada.do(id, "transfer", queue="billing")).status_code == 200
    assert (await ada.shows("queue", id))["queue"] == "billing"
    facts = [fact for entry in await chat.history(id) if entry.author == "operator" for fact in entry.facts]
    assert [fact for fact in facts if isinstance(fact, ConversationTransferred)] == [
        ConversationTransferred(operator="ada", to="bob", name="Bob"),
        ConversationTransferred(operator="bob", queue="sales"),
        ConversationTransferred(operator="ada", queue="billing"),
    ]
    told = [line["text"] for line in (await ada.read(id))["messages"] if line["from"] == "system"]
    assert "Ada passed this on to Bob" in told
    assert told[-1] == "Ada put this back into “billing”"


@pytest.mark.parametrize("how", [accounts.remove, accounts.disable])
async def test_a_conversation_of_one_who_cannot_come_back_is_taken_over(
    chat: WrittenChats,
    services: Services,
    clients: list[httpx.AsyncClient],
    connections: Connections,
    how: Callable[[Client, str], Awaitable[object]],
) -> None:
    id = await chat.waiting("visitor 1")
    service = await services.start("operator")
    ada, bob = await Api(service, clients).enter("ada"), await Api(service, clients).enter("bob")
    await ada.shows("queue", id)
    assert (await ada.do(id, "claim")).status_code == 200
    assert (await bob.do(id, "claim")).status_code == 409  # she may come back
    await how(await connections.client("admin"), "ada")
    taken = await bob.do(id, "claim")
    assert (taken.status_code, taken.json()["operator_name"]) == (200, "Bob")
    (fact,) = (await chat.history(id))[-1].facts
    assert fact == ConversationTransferred(operator="ada", to="bob", name="Bob")
    assert (await bob.do(id, "say", text="I go on")).status_code == 200


async def test_refusals(chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient]) -> None:
    id = await chat.waiting("visitor 1")
    service = await services.start("operator")
    ada, bob = await Api(service, clients).enter("ada"), await Api(service, clients).enter("bob")
    await ada.shows("queue", id)
    stranger = Api(service, clients)
    for command in ("claim", "say", "handback", "resolve", "typing"):
        assert (await stranger.do(id, command, text="x")).status_code == 401
        assert (await ada.do("0" * 32, command, text="x")).status_code == 404
        if command != "claim":
            assert (await ada.do(id, command, text="x")).status_code == 409  # nobody has it
    assert (await ada.http.get(f"/api/conversations/{'0' * 32}")).status_code == 404
    assert (await ada.http.get("/api/conversations/xyz")).status_code == 400
    assert (await ada.http.get("/api/conversations?view=all")).status_code == 400
    assert (await ada.http.get("/api/conversations?limit=501")).status_code == 400
    for view in ("queue", "live"):
        last = await ada.http.get(f"/api/conversations?view={view}&before={2**53 - 1}")
        assert last.status_code == 200, last.text
    assert (await ada.http.get(f"/api/conversations?before={2**53}")).status_code == 400
    assert (await ada.http.get("/api/nothing")).status_code == 404
    assert (await ada.do(id, "claim")).status_code == 200
    for command in ("claim", "say", "handback", "resolve"):
        taken = await bob.do(id, command, text="x")
        assert taken.status_code == 409
        assert taken.json() == {"error": "taken by Ada", "operator": "ada", "operator_name": "Ada"}
    unknown = await ada.do(id, "handback", state="nowhere")
    assert unknown.status_code == 422
    assert "nowhere" in unknown.json()["error"]
    assert (await ada.do(id, "handback", state="$schema")).status_code == 422
    for nothing in (" ", "\u200b", "\u3164\x00", "\x1b"):
        assert (await ada.do(id, "say", text=nothing)).status_code == 422
    assert (await ada.do(id, "say", text="o\x00ne\r\ntwo")).status_code == 200
    (fact,) = (await chat.history(id))[-1].facts
    assert isinstance(fact, OperatorSaid)
    assert fact.text == "one\ntwo"
    assert (await ada.do(id, "say", text="ü" * 8192)).status_code == 200
    assert (await ada.do(id, "say", text="ü" * 8192 + "x")).status_code == 422
    assert (await ada.do(id, "say", text="\x01" * 16384)).status_code == 413  # six times as long in JSON
    assert (await ada.do(id, "say", text="x", id="1")).status_code == 400
    assert (await ada.do(id, "say", text="x" * 70_000)).status_code == 413
    for answer in (unknown, await ada.do(id, "say", text=5), await ada.http.get("/api/nothing")):
        assert list(answer.json()) == ["error"]
        assert "Traceback" not in answer.text


async def test_origins_and_headers(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient]
) -> None:
    service = await services.start(
        "operator",
        SWITCHBOARD_ORIGINS="https://shop.example.com",
        SWITCHBOARD_TRUSTED_PROXIES="127.0.0.1",
    )
    api = Api(service, clients)
    login = {"name": "ada", "password": PASSWORDS["ada"]}
    for origin, status in (
        ("https://evil.example.com", 403),
        ("null", 403),
        (service.url, 200),
        ("https://shop.example.com", 403),  # it may carry the chat button, and nothing more
    ):
        answer = await api.http.post("/api/login", json=login, headers={"Origin": origin})
        assert answer.status_code == status, origin
    for site, status in (("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)):
        answer = await api.http.get("/api/me", headers={"Sec-Fetch-Site": site})
        assert answer.status_code == status, site
        answer = await api.http.post("/api/presence", headers={"Sec-Fetch-Site": site})
        assert answer.status_code == status, site
    secure = await api.http.post("/api/login", json=login, headers={"X-Forwarded-Proto": "https"})
    assert "secure" in secure.headers["set-cookie"].lower()  # said by a trusted proxy
    for path in ("/", "/docs", "/console/console.js", "/api/me", "/nothing"):
        answer = await api.http.get(path)
        assert "unsafe" not in answer.headers["content-security-policy"].split("style-src")[0]
        assert answer.headers["x-content-type-options"] == "nosniff"
    page = (await api.http.get("/")).text
    assert "<script>" not in page
    for path in (
        "/docs",
        "/docs/assets/swagger-ui-bundle.js",
        "/docs/assets/swagger-ui.css",
        "/docs/start/start.js",
    ):
        assert (await api.http.get(path)).status_code == 200
    schema = (await api.http.get("/docs/openapi.json")).json()
    assert "/api/conversations/{id}/claim" in schema["paths"]
    assert "://" not in (await api.http.get("/docs")).text  # nothing comes from elsewhere


async def test_of_two_claims_at_once_one_wins(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient]
) -> None:
    one, two = await services.start("operator"), await services.start("operator")
    ada, bob = await Api(one, clients).enter("ada"), await Api(two, clients).enter("bob")
    winners = set()
    for number in range(50):
        id = await chat.waiting(f"visitor {number}")
        await asyncio.gather(ada.shows("queue", id), bob.shows("queue", id))
        pair = [ada.do(id, "claim"), bob.do(id, "claim")]
        answers = await asyncio.gather(*(pair if number % 2 else reversed(pair)))
        won, lost = sorted(answers, key=lambda answer: answer.status_code)
        assert (won.status_code, lost.status_code) == (200, 409)
        assert lost.json()["operator"] == won.json()["operator"]
        winners.add(won.json()["operator"])
        claims = [fact for entry in await chat.history(id) for fact in entry.facts if "Claimed" in str(fact)]
        assert len(claims) == 1
    assert winners == {"ada", "bob"}


async def test_speaking_while_the_visitor_writes(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient]
) -> None:
    """A conflict with anything harmless is decided again until it is stored."""
    id = await chat.waiting("visitor 1")
    api = await Api(await services.start("operator"), clients).enter("ada")
    await api.shows("queue", id)
    await api.do(id, "claim")

    async def visitor() -> None:
        for number in range(40):
            await chat.says(id, f"visitor {number}")

    async def operator() -> list[int]:
        return [(await api.do(id, "say", text=f"operator {number}")).status_code for number in range(40)]

    _, answers = await asyncio.gather(visitor(), operator())
    assert answers == [200] * 40
    said = [
        fact.text
        for entry in await chat.history(id)
        for fact in entry.facts
        if isinstance(fact, OperatorSaid)
    ]
    assert said == [f"operator {number}" for number in range(40)]


async def test_a_restart_and_a_crash_change_nothing(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient]
) -> None:
    ids = [await chat.waiting(f"visitor {number}") for number in range(5)]
    service = await services.start("operator")
    api = await Api(service, clients).enter("ada")
    await api.shows("queue", ids[-1])
    await api.do(ids[0], "claim")
    await api.do(ids[0], "say", text="one moment")
    await api.do(ids[1], "claim")
    await api.do(ids[1], "resolve")
    before = {view: await api.view(view) for view in ("queue", "mine", "live", "resolved")}
    assert [len(rows) for rows in before.values()] == [3, 1, 4, 1]
    service.kill()
    await service.start()
    assert {view: await api.view(view) for view in before} == before  # the same session, too
    assert await service.stop() == 0


async def test_the_workflow_is_told_how_many_consoles_are_open(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient], connections: Connections
) -> None:
    workflow = await connections.client("workflow")
    heard = await workflow.subscribe(PRESENCE)
    await flushed(workflow)

    async def told(operators: int) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                presence: dict[str, Any] = json.loads((await heard.next_msg(10)).data)
                if presence["operators"] == operators:
                    return presence

    service = await services.start("operator")
    nobody = await told(0)
    api = await Api(service, clients).enter("ada")
    async with api.http.stream("GET", "/api/events", timeout=None):
        assert (await told(1))["replica"] == nobody["replica"]
    await told(0)


async def test_events(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient], connections: Connections
) -> None:
    id = await chat.waiting("visitor 1")
    service = await services.start("operator")
    api = await Api(service, clients).enter("ada")
    await api.shows("queue", id)
    assert (await Api(service, clients).http.get("/api/events")).status_code == 401
    proxy = await connections.client("proxy")
    heard: list[tuple[str, dict[str, Any]]] = []

    async def told(kind: str, **wanted: Any) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while True:
                for name, data in heard:
                    if name == kind and wanted.items() <= data.items():
                        return data
                await asyncio.sleep(0.01)

    async def listen(opened: asyncio.Event) -> None:
        async with api.http.stream("GET", "/api/events", timeout=None) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            event = ""
            async for line in answer.aiter_lines():
                opened.set()
                if line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: "):
                    heard.append((event, json.loads(line[6:])))

    opened = asyncio.Event()
    listener = asyncio.create_task(listen(opened))
    await asyncio.wait_for(opened.wait(), 5)
    await chat.says(id, "are you there?")
    line = await told("message", conversation=id)
    assert (line["from"], line["text"]) == ("visitor", "are you there?")
    await told("conversation", id=id, last_line="are you there?")
    await api.do(id, "claim")
    await told("conversation", id=id, owner="operator", operator="ada")
    await told("message", **{"from": "system", "text": "Ada took over"})
    await proxy.publish(typing(id, "visitor"), b"{}")
    await told("typing", conversation=id, who="visitor")
    seen = await proxy.subscribe(typing(id, "operator"))
    await flushed(proxy)
    assert (await api.do(id, "typing")).status_code == 200
    assert json.loads((await seen.next_msg(2)).data) == {"name": "Ada"}
    await chat.visitor.append(id, "visitor", Entry(id="reset", facts=(ConversationReset(),)))
    await told("conversation", id=id, owner="bot", last_line="")
    assert (await api.read(id))["messages"] == []
    # An open stream does not hold up the end of the process.
    service.signal(signal.SIGTERM)
    await asyncio.wait_for(listener, 5)
    assert await service.stop() == 0


async def test_nats_is_down_at_the_start(
    server: EmbeddedNats, services_without_streams: Services, clients: list[httpx.AsyncClient]
) -> None:
    server.stop()
    service = services_without_streams.make("operator")
    service.launch()
    body = await service.ready(503)
    assert "nats" in body["reasons"]  # type: ignore[operator]
    api = Api(service, clients)
    assert (await api.http.get("/healthz")).status_code == 200
    assert (await api.http.get("/")).status_code == 200
    refused = await api.http.post("/api/login", json={"name": "ada", "password": "x"})
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert "NATS" in refused.json()["error"]
    server.start()
    admin = await connected(server, "admin")
    async with asyncio.timeout(10):
        while "setup" not in str((await api.http.get("/readyz")).json()["reasons"]):
            await asyncio.sleep(0.05)
    await declare(admin, max_bytes=1024**3)
    await accounts.add(admin, "ada", "Ada", PASSWORDS["ada"])
    await admin.close()
    await service.ready()
    await api.enter("ada")
    assert await api.view("live") == []


@pytest.fixture
def services_without_streams(server: EmbeddedNats, tmp_path: Any) -> Any:
    services = Services(server, tmp_path)
    yield services
    for service in services.started:
        service.kill()


async def test_nats_goes_and_comes_back(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient], declared: EmbeddedNats
) -> None:
    id = await chat.waiting("visitor 1")
    service = await services.start("operator")
    api = await Api(service, clients).enter("ada")
    await api.shows("queue", id)
    declared.kill()
    await service.ready(503)
    assert (await api.do(id, "claim")).status_code == 503
    declared.start()
    await service.ready()
    assert (await api.do(id, "claim")).status_code == 200


async def test_metrics(chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient]) -> None:
    id = await chat.waiting("visitor 1")
    api = await Api(await services.start("operator"), clients).enter("ada")
    await api.shows("queue", id)
    await api.do(id, "claim")
    metrics = (await api.http.get("/metrics")).text
    assert 'switchboard_operator_commands_total{command="claim",outcome="done"} 1.0' in metrics
    assert 'switchboard_operator_logins_total{outcome="entered"} 1.0' in metrics
    assert id not in metrics


async def test_another_log_empties_the_lists(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient], connections: Connections
) -> None:
    id = await chat.waiting("visitor 1")
    service = await services.start("operator")
    api = await Api(service, clients).enter("ada")
    await api.shows("queue", id)
    admin = await connections.client("admin")
    await admin.jetstream().delete_stream(stream_name(id))
    await declare(admin, max_bytes=1024**3)
    async with asyncio.timeout(40):
        while (await api.http.get("/api/conversations?view=live")).json().get("conversations") != []:
            await asyncio.sleep(0.05)
    assert (await api.do(id, "claim")).status_code == 404
    await api.shows("queue", await chat.waiting("visitor 2"))


async def test_what_a_newer_version_must_decide_is_left_to_it(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient]
) -> None:
    id = await chat.waiting("visitor 1")
    fact = TextWritten(session="s", text="from the future")
    await chat.visitor.append(id, "visitor", Entry(id="9", needs=LEVEL + 1, facts=(fact,)))
    api = await Api(await services.start("operator"), clients).enter("ada")
    await api.shows("queue", id)
    assert (await api.do(id, "claim")).status_code == 503
    assert all(entry.author != "operator" for entry in await chat.history(id))


async def test_a_listener_that_does_not_keep_up_is_dropped() -> None:
    async def welcome() -> bool:
        return True

    hub = EventHub()
    slow, quick = hub.listen(welcome), hub.listen(welcome)
    await anext(slow)
    await anext(quick)
    for number in range(MAX_WAITING + 1):
        hub.publish("typing", TypingEvent(str(number)))
        assert str(number).encode() in await anext(quick)
    assert len(hub) == 1
    assert [frame async for frame in slow] == []
    hub.close()
    assert [frame async for frame in quick] == []


async def test_a_listener_to_whom_nothing_happens_hears_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an event: a comment would not reach the console's script."""

    async def welcome() -> bool:
        return True

    monkeypatch.setattr(events, "PING_SECONDS", 0.01)
    stream = EventHub().listen(welcome)
    await anext(stream)
    for _ in range(2):
        assert await anext(stream) == b"event: heartbeat\ndata: {}\n\n"


async def test_an_operator_asks_for_a_rating_once(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient]
) -> None:
    id = await chat.waiting("visitor 1")
    api = await Api(await services.start("operator"), clients).enter("ada")
    assert (await api.do(id, "ask-rating")).status_code == 409  # nobody has it
    assert (await api.do(id, "claim")).json()["feedback"] == ""
    for _ in range(2):
        assert (await api.do(id, "ask-rating")).json()["feedback"] == "asked"
    assert (await api.do("0" * 32, "ask-rating")).status_code == 404
    asked = [
        fact for entry in await chat.history(id) for fact in entry.facts if isinstance(fact, RatingAsked)
    ]
    assert asked == [RatingAsked(operator="ada", name="Ada")]
    (row,) = [row for row in await api.view("mine") if row["id"] == id]
    assert row["feedback"] == "asked"
