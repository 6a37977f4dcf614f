"""What the services listen to through FastStream, against the real server and as the services' users.

FastStream drops what a handler fails on, says nothing of it, answers messages that ask for no answer, and
counts by conversation, unless told otherwise. Here it is told otherwise.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from faststream.nats import NatsBroker
from nats.aio.msg import Msg
from prometheus_client.samples import Sample

from deploy.local.embedded import EmbeddedNats
from services.operator.login_answers import LoginAnswers
from services.operator.subscriptions import subscribe
from shared.contract import subjects
from shared.contract.entry import Entry
from shared.contract.facts import TimerArmed, TimerFired
from shared.eventlog.connection import ConnectionState, connect, disconnect, make_broker
from shared.service.broker import listen
from shared.service.chat_log import ChatLog
from shared.service.health import Health
from shared.timestamps import format_time
from tests.conftest import Connections, Services, connected, declare, flushed
from tests.replica import C, Replica, acknowledged, greet, history, said, text, until

OTHER = subjects.conversation_of("somebody else", "web")


class OperatorSubscriptions:
    """The operator service's subscribers, on a broker of its own user, and what they told."""

    def __init__(self, connections: Connections) -> None:
        self.health = Health("operator")
        link = ConnectionState(self.health)
        self.broker: NatsBroker = make_broker(connections.settings("operator"), "operator", link)
        self._link = link
        self.typing: asyncio.Queue[str] = asyncio.Queue()
        self.fails = False

    async def start(self) -> None:
        client = await connect(self.broker, self._link)
        nobody = LoginAnswers(lambda: None)
        subscribe(self.broker, self.health, self._hear, lambda _: None, lambda *_: None, lambda: None, nobody)
        await listen(self.broker, self.health)
        await flushed(client)

    def _hear(self, conversation: str) -> None:
        if self.fails:
            self.fails = False
            raise RuntimeError("nobody foresaw this")
        self.typing.put_nowait(conversation)

    def counted(self) -> dict[tuple[str, str], float]:
        """Messages by subscription and outcome."""
        return counted(self.health)


@pytest.fixture
async def operator(connections: Connections) -> AsyncIterator[OperatorSubscriptions]:
    operator = OperatorSubscriptions(connections)
    await operator.start()
    yield operator
    await disconnect(operator.broker)


@pytest.fixture
async def replica(connections: Connections) -> AsyncIterator[Replica]:
    replica = Replica(connections)
    yield replica
    await replica.crash()


def samples(health: Health, name: str) -> list[Sample]:
    return [each for family in health.registry.collect() for each in family.samples if each.name == name]


def counted(health: Health) -> dict[tuple[str, str], float]:
    found = samples(health, "switchboard_subscriber_messages_total")
    return {(each.labels["subscription"], each.labels["outcome"]): each.value for each in found}


async def has_counted(health: Health, subscription: str, outcome: str, number: int = 1) -> None:
    """Once so many messages of the subscription have ended so."""
    async with asyncio.timeout(10):
        while counted(health).get((subscription, outcome), 0) < number:
            await asyncio.sleep(0.01)


async def armed(bot: ChatLog, conversation: str, id: str = "inactivity:1") -> None:
    """A timer of the conversation that is due at once."""
    at = format_time(time.time_ns())
    entry = Entry(id=f"arm {id}", needs=2, facts=(TimerArmed(id=id, at=at),))
    await bot.append(conversation, "bot", entry, expect=await bot.last(conversation))


async def took_effect(visitor: ChatLog, conversation: str) -> None:
    """Once the conversation's timer has taken effect, and has its outcome."""
    await until(visitor, lambda s: not s.timers.armed and not s.inbox.unanswered, conversation=conversation)
    fired = said(await history(visitor, conversation), TimerFired)
    assert fired == [TimerFired(id="inactivity:1")]


async def test_however_many_conversations_there_are_the_metric_has_one_series_for_each_subscription(
    connections: Connections, operator: OperatorSubscriptions
) -> None:
    proxy = await connections.client("proxy")
    names = [subjects.conversation_of(str(n), "web") for n in range(20)]
    for name in names:
        await proxy.publish(subjects.typing(name, "visitor"), b"{}")
    assert [await operator.typing.get() for _ in names] == names
    await has_counted(operator.health, subjects.VISITORS_TYPING, "handled", 20)
    assert operator.counted() == {(subjects.VISITORS_TYPING, "handled"): 20}


async def test_a_handler_that_fails_is_counted_and_logged_and_the_next_message_comes(
    connections: Connections, operator: OperatorSubscriptions, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy = await connections.client("proxy")
    operator.fails = True
    await proxy.publish(subjects.typing(C, "visitor"), b"{}")
    await proxy.publish(subjects.typing(OTHER, "visitor"), b"{}")
    assert await operator.typing.get() == OTHER
    assert operator.counted()[subjects.VISITORS_TYPING, "failed"] == 1
    assert "nobody foresaw this" in capsys.readouterr().out


async def test_nobody_is_answered_who_asks_for_an_answer(
    connections: Connections, operator: OperatorSubscriptions
) -> None:
    """FastStream would publish what the handler returns to wherever the message says."""
    proxy = await connections.client("proxy")
    answers = await proxy.subscribe("_INBOX_proxy.answers")
    await proxy.publish(subjects.typing(C, "visitor"), b"{}", reply="_INBOX_proxy.answers")
    assert await operator.typing.get() == C
    await has_counted(operator.health, subjects.VISITORS_TYPING, "handled")
    await flushed(await operator.broker.connect())
    await flushed(proxy)
    assert answers.pending_msgs == 0
    assert samples(operator.health, "switchboard_nats_errors_total") == []  # nor was it tried


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"replica":"a","operators":"two"}', b"\xff"])
async def test_what_is_no_message_of_presence_changes_nothing(
    connections: Connections, replica: Replica, data: bytes
) -> None:
    await replica.start()
    operator = await connections.client("operator")
    await replica.listening()
    for payload in (b'{"replica":"a","operators":2}', data, b'{"replica":"b","operators":1}'):
        await operator.publish(subjects.PRESENCE, payload)
    await has_counted(replica.health, subjects.PRESENCE, "handled", 2)
    assert counted(replica.health)[subjects.PRESENCE, "failed"] == 1
    assert replica.presence.operators == 3


