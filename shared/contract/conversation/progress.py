"""Progress: where the conversation stands in its flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from shared.contract.conversation.rule import Rules
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AddressGiven,
    AskedAgain,
    ConversationEnded,
    ConversationErased,
    ConversationReset,
    Fact,
    FlowAdvanced,
    FlowMigrated,
    FlowStarted,
    VariableSaved,
)

#: The variable in which a visitor's e-mail address is kept: flows save theirs under this name, too.
ADDRESS: Final = "email"


class Progress(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="contract", tag="progress/2"
):
    """The flow, the place in it, and what the flow keeps."""

    flow: str = ""
    version: str = ""
    place: str | None = None  # the flow's state at which the conversation stands
    ended: bool = False  # nothing follows `place`
    stack: tuple[str, ...] = ()  # the states that called the sub-flows it stands in, outermost first
    variables: Mapping[str, Any] = {}
    tries: int = 0  # how many answers in a row did not fit


def _reset(state: Progress, recorded: RecordedEntry, fact: Fact) -> Progress:
    return Progress()


def _flow_started(state: Progress, recorded: RecordedEntry, fact: FlowStarted) -> Progress:
    return Progress(flow=fact.flow, version=fact.version)


def _flow_advanced(state: Progress, recorded: RecordedEntry, fact: FlowAdvanced) -> Progress:
    place = fact.path[-1] if fact.path else state.place
    return replace(state, place=place, ended=fact.ended, stack=fact.stack, tries=0)


def _flow_migrated(state: Progress, recorded: RecordedEntry, fact: FlowMigrated) -> Progress:
    return replace(state, flow=fact.flow, version=fact.version, place=fact.place, stack=fact.stack, tries=0)


def _variable_saved(state: Progress, recorded: RecordedEntry, fact: VariableSaved) -> Progress:
    return replace(state, variables={**state.variables, fact.name: fact.value})


def _address_given(state: Progress, recorded: RecordedEntry, fact: AddressGiven) -> Progress:
    return replace(state, variables={**state.variables, ADDRESS: fact.address})


def _asked_again(state: Progress, recorded: RecordedEntry, fact: AskedAgain) -> Progress:
    return replace(state, tries=fact.tries)


def _conversation_ended(state: Progress, recorded: RecordedEntry, fact: ConversationEnded) -> Progress:
    return replace(state, ended=True)


RULES: Final[Rules[Progress]] = {
    ConversationReset: _reset,
    ConversationErased: _reset,
    FlowStarted: _flow_started,
    FlowAdvanced: _flow_advanced,
    FlowMigrated: _flow_migrated,
    VariableSaved: _variable_saved,
    AskedAgain: _asked_again,
    AddressGiven: _address_given,
    ConversationEnded: _conversation_ended,
}
