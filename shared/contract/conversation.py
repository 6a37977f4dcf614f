"""The life of a conversation: one fold, used by every service alike.

`step` is total and silent: history is never refused. What does not count (a second outcome of the
same input, an id seen before, a word of an operator who does not own the conversation) takes no
effect and is left out of the facts that `step` returns, so that every reader drops the same.

The state holds what deciding needs, nothing for display.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from shared.contract.entry import Recorded
from shared.contract.facts import (
    ChoiceMade,
    ConversationClaimed,
    ConversationHandedBack,
    ConversationReset,
    ConversationResolved,
    ConversationStarted,
    DecisionFailed,
    Fact,
    FlowAdvanced,
    FlowStarted,
    HandoffRequested,
    OperatorSaid,
    TextWritten,
)

Owner = Literal["bot", "queue", "operator"]
Status = Literal["open", "snoozed", "resolved"]
Turn = Literal["idle", "user_committed", "ai_generating", "error", "timeout"]


class Input(msgspec.Struct, frozen=True):
    """Something that the bot owes an outcome."""

    position: int
    id: str
    fact: Fact


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
    unanswered: tuple[Input, ...] = ()
    ids: frozenset[str] = frozenset()  # "<author>:<id>" of every entry that was no answer
    needs: int = 1  # the highest contract level that any entry asks of deciders
    session: int = 0  # how many times the visitor began anew

    @property
    def turn(self) -> Turn:
        """Where the current turn stands."""
        if self.unanswered:
            return "user_committed"
        return "error" if self.failed else "idle"

    def owes(self, position: int) -> bool:
        """Whether the input at ``position`` still waits for its outcome."""
        return any(item.position == position for item in self.unanswered)


#: A conversation of which nothing is known.
NEW = Conversation()


def evolve(state: Conversation, recorded: Recorded) -> Conversation:
    """The state after one more entry."""
    return step(state, recorded)[0]


def step(state: Conversation, recorded: Recorded) -> tuple[Conversation, tuple[Fact, ...]]:
    """The state after one more entry, and those of its facts that took effect."""
    if recorded.position <= state.position:
        return state, ()
    author, cause = recorded.author, recorded.cause
    unanswered, ids = state.unanswered, state.ids
    if author == "bot" and state.owner == "operator":  # one speaker
        return replace(state, position=recorded.position), ()
    if author == "bot" and cause is not None:
        left = tuple(item for item in unanswered if item.position != cause)
        if len(left) == len(unanswered):  # answered already, or by a person
            return replace(state, position=recorded.position), ()
        unanswered = left
    elif recorded.id:
        key = f"{author}:{recorded.id}"
        if key in ids:
            return replace(state, position=recorded.position), ()
        ids = ids | {key}
    state = replace(
        state,
        position=recorded.position,
        unanswered=unanswered,
        ids=ids,
        needs=max(state.needs, recorded.needs),
        failed=False if author != "operator" else state.failed,
    )
    effective: list[Fact] = []
    for fact in recorded.facts:
        after = _apply(state, recorded, fact)
        if after is not None:
            state = after
            effective.append(fact)
    return state, tuple(effective)


def _apply(state: Conversation, recorded: Recorded, fact: Fact) -> Conversation | None:
    """The state after ``fact``, or None where the fact takes no effect."""
    rule = _RULES.get(type(fact))
    return state if rule is None else rule(state, recorded, fact)


def _said(state: Conversation, recorded: Recorded, fact: TextWritten | ChoiceMade) -> Conversation:
    if state.owner != "bot":  # its outcome is: handed over
        return state
    return _owe(state, recorded, fact)


def _started(state: Conversation, recorded: Recorded, fact: ConversationStarted) -> Conversation | None:
    if state.started:
        return None
    state = replace(state, started=True)
    return _owe(state, recorded, fact) if state.owner == "bot" else state


def _reset(state: Conversation, recorded: Recorded, fact: ConversationReset) -> Conversation:
    return Conversation(
        position=state.position,
        started=True,
        ids=state.ids,
        needs=state.needs,
        session=state.session + 1,
        unanswered=(Input(recorded.position, recorded.id, fact),),
    )


def _flow_started(state: Conversation, recorded: Recorded, fact: FlowStarted) -> Conversation:
    return replace(state, flow=fact.flow, version=fact.version, place=None, ended=False)


def _flow_advanced(state: Conversation, recorded: Recorded, fact: FlowAdvanced) -> Conversation:
    return replace(state, place=fact.path[-1] if fact.path else state.place, ended=fact.ended)


def _handoff(state: Conversation, recorded: Recorded, fact: HandoffRequested) -> Conversation:
    # What is unanswered when a person is awaited has its outcome: handed over.
    return replace(state, owner="queue", status="open", queue=fact.queue, unanswered=())


def _failed(state: Conversation, recorded: Recorded, fact: DecisionFailed) -> Conversation:
    return replace(state, failed=True)


def _claimed(state: Conversation, recorded: Recorded, fact: ConversationClaimed) -> Conversation | None:
    if state.owner == "operator":
        return None
    return replace(
        state,
        owner="operator",
        status="open",
        operator=fact.operator,
        operator_name=fact.name,
        unanswered=(),
    )


def _operator_said(state: Conversation, recorded: Recorded, fact: OperatorSaid) -> Conversation | None:
    return state if _owns(state, fact.operator) else None


def _handed_back(
    state: Conversation, recorded: Recorded, fact: ConversationHandedBack
) -> Conversation | None:
    return _owe(_released(state), recorded, fact) if _owns(state, fact.operator) else None


def _resolved(state: Conversation, recorded: Recorded, fact: ConversationResolved) -> Conversation | None:
    return replace(_released(state), status="resolved") if _owns(state, fact.operator) else None


#: What each fact does to the state; facts that are not here change nothing. A table, since every
#: service runs it for every entry: a chain of type tests costs more than the rules themselves.
_RULES: Final[dict[type, Callable[[Conversation, Recorded, Any], Conversation | None]]] = {
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
}


def _owe(state: Conversation, recorded: Recorded, fact: Fact) -> Conversation:
    return replace(state, unanswered=(*state.unanswered, Input(recorded.position, recorded.id, fact)))


def _owns(state: Conversation, operator: str) -> bool:
    return state.owner == "operator" and state.operator == operator


def _released(state: Conversation) -> Conversation:
    return replace(state, owner="bot", operator="", operator_name="")
