"""The fold of what flows gained: variables, sub-flows, timers, the assistant, agents."""

from __future__ import annotations

import pytest

from shared.contract.conversation import Begun, Conversation, Generating, Timer
from shared.contract.facts import (
    AnswerStarted,
    AskedAgain,
    AssistantSaid,
    DecisionFailed,
    FlowAdvanced,
    FlowMigrated,
    HandoffRequested,
    ServiceAnswered,
    TimerArmed,
    TimerFired,
    VariableSaved,
)
from tests import examples
from tests.examples import Story

INACTIVITY = TimerArmed(id="inactivity:1", at="2023-11-15T22:13:20Z")
AFTER = TimerArmed(id="after:1:0", at="2023-11-14T22:14:20Z")
TURN = TimerArmed(id="turn:3", at="2023-11-14T22:13:52Z")


@pytest.fixture
def story() -> Story:
    """A visitor was greeted and asked for a choice; two timers are armed."""
    story = Story()
    story.visitor(examples.CONVERSATION_STARTED)
    place = FlowAdvanced(path=("hello", "pick"))
    story.bot(examples.FLOW_STARTED, place, examples.CHOICE_ASKED, INACTIVITY, AFTER, cause=1)
    return story


def now(story: Story) -> Conversation:
    """The state so far: a call, since a checker takes an attribute for what it was a line before."""
    return story.state


def armed(state: Conversation) -> list[str]:
    return [timer.id for timer in state.timers.armed]


def remembered(state: Conversation) -> object:
    assert state.engagement is not None
    return state.engagement.memory


def test_how_a_conversation_began_is_kept_through_a_reset(story: Story) -> None:
    begun = Begun(door="web", flow="default", language="de, en", user="u-1")
    assert now(story).visit.begun == begun
    story.visitor(examples.CONVERSATION_RESET)
    assert now(story).visit.begun == begun


def test_variables_are_kept_until_the_flow_starts_anew(story: Story) -> None:
    story.visitor(examples.TEXT_WRITTEN)
    story.bot(VariableSaved(name="email", value="a@example.com"), examples.VARIABLE_SAVED, cause=3)
    assert now(story).progress.variables == {"email": "sam@example.com"}
    story.visitor(examples.CONVERSATION_RESET)
    assert now(story).progress.variables == {}


def test_tries_count_answers_that_do_not_fit_in_a_row(story: Story) -> None:
    story.visitor(examples.TEXT_WRITTEN)
    story.bot(AskedAgain(reason="not_an_email", tries=1), cause=3)
    assert now(story).progress.tries == 1
    story.visitor(examples.CHOICE_MADE)
    story.bot(FlowAdvanced(path=("isRust",)), cause=5)
    assert now(story).progress.tries == 0


def test_a_sub_flow_knows_where_it_returns_to(story: Story) -> None:
    story.visitor(examples.CHOICE_MADE)
    story.bot(FlowAdvanced(path=("contact", "contact/ask"), stack=("contact",)), cause=3)
    assert (now(story).progress.place, now(story).progress.stack) == ("contact/ask", ("contact",))


def test_a_migration_moves_only_a_conversation_of_the_version_it_names(story: Story) -> None:
    story.bot_alone(FlowMigrated(flow="default", version="new", before="another", place="pick"))
    assert now(story).progress.version == examples.FLOW_STARTED.version
    story.bot_alone(examples.FLOW_MIGRATED)
    assert (now(story).progress.version, now(story).progress.place) == (
        examples.FLOW_MIGRATED.version,
        "pick",
    )


# --- timers -----------------------------------------------------------------------------------


def test_going_on_disarms_what_was_to_happen_while_the_flow_waited(story: Story) -> None:
    assert armed(now(story)) == ["inactivity:1", "after:1:0"]
    story.visitor(examples.CHOICE_MADE)
    story.bot(FlowAdvanced(path=("isRust",)), TimerArmed(id="after:3:0", at=AFTER.at), cause=3)
    assert armed(now(story)) == ["inactivity:1", "after:3:0"]


def test_a_takeover_leaves_only_the_clock_of_silence(story: Story) -> None:
    story.operator(examples.CONVERSATION_CLAIMED)
    assert armed(now(story)) == ["inactivity:1"]


def test_arming_the_same_timer_again_moves_it(story: Story) -> None:
    story.bot_alone(TimerArmed(id="after:1:0", at="2023-11-14T23:00:00Z"))
    assert now(story).timers.armed[-1] == Timer("after:1:0", "2023-11-14T23:00:00Z")
    assert len(now(story).timers.armed) == 2


def test_a_firing_is_owed_an_outcome_once(story: Story) -> None:
    fired = story.bot_alone(TimerFired(id="after:1:0"))
    assert [item.position for item in now(story).inbox.unanswered] == [fired.position]
    story.bot_alone(TimerFired(id="after:1:0"))
    assert len(now(story).inbox.unanswered) == 1
    story.bot(examples.BOT_SAID, cause=fired.position)
    assert (tuple(now(story).inbox.unanswered), armed(now(story))) == ((), ["inactivity:1"])


def test_a_firing_that_comes_after_the_flow_went_on_means_nothing(story: Story) -> None:
    story.visitor(examples.CHOICE_MADE)
    story.bot(FlowAdvanced(path=("isRust",)), cause=3)
    story.bot_alone(TimerFired(id="after:1:0"))
    assert now(story).inbox.unanswered == ()


