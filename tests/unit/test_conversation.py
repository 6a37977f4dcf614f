"""The fold of a conversation: what counts, and what takes no effect."""

from __future__ import annotations

from functools import reduce

import pytest

from shared.contract.conversation import NEW, Conversation, Inbox, Input, Visit, evolve, step
from shared.contract.entry import Entry, decode, encode
from shared.contract.facts import (
    Author,
    ConversationClaimed,
    ConversationHandedBack,
    ConversationResolved,
    Fact,
    FlowAdvanced,
    HandoffRequested,
    OperatorSaid,
    TextWritten,
)
from shared.contract.persistent_queue import PersistentQueue
from shared.contract.persistent_set import PersistentSet
from tests import examples
from tests.examples import Story, recorded

RIVAL = ConversationClaimed(operator="desk-2")


def grown(*ids: str) -> PersistentSet:
    """The ids seen, in their order."""
    return reduce(PersistentSet.plus, ids, PersistentSet())


@pytest.fixture
def story() -> Story:
    """A visitor was greeted and asked for a choice."""
    story = Story()
    story.visitor(examples.CONVERSATION_STARTED)
    asked = FlowAdvanced(path=("hello", "pick"))
    story.bot(examples.FLOW_STARTED, asked, examples.BOT_SAID, examples.CHOICE_ASKED, cause=1)
    return story


def test_nothing_has_happened_yet() -> None:
    assert (NEW.ownership.owner, NEW.ownership.status, NEW.turn, NEW.position) == ("bot", "open", "idle", 0)


def test_a_turn(story: Story) -> None:
    assert (story.state.progress.flow, story.state.progress.place, story.state.turn) == (
        "default",
        "pick",
        "idle",
    )
    made = story.visitor(examples.CHOICE_MADE)
    assert story.state.inbox.unanswered == (Input(3, "3", examples.CHOICE_MADE),)
    assert story.state.inbox.owes(made.position)
    assert story.state.turn == "user_committed"
    story.bot(FlowAdvanced(path=("isRust", "bye"), ended=True), examples.BOT_SAID, cause=3)
    assert (story.state.progress.place, story.state.progress.ended, story.state.turn) == ("bye", True, "idle")


def test_inputs_wait_in_their_order(story: Story) -> None:
    story.visitor(examples.TEXT_WRITTEN)
    story.visitor(examples.CHOICE_MADE)
    assert [item.position for item in story.state.inbox.unanswered] == [3, 4]
    story.bot(examples.INPUT_REFUSED, cause=4)
    assert [item.position for item in story.state.inbox.unanswered] == [3]


def test_a_second_outcome_takes_no_effect(story: Story) -> None:
    before = story.state
    state, facts = step(before, recorded(3, "bot", FlowAdvanced(path=("elsewhere",)), cause=1))
    assert facts == ()
    assert state.progress.place == before.progress.place
    assert state.position == 3


def test_an_outcome_of_nothing_takes_no_effect(story: Story) -> None:
    assert step(story.state, recorded(3, "bot", examples.BOT_SAID, cause=77))[1] == ()


def test_a_repeated_entry_changes_nothing(story: Story) -> None:
    for entry in story.entries:
        assert step(story.state, entry) == (story.state, ())


def test_the_same_id_counts_once_for_each_author(story: Story) -> None:
    story.visitor(examples.TEXT_WRITTEN, id="a")
    state, facts = step(story.state, recorded(4, "visitor", examples.CHOICE_MADE, id="a"))
    assert facts == ()
    assert len(state.inbox.unanswered) == 1
    assert step(state, recorded(5, "operator", examples.CONVERSATION_CLAIMED, id="a"))[1]


def test_an_entry_without_an_id_is_not_remembered(story: Story) -> None:
    assert evolve(story.state, recorded(3, "visitor", id="")).inbox.ids == story.state.inbox.ids


def test_a_conversation_starts_once(story: Story) -> None:
    assert step(story.state, recorded(3, "visitor", examples.CONVERSATION_STARTED))[1] == ()


