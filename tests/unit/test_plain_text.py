"""What clients that show text only are told."""

from __future__ import annotations

from services.proxy.domain.plain_text import OUT_OF_TURN, lines, refusal, text
from shared.contract.facts import AssistantSaid, BotSaid, Choice, ChoiceAsked, EditorOpened, OperatorSaid
from tests.examples import EDITOR_CLOSED, FLOW_ADVANCED, TEXT_WRITTEN


def test_html_of_a_flow_becomes_plain_lines() -> None:
    assert lines(BotSaid(text="Hi &amp; <b>welcome</b>!<br>How are you?")) == [
        "Hi & welcome!",
        "How are you?",
    ]


def test_a_choice_is_its_question_and_numbered_lines() -> None:
    choices = (Choice(item="rust", text="<i>Rust</i>"), Choice(item=2, text="Something<br>else"))
    asked = ChoiceAsked(group="lang", question="Which <b>one</b>?", choices=choices)
    assert lines(asked) == ["Which one?", "1. Rust", "2. Something else"]
    assert text(asked) == "Which one?\n1. Rust\n2. Something else"


def test_what_people_and_the_assistant_say_is_no_html() -> None:
    assert lines(OperatorSaid(operator="ada", text="a < b & c")) == ["a < b & c"]
    assert lines(AssistantSaid(text="use <b>\n\nit is bold")) == ["use <b>", "", "it is bold"]


def test_an_editor_says_its_text_or_else_its_prompt() -> None:
    assert lines(EditorOpened(session="s", prompt="Type here", text="<p>Ask away</p>")) == ["Ask away"]
    assert lines(EditorOpened(session="s", prompt="Type here")) == ["Type here"]
    assert lines(EditorOpened(session="s")) == []


def test_what_has_no_words_is_no_message() -> None:
    assert lines(BotSaid(text="<p> </p>")) == []
    assert [lines(fact) for fact in (FLOW_ADVANCED, EDITOR_CLOSED, TEXT_WRITTEN)] == [[], [], []]


def test_a_refusal_has_words_without_anything_internal() -> None:
    assert refusal("unknown_choice") == "There is no such choice. Please answer with one of the numbers."
    assert refusal("some_new_reason") == OUT_OF_TURN
