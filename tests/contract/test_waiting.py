"""What flows do when nobody does anything, end to end: reminders, going on, handing off, ending."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from time import time_ns

import pytest

from services.workflow import repository
from shared.contract import subjects
from shared.contract.entry import Entry
from shared.contract.facts import (
    BotSaid,
    ConversationEnded,
    EngagementBegan,
    FlowStarted,
    HandoffRequested,
    HandoffWithdrawn,
    Interjected,
    OperatorSaid,
    RequestAnswered,
    RequestMade,
    TimerFired,
)
from shared.flow.language.flow import Flow, parse
from shared.service.chat_log import ChatLog
from tests.conftest import Connections, Services
from tests.replica import (
    CLAIM,
    HANDBACK,
    C,
    Replica,
    acknowledged,
    answered,
    folded,
    greet,
    history,
    said,
    text,
    until,
)

ASK = {"sendRequest": {"kind": "StartChatSession", "sessionId": "s"}}


def says(words: str, next: str | None = None) -> dict[str, object]:
    state: dict[str, object] = {"sendRequest": {"kind": "BotText", "content": words}}
    return state | ({"next": next} if next else {})


def flow(**states: object) -> Flow:
    return parse(json.dumps(states).encode(), "waiting")


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


async def present(connections: Connections, replica: Replica, operators: int) -> None:
    """The operator service tells how many operators are there, and the replica has heard it."""
    client = await connections.client("operator")
    payload = json.dumps({"replica": "one", "operators": operators}).encode()
    async with asyncio.timeout(30):
        while replica.presence.operators != operators:
            await client.publish(subjects.PRESENCE, payload)
            await asyncio.sleep(0.02)


async def test_a_flow_reminds_and_then_goes_on(replica: Replica, visitor: ChatLog) -> None:
    await replica.start(
        flow(
            ask=ASK | {"after": [{"delay": "1s", "say": "Still there?"}, {"delay": "2s", "next": "bye"}]},
            got={"matchResponse": {"kind": "UserText", "sessionId": "s"}, "next": "bye"},
            bye=says("Bye."),
        )
    )
    await greet(visitor)
    state = await until(visitor, lambda state: state.progress.ended)
    entries = await history(visitor)
    assert [each.text for each in said(entries, BotSaid)] == ["Still there?", "Bye."]
    assert len(said(entries, TimerFired)) == 2
    assert state.timers.armed == ()
    await acknowledged(replica, [subjects.TIMERS], subjects.TIMERS_DURABLE)


async def test_an_answer_in_time_and_nobody_is_reminded(
    connections: Connections, replica: Replica, visitor: ChatLog
) -> None:
    await replica.start(
        flow(
            ask=ASK | {"after": {"delay": "1s", "say": "Still there?"}},
            got={"matchResponse": {"kind": "UserText", "sessionId": "s"}, "next": "bye"},
            bye=says("Bye."),
        )
    )
    await greet(visitor)
    await answered(visitor)
    await visitor.append(C, "visitor", text("here"))
    await answered(visitor)
    admin = await connections.client("admin")
    async with asyncio.timeout(10):  # it fired, and meant nothing
        while (await admin.jsm().stream_info(subjects.TIMERS)).state.messages:
            await asyncio.sleep(0.02)
    assert [each.text for each in said(await history(visitor), BotSaid)] == ["Bye."]


async def test_where_nobody_comes_the_visitor_is_told_and_the_flow_goes_on(
    replica: Replica, visitor: ChatLog
) -> None:
    await replica.start(
        flow(
            hand={"handoff": {"queue": "shop"}, "after": {"delay": "1s", "next": "sorry"}},
            sorry=says("Nobody is free. Leave us a note.", "note"),
            note=ASK,
            got={"matchResponse": {"kind": "UserText", "sessionId": "s"}, "next": "thanks"},
            thanks=says("Thanks."),
        )
    )
    await greet(visitor)
    await until(visitor, lambda state: state.ownership.owner == "queue")
    await until(visitor, lambda state: state.ownership.owner == "bot" and state.progress.place == "note")
    entries = await history(visitor)
    assert len(said(entries, HandoffWithdrawn)) == 1
    await visitor.append(C, "visitor", text("a note"))
    assert said(await answered(visitor), BotSaid)[-1] == BotSaid(text="Thanks.")


async def test_once_somebody_came_the_waiting_is_over(
    replica: Replica, visitor: ChatLog, operator: ChatLog, connections: Connections
) -> None:
    await replica.start(
        flow(
            hand={"handoff": {"queue": "shop"}, "after": {"delay": "1s", "next": "sorry"}},
            sorry=says("Nobody is free."),
        )
    )
    await greet(visitor)
    await until(visitor, lambda state: state.ownership.owner == "queue")
    await operator.append(C, "operator", CLAIM)
    admin = await connections.client("admin")
    async with asyncio.timeout(10):
        while (await admin.jsm().stream_info(subjects.TIMERS)).state.messages:
            await asyncio.sleep(0.02)
    assert said(await history(visitor), BotSaid) == []
    assert (await folded(visitor)).ownership.owner == "operator"


@pytest.mark.parametrize(("operators", "words"), [(0, "Nobody is here."), (2, "Somebody comes.")])
async def test_what_the_visitor_is_told_depends_on_whether_anybody_is_there(
    connections: Connections, replica: Replica, visitor: ChatLog, operators: int, words: str
) -> None:
    await replica.start(
        flow(
            hand={
                "handoff": {
                    "queue": "shop",
                    "waiting": "Somebody comes.",
                    "nobody": {"say": "Nobody is here."},
                }
            }
        )
    )
    await present(connections, replica, operators)
    await greet(visitor)
    entries = await answered(visitor)
    assert said(entries, BotSaid) == [BotSaid(text=words)]
    assert len(said(entries, HandoffRequested)) == 1


async def test_a_long_silence_ends_the_conversation_and_the_next_word_begins_it_anew(
    replica: Replica, visitor: ChatLog
) -> None:
    await replica.start(inactivity=1)
    await greet(visitor)
    await until(visitor, lambda state: state.ownership.ended_by_bot)
    assert said(await history(visitor), ConversationEnded) == [ConversationEnded(reason="inactivity")]
    await visitor.append(C, "visitor", text("hello?"))
    entries = await answered(visitor)
    assert len(said(entries, FlowStarted)) == 2
    state = await folded(visitor)
    assert (state.ownership.status, state.ownership.ended_by_bot, state.progress.ended) == (
        "open",
        False,
        False,
    )
    assert [timer.purpose for timer in state.timers.armed] == ["inactivity"]


async def test_who_goes_on_talking_is_not_ended(replica: Replica, visitor: ChatLog) -> None:
    """The timer of the beginning fires; it finds that there was a word since, and waits for the rest."""
    await replica.start(inactivity=2)
    await greet(visitor)
    await answered(visitor)
    first = (await folded(visitor)).timers.armed
    async with asyncio.timeout(15):
        n = 0
        while not said(await history(visitor), TimerFired):
            n += 1
            await visitor.append(C, "visitor", text(f"{n}"))
            await asyncio.sleep(0.2)
    entries = await answered(visitor)
    state = await folded(visitor)
    assert said(entries, ConversationEnded) == []
    assert [timer.purpose for timer in state.timers.armed] == ["inactivity"]
    assert state.timers.armed != first
    await until(visitor, lambda state: state.ownership.ended_by_bot)


async def test_a_clock_that_is_behind_the_logs_lets_no_timer_fire_over_and_over(
    replica: Replica, visitor: ChatLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By this machine's clock the silence would last five minutes more, each time it is looked at."""
    monkeypatch.setattr(repository, "time_ns", lambda: time_ns() - 300_000_000_000)
    await replica.start(inactivity=1)
    await greet(visitor)
    await until(visitor, lambda state: state.ownership.ended_by_bot)
    assert len(said(await history(visitor), TimerFired)) <= 2


