"""How many operators are there: told by the operator service's replicas every few seconds.

Core NATS, no facts: who is there now means nothing later.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import msgspec

#: A replica that has told nothing for so long is gone, and its operators with it (seconds).
FRESH_SECONDS = 15.0

#: Nothing was ever heard: somebody is assumed.
UNKNOWN = -1


class OperatorsPresent(msgspec.Struct):
    """So many operators have a console open at this replica of the operator service."""

    replica: str
    operators: int


class Presence:
    """The sum over all replicas of the operator service."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._heard: dict[str, tuple[float, int]] = {}
        self._ever = False

    def hear(self, told: OperatorsPresent) -> None:
        """A replica says how many operators it serves."""
        self._heard[told.replica] = (self._clock(), max(0, told.operators))
        self._ever = True

    @property
    def operators(self) -> int:
        """How many are present, `UNKNOWN` while nobody has told anything since the start."""
        if not self._ever:
            return UNKNOWN
        since = self._clock() - FRESH_SECONDS
        if any(time < since for time, _ in self._heard.values()):
            self._heard = {name: told for name, told in self._heard.items() if told[0] >= since}
        return sum(operators for _, operators in self._heard.values())
