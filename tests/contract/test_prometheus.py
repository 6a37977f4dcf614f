"""A real Prometheus scrapes the four services, by the rules and for the dashboards that are handed out."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from deploy.cli import accounts
from deploy.observability.catalogue import MetricDefinition, metrics
from tests.conftest import Connections, Services
from tests.mail_server import mail_server
from tests.processes import TOUR, Service
from tests.prometheus import (
    DASHBOARDS,
    PrometheusServer,
    needs_prometheus,
    needs_promtool,
    plain,
    promtool,
)
from tests.visitor import Visitor

SERVICES = ("proxy", "workflow", "operator", "analytics")
PASSWORD = "correct horse battery"


class WatchedProduct:
    """The four services, all that can be measured switched on, with Ada at the desk."""

    def __init__(self, services: dict[str, Service], http: httpx.AsyncClient) -> None:
        self.services = services
        self._http = http

    async def scrape(self, name: str) -> str:
        return (await self._http.get(f"{self.services[name].url}/metrics")).text

    async def visit(self, seed: int) -> None:
        """A visitor comes and says two things."""
        async with Visitor(self.services["proxy"].url, seed) as visitor:
            for _ in range(2):
                await visitor.answer()
            await visitor.question()

    async def counted(self, turns: int) -> None:
        """Wait until analytics has counted so many turns."""
        async with asyncio.timeout(30):
            while value(await self.scrape("analytics"), "switchboard_turns_total") < turns:
                await asyncio.sleep(0.05)

    async def enter(self) -> None:
        """An operator logs in."""
        body = {"name": "ada", "password": PASSWORD}
        url = self.services["operator"].url
        answer = await self._http.post(f"{url}/api/login", json=body, headers={"Origin": url})
        assert answer.status_code == 200, answer.text


def families(text: str) -> dict[str, Metric]:
    """Ours, by the names on the page."""
    found = {each.name: each for each in text_string_to_metric_families(text)}
    return {
        f"{name}_total" if each.type == "counter" else name: each
        for name, each in found.items()
        if name.startswith("switchboard_")
    }


def value(text: str, name: str) -> float:
    """The sum of a metric's samples."""
    samples = [each for family in families(text).values() for each in family.samples]
    return sum(each.value for each in samples if each.name == name)


def series(text: str) -> set[str]:
    """Each series, without its value."""
    return {line.rpartition(" ")[0] for line in text.splitlines() if line.startswith("switchboard_")}


def defined(service: str) -> dict[str, MetricDefinition]:
    return {each.name: each for each in metrics() if service in each.services}


