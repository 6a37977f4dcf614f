"""What is counted: each entry of a conversation as measures, and where the conversation stands after it.

`count` is pure. The measures are rows: every number is a question about them (`services.analytics.numbers`),
so a number can be traced to the entries behind it, and a new one asked of all history. They hold no words.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec.structs import replace

from shared.contract.conversation import NEW, Conversation, Owner, Status, step
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AnswerFailed,
    AssistantSaid,
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
    Fact,
    FlowAdvanced,
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

#: Raise it when `count` makes something else of an entry: what was counted before is then counted anew.
VERSION: Final = 4
#: The queue of a handoff that names none.
DEFAULT_QUEUE: Final = "default"
#: No measure is larger; so sums of many fit into 64 bits, with their sign.
MAX_VALUE: Final = 2**53

#: What was measured. ``value`` and ``name`` of each:
#: started: the door. turn: nanoseconds until the bot's answer. refusal, failure: the reason.
#: handoff: 1 for the first of its talk, the queue. withdrawn, ended: nothing.
#: claim, resolved, said: the operator. transfer: who goes on. release: the queue.
#: waited: nanoseconds from the handoff to the claim.
#: first_response: nanoseconds from the handoff or takeover to the operator's first words.
#: resolution: nanoseconds from there to the end. rating: the score.
#: answer: the assistant's. answer_failed: the reason. tokens_in, tokens_out: how many.
#: cost: millionths of the price's unit. flow: the flow, begun. reached: a state.
Kind: TypeAlias = Literal[
    "started",
    "turn",
    "refusal",
    "failure",
    "handoff",
    "withdrawn",
    "ended",
    "claim",
    "resolved",
    "transfer",
    "release",
    "said",
    "waited",
    "first_response",
    "resolution",
    "rating",
    "answer",
    "answer_failed",
    "tokens_in",
    "tokens_out",
    "cost",
    "flow",
    "reached",
]


class Measure(msgspec.Struct, frozen=True):
    """One thing that was measured, and the fact that it was measured by.

    ``time``: when that was stored, nanoseconds since 1970. ``fact``: its number in the entry; ``part``: which
    of the states on its way. ``talk``: of the conversation, counted from 1; each reset begins another.
    """

    kind: Kind
    time: int
    conversation: str
    talk: int
    position: int
    fact: int
    part: int = 0
    name: str = ""
    version: str = ""
    value: int = 0


class TalkState(msgspec.Struct, frozen=True):
    """Where a talk stands, or stood when its visitor began anew.

    ``place``: the state of the flow's ``version`` at which it stopped so far; None: it is with a person, or
    over. ``queue``: the one in which it waits. ``current``: nothing came after it, and it was not erased.
    """

    number: int = 0
    begun: int = 0
    status: Status = "open"
    owner: Owner = "bot"
    queue: str = ""
    version: str = ""
    place: str | None = None
    current: bool = False


class OpenInput(msgspec.Struct, frozen=True, array_like=True):
    """A text or choice without an outcome; ``time``: when it was stored."""

    position: int
    time: int


class TrackedConversation(msgspec.Struct, frozen=True):
    """What must be known of a conversation to go on counting. ``since``: when it
    became a person's, by a handoff or by the takeover itself. ``spoken``: a person has said something since.
    ``handed_off``: the talk counts in the handoff rate.
    """

    state: Conversation = NEW
    talk: TalkState = TalkState()
    asked: PersistentQueue[OpenInput] = PersistentQueue()  # the oldest first
    since: int | None = None
    spoken: bool = False
    handed_off: bool = False


class Counted(NamedTuple):
    """What came of an entry. ``talks``: those that stand elsewhere than before."""

    after: TrackedConversation
    measures: list[Measure]
    talks: list[TalkState]


def count(before: TrackedConversation, entry: RecordedEntry) -> Counted | None:
    """What comes of one more entry of the conversation; None: it was counted already. Never raises.

    Personal values are left out, also those of an entry in which they are not sealed: what is known of a
    conversation is kept in a file.
    """
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


class _Counting:
    """One entry's."""

    def __init__(self, before: TrackedConversation, entry: RecordedEntry, state: Conversation) -> None:
        self._entry = entry
        self._state = state
        self._talk = before.talk
        self._stood: TalkState | None = before.talk
        self._asked = before.asked
        self._since = before.since
        self._spoken = before.spoken
        self._handed_off = before.handed_off
        self._number = 0
        self._measures: list[Measure] = []
        self._talks: list[TalkState] = []

    def outcome(self, cause: int, facts: tuple[Fact, ...]) -> None:
        """What an input was answered with."""
        asked = self._asked.at(cause)
        self._asked = self._asked.without(cause)
        kinds = {type(fact) for fact in facts}
        # A bare handoff (a resolved conversation that the visitor reopens) is no answer of the bot's, and
        # neither is what mere thanks get: no second matter comes of them.
        if not asked or kinds & {InputRefused, DecisionFailed, ThanksHeard} or kinds == {HandoffRequested}:
            return
        self._add("turn", value=self._since_then(asked[0].time))

    def fact(self, number: int, fact: Fact) -> None:
        self._number = number
        match fact:
            case ConversationStarted() | ConversationReset():
                self._leave()
                self._talk = TalkState(number=self._talk.number + 1, begun=self._entry.time, current=True)
                self._stood = None
                door = fact.door if isinstance(fact, ConversationStarted) else ""
                self._add("started", name=door)
            case TextWritten() | ChoiceMade():
                owed = self._state.inbox.unanswered
                if owed and owed[-1].position == self._entry.position:
                    self._asked = self._asked.plus(OpenInput(self._entry.position, self._entry.time))
            case FlowStarted():
                self._add("flow", name=fact.flow, version=fact.version)
            case FlowAdvanced():
                for part, place in enumerate(fact.path):
                    self._add("reached", part=part, name=place, version=self._state.progress.version)
            case InputRefused():
                self._add("refusal", name=fact.reason)
            case DecisionFailed():
                self._add("failure", name=fact.reason)
            case ConversationRated():
                self._add("rating", value=fact.score)
            case AssistantSaid():
                self._add("answer")
                self._add("tokens_in", value=fact.tokens_in)
                self._add("tokens_out", value=fact.tokens_out)
                self._add("cost", value=fact.cost)
            case AnswerFailed():
                self._add("answer_failed", name=fact.reason)
            case ConversationEnded():
                self._add("ended")
                self._since = None
            case ConversationErased():  # its words go, its numbers stay: where it stopped, too
                self._leave()
                self._stood = self._talk = TalkState(number=self._talk.number)
            case _:
                self._person(fact)

    def done(self) -> Counted:
        """All of it, with the talk as it stands now."""
        ownership, progress = self._state.ownership, self._state.progress
        waits = ownership.owner == "queue" and ownership.status == "open"
        with_bot = ownership.owner == "bot" and ownership.status == "open"
        stopped = with_bot and not progress.ended
        talk = replace(
            self._talk,
            status=ownership.status,
            owner=ownership.owner,
            queue=(ownership.queue or DEFAULT_QUEUE) if waits else "",
            version=progress.version,
            place=progress.place if stopped else None,
            current=self._state.visit.started,
        )
        if talk != self._stood:
            self._talks.append(talk)
        return Counted(
            TrackedConversation(self._state, talk, self._asked, self._since, self._spoken, self._handed_off),
            self._measures,
            self._talks,
        )

    def _person(self, fact: Fact) -> None:
        """What a person does. The clock runs from the handoff (or takeover) to the resolution."""
        match fact:
            case HandoffRequested():
                self._add("handoff", name=fact.queue or DEFAULT_QUEUE, value=int(not self._handed_off))
                self._handed_off = True
                self._since, self._spoken = self._entry.time, False
                self._asked = PersistentQueue()
            case ConversationClaimed():
                self._add("claim", name=fact.operator)
                if self._since is None:
                    self._since, self._spoken = self._entry.time, False
                else:
                    self._add("waited", value=self._since_then(self._since))
                self._asked = PersistentQueue()
            case OperatorSaid():
                self._add("said", name=fact.operator)
                if self._since is not None and not self._spoken:
                    self._add("first_response", name=fact.operator, value=self._since_then(self._since))
                self._spoken = True
            case HandoffWithdrawn():
                self._add("withdrawn")
                self._since = None
            case ConversationTransferred(to=to) if to:
                self._add("transfer", name=to)
            case ConversationTransferred():
                self._add("release", name=fact.queue or DEFAULT_QUEUE)
                self._since, self._spoken = self._entry.time, False
            case ConversationHandedBack():
                self._since = None
            case ConversationResolved():
                self._add("resolved", name=fact.operator)
                if self._since is not None:
                    self._add("resolution", name=fact.operator, value=self._since_then(self._since))
                self._since = None
            case _:
                pass

    def _leave(self) -> None:
        """The talk stays stopped where it stood."""
        if self._talk.current:
            self._talks.append(replace(self._talk, current=False))
        self._asked, self._since, self._handed_off = PersistentQueue(), None, False

    def _add(self, kind: Kind, part: int = 0, name: str = "", version: str = "", value: int = 0) -> None:
        entry = self._entry
        self._measures.append(
            Measure(
                kind,
                entry.time,
                entry.conversation,
                self._talk.number,
                entry.position,
                self._number,
                part,
                name,
                version,
                max(-MAX_VALUE, min(value, MAX_VALUE)),
            )
        )

    def _since_then(self, begin: int) -> int:
        """Nanoseconds. Never negative: the server's clock may have been set back in between."""
        return max(0, self._entry.time - begin)
