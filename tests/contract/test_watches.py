"""What an operator is told of a visitor while they look: real services, a real log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from deploy.cli import accounts
from shared.contract.entry import Entry
from shared.contract.facts import AssistantSaid, ConversationReset, ConversationStarted, Fact, TextWritten
from shared.contract.subjects import conversation_of
from tests.conftest import Connections, Services, connected, shared_services
from tests.contract.test_websocket import ProductStage, cookie_of, tell
from tests.contract.test_websocket_drafts import PlayedWorkflow, heard

PAGE = {
    "page": "https://shop.example/shoes",
    "title": "Shoes",
    "referrer": "https://search.example/",
    "browser": "Firefox",
}
NOTHING = {"page": "", "title": "", "referrer": "", "browser": "", "seen": 0}


class WatchingConsole:
    """A console that is logged in, with its feed of events."""

    def __init__(self, url: str) -> None:
        self.http = httpx.AsyncClient(base_url=url, timeout=15)
        self.name = str(uuid.uuid4())
        self.events: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self._feed: asyncio.Task[None] | None = None

    async def enter(self) -> None:
        answer = await self.http.post("/api/login", json={"name": "ada", "password": "a long password"})
        assert answer.status_code == 200, answer.text
        opened = asyncio.Event()
        self._feed = asyncio.create_task(self._listen(opened))
        await opened.wait()

    async def _listen(self, opened: asyncio.Event) -> None:
        async with self.http.stream("GET", f"/api/events?console={self.name}", timeout=None) as answer:
            event = ""
            async for line in answer.aiter_lines():
                opened.set()
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self.events.put_nowait((event, json.loads(line.removeprefix("data: "))))

    async def looks_at(self, conversation: str) -> httpx.Response:
        return await self.http.post(f"/api/conversations/{conversation}/watch", json={"console": self.name})

    async def told(self, kind: str) -> dict[str, Any]:
        """The next event of this kind."""
        async with asyncio.timeout(10):
            while True:
                event, data = await self.events.get()
                if event == kind:
                    return data

    async def leave(self) -> None:
        if self._feed is not None:
            self._feed.cancel()
            await asyncio.gather(self._feed, return_exceptions=True)
        await self.http.aclose()


class WatchedStage:
    """A visitor who has come, and an operator."""

    def __init__(self, assistant: PlayedWorkflow, console: WatchingConsole, connections: Connections) -> None:
        self.connections = connections
        self.assistant = assistant
        self.stage: ProductStage = assistant.stage
        self.console = console

    @contextlib.asynccontextmanager
    async def visitor(self) -> AsyncIterator[tuple[ClientConnection, str]]:
        """A socket that has asked its question, and its conversation, which the operator's list has."""
        async with self.stage.modern() as socket:
            conversation = await self.assistant.asked(socket)
            async with asyncio.timeout(10):
                while (await self.console.looks_at(conversation)).status_code != 200:
                    await asyncio.sleep(0.02)
            yield socket, conversation


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with shared_services(tmp_path_factory.mktemp("watches")) as services:

        async def begin() -> None:
            admin = await connected(services.server, "admin")
            await accounts.add(admin, "ada", "Ada", "a long password")
            await admin.close()
            both = services.make("proxy"), services.make("operator")
            for service in both:
                service.launch()
            for service in both:
                await service.ready()

        asyncio.run(begin())
        yield services


@pytest.fixture
async def watched(shared: Services) -> AsyncIterator[WatchedStage]:
    connections = Connections(shared.server)
    proxy, operator = shared.started
    assistant = PlayedWorkflow(ProductStage(shared, proxy, proxy), connections)
    await assistant.start()
    console = WatchingConsole(operator.url)
    await console.enter()
    yield WatchedStage(assistant, console, connections)
    await console.leave()
    await connections.close()


