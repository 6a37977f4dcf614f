"""Rules that hold though something else nearly always does the same: each fails here if it is taken out."""

from __future__ import annotations

from typing import Any, cast

import pytest
from msgspec.structs import replace
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.workflow.mailboxes import Firing, TurnMailbox, done
from shared.contract import subjects
from shared.contract.conversation import NEW, Answer, Conversation, Inbox, Input, Timer, Timers, evolve, step
from shared.contract.facts import (
    SILENT,
    AnswerStarted,
    BotSaid,
    ConversationClaimed,
    Fact,
    HandoffRequested,
    HandoffWithdrawn,
    TextWritten,
    TimerArmed,
    TimerFired,
)
from shared.contract.persistent_queue import PersistentQueue
from shared.eventlog.mailbox import Delivery, WakeUp
from tests import examples
from tests.examples import Story, recorded

CLAIMED = ConversationClaimed(operator="ann", name="Ann")
#: What the bot may not add to a conversation that a person has.
WORDS = [fact for fact in examples.BOT_FACTS if type(fact) not in SILENT]


@pytest.fixture
def taken() -> Story:
    """A visitor was greeted and wrote; then an operator took over."""
    story = Story()
    story.visitor(examples.CONVERSATION_STARTED)
    story.bot(examples.FLOW_STARTED, BotSaid(text="Hi!"), cause=1)
    story.visitor(TextWritten(session="s", text="Is somebody there?"))
    story.operator(CLAIMED)
    return story


# --- one speaker: also where a bot's entry passes the fence by a fault ---


@pytest.mark.parametrize("fact", WORDS, ids=lambda fact: type(fact).__name__)
def test_while_an_operator_owns_nothing_of_the_bots_that_says_something_counts(
    taken: Story, fact: Fact
) -> None:
    """Not noted beside any input, nor as the answer to one, nor along with what may count."""
    position = taken.state.position + 1
    silent = TimerArmed(id="idle:1", at="2030-01-01T00:00:00Z")
    for entry in (
        recorded(position, "bot", fact),
        recorded(position, "bot", fact, cause=3),
        recorded(position, "bot", silent, fact),
        recorded(position, "bot", fact, silent),
    ):
        state, facts = step(taken.state, entry)
        assert facts == ()
        assert state == replace(taken.state, position=position)


@pytest.mark.parametrize("fact", WORDS, ids=lambda fact: type(fact).__name__)
def test_what_is_owed_while_an_operator_owns_is_not_answered_with_words(taken: Story, fact: Fact) -> None:
    """A timer fired: the bot owes an outcome, and may give it in silence only."""
    taken.bot_alone(TimerArmed(id="inactivity:1", at="2030-01-01T00:00:00Z"))
    fired = taken.bot_alone(TimerFired(id="inactivity:1"))
    assert taken.state.inbox.owes(fired.position)
    state, facts = step(taken.state, recorded(fired.position + 1, "bot", fact, cause=fired.position))
    assert facts == ()
    assert state.inbox.owes(fired.position)
    assert state.ownership.owner == "operator"


def test_an_entry_of_the_bots_that_holds_nothing_is_not_silent(taken: Story) -> None:
    taken.bot_alone(TimerArmed(id="inactivity:1", at="2030-01-01T00:00:00Z"))
    fired = taken.bot_alone(TimerFired(id="inactivity:1"))
    state, _ = step(taken.state, recorded(fired.position + 1, "bot", cause=fired.position))
    assert state.inbox.owes(fired.position)


# --- the rest of the fold ---


def test_an_entry_at_or_before_the_folds_position_is_nothing_new(taken: Story) -> None:
    text = TextWritten(session="s", text="once more")
    for position in (taken.state.position, 1):
        assert step(taken.state, recorded(position, "visitor", text, id="another")) == (taken.state, ())


def test_what_was_unanswered_is_no_longer_owed_once_a_person_is_asked_for() -> None:
    story = Story()
    story.visitor(examples.CONVERSATION_STARTED)
    story.visitor(TextWritten(session="s", text="hello?"))
    story.bot(HandoffRequested(queue="q"), cause=1)
    assert story.state.inbox.unanswered == ()
    story.visitor(TextWritten(session="s", text="is anybody there?"))
    assert story.state.inbox.unanswered == ()


def test_a_wait_for_a_person_that_is_over_is_not_withdrawn() -> None:
    """It was withdrawn when a person had come, or never asked for: nothing changes hands."""
    story = Story()
    story.visitor(examples.CONVERSATION_STARTED)
    story.bot(BotSaid(text="Hi!"), cause=1)
    before = story.state
    state, facts = step(before, recorded(before.position + 1, "bot", HandoffWithdrawn()))
    assert facts == ()
    assert state.ownership.owner == "bot"


def test_an_older_attempt_of_the_assistants_never_replaces_a_newer_one() -> None:
    story = Story()
    story.visitor(examples.CONVERSATION_STARTED)
    story.bot_alone(AnswerStarted(cause=1, attempt=2))
    before = story.state
    for attempt in (1, 2):
        state, facts = step(
            before, recorded(before.position + 1, "bot", AnswerStarted(cause=1, attempt=attempt), id="late")
        )
        assert facts == ()
        assert state.answer.generating == before.answer.generating


def test_only_the_visitor_or_an_operator_makes_a_conversation_active(taken: Story) -> None:
    before = taken.state.active
    taken.bot_alone(TimerArmed(id="inactivity:1", at="2030-01-01T00:00:00Z"))
    assert taken.state.active == before
    taken.visitor(TextWritten(session="s", text="still here"))
    assert taken.state.active > before


