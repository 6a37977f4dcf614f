"""What the numbers are: each one a question about the measures. The one place where they are defined."""

from __future__ import annotations

from typing import Any, Final

import duckdb
import msgspec

from services.analytics.domain.measures import FAILED, MAX_QUEUES, NANOSECONDS, OTHER, REASONS
from services.analytics.totals import FactTotals, totals

HOUR: Final = 3600 * NANOSECONDS
DAY_HOURS: Final = 24

#: The names shown by themselves, those that were stored first: authors of flows invent them. For the flow
#: versions it is those in which a conversation began last.
MAX_FAILURES: Final = 20
MAX_VERSIONS: Final = 20
MAX_STATES: Final = 200

OWNERS: Final = ("bot", "queue", "operator")
#: The summary's form has "snoozed" too, which no conversation can be: whoever reads it finds what it had.
STATUSES: Final = ("open", "snoozed", "resolved")

#: The bounds of the bot's answer times (seconds): a scripted answer takes milliseconds, an assistant's
#: seconds.
ANSWER_BOUNDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)

#: The order of all that was stored: over several streams, it is read in another one.
_MOMENT: Final = "{'time': time, 'conversation': conversation, 'at': position, 'fact': fact, 'part': part}"


class Durations(msgspec.Struct, frozen=True):
    """How long something took, in seconds; None: it never happened."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None


class Histogram(msgspec.Struct, frozen=True):
    """``cumulative``: how many lie at or below each of `ANSWER_BOUNDS`, and how many there are at all.
    ``sum`` in seconds.
    """

    cumulative: tuple[int, ...]
    sum: float


class FlowNumbers(msgspec.Struct, frozen=True):
    """One version of a flow: how many conversations began in it, and of its states how often each was
    reached, and how many came no further. The state that was reached first comes first.
    """

    flow: str
    version: str
    started: int
    states: dict[str, tuple[int, int]]


class AssistantNumbers(msgspec.Struct, frozen=True):
    """What the assistant did, and what it used. ``cost`` in millionths of the price's currency unit."""

    answers: int
    failures: dict[str, int]
    tokens_in: int
    tokens_out: int
    cost: int


class LogNumbers(msgspec.Struct, frozen=True):
    """All numbers of the first ``position`` entries; ``time`` is when the newest was stored (nanoseconds
    since 1970, UTC). Everything is bounded: nothing grows with conversations or visitors.
    """

    position: int
    time: int
    started: int
    turns: int
    claims: int
    resolved: int
    ended: int  # by the bot, since nobody said a word for long
    withdrawn: int  # handoffs to which nobody came
    handed_off: int  # talks with at least one handoff
    handoffs: dict[str, int]  # how often a person was asked for, by queue
    waiting: dict[str, int]  # who waits for a person now, by the same queues
    refusals: dict[str, int]
    open: dict[str, int]  # by owner
    statuses: dict[str, int]
    answers: Histogram
    answer_times: Durations
    waiting_times: Durations
    first_responses: Durations
    resolutions: Durations
    ratings: int  # the last one of each talk
    score_sum: int
    assistant: AssistantNumbers
    flows: list[FlowNumbers]
    facts: FactTotals


def numbers(store: duckdb.DuckDBPyConnection) -> LogNumbers:
    """All of them, as the store has them. Raises `duckdb.Error`."""
    position, time = _row(store, "SELECT counted, newest FROM place")
    counts = {kind: (count, total) for kind, count, total in _rows(store, _COUNTS)}

    def count(kind: str) -> int:
        return int(counts.get(kind, (0, 0))[0])

    def total(kind: str) -> int:
        return int(counts.get(kind, (0, 0))[1])

    handoffs, waiting = _queues(store)
    ratings, score_sum = _row(store, _RATINGS)
    return LogNumbers(
        position=position,
        time=time,
        started=count("started"),
        turns=count("turn"),
        claims=count("claim"),
        resolved=count("resolved"),
        ended=count("ended"),
        withdrawn=count("withdrawn"),
        handed_off=total("handoff"),
        handoffs=handoffs,
        waiting=waiting,
        refusals=_refusals(store, count("failure")),
        open={**dict.fromkeys(OWNERS, 0), **dict(_rows(store, _OPEN))},
        statuses={**dict.fromkeys(STATUSES, 0), **dict(_rows(store, _STATUSES))},
        answers=_histogram(store, total("turn")),
        answer_times=_durations(store, "turn"),
        waiting_times=_durations(store, "waited", "claimed"),
        first_responses=_durations(store, "first_response"),
        resolutions=_durations(store, "resolution"),
        ratings=ratings,
        score_sum=score_sum or 0,
        assistant=AssistantNumbers(
            answers=count("answer"),
            failures=_failures(store),
            tokens_in=total("tokens_in"),
            tokens_out=total("tokens_out"),
            cost=total("cost"),
        ),
        flows=_flows(store),
        facts=totals(store),
    )


def per_hour(store: duckdb.DuckDBPyConnection, now: int) -> list[tuple[int, int]]:
    """Conversations started in each of the 24 hours that end with ``now``'s: (its begin, how many).

    Times in nanoseconds since 1970, UTC.
    """
    last = now // HOUR
    first = last - DAY_HOURS + 1
    found = dict(_rows(store, _HOURS, [HOUR, first * HOUR, (last + 1) * HOUR]))
    return [(hour * HOUR, found.get(hour, 0)) for hour in range(first, last + 1)]


