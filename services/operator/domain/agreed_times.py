"""Agreed times: by when a visitor is to be answered, and what they want to be done. Pure.

Only working time counts. When that is over follows from the conversation and the desk's settings alone, so
nothing needs to be kept, and changed settings hold at once.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from services.operator.domain.desk import ConversationSummary
from services.operator.domain.working_hours import WorkingHours

#: A person's first word, each later one, and the end.
Goal = Literal["first_response", "next_response", "resolution"]

#: From this part of an agreed time on it is marked.
MARK: Final = 0.8


class AgreedTimes(msgspec.Struct, frozen=True):
    """Working time for each goal (nanoseconds); 0: nothing is agreed."""

    first_response: int = 0
    next_response: int = 0
    resolution: int = 0


class Due(msgspec.Struct, frozen=True):
    """``goal`` is due at ``at``, and marked from ``mark`` on (nanoseconds since 1970, UTC)."""

    goal: Goal
    at: int
    mark: int


def due(summary: ConversationSummary, agreed: AgreedTimes, hours: WorkingHours) -> Due | None:
    """What is due first in a conversation that is for a person; None: nothing is."""
    goals: list[tuple[Goal, int, int]] = [("resolution", summary.wanted, agreed.resolution)]
    if summary.answered:
        goals.append(("next_response", summary.waiting, agreed.next_response))
    else:
        goals.append(("first_response", summary.waiting, agreed.first_response))
    found: Due | None = None
    for goal, since, working in goals:
        if not since or not working:
            continue
        at = hours.after(since, working)
        mark = hours.after(since, int(working * MARK))
        if at is not None and mark is not None and (found is None or at < found.at):
            found = Due(goal, at, mark)
    return found
