"""Times of the log: nanoseconds since 1970 (UTC) inside, RFC 3339 outside."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=64)
def _seconds(prefix: str) -> int:
    return int(datetime.fromisoformat(prefix).replace(tzinfo=UTC).timestamp())


def parse_time(text: str) -> int:
    """Nanoseconds of the server's ``2026-01-31T12:00:00.123456789Z``, exactly."""
    fraction = text[20:-1] if len(text) > 20 else ""
    return _seconds(text[:19]) * 1_000_000_000 + int(fraction.ljust(9, "0") or 0)


def format_time(time: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    seconds, nanoseconds = divmod(time, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds // 1_000_000:03d}Z"
