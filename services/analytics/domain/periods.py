"""Periods, and the hours, days, weeks and months of a calendar in them. Pure; moments are nanoseconds since
1970, UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

Step: TypeAlias = Literal["hour", "day", "week", "month"]

#: Points of a series, at most.
MAX_POINTS: Final = 1_000
_SECOND: Final = 1_000_000_000
_HOUR: Final = timedelta(hours=1)


class TooManyPoints(ValueError):
    """The text says what to do."""


class Period(NamedTuple):
    """From a moment up to another, without it."""

    since: int
    until: int

    @property
    def before(self) -> Period:
        """As long, and ending where it begins."""
        return Period(2 * self.since - self.until, self.since)


def read_moment(text: str, zone: ZoneInfo) -> int:
    """A date or time of ISO 8601, by the zone's wall clock where it names no other. Raises ValueError."""
    found = datetime.fromisoformat(text)
    return _moment(found if found.tzinfo is not None else found.replace(tzinfo=zone))


def days(first: date, last: date, zone: ZoneInfo) -> Period:
    """From the begin of a day of the zone to the end of another."""
    return Period(_day(first, zone), _day(last + timedelta(days=1), zone))


def day_of(moment: int, zone: ZoneInfo) -> date:
    return _at(moment, zone).date()


def begins(period: Period, step: Step, zone: ZoneInfo) -> list[int]:
    """When the zone's hours, days, weeks (of Monday) or months begin that the period touches, in order.

    The first may begin before the period does. Raises `TooManyPoints`.
    """
    found: list[int] = []
    for begin in _all(period.since, step, zone):
        if begin >= period.until:
            return found
        if len(found) == MAX_POINTS:
            raise TooManyPoints(
                f"a series has at most {MAX_POINTS} points: ask for a shorter period,"
                f" or for longer steps than a {step}"
            )
        found.append(begin)
    return found


def _all(since: int, step: Step, zone: ZoneInfo) -> Iterator[int]:
    if step == "hour":  # by time that passes: a clock that is put back has an hour twice
        hour = _at(since, zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
        while True:
            yield _moment(hour)
            hour += _HOUR
    day = day_of(since, zone)
    if step == "week":
        day -= timedelta(days=day.weekday())
    elif step == "month":
        day = day.replace(day=1)
    while True:
        yield _day(day, zone)
        if step == "month":
            day = (day + timedelta(days=31)).replace(day=1)
        else:
            day += timedelta(days=7 if step == "week" else 1)


def _day(day: date, zone: ZoneInfo) -> int:
    """When it begins: where a clock is put forward at midnight, there is none."""
    return _moment(datetime(day.year, day.month, day.day, tzinfo=zone))


def _at(moment: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(moment // _SECOND, UTC).astimezone(zone)


def _moment(at: datetime) -> int:
    return int(at.timestamp()) * _SECOND
