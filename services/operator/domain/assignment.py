"""Who gets a conversation that waits: decided for the whole desk at once, from what is known of it. Pure.

The urgent come first, then who waits longest: nobody is passed over for somebody who came later,
unless nobody may take them. Of the operators who may, those come first who speak the visitor's
language, then those with the least to do, then those who got a conversation longest ago. What is alike in all
that is told apart by its name, so the same desk always gives the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from services.operator.domain.availability import Availability
from services.operator.domain.desk import ConversationSummary
from shared.contract.desk_facts import Priority
from shared.contract.desk_settings import DeskSettings

_URGENCY: Final[dict[Priority, int]] = {"urgent": 0, "high": 1, "normal": 2, "low": 3}


class WaitingConversation(msgspec.Struct, frozen=True):
    """A conversation in ``queue``; its visitor waits since then (nanoseconds since 1970, UTC)."""

    id: str
    queue: str
    since: int
    priority: Priority = "normal"
    language: str = ""


class DeskOperator(msgspec.Struct, frozen=True):
    """An operator with so many conversations, who got the last at ``given`` (nanoseconds since 1970, UTC;
    0: never).
    """

    account: str
    availability: Availability
    conversations: int = 0
    given: int = 0


class Gift(NamedTuple):
    """This conversation is for this account."""

    conversation: str
    account: str


def to_give(summary: ConversationSummary) -> WaitingConversation | None:
    """A conversation that may be given out. None: it does not wait in a queue, is meant for one person, or is
    no request of a customer.
    """
    state, notes = summary.state, summary.notes
    if state.ownership.owner != "queue" or notes.spam or (notes.assigned is not None and notes.assigned.to):
        return None
    return WaitingConversation(
        summary.id, state.ownership.queue, summary.waiting, notes.priority, state.visit.begun.language
    )


def assign(
    waiting: Iterable[WaitingConversation], operators: Sequence[DeskOperator], settings: DeskSettings
) -> list[Gift]:
    """All that can be given now, in the order in which it is to be given: one conversation for each operator
    at most, so that the next one is decided on what came of it.

    Only those get something who are online and have fewer conversations than they can; only queues give
    something whose assignment is automatic.
    """
    free = {each.account: each for each in operators if is_free(each, settings)}
    gifts: list[Gift] = []
    for each in sorted(waiting, key=lambda each: (_URGENCY[each.priority], each.since, each.id)):
        queue = settings.queue(each.queue)
        if not queue.automatic:
            continue
        able = [who for account, who in free.items() if queue.is_served_by(account)]
        if able:
            account = min(able, key=lambda who: _rank(who, each, settings)).account
            gifts.append(Gift(each.id, account))
            del free[account]
    return gifts


def is_free(who: DeskOperator, settings: DeskSettings) -> bool:
    """Whether the operator is online, and has fewer conversations than they can."""
    capacity = settings.skills(who.account).capacity
    return who.availability == "online" and (not capacity or who.conversations < capacity)


def _rank(
    who: DeskOperator, conversation: WaitingConversation, settings: DeskSettings
) -> tuple[bool, int, int, str]:
    speaks = settings.skills(who.account).speaks(conversation.language)
    return not speaks, who.conversations, who.given, who.account
