"""Nobody is stuck with an operator who is gone."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest
from nats.aio.client import Client
from prometheus_client import CollectorRegistry

from services.operator.domain.leases import Leases
from services.operator.handlers import Handlers
from services.operator.leases import LeaseKeeper, PresentOperators
from services.operator.meters import DeskMeter
from shared.contract.facts import (
    ConversationClaimed,
    ConversationTransferred,
    FlowAdvanced,
    FlowStarted,
    HandoffRequested,
    OperatorSaid,
)
from shared.contract.queue_figures import QueueFigures
from shared.contract.subjects import PRESENCE
from shared.service.chat_log import ChatLog
from tests.conftest import Connections, Services, flushed
from tests.contract.test_operator_api import Api, WrittenChats
from tests.contract.test_operator_api import chat as chat
from tests.contract.test_operator_api import clients as clients
from tests.contract.test_operator_replica import ADA, TALK, VERSION, OtherReplica, still
from tests.contract.test_operator_replica import late as late
from tests.contract.test_operator_replica import other as other
from tests.replica import history
from tests.unit.test_leases import StandingClock


class WatchedDesk:
    """One replica's desk, with a clock that others move."""

    def __init__(self, client: Client, log: ChatLog, handlers: Handlers) -> None:
        self.clock = StandingClock()
        self.leases = Leases(60, self.clock)
        self.hears = True
        self.handlers = handlers
        self._log = log
        self.keeper = LeaseKeeper(
            *(client, "a", self.leases, handlers._desk, handlers, lambda: 1, lambda: self.hears),
            meter=DeskMeter(CollectorRegistry()),
        )

    async def looks(self) -> None:
        await self.keeper.give_back()

    async def transfers(self) -> list[ConversationTransferred]:
        entries = await history(self._log, TALK)
        return [
            fact for entry in entries for fact in entry.facts if isinstance(fact, ConversationTransferred)
        ]


@pytest.fixture
async def desk(connections: Connections, late: Handlers, other: OtherReplica) -> WatchedDesk:
    """Ada has a conversation that waited in the queue "sales"."""
    facts = FlowStarted(flow="default", version=VERSION), FlowAdvanced(path=("hello",))
    await other.answers(1, *facts, HandoffRequested(queue="sales"))
    await late.newest(TALK)
    await late.claim(TALK, ADA, still)
    log = await connections.log("operator")
    return WatchedDesk(log.client, log, late)


BACK = ConversationTransferred(operator="ada", queue="sales", lapsed=True)


async def test_what_an_operator_has_who_is_gone_waits_in_its_queue_again(desk: WatchedDesk) -> None:
    desk.leases.here("ada")
    desk.clock.now += 60
    await desk.looks()
    assert await desk.transfers() == []
    desk.clock.now += 1
    await desk.looks()
    await desk.looks()
    assert await desk.transfers() == [BACK]
    summary = await desk.handlers.newest(TALK)
    assert (summary.state.ownership.owner, summary.state.ownership.queue) == ("queue", "sales")
    transcript = await desk.handlers.transcript(TALK)
    assert [line.text for line in transcript][-1] == "Ada was away for long: this is back in “sales”"


async def test_who_is_at_another_replica_keeps_it(desk: WatchedDesk) -> None:
    desk.clock.now += 50
    desk.leases.there(["ada"])
    desk.clock.now += 50
    await desk.looks()
    assert await desk.transfers() == []


async def test_while_nobody_can_be_heard_nobody_loses_anything(desk: WatchedDesk) -> None:
    desk.clock.now += 100
    desk.hears = False
    await desk.looks()
    desk.hears = True
    await desk.looks()
    assert await desk.transfers() == []
    desk.clock.now += 61
    await desk.looks()
    assert await desk.transfers() == [BACK]


async def test_two_replicas_give_it_back_once(desk: WatchedDesk, other: OtherReplica) -> None:
    """Another was quicker, and Bob has taken it meanwhile; this one has not heard of it."""
    await other.stores("operator", BACK)
    await other.stores("operator", ConversationClaimed(operator="bob", name="Bob"))
    await other.stores("operator", OperatorSaid(operator="bob", text="Hello", name="Bob"))
    desk.clock.now += 100
    await desk.looks()
    assert await desk.transfers() == [BACK]
    assert (await desk.handlers.newest(TALK)).state.ownership.is_of("bob")


async def test_a_fault_of_ours_ends_no_lease_for_ever(
    desk: WatchedDesk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("services.operator.leases.TELL_SECONDS", 0.01)
    lapse, tries = desk.handlers.lapse, 0

    async def fails_once(*arguments: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise KeyError("nobody thought of this")
        await lapse(*arguments)

    monkeypatch.setattr(desk.handlers, "lapse", fails_once)
    desk.clock.now += 61
    keeping = asyncio.create_task(desk.keeper.run())
    async with asyncio.timeout(20):
        while await desk.transfers() != [BACK]:
            await asyncio.sleep(0.02)
    keeping.cancel()
    assert "leases_not_kept" in capsys.readouterr().out


async def test_whoever_asks_for_something_is_there_and_the_others_are_told(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient], connections: Connections
) -> None:
    workflow = await connections.client("workflow")
    heard = await workflow.subscribe(PRESENCE)
    await flushed(workflow)
    service = await services.start("operator")
    stranger = Api(service, clients)
    assert (await stranger.http.post("/api/presence")).status_code == 401
    api = await Api(service, clients).enter("ada")
    answer = await api.http.post("/api/presence")
    assert answer.status_code == 200, answer.text
    async with asyncio.timeout(20):
        while True:
            told = msgspec.json.decode((await heard.next_msg(20)).data, type=PresentOperators)
            if told.names:
                break
    assert told.names == ["ada"]
    waiting = await chat.waiting("visitor 1")
    await api.shows("queue", waiting)
    async with asyncio.timeout(20):  # and how the queues stand
        while "sales" not in told.queues:
            told = msgspec.json.decode((await heard.next_msg(20)).data, type=PresentOperators)
    assert told.queues == {"": QueueFigures(True, 0), "sales": QueueFigures(True, 1)}


async def test_of_two_operators_the_one_who_is_gone_gives_back(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient]
) -> None:
    """Over two replicas, with the shortest lease that there is."""
    one, two = [await services.start("operator", SWITCHBOARD_LEASE_SECONDS="30") for _ in range(2)]
    ada, bob = await Api(one, clients).enter("ada"), await Api(one, clients).enter("bob")
    kept, lost = await chat.waiting("visitor 1"), await chat.waiting("visitor 2")
    assert (await ada.do(kept, "claim")).status_code == 200
    assert (await bob.do(lost, "claim")).status_code == 200
    elsewhere = await Api(two, clients).enter("ada")
    async with asyncio.timeout(60):
        while not [
            row for row in await elsewhere.view("queue") if row["id"] == lost
        ]:  # Ada asks, Bob does not
            await asyncio.sleep(1)
    assert [row["id"] for row in await elsewhere.view("mine")] == [kept]
    told = (await elsewhere.read(lost))["messages"][-1]
    assert told["text"].startswith("Bob was away for long: this is back in")


@pytest.mark.parametrize("seconds", ["1", "29", "-1", "soon"])
def test_a_lease_that_is_too_short_is_refused(services: Services, seconds: str) -> None:
    service: Any = services.make("operator", SWITCHBOARD_LEASE_SECONDS=seconds)
    service.launch()
    assert service.process.wait(30) == 2
    assert "SWITCHBOARD_LEASE_SECONDS" in service.output
