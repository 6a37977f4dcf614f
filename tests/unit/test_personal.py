"""Every field of every fact is personal, or harmless for a reason: what can be forgotten is decided here.

A failure means a field about which nothing was decided. Mark it in `shared.contract.facts`, or say here why
it may stay readable when a conversation is erased.
"""

from __future__ import annotations

import json
from typing import Any, Final, get_args

import msgspec
import pytest

from shared.contract.facts import Choice, Fact

KINDS: Final[tuple[type[msgspec.Struct], ...]] = (*get_args(Fact), Choice)

DOOR = "a word of our own, for each kind of door"
FLOW = "written by the flow's author, the same for every visitor"
POSITION = "a position on the log"
CODE = "one of a fixed list of words of our own"
COUNT = "a number of our own"
PROVIDER = "the provider's or the settings' word for a model"
ACCOUNT = "an account's name: by it the fold knows who owns, without a key; what visitors see is `name`"
LABEL = "a word of the desk's vocabulary, by which reports count: docs/operators.md"
FACTS = "its own fields are decided one by one"

HARMLESS: Final[dict[str, str]] = {
    "ConversationStarted.door": DOOR,
    "ConversationRated.score": "a number from 1 to 5, of which analytics makes an average",
    "EngagementBegan.agent": "the name of an agent that is installed here",
    "ConversationErased.by": "an account of the machine where it was asked for",
    "ConversationErased.reason": "readable for ever, so that it can be shown why; said to whoever gives it",
    "FlowStarted.flow": FLOW,
    "FlowStarted.version": FLOW,
    "FlowAdvanced.path": FLOW,
    "FlowAdvanced.ended": FLOW,
    "FlowAdvanced.stack": FLOW,
    "FlowMigrated.flow": FLOW,
    "FlowMigrated.version": FLOW,
    "FlowMigrated.before": FLOW,
    "FlowMigrated.place": FLOW,
    "FlowMigrated.stack": FLOW,
    "VariableSaved.name": FLOW,
    "QueueChecked.queue": FLOW,
    "QueueChecked.available": "yes or no",
    "QueueChecked.waiting": "a count",
    "QueueChecked.wait": "seconds, of all together",
    "ConditionUntold.state": FLOW,
    "ConditionUntold.condition": FLOW,
    "ConditionUntold.reason": "why, without the visitor's words",
    "AskedAgain.reason": CODE,
    "AskedAgain.tries": COUNT,
    "ServiceAnswered.cause": POSITION,
    "ServiceAnswered.state": FLOW,
    "ServiceAnswered.failure": CODE,
    "AnswerStarted.cause": POSITION,
    "AnswerStarted.attempt": COUNT,
    "AssistantSaid.attempt": COUNT,
    "AssistantSaid.model": PROVIDER,
    "AssistantSaid.tokens_in": COUNT,
    "AssistantSaid.tokens_out": COUNT,
    "AssistantSaid.cost": COUNT,
    "AssistantSaid.estimated": COUNT,
    "AnswerFailed.reason": CODE,
    "AnswerFailed.attempt": COUNT,
    "Choice.item": FLOW,
    "ChoiceAsked.group": FLOW,
    "ChoiceAsked.choices": FACTS,
    "EditorOpened.session": FLOW,
    "EditorClosed.session": FLOW,
    "InputRefused.reason": CODE,
    "DecisionFailed.reason": CODE,
    "HandoffRequested.queue": FLOW,
    "TimerArmed.id": "made of a purpose and a position",
    "TimerArmed.at": "a time of our own",
    "TimerFired.id": "made of a purpose and a position",
    "ConversationEnded.reason": CODE,
    "RequestAnswered.result": "yes or no to a question that is forgotten",
    "ConversationClaimed.operator": ACCOUNT,
    "ConversationClaimed.by": ACCOUNT,
    "ConversationClaimed.automatic": "yes or no",
    "OperatorSaid.operator": ACCOUNT,
    "ConversationHandedBack.operator": ACCOUNT,
    "ConversationHandedBack.state": FLOW,
    "ConversationTransferred.operator": ACCOUNT,
    "ConversationTransferred.by": ACCOUNT,
    "ConversationTransferred.to": ACCOUNT,
    "ConversationTransferred.queue": FLOW,
    "ConversationTransferred.lapsed": "yes or no",
    "ConversationTransferred.missed": "yes or no",
    "ConversationResolved.operator": ACCOUNT,
    "RatingAsked.operator": ACCOUNT,
    "AddressAsked.operator": ACCOUNT,
    "MailBegun.until": POSITION,
    "MailEnded.until": POSITION,
    "MailEnded.outcome": CODE,
    "ConversationResolved.unjoined": "whether anybody owned it",
    "NoteWritten.operator": ACCOUNT,
    "NoteWritten.mentions": ACCOUNT,
    "NoteRemoved.operator": ACCOUNT,
    "NoteRemoved.note": "the id of an entry",
    "LabelAdded.operator": ACCOUNT,
    "LabelAdded.label": LABEL,
    "LabelRemoved.operator": ACCOUNT,
    "LabelRemoved.label": LABEL,
    "PrioritySet.operator": ACCOUNT,
    "PrioritySet.priority": CODE,
    "ConversationSnoozed.operator": ACCOUNT,
    "ConversationSnoozed.until": "a time at which somebody wants to look again",
    "SnoozeEnded.operator": ACCOUNT,
    "ConversationRead.operator": ACCOUNT,
    "ConversationRead.position": POSITION,
    "ConversationAssigned.operator": ACCOUNT,
    "ConversationAssigned.to": ACCOUNT,
    "ConversationAssigned.queue": FLOW,
    "AgreedTimeReached.goal": CODE,
    "AgreedTimeReached.queue": FLOW,
    "AgreedTimeReached.due": "by when somebody should have answered",
    "AgreedTimeReached.over": "yes or no",
    "SpamMarked.operator": ACCOUNT,
    "SpamUnmarked.operator": ACCOUNT,
}


def fields() -> dict[str, dict[str, Any]]:
    """The schema of each field, by the fact's name and its own."""
    _, components = msgspec.json.schema_components(KINDS)
    return {
        f"{kind.__name__}.{field.name}": components[kind.__name__]["properties"][field.encode_name]
        for kind in KINDS
        for field in msgspec.structs.fields(kind)
    }


FIELDS: Final = fields()


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_personal_or_harmless_for_a_reason(name: str) -> None:
    personal = '"x-personal": true' in json.dumps(FIELDS[name])
    assert personal != (name in HARMLESS), (
        f"{name} is said to be harmless and marked as personal: decide"
        if personal
        else f"{name} is neither marked as personal nor said to be harmless: decide"
    )


def test_nothing_is_said_about_fields_that_are_not_there() -> None:
    assert HARMLESS.keys() - FIELDS.keys() == set()


def test_nothing_that_holds_any_json_is_harmless() -> None:
    """What may hold everything will one day hold what a person wrote."""
    open_ones = [name for name, schema in FIELDS.items() if not schema.keys() & {"type", "anyOf", "enum"}]
    assert "VariableSaved.value" in open_ones
    assert [name for name in open_ones if name in HARMLESS] == []
