"""What may be noted: each refusal says why, and what holds already is not noted again."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from services.operator.domain.decisions import NotYours, Operator, reopen, resolve_unjoined
from services.operator.domain.desk_decisions import MAX_LABELS, MAX_NOTES, decide_note
from services.operator.domain.noted import NotedConversation, step_noted
from services.operator.domain.notes import Note
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
from shared.contract.facts import MAY_WRITE, ConversationClaimed, ConversationResolved, Fact
from tests import examples
from tests.examples import FIRST_TIME, recorded

NOW = FIRST_TIME
ADA, BOB = Operator("ada", "Ada"), Operator("bob", "Bob")
TOMORROW, YESTERDAY = "2023-11-15T22:13:20.000Z", "2023-11-13T22:13:20.000Z"


def after(*facts: Fact) -> NotedConversation:
    """A conversation that has begun, after these entries."""
    state, _ = step_noted(NotedConversation(), recorded(1, "visitor", examples.CONVERSATION_STARTED))
    for position, fact in enumerate(facts, 2):
        author = next(author for author, kinds in MAY_WRITE.items() if type(fact) in kinds)
        state, _ = step_noted(state, recorded(position, author, fact))
    return state


CLAIMED = ConversationClaimed(operator="bob", name="Bob")
CLOSED = ConversationResolved(operator="bob", unjoined=True)


@pytest.mark.parametrize(
    ("before", "wish"),
    [
        ((), NoteWritten(operator="ada", text="x")),
        ((NoteWritten(operator="ada", text="x"),), NoteWritten(operator="ada", text="x")),
        ((NoteWritten(operator="ada", text="x"),), NoteRemoved(operator="ada", note="2")),
        ((), LabelAdded(operator="ada", label="vip")),
        ((LabelAdded(operator="bob", label="vip"),), LabelRemoved(operator="ada", label="vip")),
        ((PrioritySet(operator="bob", priority="low"),), PrioritySet(operator="ada", priority="normal")),
        ((), ConversationSnoozed(operator="ada", until=TOMORROW)),
        ((ConversationSnoozed(operator="bob", until=TOMORROW),), SnoozeEnded(operator="ada")),
        ((ConversationRead(operator="bob", position=1),), ConversationRead(operator="ada", position=1)),
        ((), ConversationAssigned(operator="ada", to="bob")),
        ((ConversationAssigned(operator="ada", to="bob"),), ConversationAssigned(operator="ada")),
        ((), SpamMarked(operator="ada")),
        ((SpamMarked(operator="bob"),), SpamUnmarked(operator="ada")),
        ((CLAIMED,), NoteWritten(operator="ada", text="not hers, and noted all the same")),
        ((CLOSED,), LabelAdded(operator="ada", label="done")),
    ],
)
def test_what_is_new_is_noted(before: tuple[Fact, ...], wish: DeskFact) -> None:
    assert decide_note(after(*before), wish, NOW) == (wish,)


@pytest.mark.parametrize(
    ("before", "wish"),
    [
        ((LabelAdded(operator="bob", label="vip"),), LabelAdded(operator="ada", label="vip")),
        ((), LabelRemoved(operator="ada", label="vip")),
        ((), PrioritySet(operator="ada", priority="normal")),
        (
            (ConversationSnoozed(operator="bob", until=TOMORROW),),
            ConversationSnoozed(operator="ada", until=TOMORROW),
        ),
        ((), SnoozeEnded(operator="ada")),
        ((ConversationRead(operator="ada", position=1),), ConversationRead(operator="ada", position=1)),
        ((), ConversationAssigned(operator="ada")),
        ((SpamMarked(operator="bob"),), SpamMarked(operator="ada")),
        ((), SpamUnmarked(operator="ada")),
    ],
)
def test_what_holds_already_is_not_noted_again(before: tuple[Fact, ...], wish: DeskFact) -> None:
    assert decide_note(after(*before), wish, NOW) == ()


@pytest.mark.parametrize(
    ("before", "wish", "why"),
    [
        ((), NoteRemoved(operator="ada", note="2"), "no such note"),
        ((NoteWritten(operator="bob", text="x"),), NoteRemoved(operator="ada", note="2"), "bob wrote"),
        ((), ConversationSnoozed(operator="ada", until=YESTERDAY), "is over"),
        ((CLOSED,), ConversationSnoozed(operator="ada", until=TOMORROW), "is resolved"),
        ((), ConversationRead(operator="ada", position=2), "nothing is at position 2"),
        ((SpamMarked(operator="ada"),), ConversationRead(operator="ada", position=2), "last entry is at 1"),
        ((CLAIMED,), ConversationAssigned(operator="ada", to="ada"), "Bob has this conversation"),
        ((CLOSED,), ConversationAssigned(operator="ada", to="bob"), "reopen it first"),
    ],
)
def test_what_cannot_be_noted_is_refused_with_the_reason(
    before: tuple[Fact, ...], wish: DeskFact, why: str
) -> None:
    decision = decide_note(after(*before), wish, NOW)
    assert isinstance(decision, str)
    assert why in decision


def test_a_conversation_carries_only_so_much() -> None:
    state = after()
    many = tuple(Note(str(number), number, 0, "ada", "x") for number in range(MAX_NOTES))
    full = replace(state, notes=replace(state.notes, notes=many, labels=tuple(map(str, range(MAX_LABELS)))))
    note, label = NoteWritten(operator="ada", text="x"), LabelAdded(operator="ada", label="one more")
    assert "at most 500 notes" in decide_note(full, note, NOW)
    assert "at most 20 labels" in decide_note(full, label, NOW)
    assert decide_note(full, LabelAdded(operator="ada", label="0"), NOW) == ()
    assert decide_note(full, NoteRemoved(operator="ada", note="0"), NOW) != ()


# --- resolved without joining, and reopened ---------------------------------------------------


def test_whoever_resolves_need_not_join() -> None:
    unjoined = (ConversationResolved(operator="ada", unjoined=True),)
    assert resolve_unjoined(after().conversation, ADA) == unjoined
    assert resolve_unjoined(after(examples.HANDOFF_REQUESTED).conversation, ADA) == unjoined
    assert resolve_unjoined(after(CLOSED).conversation, ADA) == ()
    assert resolve_unjoined(after(CLAIMED).conversation, BOB) == (ConversationResolved(operator="bob"),)
    refused = resolve_unjoined(after(CLAIMED).conversation, ADA)
    assert isinstance(refused, NotYours)
    assert refused.operator == "bob"


def test_what_is_resolved_is_reopened_by_taking_it() -> None:
    taken = (ConversationClaimed(operator="ada", name="Ada"),)
    assert reopen(after(CLOSED).conversation, ADA) == taken
    assert reopen(after(CLOSED, *taken).conversation, ADA) == ()
    for state, who in ((after(), ""), (after(CLAIMED), "bob")):
        refused = reopen(state.conversation, ADA)
        assert isinstance(refused, NotYours)
        assert refused.operator == who
