"""A period as it is asked for, and the one before it. Pure; moments are nanoseconds since 1970, UTC."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.analytics.domain.periods import MAX_POINTS, Period, Step, TooManyPoints, begins, day_of, days
from services.analytics.domain.periods import read_moment as read

#: What may be asked for.
FIRST: Final = date(2000, 1, 1)
LAST: Final = date(2100, 12, 31)
MAX_DAYS: Final = 3_660
#: What is shown where nothing else is asked for.
USUAL_DAYS: Final = 28
#: A period that goes on is compared with as much of the one before; it grows in such steps.
_MINUTE: Final = 60 * 1_000_000_000
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
#: The step of a series: the first with which it has at most so many points.
_USUAL_POINTS: Final = 100


class BadPeriod(ValueError):
    """The text names what is wrong, and what would be right."""


class AskedPeriod(NamedTuple):
    """``before`` is as long: as many days, if it was asked by days. Of a period that goes on it is as much as
    has passed so far.
    """

    period: Period
    before: Period
    zone: ZoneInfo


def zone_of(name: str) -> ZoneInfo:
    """Raises `BadPeriod`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadPeriod(
            f"zone: {name[:40]!r} is no time zone; it is a name of IANA's, as Europe/Berlin or UTC"
        ) from error


def asked_period(since: str, until: str, zone: ZoneInfo, now: int) -> AskedPeriod:
    """Of dates, the last one included, or moments of ISO 8601. Raises `BadPeriod`.

    Without either, the last 28 days; without ``until``, up to today's end.
    """
    today = day_of(now, zone)
    last = until or today.isoformat()
    first = (
        since
        or (
            _date("until", last) - timedelta(days=USUAL_DAYS - 1) if _DATE.fullmatch(last) else today
        ).isoformat()
    )
    if _DATE.fullmatch(first) and _DATE.fullmatch(last):
        begin, end = _date("since", first), _date("until", last)
        if end < begin:
            raise BadPeriod(f"until: {last} is before since, which is {first}")
        count = (end - begin).days + 1
        _check_length(count)
        period, shift = days(begin, end, zone), timedelta(days=count)
        before = days(begin - shift, end - shift, zone) if begin - shift >= FIRST else None
    else:
        period = Period(_moment("since", first, zone), _moment("until", last, zone))
        if period.until <= period.since:
            raise BadPeriod(f"until: {last} is not after since, which is {first}")
        _check_length((period.until - period.since) // (86_400 * 1_000_000_000))
        before = period.before
    if before is None or before.since < 0:
        before = Period(0, 0)
    passed = max(0, now - now % _MINUTE - period.since)
    if passed < period.until - period.since:
        before = Period(before.since, min(before.until, before.since + passed))
    return AskedPeriod(period, before, zone)


def step_of(period: Period, zone: ZoneInfo, asked: Step | None) -> Step:
    """The step that was asked for, or one with which a series can be looked at. Raises `BadPeriod`."""
    try:
        if asked is not None:
            begins(period, asked, zone)
            return asked
        length = (period.until - period.since) / 3_600e9
        steps: tuple[tuple[Step, float], ...] = (("hour", 1), ("day", 24), ("week", 168), ("month", 720))
        most = (50, *(_USUAL_POINTS,) * 2, MAX_POINTS)
        return next(
            step for (step, hours), points in zip(steps, most, strict=True) if length / hours <= points
        )
    except TooManyPoints as error:
        raise BadPeriod(f"step: {error}") from error


def _check_length(count: int) -> None:
    if count > MAX_DAYS:
        raise BadPeriod(f"since: the period has {count} days, and may have {MAX_DAYS}: ask for a shorter one")


def _date(name: str, text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise BadPeriod(f"{name}: {text} is no day of the calendar; it is as 2026-11-27") from error
    if not FIRST <= found <= LAST:
        raise BadPeriod(f"{name}: {text} is not from {FIRST} to {LAST}")
    return found


def _moment(name: str, text: str, zone: ZoneInfo) -> int:
    """Of a date, when it begins as ``since``, and when it ends as ``until``."""
    if _DATE.fullmatch(text):
        day = _date(name, text)
        return days(day, day, zone)[name == "until"]
    try:
        found = read(text, zone)
    except (ValueError, OverflowError) as error:
        raise BadPeriod(
            f"{name}: {text[:40]!r} is neither a date, as 2026-11-27, nor a time, as 2026-11-27T09:00+01:00"
        ) from error
    if not days(FIRST, FIRST, zone).since <= found <= days(LAST, LAST, zone).until:
        raise BadPeriod(f"{name}: {text} is not from {FIRST} to {LAST}")
    return found