def test_a_failure_lasts_until_the_visitor_tries_again(story: Story) -> None:
    turns = []
    for _ in range(2):
        story.visitor(examples.TEXT_WRITTEN)
        turns.append(story.state.turn)
        story.bot(examples.DECISION_FAILED, cause=story.state.position)
        turns.append(story.state.turn)
    assert turns == ["user_committed", "error", "user_committed", "error"]


# --- persons ----------------------------------------------------------------------------------


def test_of_two_claims_the_first_wins(story: Story) -> None:
    story.operator(examples.CONVERSATION_CLAIMED)
    state, facts = step(story.state, recorded(4, "operator", RIVAL))
    assert facts == ()
    assert (state.ownership.owner, state.ownership.operator, state.ownership.operator_name) == (
        "operator",
        "desk-1",
        "Customer service",
    )


def test_what_is_unanswered_at_a_claim_is_handed_over(story: Story) -> None:
    story.visitor(examples.TEXT_WRITTEN)
    story.operator(examples.CONVERSATION_CLAIMED)
    assert story.state.inbox.unanswered == ()
    state, facts = step(story.state, recorded(5, "bot", examples.BOT_SAID, cause=3))
    assert facts == ()
    assert state.ownership.owner == "operator"


def test_what_is_unanswered_at_a_handoff_is_handed_over(story: Story) -> None:
    story.visitor(examples.CHOICE_MADE)
    story.visitor(examples.TEXT_WRITTEN)
    story.bot(examples.HANDOFF_REQUESTED, cause=3)
    assert (story.state.ownership.owner, story.state.ownership.queue) == ("queue", "orders")
    assert story.state.inbox.unanswered == ()


@pytest.mark.parametrize("taken", [False, True])
def test_who_waits_for_a_person_waits_for_no_bot(story: Story, taken: bool) -> None:
    story.visitor(examples.CHOICE_MADE)
    story.bot(examples.HANDOFF_REQUESTED, cause=3)
    if taken:
        story.operator(examples.CONVERSATION_CLAIMED)
    _, facts = step(story.state, recorded(9, "visitor", examples.TEXT_WRITTEN))
    assert facts == (examples.TEXT_WRITTEN,)
    assert evolve(story.state, recorded(9, "visitor", examples.TEXT_WRITTEN)).turn == "idle"


@pytest.mark.parametrize(
    "fact",
    [
        OperatorSaid(operator="desk-2", text="Hi"),
        ConversationHandedBack(operator="desk-2"),
        ConversationResolved(operator="desk-2"),
    ],
)
def test_only_the_owner_acts(story: Story, fact: Fact) -> None:
    assert step(story.state, recorded(3, "operator", fact))[1] == ()
    story.operator(examples.CONVERSATION_CLAIMED)
    before = story.state
    state, facts = step(before, recorded(4, "operator", fact))
    assert facts == ()
    assert state.ownership.owner == "operator"
    assert state.ownership.operator == "desk-1"


def test_a_handback_is_owed_an_answer(story: Story) -> None:
    story.operator(examples.CONVERSATION_CLAIMED)
    story.operator(examples.OPERATOR_SAID)
    back = story.operator(examples.CONVERSATION_HANDED_BACK)
    assert (
        story.state.ownership.owner,
        story.state.ownership.operator,
        story.state.ownership.operator_name,
    ) == ("bot", "", "")
    assert story.state.inbox.owes(back.position)
    assert story.state.progress.place == "pick"


def test_an_operator_passes_a_conversation_on(story: Story) -> None:
    story.operator(examples.CONVERSATION_CLAIMED)
    story.operator(examples.CONVERSATION_TRANSFERRED)
    ownership = story.state.ownership
    assert (ownership.owner, ownership.operator, ownership.operator_name) == ("operator", "desk-2", "Billing")
    story.operator(examples.OPERATOR_SAID)  # of the one who had it: it no longer counts
    story.operator(examples.CONVERSATION_PUT_BACK)
    assert story.state.ownership.is_of("desk-2")


