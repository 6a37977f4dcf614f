"""The workflow's way of a turn against the real server: the lease, the proof, the fence."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.provisioning import wipe
from services.workflow import decision, handlers
from shared.contract import subjects
from shared.contract.conversation import NEW
from shared.contract.entry import Entry
from shared.contract.facts import (
    BotSaid,
    ConditionUntold,
    DecisionFailed,
    FlowAdvanced,
    InputRefused,
    TextWritten,
)
from shared.eventlog.messages import StoredMessage
from shared.flow.language.flow import parse
from shared.service.chat_log import ChatLog
from tests import examples
from tests import replica as replicas
from tests.conftest import Connections, declare, flushed, stream_name
from tests.faults.injectors import Pause, hesitant
from tests.replica import (
    CLAIM,
    ECHO,
    HANDBACK,
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
    said,
)


def text(n: int) -> Entry:
    return replicas.text(f"text {n}", f"t{n}")


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


async def test_each_input_gets_one_outcome_in_order(replica: Replica, visitor: ChatLog) -> None:
    await replica.start()
    await greet(visitor)
    for n in range(5):
        await visitor.append(C, "visitor", text(n))
    entries = await answered(visitor)
    inputs = [recorded.position for recorded in entries if recorded.author == "visitor"]
    assert causes(entries) == inputs


async def test_inputs_that_nobody_took_are_answered_by_a_replica_that_starts_later(
    replica: Replica, visitor: ChatLog
) -> None:
    await greet(visitor)
    await visitor.append(C, "visitor", text(1))
    await replica.start()
    assert len(said(await answered(visitor), BotSaid)) == 1


async def test_an_answer_held_back_until_after_a_claim_never_lands(
    replica: Replica, visitor: ChatLog, operator: ChatLog
) -> None:
    held, claimed = asyncio.Event(), asyncio.Event()

    async def hold(point: str, conversation: str) -> None:
        if point == "before_append" and holding:
            held.set()
            await claimed.wait()

    holding = False
    await replica.start(fault=hold)
    await greet(visitor)
    await answered(visitor)
    holding = True
    await visitor.append(C, "visitor", text(1))
    await held.wait()  # the answer is decided, and not yet appended
    claim = await operator.append(C, "operator", CLAIM)
    claimed.set()
    after = await operator.append(C, "operator", Entry(id="o", facts=(examples.OPERATOR_SAID,)))
    await acknowledged(replica)
    entries = await history(visitor)
    assert [recorded.author for recorded in entries if recorded.position >= claim] == ["operator", "operator"]
    assert entries[-1].position == after
    assert said(entries, BotSaid) == []


async def test_nothing_is_decided_on_a_state_that_missed_a_claim(
    replica: Replica, visitor: ChatLog, operator: ChatLog
) -> None:
    """The claim of another process comes between two messages, and this replica is not told."""

    def lose(message: StoredMessage) -> bool:
        return message.author == "operator"

    await replica.start(lose=lose)
    await greet(visitor)
    await visitor.append(C, "visitor", text(1))
    await answered(visitor)
    await operator.append(C, "operator", CLAIM)
    second = await visitor.append(C, "visitor", text(2))
    await replica.subscription.of(C).reached(second)
    await operator.append(C, "operator", HANDBACK)
    entries = await answered(visitor)
    assert len(said(entries, BotSaid)) == 1  # the answer to the first text; the second is a person's
    assert second not in causes(entries)
    stream = str(replica.subscription.of(C).number)
    assert replica.metric("switchboard_follower_healed_total", stream=stream) >= 2  # the claim, the handback


async def test_what_comes_while_a_conversation_is_loaded_is_not_taken_for_answered(
    connections: Connections, replica: Replica, visitor: ChatLog
) -> None:
    """A delivery may enter the mailbox before its entry is in the fold that the mailbox looks at."""
    held, go_on = asyncio.Event(), asyncio.Event()

    async def hold(point: str, conversation: str) -> None:
        if point == "after_fetch" and not go_on.is_set():
            held.set()
            await go_on.wait()

    await long_lease(connections)
    await replica.start(fault=hold)
    await greet(visitor)
    await held.wait()
    await visitor.append(C, "visitor", text(1))
    async with asyncio.timeout(30):
        while len(replica.workflow.worker.mailboxes[C]) < 2:
            await asyncio.sleep(0.01)
    go_on.set()
    assert causes(await answered(visitor)) == [1, 2]


async def test_redelivered_out_of_order_they_are_answered_in_order(
    connections: Connections, replica: Replica, visitor: ChatLog
) -> None:
    """One replica takes three messages and dies; the other hears the fourth first."""
    taken = asyncio.Event()

    async def hang(point: str, conversation: str) -> None:
        taken.set()
        await asyncio.Event().wait()

    doomed = await Replica(connections).start(fault=hang)
    await greet(visitor)
    for n in range(3):
        await visitor.append(C, "visitor", text(n))
    await taken.wait()
    async with asyncio.timeout(30):
        while len(next(iter(doomed.workflow.worker.mailboxes.values()))) < 4:
            await asyncio.sleep(0.01)
    await doomed.crash()
    await replica.start()
    await visitor.append(C, "visitor", text(3))
    entries = await answered(visitor)
    inputs = [recorded.position for recorded in entries if recorded.author == "visitor"]
    assert causes(entries) == inputs
    assert len(inputs) == 5


async def test_two_replicas_that_both_decide_give_one_outcome(
    connections: Connections, replica: Replica, visitor: ChatLog
) -> None:
    """A replica holds its answer beyond the lease; another answers; then the first one wakes."""
    held, wake = asyncio.Event(), asyncio.Event()

    async def hold(point: str, conversation: str) -> None:
        if point == "before_append":
            held.set()
            await wake.wait()

    frozen = await Replica(connections).start(fault=hold)
    frozen.workflow.worker._renewer.cancel()  # frozen: nothing renews its lease
    await greet(visitor)
    await held.wait()
    await replica.start()
    await frozen.deaf()
    entries = await answered(visitor)
    wake.set()
    again = await visitor.append(C, "visitor", text(1))
    entries = await answered(visitor)
    assert causes(entries) == [1, again]
    await frozen.crash()


async def test_a_decision_too_large_is_a_failed_outcome_and_the_conversation_goes_on(
    replica: Replica, visitor: ChatLog
) -> None:
    wordy = parse(ECHO.content.replace(b"heard", b"heard " * 100), "wordy")
    await replica.start(max_entry=500, flow=wordy)
    await greet(visitor)
    await answered(visitor)
    await visitor.append(C, "visitor", text(1))
    entries = await answered(visitor)
    assert said(entries, DecisionFailed) == [DecisionFailed(reason="too_large")]
    assert (await folded(visitor)).turn == "error"
    await visitor.append(C, "visitor", Entry(id="x", facts=(TextWritten(session="no", text=""),)))
    entries = await answered(visitor)
    assert said(entries, InputRefused) == [InputRefused(reason="stale_answer")]
    assert (await folded(visitor)).turn == "idle"


async def test_an_input_delivered_too_often_is_a_failed_outcome(replica: Replica, visitor: ChatLog) -> None:
    await replica.start(max_deliveries=0)
    await greet(visitor)
    assert said(await answered(visitor), DecisionFailed) == [DecisionFailed(reason="too_many_deliveries")]


async def test_what_older_programs_gave_back_does_not_count_as_delivered_too_often(
    replica: Replica, visitor: ChatLog
) -> None:
    await visitor.append(
        C, "visitor", Entry(id="s", needs=2, facts=(examples.CONVERSATION_STARTED,)), expect=0
    )
    await replica.start(max_deliveries=0)
    entries = await answered(visitor)
    assert causes(entries) == [1]
    assert said(entries, DecisionFailed) == []


async def test_in_the_end_even_what_older_programs_may_have_given_back_is_a_failed_outcome(
    replica: Replica, visitor: ChatLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision, "NEWER_DELIVERIES", 0)
    started = Entry(id="s", needs=2, facts=(examples.CONVERSATION_STARTED,))
    await visitor.append(C, "visitor", started, expect=0)
    await replica.start(max_deliveries=0)
    assert said(await answered(visitor), DecisionFailed) == [DecisionFailed(reason="too_many_deliveries")]


async def test_unreadable_messages_and_those_of_newer_programs_do_not_stop_the_others(
    connections: Connections, replica: Replica, visitor: ChatLog
) -> None:
    proxy = await connections.client("proxy")
    other = examples.OTHER_CONVERSATION
    await proxy.publish(subjects.chat(other, "visitor"), b"\xff not json")
    await proxy.publish(subjects.chat(other, "visitor"), b'{"id":"n","facts":[{"kind":"FromTheFuture"}]}')
    await replica.start()
    await greet(visitor)
    entries = await answered(visitor)
    assert causes(entries) == [entries[0].position]


async def test_a_conversation_that_needs_a_newer_program_is_left_to_it(
    connections: Connections, replica: Replica, visitor: ChatLog
) -> None:
    newer = Entry(id="s", needs=99, facts=(examples.CONVERSATION_STARTED,))
    await visitor.append(C, "visitor", newer, expect=0)
    await replica.start()
    asked = await visitor.append(examples.OTHER_CONVERSATION, "visitor", text(1))
    async with asyncio.timeout(30):
        while not await visitor.fetch(examples.OTHER_CONVERSATION, after=asked):
            await asyncio.sleep(0.01)
    assert causes(await history(visitor)) == []
    async with asyncio.timeout(30):
        while True:  # the other's acknowledgement goes with what comes within 10 ms
            info = await replica.client.jsm().consumer_info(stream_name(), subjects.WORKFLOW_DURABLE)
            if info.num_ack_pending == 1:  # it stays somebody's to do
                break


async def test_conversations_keep_the_flow_they_began_with(
    connections: Connections, replica: Replica, visitor: ChatLog
) -> None:
    await replica.start()
    await greet(visitor)
    before = await folded(visitor) if await answered(visitor) else NEW
    await replica.crash()
    other = parse(ECHO.content.replace(b"heard", b"changed"), "echo")
    changed = await Replica(connections).start(flow=other)
    await visitor.append(C, "visitor", text(1))
    entries = await answered(visitor)
    assert said(entries, BotSaid) == [BotSaid(text="heard")]
    assert (await folded(visitor)).progress.version == before.progress.version == ECHO.version
    await visitor.append(C, "visitor", Entry(id="r", facts=(examples.CONVERSATION_RESET,)))
    await visitor.append(C, "visitor", text(2))
    entries = await answered(visitor)
    assert said(entries, BotSaid) == [BotSaid(text="heard"), BotSaid(text="changed")]
    assert (await folded(visitor)).progress.version == other.version
    assert len(said(entries, FlowAdvanced)) == 4
    await changed.crash()


async def test_an_orderly_end_finishes_what_is_in_hand(replica: Replica, visitor: ChatLog) -> None:
    held, go_on = asyncio.Event(), asyncio.Event()

    async def hold(point: str, conversation: str) -> None:
        if point == "before_append":
            held.set()
            await go_on.wait()

    await replica.start(fault=hold)
    await greet(visitor)
    await held.wait()
    stopping = asyncio.create_task(replica.workflow.stop(10))
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    await replica.subscription.leave()  # and what was acknowledged has reached the server
    assert causes(await history(visitor)) == [1]
    info = await replica.client.jsm().consumer_info(stream_name(), subjects.WORKFLOW_DURABLE)
    assert info.num_ack_pending == 0


async def test_an_acknowledgement_that_finds_no_company_goes_alone(
    replica: Replica, visitor: ChatLog
) -> None:
    await replica.start()
    await greet(visitor)
    manager = replica.client.jsm()
    async with asyncio.timeout(30):
        while True:
            info = await manager.consumer_info(stream_name(), subjects.WORKFLOW_DURABLE)
            if info.delivered and info.delivered.consumer_seq and not info.num_ack_pending:
                break
            await asyncio.sleep(0.01)
    assert info.delivered.consumer_seq == 1  # it came once: nobody had to wait for the lease
    assert causes(await history(visitor)) == [1]


async def test_an_orderly_end_gives_back_at_once_what_it_cannot_finish(
    connections: Connections, replica: Replica, visitor: ChatLog
) -> None:
    held = asyncio.Event()

    async def hang(point: str, conversation: str) -> None:
        held.set()
        await asyncio.Event().wait()

    stuck = await Replica(connections).start(fault=hang)
    await greet(visitor)
    await held.wait()
    await stuck.deaf()
    await stuck.workflow.stop(0.05)
    await flushed(stuck.client)
    await stuck.crash()
    await replica.start()
    assert causes(await answered(visitor)) == [1]


async def test_a_store_put_back_while_a_delivery_is_in_hand_stops_nobody(
    connections: Connections, replica: Replica, visitor: ChatLog, tmp_path: Path
) -> None:
    """The delivery's position is one that the new log may never reach."""
    server, held, go_on = connections.server, asyncio.Event(), asyncio.Event()

    async def hold(point: str, conversation: str) -> None:
        if point == "before_append" and holding:
            held.set()
            await go_on.wait()

    holding = False
    await replica.start(fault=hold)
    await greet(visitor)
    await answered(visitor)
    await asyncio.to_thread(server.stop)
    shutil.copytree(server.folder / "nats", tmp_path / "copy")
    await asyncio.to_thread(server.start)
    for n in range(5):
        await visitor.append(C, "visitor", text(n))
    await answered(visitor)
    holding = True
    await visitor.append(C, "visitor", text(5))
    await held.wait()
    await asyncio.to_thread(server.stop)
    shutil.rmtree(server.folder / "nats")
    shutil.copytree(tmp_path / "copy", server.folder / "nats")
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(10):
        while replica.subscription.of(C).sequence != 2:
            await asyncio.sleep(0.02)
    holding = False
    go_on.set()
    again = await visitor.append(C, "visitor", text(9))
    assert again == 3
    assert causes(await answered(visitor, seconds=10)) == [1, again]


