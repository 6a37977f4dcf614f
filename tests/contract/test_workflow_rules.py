"""Rules of the workflow that something else nearly always makes up for: each fails here without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import time_ns
from typing import Any

import pytest

from shared.contract import subjects
from shared.contract.entry import Entry
from shared.contract.facts import Author, BotSaid, TimerArmed, TimerFired
from shared.eventlog.log import Log
from shared.eventlog.messages import StoredMessage
from shared.service.chat_log import ChatLog
from shared.timestamps import format_time
from tests import examples
from tests.conftest import Connections, flushed, stream_name
from tests.faults.injectors import Pause, hesitant
from tests.replica import (
    CLAIM,
    C,
    Gate,
    Replica,
    acknowledged,
    answered,
    causes,
    folded,
    greet,
    history,
    long_lease,
    text,
)


@pytest.fixture
async def replica(connections: Connections) -> AsyncIterator[Replica]:
    replica = Replica(connections)
    yield replica
    await replica.crash()


@pytest.fixture
async def visitor(connections: Connections) -> ChatLog:
    return await connections.log("proxy")


@pytest.fixture
async def operator(connections: Connections) -> ChatLog:
    return await connections.log("operator")


async def in_hand(replica: Replica) -> int:
    info = await replica.client.jsm().consumer_info(stream_name(), subjects.WORKFLOW_DURABLE)
    return int(info.num_ack_pending or 0)


async def test_nothing_is_acknowledged_while_the_log_is_in_doubt(
    connections: Connections, replica: Replica, visitor: ChatLog
) -> None:
    """It may be another log's message of this number that would be."""
    pause, gate = Pause(), Gate("after_append")
    await long_lease(connections)
    await replica.start(fault=gate, reads=hesitant(pause))
    await greet(visitor)
    await gate.held.wait()
    pause.begin()
    await pause.felt.wait()
    replica.subscription._feed_lost()
    gate.open()
    async with asyncio.timeout(10):
        while not replica.subscription.of(C)._waiting:  # the mailbox, for the subscription to be certain
            await asyncio.sleep(0.01)
    await flushed(replica.client)
    assert await in_hand(replica) == 1
    replica.subscription._feed_found()
    pause.end()
    await acknowledged(replica)
    assert causes(await history(visitor)) == [1]


async def test_an_orderly_end_gives_back_what_is_in_hand_and_not_only_the_lease(
    connections: Connections, replica: Replica, visitor: ChatLog
) -> None:
    held = asyncio.Event()

    async def hang(point: str, conversation: str) -> None:
        held.set()
        await asyncio.Event().wait()

    await long_lease(connections)
    stuck = await Replica(connections).start(fault=hang)
    await greet(visitor)
    await held.wait()
    await stuck.deaf()
    await stuck.workflow.stop(0.05)
    await flushed(stuck.client)
    await stuck.crash()
    await replica.start()
    assert causes(await answered(visitor)) == [1]


async def test_on_another_log_schedules_are_published_again(
    connections: Connections, replica: Replica, visitor: ChatLog
) -> None:
    """What the server has answered for it may have lost together with the old log."""
    bot, admin = await connections.log("workflow"), await connections.client("admin")
    at = format_time(time_ns() + 60 * 10**9)
    await greet(visitor)
    armed = Entry(id="arm", needs=2, facts=(TimerArmed(id="inactivity:1", at=at),))
    await bot.append(C, "bot", armed, expect=1)
    await replica.start()
    await acknowledged(replica)
    await admin.jsm().purge_stream(subjects.TIMERS)
    replica.workflow.forget()
    await visitor.append(C, "visitor", text("wake", session="unknown"))
    await answered(visitor)
    await acknowledged(replica)
    assert (await admin.jsm().stream_info(subjects.TIMERS)).state.messages == 1


async def test_after_a_conflict_the_log_is_asked_and_not_tried_over_and_over(
    connections: Connections, replica: Replica, visitor: ChatLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The live feed does not bring what came between, nor is it anything that wakes somebody."""
    other = await connections.log("workflow")
    noted = Entry(id="noted", facts=(examples.BOT_SAID,))
    gate, tries = Gate("before_append"), list[Entry]()
    append = Log.append

    def counting(log: ChatLog, c: str, author: Author, entry: Entry, *rest: Any, **more: Any) -> Any:
        if entry is not noted:
            tries.append(entry)
        return append(log, c, author, entry, *rest, **more)

    def lose(message: StoredMessage) -> bool:
        return noted.id.encode() in message.data

    gate.open()
    await replica.start(fault=gate, lose=lose)
    await greet(visitor)
    await answered(visitor)
    await acknowledged(replica)
    gate.close()
    await visitor.append(C, "visitor", text("hello"))
    await gate.held.wait()
    monkeypatch.setattr(Log, "append", counting)
    await other.append(C, "bot", noted)
    gate.open()
    await acknowledged(replica)
    assert len(tries) == 2


async def test_an_outcome_that_the_fold_dropped_is_not_stored_over_and_over(
    connections: Connections,
    replica: Replica,
    visitor: ChatLog,
    operator: ChatLog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Deciding has a fault: it answers with words what fired while a person owns."""
    bot = await connections.log("workflow")
    await long_lease(connections)
    await replica.start()
    await greet(visitor)
    await answered(visitor)
    await operator.append(C, "operator", CLAIM)

    async def wrong(conversation: str, state: Any, item: Any, turn: Any, lease: Any) -> Entry:
        return Entry(id=str(item.position), cause=item.position, facts=(BotSaid(text="I am still here"),))

    monkeypatch.setattr(replica.workflow._deciding, "decide", wrong)
    at = format_time(time_ns() + 10**8)
    armed = Entry(id="arm", needs=2, facts=(TimerArmed(id="inactivity:9", at=at),))
    await bot.append(C, "bot", armed, expect=await bot.last(C))
    await visitor.append(C, "visitor", text("wake"))  # and so it is scheduled
    async with asyncio.timeout(20):
        while not (await folded(visitor)).inbox.unanswered:
            await asyncio.sleep(0.01)
        while C in replica.workflow.worker.mailboxes:
            await asyncio.sleep(0.01)
    entries = await history(visitor)
    fired = next(each.position for each in entries if TimerFired(id="inactivity:9") in each.facts)
    assert causes(entries).count(fired) == 1
