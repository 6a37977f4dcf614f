"""Webhooks against the real server and a real receiver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from deploy.webhook_provisioning import declare_webhooks
from services.operator import webhook_sender
from services.operator.domain import webhook_delivery
from services.operator.meters import DeskMeter
from services.operator.webhook_posts import WebhookPoster
from services.operator.webhook_sender import WebhookSender
from services.operator.webhook_store import WebhookStore
from services.operator.webhooks import Webhooks
from shared.contract import subjects
from shared.contract.desk_facts import AgreedTimeReached
from shared.contract.entry import Entry, needed
from shared.contract.facts import (
    Author,
    ConversationClaimed,
    ConversationErased,
    ConversationStarted,
    Fact,
    HandoffRequested,
    OperatorSaid,
)
from shared.contract.webhooks import WEBHOOK_EVENTS, WebhookEndpoint, WebhookJob, make_secret, sign
from tests import examples
from tests.conftest import LAYOUT, Connections
from tests.unit.test_webhooks import WebhookReceiver, receiving

C = examples.CONVERSATION
SECRET = make_secret(bytes(32))


class Hooked:
    """A log that endpoints listen to, and those who write on it."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.registry = CollectorRegistry()

    async def store(self) -> WebhookStore:
        return WebhookStore(await self._connections.client("operator"))

    async def begun(self) -> None:
        """A visitor whom ann has claimed."""
        await self.append("visitor", "begin", ConversationStarted(door="websocket"))
        await self.append("operator", "claim", ConversationClaimed(operator="ann"))

    async def add(self, url: str, id: str = "e1", words: bool = True) -> None:
        admin = await self._connections.client("admin")
        for stream in LAYOUT.names:
            await declare_webhooks(admin, stream)
        new = WebhookEndpoint(id=id, url=url, secret=SECRET, events=WEBHOOK_EVENTS, since=0, words=words)
        await (await self.store()).change(lambda endpoints: (*endpoints, new))

    async def append(self, author: Author, id: str, *facts: Fact) -> None:
        log = await self._connections.log(
            "operator"
            if author == subjects.DESK
            else "workflow"
            if author == "bot"
            else "proxy"
            if author == "visitor"
            else author
        )
        await log.append(C, author, Entry(id=id, needs=needed(facts), facts=facts))

    async def says(self, id: str, operator: str = "ann") -> None:
        await self.append("operator", id, OperatorSaid(operator=operator, text=id))

    async def erase(self) -> None:
        await self.append("eraser", "erase", ConversationErased(by="ada"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        log = await self._connections.log("operator")
        store, self.registry = WebhookStore(log.client), CollectorRegistry()
        poster, meter = WebhookPoster(private=True), DeskMeter(self.registry)
        parts = (
            Webhooks(log.client, log, store, meter),
            WebhookSender(log.client, log, store, poster, self.registry, meter),
        )
        for part in parts:
            await part.start()
        yield
        for part in parts:
            await part.stop()

    async def jobs(self, kind: str) -> int:
        admin = await self._connections.client("admin")
        info = await admin.jsm().stream_info(subjects.WEBHOOKS, subjects_filter=f"webhook.{kind}.>")
        return len(info.state.subjects or {})

    async def left(self, kind: str, count: int) -> None:
        await until_so(lambda: self.jobs(kind), count)

    async def told(self) -> None:
        """Everything on the log was made into jobs, and each of them is delivered or dead."""
        admin = await self._connections.client("admin")

        async def unread() -> int:
            found = [
                await admin.jetstream().consumer_info(name, subjects.WEBHOOKS_DURABLE)
                for name in LAYOUT.names
            ]
            return sum((each.num_pending or 0) + (each.num_ack_pending or 0) for each in found)

        await until_so(unread, 0)
        await self.left("at", 0)
        await self.left("due", 0)

    async def endpoint(self, id: str = "e1") -> WebhookEndpoint:
        return (await (await self.store()).endpoints())[id]


async def until_so(ask: Callable[[], Awaitable[object]], wanted: object) -> None:
    async with asyncio.timeout(15):
        while await ask() != wanted:
            await asyncio.sleep(0.02)


@pytest.fixture
def hooked(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> Hooked:
    monkeypatch.setattr(webhook_delivery, "DELAYS", (0.05, 0.05))
    return Hooked(connections)


def data(receiver: WebhookReceiver) -> list[dict[str, Any]]:
    return [msgspec.json.decode(body)["data"] for _, body in receiver.requests]


def types(receiver: WebhookReceiver) -> list[str]:
    return [msgspec.json.decode(body)["type"] for _, body in receiver.requests]


def ids(receiver: WebhookReceiver) -> set[str]:
    return {headers["webhook-id"] for headers, _ in receiver.requests}


async def test_an_event_is_delivered_signed_and_nothing_of_before(hooked: Hooked) -> None:
    async with receiving("200 OK") as (receiver, url):
        await hooked.begun()
        await hooked.says("before")
        await hooked.add(url)
        async with hooked.running():
            await hooked.says("behind")
            await hooked.told()
    ((headers, body),) = receiver.requests
    assert data(receiver) == [{"conversation": C, "operator": "ann", "text": "behind", "name": ""}]
    timestamp = int(headers["webhook-timestamp"])
    assert sign([SECRET], headers["webhook-id"], timestamp, body).items() <= headers.items()


async def test_what_took_no_effect_is_told_nobody(hooked: Hooked) -> None:
    async with receiving("200 OK") as (receiver, url):
        await hooked.add(url)
        async with hooked.running():
            await hooked.begun()
            await hooked.append("operator", "lost", ConversationClaimed(operator="bob"))
            await hooked.says("not mine", operator="bob")
            await hooked.says("mine")
            await hooked.told()
    assert sorted(types(receiver)) == ["conversation.claimed", "message.operator"]
    assert {each["operator"] for each in data(receiver)} == {"ann"}


async def test_the_bots_handoff_and_an_agreed_time_are_told(hooked: Hooked) -> None:
    async with receiving("200 OK") as (receiver, url):
        await hooked.add(url, words=False)
        async with hooked.running():
            await hooked.append("visitor", "begin", ConversationStarted(door="websocket"))
            await hooked.append("bot", "ask", HandoffRequested(queue="sales"))
            due = "2023-11-15T08:00:00Z"
            late = AgreedTimeReached(goal="first_response", queue="sales", due=due, over=True)
            await hooked.append("desk", "late", late)
            await hooked.told()
    told = dict(zip(types(receiver), data(receiver), strict=True))
    assert told == {
        "conversation.handoff": {"conversation": C, "queue": "sales"},
        "agreed_time.over": {"conversation": C, "goal": "first_response", "queue": "sales", "due": due},
    }


async def test_what_failed_comes_again_under_the_same_id_also_after_a_restart(hooked: Hooked) -> None:
    await hooked.begun()
    async with receiving("503 Busy") as (receiver, url):
        await hooked.add(url)
        async with hooked.running():
            await hooked.says("a")
            await until_so(lambda: _count(receiver), 1)
        receiver.status = "200 OK"
        async with hooked.running():
            await hooked.told()
    assert len(receiver.requests) > 1
    assert len(ids(receiver)) == 1
    assert await hooked.jobs("dead") == 0


async def test_after_the_last_attempt_it_is_dead_and_is_sent_again(hooked: Hooked) -> None:
    await hooked.begun()
    async with receiving("503 Busy") as (receiver, url):
        await hooked.add(url)
        async with hooked.running():
            await hooked.says("a")
            await hooked.left("dead", 1)
            await hooked.told()
            assert len(receiver.requests) == 3
            store = await hooked.store()
            (one,) = [each async for each in store.dead()]
            assert (one.endpoint, one.job.event) == ("e1", "message.operator")
            assert one.job.why == "the receiver answered 503"
            receiver.status = "200 OK"
            await store.resend(one)
            await store.resend(one)  # cut short, and done again
            await hooked.told()
    assert len(receiver.requests) == 4
    assert len(ids(receiver)) == 1
    assert await hooked.jobs("dead") == 0


async def test_who_is_gone_is_told_nothing_more_until_it_is_enabled(hooked: Hooked) -> None:
    await hooked.begun()
    async with receiving("410 Gone") as (receiver, url):
        await hooked.add(url)
        async with hooked.running():
            await hooked.says("a")
            await hooked.left("dead", 1)
            assert (await hooked.endpoint()).disabled == "its receiver answered 410 Gone"
            await hooked.says("b")
            await hooked.told()
    assert len(receiver.requests) == 1


async def test_what_is_due_to_an_endpoint_that_is_off_is_kept_as_dead(hooked: Hooked) -> None:
    await hooked.begun()
    async with receiving("503 Busy") as (receiver, url):
        await hooked.add(url)
        async with hooked.running():
            await hooked.says("a")
            await until_so(lambda: _count(receiver), 1)
        store = await hooked.store()
        await store.change(lambda all: tuple(replace(each, disabled="by hand") for each in all))
        async with hooked.running():
            await hooked.left("dead", 1)
    (one,) = [each async for each in store.dead()]
    assert one.job.why == "the endpoint is off: by hand"


async def test_words_erased_meanwhile_are_not_sent(hooked: Hooked) -> None:
    await hooked.begun()
    async with receiving("503 Busy") as (receiver, url):
        await hooked.add(url)
        async with hooked.running():
            await hooked.says("secret")
            await until_so(lambda: _count(receiver), 1)
        await hooked.erase()
        receiver.status = "200 OK"
        async with hooked.running():
            await hooked.told()
    assert data(receiver)[-1]["text"] is None


async def test_an_endpoint_that_never_answers_holds_up_no_other(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_sender, "MAX_WAITING", 10)
    store = await hooked.store()
    await hooked.begun()
    async with receiving("200 OK") as (_, url), receiving("silence") as (silent, dead_end):
        await hooked.add(dead_end, "dead")
        for number in range(200):
            await store.begin("dead", f"{number:032}", WebhookJob(C, 2, "conversation.claimed"))
        async with hooked.running():
            await hooked.add(url, "alive")
            await hooked.says("a")
            await until_so(lambda: hooked.jobs("due.alive"), 0)
            # Those that find no place wait outside the queue, so that it never fills.
            await until_so(lambda: _at_most(hooked.jobs("due"), 11), True)
    assert len(silent.requests) <= webhook_sender.LANE


async def test_an_endpoint_that_was_added_a_moment_ago_is_no_removed_one(hooked: Hooked) -> None:
    """Another replica knows it already, and has made a job."""
    await hooked.begun()
    async with receiving("200 OK") as (receiver, url):
        await hooked.add(url, "old")
        async with hooked.running():
            await hooked.says("a")  # from here on this replica knows of one
            await until_so(lambda: _count(receiver), 1)
            await hooked.add(url, "new")
            id = receiver.requests[0][0]["webhook-id"]
            await (await hooked.store()).begin("new", id, WebhookJob(C, 1, "message.operator"))
            await until_so(lambda: _count(receiver), 2)


async def test_what_is_no_job_and_what_is_not_on_the_log_leave_the_queue(
    hooked: Hooked, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_sender, "PAUSE_SECONDS", 0.01)
    await hooked.begun()
    async with receiving("200 OK") as (receiver, url):
        await hooked.add(url)
        operator = await connections.client("operator")
        await operator.jetstream().publish(subjects.webhook_due("e1", "a"), b"{}")
        await (await hooked.store()).begin("e1", "b", WebhookJob(C, 1, "conversation.claimed"))
        async with hooked.running():
            await hooked.left("due", 0)
    assert receiver.requests == []
    assert await hooked.jobs("*") == 0


async def test_a_secret_that_is_none_ends_as_dead(hooked: Hooked) -> None:
    await hooked.begun()
    async with receiving("200 OK") as (receiver, url):
        await hooked.add(url)
        store = await hooked.store()
        await store.change(lambda all: tuple(replace(each, secret="none") for each in all))
        async with hooked.running():
            await hooked.says("a")
            await hooked.left("dead", 1)
    assert receiver.requests == []


async def test_endpoints_that_cannot_be_read_lose_nothing(
    hooked: Hooked, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.operator.webhooks.UNREADABLE_SECONDS", 0.05)
    monkeypatch.setattr("services.operator.webhook_store.FRESH_SECONDS", 0.0)
    await hooked.begun()
    admin = await connections.client("admin")

    async def redelivered_at_all() -> bool:
        infos = [await admin.jsm().consumer_info(name, subjects.WEBHOOKS_DURABLE) for name in LAYOUT.names]
        return any(info.num_redelivered for info in infos)

    async with receiving("200 OK") as (receiver, url):
        await hooked.add(url)
        bucket = await admin.jetstream().key_value(subjects.WEBHOOK_ENDPOINTS)
        right = (await bucket.get(subjects.WEBHOOK_ENDPOINTS_KEY)).value or b""
        await bucket.put(subjects.WEBHOOK_ENDPOINTS_KEY, b"nonsense")
        async with hooked.running():
            await hooked.says("a")
            await until_so(redelivered_at_all, True)  # the service has met it, and given the entry back
            await bucket.put(subjects.WEBHOOK_ENDPOINTS_KEY, right)
            await until_so(lambda: _count(receiver), 1)


async def _count(receiver: WebhookReceiver) -> int:
    return len(receiver.requests)


async def _at_most(count: Awaitable[int], most: int) -> bool:
    return await count <= most
