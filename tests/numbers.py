"""The numbers of some entries, by a store of their own."""

from __future__ import annotations

from collections.abc import Sequence

from services.analytics.domain.measures import MAX_QUEUES, REASONS
from services.analytics.numbers import LogNumbers, numbers
from services.analytics.store import NumbersStore
from shared.contract.entry import RecordedEntry


def numbers_of(*batches: Sequence[RecordedEntry]) -> LogNumbers:
    """Those after each batch was written."""
    with NumbersStore(None) as store:
        for batch in batches:
            store.write(batch, None)
        return shown_by(store)


def shown_by(store: NumbersStore) -> LogNumbers:
    with store.reading() as reading:
        return numbers(reading)


def make_sense(numbers: LogNumbers) -> None:
    """What holds of all numbers."""
    assert sum(numbers.open.values()) == numbers.statuses["open"]
    assert sum(numbers.waiting.values()) == numbers.open["queue"]
    assert numbers.answers.cumulative[-1] == numbers.answer_times.count == numbers.turns
    assert sum(numbers.statuses.values()) <= max(numbers.started, 0)
    assert numbers.ratings <= numbers.score_sum <= 5 * numbers.ratings
    assert len(numbers.waiting) <= MAX_QUEUES + 1
    assert set(numbers.refusals) == set(REASONS)
    counts = [
        *numbers.open.values(),
        *numbers.statuses.values(),
        *numbers.waiting.values(),
        *(stopped for flow in numbers.flows for _, stopped in flow.states.values()),
    ]
    assert min(counts) >= 0
