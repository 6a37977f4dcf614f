"""What each number means: the one place where numbers are defined. Pure.

A definition is a question about the measures and matters that a store holds (`measures`), in SQL, with the
words that people read: ``docs/numbers.md`` is made of them. Whoever changes what a number means adds another
version: both can be asked for, over all history.
"""

from __future__ import annotations

from typing import Final

from services.analytics.domain.definition import LEFT_HOURS, Definition, Group

_ENDED: Final = "became NOT IN ('', 'erased')"
_ALONE: Final = "e.handed_off = 0 AND e.joined = 0"
_OUTCOME: Final[dict[Group, str]] = {"outcome": "e.became"}
_BY_QUEUE: Final[dict[Group, str]] = {"queue": "e.name"}
_BY_REASON: Final[dict[Group, str]] = {"reason": "e.name"}
_BY_WHOM: Final[dict[Group, str]] = {"operator": "e.name", "queue": "e.detail"}
_BY_STATE: Final[dict[Group, str]] = {"state": "e.name", "version": "e.version"}
_ENDINGS: Final = ("FlowAdvanced", "ConversationEnded", "ConversationResolved", "ConversationReset")

_VISITORS: Final = (
    Definition(
        id="conversations",
        name="Conversations",
        topic="visitors",
        unit="count",
        says="A visitor came through a door for the first time, or started over. Opening the chat is enough.",
        of=("ConversationStarted", "ConversationReset"),
        where="e.kind = 'started'",
    ),
    Definition(
        id="matters",
        name="Matters",
        topic="visitors",
        unit="count",
        says=(
            "Something a visitor wanted: from their first words, or from when a person was asked for or came,"
            " until the conversation is closed. What goes on after that is another matter; a mere thanks is"
            " not. A conversation in which the visitor said nothing has none."
        ),
        of=("TextWritten", "ChoiceMade", "HandoffRequested", "ConversationClaimed"),
        source="matters",
        columns=_OUTCOME,
    ),
    Definition(
        id="reopened",
        name="Reopened",
        topic="visitors",
        unit="count",
        better="less",
        says="The conversation went on after a person or the bot had closed it, and not only with thanks.",
        of=("HandoffRequested", "ConversationClaimed", "FlowStarted"),
        where="e.kind = 'reopened'",
        columns={"reason": "e.name"},
    ),
    Definition(
        id="rating",
        name="Rating",
        topic="visitors",
        unit="score",
        better="more",
        says=(
            "The mean of the visitors' ratings, 1 to 5: the last one of each matter. It is credited to the"
            " operator who spoke last before it; if none did, to the bot."
        ),
        of=("ConversationRated",),
        source="ratings",
        columns={"operator": "e.name", "score": "e.value::VARCHAR"},
    ),
)

