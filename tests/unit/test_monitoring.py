"""What is handed to Prometheus and Grafana is well formed and names only metrics that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.operator.transports import sign_on_routes
from services.operator.transports.login import COOKIE

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
PORTS = {"proxy": 9998, "workflow": 9995, "operator": 9997, "analytics": 9996}

CONFIGURATION: dict[str, Any] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]

#: What the client library adds to a metric's name.
SUFFIX = re.compile(r"_(total|bucket|count|sum)$")


def metrics_of_the_code() -> set[str]:
    files = [*(ROOT / "services").rglob("*.py"), *(ROOT / "shared").rglob("*.py")]
    names = {name for path in files for name in re.findall(r'"(switchboard_\w+)"', path.read_text())}
    return {SUFFIX.sub("", name) for name in names - {COOKIE, sign_on_routes.COOKIE}}


def expressions() -> Iterator[str]:
    for rule in RULES:
        yield rule["expr"]
    for panel in PANELS:
        for target in panel.get("targets", []):
            yield target["expr"]


def test_every_metric_is_on_the_operators_page() -> None:
    page = (ROOT / "docs" / "platform.md").read_text()
    named = {SUFFIX.sub("", name) for name in re.findall(r"`(switchboard_\w+)", page)}
    assert named == metrics_of_the_code()


def test_every_metric_that_is_asked_for_exists() -> None:
    asked = {SUFFIX.sub("", name) for text in expressions() for name in re.findall(r"switchboard_\w+", text)}
    assert asked
    assert asked <= metrics_of_the_code()


@pytest.mark.parametrize("expression", list(expressions()))
def test_brackets_and_quotes_are_closed(expression: str) -> None:
    bare = re.sub(r'"[^"]*"', "", expression)
    assert '"' not in bare
    while bare != (bare := re.sub(r"\([^(){}\[\]]*\)|\{[^(){}\[\]]*\}|\[[^(){}\[\]]*\]", "", bare)):
        pass
    assert not set(bare) & set("(){}[]")


def test_prometheus_scrapes_every_service_at_its_port() -> None:
    assert CONFIGURATION["rule_files"] == ["alerts.yml"]
    jobs = {job["job_name"]: job["dns_sd_configs"][0] for job in CONFIGURATION["scrape_configs"]}
    assert {name: address["port"] for name, address in jobs.items()} == PORTS
    assert all(address["names"] == [name] for name, address in jobs.items())


def test_alerts_say_what_is_wrong() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
        assert set(rule["annotations"]) == {"summary", "description"}


def test_the_dashboard_can_be_imported() -> None:
    assert DASHBOARD["uid"] == "switchboard"
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
        references = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(references)) == len(references)
        assert panel["type"] == "row" or panel["datasource"]["uid"] == "${datasource}"
