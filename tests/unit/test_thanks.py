"""Mere thanks soon after an operator has closed a conversation leave it closed; nothing else does."""

from __future__ import annotations

import json
import time

import pytest
from msgspec.structs import replace

from shared.contract.conversation import evolve
from shared.contract.facts import BotSaid, ConversationStarted, Fact, HandoffRequested, ThanksHeard
from shared.flow.again import decided_again
from shared.flow.language.flow import parse
from shared.flow.language.thanks import MAX_CHARACTERS, Thanks, only_thanks, phrase_fault
from shared.flow.language.thanks_words import OWN_THANKS
from tests import examples
from tests.dialogue import FlowDialogue, flow_of, says, text

CLAIMED, RESOLVED = examples.CONVERSATION_CLAIMED, examples.CONVERSATION_RESOLVED
REOPENED = (HandoffRequested(queue="default", reason="reopened"),)


def closed(language: str = "", minutes: int = 10, **settings: object) -> FlowDialogue:
    """A conversation that an operator has closed."""
    flow = flow_of(
        hello=says("Hi", "wait"), wait={"end": True}, **{"$settings": settings} if settings else {}
    )
    dialogue = FlowDialogue(flow)
    dialogue.thanks = minutes * 60
    return dialogue.given(ConversationStarted(door="websocket", language=language), CLAIMED, RESOLVED)


@pytest.mark.parametrize(
    "words, language",
    [
        ("Thanks!", ""),
        ("thank you so much, bye 👍🏽 :)", "en"),
        ("THX", "fr"),  # English is understood everywhere
        ("Vielen Dank für die schnelle Hilfe. Schönen Tag noch!", "de-AT"),
        ("謝謝您！好的", "zh-Hant"),
        ("TEŞEKKÜR EDERİM", "tr"),
        ("ありがとうございました。", "ja"),
        ("شُكْراً جزيلاً", "ar"),
    ],
)
def test_mere_thanks_leave_it_closed(words: str, language: str) -> None:
    dialogue = closed(language)
    assert dialogue.when(text(words)) == (ThanksHeard(),)
    assert (dialogue.state.ownership.owner, dialogue.state.ownership.status) == ("bot", "resolved")
    assert not dialogue.state.inbox.unanswered


@pytest.mark.parametrize(
    "words, language",
    [
        ("Thanks?", "en"),
        ("Thanks, one more thing", "en"),
        ("No thanks", "en"),
        ("thanks for nothing", "en"),
        ("Thanks 2", "en"),
        ("Thanks\x00 <b>", "en"),
        ("ok, bye", "en"),  # no thanks in it
        ("👍", "en"),  # may mean anything
        ("danke", "en"),  # nobody knows that this visitor writes German
        ("thanks " * MAX_CHARACTERS, "en"),
        (" ", "en"),
    ],
)
def test_what_is_not_clearly_thanks_reopens(words: str, language: str) -> None:
    assert closed(language).when(text(words)) == REOPENED


def test_the_service_says_for_how_long_and_a_flow_may_say_otherwise() -> None:
    for minutes, expected in ((10, (ThanksHeard(),)), (0, REOPENED)):
        assert closed(minutes=minutes).when(text("thanks")) == expected
    assert closed(thanks={"minutes": 0}).when(text("thanks")) == REOPENED
    assert closed(minutes=0, thanks={"minutes": 1}).when(text("thanks")) == (ThanksHeard(),)


def test_the_time_is_that_of_the_log() -> None:
    for late, expected in ((60, (ThanksHeard(),)), (61, REOPENED)):
        dialogue = closed(minutes=1)
        said = examples.recorded(len(dialogue.story.entries) + 1, "visitor", text("thanks"))
        said = replace(said, time=dialogue.state.ownership.resolved + late * examples.SECOND)
        dialogue.story.entries.append(said)
        dialogue.story.state = evolve(dialogue.state, said)
        assert dialogue.answer() == expected


def test_what_was_ended_by_silence_begins_anew_as_before() -> None:
    dialogue = FlowDialogue(flow_of(hello=says("Hi", "wait"), wait={"end": True}))
    dialogue.thanks = 600
    dialogue.given(ConversationStarted(door="websocket"))
    dialogue.interim(examples.CONVERSATION_ENDED, id="ended")
    assert BotSaid(text="Hi") in dialogue.when(text("thanks"))


def test_a_flow_has_its_own_words_and_answer() -> None:
    own = {
        "words": {"en": ["ta very much"], "de": ["vergelts gott"]},
        "beside": {"en": ["mate"]},
        "say": {"en": "You are welcome.", "de": "Gern."},
    }
    heard: tuple[Fact, ...] = (ThanksHeard(), BotSaid(text="You are welcome."))
    assert closed("en", thanks=own).when(text("Ta very much, mate!")) == heard
    assert closed("de", thanks=own).when(text("Vergelt's Gott")) == REOPENED  # another spelling
    assert closed("de", thanks=own).when(text("vergelts Gott")) == (ThanksHeard(), BotSaid(text="Gern."))
    assert closed("en", thanks=own).when(text("thanks")) == REOPENED  # the list is in place of the other
    assert closed("fr", thanks=own).when(text("merci"))[0] == ThanksHeard()


@pytest.mark.parametrize(
    "given, reason",
    [
        (7, "it is no object"),
        ({"minute": 1}, 'it has the unknown key "minute"'),
        ({"minutes": -1}, '"minutes" is no whole number from 0 to 1440'),
        ({"minutes": True}, '"minutes" is no whole number from 0 to 1440'),
        ({"say": 7}, '"say" is not a text in "quotes", or one for each language: {"en": "..."}'),
        ({"words": ["thanks"]}, '"words" is no object from language to list'),
        ({"words": {"en": "thanks"}}, '"en" in "words" is no language with a list of texts'),
        ({"beside": {"en": ["right?"]}}, '"right?" in "beside" can never be found: '),
        ({"words": {"en": ["a b c d e f g"]}}, "can never be found: it has more than 6 words"),
    ],
)
def test_what_is_wrong_in_a_flow_is_told_and_not_used(given: object, reason: str) -> None:
    content = json.dumps({"$settings": {"thanks": given}, "a": {"end": True}}).encode()
    flow = parse(content, "test")
    assert flow.thanks == Thanks()
    assert any(reason in str(warning) for warning in flow.warnings)


def test_every_phrase_that_is_built_in_can_be_found() -> None:
    for language, (thank, beside) in OWN_THANKS.items():
        for phrase in thank.split("|"):
            assert only_thanks(phrase, Thanks(), [language]), (language, phrase)
        for phrase in (*thank.split("|"), *beside.split("|")):
            assert phrase_fault(phrase) == "", (language, phrase)


def test_the_decision_is_made_again_as_it_was() -> None:
    dialogue = closed()
    item_at = len(dialogue.story.entries)
    state_before = dialogue.state
    dialogue.when(text("thanks"))
    said, answered = dialogue.story.entries[item_at:]
    state = evolve(state_before, said)
    (item,) = state.inbox.unanswered
    assert decided_again(state, item, dialogue.flow, answered) == (ThanksHeard(),)


def test_it_takes_no_longer_the_longer_the_text() -> None:
    thanks = Thanks(words={"en": tuple(f"thanks {n}" for n in range(100))})
    begin = time.perf_counter()
    only_thanks("thanks a " * 100_000, thanks, ["en"])
    assert time.perf_counter() - begin < 0.05
