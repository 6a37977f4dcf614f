"""Flows that ask backends, end to end: asked once for each turn, whatever comes between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from services.workflow import handlers
from shared.contract import subjects
from shared.contract.facts import BotSaid, DecisionFailed, ServiceAnswered, VariableSaved
from shared.flow.language.flow import Flow, parse
from shared.service.chat_log import ChatLog
from tests.backend import Backend, Request, Respond, response, says
from tests.conftest import Connections, Services, flushed
from tests.examples import OTHER_CONVERSATION
from tests.replica import (
    CLAIM,
    C,
    Gate,
    Replica,
    acknowledged,
    answered,
    causes,
    greet,
    history,
    said,
    text,
    until,
)


def asking(backend: Backend, **service: object) -> Flow:
    """Takes an order's number, asks the backend about it, and says what it heard."""
    states = {
        "ask": {"sendRequest": {"kind": "StartChatSession", "sessionId": "s"}},
        "got": {"matchResponse": {"kind": "UserText", "sessionId": "s", "save": "number"}, "next": "look"},
        "look": {
            "service": {"url": f"{backend.url}/orders/{{{{ number }}}}", "save": "order", "onError": "sorry"}
            | service,
            "next": "tell",
        },
        "tell": {"sendRequest": {"kind": "BotText", "content": "It is {{ order.state }}."}, "next": "ask"},
        "sorry": {"sendRequest": {"kind": "BotText", "content": "Sorry."}, "next": "ask"},
    }
    return parse(json.dumps(states).encode(), "asking")


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with Backend() as backend:
        backend.will(says({"state": "sent"}))
        yield backend


@pytest.fixture
async def replica(connections: Connections) -> AsyncIterator[Replica]:
    replica = Replica(connections)
    yield replica
    await replica.crash()


@pytest.fixture
async def visitor(connections: Connections) -> ChatLog:
    return await connections.log("proxy")


