"""Guards: which facts take effect, and which of them the bot owes an outcome.

A guard is given the state before the fact, and may look at every sub-state. What the fact then does is said
by the rules, each of which sees its own sub-state only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from shared.contract.conversation.state import Conversation
from shared.contract.facts import (
    AddressAsked,
    AnswerStarted,
    ChoiceMade,
    ConversationClaimed,
    ConversationHandedBack,
    ConversationReset,
    ConversationResolved,
    ConversationStarted,
    ConversationTransferred,
    EngagementBegan,
    EngagementEnded,
    Fact,
    FlowMigrated,
    HandoffWithdrawn,
    OperatorSaid,
    RatingAsked,
    RequestMade,
    ServiceAnswered,
    TextWritten,
    TimerFired,
)

Guard = Callable[[Conversation, Any], bool]


def _not_started(state: Conversation, fact: ConversationStarted) -> bool:
    return not state.visit.started


def _no_engagement(state: Conversation, fact: ConversationReset) -> bool:
    return state.engagement is None


def _of_this_version(state: Conversation, fact: FlowMigrated) -> bool:
    return state.progress.version == fact.before


def _still_owed(state: Conversation, fact: ServiceAnswered) -> bool:
    return state.inbox.owes(fact.cause)


def _newer_attempt(state: Conversation, fact: AnswerStarted) -> bool:
    return state.inbox.owes(fact.cause) and fact.attempt > state.answer.attempts


def _awaited(state: Conversation, fact: HandoffWithdrawn) -> bool:
    return state.ownership.owner == "queue"


def _unclaimed(state: Conversation, fact: ConversationClaimed) -> bool:
    return state.ownership.owner != "operator"


def _by_the_owner(
    state: Conversation, fact: OperatorSaid | ConversationHandedBack | ConversationTransferred | AddressAsked
) -> bool:
    return state.ownership.is_of(fact.operator)


def _may_resolve(state: Conversation, fact: ConversationResolved) -> bool:
    """The owner may; while nobody owns, whoever says that they did not join."""
    if fact.unjoined:
        return state.ownership.owner != "operator"
    return state.ownership.is_of(fact.operator)


def _may_ask_for_rating(state: Conversation, fact: RatingAsked) -> bool:
    """Once for each matter: by the owner, or by anybody once it is over."""
    ownership = state.ownership
    over = state.visit.started and ownership.status == "resolved"
    return state.asked.rating == "" and (over or ownership.is_of(fact.operator))


def _armed(state: Conversation, fact: TimerFired) -> bool:
    return state.timers.is_armed(fact.id)


def _not_a_visitors(state: Conversation, fact: EngagementBegan) -> bool:
    return state.engagement is not None or not state.visit.started


def _engaged(state: Conversation, fact: RequestMade | EngagementEnded) -> bool:
    return state.engagement is not None and not state.engagement.over


def _not_engaged(state: Conversation, fact: EngagementBegan) -> bool:
    return state.engagement is None or state.engagement.over


def _by_the_bot(state: Conversation, fact: Fact) -> bool:
    """While a person owns or is awaited, an input's outcome is: handed over."""
    return state.ownership.owner == "bot"


def _always(state: Conversation, fact: Fact) -> bool:
    return True


#: When a fact takes effect; those that are not here always do.
COUNTS: Final[Mapping[type, Guard]] = {
    ConversationStarted: _not_started,
    ConversationReset: _no_engagement,
    FlowMigrated: _of_this_version,
    ServiceAnswered: _still_owed,
    AnswerStarted: _newer_attempt,
    HandoffWithdrawn: _awaited,
    ConversationClaimed: _unclaimed,
    OperatorSaid: _by_the_owner,
    ConversationHandedBack: _by_the_owner,
    ConversationTransferred: _by_the_owner,
    ConversationResolved: _may_resolve,
    RatingAsked: _may_ask_for_rating,
    AddressAsked: _by_the_owner,
    TimerFired: _armed,
    EngagementBegan: _not_a_visitors,
    RequestMade: _engaged,
    EngagementEnded: _engaged,
}

#: When a fact that takes effect is owed an outcome; those that are not here never are. What follows from a
#: timer is owed like the answer to an input: a crash in between loses nothing.
OWED: Final[Mapping[type, Guard]] = {
    TextWritten: _by_the_bot,
    ChoiceMade: _by_the_bot,
    ConversationStarted: _by_the_bot,
    ConversationReset: _always,
    ConversationHandedBack: _always,
    TimerFired: _always,
    EngagementBegan: _not_engaged,
    RequestMade: _always,
    EngagementEnded: _always,
}