async def test_a_silence_ends_what_an_operator_has_forgotten_too(
    replica: Replica, visitor: ChatLog, operator: ChatLog
) -> None:
    await replica.start(inactivity=1)
    await greet(visitor)
    await answered(visitor)
    await operator.append(C, "operator", CLAIM)
    spoken = Entry(id="o", facts=(OperatorSaid(operator="ann", text="One moment."),))
    await operator.append(C, "operator", spoken)
    state = await until(visitor, lambda state: state.ownership.ended_by_bot)
    assert state.ownership.owner == "bot"
    await acknowledged(replica, [subjects.TIMERS], subjects.TIMERS_DURABLE)


async def test_a_timer_that_means_nothing_while_an_operator_owns_is_done_with(
    connections: Connections, replica: Replica, visitor: ChatLog, operator: ChatLog
) -> None:
    """The setting was switched off after the timer was armed."""
    first = await Replica(connections).start(inactivity=1)
    await greet(visitor)
    await answered(visitor)
    await acknowledged(first)
    await first.crash()
    await operator.append(C, "operator", CLAIM)
    await replica.start(inactivity=0)
    await until(visitor, lambda state: not state.timers.armed and not state.inbox.unanswered)
    await acknowledged(replica, [subjects.TIMERS], subjects.TIMERS_DURABLE)
    assert (await folded(visitor)).ownership.owner == "operator"
    assert said(await history(visitor), ConversationEnded) == []


async def test_after_a_handback_silence_counts_again(
    replica: Replica, visitor: ChatLog, operator: ChatLog
) -> None:
    await replica.start(inactivity=2)
    await greet(visitor)
    await answered(visitor)
    await operator.append(C, "operator", CLAIM)
    await operator.append(C, "operator", HANDBACK)
    await answered(visitor)
    assert [timer.purpose for timer in (await folded(visitor)).timers.armed] == ["inactivity"]
    await until(visitor, lambda state: state.ownership.ended_by_bot)


async def test_the_setting_says_how_long_a_silence_may_be(services: Services, visitor: ChatLog) -> None:
    await services.start("workflow", SWITCHBOARD_INACTIVITY_SECONDS="1")
    await greet(visitor)
    await until(visitor, lambda state: state.ownership.ended_by_bot)


async def test_agents_are_answered_in_their_lane(replica: Replica, visitor: ChatLog) -> None:
    await replica.start()
    began = EngagementBegan(agent="emoji", user="u1", name="Ada")
    await visitor.append(C, "visitor", Entry(id="e", needs=2, facts=(began,)), expect=0)
    for n, value in enumerate(("no", "yes \U0001f600")):
        await visitor.append(
            C, "visitor", Entry(id=f"r{n}", needs=2, facts=(RequestMade(key="m", value=value),))
        )
    entries = await answered(visitor)
    assert [each.result for each in said(entries, RequestAnswered)] == [False, True]
    assert said(entries, Interjected)[0].message.startswith("Hello Ada")
    assert said(entries, FlowStarted) == []
