"""The numbers: the whole log folded into counts and durations.

The same log always gives the same numbers, so a restart only needs to read it again. Everything
that is shown is bounded: no label, list or table grows with conversations or visitors.
"""

from __future__ import annotations

from typing import Final, get_args

from services.analytics.domain.drop_off import DropOff
from services.analytics.domain.durations import NANOSECONDS, Durations, Histogram
from services.analytics.domain.labels import OTHER, Labels, Moment, moment
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
    DecisionFailed,
    Fact,
    FlowAdvanced,
    FlowStarted,
    HandoffRequested,
    HandoffWithdrawn,
    InputRefused,
    OperatorSaid,
    TextWritten,
)

FAILED: Final = "failed"
#: The reasons told apart. `FAILED` is every `DecisionFailed`; an unknown reason of a refusal is `OTHER`.
REASONS: Final = (
    "nothing_asked",
    "stale_answer",
    "unknown_choice",
    "no_transition",
    "conversation_ended",
    "conversation_resolved",
    FAILED,
    OTHER,
)
#: The queues shown by themselves: those that came first; all further ones are `OTHER`.
MAX_QUEUES: Final = 50
#: The summary's form has "snoozed" too, which no conversation can be: whoever reads it finds what it had.
STATUSES: Final = ("open", "snoozed", "resolved")
#: The queue of a handoff that names none.
DEFAULT_QUEUE: Final = "default"

#: The assistant's failures shown by themselves: those that came first; all others are `OTHER`.
MAX_FAILURES: Final = 20

#: The bounds of the bot's answer times (seconds): a scripted answer takes milliseconds, an assistant's
#: seconds.
ANSWER_BOUNDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)

HOUR: Final = 3600 * NANOSECONDS
DAY_HOURS: Final = 24


class _Tracked:
    """What the numbers need to know of one conversation."""

    __slots__ = ("asked", "handed_off", "place", "score", "since", "spoken", "state")

    def __init__(self) -> None:
        self.state: Conversation = NEW
        self.asked: dict[int, int] = {}  # position and time of the texts and choices without outcome
        self.since: int | None = None  # when it became a person's: a handoff, or the takeover itself
        self.spoken = False  # a person has said something since then
        self.handed_off = False  # it counts in the handoff rate
        self.score = 0  # the latest rating; 0: none
        self.place: tuple[str, str] | None = (
            None  # the flow's version and state at which it counts as stopped
        )


class AssistantUsage:
    """What the assistant did, and what it used. ``cost`` in millionths of the price's currency unit."""

    def __init__(self) -> None:
        self.answers = 0
        self.tokens_in = 0
        self.tokens_out = 0
        self.cost = 0
        self._failures: dict[str, int] = {}
        self._reasons = Labels(MAX_FAILURES)

    def count(self, fact: AssistantSaid | AnswerFailed, at: Moment) -> None:
        if isinstance(fact, AnswerFailed):
            self._reasons.note(fact.reason, at)
            self._failures[fact.reason] = self._failures.get(fact.reason, 0) + 1
            return
        self.answers += 1
        self.tokens_in += fact.tokens_in
        self.tokens_out += fact.tokens_out
        self.cost += fact.cost

    def failures(self) -> dict[str, int]:
        """By reason, as they are shown."""
        return self._reasons.group(self._failures)


