"""That an agreed time has passed is noted on a real log, once, by whichever replica finds it."""

from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client import CollectorRegistry

from services.operator.agreed_time_keeper import AgreedTimeKeeper
from services.operator.desk_commands import DeskCommands
from services.operator.desk_state import DeskState
from services.operator.handlers import Handlers
from services.operator.meters import DeskMeter
from shared.contract.desk_facts import AgreedTimeReached
from shared.contract.desk_settings import read_settings
from shared.contract.facts import (
    ConversationClaimed,
    Fact,
    FlowAdvanced,
    FlowStarted,
    HandoffRequested,
    OperatorSaid,
)
from tests.conftest import Connections
from tests.contract.test_operator_replica import TALK, VERSION, OtherReplica
from tests.contract.test_operator_replica import late as late
from tests.contract.test_operator_replica import other as other

MINUTE = 60 * 10**9


class WatchedKeeper:
    """One replica's, in this process."""

    def __init__(self, handlers: Handlers) -> None:
        self.later = 0  # nanoseconds
        self.hears = True
        state = DeskState(lambda: None, lambda: None)
        state.settings = read_settings(b'{"queues": {"sales": {"agreed": {"first_response": "10m"}}}}')
        self.look = AgreedTimeKeeper(
            state,
            handlers._desk,
            DeskCommands(handlers),
            hears=lambda: self.hears,
            meter=DeskMeter(CollectorRegistry()),
            now=lambda: time.time_ns() + self.later,
        ).look


@pytest.fixture
async def waiting(late: Handlers, other: OtherReplica) -> Handlers:
    """A visitor waits in "sales"."""
    flow = FlowStarted(flow="default", version=VERSION), FlowAdvanced(path=("hello",))
    await other.answers(1, *flow, HandoffRequested(queue="sales"))
    await late.newest(TALK)
    return late


async def noted(connections: Connections) -> list[Fact]:
    log = await connections.log("operator")
    return [
        fact
        async for window in log.entries(TALK, desk=True)
        for entry in window
        if entry.author == "desk"
        for fact in entry.facts
    ]


async def test_each_mark_is_noted_once_by_two_replicas_that_look_at_once(
    waiting: Handlers, connections: Connections
) -> None:
    one, two = WatchedKeeper(waiting), WatchedKeeper(waiting)

    async def both_look(minutes: int) -> list[bool]:
        one.later = two.later = minutes * MINUTE
        for _ in range(2):
            await asyncio.gather(one.look(), two.look())
        return [fact.over for fact in await noted(connections) if isinstance(fact, AgreedTimeReached)]

    assert await both_look(7) == []
    assert await both_look(9) == [False]
    assert await both_look(11) == [False, True]
    assert await both_look(1_000) == [False, True]


async def test_who_was_answered_in_the_meantime_is_not_late(
    waiting: Handlers, other: OtherReplica, connections: Connections
) -> None:
    """Another replica's answer has not been heard of here yet."""
    await other.stores("operator", ConversationClaimed(operator="ada"))
    await other.stores("operator", OperatorSaid(operator="ada", text="Hello"))
    keeper = WatchedKeeper(waiting)
    keeper.later = 11 * MINUTE
    await keeper.look()
    assert await noted(connections) == []


async def test_who_does_not_hear_the_log_notes_nothing(waiting: Handlers, connections: Connections) -> None:
    keeper = WatchedKeeper(waiting)
    keeper.later, keeper.hears = 11 * MINUTE, False
    await keeper.look()
    assert await noted(connections) == []
