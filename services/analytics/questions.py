"""Asks the store for what `services.analytics.domain.definitions` defines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import duckdb
import msgspec

from services.analytics.domain.definition import LEFT_HOURS, SOURCES, Definition, Group
from services.analytics.domain.measures import NANOSECONDS, OTHER
from services.analytics.domain.periods import Period, Step, begins
from services.analytics.domain.working_time import WorkingTime

MILLION: Final = 1_000_000
_LEFT: Final = LEFT_HOURS * 3600 * NANOSECONDS

#: Names told apart by themselves, those with the most rows; all others are one.
MAX_GROUPS: Final = 50
#: Rows behind a number, shown at once.
MAX_ROWS: Final = 200


class Question(msgspec.Struct, frozen=True):
    """Of when, and of whom: ``only`` narrows to one value of each group.

    ``working``: times in working time, where the definition has a queue whose hours count.
    """

    period: Period
    only: Mapping[Group, str] = {}
    working: WorkingTime | None = None


class Value(msgspec.Struct, frozen=True):
    """A number, by its definition's unit: seconds for times, 0 to 1 for shares. None: there is nothing to
    tell it of. ``rows``: how many it was told of; ``parts``: how many of these a share counts.
    """

    value: float | None
    rows: int
    parts: int
    p90: float | None = None
    p95: float | None = None


class SeriesPoint(NamedTuple):
    """A number of the time that begins at ``begin`` (nanoseconds since 1970, UTC)."""

    begin: int
    value: Value


class RowBehind(NamedTuple):
    """What a number is made of: the entry at ``position`` of the conversation, or (0) the matter itself."""

    time: int
    conversation: str
    matter: int
    position: int
    value: float
    part: bool


class NotAGroup(ValueError):
    """A number cannot be told apart, or narrowed, by that."""


def value(store: duckdb.DuckDBPyConnection, definition: Definition, question: Question) -> Value:
    """The number as a whole. Raises `NotAGroup`, `duckdb.Error`."""
    asked = _Asked(store, definition, question)
    ((*found,),) = asked.rows(f"SELECT {_numbers(definition)} FROM ({asked.of()})")
    return _value(definition, found)


def series(
    store: duckdb.DuckDBPyConnection, definition: Definition, question: Question, step: Step, zone: ZoneInfo
) -> list[SeriesPoint]:
    """The number of each hour, day, week (from Monday) or month of the zone's calendar, also of those without
    rows. Raises `TooManyPoints`, `NotAGroup`, `duckdb.Error`.
    """
    points = begins(question.period, step, zone)
    asked = _Asked(store, definition, question)
    found = asked.rows(
        f"""
        WITH begins AS (SELECT unnest($begins::BIGINT[]) AS begin)
        SELECT begins.begin, {_numbers(definition)}
        FROM ({asked.of()}) AS row ASOF JOIN begins ON row.time >= begins.begin GROUP BY 1
        """,
        begins=points,
    )
    values = {begin: _value(definition, rest) for begin, *rest in found}
    nothing = _value(definition, (0, 0, None))
    return [SeriesPoint(begin, values.get(begin, nothing)) for begin in points]


def groups(
    store: duckdb.DuckDBPyConnection,
    definition: Definition,
    question: Question,
    by: Group,
    most: int = MAX_GROUPS,
) -> dict[str, Value]:
    """The number of each value of a group, those with most rows first; all but ``most`` together are `OTHER`.

    Raises `NotAGroup`, `duckdb.Error`.
    """
    asked = _Asked(store, definition, question)
    found = asked.rows(
        f"""
        WITH rows AS ({asked.of(by)}),
        named AS (SELECT name FROM rows GROUP BY name ORDER BY count(*) DESC, name LIMIT $most)
        SELECT CASE WHEN name IN (FROM named) THEN name ELSE '{OTHER}' END AS shown, {_numbers(definition)}
        FROM rows GROUP BY shown ORDER BY count(*) DESC, shown
        """,
        most=most,
    )
    return {name: _value(definition, rest) for name, *rest in found}


def week(
    store: duckdb.DuckDBPyConnection, definition: Definition, question: Question, zone: ZoneInfo
) -> dict[tuple[int, int], Value]:
    """The number of each weekday (1: Monday) and hour of the zone's wall clock that has rows.

    Raises `NotAGroup`, `duckdb.Error`.
    """
    asked = _Asked(store, definition, question)
    found = asked.rows(
        f"""
        WITH rows AS (SELECT *, timezone($zone, make_timestamptz(time // 1000)) AS wall FROM ({asked.of()}))
        SELECT isodow(wall), hour(wall), {_numbers(definition)} FROM rows GROUP BY 1, 2
        """,
        zone=zone.key,
    )
    return {(day, hour): _value(definition, rest) for day, hour, *rest in found}


def behind(
    store: duckdb.DuckDBPyConnection,
    definition: Definition,
    question: Question,
    most: int = MAX_ROWS,
    parts: bool = False,
) -> list[RowBehind]:
    """What the number is made of, the newest first. ``parts``: only what a share counts.

    Raises `NotAGroup`, `duckdb.Error`.
    """
    asked = _Asked(store, definition, question)
    found = asked.rows(
        f"""
        SELECT time, conversation, matter, position, value, part FROM ({asked.of()}) WHERE part OR NOT $parts
        ORDER BY time DESC, conversation, position DESC LIMIT $most
        """,
        most=min(most, MAX_ROWS),
        parts=parts,
    )
    scale = _SCALES.get(definition.unit, 1)
    return [
        RowBehind(time, conversation, matter, position, amount / scale, part)
        for time, conversation, matter, position, amount, part in found
    ]


_SPANS: Final = """
    SELECT unnest($names::VARCHAR[]) AS name, unnest($starts::BIGINT[]) AS start,
        unnest($ends::BIGINT[]) AS "end", unnest($worked::BIGINT[]) AS worked
"""
_SCALES: Final = {"seconds": NANOSECONDS, "cost": MILLION}


class _Asked:
    """One question about one definition."""

    def __init__(self, store: duckdb.DuckDBPyConnection, definition: Definition, question: Question) -> None:
        self._store = store
        self._definition = definition
        self._question = question
        self._working = question.working if definition.working else None
        self._spans: dict[str, list[Any]] = {}

    def of(self, by: Group | None = None) -> str:
        """The rows of the period, as SQL; ``name`` is the group's."""
        if self._working is None:
            return self._of({"name": by} if by else {})
        rows = self._of({"name": by, "desk": "queue"} if by else {"desk": "queue"})
        self._load_spans(self._working, rows)
        return f"""
            SELECT row.* REPLACE (
                CASE WHEN began.name IS NULL THEN row.value ELSE {_worked("ended", "row.time")}
                    - {_worked("began", "row.time - row.value")} END AS value
            )
            FROM ({rows}) AS row
            ASOF LEFT JOIN ({_SPANS}) AS ended ON row.desk = ended.name AND row.time >= ended.start
            ASOF LEFT JOIN ({_SPANS}) AS began
                ON row.desk = began.name AND row.time - row.value >= began.start
        """

    def _of(self, named: Mapping[str, Group]) -> str:
        definition, only = self._definition, self._question.only
        columns = {group: self._column(group) for group in (*only, *named.values())}
        joined = any("m." in column for column in columns.values())
        conditions = [
            f"({definition.where})",
            "e.time >= $since AND e.time < $until",
            *(f"{columns[group]} = $only_{group}" for group in only),
        ]
        names = "".join(f", {columns[group]} AS {name}" for name, group in named.items())
        join = " LEFT JOIN matters AS m ON m.conversation = e.conversation AND m.number = e.matter"
        return f"""
            SELECT e.time, e.conversation, e.matter, e.position, e.value, ({definition.part}) AS part{names}
            FROM {SOURCES[definition.source].format(left=_LEFT)} AS e{join if joined else ""}
            WHERE {" AND ".join(conditions)}
        """

    def rows(self, sql: str, **values: Any) -> list[Any]:
        only = {f"only_{group}": value for group, value in self._question.only.items()}
        period = self._question.period
        given = {
            "since": period.since,
            "until": period.until,
            "now": self._now(),
            **only,
            **self._spans,
            **values,
        }
        # DuckDB refuses a value that the text does not name.
        return self._store.execute(sql, {n: v for n, v in given.items() if f"${n}" in sql}).fetchall()

    def _now(self) -> int:
        """When the newest entry was stored: the same log gives the same numbers at any time."""
        ((newest,),) = self._store.execute("SELECT newest FROM place").fetchall()
        return int(newest)

    def _column(self, group: Group) -> str:
        definition = self._definition
        if group not in definition.groups:
            known = ", ".join(definition.groups)
            raise NotAGroup(f"{definition.id} cannot be told by {group}; possible are {known}")
        own = definition.columns.get(group)
        if own is not None:
            return own
        of = "e" if definition.source == "matters" else "m"
        return f"coalesce({of}.{group}, '')"

    def _load_spans(self, working: WorkingTime, rows: str) -> None:
        """The working time from when the first of these rows began to when the last ended."""
        ((first, last),) = self.rows(f"SELECT min(time - value), max(time) FROM ({rows})")
        spans = working.spans(first or 0, last or 0)
        self._spans = {
            "names": spans.names,
            "starts": spans.starts,
            "ends": spans.ends,
            "worked": spans.before,
        }


def _worked(span: str, moment: str) -> str:
    """SQL for how much was worked up to a moment, with the last span that began before it."""
    return f"""({span}.worked + least({moment}, {span}."end") - {span}.start)"""


def _numbers(definition: Definition) -> str:
    """SQL for what `_value` takes."""
    amount = "NULL"
    match definition.unit:
        case "seconds":
            amount = "quantile_disc(value, [0.5, 0.9, 0.95])"
        case "score":
            amount = "avg(value)"
        case "tokens" | "cost":
            amount = "sum(value)::DOUBLE"
    return f"count(*), count(*) FILTER (part), {amount}"


def _value(definition: Definition, found: Iterable[Any]) -> Value:
    rows, parts, amount = found
    match definition.unit:
        case "count":
            return Value(rows, rows, parts)
        case "share":
            return Value(parts / rows if rows else None, rows, parts)
        case "seconds":
            middle, p90, p95 = (each / NANOSECONDS for each in amount) if amount else (None, None, None)
            return Value(middle, rows, parts, p90, p95)
        case "cost":
            return Value((amount or 0) / MILLION, rows, parts)
        case "tokens":
            return Value(amount or 0, rows, parts)
        case "score":
            return Value(amount, rows, parts)
