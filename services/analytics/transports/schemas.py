"""The forms of the dashboard's API. Times are RFC 3339 in UTC, durations seconds."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from services.analytics.domain.asked_period import AskedPeriod
from services.analytics.domain.definition import Definition, Group, Topic, Unit
from services.analytics.domain.periods import Step
from services.analytics.domain.viewers import Names
from services.analytics.questions import RowBehind, SeriesPoint, Value
from shared.contract.roles import Role
from shared.timestamps import format_time


class NumbersProblem(Struct):
    """What went wrong (RFC 9457). ``detail`` says what would be right. ``console``: where to log in."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    console: str | None = None
    position: Annotated[int | None, Meta(description="entries read so far, while the log is read")] = None


class SeenBy(Struct):
    """Who looks, and what they may see. ``name`` "": nobody is logged in, and need not be."""

    name: str
    display: str
    role: Role
    names: Annotated[Names, Meta(description="whose numbers are told apart: all operators', one's own, none")]
    rows: Annotated[bool, Meta(description="whether the conversations behind a number may be seen")]
    console: Annotated[str, Meta(description="the console's address")]


class NumberDefinition(Struct):
    """What a number means."""

    id: str
    version: int
    current: Annotated[bool, Meta(description="the newest version; others can be asked for by `definition`")]
    name: str
    topic: Topic
    unit: Unit
    says: str
    of: Annotated[tuple[str, ...], Meta(description="the facts that it follows from")]
    better: Annotated[str, Meta(description="more, less, or empty: neither is")]
    working: Annotated[bool, Meta(description="it can be told in working time, too")]
    groups: Annotated[tuple[Group, ...], Meta(description="what it can be told apart by, and narrowed to")]


class AboutNumbers(Struct):
    """Of when numbers are. ``before`` is what they are compared with: as long, and just before; of a period
    that goes on as much as has passed of it.
    """

    since: str
    until: str
    before_since: str
    before_until: str
    zone: str
    counted_until: Annotated[str | None, Meta(description="when the newest counted entry was stored")]


class ToldNumber(Struct):
    """A number of the period, and of the one before; both null, and ``why`` says so, where it cannot be
    narrowed to what was asked.
    """

    id: str
    version: int
    value: Value | None
    before: Value | None
    why: str = ""


class AllNumbers(Struct):
    about: AboutNumbers
    numbers: list[ToldNumber]


class OneNumber(Struct):
    about: AboutNumbers
    number: ToldNumber


class ChartPoint(Struct):
    begin: str
    value: Value


class NumberSeries(Struct):
    """``before``: the same of the period before, with as many points or some more or less."""

    about: AboutNumbers
    step: Step
    points: list[ChartPoint]
    before: list[ChartPoint]


class NumberGroup(Struct):
    name: Annotated[str, Meta(description='"other": all further ones; empty: none is known')]
    value: Value
    before: Value | None


class NumberGroups(Struct):
    """Those with most rows first."""

    about: AboutNumbers
    by: Group
    groups: list[NumberGroup]


class WeekHour(Struct):
    day: Annotated[int, Meta(description="1: Monday")]
    hour: int
    value: Value


class NumberWeek(Struct):
    """The hours of the week that have rows, of the zone's wall clock."""

    about: AboutNumbers
    hours: list[WeekHour]


class NumberRow(Struct):
    """``position``: of the entry in the conversation; 0: the row is the matter itself."""

    time: str
    conversation: str
    link: Annotated[str, Meta(description="the conversation at the console")]
    matter: int
    position: int
    value: float
    part: Annotated[bool, Meta(description="whether a share counts it")]


class NumberRows(Struct):
    """The newest first, and ``total``: how many there are."""

    about: AboutNumbers
    total: int
    rows: list[NumberRow]


class CountedStream(Struct):
    """How far one stream of the log is counted. ``end`` null: it cannot be reached now."""

    stream: int
    counted: int
    end: int | None
    counted_until: str | None


class NumbersState(Struct):
    """How far the numbers go, and what is missing of them."""

    complete: bool
    position: int
    lag: Annotated[int | None, Meta(description="entries not counted yet; null: not known")]
    counted_until: str | None
    streams: list[CountedStream]
    missing: Annotated[list[str], Meta(description="what is not in the numbers, or not now, and why")]


def definition_of(each: Definition, current: bool) -> NumberDefinition:
    return NumberDefinition(
        *(each.id, each.version, current, each.name, each.topic, each.unit, each.says, each.of),
        *(each.better, each.working, each.groups),
    )


def about(asked: AskedPeriod, newest: int) -> AboutNumbers:
    period, before, zone = asked
    return AboutNumbers(
        format_time(period.since),
        format_time(period.until),
        format_time(before.since),
        format_time(before.until),
        zone.key,
        format_time(newest) if newest else None,
    )


def point(found: SeriesPoint) -> ChartPoint:
    return ChartPoint(format_time(found.begin), found.value)


def row(found: RowBehind, console: str) -> NumberRow:
    link = f"{console}/#conversation={found.conversation}"
    time, conversation, matter, position, value, part = found
    return NumberRow(format_time(time), conversation, link, matter, position, value, part)
