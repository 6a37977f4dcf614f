"""A limit on failed logins. The clock is passed in."""

from __future__ import annotations

from collections import OrderedDict, deque

WINDOW_SECONDS = 60.0
#: Keys remembered at most: a flood of invented names must not fill the memory.
MAX_KEYS = 10_000


class Failures:
    """At most ``most`` failures for one key within a minute."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, key: str, now: float) -> float:
        """Seconds until another try may be made; 0 for now."""
        times = self._recent(key, now)
        return 0.0 if len(times) < self._most else times[0] + WINDOW_SECONDS - now

    def add(self, key: str, now: float) -> None:
        """Count a try as failed. Count it before it is made: tries at once are then seen together."""
        self._recent(key, now).append(now)
        self._times.move_to_end(key)
        while len(self._times) > MAX_KEYS:
            self._times.popitem(last=False)

    def take_back(self, key: str, time: float) -> None:
        """The try that was counted at ``time`` did not fail."""
        times = self._times.get(key)
        if times is not None and time in times:
            times.remove(time)

    def _recent(self, key: str, now: float) -> deque[float]:
        times = self._times.setdefault(key, deque(maxlen=self._most + 1))
        while times and times[0] <= now - WINDOW_SECONDS:
            times.popleft()
        return times
