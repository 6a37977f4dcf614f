"""A visitor has left, an operator answers: by e-mail. Real services, a real log, a real mail server."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from deploy.cli import accounts
from shared.contract.entry import Entry
from shared.contract.facts import (
    AddressAsked,
    AddressGiven,
    ConversationErased,
    ConversationStarted,
    Fact,
    MailBegun,
    MailEnded,
    MailStopped,
    TextWritten,
    VariableSaved,
)
from shared.contract.subjects import conversation_of
from tests.conftest import Connections, Services
from tests.contract.test_websocket import cookie_of, tell
from tests.mail_server import TakenMails, mail_server
from tests.processes import Service
from tests.replica import history
from tests.visitor import V1

SECRET = "5ec4e7" * 8
ADDRESS = "sam@shop.example"


class MailStage:
    """A proxy and an operator service that sends e-mail, with Ada at the desk."""

    def __init__(
        self, connections: Connections, services: Services, mailbox: TakenMails, proxy: Service
    ) -> None:
        self.connections = connections
        self.services = services
        self.mailbox = mailbox
        self.proxy = proxy
        self.operator: Service = self.make()
        self.http = httpx.AsyncClient(timeout=15)

    def make(self) -> Service:
        return self.services.make(
            "operator",
            SWITCHBOARD_SMTP_HOST="127.0.0.1",
            SWITCHBOARD_SMTP_PORT=str(self.mailbox.port),
            SWITCHBOARD_SMTP_SECURITY="none",
            SWITCHBOARD_MAIL_FROM="Our shop <help@shop.example>",
            SWITCHBOARD_MAIL_WAIT_SECONDS="1",
            SWITCHBOARD_PUBLIC_URL=self.proxy.url,
            SWITCHBOARD_LINK_SECRET=SECRET,
        )

    async def begin(self) -> MailStage:
        await asyncio.gather(self.proxy.start(), self.operator.start())
        self.visitors = await self.connections.log("proxy")
        self.bot = await self.connections.log("workflow")
        answer = await self.http.post(
            f"{self.operator.url}/api/login", json={"name": "ada", "password": "a long password"}
        )
        assert answer.status_code == 200
        return self

    async def append(self, id: str, author: str, *facts: Fact) -> None:
        log = self.bot if author == "bot" else self.visitors
        entry = Entry(id=str(uuid.uuid4()), facts=facts)
        await log.append(id, author, entry)

    async def visitor(self, email: str | None = ADDRESS) -> str:
        """The conversation of a visitor who gave an address to the flow, and is gone."""
        id = conversation_of(uuid.uuid4().hex, "websocket")
        await self.append(
            id, "visitor", ConversationStarted(door="websocket"), TextWritten(session="", text="Hi")
        )
        if email is not None:
            await self.append(id, "bot", VariableSaved(name="email", value=email))
        await self.does(id, "claim")
        return id

    async def begun(self, socket: ClientConnection) -> str:
        """The conversation of this socket, once the proxy has stored that it began."""
        id = conversation_of(cookie_of(socket).partition("=")[2], "websocket")
        async with asyncio.timeout(15):
            while not await self.facts(id, ConversationStarted):
                await asyncio.sleep(0.02)
        return id

    async def does(self, id: str, command: str, wanted: int = 200, **body: Any) -> dict[str, Any]:
        async with asyncio.timeout(15):
            while True:
                url = f"{self.operator.url}/api/conversations/{id}/{command}"
                answer = await self.http.post(url, json=body or None)
                if answer.status_code not in (404, 503):  # it has not read of it yet
                    break
                await asyncio.sleep(0.05)
        assert answer.status_code == wanted, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def facts(self, id: str, kind: type[Fact]) -> list[Any]:
        entries = await history(self.visitors, id)
        return [fact for entry in entries for fact in entry.facts if isinstance(fact, kind)]

    async def ended(self, id: str, count: int = 1, seconds: float = 40) -> list[MailEnded]:
        """What became of the conversation's mails, once there are so many."""
        async with asyncio.timeout(seconds):
            while len(found := await self.facts(id, MailEnded)) < count:
                await asyncio.sleep(0.05)
        return found

    async def follows(self, command: str, token: str) -> httpx.Response:
        """Another device follows a link."""
        return await self.http.post(f"{self.proxy.url}/resume/{command}", json={"token": token})


@pytest.fixture
async def stage(connections: Connections, services: Services) -> AsyncIterator[MailStage]:
    await accounts.add(await connections.client("admin"), "ada", "Ada", "a long password")
    async with mail_server() as mailbox:
        proxy = services.make(
            "proxy", SWITCHBOARD_LINK_SECRET=SECRET, SWITCHBOARD_ORIGINS="https://shop.example"
        )
        stage = await MailStage(connections, services, mailbox, proxy).begin()
        yield stage
        await stage.http.aclose()


