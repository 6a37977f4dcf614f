"""Which names are shown by themselves: so many as came first, and all others together.

First means first stored, not first read: over several streams, a replay reads in another order than the live
feed. So every replica shows the same, whenever it began.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.contract.entry import RecordedEntry

#: What all further names are shown as.
OTHER: Final = "other"

#: A place in the order of all that was stored: time, conversation, position, which fact, which name in it.
Moment = tuple[int, str, int, int, int]


def moment(recorded: RecordedEntry, fact: int = 0) -> Moment:
    return recorded.time, recorded.conversation, recorded.position, fact, 0


class Labels:
    """The first ``limit`` names. All are remembered: authors of flows invent them, visitors cannot."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._first: dict[str, Moment] = {}

    def note(self, name: str, at: Moment) -> None:
        self._first[name] = min(at, self._first.get(name, at))

    def shown(self) -> list[str]:
        """The names shown by themselves, the first one first."""
        return sorted(self._first, key=self._first.__getitem__)[: self._limit]

    def group(self, counts: Mapping[str, int]) -> dict[str, int]:
        """The counts as they are shown: each of `shown`, then the sum of the others, if there are any."""
        shown = self.shown()
        grouped = {name: counts.get(name, 0) for name in shown}
        if len(self._first) > len(shown):
            rest = sum(count for name, count in counts.items() if name not in grouped)
            grouped[OTHER] = grouped.get(OTHER, 0) + rest
        return grouped
