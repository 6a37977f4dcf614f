"""The life of a conversation: one fold, used by every service alike.

`step` is total and silent: history is never refused. What does not count (a second outcome of the
same input, an id seen before, a word of an operator who does not own the conversation) takes no
effect and is left out of the facts that `step` returns, so that every reader drops the same.

The state holds what deciding needs, nothing for display.
"""

from __future__ import annotations

from typing import Literal

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
    InputRefused,
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
    match fact:
        case TextWritten() | ChoiceMade():
            if state.owner != "bot":  # its outcome is: handed over
                return state
            return _owe(state, recorded, fact)
        case ConversationStarted():
            if state.started:
                return None
            state = replace(state, started=True)
            return _owe(state, recorded, fact) if state.owner == "bot" else state
        case ConversationReset():
            return Conversation(
                position=state.position,
                started=True,
                ids=state.ids,
                needs=state.needs,
                session=state.session + 1,
                unanswered=(Input(recorded.position, recorded.id, fact),),
            )
        case FlowStarted():
            return replace(state, flow=fact.flow, version=fact.version, place=None, ended=False)
        case FlowAdvanced():
            place = fact.path[-1] if fact.path else state.place
            return replace(state, place=place, ended=fact.ended)
        case HandoffRequested():
            # What is unanswered when a person is awaited has its outcome: handed over.
            return replace(state, owner="queue", status="open", queue=fact.queue, unanswered=())
        case DecisionFailed():
            return replace(state, failed=True)
        case InputRefused():
            return state
        case ConversationClaimed():
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
        case OperatorSaid():
            return state if _owns(state, fact.operator) else None
        case ConversationHandedBack():
            if not _owns(state, fact.operator):
                return None
            return _owe(_released(state), recorded, fact)
        case ConversationResolved():
            return replace(_released(state), status="resolved") if _owns(state, fact.operator) else None
        case _:
            return state


def _owe(state: Conversation, recorded: Recorded, fact: Fact) -> Conversation:
    return replace(state, unanswered=(*state.unanswered, Input(recorded.position, recorded.id, fact)))


def _owns(state: Conversation, operator: str) -> bool:
    return state.owner == "operator" and state.operator == operator


def _released(state: Conversation) -> Conversation:
    return replace(state, owner="bot", operator="", operator_name="")
