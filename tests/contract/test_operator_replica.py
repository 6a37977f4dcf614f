"""A replica of the operator service that has not read what another replica stored a moment ago."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from services.operator.desk import Desk
from services.operator.domain.decisions import Operator
from services.operator.handlers import CommandRefused, Handlers, NotFound
from shared.contract.entry import Entry, RecordedEntry
from shared.contract.facts import (
    ConversationClaimed,
    ConversationHandedBack,
    ConversationStarted,
    Fact,
    FlowAdvanced,
    FlowStarted,
)
from shared.contract.subjects import conversation_of
from shared.eventlog.connection import ConnectionState
from shared.eventlog.messages import StoredMessage
from shared.eventlog.subscription import Start, Subscription
from shared.service.chat_log import ChatLog, flow_store
from shared.service.health import Health
from shared.service.live_entries import LiveEntries
from tests.conftest import Connections
from tests.examples import FLOW
from tests.faults.injectors import lossy

ADA = Operator("ada", "Ada")
BOB = Operator("bob", "Bob")
TALK = conversation_of("one", "web")
NEW_TALK = conversation_of("two", "web")
VERSION = "0123456789abcdef0123456789abcdef"


async def still() -> None:
    """Every right lasts."""


class OtherReplica:
    """What the other services store meanwhile."""

    def __init__(self, logs: dict[str, ChatLog]) -> None:
        self._logs = logs

    async def stores(self, author: str, *facts: Fact, conversation: str = TALK) -> int:
        entry = Entry(id=str(uuid.uuid4()), facts=facts)
        return await self._logs[author].append(conversation, author, entry)

    async def answers(self, cause: int, *facts: Fact) -> int:
        return await self._logs["bot"].append(TALK, "bot", Entry(id=str(cause), cause=cause, facts=facts))


@pytest.fixture
async def other(connections: Connections) -> OtherReplica:
    users = {"visitor": "proxy", "bot": "workflow", "operator": "operator"}
    other = OtherReplica({author: await connections.log(user) for author, user in users.items()})
    await other.stores("visitor", ConversationStarted(door="web"))
    return other


@pytest.fixture
async def late(
    connections: Connections, other: OtherReplica, link: ConnectionState
) -> AsyncIterator[Handlers]:
    """Has read everything up to now. Of what comes it hears only when it waits for it."""
    log, desk = await connections.log("operator"), Desk()

    def give(_: StoredMessage, recorded: RecordedEntry) -> None:
        desk.apply(recorded)

    entries = LiveEntries(log, give, desk=True)
    feed = lossy(lambda _: True)
    subscription = Subscription(
        log, link, Health("test"), entries.take, entries.reset, Start.BEGINNING, "operator", feed
    )
    await subscription.start()
    counter = Counter("commands", "Commands", ["command", "outcome"], registry=CollectorRegistry())
    handlers = Handlers(desk, log, subscription, entries, counter)
    await handlers.find(TALK)
    yield handlers
    await subscription.stop()


async def test_who_claimed_elsewhere_may_speak_here(late: Handlers, other: OtherReplica) -> None:
    await other.stores("operator", ConversationClaimed(operator="ada", name="Ada"))
    row = await late.say(TALK, ADA, "Hello", None, still)
    assert row.state.ownership.is_of("ada")


async def test_who_claimed_elsewhere_may_be_seen_typing(late: Handlers, other: OtherReplica) -> None:
    await other.stores("operator", ConversationClaimed(operator="ada", name="Ada"))
    await late.type(TALK, ADA)


async def test_what_was_handed_back_elsewhere_is_not_thought_mine(
    late: Handlers, other: OtherReplica
) -> None:
    """Ada has it here. It was handed back, and is Bob's now: her claim is not done by saying so."""
    await late.claim(TALK, ADA, still)
    await other.stores("operator", ConversationHandedBack(operator="ada", state=None))
    await other.stores("operator", ConversationClaimed(operator="bob", name="Bob"))
    with pytest.raises(CommandRefused, match="taken by Bob"):
        await late.claim(TALK, ADA, still)


async def test_who_lost_it_is_told_who_has_it(late: Handlers, other: OtherReplica) -> None:
    await other.stores("operator", ConversationClaimed(operator="bob", name="Bob"))
    with pytest.raises(CommandRefused, match="taken by Bob"):
        await late.say(TALK, ADA, "Hello", None, still)


async def test_a_conversation_that_began_elsewhere_is_there(late: Handlers, other: OtherReplica) -> None:
    await other.stores("visitor", ConversationStarted(door="web"), conversation=NEW_TALK)
    row = await late.claim(NEW_TALK, BOB, still)
    assert row.state.ownership.is_of("bob")


async def test_one_that_nobody_began_is_not(late: Handlers) -> None:
    with pytest.raises(NotFound):
        await late.find(NEW_TALK)


async def test_a_flow_that_came_elsewhere_has_its_states(
    late: Handlers, other: OtherReplica, connections: Connections
) -> None:
    await flow_store(await connections.log("workflow")).put(VERSION, FLOW)
    await late.claim(TALK, ADA, still)
    given = await other.stores("operator", ConversationHandedBack(operator="ada", state=None))
    await other.answers(given, FlowStarted(flow="default", version=VERSION), FlowAdvanced(path=("hello",)))
    await other.stores("operator", ConversationClaimed(operator="ada", name="Ada"))
    row = await late.hand_back(TALK, ADA, "pick", still)
    assert row.state.ownership.owner == "bot"
