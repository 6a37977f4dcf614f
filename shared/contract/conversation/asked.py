"""Asked: what an operator asked of the visitor by a button, and what came of it."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from shared.contract.conversation.rule import Rules
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AddressAsked,
    AddressGiven,
    AssistantSaid,
    BotSaid,
    ChoiceAsked,
    ConversationClaimed,
    ConversationEnded,
    ConversationErased,
    ConversationRated,
    ConversationReset,
    ConversationResolved,
    EditorOpened,
    Fact,
    FlowStarted,
    HandoffRequested,
    OperatorSaid,
    RatingAsked,
)


class OperatorAsks(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="contract", tag="asked/1"
):
    """A matter lasts until the conversation goes on after it was closed, or begins anew."""

    rating: Literal["", "asked", "given"] = ""  # in this matter
    over: bool = False  # the matter was closed; what comes next is another one
    #: What was asked of the visitor last, if nothing was said to them since: a client that knows texts alone
    #: answers that, and nothing else, by a text.
    last: Literal["", "rating", "address"] = ""


def _anew(state: OperatorAsks, recorded: RecordedEntry, fact: Fact) -> OperatorAsks:
    return OperatorAsks()


def _goes_on(state: OperatorAsks, recorded: RecordedEntry, fact: Fact) -> OperatorAsks:
    return OperatorAsks() if state.over else state


def _over(state: OperatorAsks, recorded: RecordedEntry, fact: Fact) -> OperatorAsks:
    return replace(state, over=True)


def _said(state: OperatorAsks, recorded: RecordedEntry, fact: Fact) -> OperatorAsks:
    return replace(state, last="") if state.last else state


def _rating_asked(state: OperatorAsks, recorded: RecordedEntry, fact: RatingAsked) -> OperatorAsks:
    return replace(state, rating="asked", last="rating")


def _address_asked(state: OperatorAsks, recorded: RecordedEntry, fact: AddressAsked) -> OperatorAsks:
    return replace(state, last="address")


def _address_given(state: OperatorAsks, recorded: RecordedEntry, fact: AddressGiven) -> OperatorAsks:
    return replace(state, last="") if state.last == "address" else state


def _rated(state: OperatorAsks, recorded: RecordedEntry, fact: ConversationRated) -> OperatorAsks:
    return replace(state, rating="given", last="" if state.last == "rating" else state.last)


RULES: Final[Rules[OperatorAsks]] = {
    ConversationReset: _anew,
    ConversationErased: _anew,
    HandoffRequested: _goes_on,
    ConversationClaimed: _goes_on,
    FlowStarted: _goes_on,
    ConversationResolved: _over,
    ConversationEnded: _over,
    BotSaid: _said,
    AssistantSaid: _said,
    ChoiceAsked: _said,
    EditorOpened: _said,
    OperatorSaid: _said,
    RatingAsked: _rating_asked,
    AddressAsked: _address_asked,
    AddressGiven: _address_given,
    ConversationRated: _rated,
}
