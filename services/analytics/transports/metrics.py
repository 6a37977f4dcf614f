"""The numbers as Prometheus metrics, as they were when `Health.on_scrape` asked for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from services.analytics.numbers import ANSWER_BOUNDS, LogNumbers
from services.analytics.read_model import ReadModel
from services.analytics.transports.fact_metrics import fact_families


class NumbersCollector(Collector):
    """Gives no family at all until the log was read to its end: half-counted numbers would be lies."""

    def __init__(self, numbers: Callable[[], ReadModel | None]) -> None:
        self._numbers = numbers

    def describe(self) -> list[Metric]:
        """Keeps the registry from collecting at registration."""
        return []

    def collect(self) -> Iterator[Metric]:
        model = self._numbers()
        if model is not None and model.complete() and model.shown is not None:
            yield from families(model.shown)
            yield from fact_families(model.shown.facts)


def families(numbers: LogNumbers) -> Iterator[Metric]:
    """All metric families."""
    yield CounterMetricFamily(
        "switchboard_conversations_started",
        "Conversations begun, since the log's beginning; a reset by the visitor begins another."
        " (All counts here are of the whole log, and absent until it has been read to its end.)",
        numbers.started,
    )
    yield CounterMetricFamily(
        "switchboard_turns",
        "Texts and choices of visitors that the bot answered; not those refused, failed or handed over",
        numbers.turns,
    )
    yield _labelled(
        CounterMetricFamily(
            "switchboard_refusals",
            'Inputs that the bot refused, by reason; "failed": it could decide or store no answer',
            labels=["reason"],
        ),
        numbers.refusals.items(),
    )
    yield _labelled(
        CounterMetricFamily(
            "switchboard_handoffs",
            'Times the bot asked for a person, by queue; "other": all queues beyond the first 50',
            labels=["queue"],
        ),
        numbers.handoffs.items(),
    )
    yield CounterMetricFamily(
        "switchboard_handoffs_withdrawn", "Handoffs to which nobody came in time", numbers.withdrawn
    )
    yield CounterMetricFamily(
        "switchboard_conversations_ended",
        "Conversations that the bot closed, since nobody said a word for long",
        numbers.ended,
    )
    yield CounterMetricFamily(
        "switchboard_claims", "Times an operator took a conversation over", numbers.claims
    )
    bounds = [*(str(bound) for bound in ANSWER_BOUNDS), "+Inf"]
    yield HistogramMetricFamily(
        "switchboard_bot_answer_seconds",
        "From the stored time of a visitor's text or choice to that of the bot's answer; counts turns",
        buckets=list(zip(bounds, numbers.answers.cumulative, strict=True)),
        sum_value=numbers.answers.sum,
    )
    yield _labelled(
        GaugeMetricFamily(
            "switchboard_conversations_open",
            "Conversations neither resolved nor replaced by a reset, by owner: bot, queue or operator",
            labels=["owner"],
        ),
        numbers.open.items(),
    )
    yield _labelled(
        GaugeMetricFamily(
            "switchboard_conversations_waiting",
            "Conversations that wait for an operator now, by queue",
            labels=["queue"],
        ),
        numbers.waiting.items(),
    )


def _labelled(
    family: CounterMetricFamily | GaugeMetricFamily, counts: Iterable[tuple[str, int]]
) -> CounterMetricFamily | GaugeMetricFamily:
    for label, count in counts:
        family.add_metric([label], count)
    return family