async def test_where_the_visitor_is_and_what_they_have_seen(watched: WatchedStage) -> None:
    console = watched.console
    async with watched.visitor() as (socket, conversation):
        ack = await heard(socket, "Ack")
        await console.looks_at(conversation)
        # An older client tells nothing, and nothing is what is said of it: no event at all.
        await tell(socket, {"kind": "Presence", "visible": True, **PAGE, "seen": ack["cursor"]})
        online = {
            "conversation": conversation,
            "whereabouts": "online",
            **PAGE,
            "seen": watched.assistant.cause,
        }
        assert await console.told("presence") == online
        await tell(socket, {"kind": "Presence", "visible": False, "page": "javascript:alert(1)"})
        assert await console.told("presence") == {**online, **NOTHING, "whereabouts": "away"}
        async with watched.stage.modern(cookie_of(socket)) as other:  # another tab, in front
            await tell(other, {"kind": "Presence", "visible": True, "title": "T" * 5000, "seen": "nonsense"})
            assert (await console.told("presence"))["title"] == "T" * 200
        # That tab is closed, the other is there still: nobody is gone.
        assert (await console.told("presence"))["whereabouts"] == "away"
        before = len(await watched.assistant._log.fetch(conversation))
    assert await console.told("presence") == {**online, **NOTHING, "whereabouts": "gone"}
    # Whoever looks only now is told the same, and what was fleeting is not on the log.
    late = WatchingConsole(str(console.http.base_url))
    await late.enter()
    await late.looks_at(conversation)
    assert (await late.told("presence"))["whereabouts"] == "gone"
    assert len(await watched.assistant._log.fetch(conversation)) == before
    # Somebody comes back with a client that tells nothing: that they are gone is not true any more.
    async with watched.stage.bare(cookie_of(socket)):
        await late.looks_at(conversation)
        assert await late.told("presence") == {**online, **NOTHING, "whereabouts": "unknown"}
    await late.leave()


async def test_the_assistants_words_come_to_the_console_that_shows_them(
    watched: WatchedStage,
) -> None:
    console, assistant = watched.console, watched.assistant
    elsewhere = WatchingConsole(str(console.http.base_url))
    await elsewhere.enter()
    async with watched.visitor() as (socket, conversation), watched.visitor() as (_, other):
        await console.looks_at(conversation)
        await elsewhere.looks_at(other)
        await heard(socket, "Ack")
    assistant.cause = (await assistant._log.fetch(conversation))[-1].sequence
    await assistant.begins(conversation)
    await assistant.drafts(conversation, 0, "It ")
    assert await console.told("draft") == {
        "conversation": conversation,
        "offset": 0,
        "text": "It ",
        "end": False,
    }
    await assistant.drafts(conversation, 3, "arrives")
    assert (await console.told("draft"))["text"] == "arrives"
    # Who comes in the middle is told all of it.
    late = WatchingConsole(str(console.http.base_url))
    await late.enter()
    await late.looks_at(conversation)
    assert (await late.told("draft"))["text"] == "It arrives"
    await assistant.ends(conversation, AssistantSaid(text="It arrives", attempt=1))
    # The message is there before its drafts go.
    kinds = [(await console.events.get())[0] for _ in range(3)]
    assert kinds == ["conversation", "message", "draft"]
    kinds = [elsewhere.events.get_nowait()[0] for _ in range(elsewhere.events.qsize())]
    assert "message" in kinds
    assert "draft" not in kinds
    for one in (late, elsewhere):
        await one.leave()


async def test_a_stranger_looks_at_nothing(watched: WatchedStage) -> None:
    nobody = conversation_of("nobody", "web")
    assert (await watched.console.looks_at(nobody)).status_code == 404
    async with httpx.AsyncClient(base_url=watched.console.http.base_url) as stranger:
        body = {"console": watched.console.name}
        assert (await stranger.post(f"/api/conversations/{nobody}/watch", json=body)).status_code == 401


async def test_what_was_said_before_is_read_over_the_api(watched: WatchedStage) -> None:
    visitor, http = await watched.connections.log("proxy"), watched.console.http
    first, second = (conversation_of(name, "rest") for name in ("sam's first", "sam's second"))
    begun = ConversationStarted(door="rest", user="sam")

    async def says(conversation: str, *facts: Fact) -> None:
        entry = Entry(id=str(uuid.uuid4()), facts=facts)
        await visitor.append(conversation, "visitor", entry)

    await says(first, begun, TextWritten(session="rest", text="Where is my order?"))
    await says(second, begun, TextWritten(session="rest", text="And the bill?"))
    await says(second, ConversationReset())
    async with asyncio.timeout(10):
        while (answer := await http.get(f"/api/conversations/{second}/earlier")).status_code != 200 or (
            not answer.json()["talks"]
        ):
            await asyncio.sleep(0.02)
    (talk,), (other,) = answer.json().values()
    assert (talk["talk"], talk["last_line"]) == (0, "And the bill?")
    assert (other["id"], other["last_line"]) == (first, "Where is my order?")
    past = await http.get(f"/api/conversations/{second}/earlier/0")
    assert [line["text"] for line in past.json()["messages"]] == ["And the bill?"]
    for unknown in (f"{second}/earlier/1", f"{second}/earlier/-1", f"{conversation_of('x', 'y')}/earlier"):
        assert (await http.get(f"/api/conversations/{unknown}")).status_code == 404
