"""docs/metrics.md: every metric, with type, unit, labels, who has it and what it means."""

from __future__ import annotations

from typing import Final

from deploy.observability.catalogue import SERVICES, MetricDefinition, metrics

_HEAD: Final = (
    "# Metrics\n"
    "\n"
    "<!-- Made by `python -m deploy.observability` of the code; do not edit. -->\n"
    "\n"
    "`GET /metrics` of each service, in Prometheus's text format or OpenMetrics. "
    "[platform.md](platform.md#metrics) says how to scrape them, [alerts.md](alerts.md) what to do "
    "when an alert comes.\n"
    "\n"
    "- **Labels are few**: no conversation, visitor, subject or operator is one. Names that authors "
    "of flows invent are bounded, and all further ones are `other`.\n"
    "- **Counters of what happened in conversations**, those of analytics, are of the whole log, so "
    "a restart shows no jump, and each replica shows the same: take the maximum, never the sum. They "
    "are absent until it has read the log to its end. All other counters are of one process, from its "
    "start (`switchboard_numbers_asked_total` too): sum over their `rate` or `increase`.\n"
    "- **Histograms** are classic ones, with fixed bounds: see "
    "[0082](decisions/0082-classic-histograms.md).\n"
    "- **Clocks**: times between what the log stored and this machine's clock "
    "(`switchboard_turn_seconds`, `switchboard_delivery_seconds`, `switchboard_timer_delay_seconds`) "
    "are as right as these clocks agree.\n"
    "\n"
    "Beside these each service has those of its process: `process_cpu_seconds_total`, "
    "`process_resident_memory_bytes`, `process_open_fds`, `process_start_time_seconds`, and Python's "
    "garbage collector.\n"
)


def text() -> str:
    """What the file should hold."""
    found = metrics()
    common = [each for each in found if set(each.services) == set(SERVICES)]
    several = [each for each in found if 1 < len(each.services) < len(SERVICES)]
    parts = [_HEAD, _section("Every service", common), _section("Several services", several, who=True)]
    for name in SERVICES:
        parts.append(_section(_title(name), [each for each in found if each.services == (name,)]))
    return "\n".join(parts)


def _title(service: str) -> str:
    return {"operator": "Operator service"}.get(service, service.capitalize())


def _section(title: str, found: list[MetricDefinition], who: bool = False) -> str:
    columns = ["metric", "type", "unit", "labels", *(["services"] if who else []), "meaning"]
    lines = [f"## {title}", "", _row(columns), _row(["---"] * len(columns))]
    for each in found:
        labels = ", ".join(f"`{label}`" for label in each.labels)
        cells = [f"`{each.name}`", each.kind, each.unit, labels]
        cells += [", ".join(each.services)] if who else []
        lines.append(_row([*cells, each.meaning.replace("|", "\\|") + _only(each)]))
    return "\n".join([*lines, ""])


def _only(each: MetricDefinition) -> str:
    if not each.only_with:
        return ""
    where = "; ".join(
        (f"{service}: only with `{setting}`" if len(each.services) > 1 else f"only with `{setting}`")
        for service, setting in each.only_with
    )
    return f" ({where})"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
