"""Ownership: who answers the visitor, and whether the conversation is open."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from shared.contract.conversation.rule import Rules
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    ChoiceMade,
    ConversationClaimed,
    ConversationEnded,
    ConversationErased,
    ConversationHandedBack,
    ConversationReset,
    ConversationResolved,
    ConversationTransferred,
    Fact,
    FlowStarted,
    HandoffRequested,
    HandoffWithdrawn,
    OperatorSaid,
    TextWritten,
)

Owner = Literal["bot", "queue", "operator"]
Status = Literal["open", "resolved"]


class Ownership(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="contract", tag="ownership/3"
):
    """Who owns the conversation. At first it is the bot's, and open."""

    owner: Owner = "bot"
    status: Status = "open"
    operator: str = ""  # the owning operator's account, while the owner is "operator"
    operator_name: str = ""
    queue: str = ""  # where the visitor waits or last waited
    resolved: int = 0  # when an operator closed it last (ns since 1970, UTC)
    ended_by_bot: bool = False  # "resolved" because nobody wrote, not by an operator
    waiting: int = 0  # since when the visitor waits for a person's word (ns since 1970, UTC); 0: does not

    def is_of(self, operator: str) -> bool:
        """Whether this operator owns the conversation."""
        return self.owner == "operator" and self.operator == operator


def _reset(state: Ownership, recorded: RecordedEntry, fact: Fact) -> Ownership:
    return Ownership()


def _flow_started(state: Ownership, recorded: RecordedEntry, fact: FlowStarted) -> Ownership:
    return replace(state, status="open", ended_by_bot=False)


def _handoff(state: Ownership, recorded: RecordedEntry, fact: HandoffRequested) -> Ownership:
    since = state.waiting or recorded.time
    return replace(state, owner="queue", status="open", queue=fact.queue, waiting=since)


def _handoff_withdrawn(state: Ownership, recorded: RecordedEntry, fact: HandoffWithdrawn) -> Ownership:
    return replace(state, owner="bot", waiting=0)


def _claimed(state: Ownership, recorded: RecordedEntry, fact: ConversationClaimed) -> Ownership:
    """The bot is silent from here on, whoever asked for that: the visitor waits for the operator's word."""
    return replace(
        state,
        owner="operator",
        status="open",
        operator=fact.operator,
        operator_name=fact.name,
        waiting=state.waiting or recorded.time,
    )


def _wrote(state: Ownership, recorded: RecordedEntry, fact: TextWritten | ChoiceMade) -> Ownership:
    if state.owner != "operator" or state.waiting:
        return state
    return replace(state, waiting=recorded.time)


def _answered(state: Ownership, recorded: RecordedEntry, fact: OperatorSaid) -> Ownership:
    return replace(state, waiting=0) if state.waiting else state


def _handed_back(state: Ownership, recorded: RecordedEntry, fact: ConversationHandedBack) -> Ownership:
    return _released(state)


def _transferred(state: Ownership, recorded: RecordedEntry, fact: ConversationTransferred) -> Ownership:
    if fact.to:
        return replace(state, operator=fact.to, operator_name=fact.name)
    since = state.waiting or recorded.time
    return replace(_released(state), owner="queue", queue=fact.queue, waiting=since)


def _resolved(state: Ownership, recorded: RecordedEntry, fact: ConversationResolved) -> Ownership:
    return replace(_released(state), status="resolved", ended_by_bot=False, resolved=recorded.time)


def _ended(state: Ownership, recorded: RecordedEntry, fact: ConversationEnded) -> Ownership:
    return replace(_released(state), status="resolved", ended_by_bot=True)


def _released(state: Ownership) -> Ownership:
    return replace(state, owner="bot", operator="", operator_name="", waiting=0)


RULES: Final[Rules[Ownership]] = {
    ConversationReset: _reset,
    ConversationErased: _reset,
    FlowStarted: _flow_started,
    HandoffRequested: _handoff,
    HandoffWithdrawn: _handoff_withdrawn,
    ConversationClaimed: _claimed,
    TextWritten: _wrote,
    ChoiceMade: _wrote,
    OperatorSaid: _answered,
    ConversationHandedBack: _handed_back,
    ConversationTransferred: _transferred,
    ConversationResolved: _resolved,
    ConversationEnded: _ended,
}
