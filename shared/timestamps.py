"""Times of the log: nanoseconds since 1970 (UTC) inside, RFC 3339 outside."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=64)
def _whole(prefix: str) -> int:
    """Nanoseconds of a time without its fraction."""
    return int(datetime.fromisoformat(prefix).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def parse_time(text: str) -> int:
    """Nanoseconds of the server's ``2026-01-31T12:00:00.123456789Z``, exactly."""
    fraction = text[20:-1]
    if len(fraction) < 9:  # the server leaves zeros at the end away
        fraction = fraction.ljust(9, "0")
    return _whole(text[:19]) + int(fraction)


def format_time(time: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    seconds, nanoseconds = divmod(time, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds // 1_000_000:03d}Z"