async def test_what_comes_before_a_replica_knows_that_the_store_was_put_back_is_answered(
    connections: Connections, replica: Replica, visitor: ChatLog, tmp_path: Path
) -> None:
    """Its position is one that the old log had: there it has its outcome."""
    server, pause = connections.server, Pause()
    await replica.start(reads=hesitant(pause))
    await greet(visitor)
    await answered(visitor)
    await asyncio.to_thread(server.stop)
    shutil.copytree(server.folder / "nats", tmp_path / "copy")
    await asyncio.to_thread(server.start)
    for n in range(5):
        await visitor.append(C, "visitor", text(n))
    await answered(visitor)
    pause.begin()
    await pause.felt.wait()
    await asyncio.to_thread(server.stop)
    shutil.rmtree(server.folder / "nats")
    shutil.copytree(tmp_path / "copy", server.folder / "nats")
    await asyncio.to_thread(server.start)
    again = await visitor.append(C, "visitor", text(9))
    assert again == 3
    await delivered(replica, again)
    pause.end()
    assert causes(await answered(visitor)) == [1, again]


async def test_what_comes_after_the_log_was_wiped_is_answered(
    connections: Connections, replica: Replica, visitor: ChatLog
) -> None:
    """No connection is lost: nothing but the entry itself tells that it is of another log."""
    pause = Pause()
    await replica.start(reads=hesitant(pause))
    await greet(visitor)
    for n in range(5):
        await visitor.append(C, "visitor", text(n))
    await answered(visitor)
    pause.begin()
    await pause.felt.wait()
    admin = await connections.client("admin")
    await wipe(admin)
    await declare(admin, max_bytes=1024**3)
    await long_lease(connections)  # what is in hand comes again because it is given back
    await greet(visitor)
    await delivered(replica, 1)
    pause.end()
    assert causes(await answered(visitor)) == [1]