def token_in(mail: EmailMessage, purpose: str = "go") -> str:
    plain = mail.get_body(("plain",))
    assert plain is not None
    found = re.search(rf"/resume#{purpose}=(\S+)", plain.get_content().replace("=\n", ""))
    assert found is not None
    return found[1]


def words(mail: EmailMessage) -> str:
    plain = mail.get_body(("plain",))
    assert plain is not None
    text: str = plain.get_content()
    return text


async def test_what_is_said_to_who_has_left_is_mailed_once_and_its_link_leads_back(stage: MailStage) -> None:
    id = await stage.visitor()
    await stage.does(id, "say", text="Your parcel is here.")
    await stage.does(id, "say", text="It came by boat.")
    mail = await stage.mailbox.next()
    assert mail["To"] == ADDRESS
    assert "Your parcel is here." in words(mail)
    assert "It came by boat." in words(mail)
    (ended,) = await stage.ended(id)
    assert ended.outcome == "mailed"
    detail = (await stage.http.get(f"{stage.operator.url}/api/conversations/{id}")).json()
    assert detail["messages"][-1]["text"] == "What was said was mailed to the visitor"
    assert detail["mails"] is True

    # On another device, by the link: nothing before the button is pressed, then all of the conversation.
    page = await stage.http.get(f"{stage.proxy.url}/resume")
    assert page.status_code == 200
    assert "set-cookie" not in page.headers
    opened = await stage.follows("open", token_in(mail))
    assert opened.status_code == 200
    assert opened.json() == {"page": ""}
    cookie = opened.headers["set-cookie"].split(";")[0]
    for part in ("HttpOnly", "SameSite=Lax", "Path=/"):
        assert part in opened.headers["set-cookie"]
    url = stage.proxy.url.replace("http", "ws") + "/ws"
    async with connect(url, additional_headers={"Cookie": cookie}, subprotocols=V1) as socket:
        async with asyncio.timeout(10):
            seen = ""
            while "It came by boat." not in seen:
                seen += str(await socket.recv())
        assert socket.response is not None
        assert "set-cookie" not in socket.response.headers
        await tell(
            socket,
            {"kind": "UserText", "sessionId": "operator", "content": "I saw it", "id": str(uuid.uuid4())},
        )
        async with asyncio.timeout(10):
            while TextWritten(session="operator", text="I saw it") not in await stage.facts(id, TextWritten):
                await asyncio.sleep(0.02)
    assert stage.mailbox.mails.empty()

    # Erased, neither the link nor the cookie leads there: who holds the cookie begins one of their own.
    eraser = await stage.connections.log("eraser")
    await eraser.append(id, "eraser", Entry(id="erase", facts=(ConversationErased(by="ada"),)))
    assert (await stage.follows("open", token_in(mail))).status_code == 410
    async with connect(url, additional_headers={"Cookie": cookie}, subprotocols=V1) as socket:
        assert cookie_of(socket).startswith("switchboard=")
        assert not cookie_of(socket).startswith("switchboard=mail.")


async def test_a_link_leads_nowhere_else(stage: MailStage) -> None:
    id = await stage.visitor()
    await stage.does(id, "say", text="Hello")
    mail = await stage.mailbox.next()
    go, stop = token_in(mail), token_in(mail, "stop")
    assert (await stage.follows("open", stop)).status_code == 410  # another purpose
    assert (await stage.follows("stop", go)).status_code == 410
    assert (await stage.follows("open", go[:-3])).status_code == 410
    assert (await stage.follows("other", go)).status_code == 404
    assert (await stage.http.get(f"{stage.proxy.url}/resume/open")).status_code == 405
    assert (await stage.http.post(f"{stage.proxy.url}/resume/open", content=b"{")).status_code == 400
    foreign = {"Origin": "https://evil.example"}
    answer = await stage.http.post(f"{stage.proxy.url}/resume/open", json={"token": go}, headers=foreign)
    assert answer.status_code == 403
    for forged in (go, "0" * 32):  # a link is no cookie, and a cookie of that kind must be signed
        url = stage.proxy.url.replace("http", "ws") + "/ws"
        async with connect(url, additional_headers={"Cookie": f"switchboard=mail.{forged}"}) as socket:
            assert not cookie_of(socket).startswith("switchboard=mail.")


