"""Laws of what operators noted about a conversation: its sub-fold, whatever comes in between."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.operator.domain.absent import ERASED
from services.operator.domain.noted import NotedConversation, step_noted
from services.operator.domain.notes import RULES, DeskNotes, Note
from shared.contract.conversation import evolve
from shared.contract.conversation.codec import UnreadableState, decode, encode
from shared.contract.desk_facts import (
    ConversationAssigned,
    ConversationRead,
    ConversationSnoozed,
    LabelAdded,
    LabelRemoved,
    NoteRemoved,
    NoteWritten,
    PrioritySet,
    SnoozeEnded,
    SpamMarked,
    SpamUnmarked,
)
from shared.contract.entry import LEVEL, Entry, RecordedEntry
from shared.contract.entry import decode as read_entry
from shared.contract.entry import encode as written
from shared.contract.facts import MAY_WRITE, ConversationClaimed, ConversationResolved, Fact
from tests import examples
from tests.examples import CONVERSATION, recorded

laws = settings(max_examples=300, deadline=None)

operators = st.sampled_from(["desk-1", "desk-2"])
labels = st.sampled_from(["refund", "vip", "bug"])
ids = st.sampled_from(["", "a", "b", "c"])
times = st.sampled_from(["2023-11-15T08:00:00Z", "2030-01-01T00:00:00.5Z", "tomorrow", ""])

NOTED: Final[st.SearchStrategy[Fact]] = st.one_of(
    st.builds(NoteWritten, operator=operators, text=st.text(max_size=3)),
    st.builds(NoteRemoved, operator=operators, note=ids),
    st.builds(LabelAdded, operator=operators, label=labels),
    st.builds(LabelRemoved, operator=operators, label=labels),
    st.builds(PrioritySet, operator=operators, priority=st.sampled_from(["low", "normal", "high", "urgent"])),
    st.builds(ConversationSnoozed, operator=operators, until=times),
    st.builds(SnoozeEnded, operator=operators),
    st.builds(ConversationRead, operator=operators, position=st.integers(0, 12)),
    st.builds(ConversationAssigned, operator=operators, to=operators | st.just(""), queue=st.just("")),
    st.builds(SpamMarked, operator=operators),
    st.builds(SpamUnmarked, operator=operators),
)
SAID: Final = {
    "visitor": st.sampled_from(examples.VISITOR_FACTS),
    "bot": st.sampled_from(examples.BOT_FACTS),
    "operator": st.builds(ConversationClaimed, operator=operators)
    | st.builds(ConversationResolved, operator=operators, unjoined=st.booleans()),
    "eraser": st.just(examples.CONVERSATION_ERASED),
    "desk": NOTED,
}
authors = st.sampled_from(["visitor", "bot", "operator", "eraser", *["desk"] * 6])


@st.composite
def histories(draw: st.DrawFn) -> list[RecordedEntry]:
    """Up to twelve entries in their order, mostly notes; some of them come twice."""
    told: list[RecordedEntry] = []
    for position in range(1, draw(st.integers(0, 12)) + 1):
        author = draw(authors)
        facts = draw(st.lists(SAID[author], min_size=1, max_size=2))
        id = draw(ids) if author == "desk" else str(position)
        told.append(recorded(position, author, *facts, id=id, needs=draw(st.integers(1, LEVEL))))
    return told


def fold(history: list[RecordedEntry], state: NotedConversation = NotedConversation()) -> NotedConversation:  # noqa: B008
    for entry in history:
        state, _ = step_noted(state, entry)
    return state


def noted(*facts: Fact) -> DeskNotes:
    """What comes of these, each an entry of its own, about a conversation that has begun."""
    begun = recorded(1, "visitor", examples.CONVERSATION_STARTED)
    entries = [
        recorded(
            position, "desk" if type(fact) in MAY_WRITE["desk"] else _author(fact), fact, id=f"n{position}"
        )
        for position, fact in enumerate(facts, 2)
    ]
    return fold([begun, *entries]).notes


def _author(fact: Fact) -> str:
    return next(author for author, kinds in MAY_WRITE.items() if type(fact) in kinds)


# --- laws -------------------------------------------------------------------------------------


@given(histories())
@laws
def test_the_conversation_is_what_it_is_without_notes(history: list[RecordedEntry]) -> None:
    state = NotedConversation().conversation
    for entry in history:
        if entry.author != "desk":
            state = evolve(state, entry)
    assert fold(history).conversation == state


@given(histories(), st.integers(0, 12))
@laws
def test_what_was_folded_is_kept_and_goes_on_from_there(history: list[RecordedEntry], cut: int) -> None:
    kept = fold(history[:cut])
    read = NotedConversation(kept.conversation, decode(DeskNotes, encode(kept.notes)))
    assert read == kept
    assert fold(history[cut:], read) == fold(history)


@given(histories(), st.data())
@laws
def test_what_comes_again_changes_nothing(history: list[RecordedEntry], data: st.DataObject) -> None:
    """At its old position, since a feed may bring it twice; or at another, since it was appended twice."""
    state = fold(history)
    notes = [entry for entry in history if entry.author == "desk"]
    if not notes:
        return
    again = data.draw(st.sampled_from(notes))
    assert step_noted(state, again) == (state, ())
    if again.id:
        later = replace(again, position=20)
        after, _ = step_noted(state, later)
        assert replace(after.notes, position=0) == replace(state.notes, position=0)
        assert after.conversation == state.conversation


@given(histories())
@laws
def test_a_fold_changes_no_state_that_was_there_before(history: list[RecordedEntry]) -> None:
    states, texts = [NotedConversation()], [encode(DeskNotes())]
    for entry in history:
        states.append(step_noted(states[-1], entry)[0])
        texts.append(encode(states[-1].notes))
    assert [encode(state.notes) for state in states] == texts
    assert [state.position for state in states] == [0, *(entry.position for entry in history)]


@given(histories())
@laws
def test_behind_an_erasure_nothing_is_left(history: list[RecordedEntry]) -> None:
    erased = recorded(20, "eraser", examples.CONVERSATION_ERASED)
    before, after = fold(history).notes, fold([*history, erased]).notes
    assert after == DeskNotes(position=before.position, needs=before.needs, ids=before.ids)


@given(histories(), st.integers(LEVEL + 1, 20))
@laws
def test_what_a_newer_program_noted_is_left_out_and_said(history: list[RecordedEntry], level: int) -> None:
    """Of its entry, what is known here counts; and whoever decides hears that there may be more."""
    data = written(Entry(id="new", needs=level, facts=(examples.LABEL_ADDED,)))
    data = data.replace(b'"facts":[', b'"facts":[{"kind":"MoodNoted","mood":"sour"},')
    newer = read_entry(20, CONVERSATION, "desk", examples.FIRST_TIME, data)
    state = fold(history)
    after, _ = step_noted(state, newer)
    assert newer.facts == (examples.LABEL_ADDED,)
    assert examples.LABEL_ADDED.label in after.notes.labels
    assert (after.needs, after.position) == (level, 20)
    assert after.conversation == state.conversation


def test_every_fact_of_the_desk_has_a_rule() -> None:
    assert MAY_WRITE["desk"] <= RULES.keys()


def test_a_state_of_another_contract_is_refused() -> None:
    with pytest.raises(UnreadableState, match=r"desk/0.*desk/1"):
        decode(DeskNotes, encode(DeskNotes()).replace(b"desk/1", b"desk/0"))


# --- rules ------------------------------------------------------------------------------------


def test_notes_come_in_order_and_one_is_removed_by_its_id() -> None:
    other = NoteWritten(operator="desk-2", text="Sent it again", mentions=("desk-1",))
    notes = noted(examples.NOTE_WRITTEN, other).notes
    assert [(note.id, note.text) for note in notes] == [
        ("n2", examples.NOTE_WRITTEN.text),
        ("n3", other.text),
    ]
    assert notes[1] == Note(
        "n3", 3, examples.FIRST_TIME + 2 * examples.SECOND, "desk-2", other.text, ("desk-1",)
    )
    left = noted(examples.NOTE_WRITTEN, other, NoteRemoved(operator="desk-1", note="n2")).notes
    assert [note.id for note in left] == ["n3"]


def test_a_note_whose_words_were_erased_says_so() -> None:
    entry = replace(recorded(2, "desk", NoteWritten(operator="o", text="")), sealed=True, erased=True)
    assert fold([recorded(1, "visitor", examples.CONVERSATION_STARTED), entry]).notes.notes[0].text == ERASED


def test_labels_and_priority_and_spam() -> None:
    vip = LabelAdded(operator="desk-2", label="vip")
    state = noted(examples.LABEL_ADDED, vip, vip, examples.PRIORITY_SET, examples.SPAM_MARKED)
    assert (state.labels, state.priority, state.spam) == (("refund", "vip"), "urgent", True)
    state = noted(
        examples.LABEL_ADDED, vip, examples.LABEL_REMOVED, examples.SPAM_MARKED, examples.SPAM_UNMARKED
    )
    assert (state.labels, state.priority, state.spam) == (("vip",), "normal", False)


@pytest.mark.parametrize(
    "ends",
    [
        examples.SNOOZE_ENDED,
        examples.TEXT_WRITTEN,
        examples.CHOICE_MADE,
        examples.CONVERSATION_RESET,
        examples.HANDOFF_REQUESTED,
        examples.CONVERSATION_CLAIMED,
        examples.CONVERSATION_CLOSED,
        examples.CONVERSATION_ENDED,
    ],
)
def test_a_snooze_ends_when_there_is_something_to_look_at(ends: Fact) -> None:
    assert noted(examples.CONVERSATION_SNOOZED).snoozed_until == 1_700_035_200 * examples.SECOND
    assert noted(examples.CONVERSATION_SNOOZED, examples.BOT_SAID).snoozed_until
    assert not noted(examples.CONVERSATION_SNOOZED, ends).snoozed_until


def test_a_fact_that_takes_no_effect_ends_no_snooze() -> None:
    resolved = ConversationResolved(operator="desk-2")  # who does not own it
    assert noted(examples.CONVERSATION_SNOOZED, resolved).snoozed_until


def test_what_is_read_stays_read() -> None:
    reads = [ConversationRead(operator=who, position=at) for who, at in (("a", 3), ("b", 1), ("a", 2))]
    assert noted(*reads).read == {"a": 3, "b": 1}


@pytest.mark.parametrize("taken", [examples.CONVERSATION_CLAIMED, examples.CONVERSATION_CLOSED])
def test_an_assignment_lasts_until_somebody_takes_it(taken: Fact) -> None:
    assigned = noted(examples.CONVERSATION_ASSIGNED).assigned
    assert assigned is not None
    assert (assigned.to, assigned.queue, assigned.note) == ("desk-2", "orders", "Knows Sam")
    assert noted(examples.CONVERSATION_ASSIGNED, taken).assigned is None
    assert noted(examples.CONVERSATION_ASSIGNED, ConversationAssigned(operator="desk-1")).assigned is None
