"""What another version of a flow would have done in a recorded conversation. Pure.

The visitor and the operators do what they did, at the time they did it; backends and the assistant
answer what they answered. That holds as long as the bot does what it did: behind the first thing that
it does otherwise, nobody knows what the visitor would have done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from shared.contract.conversation import NEW, Conversation, Input, step
from shared.contract.entry import RecordedEntry, needed
from shared.contract.facts import (
    AnswerStarted,
    AskedAgain,
    BotSaid,
    ChoiceAsked,
    ChoiceMade,
    ConditionUntold,
    ConversationEnded,
    ConversationReset,
    ConversationStarted,
    DecisionFailed,
    EditorOpened,
    Fact,
    FlowAdvanced,
    FlowStarted,
    HandoffRequested,
    HandoffWithdrawn,
    InputRefused,
    ServiceAnswered,
    TextWritten,
    TimerArmed,
    TimerFired,
)
from shared.flow.again import decided_again, is_of_silence, is_own
from shared.flow.decide import begins, failed
from shared.flow.language.flow import Flow
from shared.timestamps import parse_time

#: Where a conversation stands before its flow has begun.
START: Final = "(start)"
#: A timer may be so late that the visitor is quicker (ns).
_GRACE: Final = 2_000_000_000

Kind = Literal["other", "stuck", "unknown"]


class Divergence(msgspec.Struct, frozen=True):
    """The first thing that comes otherwise.

    It happens at ``state``, when the visitor (or a timer) does ``said``; ``then`` is what the bot did,
    ``now`` what it would do. ``stuck``: it did take the answer, and would not. ``unknown``: the record
    does not hold what the new version would have to know.
    """

    state: str
    said: str
    then: str
    now: str
    kind: Kind = "other"


class Ending(msgspec.Struct, frozen=True):
    """What became of a conversation: whether it went to a person, and the state that it was left at."""

    handed_off: bool
    left_at: str | None = None


class Verdict(msgspec.Struct, frozen=True):
    """``before`` is what became of it, ``after`` what would: None where nobody can know.

    ``reworded``: the states at which the bot would say the same in other words. ``untold_then`` are the
    conditions that said neither yes nor no, ``untold_now`` those that would.
    """

    conversation: str
    visited: tuple[str, ...]
    before: Ending
    after: Ending | None
    divergence: Divergence | None = None
    reworded: tuple[str, ...] = ()
    untold_then: tuple[ConditionUntold, ...] = ()
    untold_now: tuple[ConditionUntold, ...] = ()


def compare(entries: Sequence[RecordedEntry], flow: Flow) -> Verdict | None:
    """What ``flow`` would have done in a conversation of its name; None for one of another flow."""
    record = _Record(entries, flow.name)
    if not record.mine:
        return None
    hindsight = _Hindsight(flow, record)
    divergence = hindsight.divergence()
    after = hindsight.after
    return Verdict(
        conversation=entries[0].conversation,
        visited=record.visited,
        before=record.ending,
        after=after,
        divergence=divergence,
        reworded=tuple(dict.fromkeys(hindsight.reworded)),
        untold_then=tuple(record.untold),
        untold_now=tuple(hindsight.untold),
    )


class _Record:
    """What happened: each entry that took effect, with the state before it."""

    def __init__(self, entries: Iterable[RecordedEntry], flow: str) -> None:
        self.steps: list[tuple[Conversation, RecordedEntry]] = []
        self.mine = False
        self.untold: dict[ConditionUntold, None] = {}
        visited: dict[str, None] = {}
        state, handed_off = NEW, False
        for recorded in entries:
            before = state
            state, facts = step(state, recorded)
            if facts or (recorded.cause is not None and before.inbox.owes(recorded.cause)):
                self.steps.append((before, recorded))
            for fact in facts:
                match fact:
                    case FlowStarted(flow=started):
                        self.mine = started == flow
                    case HandoffRequested():
                        handed_off = True
                    case FlowAdvanced(path=path) if path:
                        visited.setdefault(path[-1])
                    case ConditionUntold():
                        self.untold.setdefault(fact)
                    case _:
                        pass
        self.visited = tuple(visited)
        self.ending = _ending(state, handed_off)


class _Hindsight:
    def __init__(self, flow: Flow, record: _Record) -> None:
        self._flow = flow
        self._record = record
        self._state = NEW
        self._handed_off = False
        self._known = True
        self.reworded: list[str] = []
        self.untold: dict[ConditionUntold, None] = {}

    @property
    def after(self) -> Ending | None:
        return _ending(self._state, self._handed_off) if self._known else None

    def divergence(self) -> Divergence | None:
        """The first thing that comes otherwise, None if nothing does."""
        for before, recorded in self._record.steps:
            if recorded.author != "bot":
                if (timer := self._timer_first(before, recorded)) is not None:
                    self._known = False
                    return Divergence(self._place, _said(timer, before), "(nothing)", "a timer fires first")
                self._take(recorded)
            elif recorded.cause is None:
                if (found := self._between(recorded)) is not None:
                    self._known = False
                    return found
            elif (found := self._outcome(before, recorded)) is not None:
                return found
        return None

    @property
    def _place(self) -> str:
        return self._state.progress.place or START

    def _take(self, recorded: RecordedEntry, facts: tuple[Fact, ...] | None = None) -> None:
        if facts is not None:
            recorded = msgspec.structs.replace(recorded, facts=facts, needs=needed(facts))
        self._state, effective = step(self._state, recorded)
        self._handed_off = self._handed_off or any(isinstance(fact, HandoffRequested) for fact in effective)

    def _timer_first(self, before: Conversation, recorded: RecordedEntry) -> TimerFired | None:
        """A timer of the new version that would have fired before this, and did not in the old one."""
        for timer in self._state.timers.armed:
            if timer.purpose == "after" and parse_time(timer.at) < recorded.time - _GRACE:
                old = next((each for each in before.timers.armed if each.id == timer.id), None)
                if old is None or parse_time(old.at) > parse_time(timer.at):
                    return TimerFired(id=timer.id)
        return None

    def _between(self, recorded: RecordedEntry) -> Divergence | None:
        """What the bot wrote on the way to an outcome."""
        for fact in recorded.facts:
            if isinstance(fact, TimerFired) and not any(
                each.id == fact.id for each in self._state.timers.armed
            ):
                said = "a timer fires"
                return Divergence(self._place, said, "it took effect", "there is no such timer")
        kept = tuple(
            fact
            for fact in recorded.facts
            if isinstance(fact, ServiceAnswered | AnswerStarted | TimerFired)
            or (isinstance(fact, TimerArmed) and not fact.id.startswith("after:"))
        )
        if kept:
            self._take(recorded, kept)
        return None

    def _outcome(self, before: Conversation, recorded: RecordedEntry) -> Divergence | None:
        item = next(iter(self._state.inbox.unanswered.at(recorded.cause or 0)), None)
        if item is None:
            self._known = False
            return Divergence(self._place, "something", _told(recorded.facts), "nothing", "unknown")
        if is_own(item.fact, recorded.facts):
            self._take(recorded)
            return None
        place, said = self._place, _said(item.fact, before)
        decided = self._decide(item, recorded)
        if isinstance(decided, str):
            self._known = False
            return Divergence(place, said, _told(recorded.facts), decided, "unknown")
        self.untold |= {fact: None for fact in decided if isinstance(fact, ConditionUntold)}
        then, now = _shape(recorded.facts), _shape(decided)
        silent = [fact for fact in recorded.facts if is_of_silence(fact)]
        self._take(recorded, (*(fact for fact in decided if not is_of_silence(fact)), *silent))
        words = _texts(recorded.facts) != _texts(decided)
        if then == now and not (words and _path(recorded.facts) != _path(decided)):
            if words:
                self.reworded.append(self._place)
            return None
        # Behind this, all that is known is whether the bot itself has brought it to an end.
        self._known = self._handed_off or self._state.progress.ended
        stuck = _unfit(decided) and not _unfit(recorded.facts)
        return Divergence(place, said, _told(recorded.facts), _told(decided), "stuck" if stuck else "other")

    def _decide(self, item: Input, recorded: RecordedEntry) -> tuple[Fact, ...] | str:
        """What the new version decides, or why nobody can know."""
        first = self._decided(item, recorded, -1)
        if isinstance(first, str) or _same_way(first, recorded.facts):
            return first
        # How many operators were there is not on the log: nobody, if that explains it.
        other = self._decided(item, recorded, 0)
        return other if not isinstance(other, str) and _same_way(other, recorded.facts) else first

    def _decided(self, item: Input, recorded: RecordedEntry, operators: int) -> tuple[Fact, ...] | str:
        if not begins(self._state, item) and self._state.progress.version != self._flow.version:
            return failed("flow_missing")
        return decided_again(self._state, item, self._flow, recorded, operators)


def _ending(state: Conversation, handed_off: bool) -> Ending:
    left = state.ownership.owner == "bot" and (
        state.ownership.ended_by_bot or (not state.progress.ended and state.ownership.status == "open")
    )
    return Ending(handed_off, state.progress.place if left else None)


def _shape(facts: Iterable[Fact]) -> tuple[object, ...]:
    """What the bot did, apart from its words: what it asks, whom it calls, what it refuses."""
    shape: list[object] = []
    for fact in facts:
        match fact:
            case ChoiceAsked(group=group, choices=choices):
                shape.append(("asks", str(group), tuple(str(each.item) for each in choices)))
            case EditorOpened(session=session):
                shape.append(("opens", str(session)))
            case HandoffRequested(queue=queue):
                shape.append(("hands off", queue))
            case InputRefused(reason=reason) | DecisionFailed(reason=reason):
                shape.append((type(fact).__name__, reason))
            case AskedAgain() | HandoffWithdrawn() | ConversationEnded():
                shape.append(type(fact).__name__)
            case FlowAdvanced(ended=True):
                shape.append("ends")
            case _:
                pass
    return tuple(shape)


def _same_way(one: tuple[Fact, ...], other: tuple[Fact, ...]) -> bool:
    return _shape(one) == _shape(other) and _path(one) == _path(other)


def _path(facts: Iterable[Fact]) -> tuple[str, ...]:
    return tuple(name for fact in facts if isinstance(fact, FlowAdvanced) for name in fact.path)


def _texts(facts: Iterable[Fact]) -> list[str]:
    texts: list[str] = []
    for fact in facts:
        match fact:
            case BotSaid(text=text) | EditorOpened(text=str(text)):
                texts.append(text)
            case ChoiceAsked(question=question, choices=choices):
                texts += [question, *(choice.text for choice in choices)]
            case _:
                pass
    return texts


def _unfit(facts: Iterable[Fact]) -> bool:
    return any(isinstance(fact, InputRefused | DecisionFailed | AskedAgain) for fact in facts)


def _said(fact: Fact, before: Conversation) -> str:
    """What was done, without a visitor's own words: those are nobody's business here."""
    match fact:
        case ChoiceMade(item=item, text=text):
            return f'the choice "{text or item}"'
        case TextWritten():
            return "a text"
        case ConversationStarted():
            return "the beginning"
        case ConversationReset():
            return "a new beginning"
        case TimerFired():
            return "a timer"
        case _:
            return "a handback"


def _told(facts: tuple[Fact, ...]) -> str:
    """What the bot did, in a few words."""
    for fact in facts:
        match fact:
            case InputRefused(reason=reason):
                return f"refused ({reason})"
            case DecisionFailed(reason=reason):
                return f"failed ({reason})"
            case AskedAgain(reason=reason):
                return f"asked again ({reason})"
            case HandoffRequested(queue=queue):
                return f'hands off to "{queue}"'
            case ConversationEnded():
                return "ends"
            case _:
                pass
    for fact in facts:
        if isinstance(fact, FlowAdvanced) and fact.path:
            return f'goes to "{fact.path[-1]}"' + (", the end" if fact.ended else "")
    return "stays" if facts else "nothing"
