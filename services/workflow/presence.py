"""How many operators are there, and how their queues stand.

Told by the operator service's replicas every few seconds.

Core NATS, no facts: who is there now means nothing later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic

import msgspec

from shared.contract.queue_figures import QueueFigures

#: A replica that has told nothing for so long is gone, and its operators with it (seconds).
FRESH_SECONDS = 15.0

#: Nothing was ever heard: somebody is assumed.
UNKNOWN = -1


class OperatorsPresent(msgspec.Struct):
    """So many operators have a console open at this replica of the operator service, and the queues stand so
    as far as it knows.
    """

    replica: str
    operators: int
    queues: dict[str, QueueFigures] = {}


class Presence:
    """The sum over all replicas of the operator service."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._heard: dict[str, tuple[float, int]] = {}
        self._ever = False
        self._queues: tuple[float, Mapping[str, QueueFigures]] = (-FRESH_SECONDS, {})

    def hear(self, told: OperatorsPresent) -> None:
        """A replica says how many operators it serves."""
        self._heard[told.replica] = (self._clock(), max(0, told.operators))
        self._ever = True
        if told.queues:  # each replica knows all of them, once it has read the log
            self._queues = self._clock(), told.queues

    @property
    def queues(self) -> Mapping[str, QueueFigures]:
        """How the queues stand; nothing, while nobody has told it of late."""
        heard, queues = self._queues
        return queues if self._clock() - heard < FRESH_SECONDS else {}

    @property
    def operators(self) -> int:
        """How many are present, `UNKNOWN` while nobody has told anything since the start."""
        if not self._ever:
            return UNKNOWN
        since = self._clock() - FRESH_SECONDS
        if any(time < since for time, _ in self._heard.values()):
            self._heard = {name: told for name, told in self._heard.items() if told[0] >= since}
        return sum(operators for _, operators in self._heard.values())