def queries() -> Iterator[tuple[str, str]]:
    """Each query of each dashboard, with where it is."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                yield f"{path.stem}: {panel['title']}", plain(target["expr"])


@pytest.fixture
async def product(services: Services, connections: Connections) -> AsyncIterator[WatchedProduct]:
    await accounts.add(await connections.client("admin"), "ada", "Ada", PASSWORD)
    async with mail_server() as mailbox, httpx.AsyncClient(timeout=15) as http:
        proxy = services.make("proxy")
        started = [
            proxy,
            services.make("workflow", SWITCHBOARD_FLOW=TOUR),
            services.make(
                "operator",
                SWITCHBOARD_SMTP_HOST="127.0.0.1",
                SWITCHBOARD_SMTP_PORT=str(mailbox.port),
                SWITCHBOARD_SMTP_SECURITY="none",
                SWITCHBOARD_MAIL_FROM="Our shop <help@shop.example>",
                SWITCHBOARD_PUBLIC_URL=proxy.url,
                SWITCHBOARD_LINK_SECRET="5ec4e7" * 8,
                SWITCHBOARD_ERASER_PASSWORD=services.server.password("eraser"),
            ),
            services.make("analytics"),
        ]
        await asyncio.gather(*(each.start() for each in started))
        yield WatchedProduct({each.name: each for each in started}, http)


@asynccontextmanager
async def prometheus(folder: Path, product: WatchedProduct) -> AsyncIterator[PrometheusServer]:
    targets = {name: f"127.0.0.1:{service.port}" for name, service in product.services.items()}
    server = PrometheusServer(folder, targets)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def test_what_a_service_gives_out_is_on_the_page_and_the_other_way_round(
    product: WatchedProduct,
) -> None:
    await product.visit(1)
    await product.enter()
    await product.counted(2)
    for name in SERVICES:
        # The eraser has a connection of its own, and what it counts is there once that stands.
        async with asyncio.timeout(20):
            while set(found := families(await product.scrape(name))) != set(wanted := defined(name)):
                assert set(found) <= set(wanted)
                await asyncio.sleep(0.05)
        for metric, family in found.items():
            assert family.type == wanted[metric].kind, metric
            assert family.documentation == wanted[metric].meaning, metric
            labels = {tuple(sorted(set(each.labels) - {"le"})) for each in family.samples}
            assert labels <= {tuple(sorted(wanted[metric].labels))}, metric


@needs_promtool
async def test_promtool_finds_nothing_to_mend(product: WatchedProduct) -> None:
    await product.visit(1)
    await product.counted(2)
    for name in SERVICES:
        assert promtool("check", "metrics", given=await product.scrape(name)) == (0, "")


async def test_more_visitors_make_no_more_series(product: WatchedProduct) -> None:
    await asyncio.gather(*(product.visit(seed) for seed in range(8)))
    await product.counted(16)
    before = {name: series(await product.scrape(name)) for name in SERVICES}
    await asyncio.gather(*(product.visit(seed) for seed in range(8, 40)))
    await product.counted(80)
    assert {name: series(await product.scrape(name)) for name in SERVICES} == before


async def test_the_workings_are_counted_where_they_happen(product: WatchedProduct) -> None:
    await asyncio.gather(*(product.visit(seed) for seed in range(5)))
    await product.counted(10)
    proxy, workflow = await product.scrape("proxy"), await product.scrape("workflow")
    assert 'switchboard_log_appends_total{author="visitor",outcome="stored"} 15.0' in proxy
    assert value(proxy, "switchboard_log_append_seconds_count") >= 15
    assert value(proxy, "switchboard_delivery_seconds_count") >= 20
    assert value(workflow, "switchboard_turn_seconds_count") >= 10
    assert value(workflow, "switchboard_worker_deliveries_total") >= 15
    assert value(workflow, "switchboard_worker_conversations_in_hand") == 0
    for name in ("operator", "analytics"):
        text = await product.scrape(name)
        async with asyncio.timeout(20):
            while value(text, "switchboard_read_model_position") < value(
                text, "switchboard_follower_position"
            ):
                await asyncio.sleep(0.05)
                text = await product.scrape(name)
        assert value(text, "switchboard_read_model_position") >= 25
        assert 0 <= time.time() - value(text, "switchboard_read_model_entry_timestamp_seconds") < 60


@needs_prometheus
async def test_every_rule_and_every_panel_has_an_answer(product: WatchedProduct, tmp_path: Path) -> None:
    async with prometheus(tmp_path / "prometheus", product) as server:
        await server.until("sum(up)", lambda found: bool(found) and found[0][1] == 4)
        jobs = {job["job"]: up for job, up in await server.query("up")}
        assert jobs == dict.fromkeys(SERVICES, 1.0)
        await product.enter()
        # Rates need two scrapes with something in between.
        for seed in range(3):
            await product.visit(seed)
            await asyncio.sleep(1.1)
        await product.counted(6)

        ready = await server.until("job:switchboard_ready:max == 1", lambda found: len(found) == 4)
        assert {labels["job"] for labels, _ in ready} == set(SERVICES)
        behind = await server.until(
            "job_instance:switchboard_follower_lag_entries:sum", lambda found: len(found) == 4
        )
        assert all(lag < 10 for _, lag in behind)
        for recorded in ("switchboard:turns_bad:ratio_rate5m", "switchboard:appends_bad:ratio_rate1h"):
            bad = await server.until(recorded, lambda found: len(found) == 1 and found[0][1] >= 0)
            assert bad[0][1] < 0.5, recorded
        await server.until("switchboard:log_append_seconds:p99_rate5m > 0", lambda found: len(found) == 1)

        rules = [rule for group in (await server.get("/rules"))["groups"] for rule in group["rules"]]
        assert len(rules) > 70
        assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}

        asked = {
            name for _, query in queries() for name in re.findall(r"[\w:]*switchboard[\w:]+", query)
        } - unseen()
        async with asyncio.timeout(30):  # a rate needs two scrapes, and what is made of it another moment
            while missing := asked - set(await server.get("/label/__name__/values")):
                await asyncio.sleep(0.2)
        assert not missing
        for _, query in queries():
            await server.query(query)  # it fails where the query is none


def unseen() -> set[str]:
    """The names of metrics with labels: they have series only when something has happened."""
    return {name for each in metrics() if each.labels for name in each.series}


@needs_prometheus
async def test_an_alert_comes_when_a_service_is_killed_and_goes_when_it_is_back(
    product: WatchedProduct, tmp_path: Path
) -> None:
    def firing(alert: str, **labels: str) -> str:
        selector = "".join(f',{name}="{value}"' for name, value in labels.items())
        return f'ALERTS{{alertname="{alert}",alertstate="firing"{selector}}}'

    async with prometheus(tmp_path / "prometheus", product) as server:
        await server.until("sum(up)", lambda found: bool(found) and found[0][1] == 4)
        await server.until(firing("SwitchboardServiceDown"), lambda found: found == [])
        product.services["workflow"].kill()
        await server.until(firing("SwitchboardServiceDown", job="workflow"), lambda found: len(found) == 1)
        assert await server.query(firing("SwitchboardServiceDown", job="proxy")) == []
        alert = next(
            each
            for each in (await server.get("/alerts"))["alerts"]
            if each["labels"]["alertname"] == "SwitchboardServiceDown"
        )
        assert alert["annotations"]["summary"] == "workflow does not answer"
        assert alert["annotations"]["runbook"] == "docs/alerts.md#switchboardservicedown"
        await product.services["workflow"].start()
        await server.until(firing("SwitchboardServiceDown"), lambda found: found == [])


@needs_prometheus
async def test_numbers_of_the_log_show_no_jump_at_a_restart(product: WatchedProduct, tmp_path: Path) -> None:
    async def all_turns(server: PrometheusServer, turns: int) -> None:
        await server.until("switchboard_turns_total", lambda found: [each for _, each in found] == [turns])

    async with prometheus(tmp_path / "prometheus", product) as server:
        await asyncio.gather(*(product.visit(seed) for seed in range(4)))
        await product.counted(8)
        await all_turns(server, 8)
        product.services["analytics"].kill()
        await server.until('up{job="analytics"}', lambda found: [up for _, up in found] == [0])
        await product.services["analytics"].start()
        await all_turns(server, 8)
        await product.visit(9)
        await all_turns(server, 10)
        resets: Any = await server.query("resets(switchboard_turns_total[5m])")
        assert [count for _, count in resets] == [0]
        assert [most for _, most in await server.query("max_over_time(switchboard_turns_total[5m])")] == [10]
