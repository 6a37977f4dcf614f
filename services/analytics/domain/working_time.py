"""Durations in working time: of each queue, how much was worked up to any moment. Pure.

It follows the hours that the desk's settings say now: hours of before are nowhere kept.
"""

from __future__ import annotations

from typing import NamedTuple

from shared.contract.desk_settings import DeskSettings


class WorkedSpans(NamedTuple):
    """Spans in which people of the queue ``names[i]`` work, as columns of a table: from ``starts[i]`` to
    ``ends[i]`` (nanoseconds since 1970), and how much was worked ``before``. Each queue has one of no length
    before all others.
    """

    names: list[str]
    starts: list[int]
    ends: list[int]
    before: list[int]


class WorkingTime:
    """The hours of the queues that the settings name; in all others people always work."""

    def __init__(self, settings: DeskSettings) -> None:
        self._queues = {name: queue.hours for name, queue in settings.queues.items()}

    def spans(self, since: int, until: int) -> WorkedSpans:
        """Those that touch the time from ``since`` to ``until``."""
        spans = WorkedSpans([], [], [], [])
        for name, hours in self._queues.items():
            worked = 0
            for start, end in ((-(2**62), -(2**62)), *hours.spans(since, until)):
                spans.names.append(name)
                spans.starts.append(start)
                spans.ends.append(end)
                spans.before.append(worked)
                worked += end - start
        return spans
