"""What may be noted about a conversation: its newest state and a wish in, a fact or a refusal out."""

from __future__ import annotations

from typing import Final

from services.operator.domain.noted import NotedConversation
from shared.contract.desk_facts import (
    ConversationAssigned,
    ConversationRead,
    ConversationSnoozed,
    DeskFact,
    LabelAdded,
    LabelRemoved,
    NoteRemoved,
    NoteWritten,
    PrioritySet,
    SnoozeEnded,
    SpamMarked,
    SpamUnmarked,
)
from shared.timestamps import parse_time

#: How much one conversation may carry.
MAX_NOTES: Final = 500
MAX_LABELS: Final = 20
#: For how long one may be snoozed (nanoseconds): what comes back later than that is as good as lost.
MAX_SNOOZE: Final = 366 * 86_400 * 10**9

#: The facts to append, none where it holds already; or why not.
DeskDecision = tuple[DeskFact, ...] | str


def decide_note(state: NotedConversation, wish: DeskFact, now: int) -> DeskDecision:
    """Whether ``wish`` may be noted. ``now`` in nanoseconds since 1970, UTC."""
    refusal = _refusal(state, wish, now)
    if refusal:
        return refusal
    return () if _holds(state, wish) else (wish,)


def _refusal(state: NotedConversation, wish: DeskFact, now: int) -> str:
    """Why not; "" where it may."""
    notes, ownership = state.notes, state.conversation.ownership
    match wish:
        case NoteWritten() if len(notes.notes) >= MAX_NOTES:
            return f"a conversation has at most {MAX_NOTES} notes: remove some first"
        case NoteRemoved(note=id):
            return _not_removable(state, id, wish.operator)
        case LabelAdded(label=label) if len(notes.labels) >= MAX_LABELS and label not in notes.labels:
            return f"a conversation has at most {MAX_LABELS} labels: remove one first"
        case ConversationSnoozed() if ownership.status == "resolved":
            return "the conversation is resolved: nobody needs to look at it"
        case ConversationSnoozed(until=until) if parse_time(until) <= now:
            return f"{until} is over: name a time to come"
        case ConversationSnoozed(until=until) if parse_time(until) > now + MAX_SNOOZE:
            return f"{until} is more than a year away: name an earlier time"
        case ConversationRead(position=position) if position > state.conversation.position:
            return f"nothing is at position {position}: the last entry is at {state.conversation.position}"
        case ConversationAssigned() if ownership.owner == "operator":
            name = ownership.operator_name or ownership.operator
            return f"{name} has this conversation: who has it may transfer it"
        case ConversationAssigned() if ownership.status == "resolved":
            return "the conversation is resolved: reopen it first"
        case _:
            return ""


def _not_removable(state: NotedConversation, id: str, operator: str) -> str:
    writer = next((note.operator for note in state.notes.notes if note.id == id), None)
    if writer is None:
        return "there is no such note, or it was removed"
    return "" if writer == operator else f"{writer} wrote this note, and may remove it"


def _holds(state: NotedConversation, wish: DeskFact) -> bool:
    """Whether it would change nothing."""
    notes = state.notes
    match wish:
        case LabelAdded(label=label):
            return label in notes.labels
        case LabelRemoved(label=label):
            return label not in notes.labels
        case PrioritySet(priority=priority):
            return notes.priority == priority
        case ConversationSnoozed(until=until):
            return notes.snoozed_until == parse_time(until)
        case SnoozeEnded():
            return not notes.snoozed_until
        case ConversationRead(position=position):
            return notes.read.get(wish.operator, 0) >= position
        case ConversationAssigned(to="", queue=""):
            return notes.assigned is None
        case SpamMarked():
            return notes.spam
        case SpamUnmarked():
            return not notes.spam
        case _:
            return False
