"""A stream of server-sent events and its reader, without a network."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from services.proxy.domain import sse_events
from services.proxy.domain.turns import Turns
from services.proxy.transports.event_stream import EventStream
from shared.contract.drafts import DraftPiece
from shared.contract.facts import AnswerStarted, BotSaid, ConversationStarted, TextWritten
from tests.examples import Story


class Room:
    """A room whose conversation the test tells."""

    def __init__(self) -> None:
        self.story = Story()
        self.turns = Turns()
        self.gone = self.overdue = False
        self.turn_seconds = 30
        self._change = asyncio.Event()

    def add(self, entry: Any) -> None:
        self.turns.add(entry)
        self.notify()

    def notify(self) -> None:
        self._change.set()

    async def changed(self) -> None:
        self._change.clear()
        await self._change.wait()


@pytest.fixture
def room() -> Room:
    """A turn is open."""
    room = Room()
    room.add(room.story.visitor(ConversationStarted(door="rest", user="sam")))
    room.add(room.story.bot(BotSaid(text="Hi!"), cause=1))
    room.add(room.story.visitor(TextWritten(session="", text="hello")))
    return room


def stream(room: Room, left: asyncio.Event) -> EventStream:
    return EventStream(room, "s", "e", "", lambda: False, left.set)  # type: ignore[arg-type]


async def test_a_reader_that_goes_leaves_nothing_behind(room: Room) -> None:
    going, left, begun = asyncio.Event(), asyncio.Event(), asyncio.Event()
    bodies: list[bytes] = []

    async def receive() -> dict[str, Any]:
        await going.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        bodies.append(message.get("body", b""))
        begun.set()

    async with asyncio.timeout(10):
        task = asyncio.create_task(stream(room, left)({}, receive, send))
        await begun.wait()
        going.set()
        await task
    assert left.is_set()
    assert b"commit_done" not in b"".join(bodies)
    assert len(asyncio.all_tasks()) == 1


async def test_a_slow_reader_falls_behind_and_misses_nothing(room: Room) -> None:
    left, may_read = asyncio.Event(), asyncio.Semaphore(0)
    bodies: list[bytes] = []

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await may_read.acquire()
            bodies.append(message["body"])

    async with asyncio.timeout(10):
        task = asyncio.create_task(stream(room, left)({}, asyncio.Event().wait, send))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        room.add(room.story.bot(BotSaid(text="What is it?"), cause=3))
        for number in range(5, 25, 2):
            room.add(room.story.visitor(TextWritten(session="", text="more")))
            room.add(room.story.bot(BotSaid(text=f"answer {number}"), cause=number))
        for _ in range(100):
            may_read.release()
        await task
    told = b"".join(bodies).decode()
    assert "data: Hi!" in told
    assert [f"answer {number}" in told for number in range(5, 25, 2)] == [True] * 10
    assert told.count("commit_done") == 11


async def test_thousands_of_turns_are_told_in_parts_with_others_in_between(room: Room) -> None:
    first = room.turns.turns[0]
    room.add(room.story.bot(BotSaid(text="What is it?"), cause=3))
    turns = 3_000
    for number in range(5, 5 + 2 * turns, 2):
        room.add(room.story.visitor(TextWritten(session="", text="more")))
        room.add(room.story.bot(BotSaid(text=f"answer {number}"), cause=number))
    place = sse_events.StreamPlace(first.position, first.time)
    ids = sse_events.encode([sse_events.SseEvent("token", "", place)], "e").decode()
    last = ids.split("\n")[0].removeprefix("id: ")
    left, others = asyncio.Event(), 0
    bodies: list[bytes] = []

    async def send(message: dict[str, Any]) -> None:
        bodies.append(message.get("body", b""))

    async def other() -> None:
        nonlocal others
        while True:
            await asyncio.sleep(0)
            others += 1

    async with asyncio.timeout(60):
        beside = asyncio.create_task(other())
        opened = EventStream(room, "s", "e", last, lambda: False, left.set)  # type: ignore[arg-type]
        await opened({}, asyncio.Event().wait, send)  # type: ignore[arg-type]
        beside.cancel()
    told = b"".join(bodies).decode()
    assert told.count("event: commit_done") == turns + 1
    assert told.count("data: answer ") == turns
    assert others >= turns * 3 / 400
    assert max(map(len, bodies)) < len(told) / 20


@pytest.mark.parametrize("reads", [True, False], ids=["reads", "takes nothing"])
async def test_a_stream_ends_with_its_right_while_there_is_always_more_to_tell(
    room: Room, reads: bool
) -> None:
    """The assistant goes on and on; the stream is never idle, or its reader stuck in the middle."""
    left = asyncio.Event()
    sent: list[dict[str, Any]] = []
    seconds = 0.3
    until = time.time() + seconds
    opened = EventStream(room, "s", "e", "", lambda: False, left.set, until)  # type: ignore[arg-type]

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not reads:
            await asyncio.Event().wait()

    async def talk() -> None:
        room.add(room.story.bot_alone(AnswerStarted(cause=3, attempt=1)))
        offset = 0
        while True:
            room.turns.hear(DraftPiece(3, 1, offset, "and on "))
            room.notify()
            offset += 7
            await asyncio.sleep(0.01)

    talking = asyncio.create_task(talk())
    async with asyncio.timeout(20):
        await opened({}, receive, send)
    talking.cancel()
    assert left.is_set()
    assert time.time() >= until
    last = sent[-1]
    assert (last["body"], last["more_body"]) == (b"event: error\ndata: the token has expired\n\n", False)
    assert len(sent) > (10 if reads else 2)
