"""`switchboard flow replay` on a real log: it finds what was planted, and writes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.contract.facts import ChoiceMade
from shared.service.chat_log import ChatLog
from tests.conftest import Connections, Services
from tests.flow_author import Author, WrittenGuest, greeting


@pytest.fixture
def author(connections: Connections, tmp_path: Path) -> Author:
    folder = tmp_path / "flows"
    folder.mkdir()
    return Author(connections.server, folder)


@pytest.fixture
async def visitor(connections: Connections) -> ChatLog:
    return await connections.log("proxy")


async def test_recorded_conversations_are_replayed_and_nothing_is_sent(
    author: Author, services: Services, visitor: ChatLog
) -> None:
    file = author.write("shop.json", greeting("Hi"))
    author.write("garden.json", greeting("Garden"))
    settings = {"SWITCHBOARD_FLOW": str(file), "SWITCHBOARD_FLOWS": str(author.folder)}
    await services.start("workflow", **settings)
    for n in range(5):
        guest = WrittenGuest(visitor, f"{n:032x}")
        await guest.begin()
        await guest.do(ChoiceMade(group="menu", item=f"i{n % 2}"))
    await WrittenGuest(visitor, f"{9:032x}").begin("garden")
    end = await visitor.length()

    same = await author.done("replay", file)
    assert "5 conversations: 5 go as they went, 0 diverge" in same

    planted = greeting("Hi")
    del planted["is0"]
    new = author.write("new.json", planted)
    found = json.loads(await author.done("replay", new, "--name", "shop", "--json"))
    assert (found["conversations"], found["diverged"], found["stuck"]) == (5, 3, 3)
    (row,) = [each for each in found["states"] if each["diverged"]]
    assert (row["state"], row["ways"][0]["now"]) == ("menu", "refused (no_transition)")

    newest = json.loads(await author.done("replay", new, "--name", "shop", "--last", 2, "--json"))
    assert (newest["conversations"], newest["diverged"]) == (2, 1)
    assert "no recorded conversation" in await author.done("replay", new)
    assert await visitor.length() == end
