"""When people work: hours by the days of a week in a time zone, without the holidays. Pure.

A wall clock that is put forward skips times, one that is put back has some twice (PEP 495): hours that begin
within what is skipped begin when the clock goes on, and hours that end within what is there twice end at the
second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

#: So far ahead it is looked for working time (days): behind that there is none.
MAX_DAYS: Final = 5 * 366
#: Days that are kept as they were worked out.
_MAX_KEPT: Final = 4_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE: Final = timedelta(minutes=1)
_MICROSECOND: Final = timedelta(microseconds=1)


class Hours(NamedTuple):
    """From a minute of the day up to another, by the wall clock; 1440 is the day's end."""

    start: int
    end: int


class Span(NamedTuple):
    """From a moment up to another (nanoseconds since 1970, UTC)."""

    start: int
    end: int


#: Of Monday to Sunday, each in order and apart from one another.
Week = tuple[tuple[Hours, ...], ...]
ALWAYS: Final[Week] = ((Hours(0, 1440),),) * 7


class WorkingHours:
    """``week`` by the wall clock of ``zone``, on all days but ``holidays``."""

    def __init__(self, zone: ZoneInfo, week: Week = ALWAYS, holidays: frozenset[date] = frozenset()) -> None:
        self._zone = zone
        self._week = week
        self._holidays = holidays
        self._days: dict[date, tuple[Span, ...]] = {}

    def open_at(self, time: int) -> bool:
        """Whether people work at ``time`` (nanoseconds since 1970, UTC)."""
        return any(span.start <= time < span.end for span in self._of(self._day(time)))

    def after(self, start: int, working: int) -> int | None:
        """The moment up to which ``working`` nanoseconds were worked since ``start``; None: there is none
        within five years. Both moments are in nanoseconds since 1970, UTC.
        """
        left = working
        for span in self._from(start):
            begin = max(span.start, start)
            if left <= span.end - begin:
                return begin + left
            left -= max(0, span.end - begin)
        return None

    def spans(self, since: int, until: int) -> Iterator[Span]:
        """When people work from ``since`` to ``until``, five years at most (nanoseconds since 1970, UTC)."""
        for span in self._from(since):
            if span.start >= until:
                return
            yield span

    def _from(self, start: int) -> Iterator[Span]:
        first = self._day(start)
        for days in range(MAX_DAYS):
            for span in self._of(first + timedelta(days=days)):
                if span.end > start:
                    yield span

    def _day(self, time: int) -> date:
        return (_EPOCH + timedelta(microseconds=time // 1000)).astimezone(self._zone).date()

    def _of(self, day: date) -> tuple[Span, ...]:
        spans = self._days.get(day)
        if spans is None:
            if len(self._days) >= _MAX_KEPT:
                self._days.clear()
            hours = () if day in self._holidays else self._week[day.weekday()]
            found = (Span(self._moment(day, each.start, 0), self._moment(day, each.end, 1)) for each in hours)
            spans = self._days[day] = tuple(span for span in found if span.start < span.end)
        return spans

    def _moment(self, day: date, minute: int, fold: int) -> int:
        """The moment at which the zone's wall clock shows that; the next that it shows, where it shows none.

        ``fold``: the first (0) or the second (1) of two moments at which it does.
        """
        midnight = datetime(day.year, day.month, day.day, tzinfo=self._zone)
        wall = midnight + minute * _MINUTE  # by the wall clock, not by time that passes
        while not self._shown(wall):
            wall += _MINUTE
        if minute < 1440:  # the day's end is where the next one begins
            wall = wall.replace(fold=fold)
        return (wall.astimezone(UTC) - _EPOCH) // _MICROSECOND * 1000

    def _shown(self, wall: datetime) -> bool:
        return wall.astimezone(UTC).astimezone(self._zone) == wall
