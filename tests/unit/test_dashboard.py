"""Of when the dashboard's numbers are, and what of whom a viewer may see."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import msgspec
import pytest

from services.analytics.domain.asked_period import BadPeriod, asked_period, step_of, zone_of
from services.analytics.domain.definition import Group, Topic, Unit
from services.analytics.domain.definitions import CURRENT
from services.analytics.domain.periods import Period
from services.analytics.domain.viewers import NotForYou, Viewer, check_filters, may_see, viewer
from services.analytics.funnel import StateNumbers
from services.analytics.questions import Value
from services.analytics.transports import flow_schemas, schemas

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3600 * 1_000_000_000
DAY = 24 * HOUR


def at(text: str) -> int:
    """Nanoseconds since 1970 of a time of UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


NOW = at("2026-11-27T12:34:56")


def test_days_are_those_of_the_zone_and_the_last_one_is_included() -> None:
    found = asked_period("2026-11-01", "2026-11-07", BERLIN, NOW)
    assert found.period == Period(at("2026-10-31T23:00"), at("2026-11-07T23:00"))
    assert found.before == Period(at("2026-10-24T22:00"), at("2026-10-31T23:00"))  # the clocks went back


def test_a_period_that_goes_on_is_compared_with_as_much_of_the_one_before() -> None:
    found = asked_period("2026-11-27", "2026-11-27", BERLIN, NOW)
    assert found.period.until == at("2026-11-27T23:00")
    assert found.before == Period(at("2026-11-25T23:00"), at("2026-11-26T12:34"))


def test_a_period_to_come_has_nothing_before_it() -> None:
    found = asked_period("2026-12-01", "2026-12-07", BERLIN, NOW)
    assert found.before.since == found.before.until


def test_without_a_period_it_is_the_last_28_days() -> None:
    found = asked_period("", "", ZoneInfo("UTC"), NOW)
    assert found.period == Period(at("2026-10-31T00:00"), at("2026-11-28T00:00"))
    assert asked_period("", "2026-11-07", BERLIN, NOW).period.since == at("2026-10-10T22:00")


def test_moments_are_exact_and_a_date_beside_one_is_its_begin_or_end() -> None:
    found = asked_period("2026-11-01T09:00+01:00", "2026-11-01T17:00", BERLIN, NOW)
    assert found.period == Period(at("2026-11-01T08:00"), at("2026-11-01T16:00"))
    assert found.before == Period(at("2026-11-01T00:00"), at("2026-11-01T08:00"))
    mixed = asked_period("2026-11-01T12:00", "2026-11-02", BERLIN, NOW)
    assert mixed.period == Period(at("2026-11-01T11:00"), at("2026-11-02T23:00"))


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [
        ("2026-11-02", "2026-11-01", "until: 2026-11-01 is before since"),
        ("2026-11-01T10:00", "2026-11-01T10:00", "is not after since"),
        ("2026-13-01", "2026-11-01", "since: 2026-13-01 is no day of the calendar"),
        ("9999-12-31", "9999-12-31", "since: 9999-12-31 is not from 2000-01-01"),
        ("0001-01-01T00:00", "2026-11-01", "since: 0001-01-01T00:00 is not from 2000-01-01"),
        ("soon", "", "neither a date, as 2026-11-27, nor a time"),
        ("2015-01-01", "2026-11-01", "may have 3660"),
    ],
)
def test_what_is_no_period_is_told_what_one_is(since: str, until: str, words: str) -> None:
    with pytest.raises(BadPeriod) as refused:
        asked_period(since, until, BERLIN, NOW)
    assert words in str(refused.value)


@pytest.mark.parametrize("name", ["", "Mars/Base", "../../etc/passwd", "\0", "x" * 500])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(BadPeriod, match="as Europe/Berlin"):
        zone_of(name)


def test_the_step_is_one_by_which_the_period_can_be_looked_at() -> None:
    for days, step in ((1, "hour"), (7, "day"), (90, "day"), (365, "week"), (3650, "month")):
        assert step_of(Period(NOW - days * DAY, NOW), BERLIN, None) == step, days
    with pytest.raises(BadPeriod, match="at most 1000 points"):
        step_of(Period(NOW - 90 * DAY, NOW), BERLIN, "hour")


