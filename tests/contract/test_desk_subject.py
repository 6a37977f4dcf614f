"""What operators note, on the real log: beside the conversation, in its stream, in nobody's way."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from deploy import provisioning
from deploy.cli.main import main
from deploy.local.embedded import EmbeddedNats
from shared.contract.conversation import NEW, evolve
from shared.contract.entry import Entry, decode, encode_sealed, needed
from shared.contract.facts import BotSaid
from shared.contract.sealing import DataKey
from shared.eventlog.connection import ConnectionState
from shared.eventlog.errors import Conflict
from shared.eventlog.keyring import Keyring
from shared.eventlog.layout import Layout
from shared.eventlog.messages import StoredMessage
from shared.eventlog.provisioning import log_stream
from shared.eventlog.subscription import Start, Subscription
from shared.service.chat_log import ChatLog, chat_layout
from shared.service.health import Health
from tests import examples
from tests.conftest import LAYOUT, MASTERS, Connections, Services, stream_name
from tests.contract.test_analytics import Logs, caught_up
from tests.processes import MASTER_KEY
from tests.replica import C, Gate, Replica, answered, causes, greet, history, said, text
from tests.visitor import Visitor

WORDS = examples.NOTE_WRITTEN.text


def noted(id: str = "n") -> Entry:
    facts = (examples.NOTE_WRITTEN,)
    return Entry(id=id, needs=needed(facts), facts=facts)


@pytest.fixture
async def visitor(connections: Connections) -> ChatLog:
    return await connections.log("proxy")


@pytest.fixture
async def operator(connections: Connections) -> ChatLog:
    return await connections.log("operator")


async def test_a_note_is_read_beside_the_conversation_and_only_by_who_asks(
    visitor: ChatLog, operator: ChatLog
) -> None:
    await greet(visitor)
    first = await visitor.last(C)
    note = await operator.append(C, "desk", noted())
    second = await visitor.append(C, "visitor", text("1"))

    assert [message.sequence for message in await visitor.fetch(C)] == [first, second]
    assert await visitor.last(C) == second
    all_of_it = [entry async for window in operator.entries(C, desk=True) for entry in window]
    assert [(entry.position, entry.author) for entry in all_of_it] == [
        (first, "visitor"),
        (note, "desk"),
        (second, "visitor"),
    ]
    assert all_of_it[1].facts == (examples.NOTE_WRITTEN,)
    again = await operator.append(C, "desk", noted("m"))
    assert (await operator.last(C), await operator.last(C, asides=True)) == (second, again)


async def test_no_expectation_of_the_conversation_covers_a_note(
    visitor: ChatLog, operator: ChatLog, connections: Connections
) -> None:
    await greet(visitor)
    await operator.append(C, "desk", noted())
    bot = await connections.log("workflow")
    folded = NEW
    async for window in bot.entries(C, desk=True):
        for entry in window:
            folded = evolve(folded, entry)
    facts = (BotSaid(text="Hi"),)

    await bot.append(C, "bot", Entry(id="a", cause=folded.position, facts=facts), expect=folded.position)

    assert folded.position < await operator.last(C)


async def test_a_note_is_decided_on_all_that_was_said_and_noted(visitor: ChatLog, operator: ChatLog) -> None:
    await greet(visitor)
    first = await operator.append(C, "desk", noted("1"), expect=await operator.last(C, asides=True))
    await visitor.append(C, "visitor", text("1"))
    with pytest.raises(Conflict):  # the visitor was quicker
        await operator.append(C, "desk", noted("2"), expect=first)
    newest = await operator.append(C, "desk", noted("2"), expect=await operator.last(C, asides=True))
    with pytest.raises(Conflict):  # a colleague was
        await operator.append(C, "desk", noted("3"), expect=await operator.last(C))
    assert await operator.append(C, "desk", noted("2")) == newest  # the same again is stored once


async def test_the_live_feed_brings_it_in_its_place(visitor: ChatLog, operator: ChatLog) -> None:
    """Else every note would be a gap, which every subscription would have to ask about."""
    heard: list[StoredMessage] = []
    live = await visitor.client.subscribe("live.*.*.*.*")
    health = Health("test")
    subscription = Subscription(
        visitor, ConnectionState(health), health, heard.append, heard.clear, start=Start.BEGINNING
    )
    await subscription.start()
    await greet(visitor)
    note = await operator.append(C, "desk", noted())
    last = await visitor.append(C, "visitor", text("1"))
    await subscription.of(C).reached(last)
    await subscription.stop()

    assert [(each.sequence, each.author) for each in heard] == [
        (note - 1, "visitor"),
        (note, "desk"),
        (last, "visitor"),
    ]
    subjects = [(await live.next_msg(timeout=5)).subject for _ in heard]
    assert [subject.rpartition(".")[2] for subject in subjects] == ["visitor", "desk", "visitor"]
    assert not heard[1].first  # it proves nothing about what came before it in the conversation


async def test_it_is_sealed_as_the_conversation_is(
    visitor: ChatLog, operator: ChatLog, connections: Connections
) -> None:
    await greet(visitor)
    await visitor.append(C, "visitor", text("1"))
    await history(operator)  # it knows the conversation's key from here on
    await operator.append(C, "desk", noted())
    (stored,) = [each for each in await operator.fetch(C, asides=True) if each.author == "desk"]
    assert WORDS.encode() not in stored.data
    keys = {entry.key async for window in operator.entries(C, desk=True) for entry in window} - {b""}
    assert len(keys) == 1
    analytics = await connections.log("analytics")
    facts = [entry.facts async for window in analytics.entries(C, desk=True) for entry in window][-1]
    assert [
        (fact.operator, fact.text) for fact in facts if isinstance(fact, type(examples.NOTE_WRITTEN))
    ] == [("desk-1", "")]


async def test_an_answer_that_is_under_way_is_not_refused(
    visitor: ChatLog, operator: ChatLog, connections: Connections
) -> None:
    gate = Gate("before_append")
    replica = await Replica(connections).start(fault=gate)
    gate.open()
    await greet(visitor)
    await answered(visitor)
    gate.close()
    await visitor.append(C, "visitor", text("1"))
    await gate.held.wait()  # it is decided, and not yet appended
    for number in range(3):
        await operator.append(C, "desk", noted(str(number)))
    before = replica.metric("switchboard_decide_seconds_count")
    gate.open()
    entries = await answered(visitor)
    await replica.crash()

    assert [fact.text for fact in said(entries, BotSaid)] == ["heard"]
    assert replica.metric("switchboard_decide_seconds_count") == before + 1
    assert len(set(causes(entries))) == len(causes(entries))


async def test_a_note_under_a_key_that_is_out_of_reach_keeps_nobody_waiting(
    visitor: ChatLog, operator: ChatLog, connections: Connections
) -> None:
    """The workflow has not read the note's key, and asks for none."""
    replica = await Replica(connections).start()
    await greet(visitor)
    await answered(visitor)
    fetched: list[Any] = []

    async def fetch(id: bytes) -> None:
        fetched.append(id)

    replica.keys._ring.get = fetch  # type: ignore[assignment]
    key = await Keyring(operator.client, MASTERS, DataKey).new()
    data = encode_sealed(noted(), C, "desk", key)
    decode(1, C, "desk", 1, data, lambda id: key)  # this process wrote it, and reads it once without its key
    note = (await operator.client.jetstream().publish(LAYOUT.subject(C, "desk"), data)).seq
    await replica.subscription.of(C).reached(note)
    state = replica.workflow._repository.folds.at_hand(C)
    await replica.entries.given(C)
    await replica.crash()

    assert fetched == []
    assert state is not None
    assert state.position < note