def test_an_operator_puts_a_conversation_back_into_a_queue(story: Story) -> None:
    story.operator(examples.CONVERSATION_CLAIMED)
    story.operator(examples.CONVERSATION_PUT_BACK)
    ownership = story.state.ownership
    assert (ownership.owner, ownership.operator, ownership.queue) == ("queue", "", "orders")
    story.visitor(examples.TEXT_WRITTEN)
    assert (story.state.turn, story.state.ownership.status) == ("idle", "open")  # a person is awaited
    story.operator(RIVAL)
    assert story.state.ownership.is_of("desk-2")


def test_resolved_and_reopened(story: Story) -> None:
    story.operator(examples.CONVERSATION_CLAIMED)
    story.operator(examples.CONVERSATION_RESOLVED)
    assert (story.state.ownership.owner, story.state.ownership.status, story.state.turn) == (
        "bot",
        "resolved",
        "idle",
    )
    story.visitor(examples.TEXT_WRITTEN)
    assert (story.state.ownership.status, story.state.turn) == ("resolved", "user_committed")
    story.bot(HandoffRequested(queue="default", reason="reopened"), cause=5)
    assert (story.state.ownership.owner, story.state.ownership.status) == ("queue", "open")


def test_a_resolved_conversation_may_be_claimed(story: Story) -> None:
    story.operator(examples.CONVERSATION_CLAIMED)
    story.operator(examples.CONVERSATION_RESOLVED)
    story.operator(RIVAL)
    assert (story.state.ownership.owner, story.state.ownership.status, story.state.ownership.operator) == (
        "operator",
        "open",
        "desk-2",
    )


# --- beginning anew ---------------------------------------------------------------------------


def test_a_reset_forgets_all_but_the_ids(story: Story) -> None:
    story.visitor(examples.TEXT_WRITTEN, id="a")
    story.operator(examples.CONVERSATION_CLAIMED)
    story.visitor(examples.CONVERSATION_RESET, id="b")
    assert story.state == Conversation(
        position=5,
        active=story.entries[-1].time,
        visit=Visit(started=True, session=1, begun=story.state.visit.begun),
        inbox=Inbox(
            PersistentQueue([Input(5, "b", examples.CONVERSATION_RESET)]),
            grown("visitor:1", "visitor:a", "visitor:b", "operator:4"),
        ),
    )
    assert step(story.state, recorded(6, "visitor", TextWritten(session=1, text=""), id="a"))[1] == ()


def test_an_answer_to_what_was_before_the_reset_takes_no_effect(story: Story) -> None:
    story.visitor(examples.TEXT_WRITTEN)
    story.visitor(examples.CONVERSATION_RESET)
    assert step(story.state, recorded(5, "bot", examples.BOT_SAID, cause=3))[1] == ()


# --- authors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("author", ["visitor", "bot", "operator", "eraser"])
def test_what_its_author_may_not_write_takes_no_effect(author: Author) -> None:
    own = {
        "visitor": examples.VISITOR_FACTS,
        "bot": examples.BOT_FACTS,
        "operator": examples.OPERATOR_FACTS,
        "eraser": examples.ERASER_FACTS,
    }
    every = (*(fact for facts in own.values() for fact in facts), *examples.DESK_FACTS)
    everything = encode(Entry(id="1", facts=every))
    assert decode(1, examples.CONVERSATION, author, 0, everything).facts == own[author]
    foreign = tuple(fact for fact in every if fact not in own[author])
    entry = decode(1, examples.CONVERSATION, author, 0, encode(Entry(id="1", facts=foreign)))
    state, facts = step(NEW, entry)
    assert facts == ()
    assert state == Conversation(position=1, inbox=Inbox(ids=grown(f"{author}:1")))


def test_the_highest_needs_counts(story: Story) -> None:
    state = evolve(story.state, recorded(3, "visitor", examples.TEXT_WRITTEN, needs=4))
    assert evolve(state, recorded(4, "visitor", examples.TEXT_WRITTEN, needs=2)).needs == 4