def held(until: asyncio.Event) -> Respond:
    """Answers when it is told to."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        await until.wait()
        writer.write(response({"state": "sent"}))

    return respond


async def test_a_backends_answer_is_a_fact_and_the_flow_goes_on_with_it(
    replica: Replica, visitor: ChatLog, backend: Backend
) -> None:
    await replica.start(asking(backend))
    await greet(visitor)
    cause = await visitor.append(C, "visitor", text("7/8"))
    entries = await answered(visitor)
    assert said(entries, ServiceAnswered) == [
        ServiceAnswered(cause=cause, state="look", value={"state": "sent"})
    ]
    assert said(entries, BotSaid) == [BotSaid(text="It is sent.")]
    assert VariableSaved(name="order", value={"state": "sent"}) in said(entries, VariableSaved)
    (request,) = backend.requests
    assert request.path == "/orders/7%2F8"
    assert request.headers["idempotency-key"] == f"{C}:{cause}:look"
    assert replica.metric("switchboard_service_calls_total", outcome="answered") == 1


async def test_a_failure_is_a_fact_too_and_takes_the_flow_to_its_on_error(
    replica: Replica, visitor: ChatLog, backend: Backend
) -> None:
    backend.will(says({}, status=500))
    await replica.start(asking(backend))
    await greet(visitor)
    await visitor.append(C, "visitor", text("7"))
    entries = await answered(visitor)
    assert [each.failure for each in said(entries, ServiceAnswered)] == ["status_500"]
    assert said(entries, BotSaid) == [BotSaid(text="Sorry.")]


async def test_a_backend_over_nats_is_asked_like_one_over_http(
    connections: Connections, replica: Replica, visitor: ChatLog, backend: Backend
) -> None:
    client = await connections.client("backend")

    async def packed(message: Msg) -> None:
        await message.respond(b'{"state": "packed"}')

    await client.subscribe("service.orders", cb=packed)
    await flushed(client)
    flow = parse(
        asking(backend).content.replace(b'"url":"', b'"subject":"service.orders","body":"'), "asking"
    )
    await replica.start(flow)
    await greet(visitor)
    await visitor.append(C, "visitor", text("7"))
    assert said(await answered(visitor), BotSaid) == [BotSaid(text="It is packed.")]
    assert backend.requests == []


async def test_while_a_backend_takes_its_time_other_conversations_go_on(
    replica: Replica, visitor: ChatLog, backend: Backend
) -> None:
    go_on = asyncio.Event()
    backend.will(held(go_on), says({"state": "sent"}))
    await replica.start(asking(backend))
    await greet(visitor)
    slow = await visitor.append(C, "visitor", text("7"))
    await backend.asked.wait()
    await greet(visitor, OTHER_CONVERSATION)
    await visitor.append(OTHER_CONVERSATION, "visitor", text("8"))
    assert len(said(await answered(visitor, conversation=OTHER_CONVERSATION), BotSaid)) == 1
    assert (await until(visitor, lambda state: state.visit.started)).inbox.owes(slow)
    go_on.set()
    assert len(said(await answered(visitor), BotSaid)) == 1


async def test_a_takeover_during_the_call_lets_its_answer_fall(
    connections: Connections, replica: Replica, visitor: ChatLog, backend: Backend
) -> None:
    go_on = asyncio.Event()
    backend.will(held(go_on))
    await replica.start(asking(backend))
    await greet(visitor)
    await visitor.append(C, "visitor", text("7"))
    await backend.asked.wait()
    operator = await connections.log("operator")
    claim = await operator.append(C, "operator", CLAIM)
    go_on.set()
    await acknowledged(replica)
    assert (await history(visitor))[-1].position == claim


async def test_what_the_visitor_writes_meanwhile_does_not_make_it_ask_twice(
    replica: Replica, visitor: ChatLog, backend: Backend
) -> None:
    go_on = asyncio.Event()
    backend.will(held(go_on), says({"state": "second"}))
    await replica.start(asking(backend))
    await greet(visitor)
    first = await visitor.append(C, "visitor", text("7"))
    await backend.asked.wait()
    second = await visitor.append(C, "visitor", text("8"))
    go_on.set()
    entries = await answered(visitor)
    assert causes(entries) == [1, first, second]
    assert [each.path for each in backend.requests] == ["/orders/7", "/orders/8"]
    assert said(entries, BotSaid) == [BotSaid(text="It is sent."), BotSaid(text="It is second.")]


async def test_after_a_crash_the_answer_is_on_the_log_and_nobody_asks_again(
    connections: Connections, replica: Replica, visitor: ChatLog, backend: Backend
) -> None:
    gate = Gate("before_append")
    doomed = Replica(connections)
    gate.open()
    await doomed.start(asking(backend), fault=gate)
    await greet(visitor)
    await answered(visitor)
    gate.close()
    await visitor.append(C, "visitor", text("7"))
    await gate.held.wait()
    await doomed.crash()
    await replica.start(asking(backend))
    entries = await answered(visitor)
    assert len(backend.requests) == 1
    assert said(entries, BotSaid) == [BotSaid(text="It is sent.")]


async def test_a_crash_before_the_answer_is_on_the_log_asks_again_with_the_same_key(
    connections: Connections, replica: Replica, visitor: ChatLog, backend: Backend
) -> None:
    doomed = await Replica(connections).start(asking(backend), fault=(gate := Gate("before_record")))
    await greet(visitor)
    await visitor.append(C, "visitor", text("7"))
    await gate.held.wait()
    await doomed.crash()
    await replica.start(asking(backend))
    entries = await answered(visitor)
    one, again = backend.requests
    assert one.headers["idempotency-key"] == again.headers["idempotency-key"]
    assert len(said(entries, ServiceAnswered)) == len(said(entries, BotSaid)) == 1


async def test_only_the_holder_of_the_lease_asks_however_many_replicas_are_woken(
    connections: Connections, replica: Replica, visitor: ChatLog, backend: Backend
) -> None:
    """The next inputs of the conversation are delivered to the other replica while one is asking."""
    go_on = asyncio.Event()
    backend.will(held(go_on))
    other = await Replica(connections).start(asking(backend))
    await replica.start(asking(backend))
    await greet(visitor)
    await answered(visitor)
    inputs = [await visitor.append(C, "visitor", text("7"))]
    await backend.asked.wait()
    inputs += [await visitor.append(C, "visitor", text(f"1{n}")) for n in range(8)]
    async with asyncio.timeout(30):
        while (
            sum(
                len(mailbox)
                for each in (other, replica)
                for mailbox in each.workflow.worker.mailboxes.values()
            )
            < 9
        ):
            await asyncio.sleep(0.01)
    assert len(backend.requests) == 1
    go_on.set()
    assert causes(await answered(visitor)) == [1, *inputs]
    assert len(backend.requests) == 9
    await other.crash()


async def test_what_nobody_holds_the_lease_of_is_done_by_whoever_waits_long_enough(
    connections: Connections,
    replica: Replica,
    visitor: ChatLog,
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A delivery that was lost with its acknowledgement, say; the input has no outcome yet."""
    monkeypatch.setattr(handlers, "ABANDONED_SECONDS", 0.3)
    await greet(visitor)
    await visitor.append(C, "visitor", text("7"))
    thief = await connections.client("workflow")
    stolen = asyncio.Event()

    async def steal(message: Msg) -> None:
        await message.ack()
        if message.metadata.sequence.stream == 2:
            stolen.set()

    thieving = await thief.subscribe(subjects.WORKFLOW_DELIVERY, queue=subjects.WORKFLOW_DURABLE, cb=steal)
    await stolen.wait()
    await thieving.unsubscribe()
    await flushed(thief)
    await replica.start(asking(backend))
    await visitor.append(C, "visitor", text("8"))
    assert causes(await answered(visitor)) == [1, 2, 3]


