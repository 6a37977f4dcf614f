"""Timers against the real server: the fact is the truth, the schedule a wake-up."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from time import time_ns

import pytest

from shared.contract import subjects
from shared.contract.entry import Entry
from shared.contract.facts import ConversationReset, TimerArmed, TimerFired
from shared.eventlog.errors import Conflict
from shared.service.chat_log import ChatLog
from shared.timestamps import format_time
from tests.conftest import Connections, Services, declare, stream_name
from tests.replica import (
    C,
    Gate,
    Replica,
    acknowledged,
    answered,
    causes,
    folded,
    greet,
    history,
    said,
    text,
    until,
)

#: Any purpose would do; the beginning of a flow drops none of this one.
TIMER = "inactivity:1"

#: The points at which a crash may come between the fact, the schedule, the firing and what follows.
POINTS = ("before_schedule", "after_schedule", "before_fire", "after_fire", "before_append", "after_append")


@pytest.fixture
async def replica(connections: Connections) -> AsyncIterator[Replica]:
    replica = Replica(connections)
    yield replica
    await replica.crash()


@pytest.fixture
async def visitor(connections: Connections) -> ChatLog:
    return await connections.log("proxy")


@pytest.fixture
async def bot(connections: Connections) -> ChatLog:
    return await connections.log("workflow")


def in_seconds(seconds: float) -> str:
    return format_time(time_ns() + int(seconds * 1e9))


async def arm(bot: ChatLog, seconds: float, id: str = TIMER, entry: str = "arm", c: str = C) -> str:
    """A flow arms a timer."""
    at = in_seconds(seconds)
    armed = Entry(id=entry, needs=2, facts=(TimerArmed(id=id, at=at),))
    while True:
        try:
            await bot.append(c, "bot", armed, expect=await bot.last(c))
        except Conflict:  # a replica was quicker
            continue
        return at


async def fired(visitor: ChatLog, conversation: str = C, seconds: float = 30) -> list[TimerFired]:
    """The timers that took effect, once all that was armed has, and has its outcome."""
    await until(
        visitor, lambda state: not state.timers.armed and not state.inbox.unanswered, seconds, conversation
    )
    return said(await history(visitor, conversation), TimerFired)


async def stored(connections: Connections) -> dict[str, int]:
    """What TIMERS holds, by subject."""
    admin = await connections.client("admin")
    info = await admin.jsm().stream_info(subjects.TIMERS, subjects_filter=">")
    return info.state.subjects or {}


async def settled(replica: Replica) -> None:
    await acknowledged(replica)
    await acknowledged(replica, [subjects.TIMERS], subjects.TIMERS_DURABLE)


async def test_an_armed_timer_takes_effect_once_and_what_follows_has_an_outcome(
    connections: Connections, replica: Replica, visitor: ChatLog, bot: ChatLog
) -> None:
    await greet(visitor)
    await arm(bot, 0.3)
    await replica.start()
    assert await fired(visitor) == [TimerFired(id=TIMER)]
    await settled(replica)
    assert await stored(connections) == {}
    entries = await history(visitor)
    assert causes(entries) == [1, entries[-2].position]  # the visitor's arrival, then the timer
    assert replica.metric("switchboard_timers_fired_total", purpose="inactivity") == 1


async def test_a_timer_is_scheduled_before_its_delivery_is_acknowledged(
    connections: Connections, replica: Replica, visitor: ChatLog, bot: ChatLog
) -> None:
    gate = Gate("after_schedule")
    await greet(visitor)
    await arm(bot, 60)
    await replica.start(fault=gate)
    await gate.held.wait()
    assert await stored(connections) == {f"timer.at.{C}.{TIMER}": 1}
    info = await replica.client.jsm().consumer_info(stream_name(), subjects.WORKFLOW_DURABLE)
    assert info.num_ack_pending == 1
    gate.open()
    await settled(replica)


async def test_a_replica_does_not_publish_again_what_the_server_has_answered_for(
    connections: Connections, replica: Replica, visitor: ChatLog, bot: ChatLog
) -> None:
    await greet(visitor)
    await arm(bot, 60)
    await replica.start()
    await settled(replica)
    before = await connections.log("admin")
    once = (await before.client.jsm().stream_info(subjects.TIMERS)).state.last_seq
    for n in range(3):
        await visitor.append(C, "visitor", text(f"{n}", session="unknown"))
    await answered(visitor)
    await settled(replica)
    assert (await before.client.jsm().stream_info(subjects.TIMERS)).state.last_seq == once


async def test_a_redelivery_publishes_schedules_anew(
    connections: Connections, replica: Replica, visitor: ChatLog, bot: ChatLog
) -> None:
    """Whoever had the delivery before may have died between the fact and the schedule."""
    gate = Gate("after_schedule")
    await greet(visitor)
    await arm(bot, 60)
    doomed = await Replica(connections).start(fault=gate)
    await gate.held.wait()
    admin = await connections.client("admin")
    await admin.jsm().purge_stream(subjects.TIMERS)
    await doomed.crash()
    await replica.start()
    await settled(replica)
    assert await stored(connections) == {f"timer.at.{C}.{TIMER}": 1}


async def test_a_timer_armed_anew_fires_only_at_its_new_time(
    connections: Connections, replica: Replica, visitor: ChatLog, bot: ChatLog
) -> None:
    await greet(visitor)
    await arm(bot, 2)
    await replica.start()
    later = await arm(bot, 4, entry="again")
    await visitor.append(C, "visitor", text("wake", session="unknown"))
    await settled(replica)
    assert await stored(connections) == {f"timer.at.{C}.{TIMER}": 1}
    assert [each.at for each in (await folded(visitor)).timers.armed] == [later]
    assert await fired(visitor) == [TimerFired(id=TIMER)]
    recorded = next(each for each in await history(visitor) if TimerFired(id=TIMER) in each.facts)
    assert format_time(recorded.time) >= later


async def test_a_firing_of_an_earlier_time_means_nothing(
    connections: Connections, replica: Replica, visitor: ChatLog, bot: ChatLog
) -> None:
    """It fired, and before anybody looked the timer was armed anew, for later."""
    await greet(visitor)
    await arm(bot, 0.01)
    first = await Replica(connections).start(fault=(gate := Gate("before_fire")))
    await gate.held.wait()
    later = await arm(bot, 60, entry="again")
    await first.crash()
    await replica.start()
    await settled(replica)
    assert [each.at for each in (await folded(visitor)).timers.armed] == [later]
    assert said(await history(visitor), TimerFired) == []


async def test_what_is_past_fires_at_once(replica: Replica, visitor: ChatLog, bot: ChatLog) -> None:
    await greet(visitor)
    await arm(bot, -3600)
    await replica.start()
    assert await fired(visitor) == [TimerFired(id=TIMER)]


async def test_a_timer_means_nothing_when_the_conversation_has_moved_on(
    connections: Connections, replica: Replica, visitor: ChatLog, bot: ChatLog
) -> None:
    await replica.start()
    await greet(visitor)
    await answered(visitor)
    await arm(bot, 0.5, "after:1:0")
    await visitor.append(C, "visitor", text("refused", session="unknown"))
    await settled(replica)
    assert await stored(connections) == {f"timer.at.{C}.after:1:0": 1}
    await visitor.append(C, "visitor", text("hello"))
    gone = await until(visitor, lambda state: not state.timers.armed and not state.inbox.unanswered)
    async with asyncio.timeout(10):
        while await stored(connections):  # it has fired, and was acknowledged
            await asyncio.sleep(0.02)
    assert said(await history(visitor), TimerFired) == []
    assert (await folded(visitor)).position == gone.position


async def test_after_a_reset_no_timer_of_before_takes_effect(
    connections: Connections, replica: Replica, visitor: ChatLog, bot: ChatLog
) -> None:
    await greet(visitor)
    await arm(bot, 0.5)
    await replica.start()
    await visitor.append(C, "visitor", Entry(id="r", facts=(ConversationReset(),)))
    await answered(visitor)
    async with asyncio.timeout(10):
        while await stored(connections):
            await asyncio.sleep(0.02)
    assert said(await history(visitor), TimerFired) == []


async def test_a_timer_survives_a_restart_of_the_server_and_fires_once(
    connections: Connections, replica: Replica, visitor: ChatLog, bot: ChatLog
) -> None:
    await greet(visitor)
    await arm(bot, 1.5)
    await replica.start()
    await settled(replica)
    await asyncio.to_thread(connections.server.stop)
    await asyncio.to_thread(connections.server.start)
    assert await fired(visitor) == [TimerFired(id=TIMER)]
    await settled(replica)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.slow
async def test_kill_9_anywhere_leaves_a_timer_that_takes_effect_once(
    services: Services, connections: Connections, visitor: ChatLog, bot: ChatLog, point: str
) -> None:
    await greet(visitor)
    await arm(bot, 0.2)
    doomed = services.make("workflow", "tests.faults.faulty_workflow", DIE_AT=point)
    doomed.launch()
    assert doomed.process is not None
    assert await asyncio.to_thread(doomed.process.wait, 60) == -9
    await services.start("workflow", SWITCHBOARD_INACTIVITY_SECONDS="0")
    await until(visitor, lambda state: not state.inbox.unanswered and state.progress.version != "")
    assert TimerFired(id=TIMER) in await fired(visitor)
    outcomes = causes(await history(visitor))
    assert len(outcomes) == len(set(outcomes)) == 2


async def test_two_replicas_that_both_see_a_timer_due_let_it_take_effect_once(
    connections: Connections, replica: Replica, visitor: ChatLog, bot: ChatLog
) -> None:
    """One holds it beyond its lease; the other is woken too; then the first goes on."""
    gate = Gate("before_fire")
    await greet(visitor)
    await arm(bot, 0.1)
    frozen = await Replica(connections).start(fault=gate)
    await gate.held.wait()
    frozen.workflow.worker._renewer.cancel()  # frozen: nothing renews its lease
    await frozen.deaf()
    await replica.start()
    assert await fired(visitor) == [TimerFired(id=TIMER)]
    gate.open()
    again = await visitor.append(C, "visitor", text("hello"))
    entries = await answered(visitor)
    assert [fact for each in entries for fact in each.facts if isinstance(fact, TimerFired)] == [
        TimerFired(id=TIMER)
    ]
    assert causes(entries)[-1] == again
    await frozen.crash()


async def test_three_hundred_timers_at_once_all_take_effect(
    connections: Connections, replica: Replica, visitor: ChatLog, bot: ChatLog
) -> None:
    names = [subjects.conversation_of(str(n), "web") for n in range(300)]
    at = in_seconds(2)
    for name in names:
        await greet(visitor, name)
        armed = Entry(id="arm", needs=2, facts=(TimerArmed(id=TIMER, at=at),))
        await bot.append(name, "bot", armed, expect=await bot.last(name))
    await replica.start()
    for name in names:
        assert await fired(visitor, name, seconds=30) == [TimerFired(id=TIMER)]
    await settled(replica)
    assert await stored(connections) == {}


async def test_visitors_are_answered_while_no_timer_can_be_scheduled(
    connections: Connections, replica: Replica, visitor: ChatLog, bot: ChatLog
) -> None:
    admin = await connections.client("admin")
    await admin.jsm().delete_stream(subjects.TIMERS)
    await greet(visitor)
    await arm(bot, 0.1)
    await replica.start()
    for n in range(3):
        await visitor.append(C, "visitor", text(f"{n}"))
    await answered(visitor)
    assert (await folded(visitor)).timers.armed
    await declare(admin, max_bytes=1024**3)
    assert await fired(visitor) == [TimerFired(id=TIMER)]


async def test_a_timer_that_the_server_never_takes_does_not_hold_the_conversation_up(
    replica: Replica, visitor: ChatLog, bot: ChatLog
) -> None:
    await greet(visitor)
    for id, at in (("after:1:0", "tomorrow"), ("not a subject", in_seconds(1)), ("after:2:0", "2026-13-40")):
        armed = Entry(id=id, needs=2, facts=(TimerArmed(id=id, at=at),))
        await bot.append(C, "bot", armed, expect=await bot.last(C))
    await replica.start()
    await visitor.append(C, "visitor", text("hello", session="unknown"))
    await settled(replica)
    assert len(causes(await history(visitor))) == 2


async def test_a_firing_that_nobody_acknowledges_comes_again(
    connections: Connections, replica: Replica, visitor: ChatLog, bot: ChatLog
) -> None:
    await greet(visitor)
    await arm(bot, 0.1)
    doomed = await Replica(connections).start(fault=(gate := Gate("before_fire")))
    await gate.held.wait()
    await doomed.crash()
    assert await stored(connections) == {subjects.timer_due(C, TIMER): 1}
    await replica.start()
    assert len(await fired(visitor)) == 1


async def test_what_fires_carries_the_time_that_it_was_armed_for(
    connections: Connections, replica: Replica, visitor: ChatLog, bot: ChatLog
) -> None:
    await greet(visitor)
    at = await arm(bot, 60)
    await replica.start()
    await settled(replica)
    admin = await connections.client("admin")
    body = json.dumps({"last_by_subj": subjects.timer_at(C, TIMER)}).encode()
    answer = await admin.request(f"$JS.API.STREAM.MSG.GET.{subjects.TIMERS}", body)
    assert base64.b64decode(json.loads(answer.data)["message"]["data"]).decode() == at
