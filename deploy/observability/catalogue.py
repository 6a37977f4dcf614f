"""Every metric that the services give out, as the code defines it.

Read off the source, not off a running service: some are made only with a connection, or where a setting
asks for them. A test compares with what services really give out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from services.analytics import totals

ROOT: Final = Path(__file__).parents[2]
PREFIX: Final = "switchboard_"
SERVICES: Final = ("proxy", "workflow", "operator", "analytics")

#: The classes that define a metric, and what it is.
_KINDS: Final = {
    "Counter": "counter",
    "Gauge": "gauge",
    "Histogram": "histogram",
    "LoopHistogram": "histogram",
    "CounterMetricFamily": "counter",
    "GaugeMetricFamily": "gauge",
    "HistogramMetricFamily": "histogram",
}
#: Which services have what `shared` defines, by the class or function that does.
_SHARED: Final = {
    "Health": SERVICES,
    "ConnectionState": SERVICES,
    "FollowMeter": SERVICES,
    "AppendMeter": ("proxy", "workflow", "operator"),
    "WorkMeter": ("workflow", "operator"),
    "Watch": ("proxy", "workflow", "operator"),
    "measure_read_model": ("operator", "analytics"),
}
#: Those that a service gives out only where a setting asks for it.
ONLY_WITH: Final = {
    ("operator", "Mailer"): "SWITCHBOARD_SMTP_HOST",
    ("operator", "Eraser"): "SWITCHBOARD_ERASER_PASSWORD",
    ("operator", "WorkMeter"): "SWITCHBOARD_ERASER_PASSWORD",
}


class NotLiteral(ValueError):
    """A metric's name, help or labels cannot be read off the source; the text says where."""


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """One metric of one or more services. ``only_with``: the settings that it needs, by service."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...]
    services: tuple[str, ...]
    only_with: tuple[tuple[str, str], ...] = ()

    @property
    def unit(self) -> str:
        """In what it is counted, by its name."""
        bare = self.name.removesuffix("_total")
        if bare.endswith("_timestamp_seconds"):
            return "seconds since 1970"
        if self.meaning.startswith("1 while"):
            return "1 or 0"
        if self.name.endswith("_info"):
            return "1"
        return next((unit for unit in ("seconds", "bytes") if bare.endswith(f"_{unit}")), "number")

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which Prometheus keeps it."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))
        return (self.name,)


@cache
def metrics(root: Path = ROOT) -> tuple[MetricDefinition, ...]:
    """All of them, by name. Raises `NotLiteral`."""
    found = []
    for folder in ("shared", "services"):
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root).parts
            service = parts[1] if folder == "services" else ""
            for owner, call in _definitions(ast.parse(path.read_text("utf-8"))):
                found.append(_read(call, owner, service, "/".join(parts)))
    found += _of_the_facts()
    return tuple(sorted(found, key=lambda each: each.name))


def _of_the_facts() -> list[MetricDefinition]:
    """Those that analytics makes of a table of its own."""
    counters = [
        MetricDefinition(f"{each.name}_total", "counter", each.says, tuple(each.labels), ("analytics",))
        for each in totals.COUNTERS
    ]
    times = [
        MetricDefinition(each.name, "histogram", each.says, (each.label,), ("analytics",))
        for each in totals.TIMES
    ]
    return counters + times


def _definitions(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Each call that defines a metric, with the class or function of the file that it is in."""
    for top in tree.body:
        owner = top.name if isinstance(top, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) else ""
        for node in ast.walk(top):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _KINDS:
                first = node.args[0] if node.args else None
                name = first.value if isinstance(first, ast.Constant) else None
                registered = any(each.arg == "registry" for each in node.keywords)
                # Without a name that can be read it may be another class of that name, such as a collection.
                if str(name).startswith(PREFIX) or (name is None and registered):
                    yield owner, node


def _read(call: ast.Call, owner: str, service: str, place: str) -> MetricDefinition:
    assert isinstance(call.func, ast.Name)
    kind = _KINDS[call.func.id]
    given: dict[str, ast.expr] = {each.arg: each.value for each in call.keywords if each.arg}
    # What comes third is the labels' names, or a family's value.
    family = call.func.id.endswith("MetricFamily")
    labels = given.get("labels" if family else "labelnames")
    if not family and len(call.args) > 2:
        labels = call.args[2]
    try:
        name, meaning = (ast.literal_eval(each) for each in call.args[:2])
        names = tuple(ast.literal_eval(labels)) if labels is not None else ()
    except (ValueError, IndexError) as error:
        raise NotLiteral(f"{place}, line {call.lineno}: name, help and labels must be literals") from error
    if kind == "counter" and family:
        name += "_total"
    services = (service,) if service else _SHARED[owner]
    only = [(each, setting) for each in services if (setting := ONLY_WITH.get((each, owner)))]
    return MetricDefinition(name, kind, meaning, names, services, tuple(only))
