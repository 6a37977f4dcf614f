"""Who takes conversations, and what a supervisor sees and does."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from nats.aio.client import Client

from deploy.cli import accounts
from shared.contract.facts import ConversationClaimed, ConversationTransferred
from shared.contract.subjects import DESK_SETTINGS, DESK_STATE
from tests.conftest import Connections, Services
from tests.contract.test_operator_api import (  # noqa: F401 (fixtures)
    PASSWORDS,
    Api,
    WrittenChats,
    chat,
    clients,
)

SETTINGS = b"""{"capacity": 4, "operators": {"bob": {"capacity": 2}},
    "queues": {"sales": {"agreed": {"first_response": "1s"}}, "idle": {"hours": {"monday": ["00:00-00:01"],
    "holidays": []}}}}"""


class Team:
    """Ada, a supervisor, and Bob."""

    def __init__(self, ada: Api, bob: Api, admin: Client) -> None:
        self.ada, self.bob = ada, bob
        self._admin = admin

    async def settings(self, document: bytes) -> None:
        bucket = await self._admin.jetstream().key_value(DESK_STATE)
        await bucket.put(DESK_SETTINGS, document)

    async def availability(self, of: str, expected: str) -> None:
        """What Ada's replica says of somebody, once it does."""
        async with asyncio.timeout(30):
            while True:
                people = (await self.ada.http.get("/api/operators")).json()["operators"]
                if {each["name"]: each["availability"] for each in people}[of] == expected:
                    return
                await asyncio.sleep(0.05)

    async def overview(self, late: int) -> dict[str, Any]:
        """What Ada sees, once so many are late."""
        async with asyncio.timeout(30):
            while True:
                answer = await self.ada.http.get("/api/overview")
                assert answer.status_code == 200, answer.text
                found: dict[str, Any] = answer.json()
                if len(found["late"]) == late:
                    return found
                await asyncio.sleep(0.05)


@pytest.fixture
async def team(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    connections: Connections,
) -> Team:
    admin = await connections.client("admin")
    await accounts.change_role(admin, "ada", "supervisor")
    service = await services.start("operator")
    return Team(await Api(service, clients).enter("ada"), await Api(service, clients).enter("bob"), admin)


async def test_a_supervisor_sees_what_is_late_and_gives_it_to_somebody_who_is_here(
    team: Team,
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
) -> None:
    """Bob is at another replica."""
    ada, bob = team.ada, await Api(await services.start("operator"), clients).enter("bob")
    assert (await bob.http.get("/api/me")).json()["availability"] == "online"
    id = await chat.waiting("visitor 1")
    await team.settings(SETTINGS)
    await team.availability("bob", "online")
    chosen = await bob.http.post("/api/availability", json={"availability": "busy"})
    assert (chosen.status_code, chosen.json()["availability"]) == (200, "busy")
    await team.availability("bob", "busy")
    assert (await bob.http.get("/api/me")).json()["availability"] == "busy"
    assert (await bob.http.post("/api/availability", json={"availability": "asleep"})).status_code == 400
    assert (await bob.http.post("/api/availability", json={"availability": "online"})).status_code == 200

    overview = await team.overview(late=1)
    assert [(queue["name"], queue["waiting"], queue["late"]) for queue in overview["queues"]] == [
        *(("idle", 0, 0), ("sales", 1, 1)),
    ]
    assert [(each["name"], each["conversations"], each["capacity"]) for each in overview["operators"]] == [
        *(("ada", 0, 4), ("bob", 0, 2)),
    ]
    assert overview["late"][0]["id"] == id
    assert overview["late"][0]["due"]["goal"] == "first_response"

    given = await ada.do(id, "give", operator="bob")
    assert given.status_code == 200, given.text
    assert (given.json()["owner"], given.json()["operator"]) == ("operator", "bob")
    overview = await team.overview(late=1)  # nobody has answered yet
    assert [each["conversations"] for each in overview["operators"]] == [0, 1]
    lost = await ada.do(id, "give", operator="ada")  # as if nobody had it
    assert (lost.status_code, lost.json()["operator_name"]) == (409, "Bob")
    assert (await ada.do(id, "give", operator="ada", take_from="bob")).status_code == 200
    assert (await ada.do(id, "say", text="Hello")).status_code == 200
    await team.overview(late=0)
    facts = [fact for entry in await chat.history(id) for fact in entry.facts]
    assert [fact for fact in facts if isinstance(fact, ConversationClaimed | ConversationTransferred)] == [
        ConversationClaimed(operator="bob", name="Bob", by="ada"),
        ConversationTransferred(operator="bob", to="ada", name="Ada", by="ada"),
    ]
    told = [line["text"] for line in (await ada.read(id))["messages"] if line["from"] == "system"]
    assert told[-2:] == ["ada gave this to Bob", "ada gave this to Ada"]


async def test_who_is_no_supervisor_or_not_here_is_told(
    team: Team,
    chat: WrittenChats,  # noqa: F811
    connections: Connections,
) -> None:
    id = await chat.waiting("visitor 1")
    await team.bob.shows("queue", id)
    for answer in (
        await team.bob.http.get("/api/overview"),
        await team.bob.do(id, "give", operator="bob"),
    ):
        assert (answer.status_code, answer.json()["detail"]) == (403, "only supervisors may do that")
    await accounts.add(await connections.client("admin"), "carol", "Carol", "a third password")
    await team.ada.shows("queue", id)
    for name, why in (
        ("carol", "Carol is not here: choose somebody who is"),
        ("dora", "there is no operator 'dora' who may log in"),
    ):
        refused = await team.ada.do(id, "give", operator=name)
        assert (refused.status_code, refused.json()["detail"]) == (422, why)
    people = (await team.ada.http.get("/api/operators")).json()["operators"]
    assert {each["name"]: each["availability"] for each in people}["carol"] == "away"
    assert {each["name"]: each["availability"] for each in people}["bob"] == "online"
