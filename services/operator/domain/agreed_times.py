"""Agreed times: by when a visitor is to be answered, and what they want to be done. Pure.

Only working time counts. When that is over follows from the conversation and the desk's settings alone, so
changed settings hold at once. Kept is only that it was said: `marks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

import msgspec

from services.operator.domain.desk import ConversationSummary
from shared.contract.desk_facts import AgreedTimeReached, Goal
from shared.contract.desk_settings import AgreedTimes
from shared.contract.working_hours import WorkingHours
from shared.timestamps import format_time

#: From this part of an agreed time on it is marked.
MARK: Final = 0.8


class Due(msgspec.Struct, frozen=True):
    """``goal`` is due at ``at``, and marked from ``mark`` on (nanoseconds since 1970, UTC)."""

    goal: Goal
    at: int
    mark: int


def due(summary: ConversationSummary, agreed: AgreedTimes, hours: WorkingHours) -> Due | None:
    """What is due first in a conversation that is for a person; None: nothing is."""
    return min(all_due(summary, agreed, hours), key=lambda each: each.at, default=None)


def all_due(summary: ConversationSummary, agreed: AgreedTimes, hours: WorkingHours) -> Iterator[Due]:
    """Each goal that is due in a conversation that is for a person."""
    for goal in _open_goals(summary):
        since, working = _since(summary, goal), getattr(agreed, goal)
        if not since or not working:
            continue
        at = hours.after(since, working)
        mark = hours.after(since, int(working * MARK))
        if at is not None and mark is not None:
            yield Due(goal, at, mark)


class TimeMark(msgspec.Struct, frozen=True):
    """That ``fact`` is to be noted. ``id`` is the same for whoever finds so, and in a resharded log."""

    id: str
    fact: AgreedTimeReached


def marks(
    summary: ConversationSummary, queue: str, agreed: AgreedTimes, hours: WorkingHours, now: int
) -> Iterator[TimeMark]:
    """What is to be noted at ``now`` (nanoseconds since 1970, UTC) of agreed times, and was not yet.

    Once for each time that a goal is due, whatever the settings become meanwhile. Where all of a time has
    passed already, it is not said that most of it has.
    """
    for due in all_due(summary, agreed, hours):
        if now < due.mark:
            continue
        over = now >= due.at
        which = f"agreed time {due.goal} {_since(summary, due.goal)} {over}"
        id = blake2b(which.encode(), digest_size=16).hexdigest()
        if id not in summary.notes.ids:
            fact = AgreedTimeReached(goal=due.goal, queue=queue, due=format_time(due.at), over=over)
            yield TimeMark(id, fact)


def _open_goals(summary: ConversationSummary) -> tuple[Goal, Goal]:
    return "resolution", "next_response" if summary.answered else "first_response"


def _since(summary: ConversationSummary, goal: Goal) -> int:
    return summary.wanted if goal == "resolution" else summary.waiting
