"""What is handed to Prometheus and Grafana is well formed, names only what exists, and has been tried."""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as grafana

from deploy.observability.__main__ import files
from deploy.observability.catalogue import NotLiteral, metrics
from deploy.observability.slos import OBJECTIVES
from services.proxy.hub import DELIVERY_BOUNDS
from services.workflow.handlers import TURN_BOUNDS
from tests.prometheus import DASHBOARDS, OBSERVABILITY, RULES, needs_promtool, plain, promtool
from tests.unit.test_docs import anchors

ROOT = Path(__file__).parents[2]
PORTS = {"proxy": 9998, "workflow": 9995, "operator": 9997, "analytics": 9996}
TESTS = sorted((OBSERVABILITY / "rules" / "tests").glob("*.yml"))

CONFIGURATION: dict[str, Any] = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
ALL_RULES: list[dict[str, Any]] = [
    rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in ALL_RULES if "alert" in rule}
RECORDED = {rule["record"]: rule for rule in ALL_RULES if "record" in rule}
PANELS = {
    f"{path.stem}: {panel['title']}": panel
    for path in DASHBOARDS
    for panel in json.loads(path.read_text())["panels"]
}
#: Labels that Prometheus gives, and those of rules.
OTHER_LABELS = {"job", "instance", "le"}


def expressions() -> Iterator[tuple[str, str]]:
    for rule in ALL_RULES:
        yield rule.get("alert") or rule["record"], rule["expr"]
    for title, panel in PANELS.items():
        for target in panel.get("targets", []):
            yield title, plain(target["expr"])


EXPRESSIONS = list(expressions())


# --- metrics ----------------------------------------------------------------------------------


def test_what_is_generated_is_up_to_date() -> None:
    stale = [path.name for path, text in files().items() if path.read_text() != text]
    assert stale == [], "run `python -m deploy.observability`"


def test_names_are_prometheus_ones() -> None:
    found = metrics()
    assert len(found) > 80
    assert len({each.name for each in found}) == len(found)
    for each in found:
        assert re.fullmatch(r"switchboard(_[a-z0-9]+)+", each.name), each.name
        assert each.name.endswith("_total") == (each.kind == "counter"), each.name
        assert not re.search(r"_(count|sum|bucket|milliseconds|ms|minutes|hours|kb|mb)(_total)?$", each.name)
        assert each.kind != "histogram" or each.unit == "seconds", each.name
        assert each.meaning
        assert each.meaning[0].isupper() or each.meaning[0] == "1"


def test_no_label_grows_with_conversations() -> None:
    bounded = {
        *("author", "outcome", "reason", "stream", "error", "service", "version", "subscription"),
        *("door", "limit", "code", "status", "direction", "kind", "purpose", "asked", "task"),
        *("what", "which", "command", "owner", "queue", "flow", "state", "closed_by", "score", "goal"),
    }
    assert {label for each in metrics() for label in each.labels} <= bounded


def test_a_name_that_is_computed_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "services" / "proxy" / "door.py"
    source.parent.mkdir(parents=True)
    source.write_text('Counter(f"switchboard_{door}_total", "Things", registry=registry)\n')
    with pytest.raises(NotLiteral, match=r"services/proxy/door\.py, line 1"):
        metrics(tmp_path)


def test_objectives_ask_for_bounds_that_histograms_have() -> None:
    asked = {
        name: {float(bound) for text in (each.bad("1h"), each.all("1h")) for bound in le.findall(text)}
        for each in OBJECTIVES
        for name, le in ((each.key, re.compile(r'le="([\d.]+)"')),)
    }
    assert asked["turns"] == {1.0}
    assert asked["turns"] <= set(TURN_BOUNDS)
    assert asked["deliveries"] == {0.5}
    assert asked["deliveries"] <= set(DELIVERY_BOUNDS)


# --- queries ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_what_is_asked_for_exists(where: str, expression: str) -> None:
    known = {name: each for each in metrics() for name in each.series}
    names = set(re.findall(r"[\w:]*switchboard[\w:]+", expression))
    assert names <= {*known, *RECORDED}, where
    labels = {label for name in names & set(known) for label in known[name].labels} | OTHER_LABELS
    for name in names & set(RECORDED):  # what it was summed by stands in its expression
        labels |= set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", RECORDED[name]["expr"]))))
    asked = set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", expression))
    asked |= set(re.findall(r"\w+", " ".join(re.findall(r"(?:by|on) \(([^)]*)\)", expression))))
    assert asked <= labels, where