async def delivered(replica: Replica, position: int) -> None:
    """Once the workflow's consumer has handed out the message at ``position``."""
    manager = replica.client.jsm()
    async with asyncio.timeout(10):
        while True:
            info = await manager.consumer_info(stream_name(), subjects.WORKFLOW_DURABLE)
            if info.delivered is not None and info.delivered.stream_seq >= position:
                return
            await asyncio.sleep(0.02)


async def test_a_condition_that_cannot_be_told_is_counted_and_on_the_log(
    replica: Replica, visitor: ChatLog
) -> None:
    states = json.loads(ECHO.content)
    states["got"]["matchResponse"]["save"] = "words"
    states["got"]["next"] = [{"when": "words > 3", "next": "ask"}, {"next": "reply"}]
    await replica.start(flow=parse(json.dumps(states).encode(), "echo"))
    await greet(visitor)
    for n in range(2):
        await visitor.append(C, "visitor", text(n))
    entries = await answered(visitor)
    assert said(entries, BotSaid) == [BotSaid(text="heard")] * 2
    untold = said(entries, ConditionUntold)
    assert [(fact.state, fact.condition) for fact in untold] == [("got", "words > 3")] * 2
    assert replica.metric("switchboard_conditions_untold_total", flow="echo", state="got") == 2


