"""Laws of a conversation's states: they never change, and a replay may go on from a written one."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.contract.conversation import NEW, Conversation, evolve, step
from shared.contract.conversation.codec import decode, encode
from shared.contract.conversation.fold import RULES
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AnswerStarted,
    ConversationClaimed,
    ConversationHandedBack,
    ConversationResolved,
    EngagementBegan,
    Fact,
    FlowMigrated,
    OperatorSaid,
    ServiceAnswered,
    TimerArmed,
    TimerFired,
    VariableSaved,
)
from tests import examples
from tests.examples import recorded

laws = settings(max_examples=300, deadline=None)

positions = st.integers(1, 12)
operators = st.sampled_from(["desk-1", "desk-2"])
versions = st.sampled_from(["v1", "v2"])
timers = st.sampled_from(["after:1:0", "inactivity:1", "turn:1"])
values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)

FACTS: Final = {
    "visitor": st.sampled_from(examples.VISITOR_FACTS)
    | st.builds(EngagementBegan, agent=st.just("emoji"), user=operators),
    "bot": st.sampled_from(examples.BOT_FACTS)
    | st.builds(AnswerStarted, cause=positions, attempt=st.integers(1, 3))
    | st.builds(ServiceAnswered, cause=positions, state=st.just("s"), value=values)
    | st.builds(FlowMigrated, flow=st.just("f"), version=versions, before=versions, place=st.none())
    | st.builds(VariableSaved, name=versions, value=values)
    | st.builds(TimerArmed, id=timers, at=st.just("2030-01-01T00:00:00Z"))
    | st.builds(TimerFired, id=timers),
    "operator": st.builds(ConversationClaimed, operator=operators)
    | st.builds(OperatorSaid, operator=operators, text=st.just("Hi"))
    | st.builds(ConversationHandedBack, operator=operators)
    | st.builds(ConversationResolved, operator=operators, unjoined=st.booleans()),
}
#: Of the visitor and the bot more often, so that inputs wait and are answered.
authors = st.sampled_from(["visitor", "visitor", "bot", "bot", "bot", "operator"])


@st.composite
def histories(draw: st.DrawFn) -> list[RecordedEntry]:
    """Up to twelve entries in their order. Often an answer names an input that still waits."""
    told: list[RecordedEntry] = []
    for position in range(1, draw(st.integers(0, 12)) + 1):
        author = draw(authors)
        facts = draw(st.lists(FACTS[author], min_size=1, max_size=3))
        cause = draw(st.none() | st.integers(1, position)) if author == "bot" else None
        id = draw(st.sampled_from(["", "a", str(position), str(position)]))
        told.append(recorded(position, author, *facts, id=id, cause=cause, needs=draw(st.integers(1, 2))))
    return told


def fold(history: list[RecordedEntry], state: Conversation = NEW) -> Conversation:
    for entry in history:
        state = evolve(state, entry)
    return state


def parts(state: Conversation) -> dict[str, Any]:
    return {name: getattr(state, name) for name in RULES}


def test_every_sub_fold_has_its_state_in_the_conversation() -> None:
    fields = {"position", "needs", "active", *RULES}
    assert fields == set(Conversation.__struct_fields__)


@given(histories())
@laws
def test_a_step_changes_no_state_that_was_there_before(history: list[RecordedEntry]) -> None:
    states, written = [NEW], [encode(NEW)]
    for entry in history:
        states.append(evolve(states[-1], entry))
        written.append(encode(states[-1]))
    assert [encode(state) for state in states] == written


@given(histories())
@laws
def test_only_what_a_fact_is_about_is_copied(history: list[RecordedEntry]) -> None:
    """Beside what the entry itself settles: its id, its cause, a failure, the timers in a row."""
    state = NEW
    for entry in history:
        before = state
        state, effective = step(before, entry)
        touched = {"inbox", "answer", "timers"}
        for fact in effective:
            touched |= {name for name, rules in RULES.items() if type(fact) in rules}
        same = {name for name, part in parts(before).items() if part is parts(state)[name]}
        assert set(RULES) - touched <= same


@given(histories())
@laws
def test_what_takes_no_effect_copies_nothing(history: list[RecordedEntry]) -> None:
    state = fold(history)
    again = [
        recorded(state.position + 1, entry.author, *entry.facts, id=entry.id)
        for entry in history
        if entry.id and entry.cause is None
    ]
    for entry in again:
        if f"{entry.author}:{entry.id}" in state.inbox.ids:
            after, effective = step(state, entry)
            assert effective == ()
            assert all(part is parts(state)[name] for name, part in parts(after).items())


@given(histories(), st.integers(0, 12))
@laws
def test_a_state_that_was_written_and_read_goes_on_like_the_one_that_was_not(
    history: list[RecordedEntry], cut: int
) -> None:
    kept = fold(history[:cut])
    read = decode(Conversation, encode(kept))
    assert read == kept
    assert read.inbox.ids == kept.inbox.ids
    for entry in history[cut:]:
        (kept, counted), (read, counted_too) = step(kept, entry), step(read, entry)
        assert counted_too == counted
        assert read == kept
        assert read.turn == kept.turn


@given(histories())
@laws
def test_each_sub_state_is_written_and_read_by_itself(history: list[RecordedEntry]) -> None:
    for part in parts(fold(history)).values():
        if part is not None:  # no engagement
            assert decode(type(part), encode(part)) == part


@given(histories())
@laws
def test_the_same_history_is_written_the_same(history: list[RecordedEntry]) -> None:
    """Two replicas that folded alike hold the same bytes."""
    assert (
        encode(fold(history)) == encode(fold(history)) == encode(decode(Conversation, encode(fold(history))))
    )


@given(histories(), operators)
@laws
def test_to_resolve_without_joining_is_to_claim_and_resolve(
    history: list[RecordedEntry], operator: str
) -> None:
    """While nobody owns the conversation; to its owner's work it does nothing."""
    before, position = fold(history), 20
    unjoined = ConversationResolved(operator=operator, unjoined=True)
    after = evolve(before, recorded(position, "operator", unjoined))
    if before.ownership.owner == "operator":
        assert after.ownership == before.ownership
        assert after.inbox.unanswered == before.inbox.unanswered
    else:
        both = ConversationClaimed(operator=operator), ConversationResolved(operator=operator)
        told = evolve(before, recorded(position, "operator", *both))
        # Whoever claims what is closed begins another matter.
        assert replace(after, asked=told.asked) == told


@given(histories(), st.lists(st.sampled_from(examples.DESK_FACTS), min_size=1, max_size=3))
@laws
def test_what_is_noted_changes_nothing(history: list[RecordedEntry], facts: list[Fact]) -> None:
    before = fold(history)
    note = recorded(20, "desk", *facts, needs=6)
    assert step(before, note) == (before, ())