_BOT: Final = (
    Definition(
        id="turns",
        name="Answers by the bot",
        topic="bot",
        unit="count",
        says=(
            "A visitor's text or choice that the bot answered. Refusals, failures, and what a person answers "
            "are none."
        ),
        of=("TextWritten", "ChoiceMade", "the bot's outcome"),
        where="e.kind = 'turn'",
    ),
    Definition(
        id="answer_time",
        name="Time to the bot's answer",
        topic="bot",
        unit="seconds",
        better="less",
        says="From when the visitor's words were stored to when the bot's answer was.",
        of=("TextWritten", "ChoiceMade", "the bot's outcome"),
        where="e.kind = 'turn'",
    ),
    Definition(
        id="refusals",
        name="Refused inputs",
        topic="bot",
        unit="count",
        better="less",
        says="What a visitor sent was out of turn, or could not be answered; the reason says which.",
        of=("InputRefused", "DecisionFailed"),
        where="e.kind IN ('refusal', 'failure')",
        columns=_BY_REASON,
    ),
    Definition(
        id="handoff_rate",
        name="Conversations with a handoff",
        topic="bot",
        unit="share",
        better="less",
        says="Of the conversations that began, those in which a person was asked for at least once.",
        of=("ConversationStarted", "ConversationReset", "HandoffRequested"),
        where="e.kind = 'started'",
        part=(
            "EXISTS (SELECT 1 FROM matters AS each WHERE each.conversation = e.conversation"
            " AND each.talk = e.talk AND each.handed_off > 0)"
        ),
    ),
    Definition(
        id="handoff_rate",
        version=2,
        name="Handoff rate",
        topic="bot",
        unit="share",
        better="less",
        says=(
            "Of the matters that began, those in which a person was asked for. Version 1 asks the same of "
            "conversations, also of those in which the visitor said nothing."
        ),
        of=("HandoffRequested",),
        source="matters",
        part="e.handed_off > 0",
    ),
    Definition(
        id="containment",
        name="Ended without a person",
        topic="bot",
        unit="share",
        better="more",
        says=(
            "Of the matters that are over, those in which no person was asked for and none came. Told apart: "
            f"completed, left (the visitor started over, or wrote nothing for {LEFT_HOURS} hours), silence "
            "(the bot closed it, since nobody wrote)."
        ),
        of=_ENDINGS,
        source="matters",
        where=_ENDED,
        part=_ALONE,
        columns=_OUTCOME,
    ),
    Definition(
        id="bot_resolution",
        name="Completed by the bot",
        topic="bot",
        unit="share",
        better="more",
        says="Of the matters that are over, those in which the flow came to its end, without a person.",
        of=_ENDINGS,
        source="matters",
        where=_ENDED,
        part=f"{_ALONE} AND e.became = 'completed'",
    ),
    Definition(
        id="left",
        name="Left the bot",
        topic="bot",
        unit="share",
        better="less",
        says=(
            "Of the matters that are over, those without a person whose visitor started over, or wrote"
            f" nothing for {LEFT_HOURS} hours."
        ),
        of=_ENDINGS,
        source="matters",
        where=_ENDED,
        part=f"{_ALONE} AND e.became = 'left'",
    ),
    Definition(
        id="silence",
        name="Closed by silence",
        topic="bot",
        unit="share",
        better="less",
        says="Of the matters that are over, those without a person that the bot closed since nobody wrote.",
        of=_ENDINGS,
        source="matters",
        where=_ENDED,
        part=f"{_ALONE} AND e.became = 'silence'",
    ),
    Definition(
        id="drop_off",
        name="Drop-off",
        topic="bot",
        unit="share",
        better="less",
        says=(
            "Of the questions that were asked, those that the visitor never answered: they started over, were"
            f" silent (the bot closed it, or {LEFT_HOURS} hours passed), or the flow went on without. A"
            " question that a person took over is not counted, nor is one that still waits. Messages, and"
            " states that only look at an answer, are no questions."
        ),
        of=("ChoiceAsked", "EditorOpened", "the bot's outcome"),
        source="questions",
        part="e.detail <> ''",
        columns=_BY_STATE,
    ),
    Definition(
        id="flow_time",
        name="Time through the flow",
        topic="bot",
        unit="seconds",
        says="From the flow's begin to its end, where no person came.",
        of=("FlowStarted", "FlowAdvanced"),
        where="e.kind = 'completed'",
        columns={"flow": "e.name", "version": "e.version"},
    ),
)