async def test_the_metric_of_untold_conditions_is_bounded(
    replica: Replica, visitor: ChatLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "MAX_UNTOLD_STATES", 2)
    tell = {
        f"s{n}": {"next": [{"when": "words > 3", "next": "ask"}, {"next": f"s{n + 1}"}]} for n in range(4)
    }
    states = json.loads(ECHO.content) | tell | {"s4": {"next": "ask"}}
    states["got"]["matchResponse"]["save"] = "words"
    states["got"]["next"] = "s0"
    await replica.start(flow=parse(json.dumps(states).encode(), "echo"))
    await greet(visitor)
    await visitor.append(C, "visitor", text(1))
    await answered(visitor)
    assert replica.metric("switchboard_conditions_untold_total", flow="echo", state="s1") == 1
    assert replica.metric("switchboard_conditions_untold_total", flow="other", state="other") == 2


async def test_the_server_refuses_an_answer_before_which_a_claim_came_that_nobody_here_was_told_of(
    replica: Replica, visitor: ChatLog, operator: ChatLog
) -> None:
    gate = Gate("before_append")
    gate.open()
    await replica.start(fault=gate, lose=lambda message: message.author == "operator")
    await greet(visitor)
    await answered(visitor)
    gate.close()
    await visitor.append(C, "visitor", text(1))
    await gate.held.wait()
    await operator.append(C, "operator", CLAIM)
    gate.open()
    await acknowledged(replica)
    assert (await history(visitor))[-1].author == "operator"