def test_an_operators_word_does_not_undo_a_failure(taken: Story) -> None:
    failed = replace(taken.state, answer=Answer(failed=True))
    said = evolve(failed, recorded(failed.position + 1, "operator", examples.OPERATOR_SAID))
    assert said.answer.failed
    assert not evolve(said, recorded(said.position + 1, "visitor", examples.TEXT_WRITTEN)).answer.failed


def test_timers_in_a_row_are_counted_until_somebody_does_something() -> None:
    story = Story()
    story.visitor(examples.CONVERSATION_STARTED)
    for count in (1, 2):
        story.bot_alone(TimerArmed(id="after:1", at=f"2030-01-01T00:00:0{count}Z"))
        story.bot_alone(TimerFired(id="after:1"))
        assert story.state.timers.fired == count
    story.visitor(TextWritten(session="s", text="here"))
    assert story.state.timers.fired == 0


# --- mailboxes: what may be acknowledged ---


def delivery(position: int, caught_up: bool = True) -> Delivery:
    reply = f"$JS.ACK.CHAT-0.workflow.1.{position}.{position}.1790000000000000000.0"
    taken = Delivery(Msg(cast(Client, cast(Any, None)), "", reply, b""))
    taken.caught_up = caught_up
    return taken


def firing(at: str = "2030-01-01T00:00:00Z", caught_up: bool = True) -> Firing:
    reply = "$JS.ACK.TIMERS.timers.1.9.9.1790000000000000000.0"
    subject = subjects.timer_due(examples.CONVERSATION, "after:1")
    taken = Firing(Msg(cast(Client, cast(Any, None)), subject, reply, at.encode()))
    taken.caught_up = caught_up
    return taken


def in_hand(*wake_ups: Delivery | Firing) -> TurnMailbox:
    mailbox = TurnMailbox(examples.CONVERSATION)
    for each in wake_ups:
        mailbox.add(each)
    return mailbox


def finished(mailbox: TurnMailbox, state: Conversation) -> list[WakeUp]:
    return mailbox.finished(state.position, lambda wake_up: done(wake_up, state))


def at(position: int, *owed: int) -> Conversation:
    unanswered = PersistentQueue(Input(each, str(each), examples.TEXT_WRITTEN) for each in owed)
    return replace(NEW, position=position, inbox=Inbox(unanswered))


def test_a_delivery_that_the_fold_has_not_reached_is_not_acknowledged() -> None:
    """Its input is not owed only because nobody has looked yet."""
    mailbox = in_hand(delivery(7))
    assert finished(mailbox, at(6)) == []
    assert len(mailbox) == 1
    assert [each.sequence for each in finished(mailbox, at(7))] == [7]
    assert len(mailbox) == 0


def test_a_delivery_that_was_not_waited_for_is_not_acknowledged() -> None:
    """The fold may be of another log, and be past the number that this one uses anew."""
    mailbox = in_hand(delivery(7, caught_up=False))
    assert finished(mailbox, at(100)) == []
    assert len(mailbox) == 1


def test_a_delivery_whose_input_is_owed_is_not_acknowledged() -> None:
    mailbox = in_hand(delivery(7), delivery(8))
    assert [each.sequence for each in finished(mailbox, at(9, 7))] == [8]


def test_a_firing_is_not_acknowledged_before_the_fold_was_asked_or_while_it_means_something() -> None:
    assert finished(in_hand(firing(caught_up=False)), at(100)) == []
    armed = (Timer("after:1", "2030-01-01T00:00:00Z"),)
    assert finished(in_hand(firing()), replace(at(100), timers=Timers(armed))) == []
    owed = PersistentQueue([Input(99, "99", TimerFired(id="after:1"))])
    assert finished(in_hand(firing()), replace(at(100), inbox=Inbox(owed))) == []
    assert len(finished(in_hand(firing()), at(100))) == 1


def test_a_firing_for_another_time_than_the_timers_means_nothing() -> None:
    later = replace(at(100), timers=Timers((Timer("after:1", "2030-01-01T00:05:00Z"),)))
    assert not firing().armed(later)
    assert len(finished(in_hand(firing()), later)) == 1


def test_a_lane_waits_only_for_what_is_in_hand() -> None:
    assert not in_hand(delivery(7)).waits_for(at(9, 8))
    assert in_hand(delivery(7)).waits_for(at(9, 7))
    assert not in_hand(delivery(7)).waits_for(at(9))


def test_only_the_wake_up_of_an_input_is_its_lease() -> None:
    mailbox = in_hand(delivery(7), firing())
    text = Input(7, "7", examples.TEXT_WRITTEN)
    assert mailbox.lease(text) is mailbox.deliveries[7]
    assert mailbox.lease(replace(text, position=8)) is None
    fired = Input(9, "9", TimerFired(id="after:1"))
    assert mailbox.lease(fired) is mailbox.others[9]
    assert mailbox.lease(replace(fired, fact=TimerFired(id="after:2"))) is None


def test_what_was_heard_for_one_input_does_not_count_for_the_next() -> None:
    mailbox = in_hand(delivery(7), delivery(8))
    turn = mailbox.turn_of(Input(7, "7", examples.TEXT_WRITTEN))
    assert mailbox.turn_of(Input(7, "7", examples.TEXT_WRITTEN)) is turn
    assert mailbox.turn_of(Input(8, "8", examples.TEXT_WRITTEN)) is not turn
