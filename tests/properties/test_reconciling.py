"""The totals of any history, counted by two paths: they are the same, and a lie in one is found."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from deploy.reconciling import Total, differences, tally
from services.analytics.numbers import LogNumbers
from services.analytics.transports.fact_metrics import fact_families
from services.analytics.transports.metrics import families
from services.analytics.transports.summary import summarize
from shared.contract.entry import RecordedEntry
from tests.examples import FIRST_TIME
from tests.numbers import numbers_of
from tests.properties.test_numbers import histories, wild


def told(numbers: LogNumbers) -> tuple[dict[str, Any], str]:
    """What the service tells of these numbers: the summary, and the metrics as Prometheus reads them."""

    class GivenNumbers(Collector):
        def collect(self) -> list[Metric]:
            return [*families(numbers), *fact_families(numbers.facts)]

    registry = CollectorRegistry(auto_describe=False)
    registry.register(GivenNumbers())
    summary = msgspec.to_builtins(summarize(numbers, [], FIRST_TIME, last=None))
    return summary, generate_latest(registry).decode()


def counted(history: list[RecordedEntry]) -> Counter[Total]:
    found: Counter[Total] = Counter()
    for name in {entry.conversation for entry in history}:
        found += tally(entry for entry in history if entry.conversation == name)
    return found


@given(histories() | st.lists(wild(), max_size=25))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_both_paths_come_to_the_same(history: list[RecordedEntry]) -> None:
    assert differences(counted(history), *told(numbers_of(history))) == []


@given(histories(), st.data())
@settings(max_examples=10, deadline=None, derandomize=True)
def test_a_lie_is_found_wherever_it_is(history: list[RecordedEntry], data: st.DataObject) -> None:
    found, (summary, metrics) = counted(history), told(numbers_of(history))
    assume(found)
    total = data.draw(st.sampled_from(sorted(found)))
    for lie in (1, -1):
        other = Counter({**found, total: found[total] + lie})
        assert total in {each.total for each in differences(other, summary, metrics)}
    missing = Counter({each: count for each, count in found.items() if each != total})
    assert total in {each.total for each in differences(missing, summary, metrics)}
