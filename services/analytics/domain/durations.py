"""How long things took, kept so that memory stays the same however many there were."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate
from typing import Final

#: The smallest and the largest duration told apart (seconds): 0.1 ms and ten years.
LEAST: Final = 1e-4
MAX_LENGTH: Final = 10 * 365 * 86_400.0

NANOSECONDS: Final = 1_000_000_000

#: Each bin of `Durations` is so much wider than the one before; a quantile is off by half of it, 2 %.
_GROWTH: Final = 1.04
_LOG_GROWTH: Final = math.log(_GROWTH)


class Durations:
    """Quantiles of many durations: at most some 740 bins, each 4 % wider than the one before."""

    def __init__(self) -> None:
        self.count = 0
        self._bins: dict[int, int] = {}

    def add(self, seconds: float) -> None:
        """One more duration; what is out of range counts as the nearest that is in it."""
        number = round(math.log(min(max(seconds, LEAST), MAX_LENGTH) / LEAST) / _LOG_GROWTH)
        self._bins[number] = self._bins.get(number, 0) + 1
        self.count += 1

    def quantile(self, share: float) -> float | None:
        """The duration (seconds) that ``share`` of all stay at or below; None if there are none."""
        wanted = max(1, math.ceil(share * self.count))
        seen = 0
        for number in sorted(self._bins):
            seen += self._bins[number]
            if seen >= wanted:
                return LEAST * math.exp(number * _LOG_GROWTH)
        return None


class Histogram:
    """Counts below fixed bounds (seconds), as Prometheus wants them."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self._nanoseconds = 0  # not seconds: a sum of floats depends on the order
        self._counts = [0] * (len(bounds) + 1)

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(self.bounds, seconds)] += 1
        self._nanoseconds += round(seconds * NANOSECONDS)

    @property
    def sum(self) -> float:
        """All durations together (seconds)."""
        return self._nanoseconds / NANOSECONDS

    def cumulative(self) -> list[int]:
        """How many lie at or below each bound; the last is how many there are at all."""
        return list(accumulate(self._counts))
