"""Supervisors take over from anyone, and everybody sees who is here."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from deploy.cli import accounts
from shared.contract.facts import ConversationTransferred
from tests.conftest import Connections, Services
from tests.contract.test_operator_api import (  # noqa: F401 (fixtures)
    PASSWORDS,
    Api,
    WrittenChats,
    chat,
    clients,
)


async def taken(chat: WrittenChats, api: Api) -> str:  # noqa: F811
    """A conversation that this operator has."""
    id = await chat.waiting("visitor 1")
    await api.shows("queue", id)
    answer = await api.do(id, "claim")
    assert answer.status_code == 200, answer.text
    return id


async def test_a_supervisor_takes_over_from_whoever_has_it(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    connections: Connections,
) -> None:
    service = await services.start("operator")
    ada, bob = [await Api(service, clients).enter(name) for name in ("ada", "bob")]
    id = await taken(chat, ada)
    refused = await bob.do(id, "claim", take_from="ada")
    assert (refused.status_code, refused.json()["error"]) == (
        403,
        "only supervisors may take over from somebody else",
    )
    await accounts.change_role(await connections.client("admin"), "bob", "supervisor")
    assert (await bob.http.get("/api/me")).status_code == 401  # what an account may do is that of its login
    await bob.enter("bob")
    assert (await bob.http.get("/api/me")).json()["role"] == "supervisor"
    assert (await bob.do(id, "claim")).status_code == 409  # never by accident
    stale = await bob.do(id, "claim", take_from="eve")
    assert (stale.status_code, stale.json()["operator"]) == (409, "ada")  # somebody else has it by now
    row = (await bob.do(id, "claim", take_from="ada")).json()
    assert (row["owner"], row["operator"]) == ("operator", "bob")
    assert (await bob.do(id, "claim", take_from="bob")).status_code == 200  # it is his already
    last = (await chat.history(id))[-1]
    assert last.facts == (ConversationTransferred(operator="ada", to="bob", name="Bob"),)


async def test_everybody_who_may_log_in_and_who_is_here(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    connections: Connections,
) -> None:
    admin = await connections.client("admin")
    await accounts.add(admin, "sue", "Sue Smith", "a long password", "admin")
    await accounts.add(admin, "tom", "Tom", "a long password")
    await accounts.disable(admin, "tom")
    one, two = await services.start("operator"), await services.start("operator")
    ada, bob = await Api(one, clients).enter("ada"), await Api(two, clients).enter("bob")
    assert (await Api(one, clients).http.get("/api/operators")).status_code == 401

    async def listed() -> list[dict[str, Any]]:
        answer = await ada.http.get("/api/operators")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["operators"]
        return found

    async with asyncio.timeout(30):  # the replicas tell one another every few seconds
        while not any(each["name"] == "bob" and each["here"] for each in await listed()):
            await bob.http.get("/api/me")
            await asyncio.sleep(0.2)
    found = {each["name"]: each for each in await listed()}
    assert found.keys() == {*PASSWORDS, "sue"}
    assert found["sue"] == {
        "name": "sue",
        "display": "Sue Smith",
        "role": "admin",
        "availability": "away",
        "here": False,
    }
    assert found["ada"]["here"]


async def test_a_role_is_changed_and_one_from_before_is_an_operator(connections: Connections) -> None:
    admin = await connections.client("admin")
    bucket = await admin.jetstream().key_value("OPERATORS")
    await bucket.put("old", b'{"name":"old","display":"Old","hash":"!x","created":"2026-01-01T00:00:00Z"}')
    [account] = await accounts.accounts(admin)
    assert account.role == "operator"
    await accounts.change_role(admin, "old", "supervisor")
    [account] = await accounts.accounts(admin)
    assert (account.role, account.hash) == ("supervisor", "!x")


async def test_a_claim_needs_no_body_however_it_is_sent(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
) -> None:
    """Clients from before there was anything to say in it send what their libraries send."""
    api = await Api(await services.start("operator"), clients).enter("ada")
    id = await chat.waiting("visitor 1")
    await api.shows("queue", id)
    for content, kind in (
        (b"", "application/json"),
        (b"", "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"null", "application/json"),
        (b'{"text": "x"}', "application/json"),
        (b"", ""),
    ):
        headers = {"Content-Type": kind} if kind else {}
        for command in ("claim", "resolve", "reopen"):
            answer = await api.http.post(
                f"/api/conversations/{id}/{command}", content=content, headers=headers
            )
            assert answer.status_code == 200, (command, content, kind, answer.text)