class Projection:
    """All numbers of the first ``position`` entries. Fold every entry of the log, each stream's in order."""

    def __init__(self) -> None:
        self.position = 0  # how many entries were folded
        self.time = 0  # when the newest entry was stored, nanoseconds since 1970
        self.started = 0
        self.turns = 0
        self.claims = 0
        self.resolved = 0
        self.ended = 0  # by the bot, since nobody said a word for long
        self.handed_off = 0  # conversations with at least one handoff
        self.withdrawn = 0  # handoffs to which nobody came
        self.assistant = AssistantUsage()
        self.ratings = 0
        self.score_sum = 0
        self.refusals = dict.fromkeys(REASONS, 0)
        self.open: dict[str, int] = dict.fromkeys(get_args(Owner), 0)
        self.statuses: dict[str, int] = dict.fromkeys(STATUSES, 0)
        self.answers = Histogram(ANSWER_BOUNDS)
        self.answer_times = Durations()
        self.waiting_times = Durations()
        self.first_responses = Durations()
        self.resolutions = Durations()
        self.drop_off = DropOff()
        self._queues = Labels(MAX_QUEUES)
        self._handoffs: dict[str, int] = {}
        self._waiting: dict[str, int] = {}
        self._hours: dict[int, int] = {}
        self._conversations: dict[str, _Tracked] = {}

    def fold(self, recorded: RecordedEntry) -> None:
        """Count one more entry; one that was folded before changes nothing. Never raises."""
        one = self._conversations.get(recorded.conversation)
        if one is None:
            one = self._conversations[recorded.conversation] = _Tracked()
        before = one.state
        if recorded.position <= before.position:
            return
        self.position += 1
        self.time = max(self.time, recorded.time)
        one.state, facts = step(before, recorded)
        if one.state.engagement is not None:  # an agent's engagement is no conversation with a visitor
            return
        if recorded.author == "bot" and recorded.cause is not None and before.inbox.owes(recorded.cause):
            self._answer(one, recorded, facts)
        for number, fact in enumerate(facts):
            self._count(one, recorded, fact, moment(recorded, number))
        self._move(one, before, one.state, moment(recorded, len(facts)))

    def handoffs(self) -> dict[str, int]:
        """How often a person was asked for, by queue, as they are shown."""
        return self._queues.group(self._handoffs)

    def waiting(self) -> dict[str, int]:
        """Who waits for a person now, by queue; the same queues."""
        return self._queues.group(self._waiting)

    def per_hour(self, now: int) -> list[tuple[int, int]]:
        """Conversations started in each of the 24 hours that end with ``now``'s: (its begin, how many).

        Times in nanoseconds since 1970, UTC.
        """
        last = now // HOUR
        hours = range(last - DAY_HOURS + 1, last + 1)
        return [(hour * HOUR, self._hours.get(hour, 0)) for hour in hours]

    def _answer(self, one: _Tracked, recorded: RecordedEntry, facts: tuple[Fact, ...]) -> None:
        asked = one.asked.pop(recorded.cause or 0, None)
        kinds = {type(fact) for fact in facts}
        # A bare handoff (a resolved conversation that the visitor reopens) is no answer of the bot's.
        if asked is None or kinds & {InputRefused, DecisionFailed} or kinds == {HandoffRequested}:
            return
        seconds = _seconds(asked, recorded.time)
        self.turns += 1
        self.answers.add(seconds)
        self.answer_times.add(seconds)

    def _count(self, one: _Tracked, recorded: RecordedEntry, fact: Fact, at: Moment) -> None:
        match fact:
            case ConversationStarted() | ConversationReset():
                self._begin(one, recorded.time)
            case TextWritten() | ChoiceMade():
                owed = one.state.inbox.unanswered
                if owed and owed[-1].position == recorded.position:
                    one.asked[recorded.position] = recorded.time
            case FlowStarted():
                self.drop_off.of(fact.version).begin(fact.flow, at)
            case FlowAdvanced():
                version = self.drop_off.of(one.state.progress.version)
                for number, state in enumerate(fact.path):
                    version.reach(state, (*at[:-1], number))
            case InputRefused():
                self.refusals[fact.reason if fact.reason in self.refusals else OTHER] += 1
            case DecisionFailed():
                self.refusals[FAILED] += 1
            case ConversationRated():
                self._rate(one, fact.score)
            case AssistantSaid() | AnswerFailed():
                self.assistant.count(fact, at)
            case ConversationEnded():
                self.ended += 1
                one.since = None
            case ConversationErased():  # its words go, its numbers stay: where it stopped, too
                one.asked.clear()
                one.since = one.place = None
            case _:
                self._count_person(one, recorded.time, fact, at)

    def _count_person(self, one: _Tracked, time: int, fact: Fact, at: Moment) -> None:
        """What a person does. The clock runs from the handoff (or takeover) to the resolution."""
        match fact:
            case HandoffRequested():
                queue = fact.queue or DEFAULT_QUEUE
                self._queues.note(queue, at)
                self._handoffs[queue] = self._handoffs.get(queue, 0) + 1
                self.handed_off += not one.handed_off
                one.handed_off = True
                one.since, one.spoken = time, False
                one.asked.clear()
            case ConversationClaimed():
                self.claims += 1
                if one.since is None:
                    one.since, one.spoken = time, False
                else:
                    self.waiting_times.add(_seconds(one.since, time))
                one.asked.clear()
            case OperatorSaid():
                if one.since is not None and not one.spoken:
                    self.first_responses.add(_seconds(one.since, time))
                one.spoken = True
            case HandoffWithdrawn():
                self.withdrawn += 1
                one.since = None
            case ConversationHandedBack():
                one.since = None
            case ConversationResolved():
                self.resolved += 1
                if one.since is not None:
                    self.resolutions.add(_seconds(one.since, time))
                one.since = None

    def _begin(self, one: _Tracked, time: int) -> None:
        """A conversation begins, or begins anew: the one before stays stopped where it stood."""
        one.asked.clear()
        one.since, one.handed_off, one.score, one.place = None, False, 0, None
        self.started += 1
        hour = time // HOUR
        self._hours[hour] = self._hours.get(hour, 0) + 1
        if len(self._hours) > 2 * DAY_HOURS:
            for old in sorted(self._hours)[:-DAY_HOURS]:
                del self._hours[old]

    def _rate(self, one: _Tracked, score: int) -> None:
        """A visitor who rates again replaces the rating."""
        self.ratings += not one.score
        self.score_sum += score - one.score
        one.score = score

    def _move(self, one: _Tracked, before: Conversation, after: Conversation, at: Moment) -> None:
        """Count the conversation where it now is, no longer where it was."""
        if _where(before) != _where(after):
            self._tally(before, -1, at)
            self._tally(after, 1, at)
        ownership, progress = after.ownership, after.progress
        with_bot = ownership.owner == "bot" and ownership.status == "open"
        stopped = with_bot and progress.place is not None and not progress.ended
        place = (progress.version, progress.place or "") if stopped else None
        if place != one.place:
            for moved, by in ((one.place, -1), (place, 1)):
                if moved is not None:
                    self.drop_off.of(moved[0]).stop(moved[1], at, by)
            one.place = place

    def _tally(self, state: Conversation, by: int, at: Moment) -> None:
        if not state.visit.started or state.engagement is not None:
            return
        ownership = state.ownership
        self.statuses[ownership.status] += by
        if ownership.status == "open":
            self.open[ownership.owner] += by
            if ownership.owner == "queue":
                queue = ownership.queue or DEFAULT_QUEUE
                self._queues.note(queue, at)
                self._waiting[queue] = self._waiting.get(queue, 0) + by


def _where(state: Conversation) -> tuple[bool, Status, Owner, str]:
    return state.visit.started, state.ownership.status, state.ownership.owner, state.ownership.queue


def _seconds(begin: int, end: int) -> float:
    """Never negative: the server's clock may have been set back in between."""
    return max(0, end - begin) / NANOSECONDS
