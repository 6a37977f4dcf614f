"""Queues give out what waits, on a real log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from nats.aio.client import Client
from prometheus_client import CollectorRegistry

from deploy.cli import accounts
from services.operator.accounts import Accounts
from services.operator.assigner import Assigner
from services.operator.desk_state import DeskState
from services.operator.domain.decisions import Operator
from services.operator.domain.leases import PRESENT_SECONDS, Leases
from services.operator.handlers import Handlers
from services.operator.lead import HOLD_SECONDS, RENEW_SECONDS, TAKE_SECONDS, Lead
from services.operator.meters import DeskMeter
from services.operator.team import DeskTeam
from shared.contract.facts import (
    ConversationClaimed,
    ConversationTransferred,
    Fact,
    FlowAdvanced,
    FlowStarted,
    HandoffRequested,
)
from shared.contract.subjects import DESK_ASSIGNER, DESK_SETTINGS, DESK_STATE
from tests.conftest import Connections, Services
from tests.contract.test_operator_api import Api, WrittenChats, chat, clients  # noqa: F401 (fixtures)
from tests.contract.test_operator_replica import TALK, VERSION, OtherReplica, still
from tests.contract.test_operator_replica import late as late
from tests.contract.test_operator_replica import other as other
from tests.replica import history
from tests.unit.test_leases import StandingClock

SETTINGS = b"""{"capacity": 1, "queues": {"sales": {"assignment": "automatic", "answer_seconds": 10}}}"""


async def test_one_replica_leads_and_another_takes_over_when_it_is_silent(connections: Connections) -> None:
    clocks = StandingClock(), StandingClock()
    one, two = [
        Lead(await connections.client("operator"), DESK_ASSIGNER, name, clock)
        for name, clock in zip("ab", clocks, strict=True)
    ]

    async def both() -> list[bool]:
        return [await one.take(), await two.take()]

    def later(seconds: float) -> None:
        for clock in clocks:
            clock.now += seconds

    assert await both() == [True, False]
    for _ in range(6):
        later(RENEW_SECONDS)
        assert await both() == [True, False]
    later(HOLD_SECONDS)  # the first is silent: it leads no more, before anybody else does
    assert not one.held
    assert not await two.take()
    later(TAKE_SECONDS - HOLD_SECONDS)
    assert await two.take()
    assert await both() == [False, True]
    bucket = await (await connections.client("admin")).jetstream().key_value(DESK_STATE)
    await bucket.put(DESK_ASSIGNER, b"c")  # somebody took it who thought that all others were gone
    later(RENEW_SECONDS)
    assert await both() == [False, False]


class WatchedAssigner:
    """One replica's, in this process. Ada is here and online."""

    def __init__(self, client: Client, handlers: Handlers) -> None:
        self.clock = StandingClock()
        self.leases = Leases(60, self.clock)
        self.leases.here("ada")
        self.state = DeskState(lambda: None, lambda: None)
        self.state.connect(client)
        self.later = 0  # nanoseconds
        self.hears = True
        self.accounts = Accounts(client)
        desk = handlers._desk
        self._look = Assigner(
            Lead(client, DESK_ASSIGNER, "a", self.clock),
            self.state,
            DeskTeam(self.state, self.leases, self.accounts, desk),
            self.accounts,
            desk,
            handlers,
            hears=lambda: self.hears,
            meter=DeskMeter(CollectorRegistry()),
            now=lambda: time.time_ns() + self.later,
        ).look

    async def looks(self) -> None:
        await self.state.read()
        await self._look()


@pytest.fixture
async def ada(
    connections: Connections, late: Handlers, other: OtherReplica
) -> AsyncIterator[WatchedAssigner]:
    """A visitor waits in "sales"."""
    admin = await connections.client("admin")
    await accounts.add(admin, "ada", "Ada", "a long password")
    await (await admin.jetstream().key_value(DESK_STATE)).put(DESK_SETTINGS, SETTINGS)
    flow = FlowStarted(flow="default", version=VERSION), FlowAdvanced(path=("hello",))
    await other.answers(1, *flow, HandoffRequested(queue="sales"))
    await late.newest(TALK)
    watched = WatchedAssigner(await connections.client("operator"), late)
    yield watched
    watched.accounts.close()


