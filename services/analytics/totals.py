"""What Prometheus is told of the facts, beside `services.analytics.numbers`: totals of the whole log.

They only grow, and a restart changes none: each counts what was measured, never how something stands.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import duckdb

from services.analytics.domain.measures import NANOSECONDS, OTHER

#: Label values told apart, those that were stored first: authors of flows invent them.
MAX_SERIES: Final = 200
#: The bounds of the times that people take (seconds).
PEOPLE_BOUNDS: Final = (5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400, 28_800, 86_400)


class FactCounter(NamedTuple):
    """A counter. ``labels``: SQL of each, about a measure ``e`` and its matter ``m``."""

    name: str
    says: str
    where: str
    labels: dict[str, str]
    amount: str = "count(*)"


class FactTimes(NamedTuple):
    """A histogram of the values (nanoseconds) of some measures ``e``, by one label."""

    name: str
    says: str
    where: str
    label: str
    of: str


class CounterTotals(NamedTuple):
    """A counter, and the number of each combination of its labels."""

    counter: FactCounter
    totals: dict[tuple[str, ...], float]


class TimesTotals(NamedTuple):
    """A histogram; of each label how many lie at or below each of `PEOPLE_BOUNDS`, how many there are at all,
    and their sum (seconds).
    """

    times: FactTimes
    totals: dict[str, tuple[tuple[int, ...], float]]


class FactTotals(NamedTuple):
    """All of them."""

    counters: list[CounterTotals]
    times: list[TimesTotals]


_STATE: Final = {"flow": "m.flow", "state": "e.name"}
_FLOW: Final = {"flow": "e.name"}

COUNTERS: Final = (
    FactCounter(
        "switchboard_doors_entered",
        "Conversations begun, by the door through which the visitor came",
        "e.kind = 'started' AND e.name <> ''",
        {"door": "e.name"},
    ),
    FactCounter(
        "switchboard_conversations_reopened",
        "Conversations that went on after they were closed, by who had closed them: person or bot",
        "e.kind = 'reopened'",
        {"closed_by": "e.name"},
    ),
    FactCounter("switchboard_flows_started", "Flows begun, by flow", "e.kind = 'flow'", _FLOW),
    FactCounter(
        "switchboard_flows_completed",
        "Flows that came to their end without a person, by flow",
        "e.kind = 'completed'",
        _FLOW,
    ),
    FactCounter(
        "switchboard_questions_asked",
        "Questions asked of visitors, by flow and state",
        "e.kind = 'asked'",
        _STATE,
    ),
    FactCounter(
        "switchboard_questions_answered",
        "Questions that the visitor answered, by flow and state",
        "e.kind = 'answered'",
        _STATE,
    ),
    FactCounter(
        "switchboard_questions_unanswered",
        "Questions that get no answer any more, by flow and why: left, silence, person (who took over),"
        " passed (the flow went on), erased",
        "e.kind = 'unanswered'",
        {"flow": "m.flow", "reason": "e.detail"},
    ),
    FactCounter(
        "switchboard_waits_ended",
        "Waits for a person that are over, by queue and how: claimed, withdrawn, left, resolved, silence,"
        " erased",
        "e.kind = 'waited'",
        {"queue": "e.name", "outcome": "e.detail"},
    ),
    FactCounter(
        "switchboard_operator_messages",
        "Messages of operators to visitors, by the queue in which the visitor waited last",
        "e.kind = 'said'",
        {"queue": "e.detail"},
    ),
    FactCounter(
        "switchboard_conversations_resolved",
        "Times an operator resolved a conversation, by the queue in which the visitor waited last",
        "e.kind = 'resolved'",
        {"queue": "e.detail"},
    ),
    FactCounter(
        "switchboard_ratings",
        "Ratings given by visitors, by score (1 to 5)",
        "e.kind = 'rating'",
        {"score": "e.value::VARCHAR"},
    ),
    FactCounter(
        "switchboard_agreed_times_broken",
        "Agreed times that passed and nobody had done what was agreed, by goal and queue",
        "e.kind = 'breach'",
        {"goal": "e.name", "queue": "e.detail"},
    ),
    FactCounter(
        "switchboard_assistant_messages",
        "Messages that the assistant said, by flow",
        "e.kind = 'answer'",
        {"flow": "m.flow"},
    ),
    FactCounter(
        "switchboard_assistant_messages_failed",
        "Times the assistant could not answer, by flow and reason",
        "e.kind = 'answer_failed'",
        {"flow": "m.flow", "reason": "e.name"},
    ),
)

TIMES: Final = (
    FactTimes(
        "switchboard_waiting_seconds",
        "From a handoff, or the return to a queue, to the end of the wait, by queue, however it ended",
        "e.kind = 'waited'",
        "queue",
        "e.name",
    ),
    FactTimes(
        "switchboard_first_response_seconds",
        "From the handoff (or takeover) to the first words of an operator, by queue",
        "e.kind = 'first_response'",
        "queue",
        "e.detail",
    ),
    FactTimes(
        "switchboard_next_response_seconds",
        "From a visitor's words to the words of an operator, each later time, by queue",
        "e.kind = 'next_response'",
        "queue",
        "e.detail",
    ),
    FactTimes(
        "switchboard_resolution_seconds",
        "From the handoff (or takeover) to the resolution, by queue",
        "e.kind = 'resolution'",
        "queue",
        "e.detail",
    ),
)

_MATTER: Final = " LEFT JOIN matters AS m ON m.conversation = e.conversation AND m.number = e.matter"


def totals(store: duckdb.DuckDBPyConnection) -> FactTotals:
    """All of them, as the store has them. Raises `duckdb.Error`."""
    return FactTotals(
        [CounterTotals(counter, _counts(store, counter)) for counter in COUNTERS],
        [TimesTotals(times, _times(store, times)) for times in TIMES],
    )


def _counts(store: duckdb.DuckDBPyConnection, counter: FactCounter) -> dict[tuple[str, ...], float]:
    names = ", ".join(f"coalesce({sql}, '') AS {label}" for label, sql in counter.labels.items())
    joined = _MATTER if any("m." in sql for sql in counter.labels.values()) else ""
    labels = ", ".join(counter.labels)
    found = store.execute(
        f"""
        SELECT {labels}, sum(amount)::DOUBLE FROM (
            SELECT {names}, {counter.amount} AS amount, min(e.time) AS first, min(e.conversation) AS one
            FROM measures AS e{joined} WHERE {counter.where} GROUP BY {labels}
        ) GROUP BY {labels} ORDER BY min(first), min(one), {labels}
        """
    ).fetchall()
    shown: dict[tuple[str, ...], float] = {}
    for *values, amount in found:
        known = len(shown) < MAX_SERIES
        key = tuple(values) if known else (OTHER,) * len(values)
        shown[key] = shown.get(key, 0) + amount
    return shown


def _times(store: duckdb.DuckDBPyConnection, times: FactTimes) -> dict[str, tuple[tuple[int, ...], float]]:
    counts = ", ".join(
        f"count(*) FILTER (e.value <= {bound * NANOSECONDS})::BIGINT" for bound in PEOPLE_BOUNDS
    )
    found = store.execute(
        f"""
        SELECT {times.of} AS label, {counts}, count(*), sum(e.value)::DOUBLE
        FROM measures AS e WHERE {times.where} GROUP BY label ORDER BY min(e.time), label
        """
    ).fetchall()
    shown: dict[str, tuple[tuple[int, ...], float]] = {}
    for label, *cumulative, amount in found:
        name = label if len(shown) < MAX_SERIES else OTHER
        before, seconds = shown.get(name, ((0,) * len(cumulative), 0.0))
        both: tuple[Any, ...] = tuple(map(sum, zip(before, cumulative, strict=True)))
        shown[name] = (both, seconds + amount / NANOSECONDS)
    return shown
