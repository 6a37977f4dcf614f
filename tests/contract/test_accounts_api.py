"""Accounts over the API, at two replicas of the service."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from nats.aio.client import Client

from deploy.cli import accounts
from services.operator.accounts import Accounts
from services.operator.domain import accounts as domain
from services.operator.domain.accounts import AccountRefused
from tests.conftest import Connections, Services
from tests.contract.test_operator_api import (  # noqa: F401 (fixtures)
    PASSWORDS,
    Api,
    WrittenChats,
    chat,
    clients,
)


async def listed(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {each["name"]: each for each in answer.json()["accounts"]}


@pytest.fixture
async def admin(chat: WrittenChats, connections: Connections) -> Client:  # noqa: F811
    """Ada is an admin, Bob is none."""
    client = await connections.client("admin")
    await accounts.change_role(client, "ada", "admin")
    return client


async def test_an_admin_looks_after_accounts_and_rights_end_everywhere(
    admin: Client,
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
) -> None:
    one, two = await asyncio.gather(services.start("operator"), services.start("operator"))
    ada, bob = await Api(one, clients).enter("ada"), await Api(two, clients).enter("bob")
    anybody = Api(one, clients)

    refused = await bob.http.get("/api/accounts")
    assert (refused.status_code, refused.json()["detail"]) == (403, "only admins may look after accounts")
    assert (await bob.http.post("/api/accounts/ada/remove")).status_code == 403
    assert (await anybody.http.get("/api/accounts")).status_code == 401

    new = {"name": "eve", "display": "Eve", "password": "a password of eve", "role": "supervisor"}
    found = await listed(await ada.http.post("/api/accounts", json=new))
    assert {name: each["role"] for name, each in found.items()} == {
        "ada": "admin",
        "bob": "operator",
        "eve": "supervisor",
    }
    assert "hash" not in found["eve"]
    assert (await ada.http.post("/api/accounts", json=new)).status_code == 409
    for wrong in ({"name": "../x"}, {"password": "short"}, {"role": "king"}, {"display": "a\nb"}):
        answer = await ada.http.post("/api/accounts", json={**new, "name": "new", **wrong})
        assert answer.status_code in (400, 422), wrong
        assert next(iter(wrong)) in answer.json()["detail"]
    eve = Api(two, clients)
    login = {"name": "eve", "password": "a password of eve"}
    assert (await eve.http.post("/api/login", json=login)).json()["role"] == "supervisor"

    for path, body in (
        ("eve/password", {"password": "another password of eve"}),
        ("eve/role", {"role": "operator"}),
        ("eve/disable", None),
    ):
        assert (await eve.http.get("/api/me")).status_code == 200
        await listed(await ada.http.post(f"/api/accounts/{path}", json=body))
        assert (await eve.http.get("/api/me")).status_code == 401, path
        login["password"] = "another password of eve"
        status = 401 if path == "eve/disable" else 200
        assert (await eve.http.post("/api/login", json=login)).status_code == status
    assert (await listed(await ada.http.post("/api/accounts/eve/enable")))["eve"]["disabled"] is False
    assert "eve" not in await listed(await ada.http.post("/api/accounts/eve/remove"))
    assert (await ada.http.post("/api/accounts/eve/remove")).status_code == 404
    last = await ada.http.post("/api/accounts/ada/role", json={"role": "operator"})
    assert (last.status_code, last.json()["detail"]) == (
        409,
        "ada is the last admin who may log in: make another one first",
    )

    # One without a password logs in by single sign-on alone.
    for neither in ({"sign_on": True}, {"password": None}):
        answer = await ada.http.post("/api/accounts", json={**new, "name": "kim", **neither})
        assert (answer.status_code, answer.json()["detail"]) == (
            422,
            "password: give one, or say sign_on, not both",
        )
    made = {"name": "kim", "sign_on": True}
    kim = (await listed(await ada.http.post("/api/accounts", json=made)))["kim"]
    assert (kim["password"], kim["sign_on"]) == (False, True)
    for guess in ("", "*", "!*"):
        refused = await eve.http.post("/api/login", json={"name": "kim", "password": guess})
        assert refused.status_code == 401
    assert (await bob.http.post("/api/accounts/ada/sign-on")).status_code == 403
    given = {"password": "a password of kim"}
    kim = (await listed(await ada.http.post("/api/accounts/kim/password", json=given)))["kim"]
    assert (kim["password"], kim["sign_on"]) == (True, False)
    kim = (await listed(await ada.http.post("/api/accounts/kim/sign-on")))["kim"]
    assert (kim["password"], kim["sign_on"]) == (False, True)

    # Everybody changes their own password: the other logins end, this one goes on.
    other = await Api(one, clients).enter("bob")
    wrong_one = {"current": "wrong", "password": "a newer password"}
    refused = await bob.http.post("/api/me/password", json=wrong_one)
    assert (refused.status_code, refused.json()["detail"]) == (422, "current: this is not your password")
    changed = await bob.http.post("/api/me/password", json={**wrong_one, "current": PASSWORDS["bob"]})
    assert (changed.status_code, changed.json()["name"]) == (200, "bob")
    assert (await bob.http.get("/api/me")).status_code == 200
    assert (await other.http.get("/api/me")).status_code == 401
    tries = [await bob.http.post("/api/me/password", json=wrong_one) for _ in range(5)]
    assert tries[-1].status_code == 429  # whoever finds an open console may not try them all


async def test_of_two_admins_who_remove_one_another_at_once_one_stays(
    admin: Client, connections: Connections
) -> None:
    await accounts.change_role(admin, "bob", "admin")
    kept = [Accounts(await connections.client("operator")) for _ in range(2)]
    ended = await asyncio.gather(
        kept[0].change("ada", "bob", domain.remove),
        kept[1].change("bob", "ada", domain.remove),
        return_exceptions=True,
    )
    assert [type(each) for each in ended if each is not None] == [AccountRefused]
    assert len(await kept[0].list()) == 1
    for each in kept:
        each.close()