async def test_the_visitor_is_told_nothing_of_it(services: Services, connections: Connections) -> None:
    proxy = await services.start("proxy")
    await services.start("workflow")
    operator = await connections.log("operator")
    async with Visitor(proxy.url) as visitor:
        await visitor.question()
        log = await connections.log("proxy")
        (name,) = {message.key async for batch in log.read() for message in batch}
        seen = len(visitor.transcript)
        note = await operator.append(name, "desk", noted())
        await operator.append(name, "operator", Entry(id="c", facts=(examples.CONVERSATION_CLAIMED,)))
        await visitor.until(lambda self: "OperatorJoined" in self.kinds())
        assert note
        assert WORDS not in json.dumps(visitor.transcript)
        assert len(visitor.transcript) > seen
    again = Visitor(proxy.url)
    again.cookie = visitor.cookie
    async with again:
        await again.until(lambda self: "OperatorJoined" in self.kinds())
        assert WORDS not in json.dumps(again.transcript)


async def test_analytics_has_read_it_and_counts_nothing_by_it(
    services: Services, connections: Connections
) -> None:
    logs = Logs(*[await connections.log(user) for user in ("proxy", "workflow", "operator")])
    await logs.conversation(1)
    service = await services.start("analytics")
    before = await caught_up(service, await logs.visitor.length())
    ((name, *_),) = {(message.key,) async for batch in logs.visitor.read() for message in batch}
    await logs.operator.append(name, "desk", noted())
    after = await caught_up(service, await logs.visitor.length())
    left = {"generated", "position", "counted_until"}
    assert {k: v for k, v in after.items() if k not in left} == {
        k: v for k, v in before.items() if k not in left
    }


