"""A conversation that was erased: nothing of it is left in any state, and it may begin anew."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.analytics.numbers import LogNumbers
from services.operator.desk import Desk
from services.operator.domain.transcript import transcript
from services.proxy.domain import close_codes
from services.proxy.domain.session import Append, ClientSession, Send
from services.proxy.domain.socketio_chat import Chat
from services.proxy.domain.turns import Turns
from services.workflow.domain.prompt_history import so_far
from shared.contract import cursor as cursors
from shared.contract.conversation import NEW, step
from shared.contract.cursor import Cursor
from shared.contract.entry import LEVEL, Entry, decode, encode, needed
from shared.contract.facts import (
    AnswerStarted,
    AssistantSaid,
    ConversationStarted,
    EngagementBegan,
    Fact,
    FlowAdvanced,
    FlowStarted,
    HandoffRequested,
    TextWritten,
    TimerArmed,
    VariableSaved,
)
from tests import examples
from tests.examples import CONVERSATION, CONVERSATION_ERASED, Story, recorded
from tests.numbers import make_sense, numbers_of
from tests.properties.test_numbers import histories

WORD = "marmalade"
EPOCH = "e1"


def remembered() -> Story:
    """A conversation with words in every part of its state: positions 1 to 5."""
    story = Story()
    story.visitor(ConversationStarted(door="websocket", flow=WORD, language=WORD, user=WORD))
    story.bot(
        FlowStarted(flow="shop", version="v1"),
        VariableSaved(name="email", value=WORD),
        FlowAdvanced(path=("hello", "ask")),
        TimerArmed(id="idle:1", at="2030-01-01T00:00:00Z"),
        examples.EDITOR_OPENED,
        cause=1,
    )
    story.visitor(TextWritten(session="fav", text=WORD))
    story.bot_alone(AnswerStarted(cause=3, attempt=1))
    story.visitor(TextWritten(session="fav", text=WORD))
    return story


# --- the fold ---------------------------------------------------------------------------------


def test_nothing_is_left_but_what_keeps_the_order() -> None:
    story = remembered()
    before = story.state
    story.eraser(CONVERSATION_ERASED)
    after = story.state
    assert (after.position, after.inbox.ids) == (6, before.inbox.ids.plus("eraser:6"))
    at = story.entries[-1].time  # links from before that lead nowhere
    assert after.visit == msgspec.structs.replace(NEW.visit, session=before.visit.session + 1, erased=at)
    parts = (after.ownership, after.progress, after.answer, after.timers, after.engagement, after.mail)
    assert parts == (NEW.ownership, NEW.progress, NEW.answer, NEW.timers, NEW.engagement, NEW.mail)
    assert not after.inbox.unanswered


def test_an_engagement_is_forgotten_too() -> None:
    story = Story()
    story.visitor(EngagementBegan(agent="match", user=WORD))
    story.eraser(CONVERSATION_ERASED)
    assert (story.state.engagement, story.state.visit.started) == (None, False)


@pytest.mark.parametrize(
    "author, facts, cause",
    [
        ("bot", (AssistantSaid(text=WORD, attempt=1, model="m"),), 3),
        ("bot", (AnswerStarted(cause=3, attempt=2),), None),
        ("bot", (HandoffRequested(queue="desk"),), 5),
        ("operator", (examples.OPERATOR_SAID,), None),
        ("operator", (examples.CONVERSATION_RESOLVED,), None),
    ],
)
def test_what_was_on_its_way_takes_no_effect(author: str, facts: tuple[Fact, ...], cause: int | None) -> None:
    story = remembered()
    story.eraser(CONVERSATION_ERASED)
    state, effective = step(story.state, recorded(7, author, *facts, cause=cause))
    assert effective == ()
    assert msgspec.structs.replace(state, position=6, inbox=story.state.inbox, active=0) == (
        msgspec.structs.replace(story.state, active=0)
    )


def test_the_visitor_begins_anew_as_if_nothing_had_been() -> None:
    story = remembered()
    story.eraser(CONVERSATION_ERASED)
    story.visitor(ConversationStarted(door="websocket"))
    assert story.state.visit.started
    assert [item.fact for item in story.state.inbox.unanswered] == [ConversationStarted(door="websocket")]


def test_only_an_eraser_erases() -> None:
    """A fact on another author's subject is nobody's: NATS permissions guard subjects, not contents."""
    for author in ("visitor", "bot", "operator"):
        data = encode(Entry(id="1", facts=(CONVERSATION_ERASED,)))
        assert decode(6, CONVERSATION, author, 0, data).facts == ()
    assert decode(6, CONVERSATION, "eraser", 0, data).facts == (CONVERSATION_ERASED,)


def test_a_program_that_does_not_know_it_may_not_decide_after_it() -> None:
    assert needed((CONVERSATION_ERASED,)) == 4 <= LEVEL


# --- whoever shows it -------------------------------------------------------------------------


def opened(story: Story, cursor: Cursor | None = None) -> tuple[ClientSession, list[Any]]:
    session = ClientSession(EPOCH, True, cursor)
    return session, session.resume(story.entries, "new", ConversationStarted(door="websocket"))


@pytest.mark.parametrize("modern", [True, False])
def test_an_open_socket_is_closed_and_told_to_come_back_anew(modern: bool) -> None:
    story = remembered()
    session = ClientSession(EPOCH, modern)
    session.resume(story.entries, "new")
    assert session.follow(story.eraser(CONVERSATION_ERASED)) == [close_codes.STALE]


def test_who_comes_back_is_told_nothing_of_before_and_begins_anew() -> None:
    story = remembered()
    place = Cursor(EPOCH, 2, story.entries[1].time, 4)
    assert cursors.decode(cursors.encode(place)) == place
    assert '"reset":false' in str(opened(story, place)[1])
    story.eraser(CONVERSATION_ERASED)
    for cursor in (place, None):
        _, output = opened(story, cursor)
        told = [json.loads(item.text) for item in output if isinstance(item, Send)]
        assert [frame["kind"] for frame in told] == ["Resumed", "State"]
        assert told[0]["reset"] is True
        (append,) = (item for item in output if isinstance(item, Append))
        assert (append.expect, append.entry.facts) == (6, (ConversationStarted(door="websocket"),))


def test_who_wants_nothing_to_begin_is_told_that_there_is_nothing() -> None:
    story = remembered()
    story.eraser(CONVERSATION_ERASED)
    output = ClientSession(EPOCH, True).resume(story.entries, "new", None)
    assert output[-1] == close_codes.UNKNOWN
    assert not any(isinstance(item, Append) for item in output)


def test_socketio_chats_begin_anew_too() -> None:
    story = remembered()
    chat = Chat("s", EPOCH, ConversationStarted(door="socketio"), cursor="")
    chat.greet(story.entries, "new")
    assert chat.follow(story.eraser(CONVERSATION_ERASED)) == [close_codes.STALE]
    again = Chat("s", EPOCH, ConversationStarted(door="socketio"), cursor="")
    output = again.greet(story.entries, "new")
    assert WORD not in str(output)
    assert [item.expect for item in output if isinstance(item, Append)] == [6]


def test_a_session_of_rest_has_no_turns_and_no_messages_any_more() -> None:
    story = remembered()
    story.eraser(CONVERSATION_ERASED)
    turns = Turns()
    for entry in story.entries:
        turns.add(entry)
    assert (turns.turns, turns.messages, turns.owed, turns.open) == ([], [], False, None)


def test_the_console_shows_it_nowhere_until_the_visitor_comes_again() -> None:
    story, desk = remembered(), Desk()
    for entry in story.entries:
        desk.apply(entry)
    assert desk.count("live") == 1
    change = desk.apply(story.eraser(CONVERSATION_ERASED))
    assert change.before.visit.started
    assert (desk.find(CONVERSATION), desk.count("live")) == (None, 0)
    desk.apply(story.visitor(ConversationStarted(door="websocket")))
    summary = desk.find(CONVERSATION)
    assert summary is not None
    assert (summary.last_line, summary.waiting, desk.count("live")) == ("", 0, 1)
    assert [line.text for line in transcript(story.entries)] == ["What was said before was erased"]


def test_an_assistant_is_told_nothing_of_before() -> None:
    story = remembered()
    story.eraser(CONVERSATION_ERASED)
    story.visitor(ConversationStarted(door="websocket"))
    asked = story.visitor(TextWritten(session="fav", text="Hello again"))
    assert [line.text for line in so_far(story.entries, asked.position)] == ["Hello again"]


# --- the numbers ------------------------------------------------------------------------------


def test_its_numbers_stay() -> None:
    story = remembered()

    def kept(numbers: LogNumbers) -> tuple[int, int, dict[str, tuple[int, int]]]:
        return numbers.started, numbers.turns, numbers.flows[0].states

    before = kept(numbers_of(story.entries))
    story.eraser(CONVERSATION_ERASED)
    after = numbers_of(story.entries)
    assert kept(after) == before
    assert (after.statuses["open"], after.open) == (0, {"bot": 0, "queue": 0, "operator": 0})


@given(histories(), st.integers(0, 25))
@settings(max_examples=20, deadline=None)
def test_wherever_it_is_erased_the_numbers_make_sense(history: list[Any], at: int) -> None:
    conversations = {entry.conversation for entry in history}
    erased = [recorded(1000, "eraser", CONVERSATION_ERASED, conversation=each) for each in conversations]
    make_sense(numbers_of([*history[:at], *erased]))
