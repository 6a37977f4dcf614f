"""An operator asks how it was, once for each matter; every door's visitors can say so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.operator.domain import decisions
from services.operator.domain.decisions import NotYours, Operator
from services.operator.domain.transcript import transcript
from services.proxy.domain.past import Past
from services.proxy.domain.session import Append, ClientSession, Send
from services.proxy.domain.socketio_chat import Chat
from services.proxy.domain.text_answers import may_be, said_by_text
from services.proxy.domain.turns import Turns
from shared.contract.facts import (
    ConversationClaimed,
    ConversationRated,
    ConversationResolved,
    ConversationStarted,
    Fact,
    HandoffRequested,
    OperatorSaid,
    RatingAsked,
    TextWritten,
)
from tests.examples import Story

ADA = Operator(name="ada", display="Ada", role="operator")
STARTED, CLAIMED = ConversationStarted(door="rest"), ConversationClaimed(operator="ada", name="Ada")
ASKED = RatingAsked(operator="ada", name="Ada")
SAID, RESOLVED = OperatorSaid(operator="ada", text="Done."), ConversationResolved(operator="ada")


def story(*operators: Fact) -> Story:
    told = Story()
    told.visitor(STARTED)
    told.operator(CLAIMED)
    for fact in operators:
        told.operator(fact)
    return told


def rating(told: Story) -> str:
    return told.state.asked.rating


def text(words: str) -> TextWritten:
    return TextWritten(session="", text=words)


def test_whoever_has_the_conversation_asks_once() -> None:
    asked = story()
    assert decisions.ask_rating(asked.state, ADA) == (ASKED,)
    asked.operator(ASKED)
    assert rating(asked) == "asked"
    assert decisions.ask_rating(asked.state, ADA) == ()
    asked.visitor(ConversationRated(score=4))
    assert rating(asked) == "given"
    assert decisions.ask_rating(asked.state, ADA) == ()
    assert [line.text for line in transcript(asked.entries)][-2:] == [
        "Ada asked for a rating",
        "Rated 4 of 5",
    ]


def test_of_another_ones_conversation_or_the_bots_nobody_may_ask() -> None:
    eve = Operator(name="eve", display="Eve", role="operator")
    assert isinstance(decisions.ask_rating(story().state, eve), NotYours)
    alone = Story()
    alone.visitor(STARTED)
    assert isinstance(decisions.ask_rating(alone.state, ADA), NotYours)
    alone.operator(ASKED)
    assert rating(alone) == ""  # nor does the fold let it count
    assert decisions.ask_rating(story(RESOLVED).state, eve) == (RatingAsked(operator="eve", name="Eve"),)


def test_a_second_request_of_one_matter_takes_no_effect_and_the_next_matter_has_its_own() -> None:
    told = story(ASKED, RESOLVED, RatingAsked(operator="eve"))
    lines = [line.text for line in transcript(told.entries)]
    assert lines.count("Ada asked for a rating") == 1
    assert "eve asked for a rating" not in lines
    cause = told.visitor(text("One more thing")).position
    told.bot(HandoffRequested(queue="default", reason="reopened"), cause=cause)
    told.operator(CLAIMED)
    assert rating(told) == ""
    assert decisions.ask_rating(told.state, ADA) == (ASKED,)


@pytest.mark.parametrize("words, score", [("5", 5), (" 4! ", 4), ("٣", 3), ("３", 3), ("2 ⭐", 2)])
def test_a_text_that_is_a_score_and_nothing_else_is_the_rating(words: str, score: int) -> None:
    assert said_by_text(story(ASKED).state, "", words) == ConversationRated(score=score)


@pytest.mark.parametrize("words", ["0", "6", "45", "5 boxes", "five", "", "½", "-4", "4/5"])
def test_other_texts_are_texts(words: str) -> None:
    assert said_by_text(story(ASKED).state, "", words) == text(words)


def test_a_number_that_answers_something_else_is_no_rating() -> None:
    assert said_by_text(story().state, "", "5") == text("5")
    assert said_by_text(story(ASKED, SAID).state, "", "5") == text("5")
    rated = story(ASKED)
    rated.visitor(text("Well ..."))
    assert said_by_text(rated.state, "", "5") == ConversationRated(score=5)
    rated.visitor(ConversationRated(score=5))
    assert said_by_text(rated.state, "", "5") == text("5")


def frames_of(output: list[Any]) -> list[dict[str, Any]]:
    return [json.loads(each.text) for each in output if isinstance(each, Send)]


def test_a_client_with_buttons_is_told_in_its_state() -> None:
    told = story()
    session = ClientSession("e", modern=True)
    session.resume(told.entries, "x")
    (state,) = frames_of(session.follow(told.operator(ASKED)))
    assert state == {
        "kind": "State",
        "owner": "operator",
        "status": "open",
        "waiting": None,
        "rating": "asked",
    }
    (state,) = frames_of(session.follow(told.visitor(ConversationRated(score=1))))
    assert state["rating"] == "given"


def test_a_bare_client_is_asked_in_words_and_answers_with_a_number() -> None:
    told = story()
    session = ClientSession("e", modern=False)
    session.resume(told.entries, "x")
    (asked,) = frames_of(session.follow(told.operator(ASKED)))
    assert asked["kind"] == "BotText"
    assert "1 (bad) to 5 (good)" in asked["content"]
    frame = '{"kind": "UserText", "sessionId": "operator", "content": "4"}'
    (append,) = session.receive(frame, lambda: "y")
    assert isinstance(append, Append)
    assert append.entry.facts == (ConversationRated(score=4),)


def test_a_socketio_client_may_send_the_number_again() -> None:
    told = story()
    chat = Chat("s", "e", STARTED)
    past = Past()
    for entry in told.entries:
        past.add(entry)
    chat.open(past)
    chat.told("x")
    (asked,) = chat.follow(told.operator(ASKED))
    assert "How was it?" in asked.data["message"]  # type: ignore[union-attr]
    id = "5d0cbd5e-0c4b-4f44-9a3e-7d0c1c1a2b3c"
    message = {"message": "4", "id": id}
    first = chat.receive("user_message", message, lambda: "y")
    assert isinstance(first, Append)
    assert first.entry.facts == (ConversationRated(score=4),)
    chat.follow(told.visitor(*first.entry.facts, id=id))
    assert isinstance(chat.receive("user_message", message, lambda: "y"), Append)  # the log drops it
    refused = chat.receive("user_message", {"message": "5", "id": id}, lambda: "y")
    assert not isinstance(refused, Append)
    assert set(may_be("", "4")) == {text("4"), ConversationRated(score=4)}


def test_a_rest_client_reads_the_question_and_its_answer() -> None:
    told = story(SAID, ASKED)
    told.visitor(ConversationRated(score=4))
    turns = Turns()
    for entry in told.entries:
        turns.add(entry)
    assert [(message.role, message.text) for message in turns.messages] == [
        ("assistant", "Done."),
        ("assistant", "How was it? Please answer with a number from 1 (bad) to 5 (good)."),
        ("user", "4"),
    ]
