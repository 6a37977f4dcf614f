"""Talking to the REST door, and playing the bot behind it, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
import msgspec
from httpx_sse import aconnect_sse

from services.proxy.domain.turns import Turns
from shared.contract import subjects
from shared.contract.drafts import DraftPiece
from shared.contract.entry import Entry, needed
from shared.contract.facts import AnswerStarted, Author, Fact
from shared.contract.subjects import conversation_of
from shared.service.chat_log import ChatLog
from tests.conftest import Connections
from tests.processes import Service
from tests.replica import history


class Event(NamedTuple):
    """``kind``, ``data`` and ``id`` of a server-sent event."""

    kind: str
    data: str
    id: str


class RestClient:
    """One user's client of one proxy."""

    def __init__(self, proxy: Service, user: str = "sam", **headers: str) -> None:
        self.user = user
        self.session = ""
        self.http = httpx.AsyncClient(base_url=proxy.url, timeout=20, headers=headers)

    @property
    def conversation(self) -> str:
        return conversation_of(self.session, "rest")

    async def post(self, message: str, session: str | None = None, **body: Any) -> httpx.Response:
        """Send a message, in this client's session if it has one."""
        session = session or self.session
        content = {"user_id": self.user, "message": message, **({"session_id": session} if session else {})}
        answer = await self.http.post(f"/sessions/{self.user}/messages", json={**content, **body})
        if answer.status_code == 200:
            self.session = answer.json()["session_id"]
        return answer

    async def say(self, message: str) -> None:
        answer = await self.post(message)
        assert answer.status_code == 200, answer.text

    async def look(self) -> dict[str, Any]:
        answer = await self.http.get(f"/sessions/{self.session}")
        assert answer.status_code == 200, answer.text
        session: dict[str, Any] = answer.json()["session"]
        return session

    async def until(self, state: str) -> dict[str, Any]:
        """Wait until the session is in this state."""
        async with asyncio.timeout(20):
            while (session := await self.look())["state"] != state:
                await asyncio.sleep(0.02)
        return session

    def path(self) -> str:
        return f"/sessions/{self.session}/stream"

    @asynccontextmanager
    async def listen(self, after: str = "") -> AsyncIterator[AsyncIterator[Event]]:
        """An open stream's events as they come."""
        headers = {"Last-Event-ID": after} if after else {}
        async with aconnect_sse(self.http, "GET", self.path(), headers=headers) as source:
            assert source.response.status_code == 200, source.response.status_code

            async def events() -> AsyncIterator[Event]:
                async for event in source.aiter_sse():
                    yield Event(event.event, event.data, event.id)

            yield events()

    async def events(self, after: str = "") -> list[Event]:
        """Everything that a stream tells until it ends."""
        async with asyncio.timeout(20), self.listen(after) as events:
            return [event async for event in events]

    async def close(self) -> None:
        await self.http.aclose()


class Bot:
    """Answers as the workflow would, when the test says so."""

    def __init__(self, chat: ChatLog) -> None:
        self._chat = chat

    @classmethod
    async def connect(cls, connections: Connections) -> Bot:
        return cls(await connections.log("workflow"))

    async def turns(self, conversation: str) -> Turns:
        turns = Turns()
        for recorded in await history(self._chat, conversation):
            turns.add(recorded)
        return turns

    async def answer(self, conversation: str, *facts: Fact) -> int:
        """The outcome of the oldest message without one."""
        owed = (await self.turns(conversation)).state.inbox.unanswered
        assert owed, "nothing is owed"
        cause = owed[0].position
        return await self.append(conversation, Entry(id=str(cause), cause=cause, facts=facts))

    async def start(self, conversation: str, attempt: int) -> int:
        """The assistant begins to answer; the cause."""
        cause = (await self.turns(conversation)).state.inbox.unanswered[0].position
        facts = (AnswerStarted(cause=cause, attempt=attempt),)
        await self.append(conversation, Entry(id=f"answer:{cause}:{attempt}", facts=facts))
        return cause

    async def draft(self, conversation: str, draft: DraftPiece) -> None:
        await self._chat.client.publish(subjects.draft(conversation), msgspec.json.encode(draft))

    async def append(self, conversation: str, entry: Entry, author: Author = "bot") -> int:
        entry = Entry(id=entry.id, cause=entry.cause, needs=needed(entry.facts), facts=entry.facts)
        return await self._chat.append(conversation, author, entry)


def words(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.kind, event.data) for event in events]


def said(events: list[Event]) -> str:
    return "".join(event.data for event in events if event.kind == "token")
