"""How the queues stand, as the workflow is told: who could take something, what waits, for how long. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from statistics import median
from typing import Final

from services.operator.domain.assignment import DeskOperator, is_free
from shared.contract.desk_settings import DeskSettings
from shared.contract.queue_figures import MAX_TOLD, OTHER_QUEUES, QueueFigures

#: Of so long the waits count (nanoseconds), of so many queues, and so many of each.
HOUR: Final = 3600 * 10**9
MAX_QUEUES: Final = 300
MAX_WAITS: Final = 500
#: Fewer waits than these say nothing about the next.
MIN_WAITS: Final = 3


class RecentWaits:
    """How long visitors waited lately until somebody took over. What was before the start is not known."""

    def __init__(self) -> None:
        self._of: dict[str, deque[tuple[int, int]]] = {}

    def add(self, queue: str, time: int, wait: int) -> None:
        """Somebody took over at ``time`` (nanoseconds since 1970, UTC) after ``wait`` nanoseconds."""
        if queue not in self._of and len(self._of) >= MAX_QUEUES:
            del self._of[next(iter(self._of))]
        self._of.setdefault(queue, deque(maxlen=MAX_WAITS)).append((time, wait))

    def clear(self) -> None:
        self._of.clear()

    def expected(self, queue: str, now: int) -> int | None:
        """The median of the last hour (seconds); None: there were too few."""
        waits = [wait for time, wait in self._of.get(queue, ()) if now - HOUR <= time]
        return round(median(waits) / 10**9) if len(waits) >= MIN_WAITS else None


def queue_figures(
    settings: DeskSettings,
    operators: Collection[DeskOperator],
    waiting: Mapping[str, int],
    recent: RecentWaits,
    now: int,
) -> dict[str, QueueFigures]:
    """Of each queue that has settings, or in which somebody waits; and of all the others."""
    free = [who for who in operators if is_free(who, settings)]

    def figures(name: str) -> QueueFigures:
        queue = settings.queue(name)
        able = any(queue.is_served_by(who.account) for who in free)
        return QueueFigures(
            queue.hours.open_at(now) and able, waiting.get(name, 0), recent.expected(name, now)
        )

    names = [*settings.queues, *(name for name in waiting if name not in settings.queues)]
    return {name: figures(name) for name in (OTHER_QUEUES, *names[: MAX_TOLD - 1])}