async def test_an_answer_too_large_for_the_log_is_a_failure(
    replica: Replica, visitor: ChatLog, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.workflow.backends.MAX_ANSWER", 2**20)
    backend.will(says("x" * 600_000, kind="text/plain"))
    await replica.start(asking(backend))
    await greet(visitor)
    await visitor.append(C, "visitor", text("7"))
    entries = await answered(visitor)
    assert [each.failure for each in said(entries, ServiceAnswered)] == ["too_large"]
    assert said(entries, BotSaid) == [BotSaid(text="Sorry.")]


async def test_a_flow_that_asks_without_end_is_a_failed_outcome(
    replica: Replica, visitor: ChatLog, backend: Backend
) -> None:
    states = ",".join(
        f'"s{n}": {{"service": {{"url": "{backend.url}/{n}"}}, "next": "s{n + 1}"}}' for n in range(20)
    )
    flow = parse(
        b'{"ask": {"sendRequest": {"kind": "StartChatSession", "sessionId": "s"}},'
        b'"got": {"matchResponse": {"kind": "UserText", "sessionId": "s"}, "next": "s0"},'
        + states.encode()
        + b', "s20": {"sendRequest": {"kind": "BotText", "content": "done"}, "next": "ask"}}',
        "long",
    )
    await replica.start(flow)
    await greet(visitor)
    await visitor.append(C, "visitor", text("go"))
    assert said(await answered(visitor), DecisionFailed) == [DecisionFailed(reason="endless_flow")]
    assert len(backend.requests) == 8


async def test_kill_9_while_a_backend_is_asked_gives_one_outcome(
    services: Services, visitor: ChatLog, backend: Backend, tmp_path: Path
) -> None:
    flow = tmp_path / "asking.json"
    flow.write_bytes(asking(backend).content)
    go_on = asyncio.Event()
    backend.will(held(go_on))
    doomed = await services.start("workflow", SWITCHBOARD_FLOW=str(flow))
    await greet(visitor)
    cause = await visitor.append(C, "visitor", text("7"))
    await backend.asked.wait()
    doomed.kill()
    go_on.set()
    await services.start("workflow", SWITCHBOARD_FLOW=str(flow))
    entries = await answered(visitor)
    assert causes(entries) == [1, cause]
    assert said(entries, BotSaid) == [BotSaid(text="It is sent.")]
