"""The life of a conversation: one fold, used by every service alike.

`step` is total and silent: history is never refused. What does not count (a second outcome of the
same input, an id seen before, a word of an operator who does not own the conversation) takes no
effect and is left out of the facts that `step` returns, so that every reader drops the same.

The state holds what deciding needs, nothing for display.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    SILENT,
    AnswerStarted,
    AskedAgain,
    ChoiceMade,
    ConversationClaimed,
    ConversationEnded,
    ConversationHandedBack,
    ConversationReset,
    ConversationResolved,
    ConversationStarted,
    DecisionFailed,
    EngagementBegan,
    EngagementEnded,
    Fact,
    FlowAdvanced,
    FlowMigrated,
    FlowStarted,
    HandoffRequested,
    HandoffWithdrawn,
    OperatorSaid,
    RequestAnswered,
    RequestMade,
    ServiceAnswered,
    TextWritten,
    TimerArmed,
    TimerFired,
    VariableSaved,
)
from shared.contract.persistent_queue import PersistentQueue
from shared.contract.persistent_set import PersistentSet

Owner = Literal["bot", "queue", "operator"]
Status = Literal["open", "resolved"]
Turn = Literal["idle", "user_committed", "ai_generating", "error"]


class Input(msgspec.Struct, frozen=True):
    """Something that the bot owes an outcome."""

    position: int
    id: str
    fact: Fact


class Begun(msgspec.Struct, frozen=True):
    """How the conversation began; a reset changes none of it."""

    door: str = ""
    flow: str = ""  # the flow asked for by name; "" means the default
    language: str = ""
    user: str = ""


class Engagement(msgspec.Struct, frozen=True):
    """What an agent was engaged for. ``over``: nothing is answered until it begins anew."""

    agent: str
    user: str
    name: str = ""
    configuration: Mapping[str, Any] = {}
    over: bool = False


class Generating(msgspec.Struct, frozen=True):
    """The assistant is at work on the input ``cause``; ``position`` is that of its `AnswerStarted`."""

    cause: int
    attempt: int
    position: int


class Timer(msgspec.Struct, frozen=True):
    """An armed timer; ``at`` in RFC 3339, UTC."""

    id: str
    at: str

    @property
    def purpose(self) -> str:
        return self.id.partition(":")[0]


class Conversation(msgspec.Struct, frozen=True):
    """The folded state. ``position`` is that of the last entry folded, 0 for none."""

    position: int = 0
    started: bool = False
    owner: Owner = "bot"
    status: Status = "open"
    operator: str = ""  # the owning operator's account, while the owner is "operator"
    operator_name: str = ""
    queue: str = ""  # where the visitor waits or last waited
    flow: str = ""
    version: str = ""
    place: str | None = None  # the flow's state at which the conversation stands
    ended: bool = False  # nothing follows `place`
    failed: bool = False  # the last outcome was a failure
    unanswered: PersistentQueue[Input] = PersistentQueue()  # oldest first
    ids: PersistentSet = PersistentSet()  # "<author>:<id>" of every entry that was no answer
    needs: int = 1  # the highest contract level that any entry asks of deciders
    session: int = 0  # how many times the visitor began anew
    begun: Begun = Begun()
    active: int = 0  # when a visitor or an operator last did something (nanoseconds since 1970)
    ended_by_bot: bool = False  # "resolved" for want of words, not by an operator
    stack: tuple[str, ...] = ()  # the states that called the sub-flows it stands in, outermost first
    variables: Mapping[str, Any] = {}
    tries: int = 0  # how many answers in a row did not fit
    services: tuple[ServiceAnswered, ...] = ()  # what backends answered for the inputs without outcome
    generating: Generating | None = None
    attempts: int = 0  # attempts of the assistant at the oldest input without outcome
    armed: tuple[Timer, ...] = ()
    fired: int = 0  # how many of the flow's timers in a row led on, with nobody doing anything
    engagement: Engagement | None = None
    memory: Any = None  # what the engaged agent remembers

    @property
    def turn(self) -> Turn:
        """Where the current turn stands."""
        if self.generating is not None:
            return "ai_generating"
        if self.unanswered:
            return "user_committed"
        return "error" if self.failed else "idle"

    def owes(self, position: int) -> bool:
        """Whether the input at ``position`` still waits for its outcome."""
        return bool(self.unanswered.at(position))


#: A conversation of which nothing is known.
NEW = Conversation()


def evolve(state: Conversation, recorded: RecordedEntry) -> Conversation:
    """The state after one more entry."""
    return step(state, recorded)[0]


def step(state: Conversation, recorded: RecordedEntry) -> tuple[Conversation, tuple[Fact, ...]]:
    """The state after one more entry, and those of its facts that took effect."""
    if recorded.position <= state.position:
        return state, ()
    author, cause = recorded.author, recorded.cause
    unanswered, ids = state.unanswered, state.ids
    if author == "bot" and state.owner == "operator" and not _silent(recorded):  # one speaker
        return replace(state, position=recorded.position), ()
    if author == "bot" and cause is not None:
        left = unanswered.without(cause)
        if left is unanswered:  # answered already, or by a person
            return replace(state, position=recorded.position), ()
        unanswered = left
        if state.generating is not None or state.attempts or state.services:  # theirs was this turn
            state = _interrupted(state)
    elif recorded.id:
        key = f"{author}:{recorded.id}"
        if key in ids:
            return replace(state, position=recorded.position), ()
        ids = ids.plus(key)
    state = replace(
        state,
        position=recorded.position,
        unanswered=unanswered,
        ids=ids,
        needs=max(state.needs, recorded.needs),
        failed=False if author != "operator" else state.failed,
        active=recorded.time if author != "bot" else state.active,
        fired=0 if author != "bot" else state.fired,
    )
    effective: list[Fact] = []
    for fact in recorded.facts:
        after = _apply(state, recorded, fact)
        if after is not None:
            state = after
            effective.append(fact)
    return state, tuple(effective)


def _apply(state: Conversation, recorded: RecordedEntry, fact: Fact) -> Conversation | None:
    """The state after ``fact``, or None where the fact takes no effect."""
    rule = _RULES.get(type(fact))
    return state if rule is None else rule(state, recorded, fact)


def _said(state: Conversation, recorded: RecordedEntry, fact: TextWritten | ChoiceMade) -> Conversation:
    if state.owner != "bot":  # its outcome is: handed over
        return state
    return _owe(state, recorded, fact)


def _started(state: Conversation, recorded: RecordedEntry, fact: ConversationStarted) -> Conversation | None:
    if state.started:
        return None
    begun = Begun(fact.door, fact.flow, fact.language, fact.user)
    state = replace(state, started=True, begun=begun)
    return _owe(state, recorded, fact) if state.owner == "bot" else state


def _reset(state: Conversation, recorded: RecordedEntry, fact: ConversationReset) -> Conversation | None:
    if state.engagement is not None:
        return None
    return Conversation(
        position=state.position,
        started=True,
        ids=state.ids,
        needs=state.needs,
        session=state.session + 1,
        begun=state.begun,
        active=state.active,
        unanswered=PersistentQueue([Input(recorded.position, recorded.id, fact)]),
    )


def _flow_started(state: Conversation, recorded: RecordedEntry, fact: FlowStarted) -> Conversation:
    return replace(
        state,
        flow=fact.flow,
        version=fact.version,
        place=None,
        ended=False,
        ended_by_bot=False,
        status="open",
        stack=(),
        variables={},
        tries=0,
        armed=_armed(state, "inactivity"),
    )


def _flow_advanced(state: Conversation, recorded: RecordedEntry, fact: FlowAdvanced) -> Conversation:
    # What was to happen while the flow waited where it stood means nothing where it stands now.
    return replace(
        state,
        place=fact.path[-1] if fact.path else state.place,
        ended=fact.ended,
        stack=fact.stack,
        tries=0,
        armed=_armed(state, "inactivity") if state.armed else (),
    )


def _flow_migrated(state: Conversation, recorded: RecordedEntry, fact: FlowMigrated) -> Conversation | None:
    if state.version != fact.before:
        return None
    return replace(
        state,
        flow=fact.flow,
        version=fact.version,
        place=fact.place,
        stack=fact.stack,
        tries=0,
        armed=_armed(state, "inactivity"),
    )


def _variable_saved(state: Conversation, recorded: RecordedEntry, fact: VariableSaved) -> Conversation:
    return replace(state, variables={**state.variables, fact.name: fact.value})


def _asked_again(state: Conversation, recorded: RecordedEntry, fact: AskedAgain) -> Conversation:
    return replace(state, tries=fact.tries, armed=_armed(state, "inactivity"))


def _service_answered(
    state: Conversation, recorded: RecordedEntry, fact: ServiceAnswered
) -> Conversation | None:
    if not state.owes(fact.cause):
        return None
    return replace(state, services=(*state.services, fact))


def _answer_started(state: Conversation, recorded: RecordedEntry, fact: AnswerStarted) -> Conversation | None:
    if not state.owes(fact.cause) or fact.attempt <= state.attempts:
        return None
    generating = Generating(fact.cause, fact.attempt, recorded.position)
    return replace(state, generating=generating, attempts=fact.attempt)


def _handoff(state: Conversation, recorded: RecordedEntry, fact: HandoffRequested) -> Conversation:
    # What is unanswered when a person is awaited has its outcome: handed over.
    return replace(
        _interrupted(state),
        owner="queue",
        status="open",
        queue=fact.queue,
        armed=_armed(state, "inactivity"),
        unanswered=PersistentQueue(),
    )


def _handoff_withdrawn(
    state: Conversation, recorded: RecordedEntry, fact: HandoffWithdrawn
) -> Conversation | None:
    return replace(state, owner="bot") if state.owner == "queue" else None


def _failed(state: Conversation, recorded: RecordedEntry, fact: DecisionFailed) -> Conversation:
    return replace(state, failed=True)


def _claimed(state: Conversation, recorded: RecordedEntry, fact: ConversationClaimed) -> Conversation | None:
    if state.owner == "operator":
        return None
    return replace(
        _interrupted(state),
        owner="operator",
        status="open",
        armed=_armed(state, "inactivity"),
        operator=fact.operator,
        operator_name=fact.name,
        unanswered=PersistentQueue(),
    )


def _operator_said(state: Conversation, recorded: RecordedEntry, fact: OperatorSaid) -> Conversation | None:
    return state if _owns(state, fact.operator) else None


def _handed_back(
    state: Conversation, recorded: RecordedEntry, fact: ConversationHandedBack
) -> Conversation | None:
    return _owe(_released(state), recorded, fact) if _owns(state, fact.operator) else None


def _resolved(
    state: Conversation, recorded: RecordedEntry, fact: ConversationResolved
) -> Conversation | None:
    if not _owns(state, fact.operator):
        return None
    return replace(_released(state), status="resolved", ended_by_bot=False, armed=())


def _timer_armed(state: Conversation, recorded: RecordedEntry, fact: TimerArmed) -> Conversation:
    others = tuple(timer for timer in state.armed if timer.id != fact.id)
    return replace(state, armed=(*others, Timer(fact.id, fact.at)))


def _timer_fired(state: Conversation, recorded: RecordedEntry, fact: TimerFired) -> Conversation | None:
    """What follows from it is owed like the answer to an input: a crash in between loses nothing."""
    left = tuple(timer for timer in state.armed if timer.id != fact.id)
    if len(left) == len(state.armed):
        return None
    return _owe(replace(state, armed=left, fired=state.fired + 1), recorded, fact)


def _ended(state: Conversation, recorded: RecordedEntry, fact: ConversationEnded) -> Conversation:
    return replace(_interrupted(_released(state)), status="resolved", ended=True, ended_by_bot=True, armed=())


def _engaged(state: Conversation, recorded: RecordedEntry, fact: EngagementBegan) -> Conversation | None:
    """The same user may connect and drop at will: only what ended begins anew."""
    if state.started and state.engagement is None:  # a conversation of another kind
        return None
    anew = state.engagement is None or state.engagement.over
    engagement = Engagement(fact.agent, fact.user, fact.name, fact.configuration)
    state = replace(state, started=True, engagement=engagement, memory=None if anew else state.memory)
    return _owe(state, recorded, fact) if anew else state


def _requested(state: Conversation, recorded: RecordedEntry, fact: RequestMade) -> Conversation | None:
    if state.engagement is None or state.engagement.over:
        return None
    return _owe(state, recorded, fact)


def _disengaged(state: Conversation, recorded: RecordedEntry, fact: EngagementEnded) -> Conversation | None:
    if state.engagement is None or state.engagement.over:
        return None
    return _owe(replace(state, engagement=replace(state.engagement, over=True)), recorded, fact)


def _remembered(state: Conversation, recorded: RecordedEntry, fact: RequestAnswered) -> Conversation:
    return replace(state, memory=fact.memory)


#: What each fact does to the state; facts that are not here change nothing. A table, since every
#: service runs it for every entry: a chain of type tests costs more than the rules themselves.
_RULES: Final[dict[type, Callable[[Conversation, RecordedEntry, Any], Conversation | None]]] = {
    TextWritten: _said,
    ChoiceMade: _said,
    ConversationStarted: _started,
    ConversationReset: _reset,
    FlowStarted: _flow_started,
    FlowAdvanced: _flow_advanced,
    HandoffRequested: _handoff,
    DecisionFailed: _failed,
    ConversationClaimed: _claimed,
    OperatorSaid: _operator_said,
    ConversationHandedBack: _handed_back,
    ConversationResolved: _resolved,
    FlowMigrated: _flow_migrated,
    VariableSaved: _variable_saved,
    AskedAgain: _asked_again,
    ServiceAnswered: _service_answered,
    AnswerStarted: _answer_started,
    HandoffWithdrawn: _handoff_withdrawn,
    TimerArmed: _timer_armed,
    TimerFired: _timer_fired,
    ConversationEnded: _ended,
    EngagementBegan: _engaged,
    RequestMade: _requested,
    EngagementEnded: _disengaged,
    RequestAnswered: _remembered,
}


def _owe(state: Conversation, recorded: RecordedEntry, fact: Fact) -> Conversation:
    return replace(state, unanswered=state.unanswered.plus(Input(recorded.position, recorded.id, fact)))


def _owns(state: Conversation, operator: str) -> bool:
    return state.owner == "operator" and state.operator == operator


def _released(state: Conversation) -> Conversation:
    return replace(state, owner="bot", operator="", operator_name="")


def _interrupted(state: Conversation) -> Conversation:
    """Nothing of what the assistant is saying counts from here."""
    left = tuple(timer for timer in state.armed if timer.purpose != "turn")
    return replace(state, generating=None, attempts=0, services=(), armed=left)


def _armed(state: Conversation, purpose: str) -> tuple[Timer, ...]:
    return tuple(timer for timer in state.armed if timer.purpose == purpose)


def _silent(recorded: RecordedEntry) -> bool:
    return bool(recorded.facts) and all(type(fact) in SILENT for fact in recorded.facts)
