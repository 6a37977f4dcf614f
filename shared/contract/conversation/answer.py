"""Answer: what is being made of the oldest input, and how the last answer came out."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from shared.contract.conversation.rule import Rules
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AnswerStarted,
    ConversationClaimed,
    ConversationEnded,
    ConversationErased,
    ConversationReset,
    ConversationResolved,
    DecisionFailed,
    Fact,
    HandoffRequested,
    ServiceAnswered,
)


class Generating(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The assistant is at work on the input ``cause``; ``position`` is that of its `AnswerStarted`."""

    cause: int
    attempt: int
    position: int


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="contract", tag="answer/1"):
    """The answer in the making."""

    generating: Generating | None = None
    attempts: int = 0  # attempts of the assistant at the oldest input without outcome
    services: tuple[ServiceAnswered, ...] = ()  # what backends answered for the inputs without outcome
    failed: bool = False  # the last outcome was a failure

    @property
    def begun(self) -> bool:
        """Whether anything was noted of an answer that is not there yet."""
        return self.attempts > 0 or bool(self.services)


def settled(state: Answer) -> Answer:
    """Nothing of what was being made counts from here."""
    return Answer(failed=state.failed)


def tried_again(state: Answer) -> Answer:
    """A failure lasts until the visitor or the bot does something."""
    return replace(state, failed=False)


def _reset(state: Answer, recorded: RecordedEntry, fact: Fact) -> Answer:
    return Answer()


def _service_answered(state: Answer, recorded: RecordedEntry, fact: ServiceAnswered) -> Answer:
    return replace(state, services=(*state.services, fact))


def _answer_started(state: Answer, recorded: RecordedEntry, fact: AnswerStarted) -> Answer:
    generating = Generating(fact.cause, fact.attempt, recorded.position)
    return replace(state, generating=generating, attempts=fact.attempt)


def _decision_failed(state: Answer, recorded: RecordedEntry, fact: DecisionFailed) -> Answer:
    return replace(state, failed=True)


def _resolved(state: Answer, recorded: RecordedEntry, fact: ConversationResolved) -> Answer:
    return settled(state) if fact.unjoined else state


def _interrupted(state: Answer, recorded: RecordedEntry, fact: Fact) -> Answer:
    return settled(state)


RULES: Final[Rules[Answer]] = {
    ConversationReset: _reset,
    ConversationErased: _reset,
    ServiceAnswered: _service_answered,
    AnswerStarted: _answer_started,
    DecisionFailed: _decision_failed,
    HandoffRequested: _interrupted,
    ConversationClaimed: _interrupted,
    ConversationResolved: _resolved,
    ConversationEnded: _interrupted,
}