_PEOPLE: Final = (
    Definition(
        id="handoffs",
        name="Handoffs",
        topic="people",
        unit="count",
        says="How often the flow asked for a person.",
        of=("HandoffRequested",),
        where="e.kind = 'handoff'",
        columns=_BY_QUEUE,
    ),
    Definition(
        id="waiting_time",
        name="Waiting time",
        topic="people",
        unit="seconds",
        better="less",
        says=(
            "From the handoff, or from when an operator put it back into a queue, until somebody"
            " took over or the wait ended otherwise. Whoever still waits counts with the time so far."
        ),
        of=("HandoffRequested", "ConversationTransferred", "ConversationClaimed", "HandoffWithdrawn"),
        source="waits",
        columns={"queue": "e.name", "outcome": "e.detail"},
        working=True,
    ),
    Definition(
        id="abandonment",
        name="Nobody came",
        topic="people",
        unit="share",
        better="less",
        says=(
            "Of the waits that ended, those that ended without a person: the flow went on, the visitor"
            " started over, or silence closed it."
        ),
        of=("HandoffRequested", "HandoffWithdrawn", "ConversationReset", "ConversationEnded"),
        source="waits",
        where="e.detail NOT IN ('waits', 'erased')",
        part="e.detail IN ('withdrawn', 'left', 'silence')",
        columns={"queue": "e.name", "outcome": "e.detail"},
    ),
    Definition(
        id="first_response",
        name="First response",
        topic="people",
        unit="seconds",
        better="less",
        says=(
            "From the handoff, or the takeover where there was none, to an operator's first words. It begins"
            " anew at each handoff, reopening and return to a queue. The bot's time is left out. It is"
            " credited to whoever spoke."
        ),
        of=("HandoffRequested", "ConversationClaimed", "OperatorSaid"),
        where="e.kind = 'first_response'",
        columns=_BY_WHOM,
        working=True,
    ),
    Definition(
        id="next_response",
        name="Next response",
        topic="people",
        unit="seconds",
        better="less",
        says=(
            "Each later time: from the visitor's first words that nobody has answered to the words of an "
            "operator."
        ),
        of=("TextWritten", "ChoiceMade", "OperatorSaid"),
        where="e.kind = 'next_response'",
        columns=_BY_WHOM,
        working=True,
    ),
    Definition(
        id="resolution",
        name="Time to resolution",
        topic="people",
        unit="seconds",
        better="less",
        says=(
            "From the handoff, or the takeover where there was none, to the resolution. It is credited to "
            "whoever spoke last; if nobody did, to whoever resolved it."
        ),
        of=("HandoffRequested", "ConversationClaimed", "ConversationResolved"),
        where="e.kind = 'resolution'",
        columns=_BY_WHOM,
        working=True,
    ),
    Definition(
        id="claims",
        name="Taken over",
        topic="people",
        unit="count",
        says="How often an operator took a conversation over.",
        of=("ConversationClaimed",),
        where="e.kind = 'claim'",
        columns=_BY_WHOM,
    ),
    Definition(
        id="resolved",
        name="Resolved",
        topic="people",
        unit="count",
        says="How often an operator resolved a conversation.",
        of=("ConversationResolved",),
        where="e.kind = 'resolved'",
        columns=_BY_WHOM,
    ),
    Definition(
        id="said",
        name="Messages by operators",
        topic="people",
        unit="count",
        says="What operators said to visitors.",
        of=("OperatorSaid",),
        where="e.kind = 'said'",
        columns=_BY_WHOM,
    ),
    Definition(
        id="breaches",
        name="Agreed times broken",
        topic="people",
        unit="count",
        better="less",
        says="All of an agreed time passed, and nobody had done what was agreed.",
        of=("AgreedTimeReached",),
        where="e.kind = 'breach'",
        columns={"goal": "e.name", "queue": "e.detail"},
    ),
)

_ASSISTANT: Final = (
    Definition(
        id="answers",
        name="Answers by the assistant",
        topic="assistant",
        unit="count",
        says="Messages that the assistant said.",
        of=("AssistantSaid",),
        where="e.kind = 'answer'",
    ),
    Definition(
        id="answer_failures",
        name="Assistant's failures",
        topic="assistant",
        unit="count",
        better="less",
        says="The assistant could not answer, and the flow went on without.",
        of=("AnswerFailed",),
        where="e.kind = 'answer_failed'",
        columns=_BY_REASON,
    ),
    Definition(
        id="tokens",
        name="Tokens",
        topic="assistant",
        unit="tokens",
        says="What the assistant read and wrote, as its provider counts it; estimated where it does not.",
        of=("AssistantSaid",),
        where="e.kind IN ('tokens_in', 'tokens_out')",
        columns={"reason": "CASE e.kind WHEN 'tokens_in' THEN 'read' ELSE 'written' END"},
    ),
    Definition(
        id="cost",
        name="Cost",
        topic="assistant",
        unit="cost",
        says="What the assistant's answers cost at the prices that were configured when they were made.",
        of=("AssistantSaid",),
        where="e.kind = 'cost'",
    ),
)

DEFINITIONS: Final[tuple[Definition, ...]] = (*_VISITORS, *_BOT, *_PEOPLE, *_ASSISTANT)
BY_NAME: Final = {(each.id, each.version): each for each in DEFINITIONS}
#: The newest version of each.
CURRENT: Final = {each.id: each for each in DEFINITIONS}
