"""Working hours, over changes of the clock too, and by when what was agreed is due."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from services.operator.domain.agreed_times import Due, due, marks
from services.operator.domain.desk import ConversationSummary, fold
from shared.contract.desk_settings import AgreedTimes
from shared.contract.facts import (
    ConversationClaimed,
    ConversationHandedBack,
    ConversationTransferred,
    HandoffRequested,
    OperatorSaid,
    TextWritten,
)
from shared.contract.working_hours import ALWAYS, Hours, Week, WorkingHours
from tests.examples import CONVERSATION, CONVERSATION_STARTED, FLOW_STARTED, Story

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE, HOUR = 60 * 10**9, 3600 * 10**9
OFFICE: Week = ((Hours(540, 1020),),) * 5 + ((),) * 2  # 9 to 17, Monday to Friday
NIGHT: Week = ((Hours(60, 240),),) * 7  # 1 to 4


def ns(text: str) -> int:
    """The moment of a time with its offset."""
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


def office(*holidays: str) -> WorkingHours:
    return WorkingHours(BERLIN, OFFICE, frozenset(date.fromisoformat(day) for day in holidays))


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        ("2026-11-27T10:00+01:00", 2, "2026-11-27T12:00+01:00"),
        ("2026-11-27T16:30+01:00", 1, "2026-11-30T09:30+01:00"),  # over a weekend
        ("2026-11-28T12:00+01:00", 1, "2026-11-30T10:00+01:00"),  # begun in it
        ("2026-11-27T08:00+01:00", 8, "2026-11-27T17:00+01:00"),  # a whole day, and not the next one's begin
        ("2026-11-27T08:00+01:00", 16, "2026-11-30T17:00+01:00"),
        ("2026-03-27T16:00+01:00", 2, "2026-03-30T10:00+02:00"),  # the clock went forward meanwhile
        ("2026-10-23T16:00+02:00", 2, "2026-10-26T10:00+01:00"),  # and back
    ],
)
def test_only_working_time_counts(start: str, hours: int, end: str) -> None:
    assert office().after(ns(start), hours * HOUR) == ns(end)


def test_holidays_are_free() -> None:
    hours = office("2026-12-25", "2026-12-28")
    assert hours.after(ns("2026-12-24T16:00+01:00"), 2 * HOUR) == ns("2026-12-29T10:00+01:00")
    assert not hours.open_at(ns("2026-12-25T10:00+01:00"))
    assert hours.open_at(ns("2026-12-24T10:00+01:00"))


@pytest.mark.parametrize(
    ("day", "hours", "worked"),
    [
        ("2026-03-28", Hours(60, 240), 180),
        ("2026-03-29", Hours(60, 240), 120),  # from 1 to 4 are two hours: from 2 to 3 was left out
        ("2026-03-29", Hours(130, 200), 20),  # 2:10 is shown by no clock: from 3:00 to 3:20
        ("2026-03-29", Hours(130, 170), 0),
        ("2026-03-29", Hours(0, 1440), 23 * 60),
        ("2026-10-25", Hours(60, 240), 240),  # four hours: from 2 to 3 comes twice
        ("2026-10-25", Hours(60, 150), 150),  # ends at the second half past two
        ("2026-10-25", Hours(150, 240), 150),  # begins at the first
        ("2026-10-25", Hours(0, 1440), 25 * 60),
    ],
)
def test_a_clock_that_is_changed_makes_hours_longer_or_shorter(day: str, hours: Hours, worked: int) -> None:
    calendar = WorkingHours(BERLIN, ((hours,),) * 7)
    minutes = range(midnight(day), midnight(day, 1), MINUTE)
    assert sum(calendar.open_at(minute) for minute in minutes) == worked


def midnight(day: str, later: int = 0) -> int:
    found = datetime.fromisoformat(day).replace(tzinfo=BERLIN) + timedelta(days=later)
    return int(found.timestamp()) * 10**9


def test_where_nobody_works_nothing_is_due() -> None:
    assert WorkingHours(BERLIN, ((),) * 7).after(0, 1) is None
    assert WorkingHours(BERLIN, ALWAYS).after(7, 5) == 12


MOMENTS = st.integers(ns("2026-01-01T00:00+00:00"), ns("2027-01-01T00:00+00:00"))
WORK = st.integers(1, 40 * HOUR)


@given(start=MOMENTS, one=WORK, other=WORK)
def test_to_work_on_is_to_work_the_sum(start: int, one: int, other: int) -> None:
    hours = WorkingHours(BERLIN, (*OFFICE[:5], *NIGHT[5:]), frozenset({date(2026, 10, 26)}))
    first = hours.after(start, one)
    assert first is not None
    assert hours.after(first, other) == hours.after(start, one + other)
    assert first - start >= one
    assert hours.open_at(first - 1)


@given(start=MOMENTS, later=st.integers(0, 100 * HOUR), work=WORK)
def test_who_comes_later_is_due_no_earlier(start: int, later: int, work: int) -> None:
    hours = office()
    one, other = hours.after(start, work), hours.after(start + later, work)
    assert one is not None
    assert other is not None
    assert one <= other


# --- what is due in a conversation ------------------------------------------------------------

AGREED = AgreedTimes(first_response=2 * MINUTE, next_response=10 * MINUTE, resolution=HOUR)
CLAIMED = ConversationClaimed(operator="ada", name="Ada")
SAID = OperatorSaid(operator="ada", text="Hello", name="Ada")


def first_due(story: Story, agreed: AgreedTimes = AGREED) -> Due | None:
    summary = ConversationSummary(CONVERSATION)
    for entry in story.entries:
        fold(summary, entry)
    return due(summary, agreed, WorkingHours(ZoneInfo("UTC")))


def waiting() -> Story:
    story = Story()
    story.visitor(CONVERSATION_STARTED)
    story.bot(FLOW_STARTED, HandoffRequested(queue="sales"), cause=1)
    return story


def test_a_first_answer_is_due_then_the_next_then_the_end() -> None:
    story = waiting()
    since = story.entries[-1].time
    first = Due("first_response", since + 2 * MINUTE, since + 96 * 10**9)
    assert first_due(story) == first
    story.operator(CLAIMED)
    assert first_due(story) == first  # taken is not answered
    story.operator(SAID)
    end = Due("resolution", since + HOUR, since + 48 * MINUTE)
    assert first_due(story) == end
    story.visitor(TextWritten(session="s", text="And?"))
    wrote = story.entries[-1].time
    assert first_due(story) == Due("next_response", wrote + 10 * MINUTE, wrote + 8 * MINUTE)
    assert first_due(story, AgreedTimes(2 * MINUTE, 0, HOUR)) == end
    assert first_due(story, AgreedTimes()) is None
    story.operator(ConversationHandedBack(operator="ada"))
    assert first_due(story) is None


def test_whoever_goes_on_owes_what_was_owed() -> None:
    """Neither an operator who is gone nor a transfer begins the time anew."""
    story = waiting()
    since = story.entries[-1].time
    story.operator(CLAIMED)
    story.operator(ConversationTransferred(operator="ada", queue="sales", lapsed=True))
    found = first_due(story)
    assert found is not None
    assert found.at == since + 2 * MINUTE


def test_the_day_is_that_of_the_zone() -> None:
    """Sunday evening in UTC is Monday morning in Auckland."""
    auckland = WorkingHours(ZoneInfo("Pacific/Auckland"), OFFICE)
    evening = datetime(2026, 11, 29, 21, tzinfo=UTC)
    assert auckland.open_at(int(evening.timestamp()) * 10**9)
    assert not auckland.open_at(int((evening + timedelta(days=5)).timestamp()) * 10**9)


# --- what is noted of it ----------------------------------------------------------------------


def noted(summary: ConversationSummary, now: int, agreed: AgreedTimes = AGREED) -> list[tuple[str, bool]]:
    found = marks(summary, "sales", agreed, WorkingHours(ZoneInfo("UTC")), now)
    return [(each.fact.goal, each.fact.over) for each in found]


def test_a_time_is_noted_when_most_of_it_and_when_all_of_it_has_passed() -> None:
    story = waiting()
    since, summary = story.entries[-1].time, summary_of(story)
    assert noted(summary, since + 95 * 10**9) == []
    assert noted(summary, since + 96 * 10**9) == [("first_response", False)]
    assert noted(summary, since + 2 * MINUTE) == [("first_response", True)]
    both = [("resolution", False), ("first_response", True)]
    assert noted(summary, since + 50 * MINUTE) == both  # none hides behind another
    assert noted(summary, since + 50 * MINUTE, AgreedTimes()) == []


def test_each_is_noted_once_whatever_the_settings_become() -> None:
    story = waiting()
    since, summary = story.entries[-1].time, summary_of(story)
    (mark,) = marks(summary, "sales", AGREED, WorkingHours(ZoneInfo("UTC")), since + 2 * MINUTE)
    summary.notes = replace(summary.notes, ids=summary.notes.ids.plus(mark.id))
    assert noted(summary, since + 2 * MINUTE) == []
    assert noted(summary, since + 5 * MINUTE, AgreedTimes(first_response=5 * MINUTE)) == []


def test_the_next_wait_is_noted_anew() -> None:
    story = waiting()
    since = story.entries[-1].time
    (first,) = marks(summary_of(story), "sales", AGREED, WorkingHours(ZoneInfo("UTC")), since + 2 * MINUTE)
    story.operator(CLAIMED)
    story.operator(SAID)
    story.visitor(TextWritten(session="s", text="And?"))
    wrote = story.entries[-1].time
    (_, next) = marks(summary_of(story), "sales", AGREED, WorkingHours(ZoneInfo("UTC")), wrote + HOUR)
    assert next.id != first.id
    assert next.fact.goal == "next_response"


def summary_of(story: Story) -> ConversationSummary:
    summary = ConversationSummary(CONVERSATION)
    for entry in story.entries:
        fold(summary, entry)
    return summary
