"""Live conversations moved to another version: looked at first, once each, and never under an operator."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.flow_migrate import Migration
from shared.contract.entry import Entry
from shared.contract.facts import (
    ChoiceAsked,
    ChoiceMade,
    ConversationClaimed,
    ConversationHandedBack,
    FlowMigrated,
    TimerArmed,
)
from shared.eventlog.append import APPEND_SECONDS
from shared.eventlog.connection import ConnectionState
from shared.flow.language.flow import parse
from shared.service.chat_log import ChatLog
from shared.service.conversation_keys import keys_of
from shared.service.health import Health
from tests.conftest import LAYOUT, MASTERS, Connections, Services
from tests.flow_author import Author, WrittenGuest, greeting, said

OLD = greeting("Old")


def renamed() -> dict[str, Any]:
    """The old flow's question under another name, with one choice more."""
    flow = greeting("New", choices=3)
    return {("ask" if name == "menu" else name): state for name, state in flow.items()} | {
        "hello": {**flow["hello"], "next": "ask"}
    }


@pytest.fixture
def author(connections: Connections, tmp_path: Path) -> Author:
    folder = tmp_path / "flows"
    folder.mkdir()
    return Author(connections.server, folder)


@pytest.fixture
async def visitor(connections: Connections) -> ChatLog:
    return await connections.log("proxy")


@pytest.fixture
async def shop(author: Author, services: Services) -> Path:
    """The old flow, and a workflow that runs it."""
    file = author.write("shop.json", OLD)
    await services.start("workflow", SWITCHBOARD_FLOW=str(file))
    return file


def pick(n: int) -> ChoiceMade:
    return ChoiceMade(group="menu", item=f"i{n}")


def name(n: int) -> str:
    return f"{n:032x}"


async def asked_last(guest: WrittenGuest) -> ChoiceAsked:
    facts = [fact for recorded in await guest.history() for fact in recorded.facts]
    return [fact for fact in facts if isinstance(fact, ChoiceAsked)][-1]


async def test_nothing_is_moved_while_one_has_no_place_and_the_map_gives_it_one(
    author: Author, visitor: ChatLog, shop: Path
) -> None:
    waiting, over = WrittenGuest(visitor, name(1)), WrittenGuest(visitor, name(2))
    for guest in (waiting, over):
        await guest.begin()
    await over.do(pick(0))  # its flow has ended: it is nobody's to move
    new = author.write("new.json", renamed())
    end = await visitor.length()

    refused = await author.run("migrate", "shop", "--to", new)

    assert refused.code == 1
    assert f'{waiting.conversation}  menu: the new version has no state "menu"' in refused.text
    assert over.conversation not in refused.text
    assert await visitor.length() == end

    places = author.write("map.json", {"menu": "ask", "menue": "ask"})
    planned = await author.done("migrate", "shop", "--to", new, "--map", places, "--dry-run")
    assert "Of the map, nobody stands at: menue." in planned
    assert "1 conversation to move" in planned
    assert await visitor.length() == end

    assert "menu -> ask" in await author.done("migrate", "shop", "--to", new, "--map", places)

    assert len((await asked_last(waiting)).choices) == 3  # asked again: there is one choice more
    assert said(await waiting.do(pick(2))) == ["New and 2."]
    assert (await over.state()).progress.version != (await waiting.state()).progress.version


async def test_a_second_run_does_nothing(author: Author, visitor: ChatLog, shop: Path) -> None:
    guest = WrittenGuest(visitor, name(1))
    await guest.begin()
    arguments = ("migrate", "shop", "--to", author.write("new.json", greeting("New")))
    await author.done(*arguments)
    end = await visitor.length()

    again = await author.done(*arguments)

    assert "0 conversations" in again
    assert "1  on that version already" in again
    assert await visitor.length() == end


