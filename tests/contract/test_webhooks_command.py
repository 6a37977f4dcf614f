"""`switchboard webhooks`, and the operator service that tells what it was asked to, whatever is killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from pathlib import Path
from random import Random, SystemRandom

import msgspec
import pytest

from deploy.cli.main import main
from deploy.local.embedded import EmbeddedNats
from deploy.webhook_provisioning import tells_webhooks
from services.operator.webhook_store import WebhookStore
from shared.contract.entry import Entry
from shared.contract.facts import Author, ConversationClaimed, ConversationStarted, OperatorSaid
from shared.contract.webhooks import WEBHOOK_EVENTS, WebhookEndpoint, WebhookJob, sign
from shared.eventlog.errors import LogError
from shared.service.chat_log import ChatLog
from tests import examples
from tests.conftest import LAYOUT, Connections, Services
from tests.unit.test_webhooks import receiving

C = examples.CONVERSATION
URL = "https://hooks.example/in"


class WebhooksCommand:
    """The command, run as its user runs it."""

    def __init__(self, connections: Connections, capsys: pytest.CaptureFixture[str]) -> None:
        self._connections = connections
        self._capsys = capsys

    async def __call__(self, *words: str, code: int = 0) -> str:
        """What it said; its exit code is ``code``."""
        self._capsys.readouterr()
        assert await asyncio.to_thread(main, ["webhooks", *words]) == code
        said = self._capsys.readouterr()
        return said.out + said.err

    async def added(self, *words: str) -> tuple[str, str]:
        """The new endpoint's id, and its secret."""
        said = await self("add", *words)
        found = re.search(r"endpoint (\w+) is told.*(whsec_\S+)", said, re.DOTALL)
        assert found is not None, said
        return found[1], found[2]

    async def endpoints(self) -> dict[str, WebhookEndpoint]:
        return await WebhookStore(await self._connections.client("operator")).endpoints()


