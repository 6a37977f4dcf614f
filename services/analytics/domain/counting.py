"""What is counted: each entry of a conversation as measures, and where its matters stand after it. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from services.analytics.domain.ledger import Ledger
from services.analytics.domain.measures import DEFAULT_QUEUE, Matter, Measure, Outcome
from shared.contract.conversation import NEW, Conversation, step
from shared.contract.desk_facts import AgreedTimeReached
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AnswerFailed,
    AskedAgain,
    AssistantSaid,
    ChoiceAsked,
    ChoiceMade,
    ConversationClaimed,
    ConversationEnded,
    ConversationErased,
    ConversationHandedBack,
    ConversationRated,
    ConversationReset,
    ConversationResolved,
    ConversationStarted,
    ConversationTransferred,
    DecisionFailed,
    EditorOpened,
    Fact,
    FlowAdvanced,
    FlowMigrated,
    FlowStarted,
    HandoffRequested,
    HandoffWithdrawn,
    InputRefused,
    OperatorSaid,
    TextWritten,
    ThanksHeard,
)
from shared.contract.persistent_queue import PersistentQueue
from shared.contract.sealing import take_out
from shared.contract.subjects import DESK

#: Raise it when `count` makes something else of an entry: what was counted before is then counted anew.
VERSION: Final = 5
#: Breaches that are known again when they come again: there is one for each goal and time.
_MAX_BREACHES: Final = 50

#: After a conversation was closed, it goes on with one of these: another matter.
_GOES_ON: Final = (FlowStarted, HandoffRequested, ConversationClaimed)
#: Outcomes that are no answer of the bot's.
_NO_ANSWER: Final = frozenset({InputRefused, DecisionFailed, ThanksHeard})


class OpenInput(msgspec.Struct, frozen=True, array_like=True):
    """A text or choice without an outcome; ``time``: when it was stored."""

    position: int
    time: int


class TrackedConversation(msgspec.Struct, frozen=True):
    """What must be known of a conversation to go on counting.

    ``since``: when it became a person's, by a handoff or by the takeover itself. ``spoken``: a person has
    said something since. ``handed_off``: the talk counts in the handoff rate. ``noted``: the position of the
    last desk entry; ``breaches``: the ids of those that told of one.
    """

    state: Conversation = NEW
    matter: Matter = Matter()
    asked: PersistentQueue[OpenInput] = PersistentQueue()  # the oldest first
    since: int | None = None
    spoken: bool = False
    handed_off: bool = False
    noted: int = 0
    breaches: tuple[str, ...] = ()


class Counted(NamedTuple):
    """What came of an entry. ``matters``: those that stand elsewhere than before."""

    after: TrackedConversation
    measures: list[Measure]
    matters: list[Matter]


def count(before: TrackedConversation, entry: RecordedEntry) -> Counted | None:
    """What comes of one more entry of the conversation; None: it was counted already. Never raises.

    Personal values are left out, also those of an entry in which they are not sealed: what is known of a
    conversation is kept in a file.
    """
    if entry.author == DESK:
        return _noted(before, entry)
    if entry.position <= before.state.position:
        return None
    state, facts = step(before.state, replace(entry, facts=take_out(entry.facts)[0]))
    if state.engagement is not None:  # an agent's engagement is no conversation with a visitor
        return Counted(replace(before, state=state), [], [])
    counting = _Counting(before, entry, state)
    if entry.author == "bot" and entry.cause is not None and before.state.inbox.owes(entry.cause):
        counting.outcome(entry.cause, facts)
    for number, fact in enumerate(facts):
        counting.fact(number, fact)
    return counting.done()


def _noted(before: TrackedConversation, entry: RecordedEntry) -> Counted | None:
    """What operators or the service noted: of that, only broken agreements are a number."""
    if entry.position <= before.noted:
        return None
    after, ledger = replace(before, noted=entry.position), Ledger(entry, before.matter)
    for ledger.fact, fact in enumerate(entry.facts):
        if isinstance(fact, AgreedTimeReached) and fact.over and entry.id not in before.breaches:
            after = replace(after, breaches=(*before.breaches, entry.id)[-_MAX_BREACHES:])
            ledger.add("breach", name=fact.goal, detail=fact.queue or DEFAULT_QUEUE)
    return Counted(after, ledger.measures, [])


class _Counting:
    """One entry's."""

    def __init__(self, before: TrackedConversation, entry: RecordedEntry, state: Conversation) -> None:
        self._before = before
        self._entry = entry
        self._state = state
        self._ledger = Ledger(entry, before.matter)
        self._over = before.state.asked.over
        self._asked = before.asked
        self._since = before.since
        self._spoken = before.spoken
        self._answered = False  # whatever the entry says besides is one answer
        self._handed_off = before.handed_off

    def outcome(self, cause: int, facts: tuple[Fact, ...]) -> None:
        """What an input was answered with."""
        asked = self._asked.at(cause)
        self._asked = self._asked.without(cause)
        kinds = {type(fact) for fact in facts}
        # A bare handoff (a resolved conversation that the visitor reopens) is no answer of the bot's, and
        # neither is what mere thanks get: no second matter comes of them.
        if not asked or kinds & _NO_ANSWER or kinds == {HandoffRequested}:
            return
        if self._over and not kinds.isdisjoint(_GOES_ON):
            self._ledger.reopen(asked[0].time)
            self._over = False
        self._ledger.add("turn", value=self._ledger.since(asked[0].time))
        if AskedAgain not in kinds:
            self._ledger.settle_question("")

    def fact(self, number: int, fact: Fact) -> None:
        ledger = self._ledger
        ledger.fact = number
        if self._over and isinstance(fact, _GOES_ON):
            ledger.reopen()
            self._over = False
        match fact:
            case ConversationStarted() | ConversationReset():
                door = fact.door if isinstance(fact, ConversationStarted) else ""
                ledger.talk(door)
                ledger.add("started", name=door)
                self._forget()
            case ConversationErased():
                ledger.erase()
                self._forget()
            case TextWritten() | ChoiceMade():
                owed = self._state.inbox.unanswered
                if owed and owed[-1].position == self._entry.position:
                    self._asked = self._asked.plus(OpenInput(self._entry.position, self._entry.time))
                if not self._over:
                    ledger.begin()
            case ConversationRated():
                ledger.add("rating", name=ledger.matter.speaker, value=fact.score)
            case HandoffRequested() | HandoffWithdrawn():
                self._awaited(fact)
            case ConversationClaimed() | OperatorSaid() | ConversationHandedBack():
                self._person(fact)
            case ConversationTransferred() | ConversationResolved():
                self._person_leaves(fact)
            case _:
                self._bot(fact)

    def done(self) -> Counted:
        """All of it, with the matter as it stands now."""
        ledger = self._ledger
        ownership, progress = self._state.ownership, self._state.progress
        with_bot = ownership.owner == "bot" and ownership.status == "open"
        if not with_bot:
            ledger.settle_question("person")
        matter, matters = ledger.matter, ledger.left
        if matter.current:
            outcome = self._outcome_now()
            closed = matter.closed if outcome == matter.outcome else self._entry.time
            matter = replace(
                matter,
                active=self._state.active or matter.active,
                flow=matter.flow or progress.flow,
                version=progress.version,
                status=ownership.status,
                owner=ownership.owner,
                place=progress.place if with_bot and not progress.ended else None,
                outcome=outcome,
                closed=closed if outcome else 0,
            )
            if matter != self._before.matter:
                matters.append(matter)
        after = replace(
            self._before,
            state=self._state,
            matter=matter,
            asked=self._asked,
            since=self._since,
            spoken=self._spoken,
            handed_off=self._handed_off,
        )
        return Counted(after, ledger.measures, matters)

    def _outcome_now(self) -> Outcome:
        ownership = self._state.ownership
        if ownership.status == "resolved":
            if not ownership.ended_by_bot:
                return "person"
            return "completed" if self._ledger.matter.outcome == "completed" else "silence"
        return "completed" if ownership.owner == "bot" and self._state.progress.ended else ""

    def _forget(self) -> None:
        self._asked, self._since, self._handed_off, self._over = PersistentQueue(), None, False, False

    def _bot(self, fact: Fact) -> None:
        ledger, progress = self._ledger, self._state.progress
        match fact:
            case FlowStarted():
                ledger.settle_question("passed")
                ledger.matter = replace(ledger.matter, flow_begun=self._entry.time)
                ledger.add("flow", name=fact.flow, version=fact.version)
            case FlowAdvanced():
                ledger.settle_question("passed")
                for part, place in enumerate(fact.path):
                    ledger.add("reached", name=place, version=progress.version, part=part)
                begun = ledger.matter.flow_begun
                if fact.ended and begun and not ledger.matter.joined:
                    time = ledger.since(begun)
                    ledger.add("completed", name=progress.flow, version=progress.version, value=time)
            case FlowMigrated():
                ledger.settle_question("passed")
            case ChoiceAsked() | EditorOpened():
                ledger.ask(progress.place, progress.version)
            case InputRefused():
                ledger.add("refusal", name=fact.reason)
            case DecisionFailed():
                ledger.add("failure", name=fact.reason)
            case AssistantSaid():
                ledger.add("answer")
                ledger.add("tokens_in", value=fact.tokens_in)
                ledger.add("tokens_out", value=fact.tokens_out)
                ledger.add("cost", value=fact.cost)
            case AnswerFailed():
                ledger.add("answer_failed", name=fact.reason)
            case ConversationEnded():
                ledger.add("ended")
                ledger.settle_question("silence")
                ledger.settle_wait("silence")
                ledger.closed = "silence"
                self._since, self._over = None, True
            case _:
                pass

    # --- persons: the clock runs from the handoff (or takeover) to the resolution -------------

    def _awaited(self, fact: HandoffRequested | HandoffWithdrawn) -> None:
        ledger = self._ledger
        if isinstance(fact, HandoffWithdrawn):
            ledger.add("withdrawn")
            ledger.settle_wait("withdrawn")
            self._since = None
            return
        queue = fact.queue or DEFAULT_QUEUE
        ledger.add("handoff", name=queue, value=int(not self._handed_off))
        if not ledger.matter.waits:
            self._since, self._spoken = self._entry.time, False
        self._handed_off = True
        self._asked = PersistentQueue()
        ledger.begin()
        ledger.wait(queue)
        if not ledger.matter.handed_off:
            ledger.matter = replace(ledger.matter, handed_off=self._entry.time)

    def _person(self, fact: ConversationClaimed | OperatorSaid | ConversationHandedBack) -> None:
        ledger = self._ledger
        match fact:
            case ConversationClaimed():
                ledger.add("claim", name=fact.operator, detail=ledger.matter.queue)
                if self._since is None:
                    self._since, self._spoken = self._entry.time, False
                ledger.settle_wait("claimed")
                ledger.join()
                self._asked = PersistentQueue()
            case OperatorSaid():
                queue, waiting = ledger.matter.queue, self._before.state.ownership.waiting
                ledger.add("said", name=fact.operator, detail=queue)
                if self._since is not None and not self._spoken:
                    time = ledger.since(self._since)
                    ledger.add("first_response", name=fact.operator, detail=queue, value=time)
                elif waiting and not self._answered:
                    time = ledger.since(waiting)
                    ledger.add("next_response", name=fact.operator, detail=queue, value=time)
                self._spoken = self._answered = True
                ledger.matter = replace(ledger.matter, speaker=fact.operator)
            case ConversationHandedBack():
                self._since = None

    def _person_leaves(self, fact: ConversationTransferred | ConversationResolved) -> None:
        ledger = self._ledger
        match fact:
            case ConversationTransferred(to=to) if to:
                ledger.add("transfer", name=to)
            case ConversationTransferred():
                queue = fact.queue or DEFAULT_QUEUE
                ledger.add("release", name=queue)
                self._since, self._spoken = self._entry.time, False
                ledger.wait(queue)
            case ConversationResolved():
                ledger.add("resolved", name=fact.operator, detail=ledger.matter.queue)
                if self._since is not None:
                    who, time = ledger.matter.speaker or fact.operator, ledger.since(self._since)
                    ledger.add("resolution", name=who, detail=ledger.matter.queue, value=time)
                ledger.settle_wait("resolved")
                ledger.settle_question("person")
                ledger.join()
                ledger.closed = "person"
                self._since, self._over = None, True