async def test_the_same_question_is_not_asked_twice_and_its_timers_are_armed_anew(
    author: Author, visitor: ChatLog, shop: Path
) -> None:
    guest = WrittenGuest(visitor, name(1))
    await guest.begin()
    new = greeting("New")
    new["menu"]["after"] = {"delay": "2h", "say": "Are you there?"}

    await author.done("migrate", "shop", "--to", author.write("new.json", new))

    last = (await guest.history())[-1]
    assert [type(fact) for fact in last.facts] == [FlowMigrated, TimerArmed]
    assert [timer.purpose for timer in (await guest.state()).timers.armed if timer.purpose == "after"] == [
        "after"
    ]
    assert said(await guest.do(pick(1))) == ["New and 1."]


async def test_while_an_operator_owns_it_moves_without_a_word(
    author: Author, connections: Connections, visitor: ChatLog, shop: Path
) -> None:
    guest = WrittenGuest(visitor, name(1))
    await guest.begin()
    operator = await connections.log("operator")
    claim = Entry(id="claim", facts=(ConversationClaimed(operator="ann"),))
    await operator.append(guest.conversation, "operator", claim)
    new, places = author.write("new.json", renamed()), author.write("map.json", {"menu": "ask"})

    await author.done("migrate", "shop", "--to", new, "--map", places)

    last = (await guest.history())[-1]
    assert [type(fact) for fact in last.facts] == [FlowMigrated]
    state = await guest.state()
    assert (state.ownership.owner, state.progress.place) == ("operator", "ask")

    back = Entry(id="back", facts=(ConversationHandedBack(operator="ann"),))
    position = await operator.append(guest.conversation, "operator", back)
    await guest.outcome(position)
    assert len((await asked_last(guest)).choices) == 3


class Meddled(ChatLog):
    """A log on which the visitor is quicker, once."""

    meddle: Any = None

    def append(
        self,
        key: str,
        author: str,
        entry: Entry,
        expect: int | None = None,
        deadline: float = APPEND_SECONDS,
    ) -> asyncio.Future[int]:
        usual = super().append

        async def append() -> int:
            meddle, self.meddle = self.meddle, None
            if meddle is not None:
                await meddle()
            return await usual(key, author, entry, expect, deadline)

        return asyncio.ensure_future(append())


async def test_who_goes_on_in_between_is_moved_from_where_it_stands_then(
    author: Author, connections: Connections, services: Services, visitor: ChatLog
) -> None:
    flow = greeting("Old")
    flow["end0"] = {**flow["menu"], "sendRequest": {**flow["menu"]["sendRequest"], "groupId": "second"}}
    second = {"kind": "ChoiceResponse", "groupId": "second", "itemId": "i0"}
    flow["isSecond"] = {"matchResponse": second, "next": "end1"}
    await services.start("workflow", SWITCHBOARD_FLOW=str(author.write("shop.json", flow)))
    guest = WrittenGuest(visitor, name(1))
    await guest.begin()
    client, health = await connections.client("workflow"), Health("test")
    log = Meddled(client, LAYOUT, keys_of(client, MASTERS, ConnectionState(health), health))
    log.meddle = lambda: guest.do(pick(0))
    flow["end1"]["sendRequest"]["content"] = "Changed"
    new = parse(json.dumps(flow).encode(), "shop")

    report = await Migration(log, "shop", new, {}).run([guest.conversation])

    assert (report.moved, report.stuck) == (1, [])
    assert dict(report.moves) == {("end0", "end0"): 1}
    state = await guest.state()
    assert (state.progress.version, state.progress.place) == (new.version, "end0")
    moves = [
        fact
        for recorded in await guest.history()
        for fact in recorded.facts
        if isinstance(fact, FlowMigrated)
    ]
    assert len(moves) == 1
    assert said(await guest.do(ChoiceMade(group="second", item="i0"))) == ["Changed"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('["menu"]', "is no map of states"),
        ('{"menu": 1}', "is no map of states"),
        ('{"menu": "nowhere"}', "does not have: nowhere"),
    ],
)
async def test_a_map_that_is_none_is_refused(
    author: Author, visitor: ChatLog, content: str, reason: str
) -> None:
    new, places = author.write("new.json", renamed()), author.write("map.json", content)
    ran = await author.run("migrate", "shop", "--to", new, "--map", places)
    assert (ran.code, reason in ran.text) == (1, True), ran.text
