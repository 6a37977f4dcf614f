"""Saved views over the API."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from deploy.cli import accounts
from services.operator.saved_views import MAX_VIEWS
from tests.conftest import Connections, Services
from tests.contract.test_operator_api import (  # noqa: F401 (fixtures)
    PASSWORDS,
    Api,
    WrittenChats,
    chat,
    clients,
)

LATE = {"words": "late refund", "status": "open", "since": "2026-11-01T00:00:00Z"}


@pytest.fixture
async def both(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    connections: Connections,
) -> tuple[Api, Api]:
    """Ada, a supervisor, and Bob, each at a replica of their own."""
    await accounts.change_role(await connections.client("admin"), "ada", "supervisor")
    one, two = await services.start("operator"), await services.start("operator")
    return await Api(one, clients).enter("ada"), await Api(two, clients).enter("bob")


async def saved(api: Api, path: str = "", **body: Any) -> dict[str, list[dict[str, Any]]]:
    answer = await (api.http.post(f"/api/views{path}", json=body) if body else api.http.get("/api/views"))
    assert answer.status_code == 200, answer.text
    found: dict[str, list[dict[str, Any]]] = answer.json()
    return found


def names(views: dict[str, list[dict[str, Any]]]) -> tuple[list[str], list[str]]:
    return [each["name"] for each in views["shared"]], [each["name"] for each in views["own"]]


async def test_a_view_is_ones_own_unless_a_supervisor_shares_it(both: tuple[Api, Api]) -> None:
    ada, bob = both
    await saved(ada, name=" Late\nrefunds ", wanted=LATE, shared=True)
    await saved(bob, name="Mine", wanted={"label": "vip"})
    assert names(await saved(ada)) == (["Late refunds"], [])
    assert names(await saved(bob)) == (["Late refunds"], ["Mine"])
    late = (await saved(bob))["shared"][0]
    assert (late["wanted"], late["by"]) == (LATE, "ada")
    # What is kept is what the search takes.
    assert (await bob.http.post("/api/search", json=late["wanted"])).status_code == 200

    for path, body in (
        ("", {"name": "For all", "wanted": LATE, "shared": True}),
        ("", {"name": "Changed", "wanted": LATE, "shared": True, "id": late["id"]}),
        ("/remove", {"id": late["id"], "shared": True}),
    ):
        refused = await bob.http.post(f"/api/views{path}", json=body)
        assert (refused.status_code, refused.json()["detail"]) == (
            403,
            "only supervisors may share views with all",
        )
    await saved(bob, "/remove", id=late["id"])  # there is none of this id among his own
    assert names(await saved(bob)) == (["Late refunds"], ["Mine"])
    await saved(ada, name="Later", wanted={"rating": 1}, shared=True, id=late["id"])
    assert names(await saved(bob)) == (["Later"], ["Mine"])
    again = str(uuid.uuid4())
    for _ in range(2):  # the answer was lost, and the same is asked once more
        await saved(bob, name="Once", wanted=LATE, id=again)
    assert names(await saved(bob, "/remove", id=again)) == (["Later"], ["Mine"])


@pytest.mark.parametrize(
    "body, why",
    [
        ({"name": " ", "wanted": LATE}, "name: there is nothing to see in it"),
        ({"name": "x" * 61, "wanted": LATE}, "name"),
        ({"name": "x", "wanted": {}}, "wanted: there is nothing in it to look for"),
        ({"name": "x", "wanted": {"words": "?!"}}, "wanted: there is nothing in it to look for"),
        ({"name": "x", "wanted": {"colour": "red"}}, "colour"),
        ({"name": "x", "wanted": {"rating": 6}}, "wanted.rating"),
        ({"name": "x", "wanted": {"since": "yesterday"}}, "wanted.since"),
    ],
)
async def test_what_cannot_be_looked_for_is_not_kept(
    both: tuple[Api, Api], body: dict[str, Any], why: str
) -> None:
    refused = await both[1].http.post("/api/views", json=body)
    assert refused.status_code in (400, 422)
    assert why in refused.json()["detail"]


async def test_of_many_at_once_none_is_lost_and_there_is_an_end(both: tuple[Api, Api]) -> None:
    ada, bob = both
    await asyncio.gather(*(saved(ada, name=f"{n}", wanted=LATE, shared=True) for n in range(3)))
    assert len((await saved(bob))["shared"]) == 3
    for n in range(MAX_VIEWS):
        await saved(bob, name=f"{n}", wanted=LATE)
    full = await bob.http.post("/api/views", json={"name": "one more", "wanted": LATE})
    assert (full.status_code, full.json()["detail"]) == (409, "there are 50 already: remove some first")


async def test_whoever_has_the_name_later_has_none_of_them(
    both: tuple[Api, Api],
    connections: Connections,
    clients: list[httpx.AsyncClient],  # noqa: F811
) -> None:
    ada, bob = both
    admin = await connections.client("admin")
    await saved(bob, name="Mine", wanted=LATE)
    await accounts.remove(admin, "bob")
    await accounts.add(admin, "bob", "Another Bob", PASSWORDS["bob"])
    await bob.enter("bob")
    assert names(await saved(bob)) == ([], [])

    await saved(bob, name="His", wanted=LATE)
    await accounts.change_role(admin, "ada", "admin")
    await ada.enter("ada")
    assert (await ada.http.post("/api/accounts/bob/remove")).status_code == 200
    await accounts.add(admin, "bob", "A third Bob", PASSWORDS["bob"])
    await bob.enter("bob")
    assert names(await saved(bob)) == ([], [])
