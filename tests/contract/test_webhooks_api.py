"""Webhooks over the API: for admins alone, and without secrets."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from deploy.cli import accounts
from services.operator.transports import webhook_routes
from services.operator.webhook_store import WebhookStore
from shared.contract import subjects
from shared.contract.webhooks import WebhookEndpoint, WebhookJob, make_secret
from tests import examples
from tests.conftest import Connections, Services
from tests.contract.test_operator_api import Api, WrittenChats, chat, clients  # noqa: F401 (fixtures)

ENDPOINT = WebhookEndpoint(
    id="e1",
    url="https://hooks.example/in",
    secret=make_secret(bytes(32)),
    events=("message.operator",),
    since=1_700_000_000 * 10**9,
)
ONE, TWO = "1" * 32, "2" * 32


@pytest.fixture
async def store(chat: WrittenChats, connections: Connections) -> WebhookStore:  # noqa: F811
    """Ada is an admin, Bob is none. Two webhooks are dead."""
    await accounts.change_role(await connections.client("admin"), "ada", "admin")
    store = WebhookStore(await connections.client("operator"))
    await store.change(lambda _: (ENDPOINT,))
    for id in (ONE, TWO):
        job = WebhookJob(examples.CONVERSATION, 7, "message.operator", 9, "the receiver answered 500")
        await store.bury("e1", id, job)
    return store


def dead(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["dead"]]


def refused(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()["detail"]


async def test_an_admin_sees_endpoints_and_sends_again_what_is_dead(
    store: WebhookStore,
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
) -> None:
    service = await services.start("operator")
    ada = (await Api(service, clients).enter("ada")).http
    seen = await ada.get("/api/webhooks")
    assert seen.json()["endpoints"] == [
        {
            "id": "e1",
            "url": "https://hooks.example/in",
            "events": ["message.operator"],
            "words": False,
            "disabled": "",
            "since": "2023-11-14T22:13:20.000Z",
        }
    ]
    assert dead(seen) == [ONE, TWO]
    assert seen.json()["dead"][0]["why"] == "the receiver answered 500"
    assert "whsec_" not in seen.text

    off = await ada.post("/api/webhooks/disable", json={"endpoint": "e1"})
    assert off.json()["endpoints"][0]["disabled"] == "switched off by ada"
    body = {"endpoint": "e1", "webhook": ONE}
    wrong = await ada.post("/api/webhooks/resend", json=body)
    assert refused(wrong) == (409, "the endpoint is off: enable it first")
    await ada.post("/api/webhooks/enable", json={"endpoint": "e1"})
    assert dead(await ada.post("/api/webhooks/resend", json=body)) == [TWO]
    again = await ada.post("/api/webhooks/resend", json=body)
    assert refused(again) == (404, "there is no such dead webhook")
    assert dead(await ada.post("/api/webhooks/resend", json={"endpoint": "e1"})) == []
    for command in ("resend", "enable", "disable"):
        wrong = await ada.post(f"/api/webhooks/{command}", json={"endpoint": "e2"})
        assert refused(wrong) == (404, "there is no such endpoint"), command
        wrong = await ada.post(f"/api/webhooks/{command}", json={"endpoint": "*"})
        assert wrong.status_code == 400, command


async def test_only_admins_may(
    store: WebhookStore,
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
) -> None:
    service = await services.start("operator")
    bob, nobody = (await Api(service, clients).enter("bob")).http, Api(service, clients).http
    why = "only admins may look after webhooks"
    assert refused(await bob.get("/api/webhooks")) == (403, why)
    assert (await nobody.get("/api/webhooks")).status_code == 401
    for command in ("resend", "enable", "disable"):
        path = f"/api/webhooks/{command}"
        assert refused(await bob.post(path, json={"endpoint": "e1"})) == (403, why)
        assert (await nobody.post(path, json={"endpoint": "e1"})).status_code == 401
    assert [one.id async for one in store.dead()] == [ONE, TWO]


async def test_so_many_are_shown_and_it_says_that_there_are_more(
    store: WebhookStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_routes, "MAX_DEAD", 1)
    found = await webhook_routes._overview(store)
    assert ([each.id for each in found.dead], found.more) == ([ONE], True)


async def test_where_the_endpoints_cannot_be_read_it_says_so(
    store: WebhookStore,
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    connections: Connections,
) -> None:
    bucket = await (await connections.client("admin")).jetstream().key_value(subjects.WEBHOOK_ENDPOINTS)
    await bucket.put(subjects.WEBHOOK_ENDPOINTS_KEY, b"nonsense")
    ada = (await Api(await services.start("operator"), clients).enter("ada")).http
    assert (await ada.get("/api/webhooks")).status_code == 503