@needs_promtool
def test_every_query_is_one(tmp_path: Path) -> None:
    rules = [
        {"record": f"tried:{number}:query", "expr": expression}
        for number, (_, expression) in enumerate(EXPRESSIONS)
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "tried", "rules": rules}]}))
    code, said = promtool("check", "rules", str(file))
    assert code == 0, said
    assert f"{len(EXPRESSIONS)} rules found" in said


@needs_promtool
def test_promtool_finds_the_configuration_right() -> None:
    code, said = promtool("check", "config", str(OBSERVABILITY / "prometheus.yml"))
    assert code == 0, said
    assert sum(map(int, re.findall(r"(\d+) rules found", said))) == len(ALL_RULES)


@needs_promtool
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_every_alert_comes_and_goes(path: Path) -> None:
    code, said = promtool("test", "rules", str(path))
    assert code == 0, said


def test_prometheus_scrapes_every_service_at_its_port() -> None:
    assert CONFIGURATION["rule_files"] == ["rules/*.yml"]
    jobs = {job["job_name"]: job["dns_sd_configs"][0] for job in CONFIGURATION["scrape_configs"]}
    assert {name: address["port"] for name, address in jobs.items()} == PORTS
    assert all(address["names"] == [name] for name, address in jobs.items())


# --- alerts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
    assert list(rule["annotations"]) == ["summary", "description", "action", "runbook"]
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/alerts.md"
    assert anchor in anchors(ROOT / page)
    slo = rule["labels"].get("slo")
    assert anchor == (f"objective-{slo}" if slo else name.lower())


def test_the_page_has_a_section_for_each_alert_and_no_other() -> None:
    headings = re.findall(r"^### (\S+)$", (ROOT / "docs" / "alerts.md").read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(name for name, rule in ALERTS.items() if "slo" not in rule["labels"])


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_tried_firing_and_not_firing(name: str) -> None:
    tried = [
        test
        for path in TESTS
        for each in yaml.safe_load(path.read_text())["tests"]
        for test in each["promql_expr_test"]
        if re.search(rf'alertname="{name}"', test["expr"])
        or any(re.fullmatch(pattern, name) for pattern in re.findall(r'alertname=~"([^"]+)"', test["expr"]))
    ]
    assert any(test["exp_samples"] for test in tried), "it is never seen to fire"
    assert any(not test["exp_samples"] for test in tried), "it is never seen not to fire"


# --- dashboards -------------------------------------------------------------------------------


def test_there_are_three_dashboards() -> None:
    found = [json.loads(path.read_text()) for path in DASHBOARDS]
    assert [path.stem for path in DASHBOARDS] == ["bot", "desk", "operations"]
    assert [each["uid"] for each in found] == [f"switchboard-{path.stem}" for path in DASHBOARDS]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_of_grafanas_own_types(path: Path) -> None:
    """Read into the types of Grafana's schema and written again it is the same: nothing is unknown there."""
    register_default_plugins()
    written = json.loads(path.read_text())
    read = grafana.Dashboard.from_json(written)
    assert json.loads(JSONEncoder(sort_keys=True).encode(read)) == written
    assert list(wrong_types(read, path.stem)) == []


def wrong_types(value: Any, place: str) -> Iterator[str]:
    """Where a value is not of the type that Grafana's schema says."""
    hints = typing.get_type_hints(type(value), vars(__import__(type(value).__module__, fromlist=["_"])))
    for name, hint in hints.items():
        inner = getattr(value, name)
        if not fits(inner, hint):
            yield f"{place}.{name}: {inner!r} is no {hint}"
        for number, each in enumerate(inner if isinstance(inner, list) else [inner]):
            if type(each).__module__.startswith("grafana_foundation_sdk.models") and not isinstance(
                each, Enum
            ):
                yield from wrong_types(each, f"{place}.{name}[{number}]")


def fits(value: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in (typing.Any, object):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(fits(each, arguments[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(each, arguments[1]) for each in value.values())
    if not isinstance(hint, type):
        return True
    if issubclass(hint, Enum):
        return value in [each.value for each in hint]
    return isinstance(value, int | float) if hint is float else isinstance(value, hint)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_stand_beside_one_another(path: Path) -> None:
    panels = json.loads(path.read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
        references = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(references)) == len(references)
        if panel["type"] != "row":
            assert references, panel["title"]
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["fieldConfig"]["defaults"]["unit"]
    titles = [panel["title"] for panel in panels if panel["type"] != "row"]
    assert len(set(titles)) == len(titles)


def test_every_metric_of_the_services_own_workings_is_on_a_dashboard_or_in_an_alert() -> None:
    shown = " ".join(expression for _, expression in EXPRESSIONS)
    left_out = {each.name for each in metrics() if not any(name in shown for name in each.series)}
    assert left_out == {"switchboard_build_info"}
