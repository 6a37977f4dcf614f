"""Looking for conversations over the API."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from shared.contract.entry import Entry
from shared.contract.facts import ConversationErased
from tests.conftest import Connections, Services
from tests.contract.test_operator_api import (  # noqa: F401 (fixtures)
    Api,
    WrittenChats,
    chat,
    clients,
)


@pytest.fixture
async def ada(chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient]) -> Api:  # noqa: F811
    return await Api(await services.start("operator"), clients).enter("ada")


async def look(api: Api, **wanted: Any) -> list[dict[str, Any]]:
    answer = await api.http.post("/api/search", json=wanted)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["conversations"]
    return found


async def test_what_somebody_wrote_is_found_with_its_place_until_it_is_erased(
    chat: WrittenChats,  # noqa: F811
    ada: Api,
    connections: Connections,
) -> None:
    id = await chat.waiting("visitor 1")
    await ada.shows("queue", id)
    other = await chat.waiting("visitor 2")
    position = await chat.says(id, "The Überweisung never came")
    await ada.shows("queue", other)
    assert (await ada.do(id, "note", text="Ask the bank")).status_code == 200
    [row] = await look(ada, words="uberweisung")
    assert row["id"] == id
    [match] = row["matches"]
    assert (match["position"], match["from"], match["text"]) == (
        position,
        "visitor",
        "The Überweisung never came",
    )
    [row] = await look(ada, words="bank", who="note")
    assert [match["from"] for match in row["matches"]] == ["note"]
    assert await look(ada, words="bank", who="visitor") == []
    assert {row["id"] for row in await look(ada)} == {id, other}
    assert [row["id"] for row in await look(ada, words="help", limit=1)] == [other]
    eraser = await connections.log("eraser")
    await eraser.append(id, "eraser", Entry(id="erase", facts=(ConversationErased(by="ada"),)))
    async with asyncio.timeout(20):
        while await look(ada, words="uberweisung"):
            await asyncio.sleep(0.05)
    assert await look(ada, words="bank") == []


@pytest.mark.parametrize(
    ("wanted", "status", "said"),
    [
        ({"words": "?!"}, 422, "words: there is no word in it to look for"),
        ({"words": "x" * 201}, 400, "200"),
        ({"rating": 6}, 400, "<= 5"),
        ({"who": "bot"}, 400, "Invalid enum value 'bot'"),
        ({"since": "yesterday"}, 400, "RFC3339"),
        ({"limit": 0}, 400, ">= 1"),
        ({"after": 2**60}, 400, "<="),
        ({"wrods": "refund"}, 400, "wrods"),
    ],
)
async def test_what_cannot_be_looked_for_is_said(
    ada: Api, wanted: dict[str, Any], status: int, said: str
) -> None:
    answer = await ada.http.post("/api/search", json=wanted)
    assert answer.status_code == status
    assert said in answer.json()["error"]


async def test_times_beyond_all_are_answered(ada: Api) -> None:
    for moment in ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"):
        assert await look(ada, since=moment) == []
        assert await look(ada, until=moment) == []


async def test_only_operators_look(ada: Api) -> None:
    await ada.http.post("/api/logout")
    assert (await ada.http.post("/api/search", json={"words": "refund"})).status_code == 401


async def test_a_conversation_is_saved_as_a_file(chat: WrittenChats, ada: Api) -> None:  # noqa: F811
    id = await chat.waiting("visitor 1")
    await ada.shows("queue", id)
    await ada.do(id, "note", text="Ask the bank")
    path = f"/api/conversations/{id}/export"
    for form, media in (("text", "text/plain"), ("html", "text/html"), ("json", "application/json")):
        answer = await ada.http.get(path, params={"format": form, "notes": "true"})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith(media)
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert "I need help" in answer.text
        assert "Ask the bank" in answer.text
        assert "Ask the bank" not in (await ada.http.get(path, params={"format": form})).text
    assert (await ada.http.get(path, params={"format": "pdf"})).status_code == 400
    assert (await ada.http.get(f"/api/conversations/{'0' * 32}/export")).status_code == 404
    await ada.http.post("/api/logout")
    assert (await ada.http.get(path)).status_code == 401