async def test_whoever_wants_no_more_gets_no_more(stage: MailStage) -> None:
    id = await stage.visitor()
    await stage.does(id, "say", text="Hello")
    mail = await stage.mailbox.next()
    await stage.ended(id)
    one_click = str(mail["List-Unsubscribe"]).strip("<>")
    for _ in range(2):
        answer = await stage.http.post(one_click, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200, answer.text
    assert await stage.facts(id, MailStopped) == [MailStopped()]
    other = await stage.visitor()
    await stage.does(id, "say", text="Once more")
    await stage.does(other, "say", text="To another")
    assert "To another" in words(await stage.mailbox.next())
    assert len(await stage.facts(id, MailBegun)) == 1


async def test_what_a_server_refuses_is_told_in_the_transcript(stage: MailStage) -> None:
    stage.mailbox.answers.append("550 no such user here")
    id = await stage.visitor()
    await stage.does(id, "say", text="Hello")
    (ended,) = await stage.ended(id)
    assert (ended.outcome, ended.reason) == ("failed", "550 no such user here")
    detail = (await stage.http.get(f"{stage.operator.url}/api/conversations/{id}")).json()
    assert detail["messages"][-1]["text"] == "What was said could not be mailed: 550 no such user here"
    metrics = (await stage.http.get(f"{stage.operator.url}/metrics")).text
    assert 'switchboard_mails_total{outcome="failed"} 1.0' in metrics


async def test_whoever_is_there_or_has_seen_it_gets_none(stage: MailStage) -> None:
    url = stage.proxy.url.replace("http", "ws") + "/ws"
    async with connect(url, subprotocols=V1) as socket:
        id = await stage.begun(socket)
        await stage.append(id, "bot", VariableSaved(name="email", value=ADDRESS))
        await stage.does(id, "claim")
        await stage.does(id, "say", text="Look here")
        frame: dict[str, Any] = {}
        async with asyncio.timeout(10):
            while frame.get("kind") != "OperatorText":
                frame = json.loads(await socket.recv())
        await tell(socket, {"kind": "Presence", "visible": True, "seen": frame["cursor"]})
        (ended,) = await stage.ended(id)
        assert ended.outcome == "seen"
    assert stage.mailbox.mails.empty()
    assert await stage.facts(id, MailBegun) == []


async def test_an_operator_asks_for_the_address(stage: MailStage) -> None:
    url = stage.proxy.url.replace("http", "ws") + "/ws"
    async with connect(url, subprotocols=V1) as socket:
        id = await stage.begun(socket)
        await stage.does(id, "ask-address", wanted=409)  # nobody has it
        await stage.does(id, "claim")
        for _ in range(2):
            await stage.does(id, "ask-address")
        (asked,) = await stage.facts(id, AddressAsked)
        assert "e-mail address" in asked.text
        sent = str(uuid.uuid4())
        said = {"kind": "UserText", "sessionId": "operator", "content": f" {ADDRESS} ", "id": sent}
        await tell(socket, said)
        async with asyncio.timeout(10):
            while not await stage.facts(id, AddressGiven):
                await asyncio.sleep(0.02)
        await tell(socket, said)  # again, since the Ack was lost: it is acknowledged, not refused
        frame: dict[str, Any] = {}
        acks = 0
        async with asyncio.timeout(10):
            while acks < 2:
                frame = json.loads(await socket.recv())
                assert frame["kind"] != "Refused"
                acks += frame["kind"] == "Ack"
    await stage.does(id, "say", text="Here it is.")
    mail = await stage.mailbox.next()
    assert mail["To"] == ADDRESS


async def test_killed_at_any_moment_a_mail_goes_at_least_once_and_at_most_twice(stage: MailStage) -> None:
    stage.mailbox.silent = True
    id = await stage.visitor()
    await stage.does(id, "say", text="Hello")
    first = await stage.mailbox.next()
    stage.operator.kill()  # the server has it, and nobody knows
    second = stage.make()
    await second.start()
    again = await stage.mailbox.next()
    assert again["Message-ID"] == first["Message-ID"]
    second.kill()
    stage.mailbox.silent = False
    third = stage.make()
    await third.start()
    (ended,) = await stage.ended(id)
    assert ended.outcome == "unknown"
    assert stage.mailbox.mails.empty()
    assert len(await stage.facts(id, MailBegun)) == 2


async def test_where_no_mail_is_set_up_nobody_is_asked_for_an_address(
    connections: Connections, services: Services
) -> None:
    await accounts.add(await connections.client("admin"), "ada", "Ada", "a long password")
    service = await services.start("operator")
    async with httpx.AsyncClient(base_url=service.url, timeout=15) as http:
        await http.post("/api/login", json={"name": "ada", "password": "a long password"})
        answer = await http.post(f"/api/conversations/{'0' * 32}/ask-address")
        assert answer.status_code == 422
        assert "SWITCHBOARD_SMTP_HOST" in answer.text
    proxy = await services.start("proxy")
    async with httpx.AsyncClient(base_url=proxy.url, timeout=15) as http:
        assert (await http.post("/resume/open", json={"token": "x"})).status_code == 404


async def test_of_two_replicas_one_mails_also_where_the_server_is_slow(stage: MailStage) -> None:
    await stage.make().start()
    stage.mailbox.seconds = 14  # longer than anybody leads without saying so
    id = await stage.visitor()
    await stage.does(id, "say", text="Hello")
    await stage.mailbox.next()
    (ended,) = await stage.ended(id)
    assert ended.outcome == "mailed"
    assert await stage.facts(id, MailBegun) == [MailBegun(until=ended.until)]
    assert stage.mailbox.mails.empty()