SUPERVISOR = viewer("vera", "Vera", "supervisor", shown=True)
OPERATOR = viewer("otto", "Otto", "operator", shown=True)
HIDDEN = viewer("vera", "Vera", "admin", shown=False)
NOBODY = viewer("", "", "operator", shown=True)
BOTH = {"otto": 1, "vera": 2, "": 3}


def test_supervisors_see_everybody() -> None:
    assert may_see(SUPERVISOR, "operator", BOTH) == BOTH
    check_filters(SUPERVISOR, {"operator": "otto"})


def test_operators_see_themselves_alone() -> None:
    assert may_see(OPERATOR, "operator", BOTH) == {"otto": 1}
    assert may_see(OPERATOR, "queue", BOTH) == BOTH
    check_filters(OPERATOR, {"operator": "otto", "queue": "vera"})
    with pytest.raises(NotForYou, match="take otto"):
        check_filters(OPERATOR, {"operator": "vera"})


@pytest.mark.parametrize("who", [HIDDEN, NOBODY])
def test_where_names_are_hidden_nobody_is_told_apart(who: Viewer) -> None:
    with pytest.raises(NotForYou):
        may_see(who, "operator", BOTH)
    with pytest.raises(NotForYou):
        check_filters(who, {"operator": "otto"})
    assert may_see(who, "queue", BOTH) == BOTH


def test_conversations_are_named_to_who_may_read_them() -> None:
    assert (OPERATOR.sees_rows, HIDDEN.sees_rows, NOBODY.sees_rows) == (True, True, False)


# --- the page ---

PAGE = Path(__file__).parent.parent.parent / "services/analytics/static/page"
TYPES = (PAGE / "types.d.ts").read_text()
#: The page's types, and what the API gives. A form within another is compared by its own name.
PAIRS: dict[str, type[msgspec.Struct]] = {
    each.__name__: each
    for each in (
        *(schemas.SeenBy, schemas.NumberDefinition, Value, schemas.AboutNumbers, schemas.ToldNumber),
        *(schemas.AllNumbers, schemas.ChartPoint, schemas.NumberSeries, schemas.NumberGroup),
        *(schemas.NumberGroups, schemas.NumberWeek, schemas.NumberRow, schemas.NumberRows),
        *(schemas.CountedStream, schemas.NumbersState, StateNumbers, flow_schemas.BegunVersions),
        *(flow_schemas.DrawnPart, flow_schemas.FlowFunnel),
    )
}


@pytest.mark.parametrize("name", PAIRS)
def test_an_interface_of_the_page_has_the_fields_that_the_api_gives(name: str) -> None:
    found = re.search(rf"export interface {name} {{(.*?)\n}}", TYPES, re.DOTALL)
    assert found, name
    own = set(re.findall(r"^  (\w+):", found[1], re.MULTILINE))
    assert own == {field.encode_name for field in msgspec.structs.fields(PAIRS[name])}


def test_the_page_knows_every_group_topic_and_unit() -> None:
    for kind in (Group, Topic, Unit):
        for name in get_args(kind):
            assert f'"{name}"' in TYPES, name
    words = (PAGE / "words.js").read_text()
    assert all(re.search(rf"\b{name}: ", words) for name in (*get_args(Group), *get_args(Topic)))


def test_every_number_that_the_page_names_is_defined() -> None:
    named = set[str]()
    for path in PAGE.glob("*.js"):
        for line in re.findall(r"^const (?:GLANCE|SERVED) = \[(.*)\];", path.read_text(), re.MULTILINE):
            named |= set(re.findall(r'"(\w+)"', line))
        named |= set(re.findall(r'session\.column\("(\w+)"', path.read_text()))
        named |= set(re.findall(r"numbers/(\w+)/", path.read_text()))
    assert len(named) > 10
    assert named <= set(CURRENT)


def test_no_file_of_the_page_is_longer_than_a_person_keeps_in_mind() -> None:
    assert {path.name for path in PAGE.glob("*.js") if len(path.read_text().splitlines()) > 300} == set()