def owner(handlers: Handlers) -> tuple[str, str]:
    found = handlers._desk.find(TALK)
    assert found is not None
    return found.state.ownership.owner, found.state.ownership.operator


GIVEN = ConversationClaimed(operator="ada", name="Ada", automatic=True)
MISSED = ConversationTransferred(operator="ada", queue="sales", lapsed=True, missed=True)


async def happened(connections: Connections) -> list[Fact]:
    entries = await history(await connections.log("operator"), TALK)
    kinds = ConversationClaimed | ConversationTransferred
    return [fact for entry in entries for fact in entry.facts if isinstance(fact, kinds)]


async def test_who_does_not_answer_loses_it_and_is_away_until_they_say_otherwise(
    ada: WatchedAssigner, late: Handlers, connections: Connections
) -> None:
    await ada.looks()
    assert owner(late) == ("operator", "ada")
    await ada.looks()  # ten seconds are not over
    ada.later = 11 * 10**9
    await ada.looks()
    assert owner(late) == ("queue", "")
    assert ada.state.chosen("ada") == "away"
    await ada.looks()
    assert await happened(connections) == [GIVEN, MISSED]
    ada.later = 0
    await ada.state.choose("ada", "online")
    await ada.looks()
    assert owner(late) == ("operator", "ada")
    await late.say(TALK, Operator("ada", "Ada"), "Hello", None, still)
    ada.later = 100 * 10**9
    await ada.looks()
    assert await happened(connections) == [GIVEN, MISSED, GIVEN]
    told = [line.text for line in await late.transcript(TALK) if line.who == "system"]
    assert told[-3:-1] == [
        "Ada was given this, as the next who was free",
        "Ada did not answer: this is back in “sales”",
    ]


async def test_nobody_is_given_what_they_cannot_take(
    ada: WatchedAssigner, late: Handlers, connections: Connections
) -> None:
    async def nothing() -> None:
        await ada.looks()
        assert owner(late) == ("queue", "")

    await ada.state.choose("ada", "busy")
    await nothing()
    await ada.state.choose("ada", "online")
    ada.clock.now += PRESENT_SECONDS + 1
    await nothing()
    ada.leases.here("ada")
    ada.hears = False
    await nothing()
    ada.hears = True
    await accounts.disable(await connections.client("admin"), "ada")
    await nothing()  # although who may log in is not asked each time
    await accounts.enable(await connections.client("admin"), "ada")
    await ada.looks()
    assert owner(late) == ("operator", "ada")


async def test_whom_somebody_else_took_is_not_given_away(
    ada: WatchedAssigner, late: Handlers, other: OtherReplica, connections: Connections
) -> None:
    """This replica has not heard of it when it decides."""
    claimed = ConversationClaimed(operator="bob", name="Bob")
    await other.stores("operator", claimed)
    await ada.looks()
    assert await happened(connections) == [claimed]
    assert owner(late) == ("operator", "bob")


async def test_what_waits_is_given_out_to_each_as_much_as_they_can(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    connections: Connections,
) -> None:
    """Ada and Bob can have one each, so the third waits."""
    bucket = await (await connections.client("admin")).jetstream().key_value(DESK_STATE)
    ids = [await chat.waiting(f"visitor {number}") for number in range(3)]
    service = await services.start("operator")
    ada, bob = await Api(service, clients).enter("ada"), await Api(service, clients).enter("bob")
    here = asyncio.create_task(present(ada, bob))
    await bucket.put(DESK_SETTINGS, SETTINGS)
    mine, his = await only(ada), await only(bob)
    assert {mine, his} == set(ids[:2])  # those who waited longest
    assert [row["id"] for row in await ada.view("queue")] == [ids[2]]
    assert (await ada.do(mine, "resolve")).status_code == 200
    assert await only(ada) == ids[2]
    here.cancel()


async def present(*people: Api) -> None:
    """Their consoles are open."""
    while True:
        for api in people:
            await api.http.post("/api/presence")
        await asyncio.sleep(1)


async def only(api: Api) -> str:
    """The one conversation that somebody has, once they have one."""
    async with asyncio.timeout(60):
        while not (rows := await api.view("mine")):
            await asyncio.sleep(0.1)
    (row,) = rows
    found: Any = row["id"]
    return str(found)