async def test_a_due_timer_whose_handler_fails_comes_again_and_holds_up_no_other(
    connections: Connections, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor, bot = await connections.log("proxy"), await connections.log("workflow")
    await replica.start()
    handle, failed = replica.workflow.handle_firing, asyncio.Event()

    def fail_once(message: Msg) -> None:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("nobody foresaw this")
        handle(message)

    monkeypatch.setattr(replica.workflow, "handle_firing", fail_once)
    for conversation in (C, OTHER):
        await greet(visitor, conversation)
        await until(visitor, lambda s: not s.inbox.unanswered, conversation=conversation)
    await armed(bot, C)
    await visitor.append(C, "visitor", text("hello"))
    await failed.wait()
    await armed(bot, OTHER)
    await visitor.append(OTHER, "visitor", text("hello"))
    await took_effect(visitor, OTHER)
    await took_effect(visitor, C)
    await acknowledged(replica, [subjects.TIMERS], subjects.TIMERS_DURABLE)


async def test_a_conversation_whose_turn_takes_long_holds_up_no_other_timer(
    connections: Connections, replica: Replica
) -> None:
    """FastStream hands out one message after the other: a handler only puts it into a mailbox."""
    visitor, bot = await connections.log("proxy"), await connections.log("workflow")
    held, go_on = asyncio.Event(), asyncio.Event()

    async def hold(point: str, conversation: str) -> None:
        if point == "before_fire" and conversation == C:
            held.set()
            await go_on.wait()

    for conversation in (C, OTHER):
        await greet(visitor, conversation)
    await armed(bot, C)
    await replica.start(fault=hold)
    await held.wait()
    await armed(bot, OTHER)
    await visitor.append(OTHER, "visitor", text("hello"))
    await took_effect(visitor, OTHER)
    go_on.set()
    await took_effect(visitor, C)


async def test_a_consumer_that_is_missing_shows_in_readiness_and_holds_up_no_other_subscriber(
    connections: Connections, replica: Replica
) -> None:
    admin = await connections.client("admin")
    await admin.jsm().delete_consumer(subjects.TIMERS, subjects.TIMERS_DURABLE)
    await replica.start()
    operator = await connections.client("operator")
    part = f"subscription {subjects.TIMERS_DUE}"
    async with asyncio.timeout(30):
        while part not in replica.health.reasons:
            await asyncio.sleep(0.01)
    assert "switchboard setup" in replica.health.reasons[part]
    await operator.publish(subjects.PRESENCE, b'{"replica":"a","operators":2}')
    await has_counted(replica.health, subjects.PRESENCE, "handled")
    await declare(admin)
    await replica.listening()
    assert part not in replica.health.reasons


async def test_a_consumer_that_vanishes_shows_in_readiness_and_once_it_is_back_timers_come_again(
    connections: Connections, services: Services
) -> None:
    visitor, bot = await connections.log("proxy"), await connections.log("workflow")
    workflow = await services.start("workflow")
    admin = await connections.client("admin")
    await admin.jsm().delete_consumer(subjects.TIMERS, subjects.TIMERS_DURABLE)
    body = await workflow.ready(503)
    assert "switchboard setup" in str(body["reasons"])
    await declare(admin)
    await workflow.ready()
    await greet(visitor)
    await until(visitor, lambda s: not s.inbox.unanswered)
    await armed(bot, C)
    await visitor.append(C, "visitor", text("hello"))
    await until(visitor, lambda s: not any(t.id == "inactivity:1" for t in s.timers.armed))
    assert TimerFired(id="inactivity:1") in said(await history(visitor), TimerFired)


async def test_the_workflow_starts_while_nats_is_down_and_listens_once_it_is_there(
    declared: EmbeddedNats, services: Services
) -> None:
    declared.stop()
    workflow = services.make("workflow")
    workflow.launch()
    body = await workflow.ready(503)
    assert "NATS" in str(body["reasons"])
    declared.start()
    await workflow.ready()
    operator = await connected(declared, "operator")
    await operator.publish(subjects.PRESENCE, b'{"replica":"a","operators":2}')
    line = 'switchboard_subscriber_messages_total{outcome="handled",subscription="typing.presence"} 1.0'
    async with httpx.AsyncClient() as http, asyncio.timeout(10):
        while line not in (await http.get(f"{workflow.url}/metrics")).text:
            await asyncio.sleep(0.01)
    await operator.close()
    assert await workflow.stop() == 0
