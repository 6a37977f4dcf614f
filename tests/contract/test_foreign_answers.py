"""Answers that name what the flow does not know never reach the log; those that it may yet ask for do."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest

from shared.contract.facts import ChoiceMade, Fact, TextWritten
from shared.contract.subjects import conversation_of
from tests.conftest import Connections, Services
from tests.contract.test_websocket import (
    ASK,
    BYE,
    CLOSE,
    HI,
    OTHER,
    PICK,
    TEXT,
    ProductStage,
    cookie_of,
    prepare,
    ready,
    tell,
    told,
)
from tests.replica import history

LONG = "x" * 257
FOREIGN: list[tuple[dict[str, Any], str]] = [
    ({"kind": "UserText", "sessionId": "मेरा नाम", "content": "x"}, "unknown_session"),
    ({"kind": "UserText", "sessionId": LONG, "content": "x"}, "id_too_long"),
    ({"kind": "ChoiceResponse", "groupId": "lang", "itemId": "perl"}, "unknown_choice"),
    ({"kind": "ChoiceResponse", "groupId": 5, "itemId": "rust"}, "unknown_choice"),
    ({"kind": "ChoiceResponse", "groupId": "lang", "itemId": LONG}, "id_too_long"),
]


@pytest.fixture
async def stage(services: Services, tmp_path: Path) -> ProductStage:
    return await ready(prepare(services, tmp_path / "flow.json"))


async def stored(connections: Connections, secret: str) -> list[Fact]:
    """What the visitor said, as the log has it."""
    log = await connections.log("operator")
    entries = await history(log, conversation_of(secret, "websocket"))
    said = (fact for entry in entries for fact in entry.facts)
    return [fact for fact in said if isinstance(fact, TextWritten | ChoiceMade)]


async def test_what_the_flow_does_not_know_is_refused_and_not_stored(
    stage: ProductStage, connections: Connections
) -> None:
    async with stage.modern() as socket:
        await told(socket, 5)
        for frame, reason in FOREIGN:
            id = str(uuid.uuid4())
            await tell(socket, {**frame, "id": id})
            assert await told(socket, 1) == [{"kind": "Refused", "id": id, "reason": reason}]
        await tell(socket, {**OTHER, "id": str(uuid.uuid4())})  # the conversation stands where it stood
        assert [frame["kind"] for frame in await told(socket, 2)] == ["Ack", "StartChatSession"]
        secret = cookie_of(socket).split("=")[1]
    assert await stored(connections, secret) == [ChoiceMade(group="lang", item=2, text="Other")]


async def test_for_a_bare_client_it_is_silent(stage: ProductStage, connections: Connections) -> None:
    async with stage.bare() as socket:
        assert await told(socket, 2) == [HI, PICK]
        for frame, _ in FOREIGN:
            await tell(socket, frame)
        await tell(socket, OTHER)
        assert await told(socket, 1) == [ASK]
        secret = cookie_of(socket).split("=")[1]
    assert await stored(connections, secret) == [ChoiceMade(group="lang", item=2, text="Other")]


async def test_answers_sent_before_they_are_asked_for_wait_their_turn(stage: ProductStage) -> None:
    """A client that knows the flow does not wait for its questions."""
    async with stage.bare() as socket:
        await asyncio.gather(tell(socket, OTHER), tell(socket, TEXT))
        assert await told(socket, 5) == [HI, PICK, ASK, CLOSE, BYE]