@pytest.fixture
def webhooks(
    connections: Connections,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> WebhooksCommand:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWITCHBOARD_NATS_URL", connections.server.url())
    monkeypatch.setenv("SWITCHBOARD_NATS_PASSWORD_ADMIN", connections.server.password("admin"))
    return WebhooksCommand(connections, capsys)


async def test_an_endpoint_from_its_beginning_to_its_end(
    webhooks: WebhooksCommand, connections: Connections
) -> None:
    admin = await connections.client("admin")
    id, secret = await webhooks.added(URL, "--event", "conversation.rated")
    made = (await webhooks.endpoints())[id]
    assert (made.url, made.secret, made.events, made.words) == (URL, secret, ("conversation.rated",), False)
    assert all([await tells_webhooks(admin, stream) for stream in LAYOUT.names])
    listed = await webhooks("list")
    assert URL in listed
    assert secret not in listed

    await webhooks("change", id, "--url", URL + "/2", "--event", "message.operator", "--words")
    made = (await webhooks.endpoints())[id]
    assert (made.url, made.events, made.words) == (URL + "/2", ("message.operator",), True)
    assert "signed with both secrets" in await webhooks("rotate", id)
    made = (await webhooks.endpoints())[id]
    assert made.previous == secret != made.secret
    assert made.secrets(made.previous_until - 1) == (made.secret, secret)
    assert made.secrets(made.previous_until) == (made.secret,)
    await webhooks("disable", id)
    assert "off: switched off by hand" in await webhooks("list")
    await webhooks("enable", id)
    assert "off" not in await webhooks("list")

    await webhooks("remove", id, "--yes")
    assert await webhooks.endpoints() == {}
    assert not any([await tells_webhooks(admin, stream) for stream in LAYOUT.names])


async def test_what_is_wrong_is_said_and_changes_nothing(
    webhooks: WebhooksCommand, connections: Connections
) -> None:
    for url, why in (
        ("ftp://hooks.example", "an address is like https://example.com/hooks"),
        ("https://me:secret@hooks.example", "a webhook is known by its signature"),
        ("https://hooks.example:x/", "it is no address"),
        ("https://hooks.example/#part", "no receiver is sent"),
    ):
        said = await webhooks("add", url, code=1)
        assert why in said
        assert "secret@" not in said
    assert "There is no event 'x'" in await webhooks("add", URL, "--event", "x", code=1)
    assert "there are none" in await webhooks("enable", "nobody", code=1)
    assert not await tells_webhooks(await connections.client("admin"), "CHAT-0")
    id, _ = await webhooks.added(URL)
    assert f"is the endpoint {id} already" in await webhooks("add", URL, code=1)
    assert f"there are {id}" in await webhooks("remove", "nobody", "--yes", code=1)
    assert "Say what is to be changed" in await webhooks("change", id, code=1)
    (made,) = (await webhooks.endpoints()).values()
    assert made.events == WEBHOOK_EVENTS


async def test_dead_ones_are_listed_and_sent_again(
    webhooks: WebhooksCommand, connections: Connections
) -> None:
    one, _ = await webhooks.added(URL)
    other, _ = await webhooks.added(URL + "/2")
    store = WebhookStore(await connections.client("operator"))
    for endpoint in (one, other):
        for id in ("1", "2"):
            job = WebhookJob(C, 7, "message.operator", 9, "the receiver answered 500")
            await store.bury(endpoint, id, job)
    listed = (await webhooks("dead", one)).splitlines()
    assert [line.split()[:2] for line in listed] == [[one, "1"], [one, "2"]]
    assert "the receiver answered 500" in listed[0]
    assert "1 is sent again" in await webhooks("resend", one, "--webhook", "2")
    assert "No dead webhook is called 2" in await webhooks("resend", one, "--webhook", "2", code=1)
    await webhooks("disable", one)
    assert "`switchboard webhooks enable` first" in await webhooks("resend", code=1)
    await webhooks("enable", one)
    assert "3 are sent again" in await webhooks("resend")
    assert await webhooks("dead") == ""


async def stored(log: ChatLog, author: Author, entry: Entry) -> None:
    """Once, whatever is killed meanwhile: under its id it may be sent again."""
    while True:
        try:
            await log.append(C, author, entry)
            return
        except LogError:
            await asyncio.sleep(0.1)


async def test_each_event_arrives_whatever_is_killed(
    webhooks: WebhooksCommand, connections: Connections, services: Services, declared: EmbeddedNats
) -> None:
    seed = int(os.environ.get("SWITCHBOARD_TEST_SEED", "0")) or SystemRandom().randrange(1, 10**6)
    print(f"SWITCHBOARD_TEST_SEED={seed}")
    random = Random(seed)
    async with receiving("200 OK") as (receiver, url):
        _, secret = await webhooks.added(url, "--words")
        visitor, operator = await connections.log("proxy"), await connections.log("operator")
        service = await services.start("operator", SWITCHBOARD_WEBHOOKS_PRIVATE="yes")
        await stored(visitor, "visitor", Entry(id="begin", facts=(ConversationStarted(door="web"),)))
        await stored(operator, "operator", Entry(id="claim", facts=(ConversationClaimed(operator="ann"),)))
        count = 40

        async def speak() -> None:
            for number in range(count):
                said = OperatorSaid(operator="ann", text=str(number))
                await stored(operator, "operator", Entry(id=f"said-{number}", facts=(said,)))
                await asyncio.sleep(random.random() / 5)

        speaking = asyncio.create_task(speak())
        for killed in ("service", "server", "both", "service"):
            await asyncio.sleep(random.random() * 2)
            receiver.status = random.choice(("200 OK", "503 Busy"))
            if killed != "server":
                service.kill()
            if killed != "service":
                declared.kill()
                declared.start()
            if killed != "server":
                service = await services.start("operator", SWITCHBOARD_WEBHOOKS_PRIVATE="yes")
        receiver.status = "200 OK"
        await speaking

        def told() -> set[str]:
            found = (msgspec.json.decode(body) for _, body in receiver.requests)
            return {each["data"].get("text", each["type"]) for each in found}

        wanted = {*map(str, range(count)), "conversation.claimed"}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(120):
                while told() != wanted:
                    await asyncio.sleep(0.1)
        assert told() == wanted
    by_id = {headers["webhook-id"]: body for headers, body in receiver.requests}
    assert len(by_id) == len(wanted)  # what came twice came under one id
    for headers, body in receiver.requests:
        signed = sign([secret], headers["webhook-id"], int(headers["webhook-timestamp"]), body)
        assert signed.items() <= headers.items()
