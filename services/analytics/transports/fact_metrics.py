"""The totals of the facts as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

from services.analytics.totals import PEOPLE_BOUNDS, FactTotals

_BOUNDS = [*(str(float(bound)) for bound in PEOPLE_BOUNDS), "+Inf"]


def fact_families(totals: FactTotals) -> Iterator[Metric]:
    """A family for each."""
    for counter, counts in totals.counters:
        family = CounterMetricFamily(counter.name, counter.says, labels=[*counter.labels])
        for labels, amount in counts.items():
            family.add_metric([*labels], amount)
        yield family
    for times, found in totals.times:
        histogram = HistogramMetricFamily(times.name, times.says, labels=[times.label])
        for label, (cumulative, seconds) in found.items():
            buckets = list(zip(_BOUNDS, cumulative, strict=True))
            histogram.add_metric([label], buckets, sum_value=seconds)
        yield histogram
