"""Canned answers over the API."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from deploy.cli import accounts
from services.operator.answers import MAX_ANSWERS, CannedAnswer, CannedAnswers
from services.operator.kept_lists import ListFull
from tests.conftest import Connections, Services
from tests.contract.test_operator_api import (  # noqa: F401 (fixtures)
    PASSWORDS,
    Api,
    WrittenChats,
    chat,
    clients,
)


@pytest.fixture
async def both(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
) -> tuple[Api, Api]:
    """Ada and Bob, each at a replica of their own."""
    one, two = await services.start("operator"), await services.start("operator")
    return await Api(one, clients).enter("ada"), await Api(two, clients).enter("bob")


async def asked(api: Api, path: str = "", **body: Any) -> dict[str, list[dict[str, Any]]]:
    answer = await (api.http.post(f"/api/answers{path}", json=body) if body else api.http.get("/api/answers"))
    assert answer.status_code == 200, answer.text
    found: dict[str, list[dict[str, Any]]] = answer.json()
    return found


def titles(answers: dict[str, list[dict[str, Any]]]) -> tuple[list[str], list[str]]:
    return [each["title"] for each in answers["shared"]], [each["title"] for each in answers["own"]]


async def test_shared_ones_are_everybodys_and_ones_own_are_nobody_elses(both: tuple[Api, Api]) -> None:
    ada, bob = both
    await asked(ada, title=" Hello\nyou ", text="Hi {{visitor}}\n", shared=True)
    mine = await asked(ada, title="Mine", text="Only mine")
    assert titles(mine) == (["Hello you"], ["Mine"])
    assert titles(await asked(bob)) == (["Hello you"], [])
    hello = (await asked(bob))["shared"][0]
    assert (hello["text"], hello["by"]) == ("Hi {{visitor}}", "ada")
    changed = await asked(bob, title="Hello", text="Hi!", shared=True, id=hello["id"])
    assert [(each["id"], each["text"], each["by"]) for each in changed["shared"]] == [
        (hello["id"], "Hi!", "bob")
    ]
    again = str(uuid.uuid4())
    for _ in range(2):  # the answer was lost, and the same is asked once more
        await asked(bob, title="Once", text="Once", id=again)
    assert titles(await asked(bob)) == (["Hello"], ["Once"])
    await asked(ada, "/remove", id=hello["id"], shared=True)
    assert titles(await asked(bob, "/remove", id=hello["id"], shared=True)) == (
        [],
        ["Once"],
    )  # it is gone already


async def test_of_two_changes_at_once_none_is_lost(both: tuple[Api, Api]) -> None:
    wishes = [asked(api, title=f"{n} of {n}", text="x", shared=True) for n, api in enumerate(both * 3)]
    await asyncio.gather(*wishes)
    shared, _ = titles(await asked(both[0]))
    assert sorted(shared) == sorted(f"{n} of {n}" for n in range(6))


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"title": "\u200b", "text": "x"}, 422, "title: there is nothing to see in it"),
        ({"title": "x", "text": " \n"}, 422, "text: there is nothing to see in it"),
        ({"title": "x" * 81, "text": "x"}, 400, "80"),
        ({"title": "x", "text": "x" * 8193}, 400, "8192"),
        ({"title": "x", "text": "x", "id": "7"}, 400, "id"),
        ({"title": "x", "text": "x", "sharde": True}, 400, "sharde"),
    ],
)
async def test_what_cannot_be_kept_is_said(
    both: tuple[Api, Api], body: dict[str, Any], status: int, said: str
) -> None:
    answer = await both[0].http.post("/api/answers", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]


async def test_there_are_not_too_many(connections: Connections) -> None:
    answers = CannedAnswers(await connections.client("operator"))
    small = [CannedAnswer(str(number), "x", "x", "ada") for number in range(MAX_ANSWERS)]
    await answers._bucket.put(
        "of.ada",
        b"["
        + b",".join(b'{"id":"%d","title":"x","text":"x","by":"ada"}' % n for n in range(MAX_ANSWERS))
        + b"]",
    )
    assert await answers.of("ada") == tuple(small)
    with pytest.raises(ListFull, match="500"):
        await answers.save(CannedAnswer("new", "x", "x", "ada"), "ada")
    await answers.save(CannedAnswer("7", "changed", "x", "ada"), "ada")
    assert (await answers.of("ada"))[7].title == "changed"
    large = "ü" * 8000
    with pytest.raises(ListFull, match="256 KiB"):
        for number in range(20):
            await answers.save(CannedAnswer(f"l{number}", "x", large, "bob"), "bob")
    assert 10 < len(await answers.of("bob")) < 20


async def test_only_operators_ask(both: tuple[Api, Api]) -> None:
    await both[0].http.post("/api/logout")
    assert (await both[0].http.get("/api/answers")).status_code == 401


async def test_whoever_gets_the_name_of_an_account_that_is_gone_does_not_get_its_answers(
    both: tuple[Api, Api], connections: Connections
) -> None:
    await asked(both[0], title="Mine", text="Only mine")
    admin = await connections.client("admin")
    await accounts.remove(admin, "ada")
    await accounts.add(admin, "ada", "Another", PASSWORDS["ada"])
    await both[0].enter("ada")
    assert titles(await asked(both[0])) == ([], [])