@pytest.mark.parametrize("streams", [1, 4])
async def test_a_log_from_before_is_given_the_subject(server: EmbeddedNats, streams: int) -> None:
    connections = Connections(server)
    admin = await connections.client("admin")
    old = Layout("CHAT", "chat", streams)
    for number in range(streams):
        config = log_stream(old, number, 1024**3, 1024**2, 1)
        config["metadata"] = {"epoch": "of old", "streams": str(streams)}
        await admin.request(f"$JS.API.STREAM.CREATE.CHAT-{number}", json.dumps(config).encode())
    proxy = await connections.client("proxy")
    before = ChatLog(proxy, old)
    first = await before.append(C, "visitor", text("1"), expect=0)

    await provisioning.declare(admin, max_bytes=1024**3)
    await provisioning.declare(admin, max_bytes=1024**3)  # once is enough, and twice does no harm

    live = await proxy.subscribe("live.*.*.*.*")
    operator = ChatLog(await connections.client("operator"), chat_layout(streams))
    note = await operator.append(C, "desk", noted(), expect=first)
    second = await before.append(C, "visitor", text("2"), expect=first)  # also by a program from before
    assert [each.sequence for each in await operator.fetch(C, asides=True)] == [first, note, second]
    assert [(await live.next_msg(timeout=5)).subject for _ in range(2)] == [
        f"live.{old.stream_of(C)}.{old.subject(C, author).removeprefix('chat.')}"
        for author in ("desk", "visitor")
    ]
    assert (await operator.stream_of(C).tail()).epoch == "of old"
    await connections.close()


async def test_the_command_shows_it(
    visitor: ChatLog,
    operator: ChatLog,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    connections: Connections,
) -> None:
    server = connections.server
    monkeypatch.setenv("SWITCHBOARD_NATS_URL", server.url())
    monkeypatch.setenv("SWITCHBOARD_MASTER_KEY", MASTER_KEY)
    monkeypatch.setenv("SWITCHBOARD_NATS_PASSWORD_OPERATOR", server.password("operator"))
    await greet(visitor)
    await operator.append(C, "desk", noted())
    for words in (["log"], ["log", "--conversation", C]):
        assert await asyncio.to_thread(main, words) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [line["author"] for line in lines] == ["visitor", "desk"]
        assert lines[1]["facts"][0]["text"] == WORDS


async def test_the_fold_of_a_conversation_knows_nothing_of_it(visitor: ChatLog, operator: ChatLog) -> None:
    await greet(visitor)
    entries = await history(visitor)
    state = evolve(NEW, entries[0])
    note = await operator.append(C, "desk", noted())
    (entry,) = [each async for window in operator.entries(C, note - 1, desk=True) for each in window]
    assert evolve(state, entry) is state
    assert LAYOUT.names[LAYOUT.stream_of(C)] == stream_name()