def test_a_long_silence_ends_the_conversation_even_while_an_operator_owns_it(story: Story) -> None:
    story.operator(examples.CONVERSATION_CLAIMED)
    fired = story.bot_alone(TimerFired(id="inactivity:1"))
    assert now(story).inbox.owes(fired.position)
    story.bot(examples.CONVERSATION_ENDED, cause=fired.position)
    state = now(story)
    assert (
        state.ownership.status,
        state.ownership.owner,
        state.ownership.ended_by_bot,
        state.timers.armed,
    ) == ("resolved", "bot", True, ())


def test_a_bot_that_speaks_along_with_a_silent_fact_is_dropped_while_an_operator_owns(story: Story) -> None:
    story.operator(examples.CONVERSATION_CLAIMED)
    before = now(story)
    story.bot_alone(TimerFired(id="inactivity:1"), examples.BOT_SAID)
    assert now(story).timers.armed == before.timers.armed


# --- the assistant ----------------------------------------------------------------------------


def test_an_answer_in_the_making_is_no_outcome(story: Story) -> None:
    story.visitor(examples.TEXT_WRITTEN)
    begun = story.bot_alone(AnswerStarted(cause=3, attempt=1), TURN)
    assert now(story).turn == "ai_generating"
    assert now(story).answer.generating == Generating(3, 1, begun.position)
    assert now(story).inbox.owes(3)
    story.bot(AssistantSaid(text="It arrives on Monday.", attempt=1), cause=3)
    assert (now(story).turn, now(story).answer.generating, now(story).answer.attempts) == ("idle", None, 0)
    assert "turn:3" not in armed(now(story))


def test_the_same_attempt_begins_once_and_the_next_replaces_it(story: Story) -> None:
    story.visitor(examples.TEXT_WRITTEN)
    story.bot_alone(AnswerStarted(cause=3, attempt=1))
    first = now(story).answer.generating
    story.bot_alone(AnswerStarted(cause=3, attempt=1))
    assert now(story).answer.generating == first
    again = story.bot_alone(AnswerStarted(cause=3, attempt=2))
    assert now(story).answer.generating == Generating(3, 2, again.position)


def test_an_answer_to_nothing_never_begins(story: Story) -> None:
    story.bot_alone(AnswerStarted(cause=1, attempt=1))
    assert now(story).answer.generating is None


@pytest.mark.parametrize("fact", [examples.CONVERSATION_CLAIMED, HandoffRequested(queue="sales")])
def test_a_person_interrupts_the_assistant(story: Story, fact: object) -> None:
    story.visitor(examples.TEXT_WRITTEN)
    story.bot_alone(AnswerStarted(cause=3, attempt=1))
    if isinstance(fact, HandoffRequested):
        story.bot(fact, cause=3)
    else:
        story.operator(examples.CONVERSATION_CLAIMED)
    assert (now(story).answer.generating, now(story).answer.attempts) == (None, 0)


def test_a_stuck_answer_ends_as_an_error(story: Story) -> None:
    story.visitor(examples.TEXT_WRITTEN)
    story.bot_alone(AnswerStarted(cause=3, attempt=1), TURN)
    story.bot(DecisionFailed(reason="session_timeout"), cause=3)
    assert (now(story).turn, now(story).answer.generating) == ("error", None)


def test_what_a_backend_answered_counts_for_the_turn_that_asked(story: Story) -> None:
    story.visitor(examples.TEXT_WRITTEN)
    answered = ServiceAnswered(cause=3, state="stock", value={"left": 3})
    story.bot_alone(answered)
    assert now(story).answer.services == (answered,)
    story.bot(examples.BOT_SAID, cause=3)
    assert now(story).answer.services == ()
    story.bot_alone(answered)
    assert now(story).answer.services == ()


# --- agents -----------------------------------------------------------------------------------


@pytest.fixture
def engaged() -> Story:
    story = Story()
    story.visitor(examples.ENGAGEMENT_BEGAN)
    story.bot(examples.INTERJECTED, cause=1)
    return story


def test_an_agent_remembers_through_a_reconnect_and_forgets_at_the_end(engaged: Story) -> None:
    engaged.visitor(examples.REQUEST_MADE)
    engaged.bot(examples.REQUEST_ANSWERED, cause=3)
    again = engaged.visitor(examples.ENGAGEMENT_BEGAN)
    assert (remembered(now(engaged)), now(engaged).inbox.owes(again.position)) == ({"count": 1}, False)
    engaged.visitor(examples.ENGAGEMENT_ENDED)
    anew = engaged.visitor(examples.ENGAGEMENT_BEGAN)
    assert (remembered(now(engaged)), now(engaged).inbox.owes(anew.position)) == (None, True)


def test_after_the_end_nothing_is_owed(engaged: Story) -> None:
    end = engaged.visitor(examples.ENGAGEMENT_ENDED)
    assert now(engaged).inbox.owes(end.position)
    late = engaged.visitor(examples.REQUEST_MADE)
    assert not now(engaged).inbox.owes(late.position)


def test_a_visitors_conversation_never_becomes_an_engagement(story: Story) -> None:
    story.visitor(examples.ENGAGEMENT_BEGAN)
    assert now(story).engagement is None


def test_beginning_anew_is_nothing_to_an_engagement(engaged: Story) -> None:
    before = now(engaged).engagement
    engaged.visitor(examples.CONVERSATION_RESET)
    assert now(engaged).engagement == before