_COUNTS: Final = "SELECT kind, count(*), sum(value)::BIGINT FROM measures GROUP BY kind"
_OPEN: Final = "SELECT owner, count(*) FROM matters WHERE current AND status = 'open' GROUP BY owner"
_WAITING: Final = "SELECT queue, count(*) FROM matters WHERE current AND waits > 0 GROUP BY queue"
_STATUSES: Final = "SELECT status, count(*) FROM matters WHERE current GROUP BY status"
_HOURS: Final = """
    SELECT time // $1, count(*) FROM measures WHERE kind = 'started' AND time >= $2 AND time < $3 GROUP BY 1
"""
_RATINGS: Final = """
    SELECT count(*), sum(score)::BIGINT FROM (
        SELECT arg_max(value, (position, fact)) AS score FROM measures WHERE kind = 'rating'
        GROUP BY conversation, talk
    )
"""


def _queues(store: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], dict[str, int]]:
    """Handoffs, and who waits now, of the same queues."""
    handoffs = _first(store, "handoff")
    waiting = dict(_rows(store, _WAITING))
    names = list(handoffs) + [name for name in sorted(waiting) if name not in handoffs]
    return _grouped(names, handoffs, MAX_QUEUES), _grouped(names, waiting, MAX_QUEUES)


def _refusals(store: duckdb.DuckDBPyConnection, failures: int) -> dict[str, int]:
    found = dict.fromkeys(REASONS, 0)
    for reason, count in _first(store, "refusal").items():
        found[reason if reason in found else OTHER] += count
    found[FAILED] += failures
    return found


def _failures(store: duckdb.DuckDBPyConnection) -> dict[str, int]:
    found = _first(store, "answer_failed")
    return _grouped(list(found), found, MAX_FAILURES)


def _histogram(store: duckdb.DuckDBPyConnection, nanoseconds: int) -> Histogram:
    counts = ", ".join(f"count(*) FILTER (value <= {round(bound * NANOSECONDS)})" for bound in ANSWER_BOUNDS)
    return Histogram(
        tuple(_row(store, f"SELECT {counts}, count(*) FROM measures WHERE kind = 'turn'")),
        nanoseconds / NANOSECONDS,
    )


def _durations(store: duckdb.DuckDBPyConnection, kind: str, detail: str | None = None) -> Durations:
    count, quantiles = _row(
        store,
        "SELECT count(*), quantile_disc(value, [0.5, 0.95, 0.99]) FROM measures"
        " WHERE kind = $1 AND detail = coalesce($2, detail)",
        [kind, detail],
    )
    return Durations(count, *(each / NANOSECONDS for each in quantiles or ())) if count else _NEVER


_NEVER: Final = Durations(0, None, None, None)


def _flows(store: duckdb.DuckDBPyConnection) -> list[FlowNumbers]:
    """The versions used last, the newest first."""
    versions = _rows(
        store,
        f"""
        SELECT version, arg_max(name, {_MOMENT}), count(*) FROM measures WHERE kind = 'flow'
        GROUP BY version ORDER BY max({_MOMENT}) DESC LIMIT {MAX_VERSIONS}
        """,
    )
    wanted = [version for version, _, _ in versions]
    reached: dict[str, dict[str, int]] = {version: {} for version in wanted}
    for version, state, count in _rows(
        store,
        f"""
        SELECT version, name, count(*) FROM measures WHERE kind = 'reached' AND version IN (SELECT unnest($1))
        GROUP BY version, name ORDER BY min({_MOMENT})
        """,
        [wanted],
    ):
        reached[version][state] = count
    stopped: dict[str, dict[str, int]] = {version: {} for version in wanted}
    for version, state, count in _rows(
        store,
        """
        SELECT version, place, count(*) FROM matters
        WHERE place IS NOT NULL AND version IN (SELECT unnest($1)) GROUP BY version, place ORDER BY place
        """,
        [wanted],
    ):
        stopped[version][state] = count
    return [
        FlowNumbers(flow, version, started, _states(reached[version], stopped[version]))
        for version, flow, started in versions
    ]


def _states(reached: dict[str, int], stopped: dict[str, int]) -> dict[str, tuple[int, int]]:
    names = list(reached) + [name for name in stopped if name not in reached]
    ends = _grouped(names, stopped, MAX_STATES)
    return {name: (count, ends[name]) for name, count in _grouped(names, reached, MAX_STATES).items()}


def _first(store: duckdb.DuckDBPyConnection, kind: str) -> dict[str, int]:
    """How often each name was measured; the one that was stored first comes first."""
    question = f"SELECT name, count(*) FROM measures WHERE kind = $1 GROUP BY name ORDER BY min({_MOMENT})"
    return dict(_rows(store, question, [kind]))


def _grouped(names: list[str], counts: dict[str, int], most: int) -> dict[str, int]:
    """The counts of the first ``most`` names, and of all others together, if there are any."""
    shown = names[:most]
    grouped = {name: counts.get(name, 0) for name in shown}
    if len(names) > len(shown):
        grouped[OTHER] = grouped.get(OTHER, 0) + sum(counts.get(name, 0) for name in names[most:])
    return grouped


def _rows(store: duckdb.DuckDBPyConnection, question: str, values: list[Any] | None = None) -> list[Any]:
    return store.execute(question, values or []).fetchall()


def _row(store: duckdb.DuckDBPyConnection, question: str, values: list[Any] | None = None) -> Any:
    return store.execute(question, values or []).fetchone()
