"""What Prometheus is told of the facts."""

from __future__ import annotations

from hypothesis import given
from prometheus_client import Metric

from services.analytics.totals import MAX_SERIES
from services.analytics.transports.fact_metrics import fact_families
from shared.contract.entry import RecordedEntry
from shared.contract.facts import ConversationErased, ConversationRated, ConversationStarted, HandoffRequested
from tests.examples import recorded
from tests.numbers import numbers_of
from tests.properties.test_numbers import histories, stored
from tests.unit.test_numbers_known import ASK, KnownLog


def samples(entries: list[RecordedEntry]) -> dict[str, float]:
    """Each series' value."""
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in families(entries)
        for sample in family.samples
    }


def families(entries: list[RecordedEntry]) -> list[Metric]:
    return [*fact_families(numbers_of(entries).facts)]


def test_a_day_at_the_desk_as_prometheus_is_told_it() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    log.asks_for_a_person("10:00")
    log.claims("10:02")
    log.says("10:03")
    log.resolves("10:20")
    log.visitor("10:21", ConversationRated(score=2))
    told = samples(log.entries)
    sales = "[('queue', 'sales')]"
    assert told["switchboard_doors_entered_total[('door', 'web')]"] == 1
    assert told["switchboard_questions_answered_total[('flow', 'shop'), ('state', 'hello')]"] == 1
    assert told["switchboard_waits_ended_total[('outcome', 'claimed'), ('queue', 'sales')]"] == 1
    assert told["switchboard_ratings_total[('score', '2')]"] == 1
    assert told[f"switchboard_waiting_seconds_sum{sales}"] == 120
    assert told[f"switchboard_first_response_seconds_sum{sales}"] == 180
    assert told[f"switchboard_resolution_seconds_sum{sales}"] == 1200
    below = {"60.0": 0, "120.0": 1, "300.0": 1, "+Inf": 1}
    for bound, count in below.items():
        assert told[f"switchboard_waiting_seconds_bucket[('le', '{bound}'), ('queue', 'sales')]"] == count


@given(histories())
@stored
def test_no_counter_ever_goes_down(history: list[RecordedEntry]) -> None:
    """Not by a resolution, a reset or an erasure: whoever scrapes sees no reset that was none."""
    erased = [
        recorded(1000, "eraser", ConversationErased(by="ada"), conversation=name)
        for name in ("a" * 32, "b" * 32)
    ]
    before = samples(history[: len(history) // 2])
    for after in (samples(history), samples([*history, *erased])):
        assert all(after[series] >= value for series, value in before.items())
        before = after


def test_what_authors_invent_makes_no_series_without_end() -> None:
    entries = []
    for number in range(MAX_SERIES + 10):
        name, at = f"{number:032x}", 2 * number
        entries.append(recorded(at + 1, "visitor", ConversationStarted(door="web"), conversation=name))
        asked = HandoffRequested(queue=f"q{number}")
        entries.append(recorded(at + 2, "bot", asked, cause=at + 1, conversation=name))
        erased = ConversationErased(by="ada")
        entries.append(recorded(10_000 + at, "eraser", erased, conversation=name))
    told = samples(entries)
    waits = [series for series in told if series.startswith("switchboard_waits_ended_total")]
    assert len(waits) == MAX_SERIES + 1
    assert told["switchboard_waits_ended_total[('outcome', 'other'), ('queue', 'other')]"] == 10
    assert told["switchboard_waiting_seconds_count[('queue', 'other')]"] == 10
