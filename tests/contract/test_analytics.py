"""The analytics service as a process, against the real nats-server: what it counts, shows and survives."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.provisioning import wipe
from services.analytics.read_model import ReadModel
from services.analytics.store import NumbersStore
from services.analytics.transports.metrics import NumbersCollector
from shared.contract import subjects
from shared.contract.entry import Entry
from shared.contract.facts import (
    BotSaid,
    ConversationClaimed,
    ConversationStarted,
    FlowAdvanced,
    FlowStarted,
    HandoffRequested,
    InputRefused,
    OperatorSaid,
    TextWritten,
)
from shared.eventlog.connection import ConnectionState
from shared.eventlog.log import MakeStream
from shared.eventlog.messages import StoredMessage
from shared.eventlog.stream import Stream
from shared.eventlog.subscription import Start, Subscription
from shared.service.chat_log import ChatLog
from shared.service.health import Health
from tests.conftest import Connections, Services, connected, declare
from tests.processes import Service

DOMAIN = (
    "switchboard_conversations_",
    "switchboard_turns",
    "switchboard_refusals",
    "switchboard_handoffs",
    "switchboard_claims",
    "switchboard_bot_answer",
)


class Logs:
    """The log as each of the authors."""

    def __init__(self, visitor: ChatLog, bot: ChatLog, operator: ChatLog) -> None:
        self.visitor, self.bot, self.operator = visitor, bot, operator

    async def conversation(self, number: int) -> None:
        """A greeting, a turn, a refusal; every second one goes to a person, who says a word."""
        name = subjects.conversation_of(f"visitor {number}", "web")
        asked = await self.visitor.append(
            name, "visitor", Entry(id="1", facts=(ConversationStarted(door="web"),))
        )
        await self._answer(name, asked, FlowStarted(flow="shop", version="v1"), FlowAdvanced(path=("hello",)))
        asked = await self._text(name, 2)
        await self._answer(name, asked, FlowAdvanced(path=("ask",)), BotSaid(text="Yes"))
        asked = await self._text(name, 3)
        await self._answer(name, asked, InputRefused(reason="stale_answer"))
        if number % 2:
            asked = await self._text(name, 4)
            await self._answer(
                name, asked, FlowAdvanced(path=("person",)), HandoffRequested(queue=f"q{number % 4}")
            )
        if number % 4 == 1:
            claim = ConversationClaimed(operator="desk-1")
            await self.operator.append(name, "operator", Entry(id="5", facts=(claim,)))
            said = OperatorSaid(operator="desk-1", text="Hello")
            await self.operator.append(name, "operator", Entry(id="6", facts=(said,)))

    async def _text(self, name: str, id: int) -> int:
        text = TextWritten(session="s", text="Hello")
        return await self.visitor.append(name, "visitor", Entry(id=str(id), facts=(text,)))

    async def _answer(self, name: str, cause: int, *facts: Any) -> int:
        return await self.bot.append(name, "bot", Entry(id=str(cause), cause=cause, facts=facts))


def held(go_on: asyncio.Event) -> MakeStream:
    """Streams that give three entries, then wait."""

    class Held(Stream):
        async def read(self, start: int, subject: str = ">") -> AsyncIterator[list[StoredMessage]]:
            async for batch in super().read(start, subject):
                yield batch[:3]
                await go_on.wait()
                yield batch[3:]

    return Held


def behind(health: Health) -> float:
    """How many entries a subscription says that it has not read."""
    families = {family.name: family for family in health.registry.collect()}
    return sum(sample.value for sample in families["switchboard_follower_lag_entries"].samples)


@pytest.fixture
async def logs(connections: Connections) -> Logs:
    users = [await connections.log(user) for user in ("proxy", "workflow", "operator")]
    return Logs(*users)


async def get(service: Service, path: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(service.url + path)


async def scrape(service: Service) -> dict[str, float]:
    """The numbers that come from the log, by series."""
    answer = await get(service, "/metrics")
    assert answer.status_code == 200
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name.startswith(DOMAIN)
    }


async def caught_up(service: Service, position: int) -> dict[str, Any]:
    """Wait until ``position`` is counted; the summary then."""
    async with asyncio.timeout(10):
        while True:
            answer = await get(service, "/api/summary")
            if answer.status_code == 200:
                body: dict[str, Any] = answer.json()
                if body["position"] >= position:
                    return body
            await asyncio.sleep(0.02)


async def test_numbers_follow_the_log_and_survive_a_kill(logs: Logs, services: Services) -> None:
    await asyncio.gather(*(logs.conversation(number) for number in range(10)))
    service = await services.start("analytics")
    await asyncio.gather(*(logs.conversation(number) for number in range(10, 20)))
    last = await logs.visitor.length()
    summary = await caught_up(service, last)
    assert summary["lag"] == 0
    assert summary["conversations"] == {
        "started": 20,
        "open": 20,
        "ended": 0,
        "snoozed": 0,
        "resolved": 0,
        "open_by_owner": {"bot": 10, "queue": 5, "operator": 5},
    }
    assert (summary["turns"], summary["failures"], summary["refusals"]["stale_answer"]) == (30, 0, 20)
    assert summary["handoffs"]["by_queue"] == {"q1": 5, "q3": 5}
    assert summary["handoffs"]["waiting_by_queue"] == {"q1": 0, "q3": 5}
    assert (summary["handoffs"]["rate"], summary["handoffs"]["claims"]) == (0.5, 5)
    assert sum(hour["started"] for hour in summary["hours"]) == 20
    assert summary["bot_answer_seconds"]["count"] == 30
    counted = await scrape(service)
    assert counted["switchboard_conversations_started_total[]"] == 20
    assert counted["switchboard_turns_total[]"] == 30
    assert counted["switchboard_conversations_waiting[('queue', 'q3')]"] == 5
    assert counted["switchboard_bot_answer_seconds_count[]"] == 30

    service.kill()
    await service.start()
    assert await scrape(service) == counted
    again = await caught_up(service, last)
    assert again | {"generated": ""} == summary | {"generated": ""}


async def test_more_visitors_make_no_more_series(logs: Logs, services: Services) -> None:
    service = await services.start("analytics")
    await asyncio.gather(*(logs.conversation(number) for number in range(4)))
    await caught_up(service, await logs.visitor.length())
    before = set(await scrape(service))
    await asyncio.gather(*(logs.conversation(number) for number in range(4, 40)))
    await caught_up(service, await logs.visitor.length())
    assert set(await scrape(service)) == before


async def test_no_numbers_before_the_log_is_read(logs: Logs, services: Services) -> None:
    await logs.conversation(1)
    services.server.kill()  # nothing to read from
    service = services.make("analytics")
    service.launch()
    body = await service.ready(503)
    assert body["ready"] is False
    assert await scrape(service) == {}
    answer = await get(service, "/api/summary")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["reasons"]
    assert (await get(service, "/healthz")).status_code == 200
    services.server.start()
    await service.ready()
    assert (await scrape(service))["switchboard_conversations_started_total[]"] == 1


async def test_a_half_read_log_gives_no_numbers(
    logs: Logs, connections: Connections, link: ConnectionState, health: Health
) -> None:
    await asyncio.gather(*(logs.conversation(number) for number in range(4)))
    numbers, go_on = ReadModel(NumbersStore(None), health), asyncio.Event()
    collector = NumbersCollector(lambda: numbers)
    stream = await connections.log("analytics", held(go_on))
    subscription = Subscription(
        stream, link, health, numbers.on_message, numbers.reset, start=Start.BEGINNING
    )
    numbers.follow(stream, lambda: subscription.checkpoint)
    starting = asyncio.create_task(subscription.start())
    async with asyncio.timeout(30):
        read = sum([min(3, end) for end in await stream.ends()])
        while numbers.position < read:
            await asyncio.sleep(0.01)
    so_far = await numbers.numbers()
    assert (so_far.position, so_far.started > 0) == (read, True)
    assert not numbers.complete()
    assert list(collector.collect()) == []
    assert behind(health) == sum(await stream.ends()) - read
    go_on.set()
    await starting
    assert behind(health) == 0
    async with asyncio.timeout(10):
        while not numbers.complete():
            await asyncio.sleep(0.01)
    await numbers.numbers()
    assert {family.name for family in collector.collect()} >= {
        "switchboard_turns",
        "switchboard_waiting_seconds",
    }
    await subscription.stop()
    await numbers.stop()


async def test_numbers_stay_while_the_log_is_away(logs: Logs, services: Services) -> None:
    await logs.conversation(1)
    service = await services.start("analytics")
    counted = await scrape(service)
    services.server.kill()
    await service.ready(503)
    answer = await get(service, "/api/summary")
    assert (answer.status_code, answer.json()["lag"]) == (200, None)
    assert await scrape(service) == counted
    assert await service.stop() == 0


async def test_another_log_is_counted_from_nothing(logs: Logs, services: Services) -> None:
    await asyncio.gather(*(logs.conversation(number) for number in range(3)))
    service = await services.start("analytics")
    assert (await scrape(service))["switchboard_conversations_started_total[]"] == 3
    admin = await connected(services.server, "admin")
    await wipe(admin)
    await declare(admin)
    await admin.close()
    await logs.conversation(7)
    async with asyncio.timeout(10):
        while (await scrape(service)).get("switchboard_conversations_started_total[]") != 1:
            await asyncio.sleep(0.05)


async def test_pages_load_nothing_from_elsewhere(services: Services) -> None:
    service = await services.start("analytics")
    for path in ("/", "/docs"):
        page = await get(service, path)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        assert "http" not in page.text  # addresses of our own only
    for path in (
        *("/static/page/switchboard-numbers.js", "/static/vendor/uplot.js", "/static/vendor/lit.js"),
        *("/static/dashboard.css", "/static/vendor/uplot.css", "/static/icon.svg"),
        *("/static/docs.js", "/docs/swagger-ui/swagger-ui-bundle.js", "/docs/swagger-ui/swagger-ui.css"),
    ):
        assert (await get(service, path)).status_code == 200, path
    schema = (await get(service, "/docs/openapi.json")).json()
    assert set(schema["paths"]["/api/summary"]["get"]["responses"]) == {"200", "503"}


async def test_strangers_learn_nothing(services: Services) -> None:
    service = await services.start("analytics")
    for path in ("/nowhere", "/static/../app.py", "/static/%2e%2e/app.py", "/docs/swagger-ui/../../app.py"):
        answer = await get(service, path)
        assert answer.status_code == 404, path
        assert "Traceback" not in answer.text
    async with httpx.AsyncClient() as client:
        assert (await client.post(service.url + "/api/summary")).status_code == 405


async def test_it_ends_in_order(services: Services) -> None:
    service = await services.start("analytics")
    service.signal(signal.SIGTERM)
    assert await service.stop() == 0
